#include "outbound/http_client.h"

#include <algorithm>
#include <mutex>

#include "base/bytes.h"
#include "outbound/detail/curl.h"

namespace intaglio::outbound {
namespace {

using detail::Easy;
using detail::is_loopback;
using detail::part_of;

/// Below the idle time-out of our own servers, so that a kept connection is rarely one that the server has just closed.
constexpr long longest_rest_seconds = 20;
constexpr std::size_t max_url_bytes = 8 * 1024;

struct Body {
  std::string text;
  std::size_t limit = 0;
  bool too_large = false;
};

std::size_t receive(char* data, std::size_t size, std::size_t count, void* target) {
  auto& body = *static_cast<Body*>(target);
  const std::size_t length = size * count;
  body.too_large = body.text.size() + length > body.limit;
  if (body.too_large) return 0;
  body.text.append(data, length);
  return length;
}

Error forbidden(std::string_view why) { return {ErrorCode::configuration, "outbound: " + std::string(why)}; }

Status check_url(const HttpClientConfig& config, const std::string& text) {
  const detail::Url url(curl_url());
  if (text.size() > max_url_bytes || !url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK)
    return forbidden("malformed URL");
  const auto scheme = part_of(url.get(), CURLUPART_SCHEME);
  auto host = part_of(url.get(), CURLUPART_HOST);
  std::transform(host.begin(), host.end(), host.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const auto address = host + ":" + part_of(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT);
  if (!part_of(url.get(), CURLUPART_USER).empty() || !part_of(url.get(), CURLUPART_PASSWORD).empty())
    return forbidden("a URL with credentials");
  const bool plain = scheme == "http" && config.allow_plain_loopback && is_loopback(host);
  if (scheme != "https" && !plain) return forbidden("not https: " + address);
  if (scheme == "https" && config.ca_file.empty()) return forbidden("https without a CA file");
  if (std::find(config.allowed.begin(), config.allowed.end(), address) == config.allowed.end())
    return forbidden("address not allowed: " + address);
  return {};
}

Result<detail::List> header_list(const HttpHeaders& headers, std::string_view content_type) {
  detail::List list;
  const auto add = [&](const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) return false;
    static_cast<void>(list.release());
    list.reset(longer);
    return true;
  };
  // libcurl would wait a second for 100-continue before a larger body.
  bool added = add("Expect:");
  if (!content_type.empty()) added = added && add("Content-Type: " + std::string(content_type));
  for (const auto& [name, value] : headers) {
    const auto control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (std::any_of(name.begin(), name.end(), control) || std::any_of(value.begin(), value.end(), control)) {
      return Error{ErrorCode::invalid_request, "outbound: a header with a control character"};
    }
    std::string line(name);
    line.append(": ").append(value);
    added = added && add(line);
  }
  if (!added) return Error{ErrorCode::internal, "outbound: out of memory"};
  return list;
}

/// Whether the server may have received the request.
bool may_be_sent(CURL* easy) {
  long sent = 0;
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &sent);
  return sent > 0;
}

Error refusal(CURL* easy, CURLcode code, const Body& body) {
  const std::string why = curl_easy_strerror(code);
  if (body.too_large) return {ErrorCode::too_large, "outbound: the answer is too large"};
  if (code == CURLE_SSL_CERTPROBLEM || code == CURLE_SSL_CACERT_BADFILE) return {ErrorCode::configuration, "outbound: " + why};
  if (may_be_sent(easy)) return {ErrorCode::internal, "outcome unknown: " + why};
  return {ErrorCode::busy, "outbound: not reached: " + why};
}

std::string encode_form(const HttpHeaders& values) {
  const auto encoded = [](std::string_view text) {
    std::string result;
    for (const char c : text) {
      const bool plain =
          (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '*';
      if (plain) {
        result.push_back(c);
      } else {
        result += "%" + encode_hex(as_bytes(std::string_view(&c, 1)));
      }
    }
    return result;
  };
  std::string form;
  for (const auto& [name, value] : values) form += (form.empty() ? "" : "&") + encoded(name) + "=" + encoded(value);
  return form;
}

}  // namespace

struct HttpClient::State {
  HttpClientConfig config;
  mutable std::mutex mutex;
  mutable std::vector<Easy> resting;

  [[nodiscard]] Easy take() const {
    {
      const std::lock_guard lock(mutex);
      if (!resting.empty()) {
        auto easy = std::move(resting.back());
        resting.pop_back();
        return easy;
      }
    }
    return Easy(curl_easy_init());
  }
  void give_back(Easy easy) const {
    const std::lock_guard lock(mutex);
    resting.push_back(std::move(easy));
  }

  void prepare(CURL* easy) const {
    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "https,http");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    // The packaged libcurl adds the system's roots unless told otherwise.
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
    curl_easy_setopt(easy, CURLOPT_CAINFO, config.ca_file.empty() ? nullptr : config.ca_file.c_str());
    if (!config.certificate_file.empty()) {
      curl_easy_setopt(easy, CURLOPT_SSLCERT, config.certificate_file.c_str());
      curl_easy_setopt(easy, CURLOPT_SSLKEY, config.private_key_file.c_str());
    }
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(config.connect_timeout.count()));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(config.timeout.count()));
    curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, longest_rest_seconds);
    curl_easy_setopt(easy, CURLOPT_MAXCONNECTS, 4L);
    curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, config.keep_connections ? 0L : 1L);
    curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, config.keep_connections ? 0L : 1L);
  }

  /// `body` null: GET.
  [[nodiscard]] Result<HttpAnswer> exchange(const std::string& url, const HttpHeaders& headers, std::string_view content_type,
                                            const std::string_view* body) const {
    if (auto allowed = check_url(config, url); !allowed) return allowed.error();
    const auto list = header_list(headers, content_type);
    if (!list) return list.error();
    auto easy = take();
    if (!easy) return Error{ErrorCode::internal, "outbound: out of memory"};
    Body received{.text = {}, .limit = config.max_response_bytes, .too_large = false};
    prepare(easy.get());
    curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
    curl_easy_setopt(easy.get(), CURLOPT_HTTPHEADER, list->get());
    curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, receive);
    curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, &received);
    if (body != nullptr) {
      curl_easy_setopt(easy.get(), CURLOPT_POST, 1L);
      curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body->size()));
      curl_easy_setopt(easy.get(), CURLOPT_POSTFIELDS, body->data());
    }
    const detail::WithoutSigpipe quiet;
    const CURLcode code = curl_easy_perform(easy.get());
    if (code != CURLE_OK) return refusal(easy.get(), code, received);
    HttpAnswer answer{.status = 0, .content_type = {}, .body = std::move(received.text)};
    long status = 0;
    const char* type = nullptr;
    curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy.get(), CURLINFO_CONTENT_TYPE, &type);
    answer.status = static_cast<unsigned>(status);
    if (type != nullptr) answer.content_type = type;
    give_back(std::move(easy));
    return answer;
  }
};

HttpClient::HttpClient(std::shared_ptr<const State> state) : state_(std::move(state)) {}

Result<HttpClient> HttpClient::create(HttpClientConfig config) {
  if (!detail::library_ready()) return Error{ErrorCode::internal, "outbound: libcurl does not start"};
  if (config.certificate_file.empty() != config.private_key_file.empty())
    return forbidden("a client certificate needs its key, and a key its certificate");
  for (const auto& file : {config.ca_file, config.certificate_file, config.private_key_file}) {
    std::error_code ignored;
    if (!file.empty() && !std::filesystem::is_regular_file(file, ignored)) return forbidden("no such file: " + file.string());
  }
  auto state = std::make_shared<State>();
  state->config = std::move(config);
  return HttpClient(std::move(state));
}

Status HttpClient::check(std::string_view url) const { return check_url(state_->config, std::string(url)); }

Result<HttpAnswer> HttpClient::get(std::string_view url, const HttpHeaders& headers) const {
  return state_->exchange(std::string(url), headers, "", nullptr);
}

Result<HttpAnswer> HttpClient::post(std::string_view url, std::string_view content_type, std::string_view body,
                                    const HttpHeaders& headers) const {
  return state_->exchange(std::string(url), headers, content_type, &body);
}

Result<HttpAnswer> HttpClient::post_json(std::string_view url, std::string_view body, const HttpHeaders& headers) const {
  return post(url, "application/json", body, headers);
}

Result<HttpAnswer> HttpClient::post_form(std::string_view url, const HttpHeaders& values, const HttpHeaders& headers) const {
  return post(url, "application/x-www-form-urlencoded", encode_form(values), headers);
}

}  // namespace intaglio::outbound
