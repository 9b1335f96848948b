#include "registration/enrolments.h"

#include <algorithm>
#include <limits>

#include "base/check.h"

namespace intaglio::registration {
namespace {

/// A row as it stands; its state is read afterwards, because a name that is none means that somebody else wrote it.
struct Row {
  std::string signer, credential, state;
  std::int64_t since;
  std::string enrolled_by, level;
  std::int64_t ends;  ///< 0: not known
};
constexpr std::string_view by_key =
    "SELECT signer, credential, state, since, enrolled_by, level, ends FROM registration_enrolments WHERE credential = ?1";
constexpr std::string_view by_signer =
    "SELECT signer, credential, state, since, enrolled_by, level, ends FROM registration_enrolments WHERE signer = ?1 ORDER BY credential "
    "LIMIT "
    "?2";
constexpr std::string_view one_line =
    "SELECT signer, credential, state, since, enrolled_by, level, ends FROM registration_enrolments WHERE signer = ?1 AND credential = ?2";
constexpr std::string_view page_of_all =
    "SELECT signer, credential, state, since, enrolled_by, level, ends FROM registration_enrolments WHERE (signer > ?1 OR (signer = ?1 AND "
    "credential > ?2)) AND ends >= ?3 AND ends < ?4 ORDER BY signer, credential LIMIT ?5";
constexpr std::string_view page_of_state =
    "SELECT signer, credential, state, since, enrolled_by, level, ends FROM registration_enrolments WHERE state = ?6 AND (signer > ?1 OR "
    "(signer = ?1 AND credential > ?2)) AND ends >= ?3 AND ends < ?4 ORDER BY signer, credential LIMIT ?5";
constexpr std::string_view to_expire =
    "SELECT signer, credential, state, since, enrolled_by, level, ends FROM registration_enrolments WHERE ends > 0 AND ends < ?1 AND state "
    "IN ('key_certified', 'suspended', 'revocation_requested', 'ended') LIMIT ?2";
/// `ends` of a line that has none is 0, which these bounds let in or leave out.
constexpr std::int64_t any_end = 0;
constexpr std::int64_t known_end = 1;

Row row_of(const storage::Row& columns) {
  return {columns.text(0), columns.text(1), columns.text(2), columns.integer(3), columns.text(4), columns.text(5), columns.integer(6)};
}

Result<Enrolment> enrolment_of(const Row& row) {
  const auto state = parse_enrolment_state(row.state);
  if (!state) return Error{ErrorCode::storage_unavailable, "the register of enrolments has an unknown state"};
  return Enrolment{row.signer,
                   row.credential,
                   *state,
                   from_unix_seconds(row.since),
                   row.enrolled_by,
                   row.level,
                   row.ends == 0 ? std::optional<UnixTime>() : from_unix_seconds(row.ends)};
}

Result<std::vector<Enrolment>> select(storage::Database& database, std::string_view sql, storage::Parameters parameters) {
  std::vector<Row> rows;
  const auto done = database.read([&](storage::Reader& reader) -> Status {
    return reader.query(sql, parameters, [&](const storage::Row& columns) {
      rows.push_back(row_of(columns));
      return true;
    });
  });
  if (!done) return done.error();
  std::vector<Enrolment> lines;
  for (const auto& row : rows) {
    auto line = enrolment_of(row);
    if (!line) return line.error();
    lines.push_back(std::move(*line));
  }
  return lines;
}

audit::Event event_of(const EnrolmentChange& change, EnrolmentState from) {
  auto fields = change.more;
  fields.emplace_back("from", name_of(from));
  fields.emplace_back("to", name_of(change.to));
  if (change.key) fields.emplace_back("credential", change.key->text());
  return {audit::EventType::enrolment_changed, change.actor, change.signer.text(), audit::Outcome::success, std::move(fields)};
}

}  // namespace

Enrolments::Enrolments(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock, audit::Log& log)
    : database_(std::move(database)), clock_(std::move(clock)), log_(log) {}

Status Enrolments::change(const EnrolmentChange& change) {
  const std::string credential = change.key ? change.key->text() : std::string();
  const auto level = std::find_if(change.more.begin(), change.more.end(), [](const auto& field) { return field.first == "level"; });
  return database_->write([&](storage::Transaction& transaction) -> Status {
    const auto row = transaction.query_one<Row>(one_line, {std::string_view(change.signer.text()), std::string_view(credential)}, row_of);
    if (!row) return row.error();
    Enrolment line{change.signer.text(), credential, EnrolmentState::none, clock_->now(), {}, {}, {}};
    if (*row) {
      auto before = enrolment_of(**row);
      if (!before) return before.error();
      line = std::move(*before);
    }
    const auto from = line.state;
    if (refused_by("registration.transition", !may_follow(from, change.to))) {
      return Error{ErrorCode::conflict, "no way from " + std::string(name_of(from)) + " to " + std::string(name_of(change.to))};
    }
    if (change.ends) line.ends = change.ends;
    if (!change.enrolled_by.empty()) line.enrolled_by = change.enrolled_by;
    if (level != change.more.end()) line.level = level->second;
    auto stored = transaction.execute(
        "INSERT INTO registration_enrolments (signer, credential, state, since, enrolled_by, level, ends) VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
        "?7) ON CONFLICT (signer, credential) DO UPDATE SET state = ?3, since = ?4, enrolled_by = ?5, level = ?6, ends = ?7",
        {std::string_view(line.signer), std::string_view(line.credential), name_of(change.to), unix_seconds(clock_->now()),
         std::string_view(line.enrolled_by), std::string_view(line.level), line.ends ? unix_seconds(*line.ends) : std::int64_t{0}});
    if (!stored) return stored.error();
    auto entry = log_.append(transaction, event_of(change, from));
    if (!entry) return entry.error();
    line.state = change.to;
    if (follower_) follower_(transaction, line, from);
    return {};
  });
}

Result<EnrolmentState> Enrolments::state_of(const SignerId& signer, const std::optional<KeyId>& key) {
  const std::string credential = key ? key->text() : std::string();
  const auto lines = select(*database_, one_line, {std::string_view(signer.text()), std::string_view(credential)});
  if (!lines) return lines.error();
  return lines->empty() ? EnrolmentState::none : lines->front().state;
}

Result<std::optional<Enrolment>> Enrolments::find_key(const KeyId& key) {
  auto lines = select(*database_, by_key, {std::string_view(key.text())});
  if (!lines) return lines.error();
  if (lines->empty()) return std::optional<Enrolment>();
  return std::optional<Enrolment>(std::move(lines->front()));
}

Result<std::vector<Enrolment>> Enrolments::find(const SignerId& signer) {
  return select(*database_, by_signer, {std::string_view(signer.text()), std::int64_t{max_lines}});
}

Result<std::vector<Enrolment>> Enrolments::list(const Page& page) {
  const auto limit = static_cast<std::int64_t>(std::min(page.limit, max_lines));
  const std::string_view signer = page.after_signer;
  const std::string_view credential = page.after_credential;
  const auto from = page.ending_before ? known_end : any_end;
  const auto before = page.ending_before ? unix_seconds(*page.ending_before) : std::numeric_limits<std::int64_t>::max();
  if (page.state) return select(*database_, page_of_state, {signer, credential, from, before, limit, name_of(*page.state)});
  return select(*database_, page_of_all, {signer, credential, from, before, limit});
}

Status Enrolments::expire_certificates() {
  while (true) {
    const auto due = select(*database_, to_expire, {unix_seconds(clock_->now()), std::int64_t{max_lines}});
    if (!due) return due.error();
    for (const auto& line : *due) {
      auto signer = SignerId::parse(line.signer);
      auto key = KeyId::parse(line.credential);
      if (!signer || !key) return Error{ErrorCode::storage_unavailable, "the register of enrolments has a line of nobody"};
      // A line that changed meanwhile is looked at again the next time.
      auto changed = change({*signer, *key, EnrolmentState::expired, "ssa"});
      if (!changed && changed.error().code != ErrorCode::conflict) return changed;
    }
    if (due->size() < max_lines) return {};
  }
}

}  // namespace intaglio::registration
