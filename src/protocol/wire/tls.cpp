#include "protocol/wire/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"

namespace intaglio::protocol::wire {
namespace {

constexpr std::size_t max_pem_bytes = 64 * 1024;
constexpr long max_peer_chain_bytes = 16 * 1024;

using PeerCheck = TlsContext::PeerCheck;

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

std::optional<crypto::Sha256Digest> spki_digest(const X509* leaf) noexcept {
  if (leaf == nullptr) return std::nullopt;
  unsigned char* der = nullptr;
  const int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf), &der);
  if (length <= 0) return std::nullopt;
  const auto digest = crypto::sha256(ByteView(der, static_cast<std::size_t>(length)));
  OPENSSL_free(der);
  return digest;
}

/// The whole verification: the leaf's SPKI is let in or it is not. Possession of its key is what the handshake itself proves.
int verify_peer(X509_STORE_CTX* chain, void* let_in) noexcept {
  const auto digest = spki_digest(X509_STORE_CTX_get0_cert(chain));
  if (!digest) return 0;
  bool known = false;
  try {
    known = (*static_cast<const PeerCheck*>(let_in))(*digest);
  } catch (const std::exception& exception) {
    log::error("wire.peer_unchecked", {{"reason", exception.what()}});
    return 0;
  }
  if (refused_by("wire.peer_pin", !known)) {
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

TlsContext::TlsContext(std::shared_ptr<ssl_ctx_st> context, std::shared_ptr<const PeerCheck> let_in)
    : let_in_(std::move(let_in)), context_(std::move(context)) {}

Result<PeerCheck> one_of(std::vector<crypto::Sha256Digest> pins) {
  if (pins.empty()) return Error{ErrorCode::configuration, "wire: no pinned peer"};
  return PeerCheck(
      [known = std::move(pins)](const crypto::Sha256Digest& peer) { return std::find(known.begin(), known.end(), peer) != known.end(); });
}

Result<crypto::Sha256Digest> peer_spki(const SSL* connection) {
  const auto digest = spki_digest(SSL_get0_peer_certificate(connection));
  if (!digest) return Error{ErrorCode::internal, "wire: a connection without the certificate of its peer"};
  return *digest;
}

Result<TlsContext> TlsContext::create(TlsSide side, const TlsIdentity& identity, PeerCheck let_in) {
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
  auto check = std::make_shared<const PeerCheck>(std::move(let_in));
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  SSL_CTX_set_cert_verify_callback(context.get(), verify_peer, const_cast<PeerCheck*>(check.get()));
  return TlsContext(std::move(context), std::move(check));
}

}  // namespace intaglio::protocol::wire
