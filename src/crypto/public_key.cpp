#include "crypto/public_key.h"

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>

#include <array>

#include "base/check.h"
#include "crypto/der.h"
#include "crypto/detail/openssl.h"

namespace intaglio::crypto {
namespace {

using detail::KeyContext;
using detail::KeyHandle;
using Number = std::unique_ptr<BIGNUM, detail::Freed<BN_free>>;
using EcdsaSignature = std::unique_ptr<ECDSA_SIG, detail::Freed<ECDSA_SIG_free>>;

constexpr std::size_t max_spki_size = 2048, max_exponent_bits = 64;
constexpr std::array rsa_keys{KeyAlgorithm::rsa2048, KeyAlgorithm::rsa3072, KeyAlgorithm::rsa4096};
constexpr std::array ec_keys{KeyAlgorithm::p256, KeyAlgorithm::p384, KeyAlgorithm::p521};

std::size_t coordinate_size(KeyAlgorithm curve) noexcept { return (bits_of(curve) + 7) / 8; }

const char* group_name(KeyAlgorithm curve) noexcept {
  switch (curve) {
    case KeyAlgorithm::p256: return "P-256";
    case KeyAlgorithm::p384: return "P-384";
    case KeyAlgorithm::p521: return "P-521";
    default: panic("a group of a key that is not on a curve");
  }
}

/// SubjectPublicKeyInfo with a named curve and an uncompressed point has exactly one form (RFC 5480, 2.1.1 and 2.2).
Bytes encode_ec_spki(KeyAlgorithm curve, ByteView point) {
  return der::sequence({der::sequence({der::oid("1.2.840.10045.2.1"), der::oid(curve_oid(curve))}), der::bit_string(point)});
}

Bytes encode_rsa_spki(ByteView modulus, ByteView exponent) {
  return der::sequence({der::sequence({der::oid("1.2.840.113549.1.1.1"), der::null()}),
                        der::bit_string(der::sequence({der::integer(modulus), der::integer(exponent)}))});
}

KeyHandle key_from_parameters(const char* type, OSSL_PARAM* parameters) {
  const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* key = nullptr;
  if (!context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1) {
    return nullptr;
  }
  return KeyHandle(key);
}

Result<KeyAlgorithm> rsa_algorithm(const BIGNUM* modulus) {
  for (const auto algorithm : rsa_keys) {
    if (static_cast<unsigned>(BN_num_bits(modulus)) == bits_of(algorithm)) return algorithm;
  }
  return Error{ErrorCode::algorithm_refused, "an RSA key of a size that is not served"};
}

Bytes number_bytes(const BIGNUM* number) {
  Bytes out(static_cast<std::size_t>(BN_num_bytes(number)));
  BN_bn2bin(number, out.data());
  return out;
}

/// The numbers of an RSA key in SubjectPublicKeyInfo, read by OpenSSL.
Result<PublicKey> parse_rsa_spki(ByteView der) {
  const unsigned char* at = der.data();
  const KeyHandle key(d2i_PUBKEY(nullptr, &at, static_cast<long>(der.size())));
  if (!key) return detail::refusal(ErrorCode::invalid_request, "not a public key that is served");
  if (EVP_PKEY_is_a(key.get(), "RSA") != 1) return Error{ErrorCode::algorithm_refused, "neither an RSA key nor one on a named NIST curve"};
  BIGNUM* modulus = nullptr;
  BIGNUM* exponent = nullptr;
  EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_RSA_N, &modulus);
  EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_RSA_E, &exponent);
  const Number owned_modulus(modulus);
  const Number owned_exponent(exponent);
  if (modulus == nullptr || exponent == nullptr) return detail::refusal(ErrorCode::invalid_request, "an RSA key without its numbers");
  auto parsed = PublicKey::from_rsa(number_bytes(modulus), number_bytes(exponent));
  if (!parsed) return parsed;
  const Bytes& canonical = parsed->spki();
  if (!std::equal(canonical.begin(), canonical.end(), der.begin(), der.end())) {
    return Error{ErrorCode::invalid_request, "a public key that is not DER, or with bytes after it"};
  }
  return parsed;
}

}  // namespace

PublicKey::PublicKey(std::shared_ptr<evp_pkey_st> key, Bytes spki, KeyAlgorithm algorithm)
    : key_(std::move(key)), spki_(std::make_shared<const Bytes>(std::move(spki))), algorithm_(algorithm) {}

Result<PublicKey> PublicKey::parse_spki(ByteView der) {
  if (der.size() > max_spki_size) return Error{ErrorCode::invalid_request, "a public key of that size is not served"};
  for (const auto curve : ec_keys) {
    const std::size_t point_size = 1 + 2 * coordinate_size(curve);
    if (der.size() < point_size) continue;
    const ByteView point = der.last(point_size);
    const Bytes only_form = encode_ec_spki(curve, point);
    if (std::equal(only_form.begin(), only_form.end(), der.begin(), der.end())) return from_ec_point(curve, point);
  }
  return parse_rsa_spki(der);
}

Result<PublicKey> PublicKey::from_rsa(ByteView modulus, ByteView exponent) {
  if (modulus.size() > max_spki_size || exponent.size() > max_spki_size) {
    return Error{ErrorCode::invalid_request, "an RSA key of a size that is not served"};
  }
  const Number n(BN_bin2bn(modulus.data(), detail::int_size(modulus.size()), nullptr));
  const Number e(BN_bin2bn(exponent.data(), detail::int_size(exponent.size()), nullptr));
  if (!n || !e) return detail::refusal(ErrorCode::internal, "no memory for an RSA key");
  const auto algorithm = rsa_algorithm(n.get());
  if (!algorithm) return algorithm.error();
  if (refused_by("public_key.even_modulus", BN_is_odd(n.get()) == 0)) {
    return Error{ErrorCode::invalid_request, "an RSA modulus that is even"};
  }
  // TS 119 312, 6.2.2.1: odd and above 2^16; the upper bound keeps a stranger's key from making verification slow.
  const int exponent_bits = BN_num_bits(e.get());
  if (refused_by("public_key.exponent",
                 BN_is_odd(e.get()) == 0 || exponent_bits < 17 || exponent_bits > static_cast<int>(max_exponent_bits))) {
    return Error{ErrorCode::algorithm_refused, "an RSA exponent that is even, at most 2^16, or beyond 64 bits"};
  }
  const std::unique_ptr<OSSL_PARAM_BLD, detail::Freed<OSSL_PARAM_BLD_free>> builder(OSSL_PARAM_BLD_new());
  if (!builder || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
    return detail::refusal(ErrorCode::internal, "no memory for an RSA key");
  }
  const std::unique_ptr<OSSL_PARAM, detail::Freed<OSSL_PARAM_free>> parameters(OSSL_PARAM_BLD_to_param(builder.get()));
  KeyHandle key = key_from_parameters("RSA", parameters.get());
  if (!key) return detail::refusal(ErrorCode::invalid_request, "not an RSA key");
  return PublicKey(std::shared_ptr<evp_pkey_st>(std::move(key)), encode_rsa_spki(number_bytes(n.get()), number_bytes(e.get())), *algorithm);
}

Result<PublicKey> PublicKey::from_ec_point(KeyAlgorithm curve, ByteView point) {
  if (is_rsa(curve)) return Error{ErrorCode::invalid_request, "a point of a key that is not on a curve"};
  if (point.size() != 1 + 2 * coordinate_size(curve) || point[0] != 0x04) {
    return Error{ErrorCode::invalid_request, "not an uncompressed point of that curve"};
  }
  Bytes writable = to_bytes(point);
  std::string group = group_name(curve);
  std::array<OSSL_PARAM, 3> parameters{
      OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, group.data(), 0),
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, writable.data(), writable.size()),
      OSSL_PARAM_construct_end(),
  };
  // OpenSSL refuses a point that is not on the curve; the curves have cofactor 1, so every point on them has the full order.
  KeyHandle key = key_from_parameters("EC", parameters.data());
  if (!key) return detail::refusal(ErrorCode::invalid_request, "a point that is not on its curve");
  return PublicKey(std::shared_ptr<evp_pkey_st>(std::move(key)), encode_ec_spki(curve, point), curve);
}

Sha256Digest PublicKey::thumbprint() const { return sha256(*spki_); }

Result<Bytes> PublicKey::ec_point() const {
  if (is_rsa(algorithm_)) return Error{ErrorCode::invalid_request, "an RSA key has no point"};
  return to_bytes(ByteView(*spki_).last(1 + 2 * coordinate_size(algorithm_)));
}

Status PublicKey::verify_digest(SignatureSuite suite, ByteView digest, ByteView signature) const {
  if (refused_by("public_key.suite_fits", !fits(algorithm_, suite))) {
    return Error{ErrorCode::invalid_request, "a signature suite that does not fit the key"};
  }
  const HashAlgorithm hash = hash_of(suite);
  if (digest.size() != digest_length(hash)) return Error{ErrorCode::digest_length, "a digest of another length than its algorithm's"};
  const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key_.get(), nullptr));
  bool ready = context && EVP_PKEY_verify_init(context.get()) == 1;
  if (ready && is_rsa(algorithm_)) ready = detail::set_rsa_suite(context.get(), suite);
  if (!ready) return detail::refusal(ErrorCode::internal, "a verification could not be started");
  const int verified = EVP_PKEY_verify(context.get(), signature.data(), signature.size(), digest.data(), digest.size());
  if (refused_by("public_key.signature", verified != 1)) {
    return detail::refusal(ErrorCode::invalid_request, "the signature does not verify");
  }
  return {};
}

Status PublicKey::verify(SignatureSuite suite, ByteView message, ByteView signature) const {
  return verify_digest(suite, digest(hash_of(suite), message), signature);
}

Result<Bytes> ecdsa_to_der(ByteView raw) {
  if (raw.empty() || raw.size() % 2 != 0 || raw.size() > 132) return Error{ErrorCode::invalid_request, "not an ECDSA signature r | s"};
  const std::size_t half = raw.size() / 2;
  return der::sequence({der::integer(raw.first(half)), der::integer(raw.last(half))});
}

Result<Bytes> ecdsa_to_raw(ByteView der, std::size_t coordinate_bytes) {
  const unsigned char* at = der.data();
  const EcdsaSignature parsed(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
  if (!parsed || at != der.data() + der.size()) return detail::refusal(ErrorCode::invalid_request, "not an ECDSA-Sig-Value");
  const BIGNUM* r = ECDSA_SIG_get0_r(parsed.get());
  const BIGNUM* s = ECDSA_SIG_get0_s(parsed.get());
  Bytes raw(2 * coordinate_bytes);
  if (BN_is_negative(r) != 0 || BN_is_negative(s) != 0 || BN_bn2binpad(r, raw.data(), detail::int_size(coordinate_bytes)) < 0 ||
      BN_bn2binpad(s, raw.data() + coordinate_bytes, detail::int_size(coordinate_bytes)) < 0) {
    return detail::refusal(ErrorCode::invalid_request, "an ECDSA signature beyond its curve");
  }
  return raw;
}

}  // namespace intaglio::crypto
