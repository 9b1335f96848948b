#include "sam/policy/policy.h"

#include <algorithm>
#include <set>

#include "base/check.h"
#include "crypto/jose/jws.h"
#include "json/json.h"
#include "sam/factors/device_record.h"
#include "sam/policy/identity_providers.h"
#include "sam/policy/passkey_rules.h"

namespace intaglio::sam {
namespace {

using json::Value;

constexpr std::int64_t default_keys_per_signer = 16;
constexpr std::int64_t default_keys_per_day = 8;

Error wrong(std::string what) { return {ErrorCode::configuration, "policy: " + std::move(what)}; }

/// Members that are not known stop the installation: a typo must not loosen anything.
Status only_members(const Value& object, std::string_view where, const std::set<std::string, std::less<>>& known) {
  if (!object.is_object()) return wrong(std::string(where) + " is not an object");
  for (const auto& [name, value] : object.items()) {
    if (!known.contains(name)) return wrong(std::string(where) + " has the unknown member " + name);
  }
  return {};
}

Result<std::int64_t> bounded(const Value& object, std::string_view name, std::int64_t least, std::int64_t most) {
  auto number = json::integer_member(object, name);
  if (!number) return wrong(number.error().detail);
  if (*number < least || *number > most) {
    return wrong(std::string(name) + " must be from " + std::to_string(least) + " to " + std::to_string(most));
  }
  return *number;
}

/// A limit that a document may leave to us: a bound all the same.
Result<std::int64_t> bounded_or(const Value& object, std::string_view name, std::int64_t least, std::int64_t most, std::int64_t otherwise) {
  return json::member(object, name) == nullptr ? otherwise : bounded(object, name, least, most);
}

Result<std::vector<std::string>> texts_in(const Value* list, std::string_view name) {
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > 64)
    return wrong(std::string(name) + " must be a list of texts");
  std::vector<std::string> out;
  for (const auto& item : *list) {
    if (!item.is_string()) return wrong(std::string(name) + " must be a list of texts");
    out.push_back(item.get<std::string>());
  }
  return out;
}

Result<std::vector<std::string>> texts(const Value& object, std::string_view name) { return texts_in(json::member(object, name), name); }

/// ["pin","totp"], or a list of such combinations, of which any suffices.
Result<std::vector<FactorSet>> combinations(const Value& object) {
  const auto* list = json::member(object, "factors");
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > 8) return wrong("factors must be a list");
  std::vector<const Value*> lists;
  if (list->front().is_array()) {
    for (const auto& item : *list) lists.push_back(&item);
  } else {
    lists.push_back(list);
  }
  std::vector<FactorSet> out;
  for (const auto* item : lists) {
    auto names = texts_in(item, "factors");
    if (!names) return names.error();
    auto combination = FactorSet::parse_combination(*names);
    if (!combination) return wrong(combination.error().detail);
    out.push_back(*combination);
  }
  return out;
}

/// {"certificate_profile", "session_seconds" (5 to 120), "claims": {"givenName", "surname", "country", "serialNumber": names of claims}}.
Result<OneTimeRules> parse_one_time(const Value& profile) {
  const auto* rules = json::member(profile, "one_time");
  if (rules == nullptr) return wrong("one-time custody needs one_time");
  if (auto checked = only_members(*rules, "one_time", {"certificate_profile", "session_seconds", "claims"}); !checked)
    return checked.error();
  const auto* claims = json::member(*rules, "claims");
  if (claims == nullptr) return wrong("one_time needs claims");
  if (auto checked = only_members(*claims, "claims", {"givenName", "surname", "country", "serialNumber"}); !checked) return checked.error();
  auto certificate_profile = json::text_member(*rules, "certificate_profile", 64);
  auto seconds = bounded(*rules, "session_seconds", 5, 120);
  auto given_name = json::text_member(*claims, "givenName", 64);
  auto surname = json::text_member(*claims, "surname", 64);
  auto country = json::text_member(*claims, "country", 64);
  auto serial_number = json::text_member(*claims, "serialNumber", 64);
  if (!seconds) return seconds.error();
  for (const auto* name : {&certificate_profile, &given_name, &surname, &country, &serial_number}) {
    if (!*name || (*name)->empty()) return wrong("one_time needs a certificate_profile and the names of four claims");
  }
  return OneTimeRules{.claims = {*std::move(given_name), *std::move(surname), *std::move(country), *std::move(serial_number)},
                      .certificate_profile = *std::move(certificate_profile),
                      .session = std::chrono::seconds(*seconds)};
}

/// {"signatures": N, "days": N}, or nothing.
Result<std::optional<Profile::GrantBounds>> parse_grant_bounds(const Value& profile) {
  const auto* grants = json::member(profile, "grants");
  if (grants == nullptr) return std::optional<Profile::GrantBounds>();
  if (auto checked = only_members(*grants, "grants", {"signatures", "days"}); !checked) return checked.error();
  auto signatures = bounded(*grants, "signatures", 1, 1'000'000'000);
  auto days = bounded(*grants, "days", 1, 366);
  if (!signatures) return signatures.error();
  if (!days) return days.error();
  return std::optional(Profile::GrantBounds{static_cast<std::uint64_t>(*signatures), std::chrono::days(*days)});
}

Result<Profile> parse_profile(const Value& object) {
  if (auto checked = only_members(object, "a profile",
                                  {"name", "custody", "factors", "key_algorithms", "max_documents", "sad_seconds", "ticket_seconds",
                                   "per_minute", "per_day", "keys_per_signer", "keys_per_day", "qualified", "one_time", "grants"});
      !checked) {
    return checked.error();
  }
  auto name = json::text_member(object, "name", 64);
  auto custody = json::text_member(object, "custody", 16);
  auto algorithms = texts(object, "key_algorithms");
  if (!name || !custody) return wrong("a profile needs name and custody");
  if (!algorithms) return algorithms.error();
  const auto mode = custody::parse_mode(*custody);
  if (!mode) return wrong("profile " + *name + ": " + mode.error().detail);
  const bool is_one_time = *mode == custody::Mode::one_time;
  if (json::member(object, is_one_time ? "factors" : "one_time") != nullptr)
    return wrong("profile " + *name + ": one-time custody has one_time and no factors, every other one factors and no one_time");
  auto factors = is_one_time ? Result<std::vector<FactorSet>>(std::vector<FactorSet>()) : combinations(object);
  if (!factors) return factors.error();
  std::optional<OneTimeRules> one_time;
  if (is_one_time) {
    auto rules = parse_one_time(object);
    if (!rules) return wrong("profile " + *name + ": " + rules.error().detail);
    one_time = *std::move(rules);
  }
  // What opens the key is a secret that the signer knows, in every combination (TC-6).
  const bool always_known =
      std::all_of(factors->begin(), factors->end(), [](FactorSet combination) { return combination.has_knowledge(); });
  if (*mode == custody::Mode::wrapped && !always_known)
    return wrong("profile " + *name + ": wrapped custody needs the factor pin or signerpass");

  // Nobody asks for an algorithm in a session: there is one.
  if (is_one_time && algorithms->size() != 1) return wrong("profile " + *name + ": one-time custody has exactly one key algorithm");
  const std::int64_t least_limit = testing_build ? 0 : 1;
  // In one-time custody all documents are signed in one call.
  auto max_documents = bounded(object, "max_documents", 1,
                               static_cast<std::int64_t>(is_one_time ? protocol::max_digests_per_call : protocol::max_documents));
  auto sad_seconds = bounded(object, "sad_seconds", 10, testing_build ? 3600 : 300);
  auto ticket_seconds = bounded(object, "ticket_seconds", 30, 300);
  auto per_minute = bounded(object, "per_minute", least_limit, 100000);
  auto per_day = bounded(object, "per_day", least_limit, 1000000);
  auto keys_per_signer = bounded_or(object, "keys_per_signer", least_limit, 1000, default_keys_per_signer);
  auto keys_per_day = bounded_or(object, "keys_per_day", least_limit, 1000, default_keys_per_day);
  for (const auto* number : {&max_documents, &sad_seconds, &ticket_seconds, &per_minute, &per_day, &keys_per_signer, &keys_per_day}) {
    if (!*number) return number->error();
  }
  const auto* qualified = json::member(object, "qualified");
  if (qualified == nullptr || !qualified->is_boolean()) return wrong("profile " + *name + ": qualified must be true or false");
  // Key authorisation and clock are only declared here, never proven: a qualified profile must not start on that.
  if (qualified->get<bool>())
    return wrong("profile " + *name + ": a qualified profile needs per-key authorisation in the token, which this custody emulates");

  auto grants = parse_grant_bounds(object);
  if (!grants) return wrong("profile " + *name + ": " + grants.error().detail);
  // Nobody is there to open the second lock (TC-6).
  if (refused_by("sam.policy.grants-resident", *grants && *mode != custody::Mode::resident))
    return wrong("profile " + *name + ": grants need resident custody");

  std::vector<crypto::KeyAlgorithm> key_algorithms;
  for (const auto& text : *algorithms) {
    auto algorithm = crypto::parse_key_algorithm(text);
    if (!algorithm) return wrong("profile " + *name + ": unknown key algorithm " + text);
    key_algorithms.push_back(*algorithm);
  }
  return Profile{.name = *name,
                 .custody = *mode,
                 .factors = *factors,
                 .key_algorithms = std::move(key_algorithms),
                 .max_documents = static_cast<std::uint32_t>(*max_documents),
                 .sad_lifetime = std::chrono::seconds(*sad_seconds),
                 .ticket_lifetime = std::chrono::seconds(*ticket_seconds),
                 .per_minute = static_cast<std::uint32_t>(*per_minute),
                 .per_day = static_cast<std::uint32_t>(*per_day),
                 .keys_per_signer = static_cast<std::uint32_t>(*keys_per_signer),
                 .keys_per_day = static_cast<std::uint32_t>(*keys_per_day),
                 .qualified = false,
                 .one_time = std::move(one_time),
                 .grants = *grants};
}

/// Where the signer's secret opens a key, or is said to withstand a search, a guess costs the second row of RFC 9106, section 4, at least.
Status check_search_cost(const Policy& policy) {
  constexpr std::uint32_t memory_kib = 64 * 1024, passes = 3;
  const bool enough = policy.argon2.memory_kib >= memory_kib && policy.argon2.passes >= passes;
  for (const auto& profile : policy.profiles()) {
    const bool takes_signerpass = std::any_of(profile.factors.begin(), profile.factors.end(),
                                              [](FactorSet combination) { return combination.has(Factor::signerpass); });
    const bool searched = profile.custody == custody::Mode::wrapped || takes_signerpass;
    if (refused_by("sam.policy.search-cost", searched && !enough)) {
      return wrong("profile " + profile.name +
                   ": argon2 must be 65536 memory_kib and 3 passes at least where custody is wrapped or a "
                   "signerpass is taken");
    }
  }
  return {};
}

/// "destroy", which is meant where nothing is said, or {"retain_inactive_days": N}.
Result<std::optional<std::chrono::days>> parse_revoked_keys(const Value& root) {
  const auto* revoked = json::member(root, "revoked_keys");
  if (revoked == nullptr || *revoked == "destroy") return std::optional<std::chrono::days>();
  if (auto checked = only_members(*revoked, "revoked_keys", {"retain_inactive_days"}); !checked) return checked.error();
  auto days = bounded(*revoked, "retain_inactive_days", 1, 36'525);
  if (!days) return days.error();
  return std::optional(std::chrono::days(*days));
}

Result<bool> parse_revocation_lists(const Value& root) {
  const auto* lists = json::member(root, "revocation_lists");
  if (lists == nullptr) return false;
  if (auto checked = only_members(*lists, "revocation_lists", {"must_be_in_force"}); !checked) return checked.error();
  const auto* wanted = json::member(*lists, "must_be_in_force");
  if (wanted == nullptr || !wanted->is_boolean()) return wrong("revocation_lists: must_be_in_force must be true or false");
  return wanted->get<bool>();
}

}  // namespace

Result<Policy> Policy::parse(std::string_view document) {
  auto parsed = json::parse(document, {.max_bytes = 1024 * 1024, .max_depth = 8, .max_members = 4096});
  if (!parsed) return wrong(parsed.error().detail);
  const auto& root = *parsed;
  if (auto checked = only_members(
          root, "the document",
          {"id", "demo", "epoch", "algorithms", "profiles", "terms", "acts", "lock", "activation", "argon2", "totp_issuer", "passkeys",
           "devices", "signerpass", "identity_providers", "operators", "ca_anchors", "revoked_keys", "revocation_lists"});
      !checked) {
    return checked.error();
  }
  const auto* algorithms = json::member(root, "algorithms");
  if (algorithms == nullptr) return wrong("algorithms is missing");
  auto algorithm_policy = crypto::AlgorithmPolicy::parse(json::encode(*algorithms));
  if (!algorithm_policy) return wrong(algorithm_policy.error().detail);
  Policy policy(std::move(*algorithm_policy));

  auto id = json::text_member(root, "id", 64);
  auto epoch = bounded(root, "epoch", 1, 1'000'000);
  const auto* demo = json::member(root, "demo");
  auto issuer = json::text_member(root, "totp_issuer", 64);
  if (!id || !issuer) return wrong("id and totp_issuer must be texts");
  if (!epoch) return epoch.error();
  if (demo == nullptr || !demo->is_boolean()) return wrong("demo must be true or false");
  policy.id_ = *id;
  policy.epoch_ = static_cast<std::uint64_t>(*epoch);
  policy.demo_ = demo->get<bool>();
  policy.totp_issuer = *issuer;

  if (const auto* passkeys = json::member(root, "passkeys"); passkeys != nullptr) {
    auto rules = parse_passkey_rules(*passkeys);
    if (!rules) return rules.error();
    policy.passkeys_ = std::move(*rules);
  }
  if (const auto* devices = json::member(root, "devices"); devices != nullptr) {
    if (auto checked = only_members(*devices, "devices", {"per_signer"}); !checked) return checked.error();
    auto most = bounded(*devices, "per_signer", 1, max_devices);
    if (!most) return most.error();
    policy.devices_per_signer = static_cast<std::size_t>(*most);
  }
  if (const auto* list = json::member(root, "identity_providers"); list != nullptr) {
    auto providers = parse_identity_providers(*list);
    if (!providers) return providers.error();
    policy.identity_providers_ = std::move(*providers);
  }
  if (const auto* signerpass = json::member(root, "signerpass"); signerpass != nullptr) {
    if (auto checked = only_members(*signerpass, "signerpass", {"least_bits"}); !checked) return checked.error();
    auto least = bounded(*signerpass, "least_bits", 60, 128);
    if (!least) return least.error();
    policy.signerpass_least_bits = static_cast<std::uint32_t>(*least);
  }
  const auto* profiles = json::member(root, "profiles");
  if (profiles == nullptr || !profiles->is_array() || profiles->empty()) return wrong("profiles must be a list");
  for (const auto& object : *profiles) {
    auto profile = parse_profile(object);
    if (!profile) return profile.error();
    if (policy.profile(profile->name) != nullptr) return wrong("profile " + profile->name + " stands twice");
    const auto asks_for = [&](Factor factor) {
      return std::any_of(profile->factors.begin(), profile->factors.end(), [&](FactorSet set) { return set.has(factor); });
    };
    if (asks_for(Factor::passkey) && !policy.passkeys_)
      return wrong("profile " + profile->name + " asks for passkeys, which the document does not set up");
    if (asks_for(Factor::device) && policy.devices_per_signer == 0)
      return wrong("profile " + profile->name + " asks for devices, which the document does not set up");
    if (asks_for(Factor::signerpass) && !policy.signerpass_least_bits)
      return wrong("profile " + profile->name + " asks for a signerpass, which the document does not set up");
    if (profile->one_time && policy.identity_providers_.empty())
      return wrong("profile " + profile->name + " identifies each signer, and the document names no identity provider");
    if (asks_for(Factor::id_token) && policy.identity_providers_.empty())
      return wrong("profile " + profile->name + " asks for ID tokens, and the document names no identity provider");
    policy.profiles_.push_back(std::move(*profile));
  }

  const auto* terms = json::member(root, "terms");
  if (terms == nullptr || !terms->is_array() || terms->empty()) return wrong("terms must be a list");
  for (const auto& object : *terms) {
    auto terms_id = json::text_member(object, "id", 64);
    auto version = json::text_member(object, "version", 64);
    auto languages = texts(object, "languages");
    if (!terms_id || !version || !languages) return wrong("each of terms needs id, version, languages");
    policy.terms_.push_back({*terms_id, *version, *languages});
  }
  auto acts = texts(root, "acts");
  if (!acts) return acts.error();
  policy.acts_ = std::move(*acts);

  const auto* lock = json::member(root, "lock");
  if (lock == nullptr) return wrong("lock is missing");
  auto failures = bounded(*lock, "failures", 1, 10);
  auto minutes = bounded(*lock, "minutes", 1, 24 * 60);
  auto wide = bounded(*lock, "wide_failures", 3, 100);  // 800-63B, 5.2.2: at most 100 consecutive failures of an account
  const auto* activation = json::member(root, "activation");
  if (activation == nullptr) return wrong("activation is missing");
  auto tries = bounded(*activation, "tries", 1, 10);
  auto days = bounded(*activation, "days", 1, 30);
  for (const auto* number : {&failures, &minutes, &wide, &tries, &days}) {
    if (!*number) return number->error();
  }
  policy.failures_before_lock = static_cast<std::uint32_t>(*failures);
  policy.lock_time = std::chrono::minutes(*minutes);
  policy.wide_failures_before_lock = static_cast<std::uint32_t>(*wide);
  policy.activation_tries = static_cast<std::uint32_t>(*tries);
  policy.activation_lifetime = std::chrono::hours(24 * *days);
  if (const auto* argon2 = json::member(root, "argon2"); argon2 != nullptr) {
    auto memory = bounded(*argon2, "memory_kib", 19 * 1024, 1024 * 1024);
    auto passes = bounded(*argon2, "passes", 2, 10);
    if (!memory) return memory.error();
    if (!passes) return passes.error();
    policy.argon2 = {static_cast<std::uint32_t>(*memory), static_cast<std::uint32_t>(*passes)};
  }
  if (auto checked = check_search_cost(policy); !checked) return checked.error();

  auto kept = parse_revoked_keys(root);
  if (!kept) return kept.error();
  policy.revoked_keys_kept = *kept;
  auto lists_in_force = parse_revocation_lists(root);
  if (!lists_in_force) return lists_in_force.error();
  policy.lists_in_force = *lists_in_force;

  const auto* operators = json::member(root, "operators");
  if (operators == nullptr || !operators->is_array() || operators->empty()) return wrong("operators must be a list");
  for (const auto& object : *operators) {
    auto operator_text = json::text_member(object, "id", 64);
    const auto* jwk = json::member(object, "jwk");
    if (!operator_text || jwk == nullptr) return wrong("an operator needs id and jwk");
    auto operator_id = OperatorId::parse(*operator_text);
    auto key = crypto::parse_jwk(json::encode(*jwk));
    if (!operator_id || !key) return wrong("operator " + *operator_text + " has an id or key that cannot be read");
    if (policy.find_operator(operator_id->text()) != nullptr) return wrong("operator " + *operator_text + " stands twice");
    policy.operators_.push_back({std::move(*operator_id), std::move(*key)});
  }
  const auto* anchors = json::member(root, "ca_anchors");
  if (anchors == nullptr || !anchors->is_array() || anchors->empty()) return wrong("ca_anchors must be a list");
  for (const auto& item : *anchors) {
    auto der = item.is_string() ? parse_base64(item.get<std::string>()) : Result<Bytes>(wrong("a CA anchor is base64 DER"));
    if (!der) return wrong("a CA anchor is base64 DER");
    auto certificate = crypto::Certificate::parse_der(*der);
    if (!certificate) return wrong("a CA anchor cannot be read: " + certificate.error().detail);
    policy.ca_anchors_.push_back(std::move(*certificate));
  }
  return policy;
}

const Profile* Policy::profile(std::string_view name) const noexcept {
  for (const auto& profile : profiles_) {
    if (profile.name == name) return &profile;
  }
  return nullptr;
}

const evidence::id_token::IssuerPolicy* Policy::identity_provider(std::string_view issuer) const noexcept {
  for (const auto& provider : identity_providers_) {
    if (provider.issuer == issuer) return &provider;
  }
  return nullptr;
}

const Operator* Policy::find_operator(std::string_view id) const noexcept {
  for (const auto& row : operators_) {
    if (row.id.text() == id) return &row;
  }
  return nullptr;
}

bool Policy::accepts(const protocol::Terms& terms) const noexcept {
  for (const auto& row : terms_) {
    if (row.id != terms.id || row.version != terms.version) continue;
    return std::find(row.languages.begin(), row.languages.end(), terms.language) != row.languages.end();
  }
  return false;
}

bool Policy::accepts_act(std::string_view act) const noexcept { return std::find(acts_.begin(), acts_.end(), act) != acts_.end(); }

}  // namespace intaglio::sam
