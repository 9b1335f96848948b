#include "sam/roles/users.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "sam/roles/members.h"

namespace intaglio::sam {
namespace {

constexpr std::string_view record_name = "privileged-users";
constexpr std::string_view format = "privileged-users/2";
constexpr std::size_t max_person_bytes = 128;
constexpr std::size_t person_prefix_bytes = 6;  ///< PNOGR-
constexpr std::size_t max_salt_bytes = 64;
constexpr std::array quorum_roles{Role::system_administrator, Role::security_officer};
constexpr std::size_t max_spki_bytes = 256;

Error malformed() { return {ErrorCode::storage_unavailable, "the record of privileged users is malformed"}; }

bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

bool in_the_one_spelling(std::string_view person) noexcept {
  constexpr std::array<std::string_view, 5> types = {"PAS", "IDC", "PNO", "TAX", "TIN"};
  if (person.size() <= person_prefix_bytes || person.size() > max_person_bytes) return false;
  if (std::find(types.begin(), types.end(), person.substr(0, 3)) == types.end()) return false;
  if (!is_upper(person[3]) || !is_upper(person[4]) || person[5] != '-') return false;
  const auto identifier = person.substr(person_prefix_bytes);
  return std::all_of(identifier.begin(), identifier.end(), [](char c) { return is_upper(c) || is_digit(c); });
}

bool recently_seen(const PrivilegedUser& user, std::chrono::hours max_idle, UnixTime now) noexcept {
  return now <= user.last_seen + max_idle;
}

Error unstaffed(Role role) {
  return {ErrorCode::conflict, "no " + std::string(name_of(role)) + " would be left, and nothing could be changed any more"};
}

Result<PrivilegedUser> parse_one(FieldReader& in) {
  auto id_text = in.text(64);
  auto person = in.text(max_person_bytes);
  auto count = in.number();
  if (!id_text || !person || !count || *count > role_count) return malformed();
  std::vector<Role> roles;
  for (std::uint64_t i = 0; i < *count; ++i) {
    auto name = in.text(32);
    if (!name) return malformed();
    auto role = parse_role(*name);
    if (!role) return malformed();
    roles.push_back(*role);
  }
  auto spki = in.bytes(max_spki_bytes);
  auto suspended = in.number();
  auto failures = in.number();
  auto locked_until = in.number();
  auto last_seen = in.number();
  auto salt = in.text(max_salt_bytes);
  auto generation = in.number();
  if (!spki || !suspended || *suspended > 1 || !failures || !locked_until || !last_seen || !salt || !generation) return malformed();
  auto id = UserId::parse(*id_text);
  auto key = crypto::PublicKey::parse_spki(*spki);
  auto compatible = RoleSet::make(roles);
  if (!id || !key) return malformed();
  if (!compatible) return compatible.error();
  return PrivilegedUser{.id = std::move(*id),
                        .person = std::move(*person),
                        .roles = std::move(*compatible),
                        .key = std::move(*key),
                        .suspended = *suspended == 1,
                        .failures = *failures,
                        .locked_until = static_cast<std::int64_t>(*locked_until),
                        .last_seen = from_unix_seconds(static_cast<std::int64_t>(*last_seen)),
                        .salt = std::move(*salt),
                        .generation = *generation};
}

}  // namespace

void PrivilegedUser::suspend() noexcept {
  suspended = true;
  ++generation;
}

void PrivilegedUser::change_roles(RoleSet changed) noexcept {
  roles = std::move(changed);
  ++generation;
}

void PrivilegedUser::resume(crypto::PublicKey with, UnixTime now) noexcept {
  key = std::move(with);
  suspended = false;
  failures = 0;
  locked_until = 0;
  last_seen = now;
  ++generation;
}

Standing PrivilegedUser::standing() const { return {generation, crypto::sha256(key.spki())}; }

Status check_person(std::string_view person) {
  // Two spellings of one person would be two accounts.
  if (refused_by("sam.users.person-form", !in_the_one_spelling(person)))
    return Error{ErrorCode::invalid_request,
                 "person must be an identifier such as PNOGR-012345678 (EN 319 412-1, 5.1.3): PAS, IDC, PNO, TAX or TIN, the country, a "
                 "dash, then A-Z and 0-9 alone"};
  return {};
}

Result<RoleSet> parse_roles(const json::Value& object) {
  const auto* list = json::member(object, "roles");
  if (list == nullptr || !list->is_array() || list->size() > role_count)
    return Error{ErrorCode::invalid_request, "roles must be a list of roles"};
  std::vector<Role> roles;
  for (const auto& item : *list) {
    if (!item.is_string()) return Error{ErrorCode::invalid_request, "roles must be a list of roles"};
    auto role = parse_role(item.get<std::string>());
    if (!role) return role.error();
    roles.push_back(*role);
  }
  return RoleSet::make(roles);
}

Result<PrivilegedUser> parse_user(const json::Value& object, UnixTime now) {
  if (auto checked = check_members(object, "a user", {"id", "person", "roles", "jwk"}); !checked) return checked.error();
  auto id_text = json::text_member(object, "id", 64);
  if (!id_text) return id_text.error();
  auto id = UserId::parse(*id_text);
  if (!id) return Error{ErrorCode::invalid_request, "id: " + id.error().detail};
  auto person = json::text_member(object, "person", max_person_bytes);
  if (!person) return person.error();
  if (auto checked = check_person(*person); !checked) return checked.error();
  auto roles = parse_roles(object);
  if (!roles) return roles.error();
  auto key = parse_user_key(object);
  if (!key) return key.error();
  auto salt = crypto::random_id();
  if (!salt) return salt.error();
  return PrivilegedUser{.id = std::move(*id),
                        .person = std::move(*person),
                        .roles = std::move(*roles),
                        .key = std::move(*key),
                        .last_seen = now,
                        .salt = std::move(*salt)};
}

Result<json::Value> describe(const PrivilegedUser& user) {
  auto thumbprint = crypto::jwk_thumbprint(user.key);
  if (!thumbprint) return thumbprint.error();
  auto roles = json::Value::array();
  for (const auto role : user.roles.roles()) roles.push_back(name_of(role));
  return json::Value{{"id", user.id.text()},
                     {"person", user.person},
                     {"person_salt", user.salt},
                     {"roles", std::move(roles)},
                     {"key", *thumbprint},
                     {"suspended", user.suspended},
                     {"failures", user.failures},
                     {"locked_until", user.locked_until},
                     {"last_seen", unix_seconds(user.last_seen)}};
}

std::string listed(const RoleSet& roles) {
  std::string out;
  for (const auto role : roles.roles()) out.append(out.empty() ? "" : " ").append(name_of(role));
  return out;
}

std::string person_commitment(const PrivilegedUser& user) {
  Bytes input;
  append_field(input, std::string_view("intaglio/person/1"));
  append_field(input, user.salt);
  append_field(input, user.person);
  return encode_base64url(crypto::sha256(input));
}

Result<audit::Event> user_added(const PrivilegedUser& user, std::string actor, std::string proposal) {
  auto thumbprint = crypto::jwk_thumbprint(user.key);
  if (!thumbprint) return thumbprint.error();
  return audit::Event{.type = audit::EventType::user_added,
                      .actor = std::move(actor),
                      .subject = user.id.text(),
                      .outcome = audit::Outcome::success,
                      .fields = {{"proposal", std::move(proposal)},
                                 {"person", person_commitment(user)},
                                 {"roles", listed(user.roles)},
                                 {"key", std::move(*thumbprint)}}};
}

Status PrivilegedUsers::add(PrivilegedUser user) {
  if (users_.size() >= max_users) return Error{ErrorCode::limit_exceeded, "there are 64 privileged users, and no more"};
  const auto taken = [&](auto&& same) { return std::any_of(users_.begin(), users_.end(), same); };
  if (taken([&](const PrivilegedUser& other) { return other.id == user.id; }))
    return Error{ErrorCode::conflict, "there is a user " + user.id.text() + " already"};
  if (refused_by("sam.users.one-account", taken([&](const PrivilegedUser& other) { return other.person == user.person; })))
    return Error{ErrorCode::conflict, "this person has an account already"};
  if (refused_by("sam.users.own-key", taken([&](const PrivilegedUser& other) { return other.key.spki() == user.key.spki(); })))
    return Error{ErrorCode::conflict, "this key is another user's"};
  users_.push_back(std::move(user));
  return {};
}

const PrivilegedUser* PrivilegedUsers::find(std::string_view id) const noexcept {
  const auto found = std::find_if(users_.begin(), users_.end(), [&](const PrivilegedUser& user) { return user.id.text() == id; });
  return found == users_.end() ? nullptr : &*found;
}

PrivilegedUser* PrivilegedUsers::find(std::string_view id) noexcept { return const_cast<PrivilegedUser*>(std::as_const(*this).find(id)); }

const PrivilegedUser* PrivilegedUsers::find_by_key(const crypto::Sha256Digest& spki_digest) const noexcept {
  const auto found = std::find_if(users_.begin(), users_.end(),
                                  [&](const PrivilegedUser& user) { return crypto::sha256(user.key.spki()) == spki_digest; });
  return found == users_.end() ? nullptr : &*found;
}

Status PrivilegedUsers::check_staffed() const {
  for (const auto needed : quorum_roles) {
    const bool there =
        std::any_of(users_.begin(), users_.end(), [&](const PrivilegedUser& user) { return !user.suspended && user.roles.holds(needed); });
    if (refused_by("sam.users.staffed", !there)) return unstaffed(needed);
  }
  return {};
}

bool PrivilegedUsers::idle(const PrivilegedUser& user, std::chrono::hours max_idle, UnixTime now) const noexcept {
  if (recently_seen(user, max_idle, now)) return false;
  return std::all_of(quorum_roles.begin(), quorum_roles.end(), [&](Role role) {
    return !user.roles.holds(role) || std::any_of(users_.begin(), users_.end(), [&](const PrivilegedUser& other) {
      return !other.suspended && other.roles.holds(role) && recently_seen(other, max_idle, now);
    });
  });
}

Status PrivilegedUsers::check_stays_staffed(const PrivilegedUsers& changed, std::chrono::hours max_idle, UnixTime now) const {
  for (const auto role : quorum_roles) {
    const bool stays = std::any_of(users_.begin(), users_.end(), [&](const PrivilegedUser& before) {
      if (before.suspended || !before.roles.holds(role) || idle(before, max_idle, now)) return false;
      const auto* after = changed.find(before.id.text());
      return after != nullptr && !after->suspended && after->roles.holds(role);
    });
    if (refused_by("sam.users.stays-staffed", !stays)) return unstaffed(role);
  }
  return {};
}

Bytes PrivilegedUsers::encode() const {
  Bytes out;
  append_field(out, format);
  append_field(out, std::uint64_t{users_.size()});
  for (const auto& user : users_) {
    append_field(out, user.id.text());
    append_field(out, user.person);
    append_field(out, std::uint64_t{user.roles.roles().size()});
    for (const auto role : user.roles.roles()) append_field(out, name_of(role));
    append_field(out, user.key.spki());
    append_field(out, std::uint64_t{user.suspended});
    append_field(out, user.failures);
    append_field(out, static_cast<std::uint64_t>(user.locked_until));
    append_field(out, static_cast<std::uint64_t>(unix_seconds(user.last_seen)));
    append_field(out, user.salt);
    append_field(out, user.generation);
  }
  return out;
}

Result<PrivilegedUsers> PrivilegedUsers::parse(ByteView encoded) {
  FieldReader in(encoded);
  auto found_format = in.text(32);
  auto count = in.number();
  if (!found_format || *found_format != format || !count || *count > max_users) return malformed();
  PrivilegedUsers users;
  for (std::uint64_t i = 0; i < *count; ++i) {
    auto user = parse_one(in);
    if (!user) return user.error();
    if (auto added = users.add(std::move(*user)); !added) return malformed();
  }
  if (!in.end()) return malformed();
  return users;
}

Result<PrivilegedUsers> PrivilegedUsers::parse_first(std::string_view document, UnixTime now) {
  const auto wrong = [](const std::string& why) { return Error{ErrorCode::configuration, "privileged users: " + why}; };
  auto list = json::parse(document, {.max_bytes = 256 * 1024, .max_depth = 4, .max_members = 1024});
  if (!list) return wrong(list.error().detail);
  if (!list->is_array()) return wrong("the document must be a list of users");
  PrivilegedUsers users;
  for (const auto& object : *list) {
    auto user = parse_user(object, now);
    if (!user) return wrong(user.error().detail);
    if (auto added = users.add(std::move(*user)); !added) return wrong(added.error().detail);
  }
  if (auto staffed = users.check_staffed(); !staffed)
    return wrong("at least one system-administrator and one security-officer are needed, who are two persons");
  return users;
}

Result<UserRegistry::Loaded> UserRegistry::load(storage::Transaction& transaction) const {
  auto record = state_.find(transaction, record_name);
  if (!record) return record.error();
  if (!*record) return Error{ErrorCode::not_found, "this SAM has no privileged users"};
  auto users = PrivilegedUsers::parse((*record)->content.reveal());
  if (!users) return users.error();
  return Loaded{std::move(*users), (*record)->version};
}

Result<PrivilegedUsers> UserRegistry::load_in_snapshot(storage::Reader& reader) const {
  auto record = state_.find_in_snapshot(reader, record_name);
  if (!record) return record.error();
  if (!*record) return Error{ErrorCode::not_found, "this SAM has no privileged users"};
  return PrivilegedUsers::parse((*record)->content.reveal());
}

Status UserRegistry::install(storage::Transaction& transaction, const PrivilegedUsers& users) const {
  return state_.insert(transaction, record_name, users.encode());
}

Status UserRegistry::store(storage::Transaction& transaction, const Loaded& loaded) const {
  return state_.update(transaction, record_name, loaded.version, loaded.users.encode());
}

}  // namespace intaglio::sam
