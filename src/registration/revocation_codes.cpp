#include "registration/revocation_codes.h"

#include "base/check.h"
#include "crypto/password_hash.h"
#include "crypto/random.h"

namespace intaglio::registration {
namespace {

constexpr std::size_t selector_bytes = 5;
constexpr std::size_t secret_bytes = 10;
constexpr std::size_t text_length = 24;  // base32 of both
constexpr std::size_t salt_bytes = 16;
constexpr std::size_t digest_bytes = 32;
/// 80 random bits are not searched: the cost makes a stolen table dearer still, and is paid by anybody's request on the open listener.
constexpr crypto::Argon2Cost cost{4 * 1024, 1};

struct Kept {
  std::string signer;
  Bytes salt, digest;
  std::int64_t tries_left;
};

Result<Bytes> digest_of(const Secret& secret, ByteView salt) {
  const auto digest = crypto::argon2id(secret, salt, cost);
  if (!digest) return digest.error();
  return to_bytes(digest->reveal());
}

}  // namespace

Result<TypedRevocationCode> parse_revocation_code(std::string_view text) {
  std::string plain;
  const WipeAtExit wiped(plain);
  plain.reserve(text_length);
  for (const char c : text) {
    if (c == '-' || c == ' ') continue;
    if (plain.size() == text_length) return Error{ErrorCode::invalid_request, "a revocation code of another length"};
    plain += c;
  }
  auto octets = parse_base32(plain);
  if (!octets) return octets.error();
  const WipeAtExit wiped_octets(*octets);
  if (octets->size() != selector_bytes + secret_bytes) return Error{ErrorCode::invalid_request, "a revocation code of another length"};
  const ByteView all(*octets);
  return TypedRevocationCode{encode_base32(all.first(selector_bytes)), Secret(all.subspan(selector_bytes))};
}

RevocationCodes::RevocationCodes(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock, audit::Log& log)
    : database_(std::move(database)), clock_(std::move(clock)), log_(log) {}

Result<RevocationCodes::Drawn> RevocationCodes::draw() {
  const auto selector = crypto::random_bytes(selector_bytes);
  if (!selector) return selector.error();
  const auto secret = crypto::random_secret(secret_bytes);
  if (!secret) return secret.error();
  auto salt = crypto::random_bytes(salt_bytes);
  if (!salt) return salt.error();
  auto digest = digest_of(*secret, *salt);
  if (!digest) return digest.error();
  auto selector_text = encode_base32(*selector);
  auto secret_text = encode_base32(secret->reveal());
  const WipeAtExit wiped_secret(secret_text);
  std::string text;
  const WipeAtExit wiped(text);
  text.reserve(text_length + text_length / 4);
  for (const std::string_view part : {std::string_view(selector_text), std::string_view(secret_text)}) {
    for (std::size_t at = 0; at < part.size(); at += 4) {
      if (!text.empty()) text += '-';
      text += part.substr(at, 4);
    }
  }
  return Drawn{Secret(as_bytes(text)), std::move(selector_text), std::move(*salt), std::move(*digest)};
}

Status RevocationCodes::keep(const SignerId& signer, const Drawn& drawn) {
  return database_->write([&](storage::Transaction& transaction) -> Status {
    auto gone = transaction.execute("DELETE FROM registration_revocation_codes WHERE signer = ?1", {std::string_view(signer.text())});
    if (!gone) return gone.error();
    auto kept = transaction.execute(
        "INSERT INTO registration_revocation_codes (selector, signer, salt, digest, tries_left, created) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        {std::string_view(drawn.selector), std::string_view(signer.text()), ByteView(drawn.salt), ByteView(drawn.digest), tries,
         unix_seconds(clock_->now())});
    return kept ? Status() : Status(kept.error());
  });
}

Result<SignerId> RevocationCodes::redeem(std::string_view text) {
  const Error refused{ErrorCode::not_authorised, "no revocation code in force"};
  auto read = parse_revocation_code(text);
  // What cannot be a code is looked for and compared like one, under a selector that no code has.
  if (!read) read = TypedRevocationCode{"", Secret(Bytes(secret_bytes))};
  Kept kept{"", Bytes(salt_bytes), Bytes(digest_bytes), 0};
  // A try is spent before it is looked at, so that many at once are not more than were left.
  auto done = database_->write([&](storage::Transaction& transaction) -> Status {
    auto spent =
        transaction.execute("UPDATE registration_revocation_codes SET tries_left = tries_left - 1 WHERE selector = ?1 AND tries_left > 0",
                            {std::string_view(read->selector)});
    if (!spent) return spent.error();
    if (refused_by("registration.code.tries", *spent != 1)) return {};
    auto row = transaction.query_one<Kept>("SELECT signer, salt, digest, tries_left FROM registration_revocation_codes WHERE selector = ?1",
                                           {std::string_view(read->selector)}, [](const storage::Row& columns) {
                                             return Kept{columns.text(0), columns.bytes(1), columns.bytes(2), columns.integer(3)};
                                           });
    if (!row) return row.error();
    if (*row) kept = std::move(**row);
    return {};
  });
  if (!done) return done.error();
  const auto digest = digest_of(read->secret, kept.salt);
  if (!digest) return digest.error();
  const bool right = same_secret(*digest, kept.digest);
  if (kept.signer.empty()) return refused;
  if (refused_by("registration.code.secret", !right)) {
    auto told = log_.record({audit::EventType::revocation_code_refused,
                             "ssa",
                             kept.signer,
                             audit::Outcome::refused,
                             {{"tries_left", std::to_string(kept.tries_left)}}});
    if (!told) return told.error();
    return refused;
  }
  done = database_->write([&](storage::Transaction& transaction) -> Status {
    auto restored = transaction.execute("UPDATE registration_revocation_codes SET tries_left = ?2 WHERE selector = ?1",
                                        {std::string_view(read->selector), tries});
    return restored ? Status() : Status(restored.error());
  });
  if (!done) return done.error();
  return SignerId::parse(kept.signer);
}

}  // namespace intaglio::registration
