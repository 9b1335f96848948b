#pragma once

#include "sign/remote_signature.h"

namespace intaglio::cli {

struct SealGrantOptions {
  SigningOptions signing;
  std::filesystem::path key_file;  ///< the client's private key, PEM; made there, mode 0600, when there is none
  std::uint64_t signatures = 0;
  unsigned days = 0;
};
/// `intaglio seal grant`: the signer, with two factors, lets this key ask for so many seals of his credential, so long, of one suite.
Status make_seal_grant(const SealGrantOptions& options, const Clock& clock);

struct SealEndOptions {
  std::filesystem::path client_file;
  std::string grant;
};
/// `intaglio seal revoke`: nothing is sealed under the grant from now on.
Status end_seal_grant(const SealEndOptions& options, const Clock& clock);

struct SealSignOptions {
  SigningOptions signing;          ///< no factors: nobody is asked
  std::string grant;
  std::filesystem::path key_file;  ///< the client's private key, PEM
  std::vector<std::string> digests;                    ///< hexadecimal
  std::optional<std::filesystem::path> digests_file;  ///< the same, one a line
};
/// `intaglio seal sign`: raw signatures over digests under a grant, printed as JSON lines.
Status sign_under_grant(const SealSignOptions& options, const Clock& clock);

}  // namespace intaglio::cli
