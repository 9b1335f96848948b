#include "crypto/random.h"

#include <openssl/rand.h>

#include "base/check.h"
#include "crypto/detail/openssl.h"

namespace intaglio::crypto {
namespace {

constexpr std::size_t random_id_bytes = 16;

Status fill(std::span<std::uint8_t> out) {
  if (refused_by("random.failed", RAND_priv_bytes_ex(nullptr, out.data(), out.size(), 256) != 1)) {
    return detail::refusal(ErrorCode::internal, "the random generator failed");
  }
  return {};
}

}  // namespace

Result<Bytes> random_bytes(std::size_t length) {
  Bytes bytes(length);
  if (auto filled = fill(bytes); !filled) return filled.error();
  return bytes;
}

Result<Secret> random_secret(std::size_t length) {
  Secret secret = Secret::of_size(length);
  if (auto filled = fill(secret.writable()); !filled) return filled.error();
  return secret;
}

Result<std::string> random_id() {
  auto bytes = random_bytes(random_id_bytes);
  if (!bytes) return bytes.error();
  return encode_base64url(*bytes);
}

void add_entropy(ByteView bytes) {
  // Counted as no entropy at all: the token's bytes are mixed in, the generator's own seeding is not replaced.
  RAND_add(bytes.data(), detail::int_size(bytes.size()), 0.0);
}

}  // namespace intaglio::crypto
