#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/revocation.h"
#include "storage/database.h"

/// The rows of the PKI's database, in the room's own words.
namespace intaglio::pki {

/// A certificate that was issued. `kind` is "signer", "responder" or "tsu" (a time-stamping unit).
struct IssuedCertificate {
  std::string serial_hex;
  std::string kind, profile, signer, key, operator_id, request_id;  ///< of the request; empty for a responder, key alone for a tsu
  UnixTime not_before, not_after, issued_at;
  Bytes spki_sha256, der;
};
struct StoredStatus {
  bool issued;
  UnixTime not_after;  ///< of what was issued
  std::optional<crypto::RevokedCertificate> revoked;
};
struct StoredList {
  std::uint64_t number;
  UnixTime this_update, next_update;
  Bytes der;
  std::int64_t change = 0;  ///< the latest change of status that it shows
  Bytes delta{};            ///< the delta list of the same number; empty when none was made
};

[[nodiscard]] const std::vector<storage::Migration>& migrations();

/// conflict: the serial or the key was certified before. A responder's key may be certified again, no other.
Status insert_certificate(storage::Transaction& transaction, const IssuedCertificate& certificate);
[[nodiscard]] Result<std::optional<IssuedCertificate>> find_certificate(storage::Reader& reader, std::string_view serial_hex);
[[nodiscard]] Result<std::optional<IssuedCertificate>> latest_responder(storage::Reader& reader);
/// Of a signer or a time-stamping unit: what its key was certified as.
[[nodiscard]] Result<std::optional<IssuedCertificate>> find_certificate_of_key(storage::Reader& reader, ByteView spki_sha256);
[[nodiscard]] Result<StoredStatus> certificate_status(storage::Reader& reader, std::string_view serial_hex);

/// A revocation, or the revocation of what is on hold, whose moment stays that of the hold. conflict: revoked before, or on hold and
/// put on hold again.
Status insert_revocation(storage::Transaction& transaction, const crypto::RevokedCertificate& revocation, std::string_view operator_id);
/// Ends a hold (certificateHold). conflict: the certificate is not on hold.
Status release_hold(storage::Transaction& transaction, std::string_view serial_hex, UnixTime at, std::string_view operator_id);
/// Whatever is revoked or on hold, but for what both ended and was revoked before `ended_before`: the epoch leaves nothing out.
[[nodiscard]] Result<std::vector<crypto::RevokedCertificate>> revocations(storage::Reader& reader, UnixTime ended_before = {});

/// The number of the latest change of any status: each revocation, hold and release has the next one. 0 before the first.
[[nodiscard]] Result<std::int64_t> latest_change(storage::Reader& reader);
/// Where each certificate stands now whose status changed after that number: a released one with the reason removeFromCRL.
[[nodiscard]] Result<std::vector<crypto::RevokedCertificate>> changes_after(storage::Reader& reader, std::int64_t change);

Status insert_list(storage::Transaction& transaction, const StoredList& list);
[[nodiscard]] Result<std::optional<StoredList>> latest_list(storage::Reader& reader);
/// The oldest list whose nextUpdate lies after that moment.
[[nodiscard]] Result<std::optional<StoredList>> oldest_list_in_force(storage::Reader& reader, UnixTime at);
/// Forgets lists that ended before that moment, but for the latest: their digests stay in the audit log.
Status forget_lists(storage::Transaction& transaction, UnixTime ended_before);

/// Serial numbers of certificates that have not ended, in their order, behind `after` (empty: from the first), at most `limit`.
[[nodiscard]] Result<std::vector<std::string>> serials_in_force(storage::Reader& reader, std::string_view after, UnixTime at,
                                                                std::int64_t limit);

/// conflict: the serial number was given before.
Status insert_timestamp(storage::Transaction& transaction, std::string_view serial_hex, UnixTime generated_at);
/// When the latest of all was generated; none when there is none.
[[nodiscard]] Result<std::optional<UnixTime>> latest_timestamp(storage::Reader& reader);

/// replayed: this operator used the id before.
Status use_request_id(storage::Transaction& transaction, std::string_view operator_id, std::string_view request_id, UnixTime at);
/// Ids seen before that moment are forgotten: requests of that age are refused by their own date.
Status forget_request_ids(storage::Transaction& transaction, UnixTime before);

}  // namespace intaglio::pki
