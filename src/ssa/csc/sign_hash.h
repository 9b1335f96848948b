#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "http/routes.h"
#include "oauth/grants.h"
#include "ssa/csc/refusal.h"
#include "ssa/sad_filter.h"

namespace intaglio::ssa::csc {

/// A signHash request whose form was checked.
struct SignHashInput {
  std::string sad;
  KeyId credential;
  std::vector<Bytes> digests;  ///< in the order of the request; each of the length of the suite's hash
  crypto::SignatureSuite suite;
};
/// Where the SAD of a request comes from: its body, or what was kept for a token of scope `credential` (CSC API v2, 8.4). Both at once
/// would be two authorisations, of which one is not meant.
enum class SadSource { body, token };
/// Body to request value, refusals in the order of the table (CSC API v2, 11.10; csc-api 9.1). `sad` stays empty with
/// SadSource::token.
[[nodiscard]] std::variant<SignHashInput, Refusal> parse_sign_hash(const http::Request& request, std::size_t max_hashes, SadSource source);

/// POST signatures/signHash: form, early refusals, SAM, answer.
class SignHash {
 public:
  SignHash(std::shared_ptr<protocol::SamService> sam, std::shared_ptr<SadFilter> filter, std::shared_ptr<CredentialDirectory> credentials,
           std::shared_ptr<const oauth::Grants> grants, std::shared_ptr<const Clock> clock, std::size_t max_hashes);
  [[nodiscard]] http::Response answer(const http::Request& request, const http::Principal& caller) const;

 private:
  /// The SAD that was kept for the token of this request; the filter compares it with the credential.
  [[nodiscard]] Result<std::string> kept_sad(const http::Request& request, const http::Principal& caller) const;
  [[nodiscard]] http::Response refuse_use(const http::Request& request, const KeyId& credential, const Error& error) const;

  std::shared_ptr<protocol::SamService> sam_;
  std::shared_ptr<SadFilter> filter_;
  std::shared_ptr<CredentialDirectory> credentials_;
  std::shared_ptr<const oauth::Grants> grants_;
  std::shared_ptr<const Clock> clock_;
  std::size_t max_hashes_;
};

}  // namespace intaglio::ssa::csc
