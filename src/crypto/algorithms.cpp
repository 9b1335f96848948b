#include "crypto/algorithms.h"

#include <array>

namespace intaglio::crypto {
namespace {

struct HashRow {
  HashAlgorithm hash;
  std::string_view name, oid;
  std::size_t length;
};
constexpr std::array<HashRow, 3> hashes{{
    {HashAlgorithm::sha256, "sha256", "2.16.840.1.101.3.4.2.1", 32},
    {HashAlgorithm::sha384, "sha384", "2.16.840.1.101.3.4.2.2", 48},
    {HashAlgorithm::sha512, "sha512", "2.16.840.1.101.3.4.2.3", 64},
}};

struct KeyRow {
  KeyAlgorithm key;
  std::string_view name, curve;
  unsigned bits;
};
constexpr std::array<KeyRow, 6> keys{{
    {KeyAlgorithm::rsa2048, "rsa2048", "", 2048},
    {KeyAlgorithm::rsa3072, "rsa3072", "", 3072},
    {KeyAlgorithm::rsa4096, "rsa4096", "", 4096},
    {KeyAlgorithm::p256, "p256", "1.2.840.10045.3.1.7", 256},
    {KeyAlgorithm::p384, "p384", "1.3.132.0.34", 384},
    {KeyAlgorithm::p521, "p521", "1.3.132.0.35", 521},
}};

struct SuiteRow {
  SignatureSuite suite;
  std::string_view name;
  HashAlgorithm hash;
  bool rsa;
};
constexpr std::array<SuiteRow, 9> suites{{
    {SignatureSuite::rsa_pss_sha256, "rsa-pss-sha256", HashAlgorithm::sha256, true},
    {SignatureSuite::rsa_pss_sha384, "rsa-pss-sha384", HashAlgorithm::sha384, true},
    {SignatureSuite::rsa_pss_sha512, "rsa-pss-sha512", HashAlgorithm::sha512, true},
    {SignatureSuite::rsa_pkcs1_sha256, "rsa-pkcs1-sha256", HashAlgorithm::sha256, true},
    {SignatureSuite::rsa_pkcs1_sha384, "rsa-pkcs1-sha384", HashAlgorithm::sha384, true},
    {SignatureSuite::rsa_pkcs1_sha512, "rsa-pkcs1-sha512", HashAlgorithm::sha512, true},
    {SignatureSuite::ecdsa_sha256, "ecdsa-sha256", HashAlgorithm::sha256, false},
    {SignatureSuite::ecdsa_sha384, "ecdsa-sha384", HashAlgorithm::sha384, false},
    {SignatureSuite::ecdsa_sha512, "ecdsa-sha512", HashAlgorithm::sha512, false},
}};

const HashRow& row_of(HashAlgorithm hash) noexcept {
  for (const auto& row : hashes) {
    if (row.hash == hash) return row;
  }
  panic("a hash algorithm outside its enumeration");
}

const KeyRow& row_of(KeyAlgorithm key) noexcept {
  for (const auto& row : keys) {
    if (row.key == key) return row;
  }
  panic("a key algorithm outside its enumeration");
}

const SuiteRow& row_of(SignatureSuite suite) noexcept {
  for (const auto& row : suites) {
    if (row.suite == suite) return row;
  }
  panic("a signature suite outside its enumeration");
}

}  // namespace

std::size_t digest_length(HashAlgorithm hash) noexcept { return row_of(hash).length; }
std::string_view oid_of(HashAlgorithm hash) noexcept { return row_of(hash).oid; }
std::string_view name_of(HashAlgorithm hash) noexcept { return row_of(hash).name; }

Result<HashAlgorithm> parse_hash_oid(std::string_view dotted) {
  for (const auto& row : hashes) {
    if (row.oid == dotted) return row.hash;
  }
  return Error{ErrorCode::algorithm_refused, "unknown hash algorithm"};
}

std::string_view name_of(KeyAlgorithm key) noexcept { return row_of(key).name; }

Result<KeyAlgorithm> parse_key_algorithm(std::string_view name) {
  for (const auto& row : keys) {
    if (row.name == name) return row.key;
  }
  return Error{ErrorCode::algorithm_refused, "unknown key algorithm"};
}

bool is_rsa(KeyAlgorithm key) noexcept { return row_of(key).curve.empty(); }
unsigned bits_of(KeyAlgorithm key) noexcept { return row_of(key).bits; }
std::string_view curve_oid(KeyAlgorithm key) noexcept { return row_of(key).curve; }
std::string_view name_of(SignatureSuite suite) noexcept { return row_of(suite).name; }

Result<SignatureSuite> parse_suite(std::string_view name) {
  for (const auto& row : suites) {
    if (row.name == name) return row.suite;
  }
  return Error{ErrorCode::algorithm_refused, "unknown signature suite"};
}

Result<SignatureSuite> suite_from_number(std::uint64_t number) {
  for (const auto& row : suites) {
    if (static_cast<std::uint64_t>(row.suite) == number) return row.suite;
  }
  return Error{ErrorCode::algorithm_refused, "unknown signature suite"};
}

HashAlgorithm hash_of(SignatureSuite suite) noexcept { return row_of(suite).hash; }

bool fits(KeyAlgorithm key, SignatureSuite suite) noexcept {
  const auto& row = row_of(suite);
  if (row.rsa || is_rsa(key)) return row.rsa && is_rsa(key);
  return digest_length(row.hash) * 8 <= bits_of(key);
}

}  // namespace intaglio::crypto
