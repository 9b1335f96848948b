#include "sign/device_session.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "evidence/device_key.h"
#include "problem.h"
#include "protocol/binding.h"

namespace intaglio::cli {
namespace {

constexpr std::string_view request_typ = "intaglio-device+jwt";
constexpr std::int64_t longest_wait = 10;  // api/sic, /sic/v1/devices/waiting

/// This device's request, which the SAM verifies once (api/sap, 12).
Result<std::string> make_request(const crypto::SoftwareKey& key, std::string_view signer, UnixTime now) {
  const auto id = crypto::random_id();
  if (!id) return id.error();
  const auto name = encode_base64url(evidence::device_key::name_of(key.public_key().spki()));
  const json::Value claims{{"jti", *id}, {"iat", unix_seconds(now)}};
  return crypto::make_jws(key, request_typ, std::string(signer) + "." + name, json::encode(claims));
}

Status sign_in(Service& service, const ApproveOptions& options, const Clock& clock) {
  const auto key = load_private_key(*options.factors.device_key_file);
  if (!key) return key.error();
  const auto request = make_request(**key, *options.signer, clock.now());
  if (!request) return request.error();
  const auto answer = service.post("/sic/v1/devices/sessions", {{"request", *request}});
  if (!answer)
    return because(answer.error(), "showing this device",
                   "it must be registered for " + *options.signer + ", and its clock right to a minute");
  auto bearer = json::text_member(*answer, "bearer", 256);
  if (!bearer) return because(bearer.error(), "the service's answer", "check that base_url is the SSA's");
  service.use_token(std::move(*bearer));
  return {};
}

struct Waiting {
  std::string id, application;
  std::vector<std::string> labels;
};

Result<std::vector<Waiting>> read_waiting(const json::Value& answer) {
  const Error incomplete = problem(ErrorCode::internal, "the service's answer is incomplete", "check that base_url is the SSA's");
  const auto* list = json::member(answer, "approvals");
  if (list == nullptr || !list->is_array()) return incomplete;
  std::vector<Waiting> waiting;
  for (const auto& one : *list) {
    auto id = json::text_member(one, "id", 64);
    auto application = json::text_member(one, "application", 256);
    const auto* documents = json::member(one, "documents");
    if (!id || !application || documents == nullptr || !documents->is_array()) return incomplete;
    Waiting found{std::move(*id), std::move(*application), {}};
    for (const auto& document : *documents) {
      auto label = json::text_member(document, "label", 256);
      if (!label) return incomplete;
      found.labels.push_back(std::move(*label));
    }
    waiting.push_back(std::move(found));
  }
  return waiting;
}

Result<std::vector<Waiting>> wait_for(const Service& service, const ApproveOptions& options, const Clock& clock) {
  const auto end = clock.now() + std::chrono::seconds(options.wait_seconds);
  for (;;) {
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(end - clock.now()).count();
    const auto answer = service.post("/sic/v1/devices/waiting", {{"wait", std::clamp<std::int64_t>(left, 0, longest_wait)}});
    if (!answer) return because(answer.error(), "asking what waits", "run the command again");
    auto waiting = read_waiting(*answer);
    if (!waiting || !waiting->empty()) return waiting;
    if (left <= 0)
      return problem(ErrorCode::not_found, "nothing waits for " + *options.signer, "let the application ask, and run the command again");
  }
}

/// The one that there is, or the one that the signer chooses. A script takes no choice for him.
Result<std::size_t> choose(const std::vector<Waiting>& waiting, bool script) {
  if (waiting.size() == 1) return std::size_t{0};
  if (script)
    return problem(ErrorCode::conflict, std::to_string(waiting.size()) + " approvals wait", "run the command in a terminal and choose one");
  auto line = ask_line("Which one? Its number:");
  if (!line) return because(line.error(), "the choice", "run the command in a terminal");
  const auto number = std::string_view(*line).find_first_not_of("0123456789") == std::string_view::npos && line->size() == 1
                          ? static_cast<std::size_t>(line->front() - '0')
                          : std::size_t{0};
  if (number == 0 || number > waiting.size())
    return problem(ErrorCode::invalid_request, "that is none of the numbers", "run the command again; nothing was opened");
  return number - 1;
}

}  // namespace

Result<json::Value> open_by_device(Service& service, const ApproveOptions& options, const Clock& clock, const Progress& progress) {
  if (auto shown = sign_in(service, options, clock); !shown) return shown.error();
  progress.step("this device is registered for " + *options.signer + "; waiting for something to approve");
  const auto waiting = wait_for(service, options, clock);
  if (!waiting) return waiting.error();
  std::size_t number = 0;
  for (const auto& one : *waiting) {
    say(std::to_string(++number) + ". " + printable(one.application) + " asks for:");
    for (const auto& label : one.labels) say("   " + printable(label));
  }
  const auto chosen = choose(*waiting, options.yes);
  if (!chosen) return chosen.error();
  auto opened = service.post("/sic/v1/devices/openings", {{"id", waiting->at(*chosen).id}});
  if (!opened) return because(opened.error(), "opening the approval", "it may be open on a page already; let the application ask again");
  return opened;
}

Status compare_digits(ByteView transaction, const ApproveOptions& options) {
  std::string given;
  if (options.comparison) {
    given = *options.comparison;
  } else {
    auto line = ask_line("The two digits that the application shows:");
    if (!line) return because(line.error(), "the digits", "run the command in a terminal, or give --compare");
    given = std::move(*line);
  }
  if (refused_by("signer.device.comparison", given != protocol::comparison_digits(transaction))) {
    return problem(ErrorCode::not_authorised, "these are not the digits of this request: another application may ask in its place",
                   "approve nothing that you did not ask for; let your application ask again");
  }
  return {};
}

}  // namespace intaglio::cli
