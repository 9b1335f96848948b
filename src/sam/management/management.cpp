#include "sam/management/management.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/jose/jws.h"
#include "sam/management/call.h"
#include "sam/roles/members.h"

namespace intaglio::sam {

using audit::Event;
using audit::EventType;
using audit::Outcome;

namespace {

constexpr std::size_t max_detail_bytes = 256;

/// The direct operation of this name, if it changes nothing.
std::optional<Operation> question_of(std::string_view op) {
  const auto operation = parse_operation(op);
  if (!operation) return std::nullopt;
  switch (*operation) {
    case Operation::show_status:
    case Operation::show_users:
    case Operation::show_policy:
    case Operation::show_proposals:
    case Operation::show_proposal:
    case Operation::read_audit: return *operation;
    case Operation::suspend_user:
    case Operation::add_user:
    case Operation::change_roles:
    case Operation::resume_user:
    case Operation::install_policy:
    case Operation::restore: return std::nullopt;
  }
  panic("an operation outside its enumeration");
}

Event refused_event(std::string actor, std::string subject, const Error& why) {
  return {.type = EventType::management_refused,
          .actor = std::move(actor),
          .subject = std::move(subject),
          .outcome = Outcome::refused,
          .fields = {{"reason", std::string(name_of(why.code))}, {"detail", bounded(why.detail, max_detail_bytes)}}};
}

}  // namespace

Status Management::Call::check_request_members(std::initializer_list<std::string_view> known) const {
  auto rest = json::Value::object();
  for (const auto& [name, value] : request->body.items()) {
    if (name != "op" && name != "rid" && name != "iat" && name != "sam") rest[name] = nullptr;
  }
  return check_members(rest, "the request", known);
}

Management::Management(Core core, Questions questions)
    : core_(std::move(core)),
      questions_(std::move(questions)),
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
    const auto* user = users->find_by_key(peer_spki);
    // Who is suspended holds no connection that another one needs.
    known = user != nullptr && !refused_by("sam.manage.door", user->suspended);
    return {};
  });
  if (!read) log::refusal("management.users_unreadable", read.error());
  return read && known;
}

Status Management::check_at_the_door(const Call& call) {
  std::optional<PrivilegedUsers> users;
  auto read = core_.database.read([&](storage::Reader& reader) -> Status {
    auto loaded = registry_.load_in_snapshot(reader);
    if (!loaded) return loaded.error();
    users.emplace(std::move(*loaded));
    return {};
  });
  // What cannot be read here is refused by `admit`, which knows more of the reason.
  if (!read) return {};
  const auto* user = users->find_by_key(call.peer);
  if (user == nullptr) return Error{ErrorCode::not_authorised, "the TLS key is no privileged user's"};
  auto allowed = check_may_log_in(*users, *user, max_idle, call.now);
  if (allowed) return {};
  {
    const std::lock_guard lock(mutex_);
    const auto [told, first] = turned_away_.try_emplace(user->id.text(), call.now);
    const bool again = !first && call.now >= told->second && call.now < told->second + lock_time;
    if (refused_by("sam.manage.turned-away-once", again)) return allowed;
    told->second = call.now;
  }
  auto recorded = core_.log.record(refused_event("user:" + user->id.text(), "management", allowed.error()));
  return recorded ? allowed : Status(recorded.error());
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
  if (auto allowed = check_may_log_in(call.registry->users, user, max_idle, call.now); !allowed) return allowed;

  const auto header = crypto::peek_jws_header(call.compact);
  if (!header) return Error{ErrorCode::invalid_request, header.error().detail};
  // One signs for himself: the connection is the same user's as the request.
  if (refused_by("sam.manage.peer", header->kid != user.id.text()))
    return Error{ErrorCode::not_authorised, "the request names another user than the connection"};
  const auto* signer = call.registry->users.find(header->kid);
  if (signer == nullptr) return Error{ErrorCode::not_authorised, "the request names no privileged user"};
  auto request = verify_management_request(call.compact, *signer);
  if (!request) return request.error();
  call.request = std::move(*request);
  if (auto meant = check_meant_for_us(*call.request, core_.name); !meant) return meant;
  if (auto fresh = check_fresh(*call.request, core_.restored, call.now); !fresh) {
    call.differing_clock = true;
    return fresh;
  }
  const auto ends = call.request->issued + management_request_lifetime + management_clock_tolerance;
  return core_.factors.consume(transaction, "management request", call.request->rid, ends);
}

void Management::count_failure(PrivilegedUser& user, const Call& call, std::vector<Event>& events) const {
  // He who signs and whose clock is wrong guesses at nothing; and he who is locked is locked no longer for it.
  if (call.differing_clock || unix_seconds(call.now) < user.locked_until) return;
  if (++user.failures < failures_before_lock) return;
  user.failures = 0;
  user.locked_until = unix_seconds(call.now + lock_time);
  events.push_back({.type = EventType::user_changed,
                    .actor = "sam",
                    .subject = user.id.text(),
                    .outcome = Outcome::success,
                    .fields = {{"change", "locked"}, {"reason", "refused requests; until " + format_utc(call.now + lock_time)}}});
}

Result<std::string> Management::handle(const crypto::Sha256Digest& peer_spki, std::string_view compact) {
  if (auto ready = core_.ready(); !ready) return ready.error();
  Call call{.peer = peer_spki, .compact = compact, .now = core_.clock->now()};
  if (auto allowed = check_at_the_door(call); !allowed) return allowed.error();
  const auto refused = [&](const Error& why) { return refused_event(call.actor(), call.request ? call.request->op : "management", why); };

  Status refusal;
  auto admitted = core_.database.write([&](storage::Transaction& transaction) -> Status {
    call.by = nullptr;
    call.request.reset();
    call.differing_clock = false;
    refusal = admit(transaction, call);
    if (call.by == nullptr) return refusal;
    auto& user = *call.by;
    std::vector<Event> events;
    if (refusal) {
      user.failures = 0;
      user.last_seen = call.now;
    } else {
      events.push_back(refused(refusal.error()));
      count_failure(user, call, events);
    }
    if (auto stored = registry_.store(transaction, *call.registry); !stored) return stored;
    for (const auto& event : events) {
      if (auto recorded = record(transaction, event); !recorded) return recorded;
    }
    return {};
  });
  if (!admitted) return admitted.error();
  if (!refusal) return refusal.error();

  const auto question = question_of(call.request->op);
  return question ? answer(call, *question) : change(call);
}

Result<std::string> Management::answer(Call& call, Operation operation) {
  const auto actor = call.actor();
  auto answered = [&]() -> Result<std::string> {
    if (auto allowed = may_execute(call.by->roles, rule_of(operation)); !allowed) return allowed.error();
    if (operation == Operation::show_proposals) return show_proposals(call);
    if (operation == Operation::show_proposal) return show_proposal(call);
    if (operation == Operation::read_audit) return read_audit(call);
    if (auto checked = call.check_request_members({}); !checked) return checked.error();
    if (operation == Operation::show_users) return show_users(call);
    return operation == Operation::show_policy ? show_policy() : questions_.status();
  }();
  if (answered) return answered;
  auto recorded = core_.log.record(refused_event(actor, call.request->op, answered.error()));
  return recorded ? answered.error() : recorded.error();
}

Status Management::load_again(storage::Transaction& transaction, Call& call, const UserId& user) const {
  auto loaded = registry_.load(transaction);
  if (!loaded) return loaded.error();
  call.registry = std::move(*loaded);
  call.find_user(user);
  if (call.by == nullptr) return Error{ErrorCode::not_authorised, "the user is gone"};
  return check_may_log_in(call.registry->users, *call.by, max_idle, call.now);
}

Result<std::string> Management::change(Call& call) {
  const auto actor = call.actor();
  const auto user = call.by->id;
  std::string answer;
  bool durable = false;
  const auto served = check_policy_served(call);
  auto performed = !served ? served : core_.database.write([&](storage::Transaction& transaction) -> Status {
    if (auto loaded = load_again(transaction, call, user); !loaded) return loaded;
    auto done = perform(transaction, call);
    if (!done) return done.error();
    answer = std::move(*done);
    transaction.after_commit([&] { durable = true; });
    return {};
  });
  if (performed) return answer;
  // The change stands and its own event tells of it; what failed came after, and an entry that it was refused would be a lie.
  if (durable) return Error{performed.error().code, "the change stands, but its outcome is not released: " + performed.error().detail};
  // What was refused changed nothing; that it was asked for is recorded.
  auto recorded = core_.log.record(refused_event(actor, call.request->op, performed.error()));
  return recorded ? performed.error() : recorded.error();
}

Status Management::check_policy_served(const Call& call) const {
  // Who may not install one costs the token nothing; he is refused where the change is planned.
  if (!may_execute(call.by->roles, rule_of(Operation::install_policy))) return {};
  std::optional<json::Value> payload;
  const auto& body = call.request->body;
  if (call.request->op == "propose") {
    const auto name = json::text_member(body, "operation", 64);
    const auto operation = name ? parse_operation(*name) : Result<Operation>(name.error());
    const auto* given = json::member(body, "payload");
    if (operation && *operation == Operation::install_policy && given != nullptr) payload = *given;
  } else if (call.request->op == "execute") {
    const auto id = json::text_member(body, "proposal", 64);
    auto read = core_.database.read([&](storage::Reader& reader) -> Status {
      if (!id) return {};
      auto found = proposals_.find_in_snapshot(reader, *id);
      if (!found) return found.error();
      if (!*found) return {};
      const auto proposal = parse_proposal((*found)->content.reveal());
      if (!proposal) return proposal.error();
      if (proposal->operation != Operation::install_policy) return {};
      auto parsed = json::parse(proposal->payload);
      if (parsed) payload = *std::move(parsed);
      return {};
    });
    if (!read) return read;
  }
  if (!payload) return {};
  // What is no policy at all is refused with its reason where the change is planned.
  const auto document = json::text_member(*payload, "document", max_policy_document_bytes);
  if (!document) return {};
  const auto policy = Policy::parse(*document);
  if (!policy) return {};
  if (auto served = questions_.serves_policy(*policy); refused_by("sam.policy.served", !served)) return served;
  return {};
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
  if (needs_quorum(rule))
    return Error{ErrorCode::not_authorised, op + " needs two persons: propose it, let a security officer approve it, then execute it"};
  if (*operation != Operation::suspend_user) panic("a question was asked in the writer");
  auto suspended = suspend_user(transaction, call);
  return suspended ? Result<std::string>("{}") : suspended.error();
}

}  // namespace intaglio::sam
