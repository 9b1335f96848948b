#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "crypto/certificate.h"
#include "crypto/password_hash.h"
#include "crypto/policy/algorithm_policy.h"
#include "custody/mode.h"
#include "evidence/id_token.h"
#include "evidence/webauthn.h"
#include "protocol/binding.h"
#include "sam/policy/factor_set.h"

namespace intaglio::sam {

/// What a profile with one-time custody has instead of factors: the person is identified in each session.
struct OneTimeRules {
  /// Claims of the ID token that make the certificate's subject; nothing else does.
  struct Claims {
    std::string given_name, surname, country, serial_number;
  };
  Claims claims;
  std::string certificate_profile;  ///< of the certification authority: short-term
  std::chrono::seconds session;     ///< from the identification to the end of the key
};

/// A signing profile: configuration, never a fork of the code (architecture, 1).
struct Profile {
  std::string name;
  custody::Mode custody;
  std::vector<FactorSet> factors;  ///< combinations, any of which suffices; none in one-time custody
  std::vector<crypto::KeyAlgorithm> key_algorithms;
  std::uint32_t max_documents;
  std::chrono::seconds sad_lifetime, ticket_lifetime;
  std::uint32_t per_minute, per_day;  ///< DTBS/R; 0 switches a limit off and exists in the test flavour only
  std::uint32_t keys_per_signer, keys_per_day;  ///< keys of a signer that are not destroyed; keys he made in 24 hours; 0 as above
  bool qualified;
  std::optional<OneTimeRules> one_time = {};  ///< exactly in one-time custody
  /// Bounds of a seal grant: hashes in all, and how long. Nothing: keys of this profile sign nothing without their signer.
  struct GrantBounds {
    std::uint64_t signatures;
    std::chrono::days days;
  };
  std::optional<GrantBounds> grants{};
};

struct Operator {
  OperatorId id;
  crypto::PublicKey key;
};

/// Everything that decides: profiles, limits, algorithms, terms, operators, CA anchors. Installed by `--initialise` into sealed
/// state and never read from a file again.
class Policy {
 public:
  [[nodiscard]] static Result<Policy> parse(std::string_view document);

  [[nodiscard]] const std::string& id() const noexcept { return id_; }
  [[nodiscard]] bool demo() const noexcept { return demo_; }
  [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }
  [[nodiscard]] const crypto::AlgorithmPolicy& algorithms() const noexcept { return algorithms_; }
  [[nodiscard]] const std::vector<Profile>& profiles() const noexcept { return profiles_; }
  [[nodiscard]] const Profile* profile(std::string_view name) const noexcept;  ///< null when there is none
  [[nodiscard]] const evidence::webauthn::Rules* passkeys() const noexcept {
    return passkeys_ ? &*passkeys_ : nullptr;
  }  ///< null: none are served
  [[nodiscard]] const std::vector<evidence::id_token::IssuerPolicy>& identity_providers() const noexcept { return identity_providers_; }
  /// By its issuer; null when there is none.
  [[nodiscard]] const evidence::id_token::IssuerPolicy* identity_provider(std::string_view issuer) const noexcept;
  [[nodiscard]] const Operator* find_operator(std::string_view id) const noexcept;
  [[nodiscard]] const std::vector<crypto::Certificate>& ca_anchors() const noexcept { return ca_anchors_; }
  [[nodiscard]] bool accepts(const protocol::Terms& terms) const noexcept;
  [[nodiscard]] bool accepts_act(std::string_view act) const noexcept;

  std::uint32_t failures_before_lock = 3;
  std::uint32_t wide_failures_before_lock = 30;
  std::chrono::minutes lock_time{15};
  std::uint32_t activation_tries = 5;
  std::chrono::hours activation_lifetime{7 * 24};
  /// How long the key of a revoked certificate is kept, of no use to anybody; nothing: it is destroyed at once.
  std::optional<std::chrono::days> revoked_keys_kept;
  /// Whether only lists before their nextUpdate let anything be authorised or signed; otherwise an overdue list still says what it names.
  bool lists_in_force = false;
  crypto::Argon2Cost argon2;  ///< of each new secret; one that stands keeps the cost that it was made with
  /// What a new signerpass must be estimated at (factors/signerpass.h); nothing: no profile takes one.
  std::optional<std::uint32_t> signerpass_least_bits;
  std::string totp_issuer;
  std::size_t devices_per_signer = 0;  ///< registered devices that a signer may have; 0: none are served

 private:
  struct TermsRow {
    std::string id, version;
    std::vector<std::string> languages;
  };
  explicit Policy(crypto::AlgorithmPolicy algorithms) : algorithms_(std::move(algorithms)) {}
  std::string id_;
  bool demo_ = false;
  std::uint64_t epoch_ = 0;
  crypto::AlgorithmPolicy algorithms_;
  std::vector<Profile> profiles_;
  std::optional<evidence::webauthn::Rules> passkeys_;
  std::vector<evidence::id_token::IssuerPolicy> identity_providers_;
  std::vector<Operator> operators_;
  std::vector<crypto::Certificate> ca_anchors_;
  std::vector<TermsRow> terms_;
  std::vector<std::string> acts_;
};

}  // namespace intaglio::sam
