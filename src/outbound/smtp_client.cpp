#include "outbound/smtp_client.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "base/file.h"
#include "outbound/detail/curl.h"

namespace intaglio::outbound {
namespace {

constexpr std::size_t max_password = 1024;

Error misconfigured(std::string_view why) { return {ErrorCode::configuration, "outbound: " + std::string(why)}; }

/// What of the message the server has not been given, and which command of the exchange was the last.
struct Exchange {
  enum class Command { before_recipient, recipient, data };
  std::string_view rest;
  Command last = Command::before_recipient;

  /// Whether the server has been asked about the address or the message: its answers before are about the connection, or about us.
  [[nodiscard]] bool is_judged() const { return last == Command::recipient || (last == Command::data && rest.empty()); }
};

std::size_t give(char* target, std::size_t size, std::size_t count, void* source) {
  auto& exchange = *static_cast<Exchange*>(source);
  const std::size_t length = std::min(size * count, exchange.rest.size());
  std::memcpy(target, exchange.rest.data(), length);
  exchange.rest.remove_prefix(length);
  return length;
}

/// Sees each command as it is sent, the password's among them, and keeps none: libcurl does not tell otherwise which one was answered.
int note_command(CURL*, curl_infotype type, char* data, std::size_t size, void* target) {
  if (type != CURLINFO_HEADER_OUT) return 0;
  auto& exchange = *static_cast<Exchange*>(target);
  const std::string_view line(data, size);
  if (line.starts_with("RCPT TO:")) exchange.last = Exchange::Command::recipient;
  if (line.starts_with("DATA\r\n")) exchange.last = Exchange::Command::data;
  return 0;
}

/// What the server says is not for us to keep: it may repeat what it was told.
std::size_t swallow(char*, std::size_t size, std::size_t count, void*) { return size * count; }

bool is_certificate_trouble(CURLcode code) {
  return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE || code == CURLE_USE_SSL_FAILED;
}

Error refusal(CURL* easy, CURLcode code, const Exchange& exchange) {
  long answered = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &answered);
  const std::string why = std::string(curl_easy_strerror(code)) + ", status " + std::to_string(answered);
  if (code == CURLE_LOGIN_DENIED || is_certificate_trouble(code)) return misconfigured(why);
  // 550 to 556 speak of the address or the message, where one was asked about: a 554 that greets, or a 550 to our sender, is the
  // operator's to mend. Other 5yz may be of the connection, and pass.
  if (answered >= 550 && answered <= 556 && exchange.is_judged()) return {ErrorCode::not_authorised, "outbound: refused for good: " + why};
  return {ErrorCode::busy, "outbound: mail not taken: " + why};
}

Status check_server(const SmtpConfig& config) {
  const detail::Url url(curl_url());
  if (!url || curl_url_set(url.get(), CURLUPART_URL, config.server.c_str(), 0) != CURLUE_OK) return misconfigured("malformed server URL");
  const auto scheme = detail::part_of(url.get(), CURLUPART_SCHEME);
  const auto path = detail::part_of(url.get(), CURLUPART_PATH);
  if (scheme != "smtp" && scheme != "smtps") return misconfigured("a mail server is smtp:// or smtps://");
  if (path != "/" || !detail::part_of(url.get(), CURLUPART_USER).empty() || !detail::part_of(url.get(), CURLUPART_PASSWORD).empty() ||
      !detail::part_of(url.get(), CURLUPART_OPTIONS).empty())
    return misconfigured("a mail server is named by host and port alone");
  const bool loopback = detail::is_loopback(detail::part_of(url.get(), CURLUPART_HOST));
  if (refused_by("outbound.smtp.clear", config.plain_loopback && (!loopback || scheme != "smtp")))
    return misconfigured("only smtp:// to this machine goes without TLS");
  if (!config.plain_loopback && config.ca_file.empty()) return misconfigured("a mail server with TLS needs a CA file");
  return {};
}

}  // namespace

struct SmtpClient::State {
  SmtpConfig config;
  Secret password;

  void prepare(CURL* easy) const {
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_NETRC, long{CURL_NETRC_IGNORED});
    // Without this a server that offers no STARTTLS would get the message, and our password, in the clear.
    const bool tls = refused_by("outbound.smtp.starttls", !config.plain_loopback);
    curl_easy_setopt(easy, CURLOPT_USE_SSL, tls ? long{CURLUSESSL_ALL} : long{CURLUSESSL_NONE});
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
    // The packaged libcurl adds the system's roots unless told otherwise.
    curl_easy_setopt(easy, CURLOPT_CAPATH, nullptr);
    curl_easy_setopt(easy, CURLOPT_CAINFO, config.ca_file.empty() ? nullptr : config.ca_file.c_str());
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(config.connect_timeout.count()));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(config.timeout.count()));
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
  }
};

SmtpClient::SmtpClient(std::shared_ptr<const State> state) : state_(std::move(state)) {}

Result<SmtpClient> SmtpClient::create(SmtpConfig config) {
  if (!detail::library_ready()) return Error{ErrorCode::internal, "outbound: libcurl does not start"};
  if (auto good = check_server(config); !good) return good.error();
  std::error_code ignored;
  if (!config.ca_file.empty() && !std::filesystem::is_regular_file(config.ca_file, ignored))
    return misconfigured("no such file: " + config.ca_file.string());
  if (config.user.empty() != config.password_file.empty()) return misconfigured("a user needs a password file, and it a user");
  auto state = std::make_shared<State>();
  if (!config.user.empty()) {
    auto password = read_secret_file(config.password_file, max_password);
    if (!password) return password.error();
    const auto text = as_text(password->reveal());
    if (text.empty() || text.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos)
      return misconfigured("the password file has not one line");
    state->password = std::move(*password);
  }
  state->config = std::move(config);
  return SmtpClient(std::move(state));
}

Status SmtpClient::send(const Mail& mail) const {
  const auto message = encode_mail(mail);
  if (!message) return message.error();
  const detail::Easy easy(curl_easy_init());
  const detail::List recipients(curl_slist_append(nullptr, mail.to.c_str()));
  if (!easy || !recipients) return Error{ErrorCode::internal, "outbound: out of memory"};
  const auto& config = state_->config;
  state_->prepare(easy.get());
  // The path is what we call ourselves (EHLO): the sender's domain, rather than the name of this machine.
  const auto url = config.server + (config.server.ends_with('/') ? "" : "/") + mail.from.substr(mail.from.find('@') + 1);
  curl_easy_setopt(easy.get(), CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_MAIL_FROM, mail.from.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_MAIL_RCPT, recipients.get());
  if (!config.user.empty()) {
    std::string password(as_text(state_->password.reveal()));
    const WipeAtExit wiped(password);
    curl_easy_setopt(easy.get(), CURLOPT_USERNAME, config.user.c_str());
    curl_easy_setopt(easy.get(), CURLOPT_PASSWORD, password.c_str());
  }
  Exchange exchange{*message};
  curl_easy_setopt(easy.get(), CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_READFUNCTION, give);
  curl_easy_setopt(easy.get(), CURLOPT_READDATA, &exchange);
  curl_easy_setopt(easy.get(), CURLOPT_VERBOSE, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_DEBUGFUNCTION, note_command);
  curl_easy_setopt(easy.get(), CURLOPT_DEBUGDATA, &exchange);
  const detail::WithoutSigpipe quiet;
  const CURLcode code = curl_easy_perform(easy.get());
  return code == CURLE_OK ? Status() : Status(refusal(easy.get(), code, exchange));
}

}  // namespace intaglio::outbound
