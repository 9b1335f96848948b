#include "pki/service.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "http/answer.h"
#include "json/json.h"

namespace intaglio::pki {

namespace {

/// Before lists and certificates are looked at again.
constexpr std::size_t answers_at_once = 4096;
constexpr std::string_view ocsp_response_type = "application/ocsp-response";

http::Response binary_answer(ByteView body, std::string_view type) {
  http::Response response;
  response.content_type = type;
  response.body = as_text(body);
  return response;
}

/// The media type without its parameters, in lower case (RFC 9110, 8.3.1).
std::string media_type(const http::Request& request) {
  const auto header = request.headers.find("content-type");
  std::string type = header == request.headers.end() ? "" : header->second.substr(0, header->second.find(';'));
  while (!type.empty() && type.back() == ' ') type.pop_back();
  std::transform(type.begin(), type.end(), type.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return type;
}

/// A path is not decoded by the server; RFC 6960 appendix A.1 asks clients to percent-encode the base64 of a GET.
Result<std::string> percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t index = 0; index < text.size(); ++index) {
    if (text[index] != '%') {
      out.push_back(text[index]);
      continue;
    }
    if (text.size() - index < 3) return Error{ErrorCode::invalid_request, "a percent sign without two digits"};
    auto octet = parse_hex(text.substr(index + 1, 2));
    if (!octet) return octet.error();
    out.push_back(static_cast<char>(octet->front()));
    index += 2;
  }
  return out;
}

/// For how long caches may keep what was made at `made` and holds from then on (RFC 5019, 6.2); `tag` names it.
void add_caching(http::Response& response, std::chrono::seconds age, UnixTime made, UnixTime now, std::string_view tag) {
  if (age <= std::chrono::seconds(0)) {
    response.headers.emplace_back("Cache-Control", "no-store");
    return;
  }
  response.headers.emplace_back("Cache-Control", "max-age=" + std::to_string(age.count()) + ", public, no-transform, must-revalidate");
  response.headers.emplace_back("Last-Modified", http::http_date(unix_seconds(made)));
  response.headers.emplace_back("Expires", http::http_date(unix_seconds(now + age)));
  response.headers.emplace_back("ETag", '"' + std::string(tag) + '"');
}

/// RFC 9110, 13.1.2: whether a client says that it has what this tag names. A comma is never within a tag of ours.
bool has_already(const http::Request& request, std::string_view tag) {
  const auto header = request.headers.find("if-none-match");
  if (header == request.headers.end()) return false;
  std::string_view rest = header->second;
  while (!rest.empty()) {
    const auto comma = std::min(rest.find(','), rest.size());
    auto one = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    while (one.starts_with(' ')) one.remove_prefix(1);
    while (one.ends_with(' ')) one.remove_suffix(1);
    if (one.starts_with("W/")) one.remove_prefix(2);
    if (one == "*" || (one.size() == tag.size() + 2 && one.starts_with('"') && one.ends_with('"') && one.substr(1, tag.size()) == tag))
      return true;
  }
  return false;
}

std::string certificates_json(const std::vector<const crypto::Certificate*>& chain) {
  json::Value list = json::Value::array();
  for (const crypto::Certificate* each : chain) list.push_back(encode_base64(each->der()));
  return json::encode({{"certificates", std::move(list)}});
}

std::string list_json(ByteView list) { return json::encode({{"crl", encode_base64(list)}}); }

}  // namespace

Service::Service(OperatorGate gate, Publications publications, std::chrono::seconds ocsp_cache, Environment environment)
    : environment_(std::move(environment)), gate_(std::move(gate)), publications_(std::move(publications)), ocsp_cache_(ocsp_cache) {}

Service::~Service() {
  tending_.request_stop();
  wake_.notify_all();
}

Result<std::unique_ptr<Service>> Service::open(Config config, Issuer issuer, std::shared_ptr<const crypto::Signer> ocsp_signer,
                                               const Environment& environment) {
  const bool qualified = config.authority.qualified;
  OperatorGate gate(std::move(config.operators), config.request_max_age, environment);
  std::unique_ptr<Service> service(new Service(std::move(gate), std::move(config.publications), config.ocsp_cache, environment));
  auto authority = Authority::open(std::move(config.authority), std::move(issuer), service->gate_, environment);
  if (!authority) return authority.error();
  service->authority_ = std::move(*authority);
  auto publisher = Publisher::open(config.publisher, service->authority_->issuer(), environment);
  if (!publisher) return publisher.error();
  service->publisher_ = std::move(*publisher);
  auto certificate = service->authority_->responder_certificate(ocsp_signer->public_key());
  if (!certificate) return certificate.error();
  service->ocsp_signer_ = ocsp_signer;
  auto responder = Responder::open(config.responder, service->authority_->issuer(), *certificate, std::move(ocsp_signer), environment);
  if (!responder) return responder.error();
  service->responder_ = std::move(*responder);
  if (config.time_stamping) {
    if (auto opened = service->open_time_stamping(std::move(*config.time_stamping), qualified); !opened) return opened.error();
  }
  if (auto fresh = service->publisher_->refresh(); !fresh) return fresh.error();
  service->route();
  service->tending_ = std::jthread([self = service.get()](const std::stop_token& stop) {
    constexpr std::chrono::seconds pause{20};
    std::unique_lock lock(self->mutex_);
    while (!stop.stop_requested() && self->renew_answers()) {}
    while (!self->wake_.wait_for(lock, stop, pause, [&] { return stop.stop_requested(); })) {
      while (!stop.stop_requested() && self->tend()) {}
      if (stop.stop_requested()) return;
    }
  });
  return service;
}

Status Service::open_time_stamping(TimeStampingRole role, bool qualified) {
  if (refused_by("tsa.qualified", role.policy.qualified && !qualified))
    return Error{ErrorCode::configuration, "time-stamps claim to be qualified and this authority is not (ca.qualified)"};
  if (refused_by("tsa.unit.ocsp_key", role.signer->public_key().spki() == ocsp_signer_->public_key().spki()))
    return Error{ErrorCode::configuration, "the time-stamping unit's key is the OCSP responder's"};
  auto certificate = authority_->unit_certificate(role.signer->public_key(), role.unit);
  if (!certificate) return certificate.error();
  auto opened =
      TimeStamping::open(std::move(role.policy), authority_->issuer(), std::move(*certificate), std::move(role.signer), environment_);
  if (!opened) return opened.error();
  time_stamping_ = std::move(*opened);
  return {};
}

void Service::observe_with(http::Observer internal, http::Observer open) {
  internal_.observe_with(std::move(internal));
  public_.observe_with(std::move(open));
}

Service::Standing Service::standing() const {
  Standing standing{.list = std::nullopt,
                    .issuing_end = authority_->issuer().certificate.not_after(),
                    .responder_end = responder_->certificate().not_after(),
                    .time_stamping_end = std::nullopt,
                    .preproduced = responder_->preproduced()};
  if (const auto list = publisher_->current()) standing.list = Standing::List{(*list)->number, (*list)->next_update};
  if (time_stamping_) standing.time_stamping_end = time_stamping_->key_end();
  return standing;
}

bool Service::renew_answers() {
  const std::lock_guard one_at_a_time(tend_mutex_);
  auto more = responder_->renew(answers_at_once);
  if (!more) log::refusal("ocsp.not_produced", more.error());
  return more && *more;
}

bool Service::tend() {
  // A lost clock is told by the watch itself, once.
  if (time_stamping_) static_cast<void>(time_stamping_->watch_clock());
  if (auto done = publisher_->refresh(); !done) log::refusal("crl.refresh", done.error());
  if (auto certificate = authority_->responder_certificate(ocsp_signer_->public_key())) {
    responder_->use_certificate(std::move(*certificate));
  } else {
    log::refusal("ocsp.renewal", certificate.error());
  }
  if (auto done = gate_.forget_old(); !done) log::refusal("requests.forget", done.error());
  return renew_answers();
}

void Service::route() {
  using http::Access;
  internal_.authorise_with(Access::peer_certificate, [](const http::Request& request) -> Result<http::Principal> {
    if (request.peer_certificate.empty()) return Error{ErrorCode::not_authorised, "no client certificate"};
    return http::Principal{"peer", {}, {}};
  });
  const auto plain = [](auto handler) {
    return http::RouteHandler([handler](const http::Request& request, const http::PathParameters&) { return handler(request); });
  };
  internal_.add("POST", "/pki/v1/certificates", Access::peer_certificate,
                plain([this](const http::Request& request) { return issue(request); }));
  internal_.add("POST", "/pki/v1/short-term-certificates", Access::peer_certificate,
                plain([this](const http::Request& request) { return issue_short_term(request); }));
  internal_.add("POST", "/pki/v1/revocations", Access::peer_certificate,
                plain([this](const http::Request& request) { return change_status(request, &Authority::revoke); }));
  internal_.add("POST", "/pki/v1/releases", Access::peer_certificate,
                plain([this](const http::Request& request) { return change_status(request, &Authority::release); }));
  internal_.add("GET", "/pki/v1/root-crl", Access::peer_certificate,
                plain([this](const http::Request&) { return http::json_answer(list_json(publications_.root_list)); }));
  internal_.add("GET", "/pki/v1/crl", Access::peer_certificate, plain([this](const http::Request&) { return list_for_peers(); }));

  public_.add("GET", "/crl/issuing.crl", Access::anonymous,
              plain([this](const http::Request& request) { return published_list(request, &StoredList::der, &CurrentList::tag); }));
  public_.add("GET", "/crl/issuing-delta.crl", Access::anonymous,
              plain([this](const http::Request& request) { return published_list(request, &StoredList::delta, &CurrentList::delta_tag); }));
  public_.add("GET", "/crl/root.crl", Access::anonymous,
              plain([this](const http::Request&) { return binary_answer(publications_.root_list, "application/pkix-crl"); }));
  public_.add("GET", "/ca/issuing.cer", Access::anonymous, plain([this](const http::Request&) {
                return binary_answer(authority_->issuer().certificate.der(), "application/pkix-cert");
              }));
  public_.add("GET", "/ca/root.cer", Access::anonymous,
              plain([this](const http::Request&) { return binary_answer(publications_.root_certificate, "application/pkix-cert"); }));
  if (time_stamping_) {
    public_.add("POST", "/tsa", Access::anonymous, plain([this](const http::Request& request) { return time_stamp(request); }));
  }
  public_.add("POST", "/ocsp", Access::anonymous, plain([this](const http::Request& request) { return ocsp(as_bytes(request.body)); }));
  public_.add("GET", "/ocsp/{request...}", Access::anonymous,
              http::RouteHandler(
                  [this](const http::Request& request, const http::PathParameters& parameters) { return ocsp_get(request, parameters); }));
}

http::Response Service::time_stamp(const http::Request& request) {
  if (refused_by("tsa.content_type", media_type(request) != "application/timestamp-query"))
    return http::error_answer(415, "unsupported_media_type", "a time-stamp request is application/timestamp-query (RFC 3161, 3.4)");
  http::Response response = binary_answer(time_stamping_->answer(as_bytes(request.body)), "application/timestamp-reply");
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

http::Response Service::issue(const http::Request& request) {
  auto body = json::parse(request.body);
  if (!body) return http::error_answer(body.error());
  auto operator_request = json::text_member(*body, "request", 64 * 1024);
  auto assertion = json::text_member(*body, "keyAssertion", 64 * 1024);
  auto csr_text = json::text_member(*body, "csr", 64 * 1024);
  for (const auto* each : {&operator_request, &assertion, &csr_text}) {
    if (!*each) return http::error_answer(each->error());
  }
  auto csr = parse_base64(*csr_text);
  if (!csr) return http::error_answer(csr.error());
  auto certificate = authority_->issue({*operator_request, *assertion, *csr});
  if (!certificate) return http::error_answer(certificate.error());
  return http::json_answer(certificates_json({&*certificate, &authority_->issuer().certificate}));
}

http::Response Service::issue_short_term(const http::Request& request) {
  auto body = json::parse(request.body);
  if (!body) return http::error_answer(body.error());
  auto assertion = json::text_member(*body, "keyAssertion", 64 * 1024);
  auto csr_text = json::text_member(*body, "csr", 64 * 1024);
  for (const auto* each : {&assertion, &csr_text}) {
    if (!*each) return http::error_answer(each->error());
  }
  auto csr = parse_base64(*csr_text);
  if (!csr) return http::error_answer(csr.error());
  auto certificate = authority_->issue_short_term({*assertion, *csr});
  if (!certificate) return http::error_answer(certificate.error());
  return http::json_answer(certificates_json({&*certificate, &authority_->issuer().certificate}));
}

http::Response Service::change_status(const http::Request& request, StatusChange change) {
  auto body = json::parse(request.body);
  if (!body) return http::error_answer(body.error());
  auto operator_request = json::text_member(*body, "request", 64 * 1024);
  if (!operator_request) return http::error_answer(operator_request.error());
  auto serial = ((*authority_).*change)(*operator_request);
  if (!serial) return http::error_answer(serial.error());
  responder_->status_changed(*serial);
  auto list = publisher_->issue();
  if (!list) return http::error_answer(list.error());
  return http::json_answer(list_json(*list));
}

http::Response Service::list_for_peers() const {
  auto list = publisher_->current();
  return list ? http::json_answer(list_json((*list)->der)) : http::error_answer(list.error());
}

http::Response Service::published_list(const http::Request& request, Bytes StoredList::*list, std::string CurrentList::*tag) const {
  const auto found = publisher_->current();
  if (!found) return http::error_answer(found.error());
  const CurrentList& current = **found;
  if ((current.*list).empty()) return http::error_answer(Error{ErrorCode::not_found, "no delta lists are made"});
  http::Response response;
  if (has_already(request, current.*tag)) {
    response.status = 304;
  } else {
    response = binary_answer(current.*list, "application/pkix-crl");
  }
  // A list that is replaced at once when something is revoked is kept no longer than the next one is away, and never for long.
  const UnixTime now = environment_.clock->now();
  add_caching(response, std::min<std::chrono::seconds>(ocsp_cache_, publisher_->due(current) - now), current.this_update, now,
              current.*tag);
  return response;
}

http::Response Service::ocsp(ByteView request) {
  http::Response response = binary_answer(responder_->answer(request), ocsp_response_type);
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

http::Response Service::ocsp_get(const http::Request&, const http::PathParameters& parameters) {
  auto text = percent_decoded(parameters["request"]);
  auto request = text ? parse_base64(*text) : Result<Bytes>(text.error());
  const OcspReply reply = responder_->reply(request ? ByteView(*request) : ByteView());
  http::Response response = binary_answer(reply.der, ocsp_response_type);
  const UnixTime now = environment_.clock->now();
  // Not up to nextUpdate, as RFC 5019, 6.2 would allow: so long does a cache hide a revocation.
  const auto age = reply.window ? std::min(ocsp_cache_, reply.window->next_update - now) : std::chrono::seconds(0);
  add_caching(response, age, reply.window ? reply.window->this_update : now, now, encode_hex(crypto::sha256(reply.der)));
  return response;
}

}  // namespace intaglio::pki
