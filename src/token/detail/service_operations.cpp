#include "token/detail/service_operations.h"

#include <array>
#include <cstring>

#include "base/check.h"
#include "crypto/random.h"
#include "token/detail/fault.h"
#include "token/detail/health.h"
#include "token/detail/sign_mechanism.h"

namespace intaglio::token::detail {
namespace {

constexpr std::size_t nonce_length = 12;
constexpr std::size_t tag_length = 16;
constexpr std::size_t z_length = 32;
constexpr std::size_t max_data = 1U << 20U;

/// PKCS#11 takes what it only reads through pointers that are not const, and modules refuse null even for no bytes.
CK_BYTE* writable(ByteView bytes) noexcept {
  static CK_BYTE nothing = 0;
  return bytes.empty() ? &nothing : const_cast<CK_BYTE*>(bytes.data());
}
CK_ULONG length_of(ByteView bytes) noexcept { return static_cast<CK_ULONG>(bytes.size()); }

CK_GCM_PARAMS gcm_parameters(ByteView nonce, ByteView associated) noexcept {
  CK_GCM_PARAMS parameters{};
  parameters.iv_ptr = writable(nonce);
  parameters.iv_len = length_of(nonce);
  parameters.iv_bits = length_of(nonce) * 8;
  parameters.aad_ptr = writable(associated);
  parameters.aad_len = length_of(associated);
  parameters.tag_bits = tag_length * 8;
  return parameters;
}

/// Z of a derivation is readable and lives for one call: SoftHSM and most modules know no other way to give it.
Template readable_secret() {
  Template attributes;
  attributes.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_GENERIC_SECRET).number(CKA_VALUE_LEN, z_length);
  attributes.flag(CKA_TOKEN, false).flag(CKA_PRIVATE, true).flag(CKA_SENSITIVE, false).flag(CKA_EXTRACTABLE, true);
  for (const auto use : {CKA_SIGN, CKA_VERIFY, CKA_ENCRYPT, CKA_DECRYPT, CKA_WRAP, CKA_UNWRAP, CKA_DERIVE}) attributes.flag(use, false);
  return attributes;
}

Status check_data(ByteView data) {
  if (data.size() > max_data) return Error{ErrorCode::too_large, "more than a mebibyte for the token"};
  return {};
}

}  // namespace

Error ServiceOperations::failed(CallResult call, bool may_be_input) {
  const auto meaning = class_of(call.result);
  if (may_be_input && (meaning == CkrClass::general || meaning == CkrClass::argument) && health_.check()) {
    return {ErrorCode::invalid_request, "refused by the token, which is well: " + error_of(call.function, call.result).detail};
  }
  connection_.ended_badly(call.result);
  return error_of(call.function, call.result);
}

template <typename Operation>
Status ServiceOperations::run(std::optional<unsigned long> key, bool may_be_input, Operation operation) {
  for (unsigned attempt = 0;; ++attempt) {
    CallResult call{};
    const auto epoch = connection_.epoch();
    {
      auto lease = connection_.lease();
      if (!lease) return lease.error();
      const auto handle = key ? keys_.table().handle(*key) : CK_INVALID_HANDLE;
      if (key && handle == CK_INVALID_HANDLE) return Error{ErrorCode::not_found, "the key is not in the token"};
      call = operation(lease->session(), handle);
      if (call.result != CKR_OK) lease->retire();
    }
    if (call.result == CKR_OK) {
      connection_.ended_well();
      return {};
    }
    if (!connection_.repair(call.result, attempt, epoch)) return failed(call, may_be_input);
  }
}

Result<KeyEntry> ServiceOperations::entry_for(unsigned long key, KeyPurpose purpose) {
  auto entry = keys_.table().entry(key);
  if (!entry) return Error{ErrorCode::not_found, "the key is not in the token"};
  if (refused_by("token.service_key_purpose", entry->purpose != purpose)) {
    return Error{ErrorCode::invalid_request, "a service key is used for another purpose than its own"};
  }
  return *std::move(entry);
}

Result<crypto::PublicKey> ServiceOperations::public_key(unsigned long key) {
  const auto entry = keys_.table().entry(key);
  if (!entry) return Error{ErrorCode::not_found, "the key is not in the token"};
  if (!entry->public_key) return Error{ErrorCode::invalid_request, "a secret key has no public half"};
  return *entry->public_key;
}

Result<Bytes> ServiceOperations::sign(unsigned long key, crypto::SignatureSuite suite, ByteView digest) {
  auto entry = entry_for(key, KeyPurpose::service_signature);
  if (!entry) return entry.error();
  if (!entry->public_key) return Error{ErrorCode::invalid_request, "a secret key does not sign"};
  if (auto checked = check_sign_input(entry->public_key->algorithm(), suite, digest); !checked) return checked.error();
  SignMechanism sign(suite, digest);
  std::array<std::uint8_t, max_signature> raw;
  CK_ULONG length = 0;
  auto done = run(key, false, [&](CK_SESSION_HANDLE session, CK_OBJECT_HANDLE handle) -> CallResult {
    const auto& functions = connection_.functions();
    auto& counters = connection_.counters();
    const auto begun =
        counters.record(Function::sign_init, ObjectKind::service_key, functions.C_SignInit(session, sign.mechanism(), handle));
    if (begun != CKR_OK) return {"C_SignInit", begun};
    length = raw.size();
    return {"C_Sign", counters.record(Function::sign, ObjectKind::service_key,
                                      functions.C_Sign(session, sign.input(), sign.input_length(), raw.data(), &length))};
  });
  if (!done) return done.error();
  if (injected_fault().fault == Fault::wrong_service_signature) raw[3] ^= 0x01;
  auto signature = released_form(entry->public_key->algorithm(), ByteView(raw).first(std::min<std::size_t>(length, raw.size())));
  if (!signature) return signature;
  const auto verified = entry->public_key->verify_digest(suite, digest, *signature);
  if (refused_by("token.service_signature_verified", !verified)) {
    connection_.wrong_signature();
    return Error{ErrorCode::token_unavailable, "a signature of the token does not verify"};
  }
  return signature;
}

Result<Secret> ServiceOperations::hmac(unsigned long key, ByteView data) {
  if (auto entry = entry_for(key, KeyPurpose::hmac); !entry) return entry.error();
  if (auto checked = check_data(data); !checked) return checked.error();
  auto code = Secret::of_size(32);
  auto done = run(key, false, [&](CK_SESSION_HANDLE session, CK_OBJECT_HANDLE handle) -> CallResult {
    const auto& functions = connection_.functions();
    auto& counters = connection_.counters();
    CK_MECHANISM mechanism{CKM_SHA256_HMAC, nullptr, 0};
    const auto begun = counters.record(Function::sign_init, ObjectKind::mac_key, functions.C_SignInit(session, &mechanism, handle));
    if (begun != CKR_OK) return {"C_SignInit", begun};
    CK_ULONG length = 32;
    const auto result = counters.record(Function::sign, ObjectKind::mac_key,
                                        functions.C_Sign(session, writable(data), length_of(data), code.writable().data(), &length));
    return {"C_Sign", result == CKR_OK && length != 32 ? CKR_GENERAL_ERROR : result};
  });
  if (!done) return done.error();
  return code;
}

Result<Bytes> ServiceOperations::encrypt(unsigned long key, ByteView plaintext, ByteView associated) {
  if (auto entry = entry_for(key, KeyPurpose::data_encryption); !entry) return entry.error();
  if (auto checked = check_data(plaintext); !checked) return checked.error();
  auto nonce = crypto::random_bytes(nonce_length);
  if (!nonce) return nonce;
  Bytes sealed = *nonce;
  sealed.resize(nonce_length + plaintext.size() + tag_length);
  auto done = run(key, false, [&](CK_SESSION_HANDLE session, CK_OBJECT_HANDLE handle) -> CallResult {
    const auto& functions = connection_.functions();
    auto& counters = connection_.counters();
    auto parameters = gcm_parameters(*nonce, associated);
    CK_MECHANISM mechanism{CKM_AES_GCM, &parameters, sizeof parameters};
    const auto begun =
        counters.record(Function::encrypt_init, ObjectKind::service_key, functions.C_EncryptInit(session, &mechanism, handle));
    if (begun != CKR_OK) return {"C_EncryptInit", begun};
    CK_ULONG length = plaintext.size() + tag_length;
    const auto result =
        counters.record(Function::encrypt, ObjectKind::service_key,
                        functions.C_Encrypt(session, writable(plaintext), length_of(plaintext), sealed.data() + nonce_length, &length));
    return {"C_Encrypt", result == CKR_OK && length != plaintext.size() + tag_length ? CKR_GENERAL_ERROR : result};
  });
  if (!done) return done.error();
  return sealed;
}

Result<Secret> ServiceOperations::decrypt(unsigned long key, ByteView sealed, ByteView associated) {
  if (auto entry = entry_for(key, KeyPurpose::data_encryption); !entry) return entry.error();
  if (sealed.size() < nonce_length + tag_length || sealed.size() > max_data) {
    return Error{ErrorCode::invalid_request, "sealed data of an impossible length"};
  }
  const auto nonce = sealed.first(nonce_length);
  const auto body = sealed.subspan(nonce_length);
  const auto wanted = body.size() - tag_length;
  // Modules ask for room for the tag as well.
  auto opened = Secret::of_size(body.size());
  auto done = run(key, true, [&](CK_SESSION_HANDLE session, CK_OBJECT_HANDLE handle) -> CallResult {
    const auto& functions = connection_.functions();
    auto& counters = connection_.counters();
    auto parameters = gcm_parameters(nonce, associated);
    CK_MECHANISM mechanism{CKM_AES_GCM, &parameters, sizeof parameters};
    const auto begun =
        counters.record(Function::decrypt_init, ObjectKind::service_key, functions.C_DecryptInit(session, &mechanism, handle));
    if (begun != CKR_OK) return {"C_DecryptInit", begun};
    CK_ULONG length = length_of(body);
    const auto result = counters.record(Function::decrypt, ObjectKind::service_key,
                                        functions.C_Decrypt(session, writable(body), length_of(body), opened.writable().data(), &length));
    return {"C_Decrypt", result == CKR_OK && length != wanted ? CKR_GENERAL_ERROR : result};
  });
  if (!done) return done.error();
  return Secret(opened.reveal().first(wanted));
}

Result<Secret> ServiceOperations::derive(unsigned long key, ByteView peer_point) {
  if (auto entry = entry_for(key, KeyPurpose::key_agreement); !entry) return entry.error();
  // SoftHSM answers a point off the curve as it answers a fault of its own (hsm.md, consequence 13).
  const auto point = crypto::PublicKey::from_ec_point(crypto::KeyAlgorithm::p256, peer_point);
  if (refused_by("token.point_on_curve", !point)) return Error{ErrorCode::invalid_request, "the peer's point is not on P-256"};
  auto z = Secret::of_size(z_length);
  auto done = run(key, true, [&](CK_SESSION_HANDLE session, CK_OBJECT_HANDLE handle) -> CallResult {
    const auto& functions = connection_.functions();
    auto& counters = connection_.counters();
    CK_ECDH1_DERIVE_PARAMS parameters{CKD_NULL, 0, nullptr, length_of(peer_point), writable(peer_point)};
    CK_MECHANISM mechanism{CKM_ECDH1_DERIVE, &parameters, sizeof parameters};
    auto attributes = readable_secret();
    CK_OBJECT_HANDLE secret = CK_INVALID_HANDLE;
    const auto derived = counters.record(Function::derive_key, ObjectKind::service_key,
                                         functions.C_DeriveKey(session, &mechanism, handle, attributes.data(), attributes.size(), &secret));
    if (derived != CKR_OK) return {"C_DeriveKey", derived};
    CK_ULONG length = 0;
    const auto read = read_into({functions, counters, session, secret, ObjectKind::service_key}, CKA_VALUE, z.writable(), length);
    const auto destroyed = counters.record(Function::destroy_object, ObjectKind::service_key, functions.C_DestroyObject(session, secret));
    if (read != CKR_OK || length != z_length) return {"C_GetAttributeValue", read == CKR_OK ? CKR_GENERAL_ERROR : read};
    return {"C_DestroyObject", destroyed};
  });
  if (!done) return done.error();
  return z;
}

Result<Bytes> ServiceOperations::random(std::size_t length) {
  if (length > max_data) return Error{ErrorCode::too_large, "more than a mebibyte of random bytes"};
  Bytes drawn(length);
  if (length == 0) return drawn;
  auto done = run(std::nullopt, false, [&](CK_SESSION_HANDLE session, CK_OBJECT_HANDLE) -> CallResult {
    return {"C_GenerateRandom",
            connection_.counters().record(Function::generate_random, ObjectKind::none,
                                          connection_.functions().C_GenerateRandom(session, drawn.data(), drawn.size()))};
  });
  if (!done) return done.error();
  return drawn;
}

}  // namespace intaglio::token::detail
