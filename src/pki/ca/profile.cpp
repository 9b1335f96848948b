#include "pki/ca/profile.h"

#include "base/file.h"
#include "json/json.h"
#include "pki/ca/extensions.h"
#include "pki/ca/identity.h"

namespace intaglio::pki {

namespace {

/// Reads the members of one object; the first refusal stays and is given at the end, with the profile's name.
class Members {
 public:
  Members(const json::Value& object, std::string profile, std::initializer_list<std::string_view> known)
      : object_(object), profile_(std::move(profile)) {
    if (!object.is_object()) {
      refuse("an object was expected");
      return;
    }
    for (const auto& [name, value] : object.items()) {
      if (std::find(known.begin(), known.end(), name) == known.end()) refuse("unknown member " + name);
    }
  }

  void refuse(const std::string& why) {
    if (!refusal_) refusal_ = Error{ErrorCode::configuration, "certificate profile " + profile_ + ": " + why};
  }
  [[nodiscard]] const std::optional<Error>& refusal() const noexcept { return refusal_; }

  bool flag(std::string_view name) {
    const json::Value* value = json::member(object_, name);
    if (value != nullptr && value->is_boolean()) return value->get<bool>();
    refuse(std::string(name) + " is not true or false");
    return false;
  }
  std::string text(std::string_view name) {
    auto value = json::text_member(object_, name, 1024);
    if (value) return std::move(*value);
    refuse(std::string(name) + " is not a text");
    return {};
  }
  std::int64_t number(std::string_view name, std::int64_t lowest, std::int64_t highest) {
    auto value = json::integer_member(object_, name);
    if (value && *value >= lowest && *value <= highest) return *value;
    refuse(std::string(name) + " is not a number between " + std::to_string(lowest) + " and " + std::to_string(highest));
    return lowest;
  }
  const json::Value& list(std::string_view name) {
    static const json::Value empty = json::Value::array();
    const json::Value* value = json::member(object_, name);
    if (value != nullptr && value->is_array() && value->size() <= 32) return *value;
    refuse(std::string(name) + " is not a list");
    return empty;
  }
  std::vector<std::string> texts(std::string_view name) {
    std::vector<std::string> values;
    for (const json::Value& each : list(name)) {
      if (!each.is_string()) {
        refuse(std::string(name) + " holds something else than texts");
        return values;
      }
      values.push_back(each.get<std::string>());
    }
    return values;
  }

 private:
  const json::Value& object_;
  std::string profile_;
  std::optional<Error> refusal_;
};

Result<QcProfile> parse_qc(const json::Value& object, const std::string& profile) {
  Members members(object, profile, {"semantics", "compliance", "sscd", "types", "retention_years", "pds"});
  QcProfile qc{members.flag("semantics"), members.flag("compliance"), members.flag("sscd"), members.texts("types"), std::nullopt, {}};
  for (const std::string& type : qc.types) {
    if (!qc_type_oid(type)) members.refuse("QcType " + type + " is not known");
  }
  if (json::member(object, "retention_years") != nullptr)
    qc.retention_years = static_cast<std::uint64_t>(members.number("retention_years", 0, 100));
  for (const json::Value& each : members.list("pds")) {
    Members location(each, profile, {"url", "language"});
    qc.disclosures.push_back({location.text("url"), location.text("language")});
    if (location.refusal()) return *location.refusal();
  }
  if (members.refusal()) return *members.refusal();
  return qc;
}

Result<std::vector<crypto::PolicyFacts>> parse_policies(const json::Value& list, const std::string& profile) {
  std::vector<crypto::PolicyFacts> policies;
  for (const json::Value& each : list) {
    Members members(each, profile, {"oid", "cps"});
    crypto::PolicyFacts policy{members.text("oid"), {}};
    if (!is_oid(policy.oid)) members.refuse("policy " + policy.oid + " is not an object identifier");
    if (json::member(each, "cps") != nullptr) policy.cps = {members.text("cps")};
    if (members.refusal()) return *members.refusal();
    policies.push_back(std::move(policy));
  }
  return policies;
}

}  // namespace

Result<Profile> parse_profile(std::string_view name, std::string_view text, bool qualified) {
  auto object = json::parse(text);
  if (!object) return Error{ErrorCode::configuration, "certificate profile " + std::string(name) + ": " + object.error().detail};
  Members members(*object, std::string(name),
                  {"about", "subject", "serial_number", "key_algorithms", "validity_days", "short_term_minutes", "key_usage",
                   "extended_key_usage", "policies", "qc_statements"});
  Profile profile{};
  profile.name = name;
  for (const std::string& attribute : members.texts("subject")) {
    auto oid = attribute_oid(attribute);
    if (!oid) members.refuse(oid.error().detail);
    if (oid) profile.subject.push_back(std::move(*oid));
  }
  const auto names = [&](std::string_view oid) {
    return std::find(profile.subject.begin(), profile.subject.end(), oid) != profile.subject.end();
  };
  profile.person = !names(oid_organisation) ? Person::natural : names(oid_given_name) ? Person::representative : Person::legal;
  const auto& wanted = attributes_of(profile.person);
  if (profile.subject.size() != wanted.size() + 1 || !names(oid_common_name) || !std::all_of(wanted.begin(), wanted.end(), names))
    members.refuse("subject has not, once each, the attributes of a natural person, of one for an organisation, or of an organisation");
  if (names(oid_serial_number)) {
    const std::string semantics = members.text("serial_number");
    if (semantics != "natural" && semantics != "natural-or-opaque") members.refuse("serial_number is natural or natural-or-opaque");
    profile.natural_semantics_only = semantics == "natural";
  } else if (json::member(*object, "serial_number") != nullptr) {
    members.refuse("serial_number is of natural persons");
  }
  for (const std::string& algorithm : members.texts("key_algorithms")) {
    auto parsed = crypto::parse_key_algorithm(algorithm);
    if (!parsed) members.refuse("key algorithm " + algorithm + " is not known");
    if (parsed) profile.key_algorithms.push_back(*parsed);
  }
  profile.short_term = json::member(*object, "short_term_minutes") != nullptr;
  if (profile.short_term && json::member(*object, "validity_days") != nullptr)
    members.refuse("it has validity_days and short_term_minutes");
  profile.validity = profile.short_term ? std::chrono::seconds(std::chrono::minutes(members.number("short_term_minutes", 5, 24 * 60)))
                                        : std::chrono::seconds(std::chrono::days(members.number("validity_days", 1, 3660)));
  profile.key_usage = members.texts("key_usage");
  if (profile.key_usage.empty() || !encode_key_usage(profile.key_usage)) members.refuse("key_usage is empty or holds an unknown name");
  profile.extended_key_usage = members.texts("extended_key_usage");
  for (const std::string& oid : profile.extended_key_usage) {
    if (!is_oid(oid)) members.refuse("extended_key_usage " + oid + " is not an object identifier");
  }
  auto policies = parse_policies(members.list("policies"), profile.name);
  if (!policies) return policies.error();
  if (policies->empty()) members.refuse("a certificate states at least one policy (EN 319 412-2, 4.3.3)");
  profile.policies = std::move(*policies);
  const json::Value* statements = json::member(*object, "qc_statements");
  if (statements == nullptr) members.refuse("qc_statements is missing");
  if (members.refusal()) return *members.refusal();
  auto qc = parse_qc(*statements, profile.name);
  if (!qc) return qc.error();
  // EN 319 412-5, 4.2.3: an organisation seals, a person signs.
  const auto states = [&](std::string_view type) { return std::find(qc->types.begin(), qc->types.end(), type) != qc->types.end(); };
  if (states(profile.person == Person::legal ? "esign" : "eseal")) members.refuse("its QcType is another kind of person's");
  if (profile.person == Person::legal && qc->compliance && !states("eseal")) members.refuse("a qualified seal states the QcType eseal");
  if (!qualified && (qc->compliance || qc->sscd)) members.refuse("it claims to be qualified and this authority is not (ca.qualified)");
  if (members.refusal()) return *members.refusal();
  profile.qc = std::move(*qc);
  return profile;
}

Result<std::map<std::string, Profile, std::less<>>> load_profiles(const std::filesystem::path& folder, bool qualified) {
  std::map<std::string, Profile, std::less<>> profiles;
  std::error_code failure;
  for (std::filesystem::directory_iterator at(folder, failure), end; !failure && at != end; at.increment(failure)) {
    if (at->path().extension() != ".json") continue;
    auto text = read_file(at->path(), 64 * 1024);
    if (!text) return text.error();
    const std::string name = at->path().stem().string();
    auto profile = parse_profile(name, as_text(*text), qualified);
    if (!profile) return profile.error();
    profiles.emplace(name, std::move(*profile));
  }
  if (failure) return Error{ErrorCode::configuration, "certificate profiles: " + folder.string() + ": " + failure.message()};
  if (profiles.empty()) return Error{ErrorCode::configuration, "no certificate profile in " + folder.string()};
  return profiles;
}

}  // namespace intaglio::pki
