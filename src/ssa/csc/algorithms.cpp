#include "ssa/csc/algorithms.h"

#include <algorithm>
#include <array>

#include "crypto/der.h"

namespace intaglio::ssa::csc {
namespace {

using crypto::HashAlgorithm;
using crypto::SignatureSuite;

constexpr std::string_view rsa_encryption = "1.2.840.113549.1.1.1";
constexpr std::string_view rsassa_pss = "1.2.840.113549.1.1.10";
constexpr std::string_view mgf1 = "1.2.840.113549.1.1.8";
constexpr std::string_view ec_public_key = "1.2.840.10045.2.1";
constexpr std::array hashes{HashAlgorithm::sha256, HashAlgorithm::sha384, HashAlgorithm::sha512};

struct Exact {
  std::string_view oid;
  SignatureSuite suite;
};
constexpr std::array exact{
    Exact{"1.2.840.113549.1.1.11", SignatureSuite::rsa_pkcs1_sha256}, Exact{"1.2.840.113549.1.1.12", SignatureSuite::rsa_pkcs1_sha384},
    Exact{"1.2.840.113549.1.1.13", SignatureSuite::rsa_pkcs1_sha512}, Exact{"1.2.840.10045.4.3.2", SignatureSuite::ecdsa_sha256},
    Exact{"1.2.840.10045.4.3.3", SignatureSuite::ecdsa_sha384},       Exact{"1.2.840.10045.4.3.4", SignatureSuite::ecdsa_sha512},
};

SignatureSuite pss_of(HashAlgorithm hash) noexcept {
  if (hash == HashAlgorithm::sha384) return SignatureSuite::rsa_pss_sha384;
  return hash == HashAlgorithm::sha512 ? SignatureSuite::rsa_pss_sha512 : SignatureSuite::rsa_pss_sha256;
}
SignatureSuite pkcs1_of(HashAlgorithm hash) noexcept {
  if (hash == HashAlgorithm::sha384) return SignatureSuite::rsa_pkcs1_sha384;
  return hash == HashAlgorithm::sha512 ? SignatureSuite::rsa_pkcs1_sha512 : SignatureSuite::rsa_pkcs1_sha256;
}
SignatureSuite ecdsa_of(HashAlgorithm hash) noexcept {
  if (hash == HashAlgorithm::sha384) return SignatureSuite::ecdsa_sha384;
  return hash == HashAlgorithm::sha512 ? SignatureSuite::ecdsa_sha512 : SignatureSuite::ecdsa_sha256;
}

bool is_pss(SignatureSuite suite) noexcept { return suite == pss_of(crypto::hash_of(suite)); }
bool is_ecdsa(SignatureSuite suite) noexcept { return suite == ecdsa_of(crypto::hash_of(suite)); }

/// The forms that DER leaves open: the hash's NULL parameters present or absent (RFC 4055, 2.1), in both places, and the
/// default trailer field written although DER would leave it out, as some libraries do.
struct PssForm {
  bool hash_null, mgf_hash_null, explicit_trailer;
};
Bytes encode_pss(HashAlgorithm hash, const PssForm& form) {
  namespace der = crypto::der;
  const auto identifier = [&](bool with_null) {
    std::vector<Bytes> members{der::oid(crypto::oid_of(hash))};
    if (with_null) members.push_back(der::null());
    return der::sequence(members);
  };
  std::vector<Bytes> members{
      der::explicit_tag(0, identifier(form.hash_null)),
      der::explicit_tag(1, der::sequence(std::vector<Bytes>{der::oid(mgf1), identifier(form.mgf_hash_null)})),
      der::explicit_tag(2, der::integer(crypto::digest_length(hash))),
  };
  if (form.explicit_trailer) members.push_back(der::explicit_tag(3, der::integer(std::uint64_t{1})));
  return der::sequence(members);
}

struct KnownPss {
  Bytes encoded;
  HashAlgorithm hash;
};
const std::vector<KnownPss>& known_pss() {
  static const auto known = [] {
    std::vector<KnownPss> all;
    for (const auto hash : hashes) {
      for (unsigned bits = 0; bits < 8; ++bits) {
        all.push_back({encode_pss(hash, {(bits & 1U) != 0, (bits & 2U) != 0, (bits & 4U) != 0}), hash});
      }
    }
    return all;
  }();
  return known;
}

/// Every encoding that means a PSS suite of ours is known: what is none of them is refused, and nothing is parsed.
std::optional<HashAlgorithm> pss_hash(std::string_view base64) {
  const auto der = parse_base64(base64);
  if (!der) return std::nullopt;
  const auto& known = known_pss();
  const auto found = std::find_if(known.begin(), known.end(), [&](const KnownPss& one) { return one.encoded == *der; });
  if (found == known.end()) return std::nullopt;
  return found->hash;
}

}  // namespace

Bytes pss_parameters(HashAlgorithm hash) { return encode_pss(hash, {true, true, false}); }

std::variant<SignatureSuite, Refusal> choose_suite(const AlgorithmChoice& choice) {
  std::optional<HashAlgorithm> named;
  if (choice.hash_algorithm) {
    const auto parsed = crypto::parse_hash_oid(*choice.hash_algorithm);
    if (!parsed) return invalid_parameter("hashAlgorithmOID");
    named = *parsed;
  }
  const auto unless_contradicted = [&](SignatureSuite suite) -> std::variant<SignatureSuite, Refusal> {
    if (named && *named != crypto::hash_of(suite)) return invalid_parameter("hashAlgorithmOID");
    return suite;
  };

  if (choice.sign_algo == rsassa_pss) {
    if (!choice.sign_algo_params || choice.sign_algo_params->empty()) return missing_text("signAlgoParams");
    const auto hash = pss_hash(*choice.sign_algo_params);
    if (!hash) return invalid_parameter("signAlgoParams");
    return unless_contradicted(pss_of(*hash));
  }
  // The others take no parameters, or NULL (RFC 4055, 5; RFC 5758, 3.2).
  constexpr std::string_view der_null = "BQA=";
  const bool no_params = !choice.sign_algo_params || choice.sign_algo_params->empty() || *choice.sign_algo_params == der_null;
  if (choice.sign_algo == rsa_encryption || choice.sign_algo == ec_public_key) {
    if (!no_params) return invalid_parameter("signAlgoParams");
    if (!named) return missing_text("hashAlgorithmOID");
    return choice.sign_algo == rsa_encryption ? pkcs1_of(*named) : ecdsa_of(*named);
  }
  for (const auto& one : exact) {
    if (one.oid != choice.sign_algo) continue;
    if (!no_params) return invalid_parameter("signAlgoParams");
    return unless_contradicted(one.suite);
  }
  return invalid_parameter("signAlgo");
}

std::vector<std::string> algorithm_oids(const std::vector<SignatureSuite>& suites) {
  std::vector<std::string> oids;
  const auto add = [&](std::string_view oid) {
    if (std::find(oids.begin(), oids.end(), oid) == oids.end()) oids.emplace_back(oid);
  };
  for (const auto suite : suites) {
    if (is_pss(suite)) {
      add(rsassa_pss);
      continue;
    }
    add(is_ecdsa(suite) ? ec_public_key : rsa_encryption);
    for (const auto& one : exact) {
      if (one.suite == suite) add(one.oid);
    }
  }
  return oids;
}

OfferedAlgorithms offered_algorithms() {
  OfferedAlgorithms offered;
  const auto add = [&](std::string_view oid, std::string params) {
    offered.algos.emplace_back(oid);
    offered.params.push_back(std::move(params));
  };
  add(rsa_encryption, "");
  for (const auto hash : hashes) add(rsassa_pss, encode_base64(pss_parameters(hash)));
  add(ec_public_key, "");
  for (const auto& one : exact) add(one.oid, "");
  return offered;
}

}  // namespace intaglio::ssa::csc
