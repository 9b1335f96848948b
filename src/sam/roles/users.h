#pragma once

#include <optional>

#include "audit/event.h"
#include "base/clock.h"
#include "base/ids.h"
#include "crypto/public_key.h"
#include "json/json.h"
#include "sam/roles/role.h"
#include "sealed/table.h"

namespace intaglio::sam {

using UserId = Id<struct PrivilegedUserKind>;

/// What somebody is at the moment when he agrees to something. Two are equal when he was neither suspended nor resumed and had no other
/// roles and no other key in between.
struct Standing {
  std::uint64_t generation = 0;
  crypto::Sha256Digest key{};  ///< SHA-256 of the SPKI
  [[nodiscard]] bool operator==(const Standing&) const = default;
};

/// A named person with a key of his own (SRG_M.1.8): no shared account, no password.
struct PrivilegedUser {
  UserId id;
  std::string person;      ///< identifier of the person, unique, in the one form that check_person lets in: PNOGR-012345678
  RoleSet roles;
  crypto::PublicKey key;   ///< P-256: signs his requests, and is the key of his TLS certificate
  bool suspended = false;
  std::uint64_t failures = 0;     ///< since the last request that was good
  std::int64_t locked_until = 0;  ///< unix seconds
  UnixTime last_seen;             ///< or added, or resumed
  std::string salt{};             ///< 22 characters, random: of the commitment to the person in the audit log
  std::uint64_t generation = 0;   ///< grows with every suspension, key and change of roles, and never goes back

  void suspend() noexcept;
  void change_roles(RoleSet changed) noexcept;
  /// Neither suspended nor locked from now on, with this key, which may be the one he had.
  void resume(crypto::PublicKey with, UnixTime now) noexcept;
  [[nodiscard]] Standing standing() const;
};
/// `invalid_request` unless it is an identifier of EN 319 412-1, 5.1.3, in the one spelling that it has: PAS, IDC, PNO, TAX or TIN, a
/// country of two upper case letters, "-", and 1 to 122 of A-Z and 0-9; separators within a national number are left out.
[[nodiscard]] Status check_person(std::string_view person);
/// {"id","person","roles":["security-officer",…],"jwk"}; `invalid_request` names the member that does not fit.
[[nodiscard]] Result<PrivilegedUser> parse_user(const json::Value& object, UnixTime now);
/// For review: never a secret, the key as RFC 7638 thumbprint.
[[nodiscard]] Result<json::Value> describe(const PrivilegedUser& user);
/// What the audit log says of the person: base64url SHA-256("intaglio/person/1" | salt | person), every part a field. Who may see the
/// users has both, and checks it.
[[nodiscard]] std::string person_commitment(const PrivilegedUser& user);
/// The audit event of an addition. `actor`: who; `proposal`: its id, or "initialisation".
[[nodiscard]] Result<audit::Event> user_added(const PrivilegedUser& user, std::string actor, std::string proposal);
/// Roles separated by spaces, as the audit log tells them.
[[nodiscard]] std::string listed(const RoleSet& roles);
/// The list "roles" of an object, as parse_user reads it.
[[nodiscard]] Result<RoleSet> parse_roles(const json::Value& object);

/// All privileged users of a SAM: one value, so that none can be taken away behind the others.
class PrivilegedUsers {
 public:
  static constexpr std::size_t max_users = 64;

  /// `conflict`: an id, a person or a key that is there already; one person has one account (SRG_M.1.4).
  Status add(PrivilegedUser user);
  [[nodiscard]] PrivilegedUser* find(std::string_view id) noexcept;
  [[nodiscard]] const PrivilegedUser* find(std::string_view id) const noexcept;
  [[nodiscard]] const PrivilegedUser* find_by_key(const crypto::Sha256Digest& spki_digest) const noexcept;
  [[nodiscard]] const std::vector<PrivilegedUser>& all() const noexcept { return users_; }
  /// `conflict` unless there is an administrator and an officer who are not suspended.
  [[nodiscard]] Status check_staffed() const;
  /// Whether the user was not seen for so long that he may not log in. Never true of an administrator or officer while everybody
  /// else of his role is suspended or idle too: time alone takes no quorum away.
  [[nodiscard]] bool idle(const PrivilegedUser& user, std::chrono::hours max_idle, UnixTime now) const noexcept;
  /// `conflict` unless a change by quorum stays possible after these users became `changed`: of those who are administrator, and of
  /// those who are officer, and could log in before, one still can.
  [[nodiscard]] Status check_stays_staffed(const PrivilegedUsers& changed, std::chrono::hours max_idle, UnixTime now) const;

  [[nodiscard]] Bytes encode() const;
  /// A record with incompatible roles is refused as a whole (SRG_M.1.7).
  [[nodiscard]] static Result<PrivilegedUsers> parse(ByteView encoded);
  /// The first users, as `--initialise` takes them: a JSON list of users, staffed.
  [[nodiscard]] static Result<PrivilegedUsers> parse_first(std::string_view document, UnixTime now);

 private:
  std::vector<PrivilegedUser> users_;
};

/// Where they are kept: one record of the sealed state, which cannot be put back to what it was (TC-8).
class UserRegistry {
 public:
  struct Loaded {
    PrivilegedUsers users;
    std::uint64_t version;
  };
  explicit UserRegistry(const std::shared_ptr<const sealed::Sealer>& sealer) : state_(sealer, "sam_state", sealed::Rollback::refused) {}
  /// `not_found`: this SAM was initialised without privileged users.
  [[nodiscard]] Result<Loaded> load(storage::Transaction& transaction) const;
  /// Of a snapshot, for what decides nothing.
  [[nodiscard]] Result<PrivilegedUsers> load_in_snapshot(storage::Reader& reader) const;
  Status install(storage::Transaction& transaction, const PrivilegedUsers& users) const;
  Status store(storage::Transaction& transaction, const Loaded& loaded) const;

 private:
  sealed::Table state_;
};

}  // namespace intaglio::sam
