#pragma once

#include <variant>

#include "http/server.h"
#include "oauth/client.h"
#include "protocol/service.h"
#include "ssa/csc/refusal.h"

/// Bodies of the calls that open a transaction, to the values of `protocol`.
namespace intaglio::ssa::signer {

[[nodiscard]] std::variant<protocol::OpenSigning, csc::Refusal> parse_open_signing(const http::Request& request,
                                                                                   const oauth::Client& client);
[[nodiscard]] std::variant<protocol::OpenOneTime, csc::Refusal> parse_open_one_time(const http::Request& request,
                                                                                    const oauth::Client& client);
[[nodiscard]] std::variant<protocol::OpenEnrolment, csc::Refusal> parse_open_enrolment(const http::Request& request,
                                                                                       const oauth::Client& client);
[[nodiscard]] std::variant<protocol::OpenKeyGeneration, csc::Refusal> parse_open_key(const http::Request& request,
                                                                                     const oauth::Client& client);

/// {"credentialID", "suites": ["ecdsa-sha256"], "clientKey": P-256 JWK, "signatures": N, "expires": "2026-12-31T23:59:59Z"}
[[nodiscard]] std::variant<protocol::OpenGrant, csc::Refusal> parse_open_grant(const http::Request& request, const oauth::Client& client);

}  // namespace intaglio::ssa::signer
