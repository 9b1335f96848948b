#include "crypto/password_hash.h"

#include <array>

#include "crypto/detail/argon2.h"
#include "crypto/detail/openssl.h"

namespace intaglio::crypto {
namespace {

constexpr std::size_t tag_size = 32;
constexpr std::uint32_t totp_modulus = 1'000'000;
constexpr std::size_t totp_digits = 6;

}  // namespace

Result<Secret> argon2id(const Secret& password, ByteView salt, Argon2Cost cost) {
  const detail::Argon2Input input{password.reveal(), salt, {}, {}, cost.memory_kib, cost.passes, 1};
  Secret tag = Secret::of_size(tag_size);
  if (auto done = detail::run_argon2id(input, tag.writable()); !done) return done.error();
  return tag;
}

Secret totp_code(const Secret& seed, std::uint64_t step) {
  std::array<std::uint8_t, 8> counter{};
  for (std::size_t i = counter.size(); i > 0; --i, step >>= 8U) counter[i - 1] = static_cast<std::uint8_t>(step & 0xFFU);
  std::array<std::uint8_t, 20> mac{};
  detail::hmac_sha1(seed.reveal(), counter, mac);
  // Dynamic truncation (RFC 4226, 5.3).
  const std::size_t offset = mac[19] & 0x0FU;
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = number << 8U | mac[offset + i];
  number = (number & 0x7FFFFFFFU) % totp_modulus;
  wipe(mac);
  Secret code = Secret::of_size(totp_digits);
  for (std::size_t i = totp_digits; i > 0; --i, number /= 10) code.writable()[i - 1] = static_cast<std::uint8_t>('0' + number % 10);
  return code;
}

}  // namespace intaglio::crypto
