#include "base/panic.h"
#include "sam/grants/record.h"
#include "sam/grants/seal.h"

/// The claims of a client's request under a grant, which are read before its signature is looked at; and the record of a grant.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    const auto claims = sam::parse_seal_claims(as_text(input));
    if (!claims) return 0;
    if (claims->digests.empty() || claims->digests.size() > protocol::max_digests_per_call) panic("a number of digests out of bounds");
    for (const auto& digest : claims->digests) {
      if (digest.size() != crypto::digest_length(crypto::hash_of(claims->suite))) panic("a digest of another length");
    }
    return 0;
  }
  const auto grant = sam::parse_grant(input);
  if (grant && !std::ranges::equal(sam::encode(*grant), input)) panic("a record was read that is not written this way");
  return 0;
}
