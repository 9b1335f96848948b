#pragma once

#include <variant>

#include "ssa/csc/authorised_signing.h"
#include "ssa/csc/kept_answers.h"
#include "ssa/csc/refusal.h"

namespace intaglio::ssa::csc {

/// Body to request value, refusals in the order of the table (CSC API v2, 11.10; csc-api 9.1).
[[nodiscard]] std::variant<SigningUse, Refusal> parse_sign_hash(const http::Request& request, std::size_t max_hashes, SadSource source);

/// POST signatures/signHash: form, early refusals, SAM, answer.
class SignHash {
 public:
  SignHash(std::shared_ptr<const AuthorisedSigning> signing, std::shared_ptr<const KeptAnswers> kept, std::size_t max_hashes);
  [[nodiscard]] http::Response answer(const http::Request& request, const http::Principal& caller) const;

 private:
  std::shared_ptr<const AuthorisedSigning> signing_;
  std::shared_ptr<const KeptAnswers> kept_;
  std::size_t max_hashes_;
};

}  // namespace intaglio::ssa::csc
