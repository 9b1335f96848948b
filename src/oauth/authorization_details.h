#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "crypto/algorithms.h"
#include "json/json.h"

namespace intaglio::oauth {

/// What a digest is of (CSC Data Model 1.0.0): of what is signed, or of the document as its format represents it, from which what is
/// signed follows with the certificate.
enum class DigestKind { dtbsr, sdr };
/// `dtbsr` or `sdr`, in either case; nothing else is offered.
[[nodiscard]] std::optional<DigestKind> parse_digest_kind(std::string_view text);

struct RequestedDigest {
  Bytes digest;
  std::string label;  ///< shown to the signer; 1 to 256 bytes, no control characters
  DigestKind kind = DigestKind::dtbsr;
};

/// What a client asks the signer to approve: these digests with this key, and nothing else.
struct CredentialRequest {
  KeyId credential;
  crypto::HashAlgorithm hash;
  std::vector<RequestedDigest> documents;  ///< 1 to max_requested_digests
};

inline constexpr std::size_t max_requested_digests = 1000;

struct AuthorizationDetails {
  CredentialRequest request;
  json::Value stated;  ///< the array as it came: a token answers with what was approved (RFC 9396, 7)
};

/// authorization_details (RFC 9396, 2) with exactly one element, of the CSC credential type in either spelling (csc-api 4.2).
/// `base_url`: the one place that `locations` may name. Refused (`invalid_request`): another type, a member that is not known (RFC
/// 9396, 5: what nobody understands nobody approves), a hashType other than dtbsr and sdr, numSignatures other than the number of digests.
[[nodiscard]] Result<AuthorizationDetails> parse_authorization_details(std::string_view text, std::string_view base_url);

/// What a document without a label of its own is called: its place in the list.
[[nodiscard]] std::string place_in_list(std::size_t index);

/// The same, as parameters of scope `credential` (CSC API v2, 8.4.2): `hashes` is base64url with commas; each digest gets its place in
/// the list as label. `count`: numSignatures.
[[nodiscard]] Result<CredentialRequest> parse_credential_parameters(std::string_view credential, std::string_view count,
                                                                    std::string_view hashes, std::string_view hash_algorithm);

}  // namespace intaglio::oauth
