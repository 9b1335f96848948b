#include "sam/core.h"

#include "base/check.h"

namespace intaglio::sam {
namespace {

constexpr std::string_view lock_share_schema =
    "CREATE TABLE lock_shares (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);";

constexpr std::string_view inactive_key_schema = R"(
  CREATE TABLE inactive_keys (id TEXT PRIMARY KEY, ends INTEGER NOT NULL);
  CREATE INDEX inactive_keys_by_end ON inactive_keys (ends);
)";

constexpr std::string_view schema = R"(
  CREATE TABLE sam_state (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);
  CREATE TABLE sap_keys (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);
  CREATE TABLE signers (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);
  CREATE TABLE factor_states (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);
  CREATE TABLE used (id BLOB PRIMARY KEY, ends INTEGER NOT NULL);
  CREATE INDEX used_by_end ON used (ends);
  CREATE TABLE pending_keys (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);
  CREATE TABLE authorisations (
    id TEXT PRIMARY KEY,
    sad BLOB NOT NULL UNIQUE,
    signer BLOB NOT NULL,
    ends INTEGER NOT NULL,
    version INTEGER NOT NULL,
    record BLOB NOT NULL);
  CREATE INDEX authorisations_of_signer ON authorisations (signer);
  CREATE TABLE occurrences (
    authorisation TEXT NOT NULL,
    position INTEGER NOT NULL,
    version INTEGER NOT NULL,
    record BLOB NOT NULL,
    PRIMARY KEY (authorisation, position));
  CREATE TABLE open_reservations (
    authorisation TEXT NOT NULL,
    position INTEGER NOT NULL,
    node TEXT NOT NULL,
    PRIMARY KEY (authorisation, position)) WITHOUT ROWID;
)";

constexpr std::string_view management_schema = R"(
  CREATE TABLE proposals (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);
)";

/// Passkeys by signer, and what they signed by SAM nonce.
constexpr std::string_view passkey_schema = R"(
  CREATE TABLE passkeys (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);
  CREATE TABLE approvals (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);
)";

/// Linked identities by signer.
constexpr std::string_view identity_schema =
    "CREATE TABLE identities (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);";

/// In which order proposals were made.
constexpr std::string_view proposal_place_schema = "CREATE TABLE proposal_places (place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE);";

/// Seal grants by their id.
constexpr std::string_view grant_schema = "CREATE TABLE grants (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);";

/// Registered devices by signer.
constexpr std::string_view device_schema = "CREATE TABLE devices (id TEXT PRIMARY KEY, version INTEGER NOT NULL, record BLOB NOT NULL);";

}  // namespace

Status Core::ready() const {
  if (auto synchronised = clock->synchronised(); refused_by("sam.clock", !synchronised)) return synchronised;
  if (auto healthy = log.healthy(); refused_by("sam.audit-healthy", !healthy)) return healthy;
  if (auto current = revocations->current(); refused_by("sam.crl.current", !current)) return current;
  return {};
}

const std::vector<storage::Migration>& database_migrations() {
  static const std::vector<storage::Migration> list = {
      {1, sealed::Sealer::migrations().at(0).sql},
      {2, audit::Log::migrations().at(0).sql, audit::Log::migrations().at(0).postgresql},
      {3, custody::KeyStore::migrations().at(0).sql},
      {4, schema},
      {5, management_schema},
      {6, passkey_schema},
      {7, custody::SealedKeyStore::migrations().at(0).sql},
      {8, lock_share_schema},
      {9, inactive_key_schema},
      {10, identity_schema},
      {11, proposal_place_schema},
      {12, grant_schema},
      {13, audit::Log::migrations().at(1).sql, audit::Log::migrations().at(1).postgresql},
      {14, device_schema},
  };
  return list;
}

}  // namespace intaglio::sam
