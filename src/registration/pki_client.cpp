#include "json/json.h"
#include "registration/authority.h"

namespace intaglio::registration {
namespace {

constexpr std::size_t max_chain = 8;

/// What the PKI said no to, as one of our codes: its own text goes to the log alone.
Error refusal_of(const outbound::HttpAnswer& answer) {
  const auto body = json::parse(answer.body);
  const auto text = body && body->is_object() ? json::text_member(*body, "error") : Result<std::string>(Error{ErrorCode::internal, ""});
  const auto detail = "the PKI answered " + std::to_string(answer.status) + (text ? " " + *text : "");
  switch (answer.status) {
    case 400: return {ErrorCode::invalid_request, detail};
    case 401:
    case 403: return {ErrorCode::not_authorised, detail};
    case 404: return {ErrorCode::not_found, detail};
    case 409: return {ErrorCode::conflict, detail};
    case 429: return {ErrorCode::limit_exceeded, detail};
    case 503: return {ErrorCode::busy, detail};
    default: return {ErrorCode::internal, detail};
  }
}

Result<json::Value> body_of(const Result<outbound::HttpAnswer>& answer) {
  if (!answer) return answer.error();
  if (answer->status != 200) return refusal_of(*answer);
  json::Bounds bounds;
  bounds.max_bytes = answer->body.size();
  auto body = json::parse(answer->body, bounds);
  if (!body || !body->is_object()) return Error{ErrorCode::internal, "the PKI's answer is not a JSON object"};
  return body;
}

Result<Bytes> crl_of(const Result<outbound::HttpAnswer>& answer) {
  const auto body = body_of(answer);
  if (!body) return body.error();
  const auto* member = json::member(*body, "crl");
  const auto* text = member == nullptr ? nullptr : member->get_ptr<const json::Value::string_t*>();
  auto crl = parse_base64(text == nullptr ? "" : *text);
  if (!crl || crl->empty()) return Error{ErrorCode::internal, "the PKI's answer holds no CRL"};
  return crl;
}

Result<std::vector<Bytes>> certificates_in(const Result<outbound::HttpAnswer>& answer) {
  const auto body = body_of(answer);
  if (!body) return body.error();
  const Error malformed{ErrorCode::internal, "the PKI's answer holds no certificates"};
  const auto* array = json::member(*body, "certificates");
  if (array == nullptr || !array->is_array() || array->empty() || array->size() > max_chain) return malformed;
  std::vector<Bytes> certificates;
  for (const auto& element : *array) {
    const auto* text = element.get_ptr<const json::Value::string_t*>();
    auto der = parse_base64(text == nullptr ? "" : *text);
    if (!der || der->empty()) return malformed;
    certificates.push_back(std::move(*der));
  }
  return certificates;
}

class PkiClient final : public CertificationAuthority {
 public:
  PkiClient(outbound::HttpClient client, std::string base_url) : client_(std::move(client)), base_url_(std::move(base_url)) {}

  Result<std::vector<Bytes>> issue(std::string_view operator_request, std::string_view key_assertion, ByteView csr) override {
    const json::Value request{{"request", operator_request}, {"keyAssertion", key_assertion}, {"csr", encode_base64(csr)}};
    return certificates_in(client_.post_json(base_url_ + "/pki/v1/certificates", json::encode(request)));
  }

  Result<std::vector<Bytes>> issue_short_term(std::string_view key_assertion, ByteView csr) override {
    const json::Value request{{"keyAssertion", key_assertion}, {"csr", encode_base64(csr)}};
    return certificates_in(client_.post_json(base_url_ + "/pki/v1/short-term-certificates", json::encode(request)));
  }

  Result<std::optional<Bytes>> revoke(std::string_view operator_request) override {
    auto crl = change_status("/pki/v1/revocations", operator_request);
    if (!crl) return crl.error();
    return std::optional<Bytes>(std::move(*crl));
  }

  Result<Bytes> release(std::string_view operator_request) override { return change_status("/pki/v1/releases", operator_request); }

  Result<Bytes> current_crl() override { return crl_of(client_.get(base_url_ + "/pki/v1/crl")); }

  Result<Bytes> root_crl() override { return crl_of(client_.get(base_url_ + "/pki/v1/root-crl")); }

 private:
  Result<Bytes> change_status(std::string_view path, std::string_view operator_request) {
    json::Value request = json::Value::object();
    request["request"] = operator_request;
    return crl_of(client_.post_json(base_url_ + std::string(path), json::encode(request)));
  }

  outbound::HttpClient client_;
  std::string base_url_;
};

}  // namespace

std::shared_ptr<CertificationAuthority> make_pki_client(outbound::HttpClient client, std::string base_url) {
  return std::make_shared<PkiClient>(std::move(client), std::move(base_url));
}

}  // namespace intaglio::registration
