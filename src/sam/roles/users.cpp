#include "sam/roles/users.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"

namespace intaglio::sam {
namespace {

constexpr std::string_view record_name = "privileged-users";
constexpr std::string_view format = "privileged-users/1";
constexpr std::size_t max_person_bytes = 128;
constexpr std::size_t max_spki_bytes = 256;

Error malformed() { return {ErrorCode::storage_unavailable, "the record of privileged users is malformed"}; }

bool readable(std::string_view text) noexcept {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
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
  if (!spki || !suspended || *suspended > 1 || !failures || !locked_until || !last_seen) return malformed();
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
                        .last_seen = from_unix_seconds(static_cast<std::int64_t>(*last_seen))};
}

}  // namespace

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
  if (!object.is_object()) return Error{ErrorCode::invalid_request, "a user must be an object"};
  static const std::set<std::string, std::less<>> known = {"id", "person", "roles", "jwk"};
  for (const auto& [name, value] : object.items()) {
    if (!known.contains(name)) return Error{ErrorCode::invalid_request, "a user has the unknown member " + name};
  }
  auto id_text = json::text_member(object, "id", 64);
  if (!id_text) return id_text.error();
  auto id = UserId::parse(*id_text);
  if (!id) return Error{ErrorCode::invalid_request, "id: " + id.error().detail};
  auto person = json::text_member(object, "person", max_person_bytes);
  if (!person) return person.error();
  if (!readable(*person)) return Error{ErrorCode::invalid_request, "person must be 1 to 128 printable characters without spaces"};
  auto roles = parse_roles(object);
  if (!roles) return roles.error();
  const auto* jwk = json::member(object, "jwk");
  if (jwk == nullptr) return Error{ErrorCode::invalid_request, "jwk is missing"};
  auto key = crypto::parse_jwk(json::encode(*jwk));
  if (!key) return Error{ErrorCode::invalid_request, "jwk: " + key.error().detail};
  return PrivilegedUser{
      .id = std::move(*id), .person = std::move(*person), .roles = std::move(*roles), .key = std::move(*key), .last_seen = now};
}

Result<json::Value> describe(const PrivilegedUser& user) {
  auto thumbprint = crypto::jwk_thumbprint(user.key);
  if (!thumbprint) return thumbprint.error();
  auto roles = json::Value::array();
  for (const auto role : user.roles.roles()) roles.push_back(name_of(role));
  return json::Value{{"id", user.id.text()},
                     {"person", user.person},
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

Result<audit::Event> user_added(const PrivilegedUser& user, std::string actor, std::string proposal) {
  auto thumbprint = crypto::jwk_thumbprint(user.key);
  if (!thumbprint) return thumbprint.error();
  return audit::Event{.type = audit::EventType::user_added,
                      .actor = std::move(actor),
                      .subject = user.id.text(),
                      .outcome = audit::Outcome::success,
                      .fields = {{"proposal", std::move(proposal)}, {"roles", listed(user.roles)}, {"key", std::move(*thumbprint)}}};
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
  for (const auto needed : {Role::system_administrator, Role::security_officer}) {
    const bool there =
        std::any_of(users_.begin(), users_.end(), [&](const PrivilegedUser& user) { return !user.suspended && user.roles.holds(needed); });
    if (refused_by("sam.users.staffed", !there))
      return Error{ErrorCode::conflict, "no " + std::string(name_of(needed)) + " would be left, and nothing could be changed any more"};
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
