#include "token/detail/wrapping_session.h"

#include "base/check.h"
#include "token/detail/fault.h"
#include "token/wrapping.h"

namespace intaglio::token::detail {
namespace {

/// The PKCS#8 of an RSA-4096 key has less than 2.5 KiB.
constexpr std::size_t max_wrapped = 4096;

KeyProfile keypass_profile() {
  return {KeyPurpose::key_wrapping, "keypass/", CKO_SECRET_KEY, CKK_AES, CKM_AES_KEY_GEN, {CKM_AES_KEY_WRAP_PAD}, false, false, false};
}

/// Names the session objects: CKA_ID and CKA_LABEL are stated like everything else.
constexpr std::string_view session_name = "session";

/// Whether an unwrapped private key is another than `expected`, as far as its object tells: the modulus of an RSA key, the curve
/// of an EC key, with which tokens keep no point.
Result<bool> is_other_key(const ObjectView& view, const crypto::PublicKey& expected) {
  if (crypto::is_rsa(expected.algorithm())) {
    const auto found = read_public_key(view);
    if (!found) return found.error();
    return found->spki() != expected.spki();
  }
  const auto curve = read_curve(view);
  if (!curve) return curve.error();
  return *curve != expected.algorithm();
}

/// SoftHSM 2.6.1 unwraps nothing that is not modifiable (CKR_ATTRIBUTE_READ_ONLY; its issue 707). What counts cannot be modified
/// anyway: neither that a key is sensitive and not extractable (PKCS#11 v2.40, 4.9), nor its mechanisms.
void is_unwrapped(KeyProfile& profile) { profile.unwrapped = profile.modifiable = true; }

}  // namespace

KeyProfile new_keypass() {
  auto profile = keypass_profile();
  profile.wrap = profile.extractable = true;
  return profile;
}

KeyProfile opened_keypass() {
  auto profile = keypass_profile();
  profile.unwrap = true;
  is_unwrapped(profile);
  return profile;
}

KeyProfile new_signer_key(crypto::KeyAlgorithm algorithm) {
  auto profile = profile_of(KeyPurpose::signer, algorithm);
  profile.sign = false;
  profile.extractable = true;
  return profile;
}

KeyProfile moving_signer_key(crypto::KeyAlgorithm algorithm) {
  auto profile = new_signer_key(algorithm);
  is_unwrapped(profile);
  return profile;
}

KeyProfile activated_signer_key(crypto::KeyAlgorithm algorithm) {
  auto profile = profile_of(KeyPurpose::signer, algorithm);
  is_unwrapped(profile);
  return profile;
}

ObjectView WrappingSession::view(const SessionObject& object) {
  return {connection_.functions(), connection_.counters(), lease_.session(), object.handle(), object.kind()};
}

WrappingStep WrappingSession::ended(Function function, const SessionObject& object, CK_RV result, WrappingPlace place) {
  connection_.counters().record(function, object.kind(), result);
  const auto injected = injected_fault();
  ++step_;
  if (injected.fault == Fault::wrapping_step && (injected.step == 0 ? function == Function::unwrap_key : injected.step == step_)) {
    result = CKR_GENERAL_ERROR;
  }
  if (result != CKR_OK) lease_.retire();
  return {name_of(function), result, place, std::nullopt};
}

WrappingStep WrappingSession::refuse(Error error, WrappingPlace place) { return {{}, CKR_OK, place, std::move(error)}; }

WrappingStep WrappingSession::make_keypass(SessionObject& keypass) {
  const auto profile = new_keypass();
  auto attributes = key_template(profile, as_bytes(session_name), session_name, false);
  CK_MECHANISM mechanism{profile.generation, nullptr, 0};
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  lease_.renew();
  const auto result = connection_.functions().C_GenerateKey(lease_.session(), &mechanism, attributes.data(), attributes.size(), &handle);
  auto step = ended(Function::generate_key, keypass, result, WrappingPlace::elsewhere);
  if (!step.well()) return step;
  keypass.hold(handle);
  if (auto read = verify_attributes(view(keypass), profile, false); !read) return refuse(read.error(), step.place);
  return step;
}

WrappingStep WrappingSession::make_pair(crypto::KeyAlgorithm algorithm, SessionObject& own, SessionObject& other,
                                        std::optional<crypto::PublicKey>& key) {
  const auto profile = new_signer_key(algorithm);
  auto attributes = key_template(profile, as_bytes(session_name), session_name, false);
  auto halves = public_template(profile, algorithm, as_bytes(session_name), session_name, false);
  CK_MECHANISM mechanism{profile.generation, nullptr, 0};
  CK_OBJECT_HANDLE own_handle = CK_INVALID_HANDLE;
  CK_OBJECT_HANDLE other_handle = CK_INVALID_HANDLE;
  lease_.renew();
  const auto result = connection_.functions().C_GenerateKeyPair(lease_.session(), &mechanism, halves.data(), halves.size(),
                                                                attributes.data(), attributes.size(), &other_handle, &own_handle);
  auto step = ended(Function::generate_key_pair, own, result, WrappingPlace::elsewhere);
  if (!step.well()) return step;
  own.hold(own_handle);
  other.hold(other_handle);
  if (auto read = verify_attributes(view(own), profile, false); !read) return refuse(read.error(), step.place);
  auto found = read_public_key(view(other));
  if (!found) return refuse(found.error(), step.place);
  if (found->algorithm() != algorithm) {
    return refuse({ErrorCode::token_unavailable, "the token made a key of another algorithm"}, step.place);
  }
  key = *std::move(found);
  return step;
}

WrappingStep WrappingSession::wrap(CK_OBJECT_HANDLE wrapping, const SessionObject& key, Bytes& wrapped) {
  CK_MECHANISM mechanism{CKM_AES_KEY_WRAP_PAD, nullptr, 0};
  wrapped.resize(max_wrapped);
  CK_ULONG length = wrapped.size();
  lease_.renew();
  const auto result = connection_.functions().C_WrapKey(lease_.session(), &mechanism, wrapping, key.handle(), wrapped.data(), &length);
  auto step = ended(Function::wrap_key, key, result, WrappingPlace::elsewhere);
  if (step.well()) wrapped.resize(length);
  return step;
}

WrappingStep WrappingSession::unwrap(CK_OBJECT_HANDLE unwrapping, ByteView wrapped, const KeyProfile& profile, SessionObject& object,
                                     WrappingPlace place) {
  auto attributes = key_template(profile, as_bytes(session_name), session_name, false);
  CK_MECHANISM mechanism{CKM_AES_KEY_WRAP_PAD, nullptr, 0};
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  lease_.renew();
  // PKCS#11 takes what it only reads through a pointer that is not const.
  const auto result =
      connection_.functions().C_UnwrapKey(lease_.session(), &mechanism, unwrapping, const_cast<CK_BYTE*>(wrapped.data()),
                                          static_cast<CK_ULONG>(wrapped.size()), attributes.data(), attributes.size(), &handle);
  auto step = ended(Function::unwrap_key, object, result, place);
  if (!step.well()) return step;
  object.hold(handle);
  if (auto read = verify_attributes(view(object), profile, false); !read) return refuse(read.error(), place);
  return step;
}

WrappingStep WrappingSession::unwrap_keypass(CK_OBJECT_HANDLE master, ByteView wrapped, SessionObject& keypass) {
  // RFC 5649 makes 40 bytes of a key of 25 to 32, and AES has none of those but the longest: SoftHSM 2.6.1 tells no length
  // of a key that it unwrapped.
  if (refused_by("token.keypass_length", wrapped.size() != wrapped_keypass_length)) {
    return refuse({ErrorCode::storage_unavailable, "a wrapped keypass that is no AES-256 key"}, WrappingPlace::keypass);
  }
  return unwrap(master, wrapped, opened_keypass(), keypass, WrappingPlace::keypass);
}

WrappingStep WrappingSession::unwrap_key(const SessionObject& keypass, ByteView wrapped, const KeyProfile& profile,
                                         const crypto::PublicKey& expected, SessionObject& key) {
  auto step = unwrap(keypass.handle(), wrapped, profile, key, WrappingPlace::key);
  if (!step.well()) return step;
  const auto other = is_other_key(view(key), expected);
  if (!other) return refuse(other.error(), step.place);
  if (refused_by("token.unwrapped_key_is_expected", *other)) {
    return refuse({ErrorCode::storage_unavailable, "the key that was unwrapped is not the key of this record"}, step.place);
  }
  return step;
}

}  // namespace intaglio::token::detail
