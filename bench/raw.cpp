#include <openssl/evp.h>
#include <openssl/rsa.h>

#include <fcntl.h>
#include <unistd.h>

#include "crypto/password_hash.h"
#include "crypto/random.h"
#include "load.h"
#include "stages.h"

namespace intaglio::bench {
namespace {

using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using Context = std::shared_ptr<EVP_PKEY_CTX>;

Context make_context(EVP_PKEY* key, bool rsa) {
  Context context(EVP_PKEY_CTX_new(key, nullptr), EVP_PKEY_CTX_free);
  bool good = context && EVP_PKEY_sign_init(context.get()) == 1;
  if (good && rsa) {
    good = EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_signature_md(context.get(), EVP_sha256()) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(context.get(), RSA_PSS_SALTLEN_DIGEST) == 1;
  }
  if (!good) fail("OpenSSL prepares no signature");
  return context;
}

void measure_key(const LocalOptions& options, const std::string& suite, const Key& key, bool rsa) {
  const auto digest = must("random", crypto::random_bytes(32));
  for (const auto clients : options.clients) {
    measure({"raw." + suite + ".c" + std::to_string(clients), clients, options.seconds}, [&](unsigned) -> Call {
      return [&digest, context = make_context(key.get(), rsa)] {
        std::array<unsigned char, 512> signature;
        std::size_t length = signature.size();
        if (EVP_PKEY_sign(context.get(), signature.data(), &length, digest.data(), digest.size()) != 1) fail("OpenSSL signs not");
        return 1U;
      };
    });
  }
}

/// What the disk asks for one durable write; a signature waits for four of them, shared with the others of its group.
void measure_sync(const LocalOptions& options) {
  const auto file = options.folder / "sync";
  const int descriptor = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  const Bytes block(4096, 1);
  const auto write_block = [&] {
    if (::pwrite(descriptor, block.data(), block.size(), 0) != static_cast<ssize_t>(block.size()) || ::fdatasync(descriptor) != 0)
      fail("no durable write");
  };
  write_block();
  measure({"sync.c1", 1, options.seconds}, [&](unsigned) -> Call {
    return [&] {
      write_block();
      return 1U;
    };
  });
  ::close(descriptor);
}

}  // namespace

void measure_raw(const LocalOptions& options) {
  measure_sync(options);
  const Key rsa(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", std::size_t{3072}), EVP_PKEY_free);
  const Key curve(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), EVP_PKEY_free);
  if (!rsa || !curve) fail("OpenSSL makes no keys");
  measure_key(options, "rsa3072-pss", rsa, true);
  measure_key(options, "p256", curve, false);

  const auto salt = must("random", crypto::random_bytes(16));
  for (const auto clients : options.clients) {
    measure({"argon2.c" + std::to_string(clients), clients, options.seconds}, [&](unsigned) -> Call {
      return [&salt] {
        (void)must("Argon2id", crypto::argon2id(Secret(as_bytes("482915")), salt, {.memory_kib = 64 * 1024, .passes = 3}));
        return 1U;
      };
    });
  }
}

}  // namespace intaglio::bench
