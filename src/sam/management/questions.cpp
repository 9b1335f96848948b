#include "sam/management/call.h"

/// What is only asked: answered from a snapshot, beside the writer.
namespace intaglio::sam {

using audit::Event;
using audit::EventType;
using audit::Outcome;

namespace {

/// Summaries of less than 1 KiB each: a frame of the wire holds 1 MiB.
constexpr std::size_t max_shown_proposals = 100;

Error invalid(std::string detail) { return {ErrorCode::invalid_request, std::move(detail)}; }

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

Result<audit::Selection> selection_of(const json::Value& body) {
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
  return audit::Selection{.from = static_cast<std::uint64_t>(*from),
                          .limit = Management::max_events_in_answer,
                          .type = std::move(*type),
                          .actor = std::move(*actor),
                          .subject = std::move(*subject),
                          .since = *since,
                          .until = *until};
}

std::string filter_of(const audit::Selection& selection) {
  auto filter = json::Value::object();
  for (const auto& [name, value] : {std::pair{"type", &selection.type}, {"actor", &selection.actor}, {"subject", &selection.subject}}) {
    if (*value) filter[name] = **value;
  }
  return json::encode(filter);
}

/// As many of the events as fit; `next` goes back to the first that does not.
Result<json::Value> page_of(const audit::SelectedEvents& selected) {
  auto events = json::Value::array();
  auto next = selected.next;
  std::size_t bytes = 0;
  for (const auto& event : selected.events) {
    auto parsed = json::parse(event);
    if (!parsed) return parsed.error();
    bytes += event.size();
    if (!events.empty() && bytes > Management::max_event_bytes_in_answer) {
      auto index = json::integer_member(*parsed, "index");
      if (!index) return index.error();
      next = static_cast<std::uint64_t>(*index);
      break;
    }
    events.push_back(std::move(*parsed));
  }
  return json::Value{{"events", std::move(events)}, {"next", next}, {"size", selected.size}};
}

}  // namespace

Result<std::string> Management::show_users(const Call& call) const {
  auto list = json::Value::array();
  for (const auto& user : call.registry->users.all()) {
    auto shown = sam::describe(user);
    if (!shown) return shown.error();
    list.push_back(std::move(*shown));
  }
  return json::encode({{"users", std::move(list)}});
}

Result<std::string> Management::show_policy() const {
  std::optional<std::string> document;
  auto read = core_.database.read([&](storage::Reader& reader) -> Status {
    auto record = state_.find_in_snapshot(reader, policy_record);
    if (!record) return record.error();
    if (*record) document.emplace(as_text((*record)->content.reveal()));
    return {};
  });
  if (!read) return read.error();
  if (!document) return Error{ErrorCode::not_found, "no policy is installed"};
  return json::encode(
      {{"in_force", core_.policy.id()}, {"document", *document}, {"digest", encode_base64url(crypto::sha256(as_bytes(*document)))}});
}

Result<std::string> Management::show_proposals(const Call& call) const {
  if (auto checked = call.check_request_members({"before"}); !checked) return checked.error();
  auto before = std::numeric_limits<std::int64_t>::max();
  if (json::member(call.request->body, "before") != nullptr) {
    auto given = json::integer_member(call.request->body, "before");
    if (!given || *given < 0) return invalid("before must be what an answer named as next");
    before = *given;
  }
  auto list = json::Value::array();
  std::optional<std::int64_t> next;
  auto read = core_.database.read([&](storage::Reader& reader) -> Status {
    std::vector<std::pair<std::int64_t, std::string>> rows;
    auto queried = reader.query("SELECT place, id FROM proposal_places WHERE place < ?1 ORDER BY place DESC LIMIT ?2",
                                {before, std::int64_t{max_shown_proposals}}, [&](const storage::Row& row) {
                                  rows.emplace_back(row.integer(0), row.text(1));
                                  return true;
                                });
    if (!queried) return queried;
    for (const auto& [number, id] : rows) {
      auto found = proposals_.find_in_snapshot(reader, id);
      if (!found) return found.error();
      if (!*found) continue;
      auto proposal = parse_proposal((*found)->content.reveal());
      if (!proposal) return proposal.error();
      auto shown = summarise(*proposal, call.now);
      if (!shown) return shown.error();
      list.push_back(std::move(*shown));
    }
    if (rows.size() == max_shown_proposals) next = rows.back().first;
    return {};
  });
  if (!read) return read.error();
  json::Value answer{{"proposals", std::move(list)}};
  if (next) answer["next"] = *next;
  return json::encode(answer);
}

Result<std::string> Management::show_proposal(const Call& call) const {
  if (auto checked = call.check_request_members({"proposal"}); !checked) return checked.error();
  auto id = json::text_member(call.request->body, "proposal", 64);
  if (!id) return id.error();
  std::optional<Proposal> proposal;
  auto read = core_.database.read([&](storage::Reader& reader) -> Status {
    auto record = proposals_.find_in_snapshot(reader, *id);
    if (!record) return record.error();
    if (!*record) return Error{ErrorCode::not_found, "there is no proposal " + *id};
    auto parsed = parse_proposal((*record)->content.reveal());
    if (!parsed) return parsed.error();
    proposal.emplace(std::move(*parsed));
    return {};
  });
  if (!read) return read.error();
  auto shown = describe(*proposal, call.now);
  if (!shown) return shown.error();
  return json::encode(*shown);
}

Result<std::string> Management::read_audit(Call& call) const {
  if (auto checked = call.check_request_members({"from", "type", "actor", "subject", "since", "until"}); !checked) return checked.error();
  auto selection = selection_of(call.request->body);
  if (!selection) return selection.error();
  std::optional<audit::SelectedEvents> selected;
  auto read = core_.database.read([&](storage::Reader& reader) -> Status {
    auto found = core_.log.select(reader, *selection);
    if (!found) return found.error();
    selected.emplace(std::move(*found));
    return {};
  });
  if (!read) return read.error();
  auto page = page_of(*selected);
  if (!page) return page.error();
  const Event event{.type = EventType::audit_read,
                    .actor = call.actor(),
                    .subject = std::to_string(selection->from),
                    .outcome = Outcome::success,
                    .fields = {{"events", std::to_string(page->at("events").size())}, {"filter", filter_of(*selection)}}};
  const auto user = call.by->id;
  // Nothing goes out before it is recorded, and to nobody who was suspended or lost the role during the search.
  auto recorded = core_.database.write([&](storage::Transaction& transaction) -> Status {
    if (auto loaded = load_again(transaction, call, user); !loaded) return loaded;
    if (auto allowed = may_execute(call.by->roles, rule_of(Operation::read_audit)); !allowed) return allowed;
    return record(transaction, event);
  });
  if (!recorded) return recorded.error();
  return json::encode(*page);
}

}  // namespace intaglio::sam
