#include "token/detail/health.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/random.h"
#include "token/detail/fault.h"
#include "token/detail/key_profile.h"
#include "token/detail/sign_mechanism.h"
#include "token/detail/throw_away.h"

namespace intaglio::token::detail {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;

const auto health_id = as_bytes("intaglio-health");

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
  drop_stored_key();
  return done ? Status() : Status(unwell(done.error()));
}

Status Health::make_probe_key() {
  probe_.reset();
  const auto& hsm = connection_.profile();
  // A token without EC still has RSA.
  if (hsm.serves(KeyAlgorithm::p256)) {
    if (auto made = make_probe_key_of(KeyAlgorithm::p256); made || made.error().code != ErrorCode::unsupported) return made;
  }
  return make_probe_key_of(KeyAlgorithm::rsa2048);
}

void Health::drop_stored_key() {
  if (!stores_throw_away_keys(connection_)) return;
  probe_.reset();
  if (destroy_stored(connection_, health_id) != 0) {
    log::warn("token.health_key_stays", {{"id", std::string(as_text(health_id))}});
  }
}

Status Health::make_probe_key_of(KeyAlgorithm algorithm) {
  const bool stored = stores_throw_away_keys(connection_);
  auto session = OwnSession::open(connection_, stored ? OwnSession::Access::read_write : OwnSession::Access::read_only);
  if (!session) return session.error();
  const auto profile = profile_of(KeyPurpose::signer, algorithm);
  auto own = key_template(profile, health_id, "health", stored);
  auto other = public_template(profile, algorithm, health_id, "health", stored);
  adapt(own, connection_.profile());
  adapt_public(other, connection_.profile());
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
  const auto rsa = connection_.profile().signs_by(CKM_RSA_PKCS) ? SignatureSuite::rsa_pkcs1_sha256 : SignatureSuite::rsa_pss_sha256;
  const auto suite = crypto::is_rsa(algorithm) ? rsa : SignatureSuite::ecdsa_sha256;
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
