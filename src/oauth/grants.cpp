#include "oauth/grants.h"

#include <map>
#include <mutex>
#include <optional>

#include "base/check.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"

namespace intaglio::oauth {
namespace {

constexpr std::chrono::seconds code_life{60};
/// How long an ended grant is remembered: longer than any token that came from it.
constexpr std::chrono::hours grant_memory{24 * 400};
constexpr std::size_t random_token_bytes = 32;
constexpr std::size_t max_live_tokens = 16384;

Secret parking_key(std::string_view holder) { return crypto::hkdf_sha256(as_bytes(holder), {}, as_bytes("intaglio/oauth/sad/1"), 32); }

Result<Bytes> seal(std::string_view holder, std::string_view grant, const Secret& sad) {
  const auto key = parking_key(holder);
  return crypto::gcm_seal(key.reveal(), sad.reveal(), as_bytes(grant));
}

Result<Secret> unseal(std::string_view holder, std::string_view grant, const Bytes& sealed) {
  const auto key = parking_key(holder);
  return crypto::gcm_open(key.reveal(), sealed, as_bytes(grant));
}

Status end_grant(storage::Transaction& transaction, std::string_view grant) {
  auto ended = transaction.execute("UPDATE oauth_grants SET ended = 1 WHERE id = ?1", {grant});
  if (!ended) return ended.error();
  auto forgotten = transaction.execute("DELETE FROM oauth_parked_sads WHERE grant_id = ?1", {grant});
  return forgotten ? Status() : Status(forgotten.error());
}

struct KeptCode {
  std::string grant, client, signer, request;
  Bytes sad;
  std::int64_t sad_expires, expires;
  bool used;
};

}  // namespace

/// Tokens that the database said to be in force. Each commit of this node forgets all of them, before its callers hear of it. So does the
/// next second of the clock: what another node revokes is refused here a second later at most, and a database which is lost is noticed.
class Grants::LiveTokens {
 public:
  void forget() {
    const std::lock_guard lock(mutex_);
    ++commits_;
    grants_.clear();
  }
  /// Before the database is asked: an answer is kept only when nothing was committed meanwhile.
  [[nodiscard]] std::uint64_t commits() const {
    const std::lock_guard lock(mutex_);
    return commits_;
  }
  [[nodiscard]] bool contains(const crypto::Sha256Digest& token, std::string_view grant, UnixTime now) const {
    const std::lock_guard lock(mutex_);
    if (now != second_) return false;
    const auto found = grants_.find(token);
    return found != grants_.end() && found->second == grant;
  }
  void keep(const crypto::Sha256Digest& token, std::string_view grant, UnixTime now, std::uint64_t commits) {
    const std::lock_guard lock(mutex_);
    if (commits != commits_) return;
    if (now != second_ || grants_.size() >= max_live_tokens) grants_.clear();
    second_ = now;
    grants_.insert_or_assign(token, grant);
  }

 private:
  mutable std::mutex mutex_;
  std::uint64_t commits_ = 0;
  UnixTime second_{};
  std::map<crypto::Sha256Digest, std::string> grants_;
};

Grants::Grants(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock)
    : database_(std::move(database)), clock_(std::move(clock)), live_(std::make_shared<LiveTokens>()) {
  database_->on_commit([live = live_] {
    live->forget();
    return Status();
  });
}

Result<std::string> Grants::add(storage::Transaction& transaction, const Approved& approved) const {
  auto random = crypto::random_bytes(random_token_bytes);
  if (!random) return random.error();
  auto grant = crypto::random_id();
  if (!grant) return grant.error();
  auto code = encode_base64url(*random);
  const auto sealed = seal(code, *grant, approved.sad);
  if (!sealed) return sealed.error();
  const auto now = clock_->now();
  for (const std::string_view table : {"oauth_grants", "oauth_codes", "oauth_parked_sads"}) {
    auto purged = transaction.execute("DELETE FROM " + std::string(table) + " WHERE expires < ?1", {unix_seconds(now)});
    if (!purged) return purged.error();
  }
  auto granted = transaction.execute(
      "INSERT INTO oauth_grants (id, client, signer, ended, expires) VALUES (?1, ?2, ?3, 0, ?4)",
      {std::string_view(*grant), std::string_view(approved.client), std::string_view(approved.signer), unix_seconds(now + grant_memory)});
  if (!granted) return granted.error();
  const auto digest = crypto::sha256(as_bytes(code));
  // The row outlives the code, so that a second use is known as one for as long as the first could have given a token.
  auto kept = transaction.execute(
      "INSERT INTO oauth_codes (code, grant_id, request, sad, sad_expires, code_expires, used, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0, "
      "?7)",
      {ByteView(digest), std::string_view(*grant), std::string_view(approved.request), ByteView(*sealed),
       unix_seconds(approved.sad_expires), unix_seconds(now + code_life), unix_seconds(now + std::chrono::hours{24})});
  if (!kept) return kept.error();
  return code;
}

std::variant<Grants::Redeemed, Refusal> Grants::redeem(std::string_view code, const Client& client, const Check& check) const {
  const auto digest = crypto::sha256(as_bytes(code));
  const auto now = unix_seconds(clock_->now());
  std::optional<Refusal> refusal;
  std::optional<Redeemed> redeemed;
  const auto done = database_->write([&](storage::Transaction& transaction) -> Status {
    refusal.reset();
    redeemed.reset();
    const auto found = transaction.query_one<KeptCode>(
        "SELECT c.grant_id, g.client, g.signer, c.request, c.sad, c.sad_expires, c.code_expires, c.used FROM oauth_codes c "
        "JOIN oauth_grants g ON g.id = c.grant_id WHERE c.code = ?1",
        {ByteView(digest)}, [](const storage::Row& row) {
          return KeptCode{row.text(0),  row.text(1),    row.text(2),    row.text(3),
                          row.bytes(4), row.integer(5), row.integer(6), row.integer(7) != 0};
        });
    if (!found) return found.error();
    if (!*found) {
      refusal = invalid_grant("Invalid parameter code");
      return {};
    }
    const auto& kept = **found;
    if (refused_by("oauth.code.client", kept.client != client.id.text())) {
      refusal = invalid_grant("Invalid parameter code");
      return {};
    }
    if (refused_by("oauth.code.used", kept.used)) {
      log::warn("code.used_twice", {{"client", kept.client}, {"grant", kept.grant}});
      refusal = invalid_grant("Authorization code is invalid or expired");
      return end_grant(transaction, kept.grant);
    }
    if (refused_by("oauth.code.expired", kept.expires <= now)) {
      refusal = invalid_grant("Authorization code is invalid or expired");
      return {};
    }
    refusal = check(kept.request);
    if (refusal) return {};
    auto sad = unseal(code, kept.grant, kept.sad);
    if (!sad) return sad.error();
    auto used =
        transaction.execute("UPDATE oauth_codes SET used = 1, request = '', sad = ?2 WHERE code = ?1", {ByteView(digest), ByteView()});
    if (!used) return used.error();
    redeemed = Redeemed{kept.grant, kept.signer, kept.request, std::move(*sad), from_unix_seconds(kept.sad_expires)};
    return {};
  });
  if (!done) {
    log::refusal("code.not_redeemed", done.error());
    return temporarily_unavailable();
  }
  if (refusal) return *refusal;
  return std::move(*redeemed);
}

Status Grants::park(std::string_view grant, std::string_view token, const Secret& sad, UnixTime until) const {
  const auto sealed = seal(token, grant, sad);
  if (!sealed) return sealed.error();
  return database_->write([&](storage::Transaction& transaction) -> Status {
    auto parked = transaction.execute("INSERT INTO oauth_parked_sads (grant_id, sad, expires) VALUES (?1, ?2, ?3)",
                                      {grant, ByteView(*sealed), unix_seconds(until)});
    return parked ? Status() : Status(parked.error());
  });
}

Result<Secret> Grants::parked(std::string_view grant, std::string_view token) const {
  std::optional<Bytes> sealed;
  const auto read = database_->read([&](storage::Reader& reader) -> Status {
    auto found = reader.query_one<Bytes>("SELECT sad FROM oauth_parked_sads WHERE grant_id = ?1 AND expires > ?2",
                                         {grant, unix_seconds(clock_->now())}, [](const storage::Row& row) { return row.bytes(0); });
    if (!found) return found.error();
    sealed = std::move(*found);
    return {};
  });
  if (!read) return read.error();
  if (!sealed) return Error{ErrorCode::sad_invalid, "no SAD is kept for this grant"};
  auto sad = unseal(token, grant, *sealed);
  if (!sad) return Error{ErrorCode::sad_invalid, "the SAD of this grant was kept for another token"};
  return sad;
}

Result<std::string> Grants::add_refresh_token(std::string_view grant) const {
  auto random = crypto::random_bytes(random_token_bytes);
  if (!random) return random.error();
  auto token = encode_base64url(*random);
  const auto digest = crypto::sha256(as_bytes(token));
  const auto now = clock_->now();
  const auto kept = database_->write([&](storage::Transaction& transaction) -> Status {
    auto purged = transaction.execute("DELETE FROM oauth_refresh_tokens WHERE expires < ?1", {unix_seconds(now - refresh_life)});
    if (!purged) return purged.error();
    auto added = transaction.execute("INSERT INTO oauth_refresh_tokens (token, grant_id, used, expires) VALUES (?1, ?2, 0, ?3)",
                                     {ByteView(digest), grant, unix_seconds(now + refresh_life)});
    return added ? Status() : Status(added.error());
  });
  if (!kept) return kept.error();
  return token;
}

std::variant<Grants::Refreshed, Refusal> Grants::refresh(std::string_view token, const Client& client) const {
  struct Kept {
    std::string grant, client, signer;
    bool used, ended;
    std::int64_t expires;
  };
  const auto random = crypto::random_bytes(random_token_bytes);
  if (!random) return temporarily_unavailable();
  const auto next = encode_base64url(*random);
  const auto digest = crypto::sha256(as_bytes(token));
  const auto next_digest = crypto::sha256(as_bytes(next));
  const auto now = unix_seconds(clock_->now());
  std::optional<Refusal> refusal;
  std::optional<Refreshed> refreshed;
  const auto done = database_->write([&](storage::Transaction& transaction) -> Status {
    refusal.reset();
    refreshed.reset();
    const auto found = transaction.query_one<Kept>(
        "SELECT r.grant_id, g.client, g.signer, r.used, g.ended, r.expires FROM oauth_refresh_tokens r "
        "JOIN oauth_grants g ON g.id = r.grant_id WHERE r.token = ?1",
        {ByteView(digest)}, [](const storage::Row& row) {
          return Kept{row.text(0), row.text(1), row.text(2), row.integer(3) != 0, row.integer(4) != 0, row.integer(5)};
        });
    if (!found) return found.error();
    if (!*found || refused_by("oauth.refresh.client", (*found)->client != client.id.text())) {
      refusal = invalid_grant("Invalid parameter refresh_token");
      return {};
    }
    const auto& kept = **found;
    if (refused_by("oauth.refresh.used", kept.used)) {
      log::warn("refresh_token.used_twice", {{"client", kept.client}, {"grant", kept.grant}});
      refusal = invalid_grant("Invalid parameter refresh_token");
      return end_grant(transaction, kept.grant);
    }
    if (refused_by("oauth.refresh.ended", kept.ended)) {
      refusal = invalid_grant("Invalid parameter refresh_token");
      return {};
    }
    if (refused_by("oauth.refresh.expired", kept.expires <= now)) {
      refusal = invalid_grant("Refresh token expired");
      return {};
    }
    auto used = transaction.execute("UPDATE oauth_refresh_tokens SET used = 1 WHERE token = ?1", {ByteView(digest)});
    if (!used) return used.error();
    auto added = transaction.execute("INSERT INTO oauth_refresh_tokens (token, grant_id, used, expires) VALUES (?1, ?2, 0, ?3)",
                                     {ByteView(next_digest), std::string_view(kept.grant), kept.expires});
    if (!added) return added.error();
    refreshed = Refreshed{kept.grant, kept.signer, next};
    return {};
  });
  if (!done) {
    log::refusal("refresh_token.not_used", done.error());
    return temporarily_unavailable();
  }
  if (refusal) return *refusal;
  return std::move(*refreshed);
}

Status Grants::revoke_refresh_token(std::string_view token, const Client& client) const {
  const auto digest = crypto::sha256(as_bytes(token));
  return database_->write([&](storage::Transaction& transaction) -> Status {
    struct Owner {
      std::string grant, client;
    };
    const auto found = transaction.query_one<Owner>(
        "SELECT g.id, g.client FROM oauth_refresh_tokens r JOIN oauth_grants g ON g.id = r.grant_id WHERE r.token = ?1", {ByteView(digest)},
        [](const storage::Row& row) {
          return Owner{row.text(0), row.text(1)};
        });
    if (!found) return found.error();
    if (!*found || refused_by("oauth.revoke.refresh_client", (*found)->client != client.id.text())) {
      return Error{ErrorCode::not_found, "no refresh token of this client"};
    }
    return end_grant(transaction, (*found)->grant);
  });
}

Status Grants::revoke_access_token(std::string_view token, UnixTime until) const {
  const auto digest = crypto::sha256(as_bytes(token));
  return database_->write([&](storage::Transaction& transaction) -> Status {
    auto purged = transaction.execute("DELETE FROM oauth_revoked_tokens WHERE expires < ?1", {unix_seconds(clock_->now())});
    if (!purged) return purged.error();
    auto revoked =
        transaction.execute("INSERT INTO oauth_revoked_tokens (token, expires) VALUES (?1, ?2)", {ByteView(digest), unix_seconds(until)});
    // Revoked twice is revoked.
    if (!revoked && revoked.error().code != ErrorCode::conflict) return revoked.error();
    return {};
  });
}

Status Grants::use_proof(const crypto::Sha256Digest& proof, UnixTime until) const {
  return database_->write([&](storage::Transaction& transaction) -> Status {
    auto purged = transaction.execute("DELETE FROM oauth_used_proofs WHERE expires < ?1", {unix_seconds(clock_->now())});
    if (!purged) return purged.error();
    auto used =
        transaction.execute("INSERT INTO oauth_used_proofs (proof, expires) VALUES (?1, ?2)", {ByteView(proof), unix_seconds(until)});
    if (used) return {};
    if (used.error().code != ErrorCode::conflict) return used.error();
    if (refused_by("oauth.dpop.replayed", true)) return Error{ErrorCode::replayed, "the proof was used before"};
    return {};
  });
}

Status Grants::check_live(const crypto::Sha256Digest& token, std::string_view grant) const {
  const auto now = clock_->now();
  if (live_->contains(token, grant, now)) return {};
  const auto commits = live_->commits();
  const auto number = [](const storage::Row& row) { return row.integer(0); };
  std::optional<std::int64_t> revoked, ended;
  auto read = database_->read([&](storage::Reader& reader) -> Status {
    auto listed = reader.query_one<std::int64_t>("SELECT expires FROM oauth_revoked_tokens WHERE token = ?1", {ByteView(token)}, number);
    if (!listed) return listed.error();
    revoked = *listed;
    if (grant.empty()) return {};
    auto found = reader.query_one<std::int64_t>("SELECT ended FROM oauth_grants WHERE id = ?1", {grant}, number);
    if (!found) return found.error();
    ended = *found;
    return {};
  });
  if (!read) return read.error();
  if (refused_by("oauth.token.revoked", revoked.has_value())) return Error{ErrorCode::ticket_expired, "the access token was revoked"};
  if (refused_by("oauth.token.grant", !grant.empty() && (!ended || *ended != 0))) {
    return Error{ErrorCode::ticket_expired, "the grant ended"};
  }
  live_->keep(token, grant, now, commits);
  return {};
}

}  // namespace intaglio::oauth
