#pragma once

#include <map>
#include <set>

#include "audit/remains.h"
#include "custody/key_store.h"
#include "custody/wrapped/sealed_key_store.h"
#include "sam/policy/policy.h"
#include "sam/restore/restored.h"
#include "sam/roles/users.h"
#include "sealed/brought_back.h"

namespace intaglio::sam {

/// The end of "the newest copy is lost": a database of a backup is made fit to be served from (TC-8, TC-9; docs/operate/backup.md). Two
/// persons sign a statement of what the backup lacks, each offline; then, in one transaction, the log is completed from its tiles, and what
/// the backup cannot know any more is void. The anchor takes the result last: who is cut off before that has it finished by the next statement.
///
/// What is believed: the token, the anchor and the versions beside it, which must be the newest; the tiles, as far as the signed checkpoint
/// reaches; of the database what is sealed in it, and only of records that nobody changed since.
class Restore {
 public:
  struct Ground {
    std::string node, name;  ///< of the SAM
    std::shared_ptr<const Clock> clock;
    storage::Database& database;
    std::shared_ptr<const sealed::Sealer> sealer;
    audit::LogConfig log;
    std::shared_ptr<const crypto::Signer> checkpoint_key;
  };
  static constexpr std::chrono::hours statement_lifetime{24};
  static constexpr std::string_view approval_typ = "intaglio-restore+jwt";

  /// Reads all there is and changes nothing. `policy`: the document in force, where the log says that another one than the backup's was
  /// installed since. Refused (`conflict`) when nothing is to be restored, or when nodes share the database.
  [[nodiscard]] static Result<Restore> read(Ground ground, const std::optional<Bytes>& policy);

  /// What the two persons sign, canonical JSON: what database, tiles and anchor hold, what will be void, which policy will be in force.
  [[nodiscard]] Result<std::string> make_statement() const;

  /// `statement`: as `make_statement` gave it; refused (`binding_mismatch`) when it does not say what is found now. `approvals`: JWS of a
  /// user who may execute a restore and of another person who may observe one, over the statement's digest; who they are is looked up in
  /// the backup, and nobody counts of whom the log says that he was changed since.
  Status perform(std::string_view statement, const std::vector<std::string>& approvals);

  /// A restore of before was cut off when all but the anchor was done: then that is done, on the word of those who approved it.
  /// False when the database does not go on after its anchor; `conflict` when it does and that was no restore.
  [[nodiscard]] Result<bool> finish_what_was_begun();

 private:
  /// What the log says that the backup does not know.
  struct News {
    std::set<std::string, std::less<>> changed_users, added_users, generated_keys;
    std::set<std::string, std::less<>> changed_signers;  ///< whose factors are not what they were
    std::optional<std::string> policy_digest;  ///< of the last document that was installed
    std::map<std::string, std::uint64_t, std::less<>> documents;  ///< DTBS/R that were authorised, by signer
    std::map<std::string, std::uint64_t, std::less<>> acts;  ///< approvals and refusals, by signer: each moved his passkey once at most
    std::uint64_t policies = 0;  ///< documents that were installed
  };
  /// What becomes void.
  struct Doubtful {
    std::set<std::string, std::less<>> signers, keys, counters;
  };
  struct Chosen {
    Policy policy;
    Bytes document;
    bool newer;  ///< than the backup's
  };
  Restore(Ground ground, audit::Remains remains, sealed::Survey survey);
  Status learn();
  Status learn_from(std::string_view event);
  void find_doubtful();
  Status load_users(storage::Reader& reader);
  Status choose_policy(storage::Reader& reader, const std::optional<Bytes>& policy);

  [[nodiscard]] std::string statement_of(std::string_view id, UnixTime made) const;
  struct Approvers {
    std::string executor, observer;
  };
  [[nodiscard]] Result<Approvers> check_approvals(const crypto::Sha256Digest& statement, const std::vector<std::string>& approvals) const;

  Status take_effect(storage::Transaction& transaction, audit::Log& log, const crypto::Sha256Digest& statement, const Approvers& by);
  Status void_keys(storage::Transaction& transaction, audit::Log& log);
  Status void_key_of(storage::Transaction& transaction, audit::Log& log, custody::StoredKey key) const;
  Status void_signers(storage::Transaction& transaction, audit::Log& log);
  Status lock_counters(storage::Transaction& transaction, audit::Log& log);
  Status end_keys_in_the_making(storage::Transaction& transaction);
  Status end_proposals(storage::Transaction& transaction);
  Status suspend_users(storage::Transaction& transaction, audit::Log& log);
  Status install_policy(storage::Transaction& transaction, audit::Log& log);

  Ground ground_;
  audit::Remains remains_;
  sealed::Survey survey_;
  custody::KeyStore keys_;
  custody::SealedKeyStore sealed_keys_;
  sealed::Table signers_, counters_, proposals_, state_, pending_keys_;
  News news_;
  Doubtful doubtful_;
  std::optional<PrivilegedUsers> users_;
  std::optional<Chosen> policy_;
};

}  // namespace intaglio::sam
