#include "ra/enrolments.h"

#include "base/ids.h"
#include "console.h"
#include "problem.h"
#include "service.h"

namespace intaglio::cli {
namespace {

/// More pages than that are no register that a person reads; a service that never ends its pages ends here.
constexpr int max_pages = 10000;

Result<RegistrationService> open_service(const std::filesystem::path& operator_file) {
  const auto settings = load_operator_settings(operator_file);
  if (!settings) return settings.error();
  return RegistrationService::open(*settings);
}

std::string word(const json::Value& line, std::string_view name) {
  const auto text = json::text_member(line, name, 256);
  return text ? printable(*text) : std::string("-");
}

void say_line(const std::string& signer, const json::Value& line) {
  const auto end = json::member(line, "certificateEnds") == nullptr ? std::string() : "  certificate ends " + word(line, "certificateEnds");
  say(signer + "  " + word(line, "credentialID") + "  " + word(line, "state") + "  since " + word(line, "since") +
      "  next: " + word(line, "next"));
}

Error malformed() {
  return problem(ErrorCode::internal, "the service's answer is incomplete", "check that base_url is the registration listener");
}

}  // namespace

Status list_enrolments(const ListEnrolmentsOptions& options) {
  const auto service = open_service(options.operator_file);
  if (!service) return service.error();
  std::string after;
  for (int page = 0; page < max_pages; ++page) {
    std::string path = "/ra/v1/enrolments?limit=100";
    if (!options.state.empty()) path += "&state=" + options.state;
    if (options.ending != 0) path += "&ending=" + std::to_string(options.ending);
    if (!after.empty()) path += "&after=" + after;
    const auto answer = service->get(path);
    if (!answer) return because(answer.error(), "the register", "check --state and the operator configuration");
    const auto* lines = json::member(*answer, "enrolments");
    if (lines == nullptr || !lines->is_array()) return malformed();
    for (const auto& line : *lines) say_line(word(line, "signerID"), line);
    if (json::member(*answer, "next") == nullptr) return {};
    auto next = json::text_member(*answer, "next", 256);
    if (!next || next->find_first_of("&?# ") != std::string::npos) return malformed();
    after = std::move(*next);
  }
  return malformed();
}

Status run_jobs(const JobsOptions& options) {
  const auto service = open_service(options.operator_file);
  if (!service) return service.error();
  const auto say_job = [](const json::Value& job) {
    const auto found = json::integer_member(job, "found");
    say(word(job, "job") + "  " + (found ? "ran " + word(job, "ran") + ", found " + std::to_string(*found) : std::string("never ran")));
  };
  const std::string next = "the service has jobs where it tells signers: [notices] of its configuration";
  if (!options.run.empty()) {
    const auto ran = service->post("/ra/v1/jobs", {{"job", options.run}});
    if (!ran) return because(ran.error(), "the job", next);
    say_job(*ran);
    return {};
  }
  const auto answer = service->get("/ra/v1/jobs");
  if (!answer) return because(answer.error(), "the jobs", next);
  const auto* lines = json::member(*answer, "jobs");
  if (lines == nullptr || !lines->is_array()) return malformed();
  for (const auto& line : *lines) say_job(line);
  return {};
}

Status show_enrolment(const ShowEnrolmentOptions& options) {
  const auto signer = SignerId::parse(options.signer);
  if (!signer) return problem(ErrorCode::invalid_request, "--signer is not an identifier", "give the id of `intaglio ra signer-create`");
  const auto service = open_service(options.operator_file);
  if (!service) return service.error();
  const auto answer = service->get("/ra/v1/enrolments/" + signer->text());
  if (!answer) return because(answer.error(), "the enrolment of " + signer->text(), "check the id: `intaglio ra list` shows all");
  const auto* keys = json::member(*answer, "keys");
  if (keys == nullptr || !keys->is_array()) return malformed();
  if (json::member(*answer, "state") != nullptr) {
    say_line(signer->text(), *answer);
    say("enrolled by " + word(*answer, "enrolledBy") + ", identity proofing " + word(*answer, "level"));
  }
  for (const auto& key : *keys) say_line(signer->text(), key);
  return {};
}

}  // namespace intaglio::cli
