#include "custody/wrapped/pkcs11_wrap.h"

#include "base/log.h"
#include "custody/wrapped/lock.h"

namespace intaglio::custody {
namespace {

/// Each field has its length before it, so that no two bindings have the same bytes.
Bytes associated_data(const KeyBinding& binding, const crypto::PublicKey& key) {
  Bytes out;
  append_field(out, std::string_view("intaglio/wrapped-key/1"));
  append_field(out, binding.owner.text());
  append_field(out, binding.holder);
  append_field(out, binding.key.text());
  append_field(out, binding.profile);
  append_field(out, std::uint64_t{static_cast<std::uint8_t>(key.algorithm())});
  append_field(out, key.spki());
  append_field(out, binding.policy_version);
  return out;
}

}  // namespace

Status Pkcs11Wrap::make_master_keys(token::Token& token, const MasterKeyIds& ids) {
  auto wrapping = token.generate_service_key(token::KeyPurpose::key_wrapping, ids.wrapping, "wrapped custody");
  if (!wrapping) return wrapping.error();
  auto encryption = token.generate_service_key(token::KeyPurpose::data_encryption, ids.encryption, "wrapped custody");
  if (encryption) return {};
  // One master key without the other is of no use, and stands in the way of the next attempt.
  if (auto gone = token.destroy(*wrapping); !gone) log::refusal("master key not destroyed", gone.error());
  return encryption.error();
}

Result<std::unique_ptr<Pkcs11Wrap>> Pkcs11Wrap::open(std::shared_ptr<token::Token> token, const MasterKeyIds& ids) {
  auto master = token->find_service_key(token::KeyPurpose::key_wrapping, ids.wrapping);
  if (!master) return master.error();
  auto encryption = token->find_service_key(token::KeyPurpose::data_encryption, ids.encryption);
  if (!encryption) return encryption.error();
  auto wrapping = token::KeyWrapping::open(token, *std::move(master));
  if (!wrapping) return wrapping.error();
  return std::unique_ptr<Pkcs11Wrap>(new Pkcs11Wrap(std::move(token), *std::move(wrapping), *std::move(encryption)));
}

Result<SealedKey> Pkcs11Wrap::seal(const KeyBinding& binding, const crypto::PublicKey& key, const token::WrappedKey& wrapped,
                                   const Secret& lock) {
  auto locked = close_lock(lock, binding, wrapped.keypass);
  if (!locked) return locked.error();
  auto blob = token_->encrypt(encryption_, wrapped.key, associated_data(binding, key));
  if (!blob) return blob.error();
  return SealedKey{*std::move(blob), *std::move(locked)};
}

Result<token::WrappedKey> Pkcs11Wrap::unseal(const KeyBinding& binding, const crypto::PublicKey& key, const SealedKey& sealed,
                                             const Secret& lock) {
  auto keypass = open_lock(lock, binding, sealed.locked);
  if (!keypass) return keypass.error();
  // Before the keypass, so that a damaged row is told from a wrong lock and costs the signer no attempt.
  auto inner = token_->decrypt(encryption_, sealed.blob, associated_data(binding, key));
  if (!inner) {
    if (inner.error().code != ErrorCode::invalid_request) return inner.error();
    return Error{ErrorCode::storage_unavailable, "the blob is damaged or was sealed for another binding: " + inner.error().detail};
  }
  return token::WrappedKey{to_bytes(inner->reveal()), *std::move(keypass)};
}

Result<SealedPair> Pkcs11Wrap::generate(const KeyBinding& binding, crypto::KeyAlgorithm algorithm, const Secret& lock) {
  auto made = wrapping_->generate(algorithm);
  if (!made) return made.error();
  auto sealed = seal(binding, made->public_key, made->wrapped, lock);
  if (!sealed) return sealed.error();
  return SealedPair{std::move(made->public_key), *std::move(sealed)};
}

Result<token::ActivatedKey> Pkcs11Wrap::activate(const KeyBinding& binding, const crypto::PublicKey& expected, const SealedKey& sealed,
                                                 const Secret& lock) {
  auto wrapped = unseal(binding, expected, sealed, lock);
  if (!wrapped) return wrapped.error();
  return wrapping_->activate(expected, *wrapped);
}

Result<SealedKey> Pkcs11Wrap::change_lock(const KeyBinding& old_binding, const KeyBinding& new_binding, const crypto::PublicKey& expected,
                                          const SealedKey& old, const Secret& old_lock, const Secret& new_lock) {
  auto wrapped = unseal(old_binding, expected, old, old_lock);
  if (!wrapped) return wrapped.error();
  auto moved = wrapping_->rewrap(expected, *wrapped);
  if (!moved) return moved.error();
  return seal(new_binding, expected, *moved, new_lock);
}

}  // namespace intaglio::custody
