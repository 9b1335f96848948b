#include "ssa/limits.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/log.h"

namespace intaglio::ssa {
namespace {

/// What a request costs, which decides whose limit it counts for.
enum class Work { none, read, token, start, signature };

struct Row {
  std::string_view pattern;
  Work work;
};
/// Every other route of the public listener is read.
constexpr auto rows = std::to_array<Row>({
    {"/health/alive", Work::none},
    {"/health/ready", Work::none},
    {"/csc/v2/oauth2/token", Work::token},
    {"/csc/v2/oauth2/revoke", Work::token},
    {"/csc/v2/oauth2/pushed_authorize", Work::token},
    {"/csc/v1/auth/login", Work::token},
    {"/csc/v2/auth/login", Work::token},
    {"/csc/v1/auth/revoke", Work::token},
    {"/csc/v2/auth/revoke", Work::token},
    {"/csc/v2/oauth2/authorize", Work::start},
    {"/csc/v2/credentials/authorize", Work::start},
    {"/csc/v1/credentials/authorize", Work::start},
    {"/sic/v1/transactions", Work::start},
    {"/sic/v1/sessions", Work::start},
    {"/sic/v1/enrolments", Work::start},
    {"/sic/v1/keys", Work::start},
    {"/sic/v1/factors", Work::start},
    {"/sic/v1/suspensions", Work::start},
    {"/sic/v1/destructions", Work::start},
    {"/sic/v1/grants", Work::start},
    {"/sic/v1/documents", Work::start},
    {"/sic/v1/documents/openings", Work::start},
    {"/sic/v1/messages", Work::signature},
    {"/sic/v1/approvals/messages", Work::signature},
    {"/sic/v1/documents/messages", Work::signature},
    {"/csc/v2/credentials/extendTransaction", Work::signature},
    {"/csc/v1/credentials/extendTransaction", Work::signature},
    {"/csc/v2/signatures/signHash", Work::signature},
    {"/csc/v1/signatures/signHash", Work::signature},
    {"/csc/v2/signatures/signDoc", Work::signature},
});

Work work_of(std::string_view pattern) {
  const auto* const found = std::find_if(rows.begin(), rows.end(), [&](const Row& row) { return row.pattern == pattern; });
  return found == rows.end() ? Work::read : found->work;
}

/// Of IPv6 the first half: the rest is the host's own to choose.
std::string network_of(const std::string& address) {
  std::array<char, sizeof(in6_addr)> octets{};
  if (::inet_pton(AF_INET6, address.c_str(), octets.data()) != 1) return address;
  return {octets.data(), octets.size() / 2};
}

/// A client's own, where a client shows itself. A page or a device acts for somebody whom a stranger may have sent: it takes nothing of what
/// the client that is named may ask, and counts for where it is.
std::string bucket_of(const http::Principal& caller, const http::Request& request) {
  const auto has = [&](std::string_view scope) {
    return std::find(caller.scopes.begin(), caller.scopes.end(), scope) != caller.scopes.end();
  };
  if (has("approval") || has("device")) return "network " + network_of(request.peer_address);
  return "client " + caller.id;
}

http::Response too_many(std::chrono::seconds wait) {
  auto answer = http::error_answer(429, "temporarily_unavailable", "Too many requests for now");
  answer.headers.emplace_back("Retry-After", std::to_string(wait.count()));
  return answer;
}

}  // namespace

Limits::Limits(const LimitsConfig& config, const std::shared_ptr<const Clock>& clock) {
  const auto limiter = [&](std::uint32_t per_minute) { return std::make_shared<http::Limiter>(per_minute, clock); };
  const auto none = limiter(0);
  reads_ = {limiter(config.reads.address), limiter(config.reads.client), limiter(config.reads.account)};
  // The client of a token request is known to ClientAuthentication alone; the account of a start to whoever finds the credential.
  tokens_ = {limiter(config.tokens.address), limiter(config.tokens.client), none};
  starts_ = {limiter(config.starts.address), limiter(config.starts.client), limiter(config.starts.account)};
  signatures_ = {none, limiter(config.signatures.client), limiter(config.signatures.account)};
  anonymous_starts_ = limiter(config.starts.anonymous);
  accounts_of_strangers_ = limiter(config.starts.account);
}

std::optional<http::Response> Limits::judge(const http::Request& request, std::string_view pattern, const http::Principal* caller) {
  const auto work = work_of(pattern);
  const Buckets* counted = nullptr;
  switch (work) {
    case Work::none: return std::nullopt;
    case Work::read: counted = &reads_; break;
    case Work::token: counted = &tokens_; break;
    case Work::start: counted = &starts_; break;
    case Work::signature: counted = &signatures_; break;
  }
  const auto& buckets = *counted;
  const auto refuse = [&](std::string_view whose, std::atomic<std::uint64_t>& count, std::chrono::seconds wait) {
    ++count;
    log::info("request.limited", {{"request", request.request_id}, {"route", std::string(pattern)}, {"limit", std::string(whose)}});
    return too_many(wait);
  };
  if (caller == nullptr) {
    const auto wait = buckets.address->wait_for(network_of(request.peer_address));
    if (refused_by("ssa.limit.address", wait.has_value())) return refuse("address", refused_.address, *wait);
    // Who pushed his request has shown who he is, and counted there.
    if (work != Work::start || http::form_value(request.query, "request_uri")) return std::nullopt;
    const auto all = anonymous_starts_->wait_for({});
    if (refused_by("ssa.limit.anonymous", all.has_value())) return refuse("anonymous", refused_.anonymous, *all);
    return std::nullopt;
  }
  const auto wait = buckets.client->wait_for(bucket_of(*caller, request));
  if (refused_by("ssa.limit.client", wait.has_value())) return refuse("client", refused_.client, *wait);
  // Starts count for the signer whose credential it is, in whoever's name they are asked for.
  if (caller->subject.empty() || work == Work::start) return std::nullopt;
  const auto own = buckets.account->wait_for(caller->subject);
  if (refused_by("ssa.limit.account", own.has_value())) return refuse("account", refused_.account, *own);
  return std::nullopt;
}

http::Gate Limits::gate() {
  return [this](const http::Request& request, std::string_view pattern, const http::Principal* caller) {
    return judge(request, pattern, caller);
  };
}

Status Limits::start_for(const SignerId& signer, oauth::Origin origin) {
  auto& accounts = origin == oauth::Origin::anybody ? *accounts_of_strangers_ : *starts_.account;
  const auto wait = accounts.wait_for(signer.text());
  if (!refused_by("ssa.limit.starts", wait.has_value())) return {};
  ++refused_.account;
  return Error{ErrorCode::limit_exceeded, "too many transactions were opened for this signer"};
}

std::vector<metrics::Figure> Limits::figures() const {
  const auto figure = [](const char* limit, const std::atomic<std::uint64_t>& count) {
    return metrics::Figure{"intaglio_limited_requests_total",
                           "Requests answered 429, by the limit that was reached",
                           metrics::Kind::counter,
                           static_cast<double>(count.load()),
                           {{"limit", limit}}};
  };
  return {figure("address", refused_.address), figure("anonymous", refused_.anonymous), figure("client", refused_.client),
          figure("account", refused_.account)};
}

}  // namespace intaglio::ssa
