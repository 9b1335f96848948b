#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "crypto/certificate.h"

/// Verifies what an identity provider said of a person (OpenID Connect Core 1.0, 2 and 3.1.3.7, code flow), as functions of their input
/// alone: anyone who has the evidence and the policy can repeat them years later. That a token is used once, and who is linked to which
/// subject, is the caller's.
namespace intaglio::evidence::id_token {

/// RFC 7518, 3.1. No other is served: `none` and the symmetric ones have no value here.
enum class Algorithm : std::uint8_t { rs256, ps256, es256 };
[[nodiscard]] std::string_view name_of(Algorithm algorithm) noexcept;                     ///< "RS256"
[[nodiscard]] std::optional<Algorithm> parse_algorithm(std::string_view name) noexcept;  ///< nothing for any other

/// A key of the issuer. `algorithm` is the only one with which it verifies (RFC 8725, 3.1).
struct PinnedKey {
  std::string kid;  ///< 1 to 256 bytes
  Algorithm algorithm;
  crypto::PublicKey key;  ///< P-256 for ES256, otherwise RSA
};
/// A public JWK (RFC 7517) with `kid` and `alg`, at most 4 KiB. Refused (`invalid_request`): another algorithm, a key type that does not go
/// with it, a use other than `sig`, private or symmetric members.
[[nodiscard]] Result<PinnedKey> parse_pinned_key(std::string_view jwk);

/// The issuer's keys change under an authority that stays: the token brings its certificate (x5c).
struct PinnedAuthority {
  std::vector<crypto::Certificate> anchors;
  std::string subject;  ///< of the issuer's certificates, RFC 4514, whole: an authority certifies others too
  Algorithm algorithm;
};

/// Sealed policy of one identity provider; the signer's page has no say in it.
struct IssuerPolicy {
  std::string issuer;  ///< `iss`, byte for byte
  std::string client_id;  ///< `aud`
  std::variant<std::vector<PinnedKey>, PinnedAuthority> trust;
  std::vector<std::string> acr;  ///< levels that are let in; none when empty
  /// How long ago the person may have authenticated; without it `auth_time` is not asked for.
  std::optional<std::chrono::seconds> max_authentication_age;
  std::chrono::seconds max_skew;  ///< how far the provider's clock may be ahead of ours
};

/// The person as the provider knows them, for good: never a name or a date of birth.
struct Subject {
  std::string issuer, identifier;
};

struct Identity {
  Subject subject;
  std::string acr;
  std::optional<UnixTime> auth_time;
  UnixTime issued_at;
  /// SHA-256 over what is signed (header, dot, payload), for the caller to consume: one ECDSA signature has two valid forms, so that a
  /// digest over the signature too would let the same token in twice.
  crypto::Sha256Digest digest;
  Bytes evidence;  ///< the token as it came
};

/// Who it is that answered `binding`, for a session without an account. `token`: compact JWS, at most 16 KiB; `binding`: digest of what is
/// approved, never empty. Refused (`authentication_failed`) when anything differs from what this provider must answer.
[[nodiscard]] Result<Identity> verify_identification(const IssuerPolicy& policy, ByteView binding, std::string_view token, UnixTime now);

/// A claim of text that the token makes of the person beside `sub`, 1 to 255 bytes. Refused (`authentication_failed`) when it makes none.
[[nodiscard]] Result<std::string> text_claim(const Identity& identity, std::string_view name);

/// The same, of the person who was linked at enrolment.
[[nodiscard]] Result<Identity> verify_approval(const IssuerPolicy& policy, const Subject& linked, ByteView binding, std::string_view token,
                                               UnixTime now);

}  // namespace intaglio::evidence::id_token
