#include "registration/jobs.h"

#include <algorithm>
#include <array>

#include "base/log.h"
#include "crypto/certificate.h"
#include "json/json.h"
#include "registration/refusal.h"

namespace intaglio::registration {
namespace {

using http::Access;
using http::PathParameters;
using http::Request;
using http::Response;

struct Job {
  notice::Kind kind;  ///< whose name it has
  std::chrono::seconds after, until;
};
/// The ends do not overlap: whose certificate ends within 7 days is told that, and not of 30.
constexpr std::array jobs{
    Job{notice::Kind::certificate_ends_30, std::chrono::hours(24 * 7), std::chrono::hours(24 * 30)},
    Job{notice::Kind::certificate_ends_7, std::chrono::seconds(0), std::chrono::hours(24 * 7)},
};

constexpr std::size_t max_name = 64;

json::Value shown(const Jobs::State& state) {
  json::Value job{{"job", state.name}};
  if (state.ran) {
    job["ran"] = format_utc(*state.ran);
    job["found"] = state.found;
  }
  return job;
}

/// Who opened the door: nobody signs that a job is to run, since it runs by itself in the end.
std::string caller_of(const Request& request) {
  const auto certificate = crypto::Certificate::parse_der(request.peer_certificate);
  return "tls:" + (certificate ? certificate->subject() : std::string("unknown"));
}

}  // namespace

Result<std::vector<Jobs::State>> Jobs::list() {
  std::vector<State> states;
  states.reserve(jobs.size());
  for (const auto& job : jobs) states.push_back({std::string(notice::name_of(job.kind)), std::nullopt, 0});
  const auto read = database_->read([&](storage::Reader& reader) -> Status {
    return reader.query("SELECT name, ran, found FROM registration_jobs", {}, [&](const storage::Row& row) {
      const auto known = std::find_if(states.begin(), states.end(), [&](const State& state) { return state.name == row.text(0); });
      if (known != states.end()) {
        known->ran = from_unix_seconds(row.integer(1));
        known->found = row.integer(2);
      }
      return true;
    });
  });
  if (!read) return read.error();
  return states;
}

Result<std::int64_t> Jobs::tell_of_end(notice::Kind kind, std::chrono::seconds after, std::chrono::seconds until) {
  const auto now = clock_->now();
  std::int64_t told = 0;
  Enrolments::Page page{.state = EnrolmentState::key_certified, .ending_before = now + until + std::chrono::seconds(1)};
  page.limit = Enrolments::max_lines;
  while (true) {
    const auto lines = enrolments_->list(page);
    if (!lines) return lines.error();
    for (const auto& line : *lines) {
      page.after_signer = line.signer;
      page.after_credential = line.credential;
      const auto signer = SignerId::parse(line.signer);
      if (!signer || !line.ends || *line.ends <= now + after) continue;
      const auto ends = format_utc(*line.ends);
      const auto put = outbox_->put({kind, *signer, {{"credential", line.credential}, {"ends", ends}}, line.credential + "/" + ends});
      // A contact that does not open keeps its own signer from being told, and nobody after him; the next run tries again.
      if (!put) log::refusal("registration.notice_lost", put.error(), {{"signer", line.signer}});
      if (put) told += static_cast<std::int64_t>(*put);
    }
    if (lines->size() < page.limit) return told;
  }
}

Result<Jobs::State> Jobs::run(std::string_view name, const std::string& actor) {
  const auto* const job =
      std::find_if(jobs.begin(), jobs.end(), [&](const Job& candidate) { return notice::name_of(candidate.kind) == name; });
  if (job == jobs.end()) return Error{ErrorCode::not_found, "no such job"};
  const std::lock_guard one_at_a_time(running_);
  const auto found = tell_of_end(job->kind, job->after, job->until);
  if (!found) return found.error();
  const State state{std::string(name), clock_->now(), *found};
  const auto done = database_->write([&](storage::Transaction& transaction) -> Status {
    auto kept = transaction.execute(
        "INSERT INTO registration_jobs (name, ran, found) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET ran = ?2, found = ?3",
        {std::string_view(state.name), unix_seconds(*state.ran), state.found});
    if (!kept) return kept.error();
    auto entry = log_.append(transaction, {audit::EventType::job_ran,
                                           actor,
                                           state.name,
                                           audit::Outcome::success,
                                           {{"job", state.name}, {"found", std::to_string(state.found)}}});
    return entry ? Status() : Status(entry.error());
  });
  if (!done) return done.error();
  return state;
}

Status Jobs::run_due() {
  const auto states = list();
  if (!states) return states.error();
  Status outcome;
  for (const auto& state : *states) {
    // A clock that was put back does not stop a job for as long as it was ahead.
    if (state.ran && *state.ran <= clock_->now() && clock_->now() - *state.ran < interval) continue;
    // One that fails does not keep the others from running.
    if (auto ran = run(state.name, "ssa"); !ran) outcome = ran.error();
  }
  return outcome;
}

void Jobs::add_routes(http::Router& router) {
  router.add("GET", "/ra/v1/jobs", Access::operator_certificate,
             [this](const Request& q, const PathParameters&) { return answer_list(q); });
  router.add("POST", "/ra/v1/jobs", Access::operator_certificate,
             [this](const Request& q, const PathParameters&) { return answer_run(q); });
}

Response Jobs::answer_list(const Request& request) {
  const auto states = list();
  if (!states) return refuse(request, states.error());
  auto lines = json::Value::array();
  for (const auto& state : *states) lines.push_back(shown(state));
  json::Value body = json::Value::object();
  body["jobs"] = std::move(lines);
  return http::json_answer(json::encode(body));
}

Response Jobs::answer_run(const Request& request) {
  const auto body = json::parse(request.body, {.max_bytes = 1024, .max_depth = 2, .max_members = 4});
  if (!body || !body->is_object()) return refuse(request, {ErrorCode::invalid_request, "the body is not a JSON object"});
  const auto name = json::text_member(*body, "job", max_name);
  if (!name) return refuse(request, name.error());
  const auto ran = run(*name, caller_of(request));
  if (!ran) return refuse(request, ran.error());
  return http::json_answer(json::encode(shown(*ran)));
}

}  // namespace intaglio::registration
