#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "http/routes.h"
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
/// Body to request value, refusals in the order of the table (CSC API v2, 11.10; csc-api 9.1).
[[nodiscard]] std::variant<SignHashInput, Refusal> parse_sign_hash(const http::Request& request, std::size_t max_hashes);

/// POST signatures/signHash: form, early refusals, SAM, answer.
class SignHash {
 public:
  SignHash(std::shared_ptr<protocol::SamService> sam, std::shared_ptr<SadFilter> filter, std::shared_ptr<CredentialDirectory> credentials,
           std::shared_ptr<const Clock> clock, std::size_t max_hashes);
  [[nodiscard]] http::Response answer(const http::Request& request, const http::Principal& caller) const;

 private:
  [[nodiscard]] http::Response refuse_use(const http::Request& request, const KeyId& credential, const Error& error) const;

  std::shared_ptr<protocol::SamService> sam_;
  std::shared_ptr<SadFilter> filter_;
  std::shared_ptr<CredentialDirectory> credentials_;
  std::shared_ptr<const Clock> clock_;
  std::size_t max_hashes_;
};

}  // namespace intaglio::ssa::csc
