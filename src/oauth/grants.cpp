#include "oauth/grants.h"

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

Grants::Grants(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock)
    : database_(std::move(database)), clock_(std::move(clock)) {}

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
    auto used = transaction.execute("UPDATE oauth_codes SET used = 1, sad = ?2 WHERE code = ?1", {ByteView(digest), ByteView()});
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

Status Grants::check_live(std::string_view grant) const {
  std::optional<std::int64_t> ended;
  const auto read = database_->read([&](storage::Reader& reader) -> Status {
    auto found = reader.query_one<std::int64_t>("SELECT ended FROM oauth_grants WHERE id = ?1", {grant},
                                                [](const storage::Row& row) { return row.integer(0); });
    if (!found) return found.error();
    ended = *found;
    return {};
  });
  if (!read) return read;
  if (refused_by("oauth.token.grant", !ended || *ended != 0)) return Error{ErrorCode::ticket_expired, "the grant ended"};
  return {};
}

}  // namespace intaglio::oauth
