#include "token/detail/health.h"

#include "base/check.h"
#include "crypto/random.h"
#include "token/detail/fault.h"
#include "token/detail/key_profile.h"
#include "token/detail/sign_mechanism.h"

namespace intaglio::token::detail {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;

Error unwell(Error error) {
  error.code = ErrorCode::token_unavailable;
  return error;
}

}  // namespace

Status Health::check() {
  const std::lock_guard lock(mutex_);
  // Holds off a new login. Not through Connection::lease, whose breaker asks here before it gives one.
  const auto lease = connection_.pool().lease();
  if (!lease) return unwell(lease.error());
  const bool fresh = !probe_ || probe_->session.is_void();
  if (fresh) {
    if (auto made = make_probe_key(); !made) return unwell(made.error());
  }
  auto done = sign_and_verify();
  if (!done && !fresh) {
    // The session of the probe key may be the only thing that was lost.
    if (auto made = make_probe_key(); !made) return unwell(made.error());
    done = sign_and_verify();
  }
  return done ? Status() : Status(unwell(done.error()));
}

Status Health::make_probe_key() {
  probe_.reset();
  // A token without EC still has RSA.
  if (auto made = make_probe_key_of(KeyAlgorithm::p256); made || made.error().code != ErrorCode::unsupported) return made;
  return make_probe_key_of(KeyAlgorithm::rsa2048);
}

Status Health::make_probe_key_of(KeyAlgorithm algorithm) {
  auto session = OwnSession::open(connection_, OwnSession::Access::read_only);
  if (!session) return session.error();
  const auto profile = profile_of(KeyPurpose::signer, algorithm);
  const auto id = as_bytes("intaglio-health");
  auto own = key_template(profile, id, "health", false);
  auto other = public_template(profile, algorithm, id, "health", false);
  CK_MECHANISM mechanism{profile.generation, nullptr, 0};
  CK_OBJECT_HANDLE handle = CK_INVALID_HANDLE;
  CK_OBJECT_HANDLE pair = CK_INVALID_HANDLE;
  const auto result =
      connection_.counters().record(Function::generate_key_pair, ObjectKind::probe_object,
                                    connection_.functions().C_GenerateKeyPair(session->handle(), &mechanism, other.data(), other.size(),
                                                                              own.data(), own.size(), &pair, &handle));
  if (result != CKR_OK) return error_of("C_GenerateKeyPair", result);
  auto key = read_public_key({connection_.functions(), connection_.counters(), session->handle(), pair, ObjectKind::probe_object});
  if (!key) return key.error();
  const auto suite = crypto::is_rsa(algorithm) ? SignatureSuite::rsa_pkcs1_sha256 : SignatureSuite::ecdsa_sha256;
  probe_.emplace(ProbeKey{*std::move(session), handle, *std::move(key), suite});
  return {};
}

Status Health::sign_and_verify() {
  auto digest = crypto::random_bytes(32);
  if (!digest) return digest.error();
  const auto& functions = connection_.functions();
  auto& counters = connection_.counters();
  SignMechanism sign(probe_->suite, *digest);
  const auto session = probe_->session.handle();
  auto result =
      counters.record(Function::sign_init, ObjectKind::probe_object, functions.C_SignInit(session, sign.mechanism(), probe_->handle));
  if (result != CKR_OK) return error_of("C_SignInit", result);
  std::array<std::uint8_t, max_signature> raw;
  CK_ULONG length = raw.size();
  result = counters.record(Function::sign, ObjectKind::probe_object,
                           functions.C_Sign(session, sign.input(), sign.input_length(), raw.data(), &length));
  if (result != CKR_OK || length > raw.size()) return error_of("C_Sign", result);
  if (injected_fault().fault == Fault::unwell) raw[3] ^= 0x01;
  auto signature = released_form(probe_->key.algorithm(), ByteView(raw).first(length));
  if (!signature) return signature.error();
  const auto verified = probe_->key.verify_digest(probe_->suite, *digest, *signature);
  if (refused_by("token.health_signature_verified", !verified)) return verified.error();
  return {};
}

}  // namespace intaglio::token::detail
