#include "sam/restore/restore.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "json/json.h"
#include "sam/authority/voiding.h"
#include "sam/management/management.h"
#include "sam/management/request.h"
#include "sam/roles/matrix.h"
#include "sam/roles/members.h"

/// What a restore finds, and whether two persons want it. What it does stands in effect.cpp.
namespace intaglio::sam {
namespace {

/// Every table whose rows sealed::Versions follows. A table that is missing here is given up as a whole: none of its rows counts then.
constexpr std::array<std::string_view, 10> followed_tables{"signers", "factor_states", "passkeys", "devices",   "identities",
                                                           "keys",    "wrapped_keys",  "grants",   "proposals", "sam_state"};

constexpr std::uint64_t max_lost_entries = 100'000;
constexpr std::size_t max_statement_bytes = 64 * 1024;

std::string digest_text(ByteView bytes) { return encode_base64url(crypto::sha256(bytes)); }

json::Value list_of(const std::set<std::string, std::less<>>& names) {
  auto list = json::Value::array();
  for (const auto& name : names) list.push_back(name);
  return list;
}

struct AccountChange {
  std::string user;
  bool added;
};
/// Nothing for an event about something else. A lock ends by itself within minutes; whatever else happened to an account is not undone.
Result<std::optional<AccountChange>> account_change(std::string_view text) {
  auto event = json::parse(text);
  if (!event) return Error{ErrorCode::audit_unavailable, "audit: an entry is no event"};
  auto type = json::text_member(*event, "type", 64);
  auto subject = json::text_member(*event, "subject");
  const auto* fields = json::member(*event, "fields");
  if (!type || !subject || fields == nullptr) return Error{ErrorCode::audit_unavailable, "audit: an entry is no event"};
  const bool added = *type == "user.added";
  if (!added && *type != "user.changed") return std::optional<AccountChange>();
  const auto change = json::text_member(*fields, "change", 64);
  if (!added && change && *change == "locked") return std::optional<AccountChange>();
  return std::optional(AccountChange{*std::move(subject), added});
}

}  // namespace

Restore::Restore(Ground ground, audit::Remains remains, sealed::Survey survey)
    : ground_(std::move(ground)),
      remains_(std::move(remains)),
      survey_(std::move(survey)),
      keys_(ground_.sealer),
      sealed_keys_(ground_.sealer),
      signers_(ground_.sealer, "signers", sealed::Rollback::refused),
      counters_(ground_.sealer, "factor_states", sealed::Rollback::refused),
      proposals_(ground_.sealer, "proposals", sealed::Rollback::refused),
      state_(ground_.sealer, "sam_state", sealed::Rollback::refused),
      pending_keys_(pending_keys(ground_.sealer)) {}

Result<Restore> Restore::read(Ground ground, const std::optional<Bytes>& policy) {
  auto remains = audit::Remains::read(ground.log, ground.database, ground.checkpoint_key->public_key());
  if (!remains) return remains.error();
  std::optional<sealed::Survey> survey;
  auto surveyed = ground.database.read([&](storage::Reader& reader) -> Status {
    auto found = sealed::survey(reader, ground.sealer->versions(), followed_tables);
    if (!found) return found.error();
    survey = std::move(*found);
    return {};
  });
  if (!surveyed) return surveyed.error();
  Restore restore(std::move(ground), std::move(*remains), std::move(*survey));
  if (restore.remains_.beyond_the_anchor()) return restore;
  if (restore.remains_.anchored() == restore.remains_.in_database() && restore.survey_.behind().empty() && restore.survey_.absent == 0)
    return Error{ErrorCode::conflict, "there is nothing to restore: the database is as new as its anchor and as the versions"};
  if (restore.remains_.lost() > max_lost_entries)
    return Error{ErrorCode::audit_unavailable, "audit: the tiles lack " + std::to_string(restore.remains_.lost()) +
                                                   " entries that the anchor vouches for; bring the newest copy of the audit folder"};
  if (auto learnt = restore.learn(); !learnt) return learnt.error();
  restore.find_doubtful();
  auto loaded = restore.ground_.database.read([&](storage::Reader& reader) -> Status {
    if (auto users = restore.load_users(reader); !users) return users;
    return restore.choose_policy(reader, policy);
  });
  if (!loaded) return loaded.error();
  return restore;
}

Status Restore::learn() {
  return remains_.each_missing([this](std::string_view event) { return learn_from(event); });
}

Status Restore::learn_from(std::string_view text) {
  auto event = json::parse(text);
  if (!event) return Error{ErrorCode::audit_unavailable, "audit: an entry is no event: " + event.error().detail};
  auto type = json::text_member(*event, "type", 64);
  auto subject = json::text_member(*event, "subject");
  const auto* fields = json::member(*event, "fields");
  if (!type || !subject || fields == nullptr) return Error{ErrorCode::audit_unavailable, "audit: an entry is no event"};
  if (*type == "user.added") news_.added_users.insert(*subject);
  if (const auto change = account_change(text); change && *change && !(*change)->added) news_.changed_users.insert(*subject);
  for (const std::string_view change : {"signer.created", "factors.enrolled", "factors.changed", "factors.reset", "passkey.suspended"}) {
    if (*type == change) news_.changed_signers.insert(*subject);
  }
  if (*type == "policy.installed") {
    auto digest = json::text_member(*fields, "policy_digest", 64);
    if (!digest) return digest.error();
    news_.policy_digest = std::move(*digest);
    ++news_.policies;
  }
  if (*type == "key.generated") news_.generated_keys.insert(*subject);
  constexpr std::string_view signer = "signer:";
  auto actor = json::text_member(*event, "actor");
  const bool shown = *type == "authorisation.granted" || *type == "authorisation.refused";
  if (shown && actor && actor->starts_with(signer)) ++news_.acts[actor->substr(signer.size())];
  if (*type == "authorisation.granted") {
    auto told = json::text_member(*fields, "count", 20);
    if (!told) return told.error();
    std::uint64_t count = 0;
    for (const char c : *told) {
      if (c < '0' || c > '9') return Error{ErrorCode::audit_unavailable, "audit: a count is no number"};
      count = count * 10 + static_cast<std::uint64_t>(c - '0');
    }
    if (actor && actor->starts_with(signer)) news_.documents[actor->substr(signer.size())] += count;
  }
  return {};
}

/// Whatever a row that is behind belongs to: a signer with all factors and keys, a key, a signer's counters.
void Restore::find_doubtful() {
  for (const auto* row : survey_.behind()) {
    if (row->table == "signers" || row->table == "identities" || row->table == "devices") doubtful_.signers.insert(row->id);
    // Each use of a passkey moves its counter: only the log tells that nothing else happened, if it is whole and tells of as many uses.
    const auto acts = news_.acts.find(row->id);
    const bool only_used = remains_.lost() == 0 && !news_.changed_signers.contains(row->id) && acts != news_.acts.end() &&
                           row->reached - row->version <= acts->second;
    if (row->table == "passkeys" && !only_used) doubtful_.signers.insert(row->id);
    if (row->table == "keys" || row->table == "wrapped_keys") doubtful_.keys.insert(row->id);
    if (row->table == "factor_states") doubtful_.counters.insert(row->id);
  }
}

Status Restore::load_users(storage::Reader& reader) {
  auto users = UserRegistry(ground_.sealer).load_in_snapshot(reader);
  if (!users) return users.error();
  // Whatever is done to an account moves its generation and stands in the log, all of it: of the row alone nobody could tell how old it is.
  std::map<std::string, std::uint64_t, std::less<>> changes;
  auto told = remains_.each_known(reader, [&](std::string_view text) -> Status {
    auto change = account_change(text);
    if (!change) return change.error();
    if (!*change) return {};
    auto& count = changes[(*change)->user];
    count = (*change)->added ? 0 : count + 1;
    return {};
  });
  if (!told) return told;
  for (const auto& user : users->all()) {
    const auto count = changes.find(user.id.text());
    if (refused_by("sam.restore.generation", count != changes.end() && user.generation < count->second))
      news_.changed_users.insert(user.id.text());
  }
  // Else somebody who was suspended after the backup would approve the restore that brings him back.
  for (const auto& id : news_.changed_users) {
    if (auto* user = users->find(id); user != nullptr && !check_disabled("sam.restore.changed-users")) user->suspend();
  }
  users_ = std::move(*users);
  return {};
}

Status Restore::choose_policy(storage::Reader& reader, const std::optional<Bytes>& given) {
  auto found = state_.find_in_snapshot(reader, "policy");
  if (!found) return found.error();
  if (!*found) return Error{ErrorCode::configuration, "the backup is of a SAM that was not initialised"};
  auto document = to_bytes((*found)->content.reveal());
  const auto behind = survey_.behind();
  const auto row =
      std::find_if(behind.begin(), behind.end(), [](const auto* one) { return one->table == "sam_state" && one->id == "policy"; });
  const bool unexplained = row != behind.end() && (*row)->reached - (*row)->version > news_.policies;
  if (refused_by("sam.restore.policy-row", unexplained && remains_.lost() == 0))
    return Error{ErrorCode::conflict, "the policy is older than the backup that it stands in: bring another copy of the database"};
  if (refused_by("sam.restore.lost-policy", unexplained && !given))
    return Error{ErrorCode::conflict,
                 "another policy was installed after the backup, and the entry that says which is lost: give the document in force"};
  const bool newer = unexplained || (news_.policy_digest && *news_.policy_digest != digest_text(document));
  if (!unexplained && refused_by("sam.restore.policy", newer && (!given || *news_.policy_digest != digest_text(*given))))
    return Error{ErrorCode::conflict, "another policy was installed after the backup: give its document, whose SHA-256 is " +
                                          *news_.policy_digest + " (base64url)"};
  if (newer && given) document = *given;
  auto policy = Policy::parse(as_text(document));
  if (!policy) return policy.error();
  policy_.emplace(Chosen{.policy = std::move(*policy), .document = std::move(document), .newer = newer});
  return {};
}

Result<std::string> Restore::make_statement() const {
  auto id = crypto::random_id();
  if (!id) return id.error();
  return statement_of(*id, ground_.clock->now());
}

std::string Restore::statement_of(std::string_view id, UnixTime made) const {
  std::set<std::string, std::less<>> suspended, gone;
  for (const auto& user : news_.changed_users) {
    if (users_->find(user) != nullptr) suspended.insert(user);
  }
  for (const auto& user : news_.added_users) {
    if (users_->find(user) == nullptr) gone.insert(user);
  }
  return json::encode(
      {{"id", id},
       {"made", unix_seconds(made)},
       {"sam", ground_.name},
       {"node", ground_.node},
       {"log", ground_.log.origin},
       {"entries",
        {{"database", remains_.in_database()},
         {"tiles", remains_.in_tiles()},
         {"anchor", remains_.anchored()},
         {"lost", remains_.lost()},
         {"known_running", encode_base64url(remains_.known_running())},
         {"anchor_running", encode_base64url(remains_.anchored_running())}}},
       {"rows",
        {{"all", survey_.rows.size()},
         {"behind", survey_.behind().size()},
         {"gone", survey_.absent},
         {"digest", encode_base64url(survey_.digest)}}},
       {"void", {{"signers", doubtful_.signers.size()}, {"keys", doubtful_.keys.size()}, {"counters", doubtful_.counters.size()}}},
       {"users_suspended", list_of(suspended)},
       {"users_gone", list_of(gone)},
       {"policy", {{"digest", digest_text(policy_->document)}, {"newer_than_backup", policy_->newer}}}});
}

Result<Restore::Approvers> Restore::check_approvals(const crypto::Sha256Digest& statement,
                                                    const std::vector<std::string>& approvals) const {
  const auto& rule = rule_of(Operation::restore);
  const auto now = ground_.clock->now();
  const PrivilegedUser *executor = nullptr, *observer = nullptr;
  for (const auto& compact : approvals) {
    auto header = crypto::peek_jws_header(compact);
    if (!header) return Error{ErrorCode::invalid_request, "an approval is no JWS: " + header.error().detail};
    const auto* user = users_->find(header->kid);
    if (user == nullptr) return Error{ErrorCode::not_authorised, "an approval names no privileged user: " + bounded(header->kid, 64)};
    const auto because = [&](const Error& why) { return Error{why.code, "the approval of " + user->id.text() + ": " + why.detail}; };
    if (auto allowed = check_may_log_in(*users_, *user, Management::max_idle, now); !allowed) return because(allowed.error());
    auto payload = crypto::verify_jws(compact, approval_typ, user->key);
    if (!payload) return because(payload.error());
    auto body = json::parse(*payload, {.max_bytes = 4096, .max_depth = 2, .max_members = 16});
    if (!body) return because(body.error());
    auto sam = json::text_member(*body, "sam", 128);
    auto digest = json::base64url_member(*body, "statement", 32);
    if (!sam || !digest) return because({ErrorCode::invalid_request, "sam and statement are needed"});
    if (refused_by("sam.restore.approved-this", !std::equal(digest->begin(), digest->end(), statement.begin(), statement.end())))
      return because({ErrorCode::binding_mismatch, "it is of another statement"});
    if (refused_by("sam.restore.approved-here", *sam != ground_.name)) return because({ErrorCode::not_authorised, "it is for another SAM"});
    if (executor == nullptr && may_execute(user->roles, rule)) {
      executor = user;
    } else if (observer == nullptr && may_observe(user->roles, rule)) {
      observer = user;
    }
  }
  if (refused_by("sam.restore.two-persons", executor == nullptr || observer == nullptr))
    return Error{ErrorCode::not_authorised, "a restore needs the approvals of a system-administrator and of a security-officer"};
  return Approvers{executor->id.text(), observer->id.text()};
}

Status Restore::perform(std::string_view statement, const std::vector<std::string>& approvals) {
  if (remains_.beyond_the_anchor()) return Error{ErrorCode::conflict, "the database goes on after its anchor: there is nothing to restore"};
  if (auto synchronised = ground_.clock->synchronised(); refused_by("sam.restore.clock", !synchronised)) return synchronised;
  auto told = json::parse(statement, {.max_bytes = max_statement_bytes, .max_depth = 4, .max_members = 4096});
  if (!told) return Error{ErrorCode::invalid_request, "the statement is not JSON: " + told.error().detail};
  auto id = json::text_member(*told, "id", 64);
  auto made = json::integer_member(*told, "made");
  if (!id || !made) return Error{ErrorCode::invalid_request, "the statement has no id, or no time"};
  const auto now = ground_.clock->now();
  const auto made_at = from_unix_seconds(*made);
  if (refused_by("sam.restore.fresh", made_at > now || now > made_at + statement_lifetime))
    return Error{ErrorCode::ticket_expired, "the statement is not of the last 24 hours: make another one"};
  if (refused_by("sam.restore.statement", statement_of(*id, made_at) != statement))
    return Error{ErrorCode::binding_mismatch, "the statement is not of what is here now: make another one, and let it be approved"};
  const auto digest = crypto::sha256(as_bytes(statement));
  auto by = check_approvals(digest, approvals);
  if (!by) return by.error();

  auto log = audit::Log::open_for_restore(ground_.log, ground_.database, ground_.checkpoint_key, ground_.clock);
  if (!log) return log.error();
  auto written = ground_.database.write([&](storage::Transaction& transaction) { return take_effect(transaction, **log, digest, *by); });
  if (!written) return written;
  fault_point("sam.restore.before_anchor");
  return (*log)->end_restore();
}

Result<bool> Restore::finish_what_was_begun() {
  if (!remains_.beyond_the_anchor()) return false;
  Restored restored;
  auto loaded = ground_.database.write([&](storage::Transaction& transaction) -> Status {
    auto found = load_restored(state_, transaction);
    if (!found) return found.error();
    restored = std::move(*found);
    return {};
  });
  if (!loaded) return loaded.error();
  const bool begun = restored.anchored == remains_.anchored() && restored.epochs != 0 &&
                     std::equal(restored.anchored_running.begin(), restored.anchored_running.end(), remains_.anchored_running().begin(),
                                remains_.anchored_running().end());
  if (refused_by("sam.restore.begun", !begun))
    return Error{ErrorCode::conflict,
                 "there is nothing to restore: the database goes on after its anchor, as after a crash; start the SAM"};
  // The versions are written after the commit, and may lack what it brought forward and gave up.
  auto told = ground_.database.write([&](storage::Transaction& transaction) -> Status {
    sealed::tell_versions(transaction, *ground_.sealer, survey_);
    return {};
  });
  if (!told) return told.error();
  auto log = audit::Log::open_for_restore(ground_.log, ground_.database, ground_.checkpoint_key, ground_.clock);
  if (!log) return log.error();
  if (auto ended = (*log)->end_restore(); !ended) return ended.error();
  return true;
}

}  // namespace intaglio::sam
