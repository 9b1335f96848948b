#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "http/routes.h"
#include "oauth/access_token.h"
#include "oauth/grants.h"
#include "ssa/csc/parameters.h"
#include "ssa/sad_filter.h"

namespace intaglio::ssa::csc {

/// Where the SAD of a request comes from: its body, or what was kept for a token of scope `credential` (CSC API v2, 8.4). Both at once
/// would be two authorisations, of which one is not meant.
enum class SadSource { body, token };
[[nodiscard]] SadSource sad_source(const http::Principal& caller) noexcept;
/// The member SAD, in its place in the tables; empty with SadSource::token, where it must be absent.
[[nodiscard]] std::string read_sad(Parameters& parameters, SadSource source);

/// What a request wants signed, its form checked.
struct SigningUse {
  std::string sad;             ///< empty with SadSource::token
  KeyId credential;
  crypto::SignatureSuite suite;
  std::vector<Bytes> digests;  ///< DTBS/R, each of the length of the suite's hash
  Delivery delivery{};
};

/// From a request whose form was checked to signatures: finds the SAD, refuses early, asks the SAM. What all signature methods have in
/// common. Thread-safe.
class AuthorisedSigning {
 public:
  struct Rooms {
    std::shared_ptr<protocol::SamService> sam;
    std::shared_ptr<SadFilter> filter;
    std::shared_ptr<CredentialDirectory> credentials;
    std::shared_ptr<const oauth::Grants> grants;
    std::shared_ptr<oauth::AccessTokens> tokens;
    std::shared_ptr<const Clock> clock;
  };
  explicit AuthorisedSigning(Rooms rooms) : rooms_(std::move(rooms)) {}

  /// One signature for each digest, in their order. Refused: what the filter or the SAM refused, or where the SAM stopped within the
  /// batch: what it finished it returns again for the same authorisation, digest and suite (TC-5).
  [[nodiscard]] Result<std::vector<protocol::SignedDigest>> sign(const http::Request& request, const http::Principal& caller,
                                                                 SigningUse use) const;
  /// The answer to a refusal of `sign`; an expired certificate is named (CSC API v2, 11.10).
  [[nodiscard]] http::Response refuse_use(const http::Request& request, const KeyId& credential, const Error& error) const;

 private:
  /// The SAD that is meant; the filter compares it with client and credential.
  [[nodiscard]] Result<std::string> find_sad(const http::Request& request, const http::Principal& caller, std::string stated) const;

  Rooms rooms_;
};

/// `auditReceipts`: where the log holds the outcome of each signature.
[[nodiscard]] json::Value audit_receipts(const std::vector<protocol::SignedDigest>& signed_digests);

}  // namespace intaglio::ssa::csc
