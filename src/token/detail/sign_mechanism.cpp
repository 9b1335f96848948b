#include "token/detail/sign_mechanism.h"

#include <cstring>

#include "base/check.h"
#include "crypto/public_key.h"

namespace intaglio::token::detail {
namespace {

using crypto::HashAlgorithm;
using crypto::SignatureSuite;

// DigestInfo up to the digest, RFC 8017 section 9.2, note 1.
constexpr std::array<std::uint8_t, 19> sha256_info = {0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                                      0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};
constexpr std::array<std::uint8_t, 19> sha384_info = {0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                                      0x65, 0x03, 0x04, 0x02, 0x02, 0x05, 0x00, 0x04, 0x30};
constexpr std::array<std::uint8_t, 19> sha512_info = {0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                                      0x65, 0x03, 0x04, 0x02, 0x03, 0x05, 0x00, 0x04, 0x40};

ByteView digest_info(HashAlgorithm hash) noexcept {
  switch (hash) {
    case HashAlgorithm::sha256: return sha256_info;
    case HashAlgorithm::sha384: return sha384_info;
    case HashAlgorithm::sha512: return sha512_info;
  }
  return {};
}

CK_RSA_PKCS_PSS_PARAMS pss_parameters(HashAlgorithm hash) noexcept {
  const auto salt = static_cast<unsigned long>(crypto::digest_length(hash));
  switch (hash) {
    case HashAlgorithm::sha256: return {CKM_SHA256, CKG_MGF1_SHA256, salt};
    case HashAlgorithm::sha384: return {CKM_SHA384, CKG_MGF1_SHA384, salt};
    case HashAlgorithm::sha512: return {CKM_SHA512, CKG_MGF1_SHA512, salt};
  }
  return {};
}

}  // namespace

SignMechanism::SignMechanism(SignatureSuite suite, ByteView digest) noexcept {
  switch (suite) {
    case SignatureSuite::rsa_pss_sha256:
    case SignatureSuite::rsa_pss_sha384:
    case SignatureSuite::rsa_pss_sha512:
      pss_ = pss_parameters(crypto::hash_of(suite));
      mechanism_ = {CKM_RSA_PKCS_PSS, &pss_, sizeof pss_};
      break;
    case SignatureSuite::rsa_pkcs1_sha256:
    case SignatureSuite::rsa_pkcs1_sha384:
    case SignatureSuite::rsa_pkcs1_sha512: {
      const auto info = digest_info(crypto::hash_of(suite));
      std::memcpy(input_.data(), info.data(), info.size());
      length_ = info.size();
      mechanism_ = {CKM_RSA_PKCS, nullptr, 0};
      break;
    }
    case SignatureSuite::ecdsa_sha256:
    case SignatureSuite::ecdsa_sha384:
    case SignatureSuite::ecdsa_sha512: mechanism_ = {CKM_ECDSA, nullptr, 0}; break;
  }
  if (digest.size() > input_.size() - length_) panic("a digest that was not checked");
  std::memcpy(input_.data() + length_, digest.data(), digest.size());
  length_ += digest.size();
}

CK_MECHANISM_TYPE mechanism_of(SignatureSuite suite) noexcept {
  switch (suite) {
    case SignatureSuite::rsa_pss_sha256:
    case SignatureSuite::rsa_pss_sha384:
    case SignatureSuite::rsa_pss_sha512: return CKM_RSA_PKCS_PSS;
    case SignatureSuite::rsa_pkcs1_sha256:
    case SignatureSuite::rsa_pkcs1_sha384:
    case SignatureSuite::rsa_pkcs1_sha512: return CKM_RSA_PKCS;
    case SignatureSuite::ecdsa_sha256:
    case SignatureSuite::ecdsa_sha384:
    case SignatureSuite::ecdsa_sha512: break;
  }
  return CKM_ECDSA;
}

Status check_sign_input(crypto::KeyAlgorithm key, SignatureSuite suite, ByteView digest) {
  const auto wanted = crypto::digest_length(crypto::hash_of(suite));
  if (refused_by("token.digest_length", digest.size() != wanted) || digest.size() > 64) {
    return Error{ErrorCode::digest_length,
                 "the digest has " + std::to_string(digest.size()) + " bytes instead of " + std::to_string(wanted)};
  }
  if (refused_by("token.suite_fits_key", !crypto::fits(key, suite))) {
    return Error{ErrorCode::algorithm_refused, std::string(crypto::name_of(suite)) + " with a key of " + std::string(crypto::name_of(key))};
  }
  return {};
}

Result<Bytes> released_form(crypto::KeyAlgorithm key, ByteView raw) {
  const std::size_t field = (crypto::bits_of(key) + 7) / 8;
  const std::size_t wanted = crypto::is_rsa(key) ? field : 2 * field;
  if (raw.size() != wanted)
    return Error{ErrorCode::token_unavailable, "the token gave a signature of " + std::to_string(raw.size()) + " bytes"};
  if (crypto::is_rsa(key)) return to_bytes(raw);
  return crypto::ecdsa_to_der(raw);
}

}  // namespace intaglio::token::detail
