#pragma once

#include "http/routes.h"
#include "ssa/csc/credential_authorization.h"
#include "ssa/csc/credentials.h"
#include "ssa/csc/extend_transaction.h"
#include "ssa/csc/info.h"
#include "ssa/csc/sign_hash.h"

namespace intaglio::ssa::csc {

/// CSC API v1.0.4.0 over the flows of v2: the members that v1 knows, under its names, and its answers (csc-api 11). A SAD comes from the
/// same approvals; a token of scope `credential` stands in its place, as v1 8.3.3 has it. Nothing is decided here.
class V1Adapter {
 public:
  /// The references outlive this object.
  V1Adapter(const ServiceDescription& description, const Credentials& credentials, const CredentialAuthorization& authorization,
            const SignHash& sign_hash, const ExtendTransaction& extend);

  [[nodiscard]] http::Response info(const http::Request& request) const;
  /// In pages: maxResults 1 to 100, other values mean 100; pageToken is the last credential of the page before.
  [[nodiscard]] http::Response list(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response credential_info(const http::Request& request, const http::Principal& caller) const;
  /// v1 has no answer for a signer who has not decided yet: refused for every credential.
  [[nodiscard]] http::Response authorize(const http::Request& request, const http::Principal& caller) const;
  /// No credential has a one-time password that is sent.
  [[nodiscard]] http::Response send_otp(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response extend_transaction(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response sign_hash(const http::Request& request, const http::Principal& caller) const;

 private:
  std::string info_;
  const Credentials& credentials_;
  const CredentialAuthorization& authorization_;
  const SignHash& sign_hash_;
  const ExtendTransaction& extend_;
};

}  // namespace intaglio::ssa::csc
