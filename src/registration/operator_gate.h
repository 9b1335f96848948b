#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "crypto/public_key.h"
#include "registration/operator_request.h"
#include "storage/database.h"

namespace intaglio::registration {

/// Decides whether a request is an operator's, where the authority behind us cannot: keys pinned by configuration, each request once.
class OperatorGate {
 public:
  using Operators = std::map<std::string, crypto::PublicKey, std::less<>>;
  OperatorGate(Operators operators, std::chrono::seconds max_age, std::shared_ptr<storage::Database> database,
               std::shared_ptr<const Clock> clock);
  /// As parse_operator_request, and refused: `not_authorised` (unknown operator, wrong signature, older or further ahead than the
  /// allowed age), `replayed`, `clock_unsynchronised`. The request's id is used up durably.
  [[nodiscard]] Result<OperatorRequest> admit(std::string_view compact, std::string_view op);

 private:
  Operators operators_;
  std::chrono::seconds max_age_;
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::registration
