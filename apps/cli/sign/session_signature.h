#pragma once

#include "sign/remote_signature.h"

namespace intaglio::cli {

/// What a session with a one-time key gave.
struct SessionSignatures {
  RemoteCredential credential;    ///< the key of the session and its certificate; nobody can use it any more
  std::vector<Bytes> attributes;  ///< signed attributes of each document, DER
  RemoteSignatures made;          ///< over them, each verified
};
/// Opens a session for these contents, checks it, shows it, asks for the act, has the person sign in at the identity provider for exactly
/// that, and takes back certificate and signatures. `contents`: digests of what the documents hold, with the labels that the person sees.
[[nodiscard]] Result<SessionSignatures> sign_in_session(const Service& service, const ClientSettings& settings, crypto::HashAlgorithm hash,
                                                        const std::vector<protocol::DocumentDigest>& contents,
                                                        const SigningOptions& options, const Clock& clock, const Progress& progress);

}  // namespace intaglio::cli
