#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"

namespace intaglio::apps::pki {

/// One act of the key ceremony. `tsa` makes a new time-stamping unit's key on the PKI's token. `root` and `certify` need the root's token and nothing else, `request` the PKI's token and nothing
/// else: on real premises the request and the certificate travel between two machines. `issuing` does request and certify on
/// one machine, each in a process of its own, because a PKCS#11 module serves one set of tokens per process. `list` renews the root's list,
/// `revoke` puts a certificate that the root issued on it, `cross` certifies another root (docs/operate/ca-rollover.md).
struct Ceremony {
  std::string act;  ///< root, request, certify, issuing, tsa, list, revoke or cross
  std::filesystem::path config, root_config;
  std::filesystem::path request;  ///< PKCS#10, DER; by default beside the issuing certificate
  std::filesystem::path certificate;  ///< DER: certify and cross write it, revoke reads it
  std::filesystem::path other;  ///< another root's certificate, DER, for cross
  std::string reason;  ///< of revoke, as RFC 5280 spells it
};

Status perform(const Ceremony& ceremony);

}  // namespace intaglio::apps::pki
