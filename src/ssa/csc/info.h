#pragma once

#include <string>

#include "http/routes.h"

namespace intaglio::ssa::csc {

/// What the operator says of the service.
struct ServiceDescription {
  std::string specs;     ///< "2.2.0.0"
  std::string name, region, lang, description;
  std::string base_url;  ///< of the public listener, without a slash at the end
  std::string logo;      ///< URI; empty: base_url/csc/v2/logo
  bool with_codes = false;  ///< signers approve on a page: authorization codes are offered
  bool with_login = false;       ///< auth/login is there for old clients
  bool with_timestamps = false;  ///< there is a time-stamping authority for signatures/timestamp
};

/// POST info: no caller is needed (CSC API v2, 11.1).
class Info {
 public:
  explicit Info(const ServiceDescription& description);
  [[nodiscard]] http::Response answer(const http::Request& request) const;
  /// GET logo: an image of ours, so that the address in `logo` can be reached (CSC API v2, 11.1).
  [[nodiscard]] static http::Response logo();

 private:
  std::string body_;
};

}  // namespace intaglio::ssa::csc
