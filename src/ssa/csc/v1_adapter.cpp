#include "ssa/csc/v1_adapter.h"

#include <algorithm>
#include <span>

#include "base/secret.h"
#include "ssa/csc/parameters.h"

namespace intaglio::ssa::csc {
namespace {

constexpr std::size_t page_size = 100;

struct Renamed {
  std::string_view v1, v2;
};
constexpr auto list_members = std::to_array<Renamed>({{"userID", "userID"}, {"clientData", "clientData"}});
constexpr auto info_members = std::to_array<Renamed>({{"credentialID", "credentialID"},
                                                      {"certificates", "certificates"},
                                                      {"certInfo", "certInfo"},
                                                      {"authInfo", "authInfo"},
                                                      {"lang", "lang"},
                                                      {"clientData", "clientData"}});
constexpr auto authorize_members = std::to_array<Renamed>({{"credentialID", "credentialID"}, {"numSignatures", "numSignatures"}});
constexpr auto extend_members =
    std::to_array<Renamed>({{"credentialID", "credentialID"}, {"hash", "hashes"}, {"SAD", "SAD"}, {"clientData", "clientData"}});
constexpr auto sign_members = std::to_array<Renamed>({{"SAD", "SAD"},
                                                      {"credentialID", "credentialID"},
                                                      {"hash", "hashes"},
                                                      {"hashAlgo", "hashAlgorithmOID"},
                                                      {"signAlgo", "signAlgo"},
                                                      {"signAlgoParams", "signAlgoParams"},
                                                      {"clientData", "clientData"}});

/// A request of v2 with the members that v1 has for it. A body that is no object goes on as it is: v2 refuses it in the same words. It
/// may hold a SAD: wiped when it ends.
class Translated {
 public:
  Translated(const http::Request& request, std::span<const Renamed> members) : request_(request) {
    auto parsed = json::parse(request.body, {.max_bytes = request.body.size()});
    if (!parsed) return;
    const json::WipeAtExit wiped(*parsed);
    if (!parsed->is_object()) return;
    auto body = json::Value::object();
    const json::WipeAtExit wiped_body(body);
    for (const auto& one : members) {
      if (const auto* value = json::member(*parsed, one.v1)) body[std::string(one.v2)] = *value;
    }
    wipe(request_.body);
    request_.body = json::encode(body);
  }
  ~Translated() { wipe(request_.body); }
  Translated(const Translated&) = delete;
  Translated& operator=(const Translated&) = delete;

  [[nodiscard]] const http::Request& request() const noexcept { return request_; }

 private:
  http::Request request_;
};

/// The body of a good answer, to be told in the words of v1.
std::optional<json::Value> good(const http::Response& answer) {
  if (answer.status != 200) return std::nullopt;
  auto body = json::parse(answer.body, {.max_bytes = answer.body.size(), .max_members = 1U << 20U});
  if (!body) return std::nullopt;
  return std::move(*body);
}

http::Response with_body(const http::Response& answer, const json::Value& body) {
  auto response = answer;
  response.body = json::encode(body);
  return response;
}

}  // namespace

V1Adapter::V1Adapter(const ServiceDescription& description, const Credentials& credentials, const CredentialAuthorization& authorization,
                     const SignHash& sign_hash, const ExtendTransaction& extend)
    : credentials_(credentials), authorization_(authorization), sign_hash_(sign_hash), extend_(extend) {
  json::Value body = json::Value::object();
  // The text of v1.0.4.0 says so itself (11.1).
  body["specs"] = "1.0.3.0";
  body["name"] = description.name;
  body["logo"] = description.logo.empty() ? description.base_url + "/csc/v2/logo" : description.logo;
  body["region"] = description.region;
  body["lang"] = description.lang;
  body["description"] = description.description;
  body["authType"] = {"oauth2client"};
  if (description.with_codes) body["authType"].push_back("oauth2code");
  body["oauth2"] = description.base_url + "/csc/v2";
  body["methods"] = {"info", "credentials/list", "credentials/info", "credentials/extendTransaction", "signatures/signHash"};
  if (description.with_login) {
    body["authType"].push_back("basic");
    body["methods"].push_back("auth/login");
    body["methods"].push_back("auth/revoke");
  }
  if (description.with_timestamps) body["methods"].push_back("signatures/timestamp");
  info_ = json::encode(body);
}

http::Response V1Adapter::info(const http::Request& request) const {
  auto parameters = Parameters::of(request);
  (void)parameters.optional_text("lang");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  return http::json_answer(info_);
}

http::Response V1Adapter::list(const http::Request& request, const http::Principal& caller) const {
  auto parameters = Parameters::of(request);
  const auto token = parameters.optional_text("pageToken");
  // Out of bounds is no error (v1, 11.4).
  auto size = page_size;
  if (const auto* asked = parameters.member("maxResults"); asked != nullptr && asked->is_number_unsigned()) {
    const auto count = asked->get<std::uint64_t>();
    if (count >= 1 && count <= page_size) size = static_cast<std::size_t>(count);
  }
  const Translated translated(request, list_members);
  auto answer = credentials_.list(translated.request(), caller);
  const auto body = good(answer);
  if (!body) return answer;
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto& all = body->at("credentialIDs");
  auto first = all.begin();
  if (token) {
    first = std::find(all.begin(), all.end(), json::Value(*token));
    if (first == all.end()) return csc::answer(invalid_parameter("pageToken"));
    ++first;
  }
  const auto left = static_cast<std::size_t>(std::distance(first, all.end()));
  auto page = json::Value::array();
  for (std::size_t i = 0; i < std::min(left, size); ++i) page.push_back(*first++);
  json::Value told = json::Value::object();
  if (left > size) told["nextPageToken"] = page.back();
  told["credentialIDs"] = std::move(page);
  return with_body(answer, told);
}

http::Response V1Adapter::credential_info(const http::Request& request, const http::Principal& caller) const {
  const Translated translated(request, info_members);
  auto answer = credentials_.info(translated.request(), caller);
  auto body = good(answer);
  if (!body) return answer;
  body->erase("auth");
  (*body)["authMode"] = "oauth2code";
  return with_body(answer, *body);
}

http::Response V1Adapter::authorize(const http::Request& request, const http::Principal& caller) const {
  const Translated translated(request, authorize_members);
  return authorization_.authorize_by(AuthorizationMode::redirect, translated.request(), caller);
}

http::Response V1Adapter::send_otp(const http::Request& request, const http::Principal& caller) const {
  auto parameters = Parameters::of(request);
  const auto id = parameters.required_text("credentialID");
  parameters.client_data();
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto credential = credentials_.visible(id, caller);
  if (!credential) return refuse(request, credential.error());
  return csc::answer(invalid_parameter("credentialID"));
}

http::Response V1Adapter::extend_transaction(const http::Request& request, const http::Principal& caller) const {
  const Translated translated(request, extend_members);
  return extend_.answer(translated.request(), caller);
}

http::Response V1Adapter::sign_hash(const http::Request& request, const http::Principal& caller) const {
  const Translated translated(request, sign_members);
  auto answer = sign_hash_.answer(translated.request(), caller);
  if (answer.status != 400) return answer;
  auto body = json::parse(answer.body);
  if (!body) return answer;
  // Two texts name a member that has another name here.
  for (const auto& text : {missing_text("hashAlgorithmOID").description, invalid_parameter("hashAlgorithmOID").description}) {
    if (body->at("error_description") != text) continue;
    (*body)["error_description"] = text.substr(0, text.size() - std::string_view("hashAlgorithmOID").size()) + "hashAlgo";
    return with_body(answer, *body);
  }
  return answer;
}

}  // namespace intaglio::ssa::csc
