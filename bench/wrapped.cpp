#include <deque>

#include "crypto/random.h"
#include "raw_module.h"

namespace intaglio::bench {
namespace {

constexpr std::size_t tag_bytes = 16;
/// As long as the binding of a key of P-256, of which the custody room makes the associated data.
constexpr std::size_t associated_bytes = 256;
constexpr std::string_view wrapping_id = "wrap", encryption_id = "seal";

/// A key in two stages, as docs/decisions/0010 has it, made with bare calls.
struct Wrapped {
  crypto::PublicKey key;
  Bytes keypass;  ///< under the wrapping master key
  Bytes nonce, associated;
  Bytes inner;    ///< the key under its keypass, sealed under the encrypting master key
};

class Template {
 public:
  Template& number(CK_ATTRIBUTE_TYPE type, CK_ULONG value) { return add(type, &numbers_.emplace_back(value), sizeof value); }
  Template& flag(CK_ATTRIBUTE_TYPE type, bool value) {
    return add(type, &flags_.emplace_back(static_cast<CK_BBOOL>(value ? CK_TRUE : CK_FALSE)), sizeof(CK_BBOOL));
  }
  Template& bytes(CK_ATTRIBUTE_TYPE type, Bytes value) {
    auto& kept = bytes_.emplace_back(std::move(value));
    return add(type, kept.data(), kept.size());
  }
  [[nodiscard]] CK_ATTRIBUTE* data() { return attributes_.data(); }
  [[nodiscard]] CK_ULONG size() const { return attributes_.size(); }

 private:
  Template& add(CK_ATTRIBUTE_TYPE type, void* value, CK_ULONG length) {
    attributes_.push_back({type, value, length});
    return *this;
  }
  std::deque<CK_ULONG> numbers_;
  std::deque<CK_BBOOL> flags_;
  std::deque<Bytes> bytes_;
  std::vector<CK_ATTRIBUTE> attributes_;
};

void good(std::string_view what, CK_RV result) {
  if (result != CKR_OK) fail(what);
}

Template private_key(const Kind& kind, bool unwrapped) {
  Template attributes;
  attributes.number(CKA_CLASS, CKO_PRIVATE_KEY).number(CKA_KEY_TYPE, crypto::is_rsa(kind.algorithm) ? CKK_RSA : CKK_EC);
  attributes.flag(CKA_TOKEN, false).flag(CKA_PRIVATE, true).flag(CKA_SENSITIVE, true).flag(CKA_EXTRACTABLE, !unwrapped);
  attributes.flag(CKA_SIGN, unwrapped).flag(CKA_DECRYPT, false).flag(CKA_UNWRAP, false);
  return attributes;
}

Template keypass(bool unwrapped) {
  Template attributes;
  attributes.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES);
  attributes.flag(CKA_TOKEN, false).flag(CKA_PRIVATE, true).flag(CKA_SENSITIVE, true).flag(CKA_EXTRACTABLE, !unwrapped);
  attributes.flag(CKA_WRAP, !unwrapped).flag(CKA_UNWRAP, unwrapped);
  if (!unwrapped) attributes.number(CKA_VALUE_LEN, 32);
  return attributes;
}

Bytes wrap(const CK_FUNCTION_LIST& functions, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE by, CK_OBJECT_HANDLE key) {
  CK_MECHANISM mechanism{CKM_AES_KEY_WRAP_PAD, nullptr, 0};
  Bytes wrapped(4096);
  CK_ULONG length = wrapped.size();
  good("C_WrapKey", functions.C_WrapKey(session, &mechanism, by, key, wrapped.data(), &length));
  wrapped.resize(length);
  return wrapped;
}

CK_GCM_PARAMS gcm(Bytes& nonce, Bytes& associated) {
  CK_GCM_PARAMS parameters{};
  parameters.iv_ptr = nonce.data();
  parameters.iv_len = nonce.size();
  parameters.iv_bits = nonce.size() * 8;
  parameters.aad_ptr = associated.data();
  parameters.aad_len = associated.size();
  parameters.tag_bits = tag_bytes * 8;
  return parameters;
}

crypto::PublicKey public_half(const CK_FUNCTION_LIST& functions, CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, const Kind& kind) {
  const auto read = [&](CK_ATTRIBUTE_TYPE type) {
    Bytes value(1024);
    CK_ATTRIBUTE wanted{type, value.data(), value.size()};
    good("C_GetAttributeValue", functions.C_GetAttributeValue(session, object, &wanted, 1));
    value.resize(wanted.ulValueLen);
    return value;
  };
  if (crypto::is_rsa(kind.algorithm)) {
    return must("RSA key", crypto::PublicKey::from_rsa(read(CKA_MODULUS), read(CKA_PUBLIC_EXPONENT)));
  }
  // An OCTET STRING around the point (PKCS#11 v2.40, 2.3.3).
  return must("EC key", crypto::PublicKey::from_ec_point(kind.algorithm, ByteView(read(CKA_EC_POINT)).subspan(2)));
}

Wrapped make_wrapped(const RawModule& module, const Kind& kind) {
  const auto& functions = module.functions();
  const auto session = module.open_session();
  const bool rsa = crypto::is_rsa(kind.algorithm);
  CK_MECHANISM generation{rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN, nullptr, 0};
  Template shown;
  shown.number(CKA_CLASS, CKO_PUBLIC_KEY).flag(CKA_TOKEN, false);
  if (rsa) {
    shown.number(CKA_MODULUS_BITS, 3072).bytes(CKA_PUBLIC_EXPONENT, {1, 0, 1});
  } else {
    shown.bytes(CKA_EC_PARAMS, {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07});
  }
  auto own = private_key(kind, /*unwrapped=*/false);
  CK_OBJECT_HANDLE shown_handle = 0, own_handle = 0, keypass_handle = 0;
  good("C_GenerateKeyPair",
       functions.C_GenerateKeyPair(session, &generation, shown.data(), shown.size(), own.data(), own.size(), &shown_handle, &own_handle));
  CK_MECHANISM aes{CKM_AES_KEY_GEN, nullptr, 0};
  auto pass = keypass(/*unwrapped=*/false);
  good("C_GenerateKey", functions.C_GenerateKey(session, &aes, pass.data(), pass.size(), &keypass_handle));

  Wrapped made{public_half(functions, session, shown_handle, kind),
               wrap(functions, session, module.find(session, CKO_SECRET_KEY, to_bytes(wrapping_id)), keypass_handle),
               must("random", crypto::random_bytes(12)),
               Bytes(associated_bytes, 0x11),
               {}};
  auto wrapped = wrap(functions, session, keypass_handle, own_handle);
  auto parameters = gcm(made.nonce, made.associated);
  CK_MECHANISM sealing{CKM_AES_GCM, &parameters, sizeof parameters};
  made.inner.resize(wrapped.size() + tag_bytes);
  CK_ULONG length = made.inner.size();
  good("C_EncryptInit", functions.C_EncryptInit(session, &sealing, module.find(session, CKO_SECRET_KEY, to_bytes(encryption_id))));
  good("C_Encrypt", functions.C_Encrypt(session, wrapped.data(), wrapped.size(), made.inner.data(), &length));
  good("C_CloseSession", functions.C_CloseSession(session));
  return made;
}

/// What no activation can do without: the blob is opened, keypass and key are unwrapped, the key signs, both are destroyed, and the
/// signature is verified.
Call activation(const RawModule& module, const Kind& kind, Wrapped wrapped, ByteView digest) {
  const auto session = module.open_session();
  const auto master = module.find(session, CKO_SECRET_KEY, to_bytes(wrapping_id));
  const auto encryption = module.find(session, CKO_SECRET_KEY, to_bytes(encryption_id));
  return [&module, &kind, wrapped = std::move(wrapped), digest, session, master, encryption]() mutable {
    const auto& functions = module.functions();
    auto parameters = gcm(wrapped.nonce, wrapped.associated);
    CK_MECHANISM sealing{CKM_AES_GCM, &parameters, sizeof parameters};
    Bytes inner(wrapped.inner.size());
    CK_ULONG length = inner.size();
    good("C_DecryptInit", functions.C_DecryptInit(session, &sealing, encryption));
    good("C_Decrypt", functions.C_Decrypt(session, wrapped.inner.data(), wrapped.inner.size(), inner.data(), &length));
    CK_MECHANISM unwrapping{CKM_AES_KEY_WRAP_PAD, nullptr, 0};
    CK_OBJECT_HANDLE pass_handle = 0, key_handle = 0;
    auto pass = keypass(/*unwrapped=*/true);
    good("C_UnwrapKey of the keypass", functions.C_UnwrapKey(session, &unwrapping, master, wrapped.keypass.data(), wrapped.keypass.size(),
                                                             pass.data(), pass.size(), &pass_handle));
    auto own = private_key(kind, /*unwrapped=*/true);
    good("C_UnwrapKey of the key",
         functions.C_UnwrapKey(session, &unwrapping, pass_handle, inner.data(), length, own.data(), own.size(), &key_handle));
    good("C_DestroyObject", functions.C_DestroyObject(session, pass_handle));
    std::array<std::uint8_t, 512> out;
    const auto signature = module.sign(session, key_handle, crypto::is_rsa(kind.algorithm), digest, out);
    good("C_DestroyObject", functions.C_DestroyObject(session, key_handle));
    verify_raw(wrapped.key, kind, digest, signature);
    return 1U;
  };
}

}  // namespace

void measure_wrapped(const LocalOptions& options) {
  const auto token = make_token(options);
  (void)must("master key", token->generate_service_key(token::KeyPurpose::key_wrapping, as_bytes(wrapping_id), "wrap"));
  (void)must("master key", token->generate_service_key(token::KeyPurpose::data_encryption, as_bytes(encryption_id), "seal"));
  const RawModule module(options.module);
  const auto digest = must("random", crypto::random_bytes(32));
  for (const auto& kind : measured_kinds()) {
    const auto wrapped = make_wrapped(module, kind);
    for (const auto clients : options.clients) {
      measure({"limit." + kind.name + "-wrapped.c" + std::to_string(clients), clients, options.seconds},
              [&](unsigned) { return activation(module, kind, wrapped, digest); });
    }
  }
}

}  // namespace intaglio::bench
