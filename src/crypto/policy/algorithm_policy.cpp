#include "crypto/policy/algorithm_policy.h"

#include <algorithm>

#include "base/check.h"
#include "json/json.h"

namespace intaglio::crypto {
namespace {

constexpr std::size_t max_rows = 64;

Error refused(std::string detail) { return Error{ErrorCode::configuration, "algorithm policy: " + std::move(detail)}; }

/// A date that is misspelt must not become "no limit": members that are not known are refused.
Status check_members(const json::Value& object, std::initializer_list<std::string_view> known) {
  if (!object.is_object()) return refused("an object was expected");
  for (const auto& [name, value] : object.items()) {
    if (std::find(known.begin(), known.end(), name) == known.end()) return refused("unknown member \"" + name.substr(0, 64) + "\"");
  }
  return {};
}

Result<UnixTime> date_member(const json::Value& row, std::string_view name) {
  const auto text = json::text_member(row, name, 32);
  if (!text) return refused(text.error().detail);
  const auto date = parse_utc(*text);
  if (!date) return refused("\"" + std::string(name) + "\" is not a time such as 2025-12-31T23:59:59Z");
  return *date;
}

Result<const json::Value*> rows_of(const json::Value& policy, std::string_view name) {
  const json::Value* const rows = json::member(policy, name);
  if (rows == nullptr || !rows->is_array() || rows->size() > max_rows) return refused("\"" + std::string(name) + "\" is not a list");
  return rows;
}

}  // namespace

Result<AlgorithmPolicy> AlgorithmPolicy::parse(std::string_view json) {
  const auto root = json::parse(json);
  if (!root) return refused(root.error().detail);
  if (auto known = check_members(*root, {"id", "keys", "suites"}); !known) return known.error();
  AlgorithmPolicy policy;
  auto id = json::text_member(*root, "id", 64);
  if (!id) return refused(id.error().detail);
  policy.id_ = std::move(*id);

  const auto key_rows = rows_of(*root, "keys");
  if (!key_rows) return key_rows.error();
  for (const auto& row : **key_rows) {
    if (auto known = check_members(row, {"algorithm", "generate_until", "certify_until", "sign_until"}); !known) return known.error();
    const auto name = json::text_member(row, "algorithm", 32);
    const auto key = name ? parse_key_algorithm(*name) : Result<KeyAlgorithm>(name.error());
    if (!key) return refused("a key algorithm that is not known");
    const auto same = [&](const KeyRow& other) { return other.key == *key; };
    if (std::any_of(policy.keys_.begin(), policy.keys_.end(), same)) return refused(*name + " stands twice");
    const auto generate = date_member(row, "generate_until");
    if (!generate) return generate.error();
    const auto certify = date_member(row, "certify_until");
    if (!certify) return certify.error();
    const auto sign = date_member(row, "sign_until");
    if (!sign) return sign.error();
    policy.keys_.push_back({*key, *generate, *certify, *sign});
  }

  const auto suite_rows = rows_of(*root, "suites");
  if (!suite_rows) return suite_rows.error();
  for (const auto& row : **suite_rows) {
    if (auto known = check_members(row, {"suite", "sign_until"}); !known) return known.error();
    const auto name = json::text_member(row, "suite", 32);
    const auto suite = name ? parse_suite(*name) : Result<SignatureSuite>(name.error());
    if (!suite) return refused("a signature suite that is not known");
    const auto same = [&](const SuiteRow& other) { return other.suite == *suite; };
    if (std::any_of(policy.suites_.begin(), policy.suites_.end(), same)) return refused(*name + " stands twice");
    const auto sign = date_member(row, "sign_until");
    if (!sign) return sign.error();
    policy.suites_.push_back({*suite, *sign});
  }
  return policy;
}

const AlgorithmPolicy::KeyRow* AlgorithmPolicy::row_of(KeyAlgorithm key) const noexcept {
  const auto found = std::find_if(keys_.begin(), keys_.end(), [&](const KeyRow& row) { return row.key == key; });
  return found == keys_.end() ? nullptr : &*found;
}

Status AlgorithmPolicy::may_generate(KeyAlgorithm key, UnixTime at) const {
  const KeyRow* const row = row_of(key);
  if (refused_by("algorithm_policy.generate", row == nullptr || at > row->generate_until)) {
    return Error{ErrorCode::algorithm_refused, "policy " + id_ + ": no new keys of " + std::string(name_of(key)) + " at that time"};
  }
  return {};
}

Status AlgorithmPolicy::may_certify(KeyAlgorithm key, UnixTime at) const {
  const KeyRow* const row = row_of(key);
  if (refused_by("algorithm_policy.certify", row == nullptr || at > row->certify_until)) {
    return Error{ErrorCode::algorithm_refused, "policy " + id_ + ": no certificates for " + std::string(name_of(key)) + " at that time"};
  }
  return {};
}

Status AlgorithmPolicy::may_sign(KeyAlgorithm key, SignatureSuite suite, UnixTime at) const {
  if (refused_by("algorithm_policy.fits", !fits(key, suite))) {
    return Error{ErrorCode::algorithm_refused, std::string(name_of(suite)) + " does not fit a key of " + std::string(name_of(key))};
  }
  const KeyRow* const row = row_of(key);
  if (refused_by("algorithm_policy.sign_key", row == nullptr || at > row->sign_until)) {
    return Error{ErrorCode::algorithm_refused, "policy " + id_ + ": " + std::string(name_of(key)) + " signs no more at that time"};
  }
  const auto found = std::find_if(suites_.begin(), suites_.end(), [&](const SuiteRow& other) { return other.suite == suite; });
  if (refused_by("algorithm_policy.sign_suite", found == suites_.end() || at > found->sign_until)) {
    return Error{ErrorCode::algorithm_refused, "policy " + id_ + ": " + std::string(name_of(suite)) + " is not allowed at that time"};
  }
  return {};
}

std::vector<SignatureSuite> AlgorithmPolicy::suites_for(KeyAlgorithm key, UnixTime at) const {
  std::vector<SignatureSuite> allowed;
  for (const auto& row : suites_) {
    if (may_sign(key, row.suite, at)) allowed.push_back(row.suite);
  }
  return allowed;
}

}  // namespace intaglio::crypto
