#include "protocol/wire/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>

#include "base/check.h"
#include "base/file.h"

namespace intaglio::protocol::wire {
namespace {

constexpr std::size_t max_pem_bytes = 64 * 1024;
constexpr long max_peer_chain_bytes = 16 * 1024;

using Pins = std::vector<crypto::Sha256Digest>;

Error misconfigured(std::string_view what) { return {ErrorCode::configuration, "wire: " + std::string(what) + ": " + tls_failure()}; }

template <auto release>
struct Releaser {
  template <typename T>
  void operator()(T* object) const noexcept {
    release(object);
  }
};
using Bio = std::unique_ptr<BIO, Releaser<BIO_free_all>>;
using Key = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;
using Leaf = std::unique_ptr<X509, Releaser<X509_free>>;

int no_passphrase(char*, int, int, void*) { return -1; }

/// The whole verification: the leaf's SPKI is pinned or it is not. Possession of its key is what the handshake itself proves.
int verify_pin(X509_STORE_CTX* chain, void* pins) noexcept {
  const X509* leaf = X509_STORE_CTX_get0_cert(chain);
  if (leaf == nullptr) return 0;
  unsigned char* der = nullptr;
  const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
  if (length <= 0) return 0;
  const auto digest = crypto::sha256(ByteView(der, static_cast<std::size_t>(length)));
  OPENSSL_free(der);
  const auto& known = *static_cast<const Pins*>(pins);
  if (refused_by("wire.peer_pin", std::find(known.begin(), known.end(), digest) == known.end())) {
    X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_UNTRUSTED);
    return 0;
  }
  X509_STORE_CTX_set_error(chain, X509_V_OK);
  return 1;
}

Status use_certificate(SSL_CTX* context, const std::string& file) {
  const auto pem = read_file(file, max_pem_bytes);
  if (!pem) return Error{ErrorCode::configuration, "wire: certificate " + file + ": " + pem.error().detail};
  const Bio bio(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  const Leaf leaf(PEM_read_bio_X509(bio.get(), nullptr, no_passphrase, nullptr));
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) return misconfigured("certificate " + file);
  return {};
}

Status use_private_key(SSL_CTX* context, const std::string& file) {
  const auto pem = read_secret_file(file, max_pem_bytes);
  if (!pem) return Error{ErrorCode::configuration, "wire: private key " + file + ": " + pem.error().detail};
  const auto bytes = pem->reveal();
  const Bio bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1) return misconfigured("private key " + file);
  if (SSL_CTX_check_private_key(context) != 1) return misconfigured("private key of another certificate: " + file);
  return {};
}

}  // namespace

std::string tls_failure() {
  std::string text;
  while (const unsigned long code = ERR_get_error()) {
    std::array<char, 256> line{};
    ERR_error_string_n(code, line.data(), line.size());
    if (text.empty()) text = line.data();
  }
  return text.empty() ? "no reason given" : text;
}

TlsContext::TlsContext(std::shared_ptr<ssl_ctx_st> context, std::shared_ptr<const Pins> pins)
    : pins_(std::move(pins)), context_(std::move(context)) {}

Result<TlsContext> TlsContext::create(TlsSide side, const TlsIdentity& identity, Pins pinned_peers) {
  if (pinned_peers.empty()) return Error{ErrorCode::configuration, "wire: no pinned peer"};
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(side == TlsSide::server ? TLS_server_method() : TLS_client_method()), SSL_CTX_free);
  if (!context) return misconfigured("TLS context");
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_max_cert_list(context.get(), max_peer_chain_bytes);
  const bool versions = SSL_CTX_set_min_proto_version(context.get(), TLS1_3_VERSION) == 1 &&
                        SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) == 1;
  const bool suites = SSL_CTX_set_ciphersuites(context.get(), "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256") == 1;
  const bool tickets = SSL_CTX_set_num_tickets(context.get(), 0) == 1;
  if (!versions || !suites || !tickets) return misconfigured("TLS 1.3");
  if (auto used = use_certificate(context.get(), identity.certificate_file); !used) return used.error();
  if (auto used = use_private_key(context.get(), identity.private_key_file); !used) return used.error();
  auto pins = std::make_shared<const Pins>(std::move(pinned_peers));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), verify_pin, const_cast<Pins*>(pins.get()));
  return TlsContext(std::move(context), std::move(pins));
}

}  // namespace intaglio::protocol::wire
