#pragma once

#include "crypto/cmp/client.h"
#include "registration/authority.h"
#include "registration/key_requests.h"
#include "registration/operator_gate.h"
#include "registration/unsettled_certificates.h"
#include "storage/leases.h"

namespace intaglio::registration {

struct ExternalCaConfig {
  std::string url;           ///< where CMP messages are posted (RFC 6712)
  std::string crl_url;       ///< the issuing CA's complete list
  std::string root_crl_url;  ///< the root's; empty: there is none
  crypto::PublicKey sam_identity;  ///< the only key whose assertions are believed
  std::chrono::seconds assertion_max_age;
  std::size_t max_waiting;  ///< keys that may wait for the CA at a time
};
struct ExternalCaParts {
  std::shared_ptr<OperatorGate> gate;
  std::shared_ptr<KeyRequests> requests;
  std::shared_ptr<UnsettledCertificates> unsettled;
  std::shared_ptr<storage::Leases> leases;  ///< of all nodes: one of them asks for a key's certificate
  outbound::HttpClient messages;  ///< for `url`: answers bounded by max_cmp_message_bytes, connections not kept
  outbound::HttpClient lists;     ///< for the lists
  std::shared_ptr<const Clock> clock;
};

/// Somebody else's certification authority by CMP. It knows neither our operators nor the SAM: their word is verified here, before it is
/// asked anything, and what it issues is judged before it is taken (crypto/cmp, cmp_issuance.h). Asked again for a key that has a certificate it gives that one. One-time keys are not certified there (`unsupported`).
/// Refused: `configuration` when `cmp` is not a whole configuration.
[[nodiscard]] Result<std::shared_ptr<CertificationAuthority>> make_external_ca(ExternalCaConfig config, crypto::CmpConfig cmp,
                                                                               ExternalCaParts parts);

}  // namespace intaglio::registration
