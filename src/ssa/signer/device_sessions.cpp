#include "ssa/signer/device_sessions.h"

#include <optional>

#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/random.h"

namespace intaglio::ssa::signer {
namespace {

constexpr std::size_t random_bearer_bytes = 32;

}  // namespace

DeviceSessions::DeviceSessions(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock)
    : database_(std::move(database)), clock_(std::move(clock)) {}

Result<std::string> DeviceSessions::begin(const SignerId& signer) const {
  const auto random = crypto::random_bytes(random_bearer_bytes);
  if (!random) return random.error();
  auto bearer = encode_base64url(*random);
  const auto now = clock_->now();
  const std::string_view id = signer.text();
  const auto written = database_->write([&](storage::Transaction& transaction) -> Status {
    auto purged = transaction.execute("DELETE FROM ssa_device_sessions WHERE expires <= ?1", {unix_seconds(now)});
    if (!purged) return purged.error();
    auto oldest = transaction.execute(
        "DELETE FROM ssa_device_sessions WHERE bearer IN (SELECT bearer FROM ssa_device_sessions WHERE signer = ?1 ORDER BY expires DESC "
        "LIMIT 1000 OFFSET ?2)",
        {id, max_of_a_signer - 1});
    if (!oldest) return oldest.error();
    auto added = transaction.execute("INSERT INTO ssa_device_sessions (bearer, signer, expires) VALUES (?1, ?2, ?3)",
                                     {ByteView(crypto::sha256(as_bytes(bearer))), id, unix_seconds(now + life)});
    return added ? Status() : Status(added.error());
  });
  if (!written) return written.error();
  return bearer;
}

Result<SignerId> DeviceSessions::find(std::string_view bearer) const {
  struct Kept {
    std::string signer;
    std::int64_t expires;
  };
  std::optional<Kept> kept;
  const auto digest = crypto::sha256(as_bytes(bearer));
  const auto read = database_->read([&](storage::Reader& reader) -> Status {
    auto found = reader.query_one<Kept>("SELECT signer, expires FROM ssa_device_sessions WHERE bearer = ?1", {ByteView(digest)},
                                        [](const storage::Row& row) {
                                          return Kept{row.text(0), row.integer(1)};
                                        });
    if (!found) return found.error();
    kept = std::move(*found);
    return {};
  });
  if (!read) return read.error();
  if (!kept) return Error{ErrorCode::not_authorised, "no device has this bearer"};
  if (refused_by("ssa.device-session.expired", kept->expires <= unix_seconds(clock_->now())))
    return Error{ErrorCode::not_authorised, "the device's bearer is over"};
  return SignerId::parse(kept->signer);
}

}  // namespace intaglio::ssa::signer
