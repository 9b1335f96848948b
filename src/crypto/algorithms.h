#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/result.h"

namespace intaglio::crypto {

enum class HashAlgorithm : std::uint8_t { sha256 = 1, sha384 = 2, sha512 = 3 };
enum class KeyAlgorithm : std::uint8_t { rsa2048 = 1, rsa3072 = 2, rsa4096 = 3, p256 = 4, p384 = 5, p521 = 6 };

/// Hash, padding and key kind in one value (TS 119 312 clause 7.3: only the listed suites, no free combination).
/// PSS: MGF1 with the same hash, salt as long as the hash. The numbers stand in T and on the wire and are never reused.
enum class SignatureSuite : std::uint8_t {
  rsa_pss_sha256 = 1,
  rsa_pss_sha384 = 2,
  rsa_pss_sha512 = 3,
  rsa_pkcs1_sha256 = 4,
  rsa_pkcs1_sha384 = 5,
  rsa_pkcs1_sha512 = 6,
  ecdsa_sha256 = 7,
  ecdsa_sha384 = 8,
  ecdsa_sha512 = 9,
};

[[nodiscard]] std::size_t digest_length(HashAlgorithm hash) noexcept;  ///< 32, 48 or 64
[[nodiscard]] std::string_view oid_of(HashAlgorithm hash) noexcept;    ///< dotted
[[nodiscard]] Result<HashAlgorithm> parse_hash_oid(std::string_view dotted);
[[nodiscard]] std::string_view name_of(HashAlgorithm hash) noexcept;   ///< "sha256"
[[nodiscard]] std::string_view name_of(KeyAlgorithm key) noexcept;     ///< "rsa3072", "p256"
[[nodiscard]] Result<KeyAlgorithm> parse_key_algorithm(std::string_view name);
[[nodiscard]] bool is_rsa(KeyAlgorithm key) noexcept;
[[nodiscard]] unsigned bits_of(KeyAlgorithm key) noexcept;             ///< CSC key.len
[[nodiscard]] std::string_view curve_oid(KeyAlgorithm key) noexcept;   ///< dotted; empty for RSA
[[nodiscard]] std::string_view name_of(SignatureSuite suite) noexcept; ///< "rsa-pss-sha256"
[[nodiscard]] Result<SignatureSuite> parse_suite(std::string_view name);
[[nodiscard]] Result<SignatureSuite> suite_from_number(std::uint64_t number);
[[nodiscard]] HashAlgorithm hash_of(SignatureSuite suite) noexcept;
/// RSA suites with RSA keys, ECDSA suites with EC keys. ECDSA with a hash longer than the curve is refused (312-7.3).
[[nodiscard]] bool fits(KeyAlgorithm key, SignatureSuite suite) noexcept;

}  // namespace intaglio::crypto
