#include "token/detail/key_profile.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "base/check.h"

namespace intaglio::token::detail {
namespace {

using crypto::KeyAlgorithm;

struct Flag {
  CK_ATTRIBUTE_TYPE type;
  bool value;
  std::string_view name;
};

struct Curve {
  KeyAlgorithm algorithm;
  std::size_t oid_length;
  std::array<std::uint8_t, 10> oid;  // DER, RFC 5480 section 2.1.1.1
};
constexpr std::array curves = {
    Curve{KeyAlgorithm::p256, 10, {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07}},
    Curve{KeyAlgorithm::p384, 7, {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22}},
    Curve{KeyAlgorithm::p521, 7, {0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x23}},
};

ByteView oid_of(const Curve& curve) noexcept { return ByteView(curve.oid).first(curve.oid_length); }

std::vector<Flag> stated_flags(const KeyProfile& profile, bool stored) {
  std::vector<Flag> flags = {
      {CKA_TOKEN, stored, "CKA_TOKEN"},
      {CKA_PRIVATE, true, "CKA_PRIVATE"},
      {CKA_MODIFIABLE, profile.modifiable, "CKA_MODIFIABLE"},
      {CKA_COPYABLE, false, "CKA_COPYABLE"},
      {CKA_DESTROYABLE, true, "CKA_DESTROYABLE"},
      {CKA_SENSITIVE, true, "CKA_SENSITIVE"},
      {CKA_EXTRACTABLE, profile.extractable, "CKA_EXTRACTABLE"},
      {CKA_WRAP_WITH_TRUSTED, false, "CKA_WRAP_WITH_TRUSTED"},
      {CKA_SIGN, profile.sign, "CKA_SIGN"},
      {CKA_DECRYPT, profile.encrypt, "CKA_DECRYPT"},
      {CKA_UNWRAP, profile.unwrap, "CKA_UNWRAP"},
      {CKA_DERIVE, profile.derive, "CKA_DERIVE"},
  };
  if (is_pair(profile)) {
    flags.push_back({CKA_SIGN_RECOVER, false, "CKA_SIGN_RECOVER"});
    flags.push_back({CKA_ALWAYS_AUTHENTICATE, false, "CKA_ALWAYS_AUTHENTICATE"});
  } else {
    flags.push_back({CKA_VERIFY, false, "CKA_VERIFY"});
    flags.push_back({CKA_ENCRYPT, profile.encrypt, "CKA_ENCRYPT"});
    flags.push_back({CKA_WRAP, profile.wrap, "CKA_WRAP"});
  }
  return flags;
}

std::array<Flag, 3> implied_flags(const KeyProfile& profile) {
  return {{{CKA_ALWAYS_SENSITIVE, !profile.unwrapped, "CKA_ALWAYS_SENSITIVE"},
           {CKA_NEVER_EXTRACTABLE, !profile.unwrapped && !profile.extractable, "CKA_NEVER_EXTRACTABLE"},
           {CKA_LOCAL, !profile.unwrapped, "CKA_LOCAL"}}};
}

bool is_optional(CK_ATTRIBUTE_TYPE type) {
  const auto& types = optional_attributes();
  return std::find(types.begin(), types.end(), type) != types.end();
}

Error differs(std::string_view attribute) {
  return {ErrorCode::token_unavailable, "the token made or keeps a key whose " + std::string(attribute) + " is not as stated"};
}

bool mechanisms_differ(const Bytes& read, std::vector<CK_MECHANISM_TYPE> stated) {
  std::vector<CK_MECHANISM_TYPE> found(read.size() / sizeof(CK_MECHANISM_TYPE));
  if (!found.empty()) std::memcpy(found.data(), read.data(), found.size() * sizeof(CK_MECHANISM_TYPE));
  std::sort(found.begin(), found.end());
  std::sort(stated.begin(), stated.end());
  return found != stated;
}

/// CKA_EC_POINT is an OCTET STRING that holds the point (v2.40, 2.3.3); some modules give the point itself.
Result<ByteView> bare_point(ByteView value, std::size_t length, HsmProfile::EcPoint form) {
  const std::size_t header = length < 128 ? 2 : 3;
  if (value.size() == length && form != HsmProfile::EcPoint::octet_string) return value;
  const bool wrapped = value.size() == length + header && value[0] == 0x04 && value[header - 1] == length;
  if (wrapped && form != HsmProfile::EcPoint::bare) return value.subspan(header);
  return Error{ErrorCode::unsupported, "CKA_EC_POINT is not in the form that the HSM profile states"};
}

}  // namespace

KeyProfile profile_of(KeyPurpose purpose, KeyAlgorithm algorithm) {
  switch (purpose) {
    case KeyPurpose::signer:
      if (crypto::is_rsa(algorithm)) {
        return {purpose, "signer/", CKO_PRIVATE_KEY, CKK_RSA, CKM_RSA_PKCS_KEY_PAIR_GEN, {CKM_RSA_PKCS, CKM_RSA_PKCS_PSS}, true,
                false,   false};
      }
      return {purpose, "signer/", CKO_PRIVATE_KEY, CKK_EC, CKM_EC_KEY_PAIR_GEN, {CKM_ECDSA}, true, false, false};
    case KeyPurpose::service_signature:
      // An authority signs with PSS alone (TS 119 312, 7.3: no new use of PKCS#1 v1.5).
      if (crypto::is_rsa(algorithm)) {
        return {purpose, "service-signature/", CKO_PRIVATE_KEY, CKK_RSA, CKM_RSA_PKCS_KEY_PAIR_GEN, {CKM_RSA_PKCS_PSS}, true, false, false};
      }
      return {purpose, "service-signature/", CKO_PRIVATE_KEY, CKK_EC, CKM_EC_KEY_PAIR_GEN, {CKM_ECDSA}, true, false, false};
    case KeyPurpose::key_agreement:
      return {purpose, "key-agreement/", CKO_PRIVATE_KEY, CKK_EC, CKM_EC_KEY_PAIR_GEN, {CKM_ECDH1_DERIVE}, false, false, true};
    case KeyPurpose::hmac:
      return {purpose, "hmac/", CKO_SECRET_KEY, CKK_GENERIC_SECRET, CKM_GENERIC_SECRET_KEY_GEN, {CKM_SHA256_HMAC}, true, false, false};
    case KeyPurpose::data_encryption:
      return {purpose, "data-encryption/", CKO_SECRET_KEY, CKK_AES, CKM_AES_KEY_GEN, {CKM_AES_GCM}, false, true, false};
    case KeyPurpose::key_wrapping: {
      KeyProfile master{purpose, "key-wrapping/", CKO_SECRET_KEY, CKK_AES, CKM_AES_KEY_GEN, {CKM_AES_KEY_WRAP_PAD}, false, false, false};
      master.wrap = master.unwrap = true;
      return master;
    }
  }
  panic("a key purpose that does not exist");
}

Template key_template(const KeyProfile& profile, ByteView id, std::string_view label, bool stored) {
  Template attributes;
  attributes.number(CKA_CLASS, profile.object_class).number(CKA_KEY_TYPE, profile.key_type);
  for (const auto& flag : stated_flags(profile, stored)) attributes.flag(flag.type, flag.value);
  attributes.bytes(CKA_ID, id).bytes(CKA_LABEL, as_bytes(std::string(profile.prefix).append(label)));
  attributes.mechanisms(CKA_ALLOWED_MECHANISMS, profile.allowed);
  // An unwrapped key has the length that it had.
  if (!is_pair(profile) && !profile.unwrapped) attributes.number(CKA_VALUE_LEN, 32);
  return attributes;
}

Template public_template(const KeyProfile& profile, KeyAlgorithm algorithm, ByteView id, std::string_view label, bool stored) {
  Template attributes;
  attributes.number(CKA_CLASS, CKO_PUBLIC_KEY).number(CKA_KEY_TYPE, profile.key_type);
  attributes.flag(CKA_TOKEN, stored)
      .flag(CKA_PRIVATE, false)
      .flag(CKA_MODIFIABLE, false)
      .flag(CKA_COPYABLE, false)
      .flag(CKA_DESTROYABLE, true);
  attributes.flag(CKA_VERIFY, profile.sign).flag(CKA_VERIFY_RECOVER, false).flag(CKA_ENCRYPT, false).flag(CKA_WRAP, false);
  attributes.flag(CKA_DERIVE, profile.derive);
  attributes.bytes(CKA_ID, id).bytes(CKA_LABEL, as_bytes(std::string(profile.prefix).append(label)));
  if (crypto::is_rsa(algorithm)) {
    constexpr std::array<std::uint8_t, 3> f4 = {0x01, 0x00, 0x01};
    attributes.number(CKA_MODULUS_BITS, crypto::bits_of(algorithm)).bytes(CKA_PUBLIC_EXPONENT, f4);
  } else {
    for (const auto& curve : curves) {
      if (curve.algorithm == algorithm) attributes.bytes(CKA_EC_PARAMS, oid_of(curve));
    }
  }
  return attributes;
}

const std::vector<CK_ATTRIBUTE_TYPE>& optional_attributes() {
  static const std::vector<CK_ATTRIBUTE_TYPE> types = {CKA_COPYABLE,     CKA_DESTROYABLE,    CKA_WRAP_WITH_TRUSTED, CKA_ALWAYS_AUTHENTICATE,
                                                       CKA_SIGN_RECOVER, CKA_VERIFY_RECOVER, CKA_ALLOWED_MECHANISMS};
  return types;
}

void adapt(Template& attributes, const HsmProfile& hsm) {
  for (const auto type : hsm.attributes_not_known) attributes.drop(type);
}

void adapt_public(Template& attributes, const HsmProfile& hsm) {
  adapt(attributes, hsm);
  for (const auto type : hsm.public_flags_not_stated) attributes.drop(type);
}

Status verify_attributes(const ObjectView& view, const KeyProfile& profile, bool stored) {
  auto flags = stated_flags(profile, stored);
  const auto implied = implied_flags(profile);
  flags.insert(flags.end(), implied.begin(), implied.end());
  for (const auto& flag : flags) {
    const auto read = read_flag(view, flag.type);
    if (!read && is_optional(flag.type)) continue;
    if (refused_by("token.attributes_read_back", read != flag.value)) return differs(flag.name);
  }
  if (refused_by("token.key_type_read_back", read_number(view, CKA_KEY_TYPE) != profile.key_type)) return differs("CKA_KEY_TYPE");
  if (auto allowed = read_bytes(view, CKA_ALLOWED_MECHANISMS)) {
    if (refused_by("token.mechanisms_read_back", mechanisms_differ(*allowed, profile.allowed))) return differs("CKA_ALLOWED_MECHANISMS");
  }
  return {};
}

Result<KeyAlgorithm> read_curve(const ObjectView& view) {
  auto parameters = read_bytes(view, CKA_EC_PARAMS);
  if (!parameters) return parameters.error();
  for (const auto& curve : curves) {
    if (std::ranges::equal(*parameters, oid_of(curve))) return curve.algorithm;
  }
  return Error{ErrorCode::unsupported, "an EC key on a curve that we do not serve"};
}

Result<crypto::PublicKey> read_public_key(const ObjectView& view, HsmProfile::EcPoint form) {
  const auto type = read_number(view, CKA_KEY_TYPE);
  if (type == CKK_RSA) {
    auto modulus = read_bytes(view, CKA_MODULUS);
    if (!modulus) return modulus.error();
    auto exponent = read_bytes(view, CKA_PUBLIC_EXPONENT);
    if (!exponent) return exponent.error();
    return crypto::PublicKey::from_rsa(*modulus, *exponent);
  }
  if (type != CKK_EC) return Error{ErrorCode::unsupported, "a key pair that is neither RSA nor EC"};
  auto algorithm = read_curve(view);
  if (!algorithm) return algorithm.error();
  auto value = read_bytes(view, CKA_EC_POINT);
  if (!value) return value.error();
  auto point = bare_point(*value, 1 + 2 * ((crypto::bits_of(*algorithm) + 7) / 8), form);
  if (!point) return point.error();
  return crypto::PublicKey::from_ec_point(*algorithm, *point);
}

}  // namespace intaglio::token::detail
