#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace intaglio::sam {

/// What a signer shows. Knowledge: the PIN, or a signerpass in its place; a signer has one of the two. Possession: one-time password, passkey and registered device; the authenticator of a passkey also
/// verifies its person, each time (user verification), so that it can stand alone where a policy says so. What a device does before it signs
/// nothing here can tell: it never stands alone. Delegated: an ID token, by which an identity
/// provider says that it authenticated the person; how it did is its own business, so that it counts as no second factor beside possession
/// and never stands alone.
enum class Factor : std::uint8_t { pin, totp, passkey, id_token, signerpass, device };

/// Factors as a set: shown in a message, held by a signer, asked for by a profile.
class FactorSet {
 public:
  constexpr FactorSet() noexcept = default;

  /// A combination of a policy document: names of factors, none twice: PIN or signerpass and one of another category, or the
  /// passkey alone (SRA_SAP.1.1).
  [[nodiscard]] static Result<FactorSet> parse_combination(const std::vector<std::string>& names);

  constexpr void add(Factor factor) noexcept { bits_ = static_cast<std::uint8_t>(bits_ | bit(factor)); }
  [[nodiscard]] constexpr bool has(Factor factor) const noexcept { return (bits_ & bit(factor)) != 0; }
  /// Whether a secret that the signer knows is among them.
  [[nodiscard]] constexpr bool has_knowledge() const noexcept { return has(Factor::pin) || has(Factor::signerpass); }
  /// Whether everything in `other` is in this one.
  [[nodiscard]] constexpr bool covers(FactorSet other) const noexcept { return (other.bits_ & ~bits_) == 0; }

  [[nodiscard]] std::vector<std::string> names() const;  ///< "pin", "signerpass", "totp", "passkey", "device", "id-token", in this order
  [[nodiscard]] std::string text() const;  ///< the same with spaces between them

 private:
  [[nodiscard]] static constexpr std::uint8_t bit(Factor factor) noexcept {
    return static_cast<std::uint8_t>(1U << static_cast<unsigned>(factor));
  }
  std::uint8_t bits_ = 0;
};

/// Whether one of these combinations is covered.
[[nodiscard]] bool covers_any(FactorSet factors, const std::vector<FactorSet>& combinations) noexcept;

}  // namespace intaglio::sam
