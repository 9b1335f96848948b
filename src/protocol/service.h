#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ids.h"
#include "crypto/algorithms.h"
#include "crypto/digest.h"

/// What SSA and SAM say to each other: plain values, bounded in size, with no field by which the caller claims a privilege.
/// The authority of each call is what the SAM verifies itself (TC-15); the TLS peer is only the relay.
namespace intaglio::protocol {

inline constexpr std::size_t max_documents = 4096;        ///< digests of one transaction (the profile may ask for less)
inline constexpr std::size_t max_label_bytes = 256;
inline constexpr std::size_t max_name_bytes = 256;           ///< client id and name, profile, reason
inline constexpr std::size_t max_digests_per_call = 1024;    ///< of one sign call: its answer fits into a frame
inline constexpr std::size_t max_message_bytes = 64 * 1024;  ///< a SAP message, a SAD, an operator's request

struct DocumentDigest {
  Bytes digest;       ///< length of the transaction's hash algorithm
  std::string label;  ///< shown to the signer, <= 256 bytes UTF-8
};

/// From the SSA, relaying a signature application. Nothing of it is believed: it goes into T, which the signer approves.
struct OpenSigning {
  KeyId key;
  crypto::HashAlgorithm hash;
  std::vector<crypto::SignatureSuite> suites;  ///< what a later sign call may use; empty: all that policy allows
  std::vector<DocumentDigest> documents;
  std::string client_id, client_name;
};
/// First factors of a signer who holds an activation code, or a change of factors by a signer who has them.
struct OpenEnrolment {
  SignerId signer;
  std::string client_id, client_name;
};
/// A new key of a signer who has factors.
struct OpenKeyGeneration {
  SignerId signer;
  crypto::KeyAlgorithm algorithm;
  std::string profile;
  std::string client_id, client_name;
};

/// What a signer may do with a key of his own beside signing. There is no way back from `destroy`.
enum class KeyChange : std::uint8_t { suspend = 1, destroy = 2 };
struct OpenKeyChange {
  KeyId key;
  KeyChange change;
  std::string client_id, client_name;
};

/// Documents that a person not known yet is to sign with a key of one session. The SAM chooses algorithm and suite by the profile.
struct OpenOneTime {
  std::string profile;
  crypto::HashAlgorithm hash;
  std::vector<DocumentDigest> documents;  ///< of the contents, not DTBS/R: those depend on a certificate that does not exist yet
  std::string client_id, client_name;
};
/// A grant (api/sap, 11): seals of this key that the client's own key will ask for.
struct OpenGrant {
  KeyId key;
  std::vector<crypto::SignatureSuite> suites;  ///< 1 to 9, none twice
  Bytes client_key;                            ///< SubjectPublicKeyInfo, DER, P-256
  std::uint64_t signatures;
  UnixTime ends;
  std::string client_id, client_name;
};

struct Opened {
  std::string ticket;         ///< base64url, opaque
  Bytes transaction;          ///< T in clear, canonical fields (protocol/binding.h)
  std::string sap_statement;  ///< JWS of the SAM identity key over the SAP key of the day
  UnixTime expires;
};

struct Authorised {
  std::string sad;                  ///< opaque to clients
  std::chrono::seconds expires_in;
};

struct SignRequest {
  std::string sad;             ///< or the client's own request under a grant: JWS, typ intaglio-seal+jwt
  KeyId key;
  crypto::SignatureSuite suite;
  std::vector<Bytes> digests;  ///< any part of the list, any order; at most max_digests_per_call
  std::string client_id;
  std::string client_address;  ///< as told by the SSA; audited with that mark
};
/// A SAD is to be followed by one that ends later, over what is left of the same authorisation.
struct ExtendRequest {
  std::string sad;
  KeyId key;
  std::vector<Bytes> digests;  ///< what the client is going to sign with it, or nothing; at most max_digests_per_call
  std::string client_id;
  std::string client_address;  ///< as told by the SSA; audited with that mark
};
struct SignedDigest {
  Bytes signature;  ///< DER for ECDSA, the block for RSA
  std::string log;  ///< audit entry of the outcome
  std::uint64_t index;
  crypto::Sha256Digest leaf;
  bool redelivered;
};
struct SignAnswer {
  std::vector<SignedDigest> signatures;  ///< order of the request; shorter than it only when `stopped`
  std::optional<ErrorCode> stopped;      ///< the first doubt or refusal of the token in a batch
};

struct SignerCreated {
  SignerId signer;
  std::string sealed_activation_code;  ///< JWE to the operator's or the printing station's key
};
struct Enrolled {
  std::string sealed_answer;  ///< JWE to the ephemeral key of the SAP message
};
struct KeyGenerated {
  KeyId key;
  Bytes csr;                  ///< PKCS#10
  std::string key_assertion;  ///< JWS of the SAM identity key: signer, key, SPKI digest, identity digest, time (GEN-6.2.1-08)
};
/// The certificate of a one-time key, as its CA gave it.
struct OneTimeCertificate {
  std::vector<Bytes> certificates;  ///< DER, leaf first
  std::string client_address;       ///< as told by the SSA; audited with that mark
};
/// An entry of the audit log.
struct LogEntry {
  std::string log;
  std::uint64_t index;
  crypto::Sha256Digest leaf;
};
struct OneTimeSigned {
  SignAnswer answer;   ///< in the order of the documents: over the signed attributes of each (api/sap/README.md, 10)
  LogEntry destroyed;  ///< the end of the key, which the token was searched for
};
struct CertificateBinding {
  std::string operator_request;    ///< JWS typ intaglio-ra+jwt over {op bind-certificate, key, certificate digest}
  std::vector<Bytes> certificates; ///< DER, leaf first
};

enum class KeyState : std::uint8_t { generated = 1, assigned = 2, suspended = 3, destroyed = 4, inactive = 5 };
[[nodiscard]] std::string_view name_of(KeyState state) noexcept;
/// Public facts of a credential, for CSC.
struct CredentialFacts {
  KeyId key;
  SignerId signer;
  KeyState state;
  crypto::KeyAlgorithm algorithm;
  std::vector<crypto::SignatureSuite> suites;  ///< allowed now
  std::vector<Bytes> certificates;             ///< DER, leaf first; empty until bound
  bool certificate_revoked;
  std::string profile;
  std::uint32_t max_documents;                 ///< CSC multisign
};

/// A session with a one-time key: a conversation over one connection, in this order, once. Ending it ends the key.
class OneTimeSession {
 public:
  virtual ~OneTimeSession() = default;
  /// SAP message, typ intaglio-sap-one-time+jwe: consent and identification. A key is made, with a request and an assertion of it.
  [[nodiscard]] virtual Result<KeyGenerated> identify(std::string_view sap_message) = 0;
  /// The SAM composes what is signed from each approved document and this certificate, signs, and destroys the key.
  [[nodiscard]] virtual Result<OneTimeSigned> sign(const OneTimeCertificate& certificate) = 0;
  /// When the session is over, whatever was done until then; whoever holds the connection closes it.
  [[nodiscard]] virtual std::chrono::steady_clock::time_point ends() const = 0;
};

/// Everything that the SAM does for the SSA: the operations of EN 419 241-2 and no other.
class SamService {
 public:
  virtual ~SamService() = default;

  [[nodiscard]] virtual Result<Opened> open_signing(const OpenSigning& request) = 0;
  [[nodiscard]] virtual Result<Opened> open_enrolment(const OpenEnrolment& request) = 0;
  [[nodiscard]] virtual Result<Opened> open_key_generation(const OpenKeyGeneration& request) = 0;
  [[nodiscard]] virtual Result<Opened> open_factor_change(const OpenEnrolment& request) = 0;
  [[nodiscard]] virtual Result<Opened> open_key_change(const OpenKeyChange& request) = 0;
  [[nodiscard]] virtual Result<Opened> open_grant(const OpenGrant& request) = 0;

  /// SAP messages: compact JWE, typ intaglio-sap-sign+jwe, -enrol, -key, -factors, and -suspend or -destroy for change_key. Of typ
  /// intaglio-sap-grant+jwe, `authorise` makes a grant and answers the statement of it in the place of a SAD.
  [[nodiscard]] virtual Result<Authorised> authorise(std::string_view sap_message) = 0;
  [[nodiscard]] virtual Result<Enrolled> enrol_factors(std::string_view sap_message) = 0;
  [[nodiscard]] virtual Result<KeyGenerated> generate_key(std::string_view sap_message) = 0;
  [[nodiscard]] virtual Result<Enrolled> change_factors(std::string_view sap_message) = 0;
  virtual Status change_key(std::string_view sap_message) = 0;

  [[nodiscard]] virtual Result<SignAnswer> sign(const SignRequest& request) = 0;
  /// A new SAD of the same authorisation; the one that is shown ends with it. Occurrences are what they were: nothing is authorised again.
  [[nodiscard]] virtual Result<Authorised> extend(const ExtendRequest& request) = 0;

  /// Whose registered device asks: its own request, JWS, typ intaglio-device+jwt (api/sap, 12), taken once. It authorises nothing: the SSA
  /// shows this signer's device what waits for him.
  [[nodiscard]] virtual Result<SignerId> recognise_device(std::string_view request) = 0;

  [[nodiscard]] virtual Result<Opened> open_one_time(const OpenOneTime& request) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<OneTimeSession>> begin_one_time() = 0;
  /// A certificate that was issued for a one-time key whose session did not sign: recorded, with the proof that the key is destroyed.
  [[nodiscard]] virtual Result<LogEntry> report_orphan(const KeyId& key, ByteView certificate) = 0;

  /// JWS of a registered RA operator, typ intaglio-ra+jwt, {op create-signer, …}.
  [[nodiscard]] virtual Result<SignerCreated> create_signer(std::string_view operator_request) = 0;
  /// {op reset-factors, …}: all keys of the signer end, and he enrols again with a new activation code (TC-7).
  [[nodiscard]] virtual Result<SignerCreated> reset_factors(std::string_view operator_request) = 0;
  [[nodiscard]] virtual Result<CredentialFacts> bind_certificate(const CertificateBinding& binding) = 0;
  /// Fails safe: the SSA itself may suspend; lifting it needs an operator's request {op resume-key}.
  virtual Status suspend_key(const KeyId& key, std::string_view reason) = 0;
  /// Fails safe as well: nothing is sealed under this grant any more. `grant`: its id, which only those know who were told it.
  virtual Status end_grant(std::string_view grant, std::string_view reason) = 0;
  /// {op suspend-key}: the same on an operator's word.
  virtual Status suspend_by_operator(std::string_view operator_request) = 0;
  virtual Status resume_key(std::string_view operator_request) = 0;
  /// A CRL of a pinned CA: revoked keys stop at once.
  virtual Status put_revocation_data(ByteView crl) = 0;

  [[nodiscard]] virtual Result<std::vector<CredentialFacts>> list_credentials(const SignerId& signer) = 0;
  [[nodiscard]] virtual Result<CredentialFacts> credential(const KeyId& key) = 0;
  /// JSON (audit::Log::receipt): only for who knows the leaf hash that came with the signature.
  [[nodiscard]] virtual Result<std::string> receipt(std::uint64_t index, const crypto::Sha256Digest& leaf) = 0;
  /// JSON: state, clock source, epoch, custody declarations, audit size, token, counters.
  [[nodiscard]] virtual Result<std::string> status() = 0;
  /// JSON: {"sam":"…","identity":jwk,"sad":jwk,"checkpoint":jwk,"log":"origin"}: what the SSA verifies SADs with.
  [[nodiscard]] virtual Result<std::string> public_keys() = 0;
};

}  // namespace intaglio::protocol
