#pragma once

#include "sam/core.h"

/// The first half of TC-4: what a signer approved becomes an authorisation, once.
namespace intaglio::sam {

[[nodiscard]] Result<protocol::Opened> open_signing(Core& core, const protocol::OpenSigning& request);
[[nodiscard]] Result<protocol::Opened> open_key_generation(Core& core, const protocol::OpenKeyGeneration& request);
[[nodiscard]] Result<protocol::Opened> open_enrolment(Core& core, const protocol::OpenEnrolment& request);
/// Documents for a key of one session; nobody is known yet.
[[nodiscard]] Result<protocol::Opened> open_one_time(Core& core, const protocol::OpenOneTime& request);

[[nodiscard]] Result<protocol::Opened> open_grant(Core& core, const protocol::OpenGrant& request);

/// Verifies the SAP message and the factors, consumes the ticket's nonce in the transaction that writes the authorisation,
/// voids the signer's earlier one, and returns the SAD.
[[nodiscard]] Result<protocol::Authorised> authorise(Core& core, std::string_view sap_message);
/// First factors: activation code for a PIN verifier and a TOTP seed, which goes back sealed to the signer.
[[nodiscard]] Result<protocol::Enrolled> enrol_factors(Core& core, std::string_view sap_message);
/// A key of the signer's own asking (Art. 29(1a)): generated in the token, with a CSR composed by the SAM.
[[nodiscard]] Result<protocol::KeyGenerated> generate_key(Core& core, std::string_view sap_message);

/// New PIN, new TOTP seed or both, with the factors that the signer has; the answer goes back sealed to the signer.
[[nodiscard]] Result<protocol::Opened> open_factor_change(Core& core, const protocol::OpenEnrolment& request);
[[nodiscard]] Result<protocol::Enrolled> change_factors(Core& core, std::string_view sap_message);
/// Suspension or destruction of a key on its signer's own word.
[[nodiscard]] Result<protocol::Opened> open_key_change(Core& core, const protocol::OpenKeyChange& request);
Status change_key(Core& core, std::string_view sap_message);

/// Keys that a crash left between generation and record are destroyed. At start.
Status destroy_pending_keys(Core& core);

}  // namespace intaglio::sam
