#include "token/detail/mechanisms.h"

#include "base/check.h"
#include "token/detail/fault.h"

namespace intaglio::token::detail {
namespace {

bool offers(Connection& connection, CK_MECHANISM_TYPE type, CK_FLAGS wanted, unsigned bits) {
  CK_MECHANISM_INFO info{};
  const auto result = connection.counters().record(Function::get_mechanism_info, ObjectKind::none,
                                                   connection.functions().C_GetMechanismInfo(connection.slot(), type, &info));
  return result == CKR_OK && (info.flags & wanted) == wanted && info.ulMinKeySize <= bits && bits <= info.ulMaxKeySize;
}

Error lacks(std::string_view mechanism) { return {ErrorCode::unsupported, "no " + std::string(mechanism) + " of this size"}; }

}  // namespace

Status check_mechanisms(Connection& connection, crypto::KeyAlgorithm algorithm) {
  const auto& hsm = connection.profile();
  if (refused_by("token.profile_algorithm_offered", !hsm.serves(algorithm)))
    return Error{ErrorCode::unsupported, "the HSM profile " + hsm.name + " has no " + std::string(crypto::name_of(algorithm))};
  if (auto ready = connection.ensure_login(); !ready) return ready;
  const auto bits = static_cast<unsigned>(crypto::bits_of(algorithm));
  if (!crypto::is_rsa(algorithm)) {
    if (!offers(connection, CKM_EC_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, bits)) return lacks("CKM_EC_KEY_PAIR_GEN");
    return offers(connection, CKM_ECDSA, CKF_SIGN, bits) ? Status() : Status(lacks("CKM_ECDSA"));
  }
  if (injected_fault().fault == Fault::lacks_rsa || !offers(connection, CKM_RSA_PKCS_KEY_PAIR_GEN, CKF_GENERATE_KEY_PAIR, bits))
    return lacks("CKM_RSA_PKCS_KEY_PAIR_GEN");
  const bool signs = offers(connection, CKM_RSA_PKCS_PSS, CKF_SIGN, bits) || offers(connection, CKM_RSA_PKCS, CKF_SIGN, bits);
  return signs ? Status() : Status(lacks("CKM_RSA_PKCS_PSS and no CKM_RSA_PKCS"));
}

}  // namespace intaglio::token::detail
