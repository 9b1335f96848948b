#pragma once

#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/algorithms.h"

namespace intaglio::crypto {

/// The dated algorithm policy: data, never constants in code (requirements I, 312-8.4). JSON: {"id": "...", "keys":
/// [{"algorithm": "rsa2048", "generate_until": "2025-12-31T23:59:59Z", "certify_until": "…", "sign_until": "…"}, …],
/// "suites": [{"suite": "rsa-pkcs1-sha256", "sign_until": "…"}]}. What is not listed is refused.
class AlgorithmPolicy {
 public:
  [[nodiscard]] static Result<AlgorithmPolicy> parse(std::string_view json);
  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  [[nodiscard]] Status may_generate(KeyAlgorithm key, UnixTime at) const;
  [[nodiscard]] Status may_certify(KeyAlgorithm key, UnixTime at) const;
  [[nodiscard]] Status may_sign(KeyAlgorithm key, SignatureSuite suite, UnixTime at) const;
  /// Suites allowed for this key at that time, in the order of the policy.
  [[nodiscard]] std::vector<SignatureSuite> suites_for(KeyAlgorithm key, UnixTime at) const;

 private:
  struct KeyRow {
    KeyAlgorithm key;
    UnixTime generate_until, certify_until, sign_until;
  };
  struct SuiteRow {
    SignatureSuite suite;
    UnixTime sign_until;
  };
  AlgorithmPolicy() = default;
  [[nodiscard]] const KeyRow* row_of(KeyAlgorithm key) const noexcept;
  std::string id_;
  std::vector<KeyRow> keys_;
  std::vector<SuiteRow> suites_;
};

}  // namespace intaglio::crypto
