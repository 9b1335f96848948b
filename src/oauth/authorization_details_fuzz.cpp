#include <cstddef>
#include <cstdint>

#include "base/panic.h"
#include "oauth/authorization_details.h"

/// authorization_details as anybody may write them; what is taken is within its bounds and means the same when it is read again.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  constexpr std::string_view here = "https://sign.example";
  const auto taken = oauth::parse_authorization_details(as_text({data, size}), here);
  if (!taken) return 0;
  const auto& documents = taken->request.documents;
  if (documents.empty() || documents.size() > oauth::max_requested_digests) panic("a list out of its bounds");
  for (const auto& one : documents) {
    if (one.digest.size() != crypto::digest_length(taken->request.hash) || one.label.empty()) panic("a document that is none");
  }
  const auto again = oauth::parse_authorization_details(json::encode(taken->stated), here);
  if (!again || again->stated != taken->stated || again->request.documents.size() != documents.size()) panic("a second meaning");
  return 0;
}
