#pragma once

#include <string>
#include <vector>

#include "protocol/service.h"

/// T, consent and binding exactly as api/sap/README.md writes them down; vectors in tests/data/sap/.
namespace intaglio::protocol {

enum class Purpose { sign, enrol, key, factors, suspend, destroy, one_time, grant };
[[nodiscard]] std::string_view name_of(Purpose purpose) noexcept;  ///< "sign", "enrol", …
[[nodiscard]] Result<Purpose> parse_purpose(std::string_view name);

/// What a signer grants to a client: seals that the client's key asks for, without the signer at each.
struct GrantTerms {
  Bytes client_key;          ///< SubjectPublicKeyInfo of a P-256 key, DER
  std::uint64_t signatures;  ///< hashes in all, 1 to 10^9
  UnixTime ends;
};

/// T: the TC-3 fields without consent. Canonical: each field is a 4-byte big-endian length and its bytes, in this order.
struct Transaction {
  Purpose purpose;
  Bytes nonce;                 ///< SAM nonce, 16 bytes
  std::uint64_t epoch;
  UnixTime expires;
  std::string signer;          ///< one-time: equal to key, since nobody is known yet
  std::string key;  ///< credential; for purposes key and one-time the id that the new key will have; empty for enrol and factors
  Bytes certificate_digest;  ///< SHA-256 of the certificate, or empty
  std::string profile;
  std::uint8_t hash;  ///< crypto::HashAlgorithm; 0 when there are no documents
  Bytes suites;  ///< one octet per crypto::SignatureSuite; for purpose key one octet crypto::KeyAlgorithm
  std::string client_id, client_name;
  std::vector<DocumentDigest> documents;
  std::optional<GrantTerms> grant{};  ///< with purpose grant, and no other
};

[[nodiscard]] Bytes encode(const Transaction& transaction);
/// Refuses (`invalid_request`) whatever encode would not have written.
[[nodiscard]] Result<Transaction> parse_transaction(ByteView encoded);

struct Terms {
  std::string id, version, language;
};
/// SHA-256("intaglio/consent/1" | T | terms id | version | language | act), every part a field.
[[nodiscard]] crypto::Sha256Digest consent_digest(ByteView transaction, const Terms& terms, std::string_view act);
/// SHA-256("intaglio/binding/1" | T | consent)
[[nodiscard]] crypto::Sha256Digest binding_digest(ByteView transaction, const crypto::Sha256Digest& consent);
/// SHA-256("intaglio/session/1" | count | digest | label | … | terms id | version | language | act | client id | client name | profile |
/// nonce), every part a field: what an identity provider answers when a session begins with it (purpose one-time).
[[nodiscard]] crypto::Sha256Digest session_digest(const Transaction& transaction, const Terms& terms, std::string_view act);
/// SHA-256("intaglio/list/1" | count | digest | label | …): the digest of the list that a SAD names.
[[nodiscard]] crypto::Sha256Digest list_digest(const std::vector<DocumentDigest>& documents);
/// Two digits that the signer compares when his device is told of a transaction: those of the application that he uses, and those of his
/// device, which takes them from T. SHA-256("intaglio/compare/1" | T), the first 4 bytes as a number, modulo 100.
[[nodiscard]] std::string comparison_digits(ByteView transaction);

}  // namespace intaglio::protocol
