#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "audit/log.h"
#include "http/routes.h"
#include "notice/outbox.h"
#include "registration/enrolments.h"

namespace intaglio::registration {

/// What is done by the clock, once a day, or when an operator asks. A job that runs again, or ends half way, does nothing twice: each notice is
/// put in once for ever.
class Jobs {
 public:
  /// `log` is of the same database and outlives this.
  Jobs(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock, audit::Log& log,
       std::shared_ptr<Enrolments> enrolments, std::shared_ptr<notice::Outbox> outbox)
      : database_(std::move(database)),
        clock_(std::move(clock)),
        log_(log),
        enrolments_(std::move(enrolments)),
        outbox_(std::move(outbox)) {}

  struct State {
    std::string name;
    std::optional<UnixTime> ran;  ///< to its end, last; none: never
    std::int64_t found;  ///< how many it acted on then
  };
  [[nodiscard]] Result<std::vector<State>> list();
  /// `not_found` where there is no such job. Audited (`job.ran`) as this actor's.
  [[nodiscard]] Result<State> run(std::string_view name, const std::string& actor);
  /// Each that did not run for a day.
  Status run_due();

  /// GET /ra/v1/jobs, POST /ra/v1/jobs (api/ra/README.md). The routes hold this object: it outlives the router.
  void add_routes(http::Router& router);

  static constexpr std::chrono::seconds interval = std::chrono::hours(24);

 private:
  /// Puts a notice in for each certified key whose certificate ends from `after` on, not later than `until`.
  [[nodiscard]] Result<std::int64_t> tell_of_end(notice::Kind kind, std::chrono::seconds after, std::chrono::seconds until);
  [[nodiscard]] http::Response answer_list(const http::Request& request);
  [[nodiscard]] http::Response answer_run(const http::Request& request);

  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
  audit::Log& log_;
  std::shared_ptr<Enrolments> enrolments_;
  std::shared_ptr<notice::Outbox> outbox_;
  std::mutex running_;
};

}  // namespace intaglio::registration
