#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "crypto/signer.h"
#include "storage/database.h"

namespace intaglio::oauth {

/// No access token lives longer, so that one that a former key signed has ended by itself a day after that key signed the last.
inline constexpr std::chrono::seconds max_access_token_life{86400};

/// The keys that sign access tokens, one after another as the clock has it: each is shown before it signs, and shown and believed until
/// the last token that it signed has ended.
class TokenKeys {
 public:
  struct Given {
    std::shared_ptr<const crypto::Signer> signer;  ///< P-256
    UnixTime signs_from;
  };
  struct Key {
    std::shared_ptr<const crypto::Signer> signer;
    std::string kid;  ///< RFC 7638 thumbprint
    UnixTime signs_from;
    UnixTime ends;  ///< from then on nothing that it signed is in force; no end while no other key follows
  };

  /// Refused (`configuration`): none at all, or an order other than that in which they sign.
  [[nodiscard]] static Result<TokenKeys> make(const std::vector<Given>& given);
  /// One key, for good.
  [[nodiscard]] static Result<TokenKeys> make(std::shared_ptr<const crypto::Signer> signer);

  /// The key that signs now; before the first one's time, the first.
  [[nodiscard]] const Key& current(UnixTime now) const;
  /// The key of this kid, whose tokens are believed now; nullptr when there is none: unknown, one that does not sign yet, or one that ended.
  [[nodiscard]] const Key* believed(std::string_view kid, UnixTime now) const;
  /// What a JWK set shows now: the keys that are believed and those that will be.
  [[nodiscard]] std::vector<const Key*> shown(UnixTime now) const;

 private:
  explicit TokenKeys(std::vector<Key> keys) : keys_(std::move(keys)) {}
  std::vector<Key> keys_;
};

/// A key as it stands in the database: the key itself is on the PKCS#11 token.
struct KeptTokenKey {
  std::string id;  ///< CKA_ID, as text
  std::string kid;  ///< RFC 7638 thumbprint: no other key of this CKA_ID is it
  UnixTime signs_from;
};

/// Which keys there are and from when each signs, kept durably (table oauth_token_keys).
class TokenKeyRegister {
 public:
  TokenKeyRegister(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock);

  /// In the order in which they sign.
  [[nodiscard]] Result<std::vector<KeptTokenKey>> keys() const;
  /// Where there is none, the first key of all, which `make` makes. No other node begins or looks meanwhile, so that one of them makes it.
  Status begin(const std::function<Result<KeptTokenKey>()>& make) const;
  /// The name of the key that follows: `first`, a point, and a number that no key had.
  [[nodiscard]] Result<std::string> next_id(std::string_view first) const;
  /// Whether a key that signs from then on may be announced. Refused (`conflict`): one is announced already and does not sign yet;
  /// `invalid_request`: it would sign before now.
  Status check_announcement(UnixTime signs_from) const;
  /// The key that follows. Refused as by `check_announcement`.
  Status announce(const KeptTokenKey& key) const;
  /// The keys of which nothing is in force any more.
  [[nodiscard]] Result<std::vector<KeptTokenKey>> ended() const;
  /// Of one that ended, when it is on the token no more.
  Status forget(const KeptTokenKey& key) const;

 private:
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::oauth
