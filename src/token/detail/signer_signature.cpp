#include "token/detail/signer_signature.h"

#include <thread>

#include "base/check.h"
#include "token/detail/fault.h"
#include "token/detail/sign_mechanism.h"

namespace intaglio::token::detail {
namespace {

SignOutcome refused(Error error, bool definite) { return {std::nullopt, SignRefusal{std::move(error), definite}}; }

/// A result after which nobody knows whether the token signed.
SignOutcome doubtful(Error error) {
  error.code = ErrorCode::signature_doubtful;
  return refused(std::move(error), false);
}

}  // namespace

/// `outcome` is empty when C_SignInit refused with `result`.
struct SignerSignatures::Attempt {
  CK_RV result;
  std::optional<SignOutcome> outcome;
};

SignerSignatures::Attempt SignerSignatures::attempt(Lease& lease, CK_OBJECT_HANDLE handle, crypto::KeyAlgorithm algorithm,
                                                    crypto::SignatureSuite suite, ByteView digest) {
  const auto& functions = connection_.functions();
  auto& counters = connection_.counters();
  const auto injected = injected_fault();
  if (injected.fault == Fault::session_lost) (void)functions.C_CloseSession(lease.session());

  SignMechanism sign(suite, digest);
  auto result =
      counters.record(Function::sign_init, ObjectKind::signer_key, functions.C_SignInit(lease.session(), sign.mechanism(), handle));
  if (result != CKR_OK) {
    lease.retire();
    return {result, std::nullopt};
  }
  if (injected.fault == Fault::slow) std::this_thread::sleep_for(injected.delay);
  std::array<std::uint8_t, max_signature> raw;
  CK_ULONG length = raw.size();
  made_.fetch_add(1, std::memory_order_relaxed);
  result = counters.record(Function::sign, ObjectKind::signer_key,
                           functions.C_Sign(lease.session(), sign.input(), sign.input_length(), raw.data(), &length));
  if (injected.fault == Fault::doubtful) result = CKR_DEVICE_ERROR;
  if (result != CKR_OK || length > raw.size()) {
    lease.retire();
    return {result, doubtful(error_of("C_Sign", result))};
  }
  if (injected.fault == Fault::wrong_signature) raw[length / 2] ^= 0x01;
  auto signature = released_form(algorithm, ByteView(raw).first(length));
  if (!signature) {
    lease.retire();
    return {CKR_GENERAL_ERROR, doubtful(signature.error())};
  }
  return {CKR_OK, SignOutcome{*std::move(signature), std::nullopt}};
}

Status SignerSignatures::check_signable(crypto::KeyAlgorithm algorithm, crypto::SignatureSuite suite, ByteView digest) const {
  if (auto checked = check_sign_input(algorithm, suite, digest); !checked) return checked;
  const auto& hsm = connection_.profile();
  if (refused_by("token.profile_mechanism", !hsm.signs_by(mechanism_of(suite)))) {
    return Error{ErrorCode::algorithm_refused, "the HSM profile " + hsm.name + " does not sign by " + std::string(crypto::name_of(suite))};
  }
  return {};
}

SignOutcome SignerSignatures::sign(unsigned long key, crypto::KeyAlgorithm algorithm, crypto::SignatureSuite suite, ByteView digest) {
  if (auto checked = check_signable(algorithm, suite, digest); !checked) return refused(checked.error(), true);
  if (injected_fault().fault == Fault::definite) return refused(error_of("C_SignInit", CKR_KEY_FUNCTION_NOT_PERMITTED), true);
  for (unsigned attempts = 0;; ++attempts) {
    CK_RV result = CKR_OK;
    const auto epoch = connection_.epoch();
    {
      auto lease = connection_.lease();
      if (!lease) return refused(lease.error(), true);
      const auto handle = keys_.table().handle(key);
      if (handle == CK_INVALID_HANDLE) return refused({ErrorCode::not_found, "the key is not in the token"}, true);
      auto done = attempt(*lease, handle, algorithm, suite, digest);
      result = done.result;
      if (result == CKR_OK) connection_.ended_well();
      if (done.outcome) {
        if (result != CKR_OK) connection_.ended_badly(result);
        return *std::move(done.outcome);
      }
    }
    if (connection_.repair(result, attempts, epoch)) continue;
    connection_.ended_badly(result);
    return refused(error_of("C_SignInit", result), connection_.profile().is_definite(result));
  }
}

SignOutcome SignerSignatures::sign_activated(ActivatedObject& key, crypto::KeyAlgorithm algorithm, crypto::SignatureSuite suite,
                                             ByteView digest) {
  if (auto checked = check_signable(algorithm, suite, digest); !checked) return refused(checked.error(), true);
  if (injected_fault().fault == Fault::definite) return refused(error_of("C_SignInit", CKR_KEY_FUNCTION_NOT_PERMITTED), true);
  const std::lock_guard lock(key.use);
  if (key.failed) return refused({ErrorCode::not_found, "the activated key failed before"}, true);
  key.lease.renew();
  auto done = attempt(key.lease, key.object.handle(), algorithm, suite, digest);
  if (done.result == CKR_OK) {
    connection_.ended_well();
  } else {
    key.failed = true;
    connection_.ended_badly(done.result);
  }
  if (done.outcome) return *std::move(done.outcome);
  return refused(error_of("C_SignInit", done.result), connection_.profile().is_definite(done.result));
}

SignOutcome SignerSignatures::sign_one_time(OneTimeObject& key, crypto::KeyAlgorithm algorithm, crypto::SignatureSuite suite,
                                            ByteView digest) {
  if (auto checked = check_signable(algorithm, suite, digest); !checked) return refused(checked.error(), true);
  if (injected_fault().fault == Fault::definite) return refused(error_of("C_SignInit", CKR_KEY_FUNCTION_NOT_PERMITTED), true);
  const std::lock_guard lock(key.use);
  CK_RV result = CKR_OK;
  std::optional<SignOutcome> outcome;
  {
    auto lease = connection_.lease();
    if (!lease) return refused(lease.error(), true);
    // While the lease is out no new login comes between, after which the handle could be another's.
    if (!key.session || key.session->is_void() || key.failed) return refused({ErrorCode::not_found, "the one-time key has ended"}, true);
    auto done = attempt(*lease, key.own, algorithm, suite, digest);
    result = done.result;
    outcome = std::move(done.outcome);
  }
  if (result == CKR_OK) {
    connection_.ended_well();
  } else {
    key.failed = true;
    connection_.ended_badly(result);
  }
  if (outcome) return *std::move(outcome);
  return refused(error_of("C_SignInit", result), connection_.profile().is_definite(result));
}

}  // namespace intaglio::token::detail
