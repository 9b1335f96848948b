#pragma once

#include <memory>
#include <string>

#include "audit/log.h"
#include "base/clock.h"
#include "crypto/signer.h"
#include "custody/key_store.h"
#include "custody/vault.h"
#include "custody/wrapped/locked_vault.h"
#include "custody/wrapped/sealed_key_store.h"
#include "sam/authority/revocations.h"
#include "sam/factors/factors.h"
#include "sam/policy/policy.h"
#include "sam/restore/restored.h"
#include "sam/sap/keys.h"
#include "sealed/table.h"
#include "storage/database.h"

namespace intaglio::sam {

/// What the operations of one SAM node share. Made once by `apps/sam`; everything in it is thread-safe.
struct Core {
  std::string node;         ///< name of this node
  std::string incarnation;  ///< node and a random id of this start: owner of its reservations (TC-5)
  std::string name;         ///< the SAM's name, the same on all nodes
  std::shared_ptr<const Clock> clock;
  storage::Database& database;
  std::shared_ptr<const sealed::Sealer> sealer;
  audit::Log& log;
  custody::KeyVault& vault;
  custody::LockedVault* locked_vault;  ///< null where no profile has wrapped custody
  custody::KeyStore keys;
  custody::SealedKeyStore sealed_keys;
  const Policy& policy;
  Factors& factors;
  SapKeys& sap_keys;
  std::shared_ptr<const crypto::Signer> identity_key, sad_key;
  custody::KeyVault* one_time_vault = nullptr;  ///< null where no profile has one-time custody
  std::shared_ptr<Revocations> revocations = std::make_shared<Revocations>();  ///< filled at start
  Restored restored{};  ///< the last restore

  /// Of every ticket, SAD and grant: another policy can end them all, and each restore does (TC-8).
  [[nodiscard]] std::uint64_t epoch() const noexcept { return policy.epoch() + restored.epochs; }

  /// Refuses whatever must not happen without a trustworthy clock, a log that takes entries, and the revocation lists of all nodes (TC-10).
  [[nodiscard]] Status ready() const;
};

/// The schema of the `sam` database, all rooms of the process in one order that never changes.
[[nodiscard]] const std::vector<storage::Migration>& database_migrations();

}  // namespace intaglio::sam
