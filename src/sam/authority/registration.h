#pragma once

#include "sam/core.h"

/// What RA operators decide, on their own signature (TC-15), and what makes a key stop.
namespace intaglio::sam {

[[nodiscard]] Result<protocol::SignerCreated> create_signer(Core& core, std::string_view operator_request);
/// New identity proof, new activation code, a new incarnation of the signer: his keys end with it (TC-7).
[[nodiscard]] Result<protocol::SignerCreated> reset_factors(Core& core, std::string_view operator_request);
/// GENERATED -> ASSIGNED: SPKI, path, subject and validity are checked here, whatever the PKI did.
[[nodiscard]] Result<custody::KeyRecord> bind_certificate(Core& core, const protocol::CertificateBinding& binding);
Status suspend_key(Core& core, const KeyId& key, std::string_view reason);
Status suspend_by_operator(Core& core, std::string_view operator_request);
/// Within a transaction, whoever decided it: ASSIGNED -> SUSPENDED. `references`: more fields of the audit entry.
Status suspend_within(Core& core, storage::Transaction& transaction, custody::StoredKey key, const std::string& actor,
                      const std::string& reason, const std::vector<std::pair<std::string, std::string>>& references);
Status resume_key(Core& core, std::string_view operator_request);
/// A CRL of a CA anchor, not older than the one before: keys of revoked certificates never sign again.
Status put_revocation_data(Core& core, ByteView crl);

}  // namespace intaglio::sam
