#include "base/check.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "sam/management/call.h"
#include "sam/roles/members.h"

/// What changes something: proposals of two persons, and a suspension on one word.
namespace intaglio::sam {

using audit::Event;
using audit::EventType;
using audit::Outcome;

namespace {

constexpr std::size_t max_reason_bytes = 256;
constexpr std::int64_t max_proposals_of_a_day = 1024;

Error invalid(std::string detail) { return {ErrorCode::invalid_request, std::move(detail)}; }

Event event_of(const Proposal& proposal, EventType type, const PrivilegedUser& by) {
  return {.type = type,
          .actor = "user:" + by.id.text(),
          .subject = proposal.id,
          .outcome = Outcome::success,
          .fields = {{"operation", std::string(rule_of(proposal.operation).name)}, {"digest", encode_base64url(digest_of(proposal))}}};
}

struct Found {
  Proposal proposal;
  std::uint64_t version;
  Bytes digest;  ///< as the request names it
};
Result<Found> find_proposal(storage::Transaction& transaction, const sealed::Table& proposals, const json::Value& body) {
  auto id = json::text_member(body, "proposal", 64);
  if (!id) return id.error();
  auto digest = json::base64url_member(body, "digest", 32);
  if (!digest) return digest.error();
  auto record = proposals.find(transaction, *id);
  if (!record) return record.error();
  if (!*record) return Error{ErrorCode::not_found, "there is no proposal " + *id};
  auto proposal = parse_proposal((*record)->content.reveal());
  if (!proposal) return proposal.error();
  return Found{std::move(*proposal), (*record)->version, std::move(*digest)};
}

Result<std::string> shown(const Proposal& proposal, UnixTime now) {
  auto described = describe(proposal, now);
  if (!described) return described.error();
  return json::encode(*described);
}

Result<PrivilegedUser*> named_user(PrivilegedUsers& users, const json::Value& object) {
  auto id = json::text_member(object, "id", 64);
  if (!id) return id.error();
  auto* user = users.find(*id);
  if (user == nullptr) return Error{ErrorCode::not_found, "there is no user " + *id};
  return user;
}

/// Each of these lets an operation on users happen to `users`, and completes its event.
Status add_user(PrivilegedUsers& users, const json::Value& payload, const Proposal& proposal, UnixTime now, Event& event) {
  auto user = parse_user(payload, now);
  if (!user) return user.error();
  auto added_event = user_added(*user, event.actor, proposal.id);
  if (!added_event) return added_event.error();
  event = std::move(*added_event);
  return users.add(std::move(*user));
}

Status change_roles(PrivilegedUsers& users, const json::Value& payload, Event& event) {
  if (auto checked = check_members(payload, "payload", {"id", "roles"}); !checked) return checked;
  auto user = named_user(users, payload);
  if (!user) return user.error();
  auto roles = parse_roles(payload);
  if (!roles) return roles.error();
  (*user)->change_roles(std::move(*roles));
  event.subject = (*user)->id.text();
  event.fields.insert(event.fields.end(), {{"change", "roles"}, {"roles", listed((*user)->roles)}});
  return {};
}

Status resume_user(PrivilegedUsers& users, const json::Value& payload, UnixTime now, Event& event) {
  if (auto checked = check_members(payload, "payload", {"id", "jwk"}); !checked) return checked;
  auto user = named_user(users, payload);
  if (!user) return user.error();
  auto key = parse_user_key(payload);
  if (!key) return invalid(key.error().detail + " (the key that the user has from now on, which may be the one he had)");
  const auto* holder = users.find_by_key(crypto::sha256(key->spki()));
  if (refused_by("sam.resume.own-key", holder != nullptr && holder != *user))
    return Error{ErrorCode::conflict, "this key is another user's"};
  auto thumbprint = crypto::jwk_thumbprint(*key);
  if (!thumbprint) return thumbprint.error();
  (*user)->resume(std::move(*key), now);
  event.subject = (*user)->id.text();
  event.fields.insert(event.fields.end(), {{"change", "resumed"}, {"key", std::move(*thumbprint)}});
  return {};
}

}  // namespace

std::string_view state_of(const Proposal& proposal, UnixTime now) noexcept {
  if (proposal.state == ProposalState::executed) return "executed";
  if (now >= proposal.ends) return "expired";
  return proposal.state == ProposalState::approved ? "approved" : "made";
}

Result<json::Value> summarise(const Proposal& proposal, UnixTime now) {
  auto payload = json::parse(proposal.payload);
  if (!payload) return payload.error();
  auto target = json::text_member(*payload, "id", 64);
  return json::Value{{"proposal", proposal.id},
                     {"operation", rule_of(proposal.operation).name},
                     {"target", target ? *target : "policy"},
                     {"digest", encode_base64url(digest_of(proposal))},
                     {"state", state_of(proposal, now)},
                     {"proposed_by", proposal.proposed_by.text()},
                     {"approved_by", proposal.approved_by},
                     {"made", unix_seconds(proposal.made)},
                     {"ends", unix_seconds(proposal.ends)}};
}

Result<json::Value> describe(const Proposal& proposal, UnixTime now) {
  auto described = summarise(proposal, now);
  if (!described) return described.error();
  auto payload = json::parse(proposal.payload);
  if (!payload) return payload.error();
  (*described)["payload"] = std::move(*payload);
  return described;
}

Status Management::check_room_for_a_proposal(storage::Transaction& transaction, const Call& call) const {
  std::vector<std::string> ids;
  auto listed_ids = transaction.query("SELECT id FROM proposal_places ORDER BY place DESC LIMIT ?1", {max_proposals_of_a_day},
                                      [&](const storage::Row& row) {
                                        ids.push_back(row.text(0));
                                        return true;
                                      });
  if (!listed_ids) return listed_ids.error();
  std::size_t open = 0;
  for (const auto& id : ids) {
    auto found = proposals_.find(transaction, id);
    if (!found) return found.error();
    if (!*found) continue;
    auto proposal = parse_proposal((*found)->content.reveal());
    if (!proposal) return proposal.error();
    // All of them live for the same time: what stands before one that is expired is expired too.
    if (call.now >= proposal->ends) break;
    if (proposal->state != ProposalState::executed && proposal->proposed_by == call.by->id) ++open;
  }
  if (refused_by("sam.proposal.open-cap", open >= max_open_proposals))
    return Error{ErrorCode::limit_exceeded, "8 proposals of one user wait already; they end by execution, or after a day"};
  return {};
}

Result<std::string> Management::propose(storage::Transaction& transaction, Call& call) {
  if (auto checked = call.check_request_members({"operation", "payload"}); !checked) return checked.error();
  auto name = json::text_member(call.request->body, "operation", 64);
  if (!name) return name.error();
  auto operation = parse_operation(*name);
  if (!operation) return operation.error();
  const auto& rule = rule_of(*operation);
  if (!needs_quorum(rule)) return invalid(*name + " needs no proposal: ask for it directly");
  if (auto allowed = may_execute(call.by->roles, rule); !allowed) return allowed.error();
  if (*operation == Operation::restore) return invalid("a SAM that serves has nothing to restore: see docs/operate/backup.md");
  const auto* payload = json::member(call.request->body, "payload");
  if (payload == nullptr || !payload->is_object()) return invalid("payload must be an object");
  if (auto room = check_room_for_a_proposal(transaction, call); !room) return room.error();
  auto id = crypto::random_id();
  if (!id) return id.error();
  const Proposal proposal{.id = *id,
                          .operation = *operation,
                          .payload = json::encode(*payload),
                          .proposed_by = call.by->id,
                          .proposer = call.by->person,
                          .maker = call.by->standing(),
                          .made = call.now,
                          .ends = call.now + proposal_lifetime,
                          .state = ProposalState::made,
                          .approved_by = {}};
  // Tried now, so that a proposal which could never take effect is refused when it is made.
  auto possible = plan(transaction, call, proposal);
  if (!possible) return possible.error();
  if (auto inserted = proposals_.insert(transaction, proposal.id, encode(proposal)); !inserted) return inserted.error();
  auto placed = transaction.execute("INSERT INTO proposal_places (place, id) SELECT COALESCE(MAX(place), 0) + 1, ?1 FROM proposal_places",
                                    {std::string_view(proposal.id)});
  if (!placed) return placed.error();
  auto event = event_of(proposal, EventType::proposal_made, *call.by);
  event.fields.emplace_back("ends", format_utc(proposal.ends));
  event.fields.emplace_back("target", possible->event.subject);
  for (const auto& [field, value] : possible->event.fields) {
    if (field == "roles" || field == "key" || field == "policy_digest") event.fields.emplace_back(field, value);
  }
  if (auto recorded = record(transaction, event); !recorded) return recorded.error();
  return shown(proposal, call.now);
}

Result<std::string> Management::approve(storage::Transaction& transaction, Call& call) {
  if (auto checked = call.check_request_members({"proposal", "digest"}); !checked) return checked.error();
  auto found = find_proposal(transaction, proposals_, call.request->body);
  if (!found) return found.error();
  auto& proposal = found->proposal;
  if (auto allowed = check_approval(proposal, *call.by, found->digest, call.now); !allowed) return allowed.error();
  proposal.state = ProposalState::approved;
  proposal.approved_by = call.by->id.text();
  proposal.approver = call.by->standing();
  if (auto updated = proposals_.update(transaction, proposal.id, found->version, encode(proposal)); !updated) return updated.error();
  if (auto recorded = record(transaction, event_of(proposal, EventType::proposal_approved, *call.by)); !recorded) return recorded.error();
  return shown(proposal, call.now);
}

Result<std::string> Management::execute(storage::Transaction& transaction, Call& call) {
  if (auto checked = call.check_request_members({"proposal", "digest"}); !checked) return checked.error();
  auto found = find_proposal(transaction, proposals_, call.request->body);
  if (!found) return found.error();
  auto& proposal = found->proposal;
  if (auto allowed = check_execution(proposal, call.registry->users, *call.by, found->digest, call.now); !allowed) return allowed.error();
  const auto planned = plan(transaction, call, proposal);
  if (!planned) return planned.error();
  if (auto applied = take_effect(transaction, *planned); !applied) return applied.error();
  proposal.state = ProposalState::executed;
  if (auto updated = proposals_.update(transaction, proposal.id, found->version, encode(proposal)); !updated) return updated.error();
  auto event = event_of(proposal, EventType::proposal_executed, *call.by);
  event.fields.emplace_back("approved_by", proposal.approved_by);
  if (auto recorded = record(transaction, event); !recorded) return recorded.error();
  return shown(proposal, call.now);
}

Result<Management::Change> Management::plan(storage::Transaction& transaction, const Call& call, const Proposal& proposal) const {
  auto payload = json::parse(proposal.payload);
  if (!payload) return payload.error();
  Event event{.type = EventType::user_changed,
              .actor = call.actor(),
              .subject = {},
              .outcome = Outcome::success,
              .fields = {{"proposal", proposal.id}}};
  if (proposal.operation == Operation::install_policy) return plan_policy(transaction, *payload, std::move(event));
  auto changed = *call.registry;
  Status done;
  switch (proposal.operation) {
    case Operation::add_user: done = add_user(changed.users, *payload, proposal, call.now, event); break;
    case Operation::change_roles: done = change_roles(changed.users, *payload, event); break;
    case Operation::resume_user: done = resume_user(changed.users, *payload, call.now, event); break;
    case Operation::install_policy:
    case Operation::restore:
    case Operation::show_status:
    case Operation::show_users:
    case Operation::show_policy:
    case Operation::show_proposals:
    case Operation::show_proposal:
    case Operation::read_audit:
    case Operation::suspend_user: panic("an operation of one person went by a proposal");
  }
  if (!done) return done.error();
  if (auto staffed = call.registry->users.check_stays_staffed(changed.users, max_idle, call.now); !staffed) return staffed.error();
  return Change{.event = std::move(event), .users = std::move(changed)};
}

Result<Management::Change> Management::plan_policy(storage::Transaction& transaction, const json::Value& payload, Event event) const {
  if (auto checked = check_members(payload, "payload", {"document"}); !checked) return checked.error();
  auto document = json::text_member(payload, "document", max_policy_document_bytes);
  if (!document) return document.error();
  auto policy = Policy::parse(*document);
  if (!policy) return invalid(policy.error().detail);
  auto current = state_.find(transaction, policy_record);
  if (!current) return current.error();
  if (!*current) return Error{ErrorCode::not_found, "no policy is installed"};
  auto before = Policy::parse(as_text((*current)->content.reveal()));
  if (!before) return before.error();
  if (refused_by("sam.policy.epoch-grows", policy->epoch() < before->epoch()))
    return Error{ErrorCode::conflict, "the epoch of a policy never goes back: tickets and SADs of before would count again"};
  // What began as a demonstration stays one, and what is real becomes none.
  if (refused_by("sam.policy.demo-stays", policy->demo() != before->demo()))
    return Error{ErrorCode::conflict, "demo cannot change: initialise another SAM"};
  event.type = EventType::policy_installed;
  event.subject = policy->id();
  event.fields.emplace_back("policy_digest", encode_base64url(crypto::sha256(as_bytes(*document))));
  return Change{.event = std::move(event), .policy = Change::PolicyDocument{(*current)->version, std::move(*document)}};
}

Status Management::take_effect(storage::Transaction& transaction, const Change& change) const {
  if (change.users) {
    if (auto stored = registry_.store(transaction, *change.users); !stored) return stored;
  }
  if (change.policy) {
    auto updated = state_.update(transaction, policy_record, change.policy->replaces, as_bytes(change.policy->document));
    if (!updated) return updated;
  }
  return record(transaction, change.event);
}

Status Management::suspend_user(storage::Transaction& transaction, Call& call) {
  if (auto checked = call.check_request_members({"id", "reason"}); !checked) return checked;
  auto reason = json::text_member(call.request->body, "reason", max_reason_bytes);
  if (!reason) return reason.error();
  auto changed = *call.registry;
  auto user = named_user(changed.users, call.request->body);
  if (!user) return user.error();
  if ((*user)->suspended) return Error{ErrorCode::conflict, (*user)->id.text() + " is suspended already"};
  (*user)->suspend();
  if (auto staffed = call.registry->users.check_stays_staffed(changed.users, max_idle, call.now); !staffed) return staffed;
  return take_effect(transaction, Change{.event = Event{.type = EventType::user_changed,
                                                        .actor = call.actor(),
                                                        .subject = (*user)->id.text(),
                                                        .outcome = Outcome::success,
                                                        .fields = {{"change", "suspended"}, {"reason", *reason}}},
                                         .users = std::move(changed)});
}

}  // namespace intaglio::sam
