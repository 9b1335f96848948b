#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/ids.h"
#include "crypto/public_key.h"
#include "sealed/sealer.h"
#include "storage/database.h"

namespace intaglio::custody {

/// GENERATED (proof of possession only) -> ASSIGNED (certificate bound) <-> SUSPENDED -> DESTROYED. There is no edge back
/// from DESTROYED, and none that archives a key (SRG_KM.6.1). INACTIVE: of a revoked certificate, where policy keeps such keys until
/// a date; the one edge from it leads to DESTROYED.
enum class KeyState : std::uint8_t { generated = 1, assigned = 2, suspended = 3, destroyed = 4, inactive = 5 };

/// What the SAM knows of a key: sealed, one signer and one certificate each (SRG_KM.3.4).
struct KeyRecord {
  KeyId id;
  SignerId owner;
  Bytes holder;                     ///< incarnation of the owner's record: another person of the same id does not inherit it (TC-7)
  KeyState state;
  crypto::KeyAlgorithm algorithm;
  Bytes spki;
  std::string profile;
  UnixTime created;
  std::vector<Bytes> certificates;  ///< DER, leaf first; empty until bound
  bool revoked;
  std::string suspended_because;    ///< empty unless suspended
  UnixTime inactive_until{};        ///< of an inactive key: when it is destroyed
};

struct StoredKey {
  std::uint64_t version;
  KeyRecord record;
};

/// The key records. Owner and certificate are found by blind indexes: the database alone tells no one's keys.
class KeyStore {
 public:
  explicit KeyStore(std::shared_ptr<const sealed::Sealer> sealer);

  /// Of a snapshot, which may be older than the latest commit: for what decides nothing.
  [[nodiscard]] Result<std::optional<StoredKey>> find_in_snapshot(storage::Reader& reader, const KeyId& key) const;
  /// The latest, and refused (`storage_unavailable`) when the row was put back to an earlier state or removed (TC-8).
  [[nodiscard]] Result<std::optional<StoredKey>> find(storage::Transaction& transaction, const KeyId& key) const;
  [[nodiscard]] Result<std::vector<StoredKey>> of_owner(storage::Reader& reader, const SignerId& owner) const;
  /// By issuer name and serial number, as a CRL has them. Not a key that is revoked and has ended: no list says anything new of it, and
  /// a list names all of them each time.
  [[nodiscard]] Result<std::optional<StoredKey>> with_certificate(storage::Reader& reader, ByteView issuer_der,
                                                                  std::string_view serial_hex) const;
  /// `conflict` when the id or the public key exists: the same public key twice is an alarm, not a coincidence (AII-1(b)).
  Status insert(storage::Transaction& transaction, const KeyRecord& record) const;
  /// `conflict` when the record changed meanwhile; as `find` when `changed` is not of the latest version.
  Status update(storage::Transaction& transaction, const StoredKey& changed) const;

  static const std::vector<storage::Migration>& migrations();

 private:
  [[nodiscard]] Result<StoredKey> opened(const std::string& id, std::uint64_t version, ByteView sealed) const;
  [[nodiscard]] Bytes certificate_index(const KeyRecord& record) const;
  class OpenedRows;
  std::shared_ptr<const sealed::Sealer> sealer_;
  std::shared_ptr<OpenedRows> opened_rows_;
};

}  // namespace intaglio::custody
