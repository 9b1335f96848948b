#pragma once

#include <string>
#include <vector>

#include "crypto/certificate.h"
#include "sign/factors.h"
#include "sign/sap_session.h"
#include "sign/transaction_check.h"

namespace intaglio::cli {

/// What the commands that sign have in common.
struct SigningOptions {
  std::filesystem::path client_file;
  std::string credential;
  std::optional<std::string> session_profile;  ///< instead of a credential: a key of one session, in this profile
  std::optional<std::string> suite;
  FactorOptions factors;
  bool yes = false;
};

/// A credential as the service describes it, its key taken from its certificate.
struct RemoteCredential {
  std::string id;
  std::vector<crypto::Certificate> chain;  ///< leaf first
  crypto::PublicKey key;
  crypto::SignatureSuite suite;
};
/// Refused when the key is disabled, the certificate is not valid now, or the suite does not fit the key.
[[nodiscard]] Result<RemoteCredential> find_credential(const Service& service, const SigningOptions& options, const Clock& clock);

/// Where the audit log holds a signature.
struct AuditReference {
  std::string log;
  std::int64_t index;
  std::string leaf;  ///< base64
};
struct RemoteSignatures {
  std::vector<Bytes> signatures;  ///< in the order of the documents, each verified with the certificate's key
  std::vector<AuditReference> references;
};
/// From the answer of a service: refused unless each verifies over its digest with the credential's key.
[[nodiscard]] Result<RemoteSignatures> read_signatures(const json::Value& answer, const RemoteCredential& credential,
                                                       const std::vector<protocol::DocumentDigest>& digests);
/// Opens the transaction, checks it, shows it, asks for the act, seals the factors, and has the digests signed. `digests` are
/// what is signed, with the labels that the signer sees.
[[nodiscard]] Result<RemoteSignatures> sign_remotely(const Service& service, const ClientSettings& settings,
                                                     const RemoteCredential& credential,
                                                     const std::vector<protocol::DocumentDigest>& digests, const SigningOptions& options,
                                                     const Clock& clock, const Progress& progress);

/// signHash under a SAD, or a client's own request in its place; each signature is verified with the certificate's key.
[[nodiscard]] Result<RemoteSignatures> request_signatures(const Service& service, const RemoteCredential& credential, std::string_view sad,
                                                          const std::vector<protocol::DocumentDigest>& digests);
/// Digests as they were typed, labelled by their number; `digest_length` when one has not the length of the suite's hash.
[[nodiscard]] Result<std::vector<protocol::DocumentDigest>> digests_in_hex(const std::vector<std::string>& texts,
                                                                           crypto::SignatureSuite suite);
/// A JSON line for each.
void say_signatures(const std::vector<protocol::DocumentDigest>& digests, crypto::SignatureSuite suite, const RemoteSignatures& made);

/// Shows the document list and the terms, and asks for `yes`; not_authorised when the signer declines.
[[nodiscard]] Status ask_for_act(const protocol::Transaction& transaction, const SignerSide& side, bool yes);
/// Fetches the receipt into the file once the log has integrated the entry; verified when client.toml pins the checkpoint key.
Status fetch_receipt(const Service& service, const ClientSettings& settings, const AuditReference& reference,
                     const std::filesystem::path& file, const Progress& progress);

}  // namespace intaglio::cli
