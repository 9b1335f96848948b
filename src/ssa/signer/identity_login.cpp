#include "ssa/signer/identity_login.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"
#include "json/json.h"
#include "oauth/access_token.h"
#include "oauth/refusal.h"
#include "ssa/csc/parameters.h"
#include "ssa/csc/refusal.h"
#include "ssa/signer/document_signing.h"

namespace intaglio::ssa::signer {
namespace {

constexpr std::size_t random_state_bytes = 32;
constexpr std::size_t nonce_bytes = 32;
/// A code is opaque; nobody's is longer.
constexpr std::size_t max_code = 4096;

/// RFC 7636, 4.1. It follows from the handle that the browser alone holds: what stands in the database redeems no code.
std::string code_verifier_of(std::string_view handle) {
  const auto secret = crypto::hkdf_sha256(as_bytes(handle), {}, as_bytes("intaglio/ssa/code-verifier/1"), 32);
  return encode_base64url(secret.reveal());
}

Error unknown_login(std::string_view why) { return {ErrorCode::not_found, std::string(why)}; }

http::Response refuse_login(const http::Request& request, const Error& error) {
  switch (error.code) {
    case ErrorCode::not_found:
      log::refusal("identity.unknown", error, {{"request", request.request_id}});
      return csc::answer(csc::invalid_parameter("state"));
    case ErrorCode::not_authorised:
      log::refusal("identity.refused", error, {{"request", request.request_id}});
      return csc::answer(csc::invalid_request("The identity provider did not confirm the sign-in"));
    default: return csc::refuse(request, error);
  }
}

/// A document on the page cannot leave with its signer.
bool is_document(const oauth::PendingApproval& pending) { return refused_by("ssa.identity.kind", DocumentSigning::holds(pending)); }

http::Response finished() { return csc::answer({401, "invalid_token", "The approval was finished"}); }

struct StoredLogin {
  Bytes handle, state;
  std::string nonce;
};

/// Gives its place back on every path.
class Place {
 public:
  explicit Place(PlacesAtProvider& places) : places_(places), taken_(places.try_acquire()) {}
  ~Place() {
    if (taken_) places_.release();
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  [[nodiscard]] bool taken() const noexcept { return taken_; }

 private:
  PlacesAtProvider& places_;
  bool taken_;
};

}  // namespace

IdentityLogin::IdentityLogin(std::shared_ptr<oauth::AuthorizationEndpoint> authorization, std::shared_ptr<const IdentityProvider> provider,
                             std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock)
    : authorization_(std::move(authorization)), provider_(std::move(provider)), database_(std::move(database)), clock_(std::move(clock)) {}

http::Response IdentityLogin::begin(const http::Request& request) const {
  auto parameters = csc::Parameters::of(request);
  const auto nonce = parameters.required_text("nonce");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto digest = parse_base64url(nonce);
  if (!digest || digest->size() != nonce_bytes) return csc::answer(csc::invalid_parameter("nonce"));
  const auto bearer = oauth::bearer_token(request);
  if (!bearer) return csc::refuse(request, bearer.error());
  const auto pending = authorization_->find(*bearer);
  if (!pending) return pending.error().code == ErrorCode::not_found ? finished() : csc::refuse(request, pending.error());
  if (is_document(*pending)) return csc::answer({401, "invalid_token", "The bearer is not for this method"});
  const auto random = crypto::random_bytes(random_state_bytes);
  if (!random) return csc::refuse(request, random.error());
  const auto state = encode_base64url(*random);
  const auto state_digest = crypto::sha256(as_bytes(state));
  auto handle = authorization_->park(*bearer, [&](storage::Transaction& transaction, std::string_view made) -> Status {
    const auto handle_digest = crypto::sha256(as_bytes(made));
    auto purged = transaction.execute("DELETE FROM ssa_identity_logins WHERE expires <= ?1 OR approval = ?2",
                                      {unix_seconds(clock_->now()), ByteView(pending->nonce)});
    if (!purged) return purged.error();
    auto kept = transaction.execute("INSERT INTO ssa_identity_logins (approval, handle, state, nonce, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
                                    {ByteView(pending->nonce), ByteView(handle_digest), ByteView(state_digest), std::string_view(nonce),
                                     unix_seconds(pending->expires)});
    return kept ? Status() : Status(kept.error());
  });
  if (!handle) return handle.error().code == ErrorCode::not_found ? finished() : csc::refuse(request, handle.error());
  const WipeAtExit wiped_handle(*handle);
  auto verifier = code_verifier_of(*handle);
  const WipeAtExit wiped(verifier);
  log::info("identity.begun", {{"request", request.request_id}, {"client", pending->client}});
  return oauth::uncached(json::encode({{"address", provider_->address(state, nonce, verifier)}, {"handle", *handle}}));
}

Result<std::string> IdentityLogin::take(ByteView approval, const Shown& shown) const {
  const auto handle = crypto::sha256(as_bytes(shown.handle));
  const auto state = crypto::sha256(as_bytes(shown.state));
  std::string nonce;
  const auto taken = database_->write([&](storage::Transaction& transaction) -> Status {
    const auto found = transaction.query_one<StoredLogin>("SELECT handle, state, nonce FROM ssa_identity_logins WHERE approval = ?1",
                                                          {approval}, [](const storage::Row& row) {
                                                            return StoredLogin{row.bytes(0), row.bytes(1), row.text(2)};
                                                          });
    if (!found) return found.error();
    if (!*found) return unknown_login("no sign-in was begun for this approval, or its code was asked for");
    const auto& login = **found;
    if (refused_by("ssa.identity.browser", !same_secret(login.handle, handle))) return unknown_login("the sign-in of another browser");
    if (refused_by("ssa.identity.state", !same_secret(login.state, state)))
      return unknown_login("another state than the one that was sent");
    nonce = login.nonce;
    auto used = transaction.execute("DELETE FROM ssa_identity_logins WHERE approval = ?1", {approval});
    return used ? Status() : Status(used.error());
  });
  if (!taken) return taken.error();
  return nonce;
}

http::Response IdentityLogin::finish(const http::Request& request) const {
  auto parameters = csc::Parameters::of(request);
  auto shown = Shown{parameters.required_text("handle"), parameters.required_text("state")};
  const WipeAtExit wiped_handle(shown.handle);
  auto code = parameters.required_text("code");
  const WipeAtExit wiped_code(code);
  const auto issuer = parameters.optional_text("issuer");
  if (!parameters.refusal() && (code.empty() || code.size() > max_code)) parameters.refuse(csc::invalid_parameter("code"));
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto bearer = oauth::bearer_token(request);
  if (!bearer) return csc::refuse(request, bearer.error());
  const auto pending = authorization_->find(*bearer);
  if (!pending) return pending.error().code == ErrorCode::not_found ? finished() : csc::refuse(request, pending.error());
  // Used up before anybody is asked: a code that comes twice is sent once.
  const auto nonce = take(pending->nonce, shown);
  if (!nonce) return refuse_login(request, nonce.error());
  if (const auto ours = provider_->check_issuer(issuer); !ours) return refuse_login(request, ours.error());
  const Place place(places_);
  if (!place.taken()) return csc::refuse(request, {ErrorCode::busy, "too many sign-ins wait for the identity provider"});
  auto verifier = code_verifier_of(shown.handle);
  const WipeAtExit wiped_verifier(verifier);
  const auto token = provider_->redeem(code, verifier, *nonce);
  if (!token) return refuse_login(request, token.error());
  log::info("identity.confirmed", {{"request", request.request_id}, {"client", pending->client}});
  return oauth::uncached(json::encode({{"idToken", as_text(token->reveal())}}));
}

}  // namespace intaglio::ssa::signer
