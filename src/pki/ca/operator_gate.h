#pragma once

#include <chrono>
#include <map>
#include <string>

#include "json/json.h"
#include "pki/environment.h"

namespace intaglio::pki {

/// An operator's request whose signature, operation, age and id were checked; the id is used up.
struct OperatorRequest {
  std::string operator_id, request_id;
  json::Value payload;
};

using Operators = std::map<std::string, crypto::PublicKey, std::less<>>;

/// Decides whether a request is an operator's: the keys are pinned by configuration, whoever relays it is nobody.
class OperatorGate {
 public:
  OperatorGate(Operators operators, std::chrono::seconds max_age, Environment environment)
      : operators_(std::move(operators)), max_age_(max_age), environment_(std::move(environment)) {}

  /// `compact`: JWS typ intaglio-ra+jwt, kid = operator id, payload with op, rid, iat. Refused: not_authorised (unknown operator,
  /// wrong signature, too old or ahead), invalid_request (malformed, another operation), replayed. The id is consumed durably.
  [[nodiscard]] Result<OperatorRequest> admit(std::string_view compact, std::string_view operation);
  /// Forgets ids that are too old to be admitted again.
  Status forget_old();

 private:
  Operators operators_;
  std::chrono::seconds max_age_;
  Environment environment_;
};

}  // namespace intaglio::pki
