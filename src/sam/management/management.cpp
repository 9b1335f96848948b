#include "sam/management/management.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"

namespace intaglio::sam {

using audit::Event;
using audit::EventType;
using audit::Outcome;

namespace {

constexpr std::string_view policy_record = "policy";
constexpr std::size_t max_events_in_answer = 200;
constexpr std::size_t max_shown_proposals = 200;
constexpr std::size_t max_reason_bytes = 256;

Error invalid(std::string detail) { return {ErrorCode::invalid_request, std::move(detail)}; }

Result<json::Value> describe(const Proposal& proposal, UnixTime now) {
  auto payload = json::parse(proposal.payload);
  if (!payload) return payload.error();
  const std::string_view state = proposal.state == ProposalState::executed   ? "executed"
                                 : now >= proposal.ends                      ? "expired"
                                 : proposal.state == ProposalState::approved ? "approved"
                                                                             : "made";
  return json::Value{{"proposal", proposal.id},
                     {"operation", rule_of(proposal.operation).name},
                     {"payload", *payload},
                     {"digest", encode_base64url(digest_of(proposal))},
                     {"state", state},
                     {"proposed_by", proposal.proposed_by.text()},
                     {"approved_by", proposal.approved_by},
                     {"made", unix_seconds(proposal.made)},
                     {"ends", unix_seconds(proposal.ends)}};
}

Event event_of(const Proposal& proposal, EventType type, const PrivilegedUser& by) {
  return {.type = type,
          .actor = "user:" + by.id.text(),
          .subject = proposal.id,
          .outcome = Outcome::success,
          .fields = {{"operation", std::string(rule_of(proposal.operation).name)}, {"digest", encode_base64url(digest_of(proposal))}}};
}

/// A moment of a request, or nothing when it is absent.
Result<std::optional<UnixTime>> moment(const json::Value& object, std::string_view name) {
  if (json::member(object, name) == nullptr) return std::optional<UnixTime>();
  auto text = json::text_member(object, name, 32);
  if (!text) return text.error();
  auto time = parse_utc(*text);
  if (!time) return invalid(std::string(name) + " must be a moment such as 2026-11-27T10:00:00Z");
  return std::optional(*time);
}

Result<std::optional<std::string>> optional_text(const json::Value& object, std::string_view name) {
  if (json::member(object, name) == nullptr) return std::optional<std::string>();
  auto text = json::text_member(object, name, 256);
  if (!text) return text.error();
  return std::optional(std::move(*text));
}

}  // namespace

/// What one request is about, as the transaction at hand knows it.
struct Management::Call {
  const crypto::Sha256Digest& peer;
  std::string_view compact;
  UnixTime now;
  std::optional<UserRegistry::Loaded> registry{};
  PrivilegedUser* by = nullptr;                ///< in the registry above
  std::optional<ManagementRequest> request{};

  /// The user, once the registry was read again.
  void find_user(const UserId& id) { by = registry->users.find(id.text()); }
};

Management::Management(Core core, std::function<Result<std::string>()> status)
    : core_(std::move(core)),
      status_(std::move(status)),
      registry_(core_.sealer),
      proposals_(core_.sealer, "proposals", sealed::Rollback::refused),
      state_(core_.sealer, "sam_state", sealed::Rollback::refused) {}

Status Management::record(storage::Transaction& transaction, const Event& event) const {
  auto appended = core_.log.append(transaction, event);
  return appended ? Status() : Status(appended.error());
}

bool Management::knows(const crypto::Sha256Digest& peer_spki) {
  bool known = false;
  auto read = core_.database.read([&](storage::Reader& reader) -> Status {
    auto users = registry_.load_in_snapshot(reader);
    if (!users) return users.error();
    known = users->find_by_key(peer_spki) != nullptr;
    return {};
  });
  if (!read) log::refusal("management.users_unreadable", read.error());
  return read && known;
}

/// Decides whether the request may be looked at, durably: its id is used and a refusal is counted, whatever comes after.
Status Management::admit(storage::Transaction& transaction, Call& call) {
  auto loaded = registry_.load(transaction);
  if (!loaded) return loaded.error();
  call.registry = std::move(*loaded);
  const auto* peer = call.registry->users.find_by_key(call.peer);
  if (peer == nullptr) return Error{ErrorCode::not_authorised, "the TLS key is no privileged user's"};
  call.find_user(peer->id);
  auto& user = *call.by;
  if (auto allowed = check_may_log_in(user, max_idle, call.now); !allowed) return allowed;

  const auto header = crypto::peek_jws_header(call.compact);
  if (!header) return invalid(header.error().detail);
  // One signs for himself: the connection is the same user's as the request.
  if (refused_by("sam.manage.peer", header->kid != user.id.text()))
    return Error{ErrorCode::not_authorised, "the request names another user than the connection"};
  const auto* signer = call.registry->users.find(header->kid);
  if (signer == nullptr) return Error{ErrorCode::not_authorised, "the request names no privileged user"};
  auto request = verify_management_request(call.compact, *signer);
  if (!request) return request.error();
  if (auto meant = check_meant_for_us(*request, core_.name, call.now); !meant) return meant;
  const auto ends = request->issued + management_request_lifetime + management_clock_tolerance;
  if (auto consumed = core_.factors.consume(transaction, "management request", request->rid, ends); !consumed) return consumed;
  call.request = std::move(*request);
  return {};
}

Result<std::string> Management::handle(const crypto::Sha256Digest& peer_spki, std::string_view compact) {
  if (auto ready = core_.ready(); !ready) return ready.error();
  Call call{.peer = peer_spki, .compact = compact, .now = core_.clock->now()};
  Status refusal;
  const auto refused_event = [&](const Error& why) {
    return Event{.type = EventType::management_refused,
                 .actor = call.by == nullptr ? "unknown" : "user:" + call.by->id.text(),
                 .subject = call.request ? call.request->op : "management",
                 .outcome = Outcome::refused,
                 .fields = {{"reason", std::string(name_of(why.code))}, {"detail", why.detail}}};
  };

  auto admitted = core_.database.write([&](storage::Transaction& transaction) -> Status {
    call.by = nullptr;
    refusal = admit(transaction, call);
    if (call.by == nullptr) return refusal;
    auto& user = *call.by;
    if (refusal) {
      user.failures = 0;
      user.last_seen = call.now;
    } else if (unix_seconds(call.now) >= user.locked_until && ++user.failures >= failures_before_lock) {
      user.failures = 0;
      user.locked_until = unix_seconds(call.now + lock_time);
    }
    if (auto stored = registry_.store(transaction, *call.registry); !stored) return stored;
    return refusal ? Status() : record(transaction, refused_event(refusal.error()));
  });
  if (!admitted) return admitted.error();
  if (!refusal) return refusal.error();

  const auto user = call.by->id;
  std::string answer;
  auto performed = core_.database.write([&](storage::Transaction& transaction) -> Status {
    auto loaded = registry_.load(transaction);
    if (!loaded) return loaded.error();
    call.registry = std::move(*loaded);
    call.find_user(user);
    if (call.by == nullptr) return Error{ErrorCode::not_authorised, "the user is gone"};
    // Somebody may have suspended him since he was let in.
    if (auto allowed = check_may_log_in(*call.by, max_idle, call.now); !allowed) return allowed;
    auto done = perform(transaction, call);
    if (!done) return done.error();
    answer = std::move(*done);
    return {};
  });
  if (performed) return answer;
  // What was refused changed nothing; that it was asked for is recorded.
  auto recorded = core_.log.record(refused_event(performed.error()));
  return recorded ? performed.error() : recorded.error();
}

Result<std::string> Management::perform(storage::Transaction& transaction, Call& call) {
  const auto& op = call.request->op;
  if (op == "propose") return propose(transaction, call);
  if (op == "approve") return approve(transaction, call);
  if (op == "execute") return execute(transaction, call);
  auto operation = parse_operation(op);
  if (!operation) return operation.error();
  const auto& rule = rule_of(*operation);
  if (auto allowed = may_execute(call.by->roles, rule); !allowed) return allowed.error();
  switch (*operation) {
    case Operation::show_status: return status_();
    case Operation::show_users: return show_users(call);
    case Operation::show_policy: return show_policy(transaction);
    case Operation::show_proposals: return show_proposals(transaction);
    case Operation::read_audit: return read_audit(transaction, call);
    case Operation::suspend_user: {
      auto suspended = suspend_user(transaction, call);
      return suspended ? Result<std::string>("{}") : suspended.error();
    }
    case Operation::add_user:
    case Operation::change_roles:
    case Operation::resume_user:
    case Operation::install_policy:
      return Error{ErrorCode::not_authorised, op + " needs two persons: propose it, let a security officer approve it, then execute it"};
  }
  panic("an operation outside its enumeration");
}

Result<std::string> Management::propose(storage::Transaction& transaction, Call& call) {
  auto name = json::text_member(call.request->body, "operation", 64);
  if (!name) return name.error();
  auto operation = parse_operation(*name);
  if (!operation) return operation.error();
  const auto& rule = rule_of(*operation);
  if (!needs_quorum(rule)) return invalid(*name + " needs no proposal: ask for it directly");
  if (auto allowed = may_execute(call.by->roles, rule); !allowed) return allowed.error();
  const auto* payload = json::member(call.request->body, "payload");
  if (payload == nullptr || !payload->is_object()) return invalid("payload must be an object");
  auto id = crypto::random_id();
  if (!id) return id.error();
  const Proposal proposal{.id = *id,
                          .operation = *operation,
                          .payload = json::encode(*payload),
                          .proposed_by = call.by->id,
                          .proposer = call.by->person,
                          .made = call.now,
                          .ends = call.now + proposal_lifetime,
                          .state = ProposalState::made,
                          .approved_by = {}};
  if (auto possible = apply(transaction, call, proposal, false); !possible) return possible.error();
  if (auto inserted = proposals_.insert(transaction, proposal.id, encode(proposal)); !inserted) return inserted.error();
  auto event = event_of(proposal, EventType::proposal_made, *call.by);
  event.fields.emplace_back("ends", format_utc(proposal.ends));
  if (auto recorded = record(transaction, event); !recorded) return recorded.error();
  auto shown = describe(proposal, call.now);
  if (!shown) return shown.error();
  return json::encode(*shown);
}

namespace {

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

}  // namespace

Result<std::string> Management::approve(storage::Transaction& transaction, Call& call) {
  auto found = find_proposal(transaction, proposals_, call.request->body);
  if (!found) return found.error();
  auto& proposal = found->proposal;
  if (auto allowed = check_approval(proposal, *call.by, found->digest, call.now); !allowed) return allowed.error();
  proposal.state = ProposalState::approved;
  proposal.approved_by = call.by->id.text();
  if (auto updated = proposals_.update(transaction, proposal.id, found->version, encode(proposal)); !updated) return updated.error();
  if (auto recorded = record(transaction, event_of(proposal, EventType::proposal_approved, *call.by)); !recorded) return recorded.error();
  auto shown = describe(proposal, call.now);
  if (!shown) return shown.error();
  return json::encode(*shown);
}

Result<std::string> Management::execute(storage::Transaction& transaction, Call& call) {
  auto found = find_proposal(transaction, proposals_, call.request->body);
  if (!found) return found.error();
  auto& proposal = found->proposal;
  if (auto allowed = check_execution(proposal, *call.by, found->digest, call.now); !allowed) return allowed.error();
  // An approval is worth what its giver is worth now: suspended or in other roles since, it counts no more.
  const auto* observer = call.registry->users.find(proposal.approved_by);
  const bool still = observer != nullptr && !observer->suspended && may_observe(observer->roles, rule_of(proposal.operation));
  if (refused_by("sam.proposal.observer-still", !still))
    return Error{ErrorCode::not_authorised, "who approved it observes no more; let another one approve a new proposal"};
  if (auto applied = apply(transaction, call, proposal, true); !applied) return applied.error();
  proposal.state = ProposalState::executed;
  if (auto updated = proposals_.update(transaction, proposal.id, found->version, encode(proposal)); !updated) return updated.error();
  auto event = event_of(proposal, EventType::proposal_executed, *call.by);
  event.fields.emplace_back("approved_by", proposal.approved_by);
  if (auto recorded = record(transaction, event); !recorded) return recorded.error();
  auto shown = describe(proposal, call.now);
  if (!shown) return shown.error();
  return json::encode(*shown);
}

Status Management::apply(storage::Transaction& transaction, Call& call, const Proposal& proposal, bool effect) {
  auto payload = json::parse(proposal.payload);
  if (!payload) return payload.error();
  // Tried on a copy, so that a proposal which could never take effect is refused when it is made.
  auto changed = *call.registry;
  Event event{.type = EventType::user_changed,
              .actor = "user:" + call.by->id.text(),
              .subject = {},
              .outcome = Outcome::success,
              .fields = {{"proposal", proposal.id}}};
  const auto existing = [&]() -> Result<PrivilegedUser*> {
    auto id = json::text_member(*payload, "id", 64);
    if (!id) return id.error();
    auto* user = changed.users.find(*id);
    if (user == nullptr) return Error{ErrorCode::not_found, "there is no user " + *id};
    event.subject = user->id.text();
    return user;
  };
  switch (proposal.operation) {
    case Operation::add_user: {
      auto user = parse_user(*payload, call.now);
      if (!user) return user.error();
      auto added_event = user_added(*user, event.actor, proposal.id);
      if (!added_event) return added_event.error();
      event = std::move(*added_event);
      if (auto added = changed.users.add(std::move(*user)); !added) return added;
      break;
    }
    case Operation::change_roles: {
      auto user = existing();
      if (!user) return user.error();
      auto roles = parse_roles(*payload);
      if (!roles) return roles.error();
      (*user)->roles = std::move(*roles);
      if (auto staffed = changed.users.check_staffed(); !staffed) return staffed;
      event.fields.insert(event.fields.end(), {{"change", "roles"}, {"roles", listed((*user)->roles)}});
      break;
    }
    case Operation::resume_user: {
      auto user = existing();
      if (!user) return user.error();
      const auto* jwk = json::member(*payload, "jwk");
      if (jwk == nullptr) return invalid("jwk is missing: the key that the user has from now on, which may be the one he had");
      auto key = crypto::parse_jwk(json::encode(*jwk));
      if (!key) return invalid("jwk: " + key.error().detail);
      const auto* holder = changed.users.find_by_key(crypto::sha256(key->spki()));
      if (refused_by("sam.resume.own-key", holder != nullptr && holder != *user))
        return Error{ErrorCode::conflict, "this key is another user's"};
      auto thumbprint = crypto::jwk_thumbprint(*key);
      if (!thumbprint) return thumbprint.error();
      (*user)->key = std::move(*key);
      (*user)->suspended = false;
      (*user)->failures = 0;
      (*user)->locked_until = 0;
      (*user)->last_seen = call.now;
      event.fields.insert(event.fields.end(), {{"change", "resumed"}, {"key", *thumbprint}});
      break;
    }
    case Operation::install_policy: {
      auto document = json::text_member(*payload, "document", 32 * 1024);
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
      if (!effect) return {};
      if (auto updated = state_.update(transaction, policy_record, (*current)->version, as_bytes(*document)); !updated) return updated;
      return record(transaction,
                    Event{.type = EventType::policy_installed,
                          .actor = "user:" + call.by->id.text(),
                          .subject = policy->id(),
                          .outcome = Outcome::success,
                          .fields = {{"policy_digest", encode_base64url(crypto::sha256(as_bytes(*document)))}, {"proposal", proposal.id}}});
    }
    case Operation::show_status:
    case Operation::show_users:
    case Operation::show_policy:
    case Operation::show_proposals:
    case Operation::read_audit:
    case Operation::suspend_user: panic("an operation of one person went by a proposal");
  }
  if (!effect) return {};
  if (auto stored = registry_.store(transaction, changed); !stored) return stored;
  return record(transaction, event);
}

Status Management::suspend_user(storage::Transaction& transaction, Call& call) {
  auto id = json::text_member(call.request->body, "id", 64);
  if (!id) return id.error();
  auto reason = json::text_member(call.request->body, "reason", max_reason_bytes);
  if (!reason) return reason.error();
  auto* user = call.registry->users.find(*id);
  if (user == nullptr) return Error{ErrorCode::not_found, "there is no user " + *id};
  if (user->suspended) return Error{ErrorCode::conflict, *id + " is suspended already"};
  user->suspended = true;
  if (auto staffed = call.registry->users.check_staffed(); !staffed) return staffed;
  if (auto stored = registry_.store(transaction, *call.registry); !stored) return stored;
  return record(transaction, Event{.type = EventType::user_changed,
                                   .actor = "user:" + call.by->id.text(),
                                   .subject = user->id.text(),
                                   .outcome = Outcome::success,
                                   .fields = {{"change", "suspended"}, {"reason", *reason}}});
}

Result<std::string> Management::show_users(const Call& call) const {
  auto list = json::Value::array();
  for (const auto& user : call.registry->users.all()) {
    auto shown = sam::describe(user);
    if (!shown) return shown.error();
    list.push_back(std::move(*shown));
  }
  return json::encode({{"users", std::move(list)}});
}

Result<std::string> Management::show_policy(storage::Transaction& transaction) const {
  auto record = state_.find(transaction, policy_record);
  if (!record) return record.error();
  if (!*record) return Error{ErrorCode::not_found, "no policy is installed"};
  const auto document = as_text((*record)->content.reveal());
  return json::encode({{"in_force", core_.policy.id()},
                       {"document", std::string(document)},
                       {"digest", encode_base64url(crypto::sha256(as_bytes(document)))}});
}

Result<std::string> Management::show_proposals(storage::Transaction& transaction) const {
  std::vector<std::string> ids;
  auto listed_ids = transaction.query("SELECT id FROM proposals ORDER BY rowid DESC LIMIT ?1", {std::int64_t{max_shown_proposals}},
                                      [&](const storage::Row& row) {
                                        ids.push_back(row.text(0));
                                        return true;
                                      });
  if (!listed_ids) return listed_ids.error();
  auto list = json::Value::array();
  for (const auto& id : ids) {
    auto found = proposals_.find(transaction, id);
    if (!found) return found.error();
    if (!*found) continue;
    auto proposal = parse_proposal((*found)->content.reveal());
    if (!proposal) return proposal.error();
    auto shown = describe(*proposal, core_.clock->now());
    if (!shown) return shown.error();
    list.push_back(std::move(*shown));
  }
  return json::encode({{"proposals", std::move(list)}});
}

Result<std::string> Management::read_audit(storage::Transaction& transaction, const Call& call) {
  const auto& body = call.request->body;
  auto from = json::integer_member(body, "from");
  if (!from || *from < 0) return invalid("from must be the index of an entry, 0 or more");
  auto type = optional_text(body, "type");
  auto actor = optional_text(body, "actor");
  auto subject = optional_text(body, "subject");
  auto since = moment(body, "since");
  auto until = moment(body, "until");
  for (const auto* text : {&type, &actor, &subject}) {
    if (!*text) return text->error();
  }
  if (!since) return since.error();
  if (!until) return until.error();
  auto page = core_.log.select(transaction, {.from = static_cast<std::uint64_t>(*from),
                                             .limit = max_events_in_answer,
                                             .type = *type,
                                             .actor = *actor,
                                             .subject = *subject,
                                             .since = *since,
                                             .until = *until});
  if (!page) return page.error();
  auto filter = json::Value::object();
  for (const auto& [name, value] : {std::pair{"type", &*type}, {"actor", &*actor}, {"subject", &*subject}}) {
    if (*value) filter[name] = **value;
  }
  auto recorded = record(transaction, Event{.type = EventType::audit_read,
                                            .actor = "user:" + call.by->id.text(),
                                            .subject = std::to_string(*from),
                                            .outcome = Outcome::success,
                                            .fields = {{"events", std::to_string(page->events.size())}, {"filter", json::encode(filter)}}});
  if (!recorded) return recorded.error();
  auto events = json::Value::array();
  for (const auto& event : page->events) {
    auto parsed = json::parse(event);
    if (!parsed) return parsed.error();
    events.push_back(std::move(*parsed));
  }
  return json::encode({{"events", std::move(events)}, {"next", page->next}, {"size", page->size}});
}

}  // namespace intaglio::sam
