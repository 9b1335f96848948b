#include <algorithm>
#include <cstdlib>

#include "crypto/timestamp.h"

/// What a stranger posts to the time-stamping authority; and, as it is near, what an authority answers.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  const ByteView input(data, size);
  if (const auto request = crypto::parse_timestamp_request(input)) {
    if (size > crypto::max_timestamp_request_bytes || request->hashed_message.size() > size) std::abort();
    // A token repeats both: they stand in the request as they are.
    const auto stands = [&](const Bytes& part) { return !std::ranges::search(input, part).empty(); };
    if (request->imprint_der.empty() || !stands(request->imprint_der)) std::abort();
    if (!request->nonce_der.empty() && !stands(request->nonce_der)) std::abort();
  }
  if (const auto answer = crypto::parse_timestamp_response(input)) {
    if (!answer->failure && answer->token.empty()) std::abort();
  }
  return 0;
}
