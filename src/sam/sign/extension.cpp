#include "sam/sign/extension.h"

#include <map>

#include "base/check.h"
#include "json/json.h"
#include "sam/authorise/authorisation_record.h"
#include "sam/sign/lock_shares.h"
#include "sam/sign/occurrences.h"

namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

constexpr std::chrono::minutes longest_after_ticket{5};

Status check_use(const Core& core, const Authorisation& authorisation, const protocol::ExtendRequest& request, UnixTime now) {
  const auto& transaction = authorisation.transaction;
  if (refused_by("sam.extend.expired", now >= authorisation.expires || now < authorisation.issued))
    return Error{ErrorCode::sad_expired, "the SAD is over"};
  if (refused_by("sam.extend.epoch", transaction.epoch != core.epoch()))
    return Error{ErrorCode::sad_invalid, "the SAD is of another epoch"};
  if (refused_by("sam.extend.key", request.key.text() != transaction.key))
    return Error{ErrorCode::sad_invalid, "the SAD is for another key"};
  if (refused_by("sam.extend.client", request.client_id != transaction.client_id))
    return Error{ErrorCode::sad_invalid, "the SAD is another client's"};
  return {};
}

/// Whose SADs may be followed: of what is signed in several calls, by a key that is there after this session.
Result<const Profile*> extensible_profile(const Core& core, const protocol::Transaction& transaction) {
  const auto* profile = core.policy.profile(transaction.profile);
  if (profile == nullptr) return Error{ErrorCode::credential_disabled, "the profile is not in the policy any more"};
  if (refused_by("sam.extend.profile", profile->max_documents == 1 || profile->custody == custody::Mode::one_time))
    return Error{ErrorCode::unsupported, "the profile signs one document an approval"};
  return profile;
}

/// How many occurrences are free, when each digest of the request has one of its own among them.
Result<std::uint64_t> count_free(const Core& core, storage::Transaction& transaction, const StoredAuthorisation& stored,
                                 const std::vector<Bytes>& digests) {
  std::uint64_t left = 0;
  std::map<Bytes, std::uint64_t> free_of;
  const auto& documents = stored.authorisation.transaction.documents;
  for (std::size_t position = 0; position < documents.size(); ++position) {
    const auto found = find_occurrence(core, transaction, stored.id, position);
    if (!found) return found.error();
    if (found->occurrence.state != OccurrenceState::authorised) continue;
    ++left;
    ++free_of[documents[position].digest];
  }
  if (refused_by("sam.extend.used-up", left == 0)) return Error{ErrorCode::sad_invalid, "nothing is left of the authorisation"};
  for (const auto& digest : digests) {
    const auto found = free_of.find(digest);
    const bool none = found == free_of.end() || found->second == 0;
    if (refused_by("sam.extend.hash", none)) return Error{ErrorCode::hash_not_authorised, "no free occurrence of a digest is left"};
    if (!none) --found->second;
  }
  return left;
}

/// What was shown for the authorisation, as the SAD says whose digest the sealed record holds.
Result<std::vector<std::string>> methods_of(std::string_view sad) {
  auto claims = claims_of_sad(sad);
  if (!claims) return claims.error();
  const json::WipeAtExit wiped(*claims);
  const auto* methods = json::member(*claims, "amr");
  if (methods == nullptr || !methods->is_array()) return Error{ErrorCode::sad_invalid, "the SAD names no methods"};
  std::vector<std::string> names;
  names.reserve(methods->size());
  for (const auto& method : *methods) {
    const auto* name = method.get_ptr<const json::Value::string_t*>();
    if (name == nullptr) return Error{ErrorCode::sad_invalid, "the SAD names no methods"};
    names.push_back(*name);
  }
  return names;
}

/// A call under way gives back, or does not, a share of the lock of its own SAD, and occurrences that a new one would count.
Status check_nothing_under_way(storage::Transaction& transaction, const std::string& authorisation) {
  const auto open =
      transaction.query_one<std::int64_t>("SELECT COUNT(*) FROM open_reservations WHERE authorisation = ?1",
                                          {std::string_view(authorisation)}, [](const storage::Row& row) { return row.integer(0); });
  if (!open) return open.error();
  if (refused_by("sam.extend.under-way", open->value_or(0) != 0)) return Error{ErrorCode::busy, "a call under this SAD is under way"};
  return {};
}

}  // namespace

Result<protocol::Authorised> extend(Core& core, const protocol::ExtendRequest& request) {
  if (auto ready = core.ready(); !ready) return ready.error();
  auto methods = methods_of(request.sad);
  if (!methods) return methods.error();
  const auto earlier = crypto::sha256(as_bytes(request.sad));
  std::string sad;
  std::chrono::seconds lives{};
  auto written = core.database.write([&](storage::Transaction& transaction) -> Status {
    wipe(sad);
    sad.clear();
    auto found = find_authorisation(core, transaction, earlier);
    if (!found) return found.error();
    if (!*found) return Error{ErrorCode::sad_invalid, "no authorisation has this SAD"};
    auto& stored = **found;
    auto& authorisation = stored.authorisation;
    const auto now = core.clock->now();
    if (auto usable = check_use(core, authorisation, request, now); !usable) return usable;
    const auto profile = extensible_profile(core, authorisation.transaction);
    if (!profile) return profile.error();
    if (auto alone = check_nothing_under_way(transaction, stored.id); !alone) return alone;
    const auto left = count_free(core, transaction, stored, request.digests);
    if (!left) return left.error();

    std::optional<Secret> share;
    if ((*profile)->custody == custody::Mode::wrapped) {
      auto anew = split_share_anew(core, transaction, stored.id, request.sad);
      if (!anew) return anew.error();
      share = *std::move(anew);
    }
    // What follows may end no earlier than what it follows, and no later than five minutes after the ticket.
    const auto latest = authorisation.transaction.expires + longest_after_ticket;
    const auto wanted = now + (*profile)->sad_lifetime;
    authorisation.issued = now;
    authorisation.expires = std::max(authorisation.expires, check_disabled("sam.extend.bound") ? wanted : std::min(wanted, latest));
    auto made = make_sad(core, authorisation, *methods, share ? &*share : nullptr);
    if (!made) return made.error();
    sad = *std::move(made);
    authorisation.sad = crypto::sha256(as_bytes(sad));
    if (auto replaced = replace_authorisation(core, transaction, stored); !replaced) return replaced;
    lives = authorisation.expires - now;
    const auto recorded = core.log.append(transaction, Event{.type = EventType::authorisation_extended,
                                                             .actor = "signer:" + authorisation.transaction.signer,
                                                             .subject = authorisation.transaction.key,
                                                             .outcome = Outcome::success,
                                                             .fields = {{"authorisation", stored.id},
                                                                        {"left", std::to_string(*left)},
                                                                        {"ends", format_utc(authorisation.expires)},
                                                                        {"client", request.client_id},
                                                                        {"client_address_told_by_ssa", request.client_address},
                                                                        {"sad_before", encode_base64url(earlier)},
                                                                        {"sad", encode_base64url(authorisation.sad)}}});
    return recorded ? Status() : Status(recorded.error());
  });
  if (!written) {
    wipe(sad);
    return written.error();
  }
  return protocol::Authorised{.sad = std::move(sad), .expires_in = lives};
}

}  // namespace intaglio::sam
