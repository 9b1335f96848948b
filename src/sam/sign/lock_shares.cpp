#include "sam/sign/lock_shares.h"

#include "base/check.h"
#include "crypto/random.h"
#include "json/json.h"
#include "sam/authorise/authorisation_record.h"

namespace intaglio::sam {
namespace {

constexpr std::size_t max_share = 64;

/// Rows are deleted for good: one that somebody puts back opens a key only together with a SAD, which lives as long as its
/// authorisation does.
sealed::Table shares(const Core& core) { return {core.sealer, "lock_shares", sealed::Rollback::tolerated}; }

Secret exclusive_or(const Secret& left, const Secret& right) {
  auto out = Secret::of_size(left.size());
  const auto a = left.reveal();
  const auto b = right.reveal();
  const auto bytes = out.writable();
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(a[i] ^ b[i]);
  return out;
}

struct Share {
  std::uint64_t signatures_left;
  Secret kept;
};

Secret encode(std::uint64_t signatures_left, const Secret& kept) {
  Bytes out;
  out.reserve(128);
  const WipeAtExit wiped(out);
  append_field(out, std::string_view("lock-share/1"));
  append_field(out, signatures_left);
  append_field(out, kept.reveal());
  return Secret(out);
}

Result<Share> parse(ByteView encoded) {
  FieldReader in(encoded);
  const auto version = in.text(16);
  const auto left = in.number();
  auto kept = in.bytes(max_share);
  if (!version || *version != "lock-share/1" || !left || !kept || !in.end())
    return Error{ErrorCode::storage_unavailable, "a record is malformed: lock share"};
  Share share{*left, Secret(*kept)};
  wipe(*kept);
  return share;
}

}  // namespace

Result<LockShares> split_lock(const Secret& lock) {
  auto carried = crypto::random_secret(lock.size());
  if (!carried) return carried.error();
  auto kept = exclusive_or(lock, *carried);
  return LockShares{*std::move(carried), std::move(kept)};
}

Result<Secret> join_lock(std::string_view sad, const Secret& kept) {
  const Error none{ErrorCode::sad_invalid, "the SAD carries no share of the lock"};
  auto claims = claims_of_sad(sad);
  if (!claims) return none;
  const json::WipeAtExit wiped_claims(*claims);
  auto share = json::base64url_member(*claims, "lock_share", max_share);
  if (!share || share->size() != kept.size()) return none;
  const Secret carried(*share);
  wipe(*share);
  return exclusive_or(carried, kept);
}

Status store_share(const Core& core, storage::Transaction& transaction, const std::string& authorisation, const Secret& kept,
                   std::uint64_t signatures) {
  const auto encoded = encode(signatures, kept);
  return shares(core).insert(transaction, authorisation, encoded.reveal());
}

Result<Secret> take_share(const Core& core, storage::Transaction& transaction, const std::string& authorisation, std::uint64_t signatures) {
  auto found = shares(core).find(transaction, authorisation);
  if (!found) return found.error();
  if (!*found) return Error{ErrorCode::sad_invalid, "no signature is left for this lock"};
  auto share = parse((*found)->content.reveal());
  if (!share) return share.error();
  if (signatures > share->signatures_left) return Error{ErrorCode::sad_invalid, "fewer signatures are left for this lock"};
  const auto left = share->signatures_left - signatures;
  if (left == 0) {
    auto gone = transaction.execute("DELETE FROM lock_shares WHERE id = ?1", {std::string_view(authorisation)});
    if (!gone) return gone.error();
    return std::move(share->kept);
  }
  const auto encoded = encode(left, share->kept);
  if (auto updated = shares(core).update(transaction, authorisation, (*found)->version, encoded.reveal()); !updated) return updated.error();
  return std::move(share->kept);
}

Result<Secret> split_share_anew(const Core& core, storage::Transaction& transaction, const std::string& authorisation,
                                std::string_view sad) {
  auto found = shares(core).find(transaction, authorisation);
  if (!found) return found.error();
  if (!*found) return Error{ErrorCode::sad_invalid, "no signature is left for this lock"};
  const auto share = parse((*found)->content.reveal());
  if (!share) return share.error();
  const auto lock = join_lock(sad, share->kept);
  if (!lock) return lock.error();
  auto anew = split_lock(*lock);
  if (!anew) return anew.error();
  const auto encoded = encode(share->signatures_left, anew->kept);
  if (auto updated = shares(core).update(transaction, authorisation, (*found)->version, encoded.reveal()); !updated) return updated.error();
  return std::move(anew->carried);
}

Status give_share_back(const Core& core, storage::Transaction& transaction, const std::string& authorisation, const Secret& kept,
                       std::uint64_t signatures) {
  auto live = transaction.query_one<std::int64_t>("SELECT version FROM authorisations WHERE id = ?1", {std::string_view(authorisation)},
                                                  [](const storage::Row& row) { return row.integer(0); });
  if (!live) return live.error();
  // Voided meanwhile: there is nothing left to sign with it.
  if (!*live) return {};
  auto found = shares(core).find(transaction, authorisation);
  if (!found) return found.error();
  if (!*found) return store_share(core, transaction, authorisation, kept, signatures);
  auto share = parse((*found)->content.reveal());
  if (!share) return share.error();
  const auto encoded = encode(share->signatures_left + signatures, kept);
  return shares(core).update(transaction, authorisation, (*found)->version, encoded.reveal());
}

Status forget_shares_of(storage::Transaction& transaction, ByteView signer_index) {
  auto gone = transaction.execute("DELETE FROM lock_shares WHERE id IN (SELECT id FROM authorisations WHERE signer = ?1)", {signer_index});
  return gone ? Status() : Status(gone.error());
}

Status forget_ended_shares(Core& core) {
  return core.database.write([&](storage::Transaction& transaction) -> Status {
    auto gone = transaction.execute("DELETE FROM lock_shares WHERE id NOT IN (SELECT id FROM authorisations WHERE ends >= ?1)",
                                    {unix_seconds(core.clock->now())});
    return gone ? Status() : Status(gone.error());
  });
}

}  // namespace intaglio::sam
