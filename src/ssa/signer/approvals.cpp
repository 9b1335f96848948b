#include "ssa/signer/approvals.h"

#include "base/check.h"
#include "base/log.h"
#include "json/json.h"
#include "oauth/access_token.h"
#include "protocol/binding.h"
#include "ssa/csc/parameters.h"
#include "ssa/csc/refusal.h"
#include "ssa/signer/document_signing.h"

namespace intaglio::ssa::signer {
namespace {

http::Response uncached(const json::Value& body) {
  auto response = http::json_answer(json::encode(body));
  response.headers.emplace_back("Cache-Control", "no-store");
  return response;
}

/// Stands in the place of the parameters of an authorization request, among which there is none of this name.
constexpr std::string_view device_prefix = "device_approval=";

/// The name of the approval that an application waits for, when this is one.
std::optional<std::string_view> device_approval(const oauth::PendingApproval& pending) {
  const std::string_view request = pending.request;
  if (!request.starts_with(device_prefix)) return std::nullopt;
  return request.substr(device_prefix.size());
}

/// The application hears of it by itself: the browser stays on the page.
http::Response stays(const http::Request& request, const Status& finished) {
  if (!finished && finished.error().code == ErrorCode::not_found) return csc::answer({401, "invalid_token", "The approval was finished"});
  if (!finished) return csc::refuse(request, finished.error());
  return uncached({{"redirect", nullptr}});
}

/// A document on the page is decided by its own methods: no code comes of it.
bool is_document(const oauth::PendingApproval& pending) { return refused_by("ssa.approval.kind", DocumentSigning::holds(pending)); }
http::Response another_kind() { return csc::answer({401, "invalid_token", "The bearer is not for this method"}); }

http::Response goes_to(const http::Request& request, const Result<std::string>& address) {
  if (!address && address.error().code == ErrorCode::not_found) return csc::answer({401, "invalid_token", "The approval was finished"});
  if (!address) return csc::refuse(request, address.error());
  return uncached({{"redirect", *address}});
}

}  // namespace

json::Value describe(const oauth::PendingRequests::Exchanged& exchanged) {
  const auto& pending = exchanged.pending;
  return {{"bearer", exchanged.bearer},
          {"ticket", pending.ticket},
          {"transaction", encode_base64url(pending.transaction)},
          {"sapStatement", pending.statement},
          {"expires", format_utc(pending.expires)}};
}

http::Response Approvals::authorize(const http::Request& request) const {
  return authorization_->authorize(
      request,
      [this](const oauth::Client& client, const oauth::CredentialRequest& asked, oauth::Origin origin) -> Result<oauth::OpenedApproval> {
        auto done = interaction_.open_requested(client, asked, origin);
        if (!done) return done.error();
        auto& opened = done->opened;
        return oauth::OpenedApproval{std::move(opened.ticket), std::move(opened.sap_statement), std::move(opened.transaction),
                                     std::move(done->nonce), opened.expires};
      });
}

Result<Approvals::Awaited> Approvals::await(const oauth::Client& client, const oauth::CredentialRequest& asked, UnixTime now) const {
  if (!authorization_) return Error{ErrorCode::unsupported, "there is no page on which signers approve"};
  auto done = interaction_.open_requested(client, asked, oauth::Origin::client);
  if (!done) return done.error();
  auto& opened = done->opened;
  const auto transaction = protocol::parse_transaction(opened.transaction);
  if (!transaction) return Error{ErrorCode::internal, "the SAM's transaction does not parse: " + transaction.error().detail};
  auto comparison = protocol::comparison_digits(opened.transaction);
  auto begun = devices_->begin(client.id.text(), opened.expires);
  if (!begun) return begun.error();
  auto page = authorization_->begin({client.id.text(), std::string(device_prefix) + begun->name, std::move(opened.ticket),
                                     std::move(opened.sap_statement), std::move(opened.transaction), std::move(done->nonce), opened.expires,
                                     transaction->signer});
  if (!page) return page.error();
  return Awaited{std::move(begun->handle), std::move(*page), std::move(comparison),
                 std::chrono::duration_cast<std::chrono::seconds>(opened.expires - now)};
}

Result<http::Principal> Approvals::check(const http::Request& request) const {
  const auto bearer = oauth::bearer_token(request);
  if (!bearer) return bearer.error();
  const auto pending = authorization_->find(*bearer);
  if (!pending && pending.error().code == ErrorCode::not_found) return Error{ErrorCode::not_authorised, pending.error().detail};
  if (!pending) return pending.error();
  return http::Principal{pending->client, {}, {"approval"}};
}

http::Response Approvals::exchange(const http::Request& request) const {
  auto parameters = csc::Parameters::of(request);
  const auto handle = parameters.required_text("handle");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto exchanged = authorization_->exchange(handle);
  if (!exchanged && exchanged.error().code == ErrorCode::not_found) return csc::answer(csc::invalid_parameter("handle"));
  if (!exchanged) return csc::refuse(request, exchanged.error());
  return uncached(describe(*exchanged));
}

http::Response Approvals::approve(const http::Request& request, const http::Principal& caller) const {
  auto parameters = csc::Parameters::of(request);
  const auto message = parameters.required_text("message");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto bearer = oauth::bearer_token(request);
  if (!bearer) return csc::refuse(request, bearer.error());
  const auto pending = authorization_->find(*bearer);
  if (!pending) return goes_to(request, pending.error());
  if (is_document(*pending)) return another_kind();
  auto authorised = interaction_.authorise(request, message, caller.id, pending->nonce);
  if (auto* refusal = std::get_if<http::Response>(&authorised)) return std::move(*refusal);
  auto& given = std::get<Interaction::Authorised>(authorised);
  const Secret sad(as_bytes(given.sad));
  wipe(given.sad);
  if (const auto device = device_approval(*pending)) {
    const auto finished = authorization_->finish(
        *bearer, [&](storage::Transaction& transaction) { return devices_->approved(transaction, *device, sad, given.expires); });
    if (finished) log::info("authorization.approved", {{"request", request.request_id}, {"client", caller.id}});
    return stays(request, finished);
  }
  const auto address = authorization_->approved(*bearer, *pending, given.signer, sad, given.expires);
  if (address) log::info("authorization.approved", {{"request", request.request_id}, {"client", caller.id}});
  return goes_to(request, address);
}

http::Response Approvals::deny(const http::Request& request, const http::Principal& caller) const {
  const auto bearer = oauth::bearer_token(request);
  if (!bearer) return csc::refuse(request, bearer.error());
  const auto pending = authorization_->find(*bearer);
  if (!pending) return goes_to(request, pending.error());
  if (is_document(*pending)) return another_kind();
  log::info("authorization.denied", {{"request", request.request_id}, {"client", caller.id}});
  if (const auto device = device_approval(*pending)) {
    return stays(request, authorization_->finish(
                              *bearer, [&](storage::Transaction& transaction) { return devices_->declined(transaction, *device); }));
  }
  return goes_to(request, authorization_->denied(*bearer, *pending));
}

}  // namespace intaglio::ssa::signer
