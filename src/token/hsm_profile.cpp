#include "token/hsm_profile.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/file.h"
#include "crypto/digest.h"
#include "json/json.h"
#include "token/detail/ckr.h"
#include "token/detail/key_profile.h"

namespace intaglio::token {
namespace {

constexpr std::size_t max_profile_bytes = 64 * 1024;
constexpr std::array algorithms = {crypto::KeyAlgorithm::rsa2048, crypto::KeyAlgorithm::rsa3072, crypto::KeyAlgorithm::rsa4096,
                                   crypto::KeyAlgorithm::p256,    crypto::KeyAlgorithm::p384,    crypto::KeyAlgorithm::p521};

struct Named {
  std::string_view name;
  unsigned long value;
};
constexpr std::array mechanisms = {Named{"CKM_RSA_PKCS", CKM_RSA_PKCS}, Named{"CKM_RSA_PKCS_PSS", CKM_RSA_PKCS_PSS},
                                   Named{"CKM_ECDSA", CKM_ECDSA}};
/// Those without which a key is still known to be what it must be: detail::optional_attributes().
constexpr std::array attributes = {Named{"CKA_COPYABLE", CKA_COPYABLE},
                                   Named{"CKA_DESTROYABLE", CKA_DESTROYABLE},
                                   Named{"CKA_WRAP_WITH_TRUSTED", CKA_WRAP_WITH_TRUSTED},
                                   Named{"CKA_ALWAYS_AUTHENTICATE", CKA_ALWAYS_AUTHENTICATE},
                                   Named{"CKA_SIGN_RECOVER", CKA_SIGN_RECOVER},
                                   Named{"CKA_VERIFY_RECOVER", CKA_VERIFY_RECOVER},
                                   Named{"CKA_ALLOWED_MECHANISMS", CKA_ALLOWED_MECHANISMS}};
/// A public key gives nothing away, whatever it may be used for.
constexpr std::array public_flags = {Named{"CKA_VERIFY", CKA_VERIFY}, Named{"CKA_ENCRYPT", CKA_ENCRYPT}, Named{"CKA_WRAP", CKA_WRAP},
                                     Named{"CKA_DERIVE", CKA_DERIVE}};
constexpr std::array<std::string_view, 17> members = {"name",
                                                      "module",
                                                      "run",
                                                      "documents",
                                                      "key_algorithms",
                                                      "signature_mechanisms",
                                                      "service_keys",
                                                      "throw_away_keys",
                                                      "flags_bind_keys",
                                                      "ec_point",
                                                      "ecdsa_signature",
                                                      "attributes_not_known",
                                                      "public_flags_not_stated",
                                                      "key_authorisation",
                                                      "call_seconds",
                                                      "max_sessions",
                                                      "definite_refusals"};

Error refusal(std::string why) { return {ErrorCode::configuration, "HSM profile: " + std::move(why)}; }

template <typename Names>
std::string listed(const Names& names) {
  std::string text;
  for (const auto& name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text;
}

Status check_members(const json::Value& document) {
  if (!document.is_object()) return refusal("not an object");
  for (const auto& [name, value] : document.items()) {
    const bool known = std::find(members.begin(), members.end(), name) != members.end();
    if (refused_by("token.hsm_profile_member", !known)) {
      return refusal("unknown member \"" + name + "\"; the known ones are " + listed(members));
    }
  }
  for (const auto name : members) {
    if (json::member(document, name) == nullptr) return refusal("member \"" + std::string(name) + "\" is missing");
  }
  return {};
}

/// Reads members and keeps the first refusal, so that a profile is read in one go.
class Reader {
 public:
  explicit Reader(const json::Value& document) : document_(document) {}

  std::string text(std::string_view name) {
    auto read = json::text_member(document_, name, 256);
    if (!read) refuse(read.error().detail);
    return read ? *std::move(read) : std::string();
  }
  std::size_t choice(std::string_view name, const std::vector<std::string_view>& words) {
    const auto word = text(name);
    const auto found = std::find(words.begin(), words.end(), word);
    if (found == words.end()) refuse("\"" + std::string(name) + "\" is \"" + word + "\"; known are " + listed(words));
    return static_cast<std::size_t>(found - words.begin());
  }
  unsigned integer(std::string_view name, std::int64_t least, std::int64_t most) {
    const auto read = json::integer_member(document_, name);
    if (!read || *read < least || *read > most) {
      refuse("\"" + std::string(name) + "\" must be a number from " + std::to_string(least) + " to " + std::to_string(most));
      return 0;
    }
    return static_cast<unsigned>(*read);
  }
  bool boolean(std::string_view name) {
    const auto* const value = json::member(document_, name);
    if (value == nullptr || !value->is_boolean()) refuse("\"" + std::string(name) + "\" must be true or false");
    return value != nullptr && value->is_boolean() && value->get<bool>();
  }
  std::vector<std::string> texts(std::string_view name) {
    std::vector<std::string> read;
    const auto* const value = json::member(document_, name);
    if (value == nullptr || !value->is_array() || value->size() > 128) {
      refuse("\"" + std::string(name) + "\" must be a list of texts");
      return read;
    }
    for (const auto& element : *value) {
      if (!element.is_string() || std::find(read.begin(), read.end(), element.get_ref<const std::string&>()) != read.end()) {
        refuse("\"" + std::string(name) + "\" must be a list of different texts");
        return {};
      }
      read.push_back(element.get<std::string>());
    }
    return read;
  }
  template <typename Table>
  std::vector<unsigned long> names(std::string_view name, const Table& table) {
    std::vector<unsigned long> values;
    for (const auto& word : texts(name)) {
      const auto found = std::find_if(table.begin(), table.end(), [&](const Named& known) { return known.name == word; });
      if (found != table.end()) {
        values.push_back(found->value);
        continue;
      }
      std::vector<std::string_view> known;
      known.reserve(table.size());
      for (const auto& each : table) known.push_back(each.name);
      refuse("\"" + std::string(name) + "\" holds \"" + word + "\"; known are " + listed(known));
    }
    return values;
  }
  void refuse(std::string why) {
    if (!refusal_) refusal_ = refusal(std::move(why));
  }
  [[nodiscard]] const std::optional<Error>& refused() const noexcept { return refusal_; }

 private:
  const json::Value& document_;
  std::optional<Error> refusal_;
};

/// Never a code of which ckr.h says that it proves nothing: a profile cannot make an unknown code definite.
std::vector<Named> definite_codes() {
  std::vector<Named> codes;
  for (const auto& code : detail::ckr_table()) {
    if (code.definite && code.value != CKR_OK) codes.push_back({code.name, code.value});
  }
  return codes;
}

/// What the members say together: a profile that serves nothing would leave nothing to probe.
void check_whole(const HsmProfile& profile, Reader& read) {
  if (profile.documents.empty()) read.refuse("\"documents\" is empty: say where the facts come from");
  if (profile.key_algorithms.empty()) read.refuse("\"key_algorithms\" is empty: the token could hold no key");
  for (const auto algorithm : profile.key_algorithms) {
    const bool signs =
        crypto::is_rsa(algorithm) ? profile.signs_by(CKM_RSA_PKCS) || profile.signs_by(CKM_RSA_PKCS_PSS) : profile.signs_by(CKM_ECDSA);
    if (!signs) read.refuse("\"signature_mechanisms\" holds none for " + std::string(crypto::name_of(algorithm)));
  }
  if (profile.service_keys && !profile.serves(crypto::KeyAlgorithm::p256)) {
    read.refuse("\"service_keys\" is true without p256, which they need");
  }
}

bool contains(const std::vector<unsigned long>& list, unsigned long value) noexcept {
  return std::find(list.begin(), list.end(), value) != list.end();
}

}  // namespace

bool HsmProfile::serves(crypto::KeyAlgorithm algorithm) const noexcept {
  return std::find(key_algorithms.begin(), key_algorithms.end(), algorithm) != key_algorithms.end();
}
bool HsmProfile::signs_by(unsigned long mechanism) const noexcept { return contains(signature_mechanisms, mechanism); }
bool HsmProfile::knows(unsigned long attribute) const noexcept { return !contains(attributes_not_known, attribute); }
bool HsmProfile::is_definite(unsigned long result) const noexcept { return contains(definite_refusals, result); }

Result<HsmProfile> parse_hsm_profile(std::string_view text) {
  auto document = json::parse(text);
  if (!document) return refusal(document.error().detail);
  if (auto checked = check_members(*document); !checked) return checked.error();
  Reader read(*document);
  HsmProfile profile;
  profile.name = read.text("name");
  (void)read.text("module");
  profile.was_run = read.choice("run", {"run", "not run"}) == 0;
  profile.documents = read.texts("documents");
  for (const auto& word : read.texts("key_algorithms")) {
    auto algorithm = crypto::parse_key_algorithm(word);
    if (algorithm)
      profile.key_algorithms.push_back(*algorithm);
    else
      read.refuse("\"key_algorithms\" holds \"" + word + "\": " + algorithm.error().detail);
  }
  profile.signature_mechanisms = read.names("signature_mechanisms", mechanisms);
  profile.service_keys = read.boolean("service_keys");
  profile.throw_away = read.choice("throw_away_keys", {"session", "token"}) == 0 ? HsmProfile::ThrowAway::session_objects
                                                                                 : HsmProfile::ThrowAway::token_objects;
  profile.flags_bind = read.boolean("flags_bind_keys");
  constexpr std::array forms = {HsmProfile::EcPoint::octet_string, HsmProfile::EcPoint::bare, HsmProfile::EcPoint::either};
  profile.ec_point = forms[read.choice("ec_point", {"octet-string", "bare", "either"}) % forms.size()];
  // PKCS#11 v2.40, 2.3.1: r and s, each of the field's length. Nothing else is served.
  (void)read.choice("ecdsa_signature", {"r-s"});
  profile.attributes_not_known = read.names("attributes_not_known", attributes);
  profile.public_flags_not_stated = read.names("public_flags_not_stated", public_flags);
  profile.key_authorisation = read.text("key_authorisation");
  profile.call = std::chrono::seconds(read.integer("call_seconds", 1, 300));
  profile.max_sessions = read.integer("max_sessions", 1, 1024);
  profile.definite_refusals = read.names("definite_refusals", definite_codes());
  check_whole(profile, read);
  if (read.refused()) return *read.refused();
  profile.digest = encode_hex(crypto::sha256(as_bytes(text)));
  return profile;
}

Result<std::shared_ptr<const HsmProfile>> load_hsm_profile(const std::filesystem::path& path) {
  auto text = read_file(path, max_profile_bytes);
  if (!text) return text.error();
  auto profile = parse_hsm_profile(as_text(*text));
  if (!profile) return Error{profile.error().code, path.string() + ": " + profile.error().detail};
  return std::make_shared<const HsmProfile>(*std::move(profile));
}

HsmProfile any_hsm_profile() {
  HsmProfile profile;
  profile.key_algorithms.assign(algorithms.begin(), algorithms.end());
  for (const auto& mechanism : mechanisms) profile.signature_mechanisms.push_back(mechanism.value);
  for (const auto& code : definite_codes()) profile.definite_refusals.push_back(code.value);
  return profile;
}

}  // namespace intaglio::token
