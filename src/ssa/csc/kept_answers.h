#pragma once

#include <memory>

#include "http/routes.h"
#include "ssa/credential_directory.h"
#include "ssa/csc/parameters.h"
#include "storage/database.h"

namespace intaglio::ssa::csc {

/// Answers of requests in operation mode `A` (CSC API v2, 11.10 to 11.12), for the client that asked until its validity_period ends. A
/// signature takes no longer than a request, so that what is asynchronous is the delivery alone: the answer is there when its id is
/// given. Kept sealed under a key that its id alone gives. Thread-safe.
class KeptAnswers {
 public:
  KeptAnswers(std::shared_ptr<storage::Database> database, std::shared_ptr<CredentialDirectory> credentials,
              std::shared_ptr<const Clock> clock);

  /// `body` itself, or `responseID` of it when it is to be fetched.
  [[nodiscard]] http::Response deliver(const http::Request& request, const http::Principal& caller, const KeyId& credential,
                                       const Delivery& delivery, const json::Value& body) const;
  /// POST signatures/signPolling.
  [[nodiscard]] http::Response poll(const http::Request& request, const http::Principal& caller) const;

 private:
  [[nodiscard]] Result<std::string> keep(std::string_view client, const KeyId& credential, const Delivery& delivery,
                                         std::string_view answer) const;

  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<CredentialDirectory> credentials_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::ssa::csc
