#include "registration/signer_revocation.h"

#include "base/check.h"
#include "base/log.h"
#include "json/json.h"

namespace intaglio::registration {
namespace {

using http::Access;
using http::Request;
using http::Response;

constexpr std::string_view reason = "revocation code";
constexpr std::size_t max_code_length = 64;
constexpr std::size_t max_body_bytes = 1024;

Response refuse(const Request& request, const Error& error) {
  log::refusal("revocation_code.refused", error, {{"request", request.request_id}});
  return http::error_answer(error);
}

/// No page of another site makes a visitor's browser try codes for it, which would count as the visitor's tries: what a page sends unasked has
/// another type, or an origin.
Status check_sender(const Request& request) {
  const auto type = request.headers.find("content-type");
  auto media = type == request.headers.end() ? std::string_view() : std::string_view(type->second).substr(0, type->second.find(';'));
  while (media.ends_with(' ')) media.remove_suffix(1);
  if (refused_by("registration.code.content-type", media != "application/json"))
    return Error{ErrorCode::invalid_request, "the content type is not application/json"};
  if (refused_by("registration.code.origin", request.headers.contains("origin")))
    return Error{ErrorCode::not_authorised, "a page of a browser does not revoke here"};
  return {};
}

}  // namespace

void SignerRevocation::add_routes(http::Router& router) {
  router.add("POST", "/sic/v1/revocations", Access::anonymous,
             [this](const Request& request, const http::PathParameters&) { return stop(request); });
}

Response SignerRevocation::stop(const Request& request) {
  if (const auto sender = check_sender(request); !sender) return refuse(request, sender.error());
  auto body = json::parse(request.body, {.max_bytes = max_body_bytes, .max_depth = 2, .max_members = 4});
  if (!body || !body->is_object()) return refuse(request, {ErrorCode::invalid_request, "the body is not a JSON object"});
  const json::WipeAtExit wiped(*body);
  auto code = json::text_member(*body, "code", max_code_length);
  if (!code) return refuse(request, code.error());
  const WipeAtExit wiped_code(*code);
  // What is no request counts nothing: the bound for all is everybody's.
  if (const auto taken = limit_.take(request.peer_address, parts_.clock->now()); !taken) return refuse(request, taken.error());
  const auto signer = parts_.codes->redeem(*code);
  if (!signer) return refuse(request, signer.error());
  if (const auto stopped = stop_keys_of(*signer); !stopped) return refuse(request, stopped.error());
  log::info("registration.signer_stopped", {{"request", request.request_id}, {"signer", signer->text()}});
  return http::json_answer(R"({"state":"revocation_requested"})");
}

Status SignerRevocation::stop_keys_of(const SignerId& signer) {
  // The register first: from here on nothing new is certified for him and nothing is resumed, whatever the SAM answers.
  const auto note = [&](const std::optional<KeyId>& key) -> Status {
    const auto state = parts_.enrolments->state_of(signer, key);
    if (!state) return state.error();
    // A code that is used again finds it done.
    if (!may_follow(*state, EnrolmentState::revocation_requested)) return {};
    return parts_.enrolments->change(
        {signer, key, EnrolmentState::revocation_requested, "signer:" + signer.text(), {{"channel", "signer-code"}}});
  };
  if (auto noted = note(std::nullopt); !noted) return noted;
  const auto keys = parts_.sam->list_credentials(signer);
  if (!keys) return keys.error();
  Status outcome;
  for (const auto& facts : *keys) {
    if (facts.state == protocol::KeyState::destroyed) continue;
    if (auto noted = note(facts.key); !noted) outcome = noted;
    if (facts.state != protocol::KeyState::assigned) continue;
    // One key that cannot be stopped does not keep the others going.
    if (auto suspended = parts_.sam->suspend_key(facts.key, reason); !suspended) outcome = suspended;
    parts_.credential_changed(facts.key);
  }
  return outcome;
}

}  // namespace intaglio::registration
