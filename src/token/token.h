#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/secret.h"
#include "crypto/public_key.h"
#include "crypto/signer.h"

namespace intaglio::token {

struct HsmProfile;

/// Where a PKCS#11 token is and how it is opened.
struct TokenConfig {
  std::filesystem::path module;      ///< the PKCS#11 library
  std::string label;                 ///< CKA label of the token; exactly one slot must carry it
  std::filesystem::path pin_file;    ///< mode 0600
  unsigned sessions = 8;             ///< bound of the pool; size it by measurement
  /// SoftHSM only: the folder that holds token.object files. Guarded: lock file around C_Initialize + C_Login, a copy of
  /// token.object before the login, an empty one restored at start (hsm.md, consequence 7). Empty for real HSMs.
  std::filesystem::path softhsm_directory;
  /// SoftHSM only: refused while another process uses the folder, and keeps others out (`hsm probe`).
  bool alone = false;
  /// How long one call may take. PKCS#11 knows no way to break one off: while a call hangs longer, everything else is refused at
  /// once, and its session is closed when it comes back.
  std::chrono::milliseconds call_timeout{10'000};
  /// What is known of this kind of module (hsm_profile.h); null: nothing beyond PKCS#11 v2.40.
  std::shared_ptr<const HsmProfile> profile = {};
  /// NSS only: the text that softokn takes at C_Initialize instead of a configuration file.
  std::string nss_parameters = {};
};

/// What a key may do; every attribute is stated and read back, one purpose per key (SRG_KM.3.1).
enum class KeyPurpose { signer, service_signature, key_agreement, hmac, data_encryption, key_wrapping };

namespace detail {
struct ActivatedObject;
struct OneTimeObject;
}// namespace detail

/// A key found in the token: its handle is kept, so that no search happens per request. Two types, so that nothing but
/// `Token::sign_for_activation` can use a signer's key.
class ServiceKey {
 public:
  [[nodiscard]] const Bytes& id() const noexcept { return id_; }
 private:
  friend class Token;
  friend class KeyWrapping;
  ServiceKey(Bytes id, unsigned long handle) : id_(std::move(id)), handle_(handle) {}
  Bytes id_;
  unsigned long handle_;
};
class SignerKey {
 public:
  [[nodiscard]] const Bytes& id() const noexcept { return id_; }
  [[nodiscard]] const crypto::PublicKey& public_key() const noexcept { return public_; }
 private:
  friend class Token;
  friend class KeyWrapping;
  friend class OneTimeKey;
  SignerKey(Bytes id, unsigned long handle, crypto::PublicKey key) : id_(std::move(id)), handle_(handle), public_(std::move(key)) {}
  Bytes id_;
  unsigned long handle_;
  crypto::PublicKey public_;
  /// Of a key that was unwrapped (token/wrapping.h): gone when its ActivatedKey ended. Nothing for keys that stay in the token.
  std::optional<std::weak_ptr<detail::ActivatedObject>> activated_;
  /// Of a key for one session (token/one_time.h): gone when its OneTimeKey ended. Nothing for others.
  std::optional<std::weak_ptr<detail::OneTimeObject>> one_time_;
};

/// How sure the token is that it did nothing (TC-4). Definite: C_SignInit refused, or never called.
struct SignRefusal {
  Error error;
  bool definite;
};
/// A signature as the token gave it (r|s already DER for EC), or the refusal with its certainty. Not verified yet.
struct SignOutcome {
  std::optional<Bytes> signature;
  std::optional<SignRefusal> refusal;
};

/// One line of the call counters: function, object kind, result.
struct CallCount {
  std::string function, object, result;
  std::uint64_t count;
};

struct ProbeLine;

/// A logged-in token: one login for its life, a bounded pool of sessions, cached handles. One operation = one session.
/// Objects are created, destroyed and searched one at a time (hsm.md, consequence 8). Thread-safe. Never forked.
class Token : public std::enable_shared_from_this<Token> {
 public:
  [[nodiscard]] static Result<std::shared_ptr<Token>> open(const TokenConfig& config);
  virtual ~Token();

  /// Finds the only object of this purpose with this CKA_ID; not_found when there is none, conflict when there are more.
  [[nodiscard]] virtual Result<ServiceKey> find_service_key(KeyPurpose purpose, ByteView id);
  /// P-256, HMAC-SHA-256 or AES-256, by the purpose.
  [[nodiscard]] virtual Result<ServiceKey> generate_service_key(KeyPurpose purpose, ByteView id, std::string_view label);
  /// A key of the purpose service_signature, for certificates and what stands beside them: P-256 is all that anything else signs with.
  [[nodiscard]] virtual Result<ServiceKey> generate_service_key(crypto::KeyAlgorithm algorithm, ByteView id, std::string_view label);
  [[nodiscard]] virtual Result<crypto::PublicKey> public_key_of(const ServiceKey& key);  ///< of a pair
  [[nodiscard]] virtual Result<Bytes> sign(const ServiceKey& key, crypto::SignatureSuite suite,
                                           ByteView digest);  ///< DER for ECDSA; verified with the public key
  [[nodiscard]] virtual Result<Secret> hmac(const ServiceKey& key, ByteView data);                 ///< HMAC-SHA-256
  [[nodiscard]] virtual Result<Bytes> encrypt(const ServiceKey& key, ByteView plaintext,
                                              ByteView associated);  ///< AES-256-GCM: nonce | ct | tag
  [[nodiscard]] virtual Result<Secret> decrypt(const ServiceKey& key, ByteView sealed, ByteView associated);
  [[nodiscard]] virtual Result<Secret> derive(const ServiceKey& key, ByteView peer_point);          ///< ECDH Z; the point was checked
  virtual Status destroy(const ServiceKey& key);

  /// Non-extractable, sensitive, sign only, every attribute read back; refused and destroyed when one differs.
  [[nodiscard]] virtual Result<SignerKey> generate_signer_key(crypto::KeyAlgorithm algorithm, ByteView id, std::string_view label);
  [[nodiscard]] virtual Result<SignerKey> find_signer_key(ByteView id);
  virtual Status destroy(const SignerKey& key);
  /// THE call site of C_SignInit for signer keys (TC-1). Called by custody alone (lint), with what an Activation holds.
  [[nodiscard]] virtual SignOutcome sign_for_activation(const SignerKey& key, crypto::SignatureSuite suite, ByteView digest);

  [[nodiscard]] virtual Result<Bytes> random(std::size_t length);
  [[nodiscard]] virtual Result<std::size_t> object_count();
  [[nodiscard]] virtual std::vector<CallCount> call_counts() const;
  /// C_SignInit+C_Sign calls made with signer keys since open: reconciled with audited signatures.
  [[nodiscard]] virtual std::uint64_t signer_signatures() const noexcept;
  /// Calls that hang in the module now, longer than TokenConfig::call_timeout.
  [[nodiscard]] virtual unsigned hanging_calls() const;
  [[nodiscard]] virtual std::string description() const;  ///< manufacturer, model, firmware, serial: for audit and probe
  /// A known-answer check: encrypts, HMACs or signs with a probe key and checks it. token_unavailable when it fails.
  virtual Status check_health();
  /// Whether the token says that it makes keys of this kind and size and signs with them. Nothing is generated: RSA takes seconds.
  virtual Status check_algorithm(crypto::KeyAlgorithm algorithm);
  /// What custody says when a signature of sign_for_activation does not verify: the sessions are retired; the second one
  /// condemns the token until the next start (TC-5).
  virtual void report_wrong_signature();

 protected:
  Token();
  /// For a token that is not PKCS#11 (tests): the handle means nothing outside it.
  [[nodiscard]] static ServiceKey make_service_key(Bytes id, unsigned long handle) { return {std::move(id), handle}; }
  [[nodiscard]] static SignerKey make_signer_key(Bytes id, unsigned long handle, crypto::PublicKey key);
  [[nodiscard]] static unsigned long handle_of(const ServiceKey& key) noexcept { return key.handle_; }
  [[nodiscard]] static unsigned long handle_of(const SignerKey& key) noexcept { return key.handle_; }

 private:
  friend Result<std::vector<ProbeLine>> probe(Token& token, bool quick);
  friend class KeyWrapping;
  friend class OneTimeKey;
  struct State;
  std::unique_ptr<State> state_;
};

/// A crypto::Signer and a crypto::KeyAgreement over a service key.
[[nodiscard]] Result<std::shared_ptr<crypto::Signer>> make_signer(std::shared_ptr<Token> token, ServiceKey key);
[[nodiscard]] Result<std::shared_ptr<crypto::KeyAgreement>> make_key_agreement(std::shared_ptr<Token> token, ServiceKey key);

/// Initialises a SoftHSM token with this label, SO PIN and user PIN (`intaglio up`, demo, tests). Refused when it exists.
Status initialise_token(const std::filesystem::path& module, std::string_view label, const Secret& so_pin, const Secret& user_pin);

/// What the token can do and what it must refuse (hsm.md, consequence 1). Negative self-tests run on throw-away objects.
struct ProbeLine {
  std::string name;      ///< "sign rsa-pss-sha256 rsa3072", "refuses to wrap a non-extractable key"
  bool negative;         ///< a thing that the token must refuse
  bool passed;
  std::string detail;    ///< CKR name or measured value
};
[[nodiscard]] Result<std::vector<ProbeLine>> probe(Token& token, bool quick);

}  // namespace intaglio::token
