#include "ssa/csc/info.h"

#include "base/bytes.h"
#include "base/panic.h"
#include "json/json.h"
#include "ssa/csc/algorithms.h"
#include "ssa/csc/parameters.h"

namespace intaglio::ssa::csc {
namespace {

/// PNG, 64 x 64: a plain seal.
constexpr std::string_view seal =
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAABlBMVEX///96HCTW0Id0AAAA5ElEQVR42qVSMQ6DMAw8FKlZkLIyIPIFRgZEv9JnMCAVfpan"
    "5AkZM1R1Y1APpI7NkJxkxz7fGbic++t4jUjYgRNJR0TkiEm0sqe8gacm2Qz4qLnlsprtV6DK+gk+Q78tEMFUQDbJBV/CyQHJrTCxBQYbCpiBrgAbtI6JsFsp"
    "b7YIt60uVVuCM8owJHirBWNGd6tE1seMqVbO/YKxtiKxHzE2Sr65gKXxIrmZMA8K2g5zr3PV/4NvQbb47U5ipEryHIcDcmSKQFkoFKWjmJT3FJwW0BTaRONo"
    "Jc097eYCcCW4JMf5APrgutNnY/lRAAAAAElFTkSuQmCC";

}  // namespace

Info::Info(const ServiceDescription& description) {
  const auto offered = offered_algorithms();
  json::Value body = json::Value::object();
  body["specs"] = description.specs;
  body["name"] = description.name;
  body["logo"] = description.logo.empty() ? description.base_url + "/csc/v2/logo" : description.logo;
  body["region"] = description.region;
  body["lang"] = description.lang;
  body["description"] = description.description;
  body["authType"] = {"oauth2client"};
  body["oauth2"] = description.base_url + "/csc/v2";
  body["supportsRar"] = description.with_codes;
  body["supportedHashTypes"] = {"dtbsr", "sdr"};
  body["asynchronousOperationMode"] = true;
  body["methods"] = {"info",
                     "oauth2/token",
                     "oauth2/revoke",
                     "credentials/list",
                     "credentials/info",
                     "credentials/extendTransaction",
                     "signatures/signHash",
                     "signatures/signDoc",
                     "signatures/signPolling"};
  if (description.with_codes) {
    body["authType"].push_back("oauth2code");
    body["methods"].push_back("oauth2/authorize");
    body["methods"].push_back("oauth2/pushed_authorize");
    body["methods"].push_back("credentials/authorize");
    body["methods"].push_back("credentials/authorizeCheck");
    body["methods"].push_back("credentials/getChallenge");
  }
  if (description.with_login) {
    body["authType"].push_back("basic");
    body["methods"].push_back("auth/login");
    body["methods"].push_back("auth/revoke");
  }
  if (description.with_timestamps) body["methods"].push_back("signatures/timestamp");
  body["validationInfo"] = false;
  body["signAlgorithms"] = {{"algos", offered.algos}, {"algoParams", offered.params}};
  body["signature_formats"] = {{"formats", {"P"}}, {"envelope_properties", json::Value::array({{"Certification", "Revision"}})}};
  body["conformance_levels"] = {"AdES-B-B"};
  body["oauth2FAPIsupport"] = false;
  body_ = json::encode(body);
}

http::Response Info::answer(const http::Request& request) const {
  auto parameters = Parameters::of(request);
  // A language that is not there falls back to the service's own.
  (void)parameters.optional_text("lang");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  return http::json_answer(body_);
}

http::Response Info::logo() {
  const auto image = parse_base64(seal);
  if (!image) panic("the built-in logo is not base64");
  http::Response response;
  response.content_type = "image/png";
  response.body = std::string(as_text(*image));
  response.headers.emplace_back("Cache-Control", "max-age=86400");
  return response;
}

}  // namespace intaglio::ssa::csc
