#include "notice/outbox.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "crypto/random.h"

namespace intaglio::notice {
namespace {

constexpr std::size_t max_facts = 4096;

std::string encode(const Values& facts) {
  auto object = json::Value::object();
  for (const auto& [name, value] : facts) object[name] = value;
  return json::encode(object);
}

Result<Values> parse_facts(std::string_view text) {
  const auto object = json::parse(text, {.max_bytes = max_facts, .max_depth = 2, .max_members = 16});
  if (!object || !object->is_object()) return Error{ErrorCode::storage_unavailable, "a notice with facts that do not parse"};
  Values facts;
  for (const auto& member : object->items()) {
    auto value = json::text_member(*object, member.key(), max_facts);
    if (!value) return value.error();
    facts.emplace(member.key(), std::move(*value));
  }
  return facts;
}

Status check_facts(const Notice& notice) {
  const auto wanted = facts_of(notice.kind);
  const bool same = wanted.size() == notice.facts.size() &&
                    std::all_of(wanted.begin(), wanted.end(), [&](std::string_view name) { return notice.facts.contains(name); });
  if (same) return {};
  return Error{ErrorCode::internal, "a notice of " + std::string(name_of(notice.kind)) + " with other facts than its own"};
}

bool is_for_good(const Error& error) { return error.code == ErrorCode::not_authorised || error.code == ErrorCode::invalid_request; }

}  // namespace

struct Outbox::Due {
  std::string id, signer, kind, channel, facts;
  std::int64_t tries;  ///< before this one
};

const std::vector<storage::Migration>& migrations() {
  static const std::vector<storage::Migration> series{{1, R"sql(
CREATE TABLE notice_contacts (
  id TEXT PRIMARY KEY,
  version INTEGER NOT NULL,
  record BLOB NOT NULL
);
CREATE TABLE notice_outbox (
  id TEXT PRIMARY KEY,
  once TEXT NOT NULL UNIQUE,
  signer TEXT NOT NULL,
  kind TEXT NOT NULL,
  channel TEXT NOT NULL,
  facts TEXT NOT NULL,
  state TEXT NOT NULL,
  created INTEGER NOT NULL,
  due INTEGER NOT NULL,
  tries INTEGER NOT NULL
);
CREATE INDEX notice_outbox_by_due ON notice_outbox (state, due);
)sql"}};
  return series;
}

Status Outbox::record_contact(const SignerId& signer, const Contact& contact, const std::string& actor) {
  const std::string channels = contact.phone.empty() ? "email" : contact.email.empty() ? "phone" : "email,phone";
  return parts_.database->write([&](storage::Transaction& transaction) -> Status {
    if (auto kept = parts_.contacts->keep(transaction, signer, contact); !kept) return kept;
    auto entry = parts_.log.append(transaction, {audit::EventType::contact_recorded,
                                                 actor,
                                                 signer.text(),
                                                 audit::Outcome::success,
                                                 {{"channels", channels}, {"language", contact.language}}});
    return entry ? Status() : Status(entry.error());
  });
}

Result<std::size_t> Outbox::put(storage::Transaction& transaction, const Notice& notice) {
  if (auto good = check_facts(notice); !good) return good.error();
  const auto contact = parts_.contacts->find(transaction, notice.signer);
  if (!contact) return contact.error();
  if (!*contact) return std::size_t{0};
  const auto facts = encode(notice.facts);
  const auto now = unix_seconds(parts_.clock->now());
  std::size_t written = 0;
  for (const auto channel : all_channels) {
    if (!parts_.notifiers.contains(channel) || (*contact)->address(channel).empty()) continue;
    const auto id = crypto::random_id();
    if (!id) return id.error();
    const std::string_view kind = name_of(notice.kind), way = name_of(channel);
    const auto once =
        notice.once.empty() ? *id : std::string(kind) + "/" + notice.signer.text() + "/" + notice.once + "/" + std::string(way);
    const auto inserted = transaction.execute(
        "INSERT INTO notice_outbox (id, once, signer, kind, channel, facts, state, created, due, tries) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
        "'waiting', ?7, ?7, 0) ON CONFLICT (once) DO NOTHING",
        {std::string_view(*id), std::string_view(once), std::string_view(notice.signer.text()), kind, way, std::string_view(facts), now});
    if (!inserted) return inserted.error();
    written += static_cast<std::size_t>(*inserted);
    if (!is_warning(notice.kind)) break;
  }
  return written;
}

Result<std::size_t> Outbox::put(const Notice& notice) {
  std::size_t written = 0;
  const auto done = parts_.database->write([&](storage::Transaction& transaction) -> Status {
    const auto put_in = put(transaction, notice);
    if (!put_in) return put_in.error();
    written = *put_in;
    return {};
  });
  if (!done) return done.error();
  return written;
}

Result<std::size_t> Outbox::deliver_due(const std::function<bool()>& stopped) {
  std::vector<Due> due;
  const auto read = parts_.database->read([&](storage::Reader& reader) -> Status {
    return reader.query(
        "SELECT id, signer, kind, channel, facts, tries FROM notice_outbox WHERE state = 'waiting' AND due <= ?1 ORDER BY due LIMIT ?2",
        {unix_seconds(parts_.clock->now()), batch}, [&](const storage::Row& row) {
          due.push_back({row.text(0), row.text(1), row.text(2), row.text(3), row.text(4), row.integer(5)});
          return true;
        });
  });
  if (!read) return read.error();
  std::size_t begun = 0;
  for (const auto& one : due) {
    if (stopped && stopped()) break;
    ++begun;
    // One that fails has been put off by its count, and holds up no other.
    if (auto tried = try_one(one); !tried) log::refusal("notice.not_tried", tried.error(), {{"notice", one.id}});
  }
  return begun;
}

/// Counts the try before anything of the notice is opened, and sets when the next one is due: who dies meanwhile waits too, and what
/// does not open comes to its end. False when another node has counted its own meanwhile: it is that one's.
Result<bool> Outbox::count_try(const Due& due) {
  const auto pause = due.tries < static_cast<std::int64_t>(pauses.size()) ? pauses.at(static_cast<std::size_t>(due.tries)) : pauses.back();
  bool ours = false;
  const auto done = parts_.database->write([&](storage::Transaction& transaction) -> Status {
    auto counted = transaction.execute("UPDATE notice_outbox SET tries = ?2, due = ?3 WHERE id = ?1 AND tries = ?4 AND state = 'waiting'",
                                       {std::string_view(due.id), due.tries + 1, unix_seconds(parts_.clock->now() + pause), due.tries});
    if (!counted) return counted.error();
    ours = !refused_by("notice.another_node", *counted != 1);
    return {};
  });
  if (!done) return done.error();
  return ours;
}

/// What there is to send; where there is nothing, the reason for which it is given up.
Result<Message> Outbox::compose(const Due& due, std::string_view& trouble) {
  const auto kind = parse_kind(due.kind);
  const auto channel = parse_channel(due.channel);
  const auto signer = SignerId::parse(due.signer);
  auto values = parse_facts(due.facts);
  trouble = "content";
  if (!kind || !channel || !signer) return Error{ErrorCode::invalid_request, "a notice of nothing"};
  if (!values) return Error{ErrorCode::invalid_request, values.error().detail};
  for (const auto& [name, value] : parts_.deployment) values->emplace(name, value);
  std::optional<Contact> contact;
  const auto found = parts_.database->write([&](storage::Transaction& transaction) -> Status {
    auto opened = parts_.contacts->find(transaction, *signer);
    if (!opened) return opened.error();
    contact = std::move(*opened);
    return {};
  });
  trouble = "contact";
  if (!found) return Error{ErrorCode::storage_unavailable, found.error().detail};
  trouble = "address";
  if (!contact || contact->address(*channel).empty() || !parts_.notifiers.contains(*channel))
    return Error{ErrorCode::invalid_request, "no address any more, or no such channel"};
  trouble = "content";
  auto text = parts_.templates.render(*kind, contact->language, *values);
  if (!text) return Error{ErrorCode::invalid_request, text.error().detail};
  return Message{due.id, *kind, contact->address(*channel), contact->language, std::move(text->subject), std::move(text->body)};
}

Status Outbox::try_one(const Due& due) {
  const auto ours = count_try(due);
  if (!ours) return ours.error();
  if (!*ours) return {};
  std::string_view trouble;
  const auto message = compose(due, trouble);
  const auto told = message ? parts_.notifiers.at(*parse_channel(due.channel))->deliver(*message) : Status(message.error());
  if (told) return end(due, {});
  if (is_for_good(told.error())) return end(due, message ? "refused" : trouble);
  // A record that does not open is tried on: nobody can tell one that is spoilt from one whose key the token, away just now, would unwrap.
  if (due.tries + 1 >= most_tries) return end(due, message ? "tries" : trouble);
  log::refusal("notice.not_delivered", told.error(), {{"notice", due.id}, {"kind", due.kind}, {"channel", due.channel}});
  return {};
}

/// `reason`: why it is given up; empty: it was delivered.
Status Outbox::end(const Due& due, std::string_view reason) {
  const bool delivered = reason.empty();
  // What is no name of ours was written by somebody else: it does not go into the log, nor can it keep the event out of it.
  const std::string kind = parse_kind(due.kind) ? due.kind : "unknown", channel = parse_channel(due.channel) ? due.channel : "unknown";
  const std::string signer = SignerId::parse(due.signer) ? due.signer : "unknown";
  std::vector<std::pair<std::string, std::string>> fields{
      {"notice", due.id}, {"kind", kind}, {"channel", channel}, {"tries", std::to_string(due.tries + 1)}};
  if (!delivered) {
    fields.emplace_back("reason", reason);
    log::warn("notice.given_up", {{"notice", due.id}, {"kind", kind}, {"channel", channel}, {"reason", std::string(reason)}});
  }
  return parts_.database->write([&](storage::Transaction& transaction) -> Status {
    auto ended = transaction.execute("UPDATE notice_outbox SET state = ?2 WHERE id = ?1",
                                     {std::string_view(due.id), std::string_view(delivered ? "delivered" : "given_up")});
    if (!ended) return ended.error();
    auto entry = parts_.log.append(transaction, {delivered ? audit::EventType::notice_delivered : audit::EventType::notice_given_up, "ssa",
                                                 signer, delivered ? audit::Outcome::success : audit::Outcome::failed, fields});
    return entry ? Status() : Status(entry.error());
  });
}

Status Outbox::forget_old() {
  return parts_.database->write([&](storage::Transaction& transaction) -> Status {
    auto gone = transaction.execute("DELETE FROM notice_outbox WHERE state IN ('delivered', 'given_up') AND created < ?1",
                                    {unix_seconds(parts_.clock->now() - kept_for)});
    return gone ? Status() : Status(gone.error());
  });
}

Result<std::vector<Outbox::Count>> Outbox::counts() {
  std::vector<Count> counted;
  const auto done = parts_.database->read([&](storage::Reader& reader) -> Status {
    return reader.query("SELECT state, channel, COUNT(*) FROM notice_outbox GROUP BY state, channel", {}, [&](const storage::Row& row) {
      counted.push_back({row.text(0), row.text(1), row.integer(2)});
      return true;
    });
  });
  if (!done) return done.error();
  return counted;
}

}  // namespace intaglio::notice
