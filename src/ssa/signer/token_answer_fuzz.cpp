#include <cstddef>
#include <cstdint>

#include "base/panic.h"
#include "crypto/signer.h"
#include "oauth/test_support.h"
#include "ssa/signer/identity_provider.h"

/// What an identity provider answers to a code, as nobody would: only a token for this client and this nonce gets through.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  static std::string body;
  static const ssa::signer::IdentityProvider provider = [] {
    ssa::signer::IdentityProviderConfig config;
    config.issuer = "https://id.example";
    config.token_endpoint = "https://id.example/token";
    config.client_id = "intaglio";
    return ssa::signer::IdentityProvider(
        config, ssa::signer::ClientSecret{Secret(as_bytes("secret"))},
        [](std::string_view, const outbound::HttpHeaders&, const outbound::HttpHeaders&) -> Result<outbound::HttpAnswer> {
          return outbound::HttpAnswer{200, "application/json", body};
        },
        std::make_shared<ManualClock>(oauth::test::test_start));
  }();
  body = as_text({data, size});
  const auto token = provider.redeem("code", "verifier", "the-nonce");
  if (token && as_text(token->reveal()).find('.') == std::string_view::npos) panic("a token that is no JWS");
  return 0;
}
