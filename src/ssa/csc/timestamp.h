#pragma once

#include <functional>

#include "http/routes.h"

namespace intaglio::ssa::csc {

/// Sends a TimeStampReq (RFC 3161, 3.4) to the time-stamping authority and gives its TimeStampResp; empty where none is configured.
using AskTimestampAuthority = std::function<Result<Bytes>(ByteView request)>;

/// POST signatures/timestamp (CSC API v1, 11.10; v2, 11.13): the same members in both. The token is the authority's, and its signature
/// is for whoever relies on it to verify; here it is compared with what was asked.
class Timestamp {
 public:
  explicit Timestamp(AskTimestampAuthority ask) : ask_(std::move(ask)) {}
  [[nodiscard]] bool offered() const noexcept { return static_cast<bool>(ask_); }
  [[nodiscard]] http::Response answer(const http::Request& request) const;

 private:
  AskTimestampAuthority ask_;
};

}  // namespace intaglio::ssa::csc
