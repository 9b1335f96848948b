#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "audit/log.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/secret.h"
#include "storage/database.h"

namespace intaglio::registration {

/// A revocation code as a person typed it: case, blanks and hyphens do not matter.
struct TypedRevocationCode {
  std::string selector;  ///< 8 characters of base32
  Secret secret;         ///< 10 bytes
};
/// Refused (`invalid_request`) unless it is 24 characters of base32.
[[nodiscard]] Result<TypedRevocationCode> parse_revocation_code(std::string_view text);

/// A code with which a signer stops his own keys: 24 characters of base32, written in groups of four. The first eight find the code and
/// are not secret, so that nobody who knows a signer's id can use up his tries; the other sixteen are 80 random bits.
class RevocationCodes {
 public:
  /// `log` is of the same database and outlives this.
  RevocationCodes(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock, audit::Log& log);

  /// A code that is not kept yet.
  struct Drawn {
    Secret text;  ///< as the person gets it, shown once
    std::string selector;
    Bytes salt, digest;
  };
  [[nodiscard]] static Result<Drawn> draw();
  /// In the place of the code that this signer had.
  Status keep(const SignerId& signer, const Drawn& drawn);

  /// Whose code it is. `not_authorised`, in one way and after the same work, for whatever is no code in force: of another form, unknown,
  /// wrong, or tried too often. Each wrong try is counted and audited before the answer.
  [[nodiscard]] Result<SignerId> redeem(std::string_view text);

  static constexpr std::int64_t tries = 10;

 private:
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
  audit::Log& log_;
};

}  // namespace intaglio::registration
