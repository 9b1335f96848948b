#include "https.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>

#include "load.h"

namespace intaglio::bench {
namespace {

constexpr std::string_view head_end = "\r\n\r\n";
constexpr std::string_view length_name = "content-length:";

int connect_loopback(std::uint16_t port) {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (descriptor < 0 || ::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    fail("https: no connection");
  const int on = 1;
  ::setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return descriptor;
}

std::size_t content_length(std::string_view head) {
  std::string lower(head);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  auto at = lower.find(length_name);
  if (at == std::string::npos) fail("https: an answer without Content-Length");
  at = lower.find_first_not_of(' ', at + length_name.size());
  std::size_t length = 0;
  std::from_chars(lower.data() + at, lower.data() + lower.size(), length);
  return length;
}

}  // namespace

std::shared_ptr<ssl_ctx_st> HttpsConnection::make_context(const std::string& ca_file, const Identity& identity) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  if (SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr) != 1) fail("https: no CA file");
  if (identity.certificate.empty()) return context;
  if (SSL_CTX_use_certificate_chain_file(context.get(), identity.certificate.c_str()) != 1 ||
      SSL_CTX_use_PrivateKey_file(context.get(), identity.key.c_str(), SSL_FILETYPE_PEM) != 1)
    fail("https: no certificate and key of the client");
  return context;
}

HttpsConnection::HttpsConnection(ssl_ctx_st* context, std::uint16_t port) : tls_(SSL_new(context), SSL_free) {
  X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls_.get()), "127.0.0.1");
  SSL_set_fd(tls_.get(), connect_loopback(port));
  if (SSL_connect(tls_.get()) != 1) fail("https: no TLS");
}

HttpsConnection::~HttpsConnection() { ::close(SSL_get_fd(tls_.get())); }

std::string_view HttpsConnection::exchange(std::string_view request) {
  if (SSL_write(tls_.get(), request.data(), static_cast<int>(request.size())) <= 0) fail("https: not sent");
  answer_.clear();
  std::size_t body = std::string::npos;
  std::size_t whole = 0;
  while (body == std::string::npos || answer_.size() < whole) {
    const auto have = answer_.size();
    answer_.resize(have + 16384);
    const int count = SSL_read(tls_.get(), answer_.data() + have, 16384);
    if (count <= 0) fail("https: the connection ended");
    answer_.resize(have + static_cast<std::size_t>(count));
    if (body != std::string::npos) continue;
    const auto end = answer_.find(head_end);
    if (end == std::string::npos) continue;
    body = end + head_end.size();
    whole = body + content_length(std::string_view(answer_).substr(0, body));
  }
  if (!std::string_view(answer_).starts_with("HTTP/1.1 200 ")) fail(answer_);
  return std::string_view(answer_).substr(body);
}

}  // namespace intaglio::bench
