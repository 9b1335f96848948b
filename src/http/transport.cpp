#include "http/transport.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/file.h"
#include "base/panic.h"
#include "net/socket_bio.h"

namespace intaglio::http {
namespace {

constexpr std::size_t max_key_bytes = 64 * 1024;
constexpr long max_client_chain_bytes = 32 * 1024;

Error misconfigured(const std::string& what) {
  std::array<char, 256> line{};
  if (const unsigned long code = ERR_get_error()) ERR_error_string_n(code, line.data(), line.size());
  ERR_clear_error();
  return {ErrorCode::configuration, "http: " + what + ": " + line.data()};
}

int no_passphrase(char*, int, int, void*) { return -1; }

Status use_private_key(SSL_CTX* context, const std::string& file) {
  const auto pem = read_secret_file(file, max_key_bytes);
  if (!pem) return Error{ErrorCode::configuration, "http: private key " + file + ": " + pem.error().detail};
  const auto bytes = pem->reveal();
  const std::unique_ptr<BIO, decltype(&BIO_free_all)> bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())), BIO_free_all);
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr),
                                                                EVP_PKEY_free);
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1) return misconfigured("private key " + file);
  if (SSL_CTX_check_private_key(context) != 1) return misconfigured("private key of another certificate: " + file);
  return {};
}

/// The handshake has proved that the client has the certificate's key; a path is not even looked for.
int accept_any_certificate(X509_STORE_CTX* presented, void*) {
  X509_STORE_CTX_set_error(presented, X509_V_OK);
  return 1;
}

Status require_client_certificates(SSL_CTX* context, const ListenerConfig& config) {
  if (!config.client_ca_file.empty() && config.any_client_certificate) {
    return Error{ErrorCode::configuration, "http: a listener with a client CA takes no other certificate"};
  }
  if (config.any_client_certificate) {
    SSL_CTX_set_cert_verify_callback(context, accept_any_certificate, nullptr);
  } else {
    const auto& file = config.client_ca_file;
    if (SSL_CTX_load_verify_file(context, file.c_str()) != 1) return misconfigured("client CA " + file);
    SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(file.c_str()));
    SSL_CTX_set_verify_depth(context, 3);
  }
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_max_cert_list(context, max_client_chain_bytes);
  return {};
}

Transport::Outcome after_system_call(ssize_t moved, Transport::Outcome retry) {
  if (moved > 0) return Transport::Outcome::done;
  return moved < 0 && (errno == EAGAIN || errno == EINTR) ? retry : Transport::Outcome::closed;
}

}  // namespace

Result<std::shared_ptr<ssl_ctx_st>> make_tls_context(const ListenerConfig& config) {
  ERR_clear_error();
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return misconfigured("TLS context");
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  const bool tls13 = SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1 &&
                     SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) == 1 && SSL_CTX_set_num_tickets(context.get(), 0) == 1;
  if (!tls13) return misconfigured("TLS 1.3");
  if (SSL_CTX_use_certificate_chain_file(context.get(), config.certificate_chain_file.c_str()) != 1) {
    return misconfigured("certificate chain " + config.certificate_chain_file);
  }
  if (auto used = use_private_key(context.get(), config.private_key_file); !used) return used.error();
  if (!config.client_ca_file.empty() || config.any_client_certificate) {
    if (auto required = require_client_certificates(context.get(), config); !required) return required.error();
  }
  return context;
}

void Transport::Free::operator()(ssl_st* ssl) const noexcept { SSL_free(ssl); }

Transport::Transport(int descriptor, ssl_ctx_st* context) : descriptor_(descriptor) {
  if (context == nullptr) return;
  ssl_.reset(SSL_new(context));
  if (!ssl_ || !net::attach_socket(ssl_.get(), descriptor_)) panic("no memory for a TLS connection");
  SSL_set_accept_state(ssl_.get());
}
Transport::~Transport() = default;

Transport::Outcome Transport::judge(int result) const {
  switch (SSL_get_error(ssl_.get(), result)) {
    case SSL_ERROR_WANT_READ: return Outcome::wait_read;
    case SSL_ERROR_WANT_WRITE: return Outcome::wait_write;
    default: return Outcome::closed;
  }
}

Transport::Outcome Transport::handshake() {
  if (!ssl_) return Outcome::done;
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  return result == 1 ? Outcome::done : judge(result);
}

Transport::Outcome Transport::read(std::span<char> buffer, std::size_t& count) {
  if (!ssl_) {
    const auto received = ::recv(descriptor_, buffer.data(), buffer.size(), 0);
    count = received > 0 ? static_cast<std::size_t>(received) : 0;
    return after_system_call(received, Outcome::wait_read);
  }
  ERR_clear_error();
  const int result = SSL_read_ex(ssl_.get(), buffer.data(), buffer.size(), &count);
  return result == 1 ? Outcome::done : judge(result);
}

Transport::Outcome Transport::write(std::string_view& bytes) {
  while (!bytes.empty()) {
    std::size_t taken = 0;
    if (!ssl_) {
      const auto sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (const auto outcome = after_system_call(sent, Outcome::wait_write); outcome != Outcome::done) return outcome;
      taken = static_cast<std::size_t>(sent);
    } else {
      ERR_clear_error();
      const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &taken);
      if (result != 1) return judge(result);
    }
    bytes.remove_prefix(taken);
  }
  return Outcome::done;
}

void Transport::finish() {
  ERR_clear_error();
  if (ssl_) SSL_shutdown(ssl_.get());
  ::shutdown(descriptor_, SHUT_WR);
}

bool Transport::has_pending() const { return ssl_ && SSL_has_pending(ssl_.get()) == 1; }

Bytes Transport::peer_certificate() const {
  const X509* certificate = ssl_ ? SSL_get0_peer_certificate(ssl_.get()) : nullptr;
  if (certificate == nullptr) return {};
  unsigned char* der = nullptr;
  const int length = i2d_X509(certificate, &der);
  if (length <= 0) return {};
  auto copy = to_bytes(ByteView(der, static_cast<std::size_t>(length)));
  OPENSSL_free(der);
  return copy;
}

}  // namespace intaglio::http
