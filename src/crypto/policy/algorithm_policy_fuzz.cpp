#include "crypto/policy/algorithm_policy.h"

#include <cstdlib>

#include "base/bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  const auto policy = crypto::AlgorithmPolicy::parse(as_text({data, size}));
  if (!policy) return 0;
  const UnixTime now = from_unix_seconds(1795171020);
  for (const auto suite : policy->suites_for(crypto::KeyAlgorithm::rsa3072, now)) {
    if (!policy->may_sign(crypto::KeyAlgorithm::rsa3072, suite, now)) std::abort();
  }
  return 0;
}
