#pragma once

#include "sam/core.h"
#include "sam/grants/record.h"

/// Seal grants: a person, with two factors, lets a client's key ask for signatures of one key, so many, so long, of these suites.
namespace intaglio::sam {

/// Rows cannot be put back: what was used stays used (TC-8).
[[nodiscard]] sealed::Table grants(const Core& core);
/// By which the authorisations of a grant are voided; the signer's own are voided by another one.
[[nodiscard]] Bytes grant_index(const Core& core, std::string_view grant);
/// SHA-256 over the signer's incarnation, the version of his PIN or signerpass, and his seed: who changes one of them because somebody saw it does not want
/// what was granted with it.
[[nodiscard]] crypto::Sha256Digest factors_digest(const SignerRecord& signer);

/// Whether a SAP message says that it makes a grant; nothing else of it is known yet.
[[nodiscard]] bool is_grant_message(std::string_view sap_message);
/// Verifies message and factors, consumes the ticket's nonce in the transaction that writes the grant, and answers the statement of it: JWS ES256 of the SAD
/// key, typ intaglio-grant+jwt, {grant, sub, key, jkt, n, suites, iat, exp}.
[[nodiscard]] Result<protocol::Authorised> make_grant(Core& core, std::string_view sap_message);
/// Ends the grant and voids what was asked for under it and is not sealed yet. `not_found`; nothing when it was ended before.
Status end_grant(Core& core, std::string_view grant, std::string_view reason);

}  // namespace intaglio::sam
