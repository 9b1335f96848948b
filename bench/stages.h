#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace intaglio::bench {

/// What the stages without a service are asked for.
struct LocalOptions {
  std::filesystem::path module;  ///< the PKCS#11 library
  std::filesystem::path folder;  ///< an empty folder for the token that the stage makes
  std::vector<unsigned> clients;
  double seconds;                ///< of each cell
};

/// OpenSSL alone, keys in memory: `raw.<suite>.c<clients>`; and Argon2id at the cost of a PIN: `argon2.c<clients>`; and one
/// durable write to the folder: `sync.c1`.
void measure_raw(const LocalOptions& options);

/// A token of its own, in this process. `csign.…`: C_SignInit and C_Sign on sessions of our own; `limit.…`: the same and the one
/// verification of TC-5; `room.…`: the token room's sign_for_activation; `verify.…`: the verification alone.
void measure_token(const LocalOptions& options);
/// Measures `limit.<key>.c<clients>` on a token of its own for each line `<key> <clients>` of standard input, until that ends: the
/// limit beside a cell, on a machine that is not equally fast all the time. `options.clients` is not looked at.
void serve_limits(const LocalOptions& options);

/// A token of its own as well. `limit.<key>-wrapped.…`: with bare calls, a key of wrapped custody is unwrapped in two stages, signs and is
/// destroyed, and the signature is verified.
void measure_wrapped(const LocalOptions& options);

struct TimestampOptions {
  std::uint16_t port;  ///< of the PKI's public listener
  std::filesystem::path root;  ///< the root's certificate, DER
  std::vector<unsigned> clients;
  double seconds;  ///< of each cell
};
/// Time-stamps over plain HTTP from a running PKI: `tsa.p256.c<clients>`. Each client's first answer is verified.
void measure_timestamps(const TimestampOptions& options);

struct StatusOptions {
  std::uint16_t port;  ///< of the PKI's public listener
  std::filesystem::path issuer, certificate;  ///< DER; the certificate is good
  std::vector<unsigned> clients;
  double seconds;  ///< of each cell
};
/// OCSP over plain HTTP from a running PKI: `ocsp.p256.c<clients>` with a nonce, signed live, and `ocsp-preproduced.p256.c<clients>` without.
/// Each client's first answer is verified.
void measure_status(const StatusOptions& options);

/// One cell against running services, as the plan file of run.mjs says.
struct RemoteOptions {
  std::string name;
  std::filesystem::path plan;
  unsigned clients;
  double seconds;
  unsigned batch;  ///< digests in one call
};
/// The bench as the SSA on the SAM's wire.
void measure_wire(const RemoteOptions& options);
/// signatures/signHash over HTTPS; each client's last answer is verified with the certificate's key.
void measure_https(const RemoteOptions& options);
/// Requests that were prepared, over HTTPS: SAP messages (the PIN path, sessions with a one-time key), requests for certificates.
void measure_posts(const RemoteOptions& options);

}  // namespace intaglio::bench
