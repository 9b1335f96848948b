#include "oauth/pending.h"

#include <optional>

#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/random.h"

namespace intaglio::oauth {
namespace {

constexpr std::string_view reference_prefix = "urn:ietf:params:oauth:request_uri:";
constexpr std::size_t random_token_bytes = 32;
/// What a stranger, who needs no more than a client_id, can make us keep.
constexpr std::int64_t max_waiting = 10000;

constexpr std::size_t name_bytes = 16;

constexpr std::string_view columns = "client, request, ticket, statement, content, nonce, expires, signer";

PendingApproval approval_of(const storage::Row& row) {
  return {row.text(0), row.text(1), row.text(2), row.text(3), row.bytes(4), row.bytes(5), from_unix_seconds(row.integer(6)), row.text(7)};
}

Result<std::string> make_token() {
  auto random = crypto::random_bytes(random_token_bytes);
  if (!random) return random.error();
  return encode_base64url(*random);
}

}  // namespace

PendingRequests::PendingRequests(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock)
    : database_(std::move(database)), clock_(std::move(clock)) {}

Result<std::string> PendingRequests::push(std::string_view client, std::string_view parameters) const {
  const auto token = make_token();
  if (!token) return token.error();
  auto reference = std::string(reference_prefix) + *token;
  const auto digest = crypto::sha256(as_bytes(reference));
  const auto now = clock_->now();
  const auto kept = database_->write([&](storage::Transaction& transaction) -> Status {
    auto purged = transaction.execute("DELETE FROM oauth_pushed_requests WHERE expires <= ?1", {unix_seconds(now)});
    if (!purged) return purged.error();
    auto pushed = transaction.execute("INSERT INTO oauth_pushed_requests (reference, client, request, expires) VALUES (?1, ?2, ?3, ?4)",
                                      {ByteView(digest), client, parameters, unix_seconds(now + pushed_life)});
    return pushed ? Status() : Status(pushed.error());
  });
  if (!kept) return kept.error();
  return reference;
}

Result<std::string> PendingRequests::take_pushed(std::string_view reference, std::string_view client) const {
  const auto digest = crypto::sha256(as_bytes(reference));
  const auto now = unix_seconds(clock_->now());
  struct Pushed {
    std::string client, request;
    std::int64_t expires;
  };
  std::string parameters;
  const auto taken = database_->write([&](storage::Transaction& transaction) -> Status {
    const auto found = transaction.query_one<Pushed>("SELECT client, request, expires FROM oauth_pushed_requests WHERE reference = ?1",
                                                     {ByteView(digest)}, [](const storage::Row& row) {
                                                       return Pushed{row.text(0), row.text(1), row.integer(2)};
                                                     });
    if (!found) return found.error();
    if (!*found) return Error{ErrorCode::not_found, "no such request was pushed, or it was used"};
    if (refused_by("oauth.pushed.client", (*found)->client != client)) {
      return Error{ErrorCode::not_found, "the request was pushed by another client"};
    }
    if (refused_by("oauth.pushed.expired", (*found)->expires <= now)) return Error{ErrorCode::not_found, "the pushed request is expired"};
    parameters = (*found)->request;
    auto used = transaction.execute("DELETE FROM oauth_pushed_requests WHERE reference = ?1", {ByteView(digest)});
    return used ? Status() : Status(used.error());
  });
  if (!taken) return taken.error();
  return parameters;
}

Result<std::string> PendingRequests::begin(const PendingApproval& pending) const {
  auto handle = make_token();
  if (!handle) return handle.error();
  const auto name = crypto::random_bytes(name_bytes);
  if (!name) return name.error();
  const auto digest = crypto::sha256(as_bytes(*handle));
  const auto begun = database_->write([&](storage::Transaction& transaction) -> Status {
    auto purged = transaction.execute("DELETE FROM oauth_approvals WHERE expires <= ?1", {unix_seconds(clock_->now())});
    if (!purged) return purged.error();
    const auto waiting = transaction.query_one<std::int64_t>("SELECT COUNT(*) FROM oauth_approvals", {},
                                                             [](const storage::Row& row) { return row.integer(0); });
    if (!waiting) return waiting.error();
    if (waiting->value_or(0) >= max_waiting) return Error{ErrorCode::busy, "too many authorization requests wait for their signers"};
    auto kept =
        transaction.execute("INSERT INTO oauth_approvals (handle, bearer, name, " + std::string(columns) +
                                ") VALUES (?1, NULL, ?10, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                            {ByteView(digest), std::string_view(pending.client), std::string_view(pending.request),
                             std::string_view(pending.ticket), std::string_view(pending.statement), ByteView(pending.transaction),
                             ByteView(pending.nonce), unix_seconds(pending.expires), std::string_view(pending.signer), ByteView(*name)});
    return kept ? Status() : Status(kept.error());
  });
  if (!begun) return begun.error();
  return handle;
}

Result<PendingRequests::Exchanged> PendingRequests::exchange(std::string_view handle) const {
  auto bearer = make_token();
  if (!bearer) return bearer.error();
  const auto handle_digest = crypto::sha256(as_bytes(handle));
  const auto bearer_digest = crypto::sha256(as_bytes(*bearer));
  const auto now = unix_seconds(clock_->now());
  std::optional<PendingApproval> pending;
  const auto exchanged = database_->write([&](storage::Transaction& transaction) -> Status {
    auto found = transaction.query_one<PendingApproval>("SELECT " + std::string(columns) + " FROM oauth_approvals WHERE handle = ?1",
                                                        {ByteView(handle_digest)}, approval_of);
    if (!found) return found.error();
    if (!*found) return Error{ErrorCode::not_found, "no such handle, or it was used"};
    if (refused_by("oauth.handle.expired", unix_seconds((*found)->expires) <= now))
      return Error{ErrorCode::not_found, "the handle is expired"};
    pending = std::move(*found);
    auto used = transaction.execute("UPDATE oauth_approvals SET handle = NULL, bearer = ?2 WHERE handle = ?1",
                                    {ByteView(handle_digest), ByteView(bearer_digest)});
    return used ? Status() : Status(used.error());
  });
  if (!exchanged) return exchanged.error();
  return Exchanged{std::move(*bearer), std::move(*pending)};
}

Result<PendingRequests::Exchanged> PendingRequests::exchange_told(std::string_view name, std::string_view signer) const {
  const auto bytes = parse_base64url(name);
  if (!bytes || signer.empty()) return Error{ErrorCode::not_found, "no such request"};
  const auto handle = make_token();
  if (!handle) return handle.error();
  // A handle of its own takes the place of the page's: whoever opens first decides.
  const auto replaced = database_->write([&](storage::Transaction& transaction) -> Status {
    auto changed = transaction.execute("UPDATE oauth_approvals SET handle = ?3 WHERE name = ?1 AND signer = ?2 AND handle IS NOT NULL",
                                       {ByteView(*bytes), signer, ByteView(crypto::sha256(as_bytes(*handle)))});
    if (!changed) return changed.error();
    return *changed == 1 ? Status() : Status(Error{ErrorCode::not_found, "no such request of this signer, or it was opened"});
  });
  if (!replaced) return replaced.error();
  return exchange(*handle);
}

Result<std::vector<PendingRequests::Told>> PendingRequests::told_to(std::string_view signer) const {
  std::vector<Told> told;
  if (signer.empty()) return told;
  const auto read = database_->read([&](storage::Reader& reader) -> Status {
    told.clear();
    return reader.query("SELECT " + std::string(columns) +
                            ", name FROM oauth_approvals WHERE signer = ?1 AND handle IS NOT NULL AND expires > ?2 "
                            "ORDER BY expires DESC LIMIT ?3",
                        {signer, unix_seconds(clock_->now()), static_cast<std::int64_t>(max_told)}, [&](const storage::Row& row) {
                          told.push_back({encode_base64url(row.bytes(8)), approval_of(row)});
                          return true;
                        });
  });
  if (!read) return read.error();
  return told;
}

Result<PendingApproval> PendingRequests::find(std::string_view bearer) const {
  const auto digest = crypto::sha256(as_bytes(bearer));
  std::optional<PendingApproval> pending;
  const auto read = database_->read([&](storage::Reader& reader) -> Status {
    auto found = reader.query_one<PendingApproval>("SELECT " + std::string(columns) + " FROM oauth_approvals WHERE bearer = ?1",
                                                   {ByteView(digest)}, approval_of);
    if (!found) return found.error();
    pending = std::move(*found);
    return {};
  });
  if (!read) return read.error();
  if (!pending) return Error{ErrorCode::not_found, "no approval under this bearer"};
  if (refused_by("oauth.approval.expired", pending->expires <= clock_->now()))
    return Error{ErrorCode::not_found, "the approval is expired"};
  return std::move(*pending);
}

Result<std::string> PendingRequests::park(storage::Transaction& transaction, std::string_view bearer) const {
  auto handle = make_token();
  if (!handle) return handle.error();
  const auto handle_digest = crypto::sha256(as_bytes(*handle));
  const auto bearer_digest = crypto::sha256(as_bytes(bearer));
  const auto parked = transaction.execute("UPDATE oauth_approvals SET handle = ?2, bearer = NULL WHERE bearer = ?1",
                                          {ByteView(bearer_digest), ByteView(handle_digest)});
  if (!parked) return parked.error();
  if (*parked != 1) return Error{ErrorCode::not_found, "the approval was finished"};
  return handle;
}

Status PendingRequests::finish(storage::Transaction& transaction, std::string_view bearer) const {
  const auto digest = crypto::sha256(as_bytes(bearer));
  auto finished = transaction.execute("DELETE FROM oauth_approvals WHERE bearer = ?1", {ByteView(digest)});
  if (!finished) return finished.error();
  return *finished == 1 ? Status() : Status(Error{ErrorCode::not_found, "the approval was finished"});
}

}  // namespace intaglio::oauth
