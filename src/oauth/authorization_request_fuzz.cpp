#include <cstddef>
#include <cstdint>

#include "base/panic.h"
#include "oauth/authorization_request.h"
#include "oauth/test_support.h"

namespace {

using namespace intaglio;
using oauth::test::must;

/// Two clients, one with an address that a request may leave out.
const oauth::Client& client_of(const oauth::Form& form) {
  static const auto clients = [] {
    auto old = oauth::test::TestClient("old").registered({}, {"https://old.example/back"});
    old.compatibility = {oauth::Compatibility::no_pkce};
    return must(oauth::Clients::make({oauth::test::TestClient("one").registered({}, {"https://client.example/back?x=1"}),
                                      oauth::test::TestClient("two").registered({}, {"https://a.example/", "app:/b"}), std::move(old)}));
  }();
  const auto* id = form.find("client_id");
  const auto* found = id == nullptr ? nullptr : clients.find(*id);
  return found == nullptr ? *clients.find("one") : *found;
}

}  // namespace

/// The query of an authorization request, or the body of a pushed one. What is taken survives its own writing: a pushed request means what
/// it meant when it was checked, and no answer leaves the registered addresses.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::string_view issuer = "https://sign.example";
  const auto form = oauth::Form::parse(as_text({data, size}));
  if (!form) return 0;
  const auto& client = client_of(*form);
  const auto target = oauth::parse_redirect_target(*form, client);
  if (!std::holds_alternative<oauth::RedirectTarget>(target)) return 0;
  const auto& goes = std::get<oauth::RedirectTarget>(target);
  if (!client.redirect_uris.contains(goes.uri)) panic("a redirect that was not registered");
  const auto address = oauth::redirect_to(goes, issuer, {{"error", "invalid_request"}});
  for (const char c : address) {
    if (c <= 0x20 || c >= 0x7F) panic("an address that could end a header line");
  }
  const auto parsed = oauth::parse_authorization_request(*form, goes, client, issuer);
  if (!std::holds_alternative<oauth::AuthorizationRequest>(parsed)) return 0;
  const auto& first = std::get<oauth::AuthorizationRequest>(parsed);
  const auto kept = must(oauth::Form::parse(oauth::authorization_parameters(*form)));
  const auto again =
      oauth::parse_authorization_request(kept, std::get<oauth::RedirectTarget>(oauth::parse_redirect_target(kept, client)), client, issuer);
  if (!std::holds_alternative<oauth::AuthorizationRequest>(again)) panic("a request that is refused when it is kept");
  const auto& second = std::get<oauth::AuthorizationRequest>(again);
  const bool same = first.code_challenge == second.code_challenge && first.service == second.service && first.details == second.details &&
                    first.target.state == second.target.state && first.credential.documents.size() == second.credential.documents.size();
  if (!same) panic("a request with a second meaning");
  return 0;
}
