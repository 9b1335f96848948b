#include "ssa/signer/devices.h"

#include <algorithm>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "json/json.h"
#include "oauth/access_token.h"
#include "protocol/binding.h"
#include "ssa/csc/parameters.h"
#include "ssa/csc/refusal.h"
#include "ssa/signer/approvals.h"

namespace intaglio::ssa::signer {
namespace {

constexpr std::chrono::milliseconds look_again{250};
/// When a device that was answered at once should ask again.
constexpr std::int64_t retry_after = 5;

http::Response uncached(const json::Value& body) {
  auto response = http::json_answer(json::encode(body));
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

/// One more that waits, while there is room; leaves when it ends.
class Place {
 public:
  Place(std::atomic<unsigned>& taken, unsigned most) : taken_(taken), given_(taken.fetch_add(1) < most) {}
  ~Place() { taken_.fetch_sub(1); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  [[nodiscard]] bool given() const noexcept { return given_; }

 private:
  std::atomic<unsigned>& taken_;
  bool given_;
};

/// What a signer needs to know whether this is what he waits for. The device shows and approves T, which it gets when it opens this.
Result<json::Value> shown(const oauth::PendingRequests::Told& told) {
  const auto transaction = protocol::parse_transaction(told.pending.transaction);
  if (!transaction) return Error{ErrorCode::internal, "a kept transaction does not parse: " + transaction.error().detail};
  auto documents = json::Value::array();
  for (const auto& document : transaction->documents)
    documents.push_back({{"label", document.label}, {"digest", encode_base64url(document.digest)}});
  return json::Value{{"id", told.name},
                     {"application", transaction->client_name},
                     {"documents", documents},
                     {"expires", format_utc(told.pending.expires)}};
}

}  // namespace

Result<http::Principal> Devices::check(const http::Request& request) const {
  const auto bearer = oauth::bearer_token(request);
  if (!bearer) return bearer.error();
  const auto signer = parts_.sessions->find(*bearer);
  if (!signer) return signer.error();
  return http::Principal{{}, signer->text(), {"device"}};
}

http::Response Devices::sign_in(const http::Request& request) const {
  if (const auto taken = limit_.take(request.peer_address, parts_.clock->now()); refused_by("ssa.device-session.rate", !taken)) {
    log::refusal("device.refused", taken.error(), {{"request", request.request_id}});
    return csc::answer({429, "access_denied", "Too many requests; ask again in a minute"});
  }
  auto parameters = csc::Parameters::of(request);
  const auto asked = parameters.required_text("request");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto signer = parts_.sam->recognise_device(asked);
  if (!signer) {
    log::refusal("device.refused", signer.error(), {{"request", request.request_id}});
    const auto code = signer.error().code;
    const bool wrong = code == ErrorCode::authentication_failed || code == ErrorCode::replayed || code == ErrorCode::invalid_request;
    return wrong ? csc::answer(csc::invalid_parameter("request")) : csc::refuse(request, signer.error());
  }
  const auto bearer = parts_.sessions->begin(*signer);
  if (!bearer) return csc::refuse(request, bearer.error());
  return uncached({{"bearer", *bearer}, {"expires_in", DeviceSessions::life.count()}});
}

Result<std::vector<oauth::PendingRequests::Told>> Devices::wait_for(const std::string& signer, std::int64_t seconds) const {
  const Place place(waiting_, parts_.most_waiting);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(place.given() ? seconds : 0);
  for (;;) {
    auto told = parts_.authorization->told_to(signer);
    const auto left = end - std::chrono::steady_clock::now();
    if (!told || !told->empty() || left <= std::chrono::steady_clock::duration::zero()) return told;
    std::this_thread::sleep_for(std::min<std::chrono::steady_clock::duration>(left, look_again));
  }
}

http::Response Devices::waiting(const http::Request& request, const http::Principal& caller) const {
  auto parameters = csc::Parameters::of(request);
  std::int64_t seconds = 0;
  if (const auto* asked = parameters.member("wait"); asked != nullptr) {
    seconds = asked->is_number_integer() ? asked->get<std::int64_t>() : -1;
    if (seconds < 0 || seconds > longest_wait) parameters.refuse(csc::invalid_parameter("wait"));
  }
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto told = wait_for(caller.subject, seconds);
  if (!told) return csc::refuse(request, told.error());
  auto approvals = json::Value::array();
  for (const auto& one : *told) {
    auto object = shown(one);
    if (!object) return csc::refuse(request, object.error());
    approvals.push_back(std::move(*object));
  }
  return uncached({{"approvals", approvals}, {"retryAfter", retry_after}});
}

http::Response Devices::open(const http::Request& request, const http::Principal& caller) const {
  auto parameters = csc::Parameters::of(request);
  const auto name = parameters.required_text("id");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto exchanged = parts_.authorization->exchange_told(name, caller.subject);
  if (!exchanged && exchanged.error().code == ErrorCode::not_found) return csc::answer(csc::invalid_parameter("id"));
  if (!exchanged) return csc::refuse(request, exchanged.error());
  log::info("device.opened", {{"request", request.request_id}, {"client", exchanged->pending.client}});
  return uncached(describe(*exchanged));
}

}  // namespace intaglio::ssa::signer
