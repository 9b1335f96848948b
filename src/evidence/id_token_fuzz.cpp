#include "evidence/id_token.h"

/// A stranger's ID token. It is read against a key of RFC 7515, A.3, and against a policy that pins an authority without anchors; the
/// claims of a token that nobody signed are reached through the seeds, which that key signed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  using namespace intaglio::evidence::id_token;
  static const auto key = parse_pinned_key(
      R"({"kty":"EC","crv":"P-256","kid":"ec","alg":"ES256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})");
  if (!key) std::abort();
  static const IssuerPolicy pinned{.issuer = "https://id.example.org",
                                   .client_id = "intaglio",
                                   .trust = std::vector<PinnedKey>{*key},
                                   .acr = {"high"},
                                   .max_authentication_age = std::chrono::seconds(600),
                                   .max_skew = std::chrono::seconds(30)};
  static const IssuerPolicy certified{.issuer = pinned.issuer,
                                      .client_id = pinned.client_id,
                                      .trust = PinnedAuthority{{}, "CN=ID tokens,C=DE", Algorithm::es256},
                                      .acr = pinned.acr,
                                      .max_authentication_age = pinned.max_authentication_age,
                                      .max_skew = pinned.max_skew};
  const auto input = as_text(ByteView(data, size));
  const auto binding = to_bytes("thirty-two bytes of the binding!");
  const auto now = from_unix_seconds(1'800'000'000);
  const auto taken = verify_identification(pinned, binding, input, now);
  if (taken && taken->evidence != to_bytes(input)) std::abort();
  if (verify_identification(certified, binding, input, now)) std::abort();  // nothing leads to no anchor
  static_cast<void>(parse_pinned_key(input));
  return 0;
}
