#pragma once

#include "token/detail/health.h"
#include "token/detail/service_operations.h"
#include "token/detail/signer_signature.h"

namespace intaglio::token {

/// The parts of an open token, in the order in which they depend on each other.
struct Token::State {
  explicit State(std::unique_ptr<detail::Connection> opened);

  std::unique_ptr<detail::Connection> connection;
  detail::Keys keys;
  detail::Health health;
  detail::ServiceOperations operations;
  detail::SignerSignatures signatures;
};

}  // namespace intaglio::token
