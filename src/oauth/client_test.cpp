#include "oauth/client.h"

#include <gtest/gtest.h>

#include "oauth/test_support.h"

namespace intaglio::oauth {
namespace {

using test::must;

Client with_secret(std::string_view id, SecretHash hash) { return {must(ClientId::parse(id)), "App", std::nullopt, std::move(hash), {}}; }

TEST(ClientSecret, IsKnownByItsHashAlone) {
  const auto made = must(make_client_secret());
  EXPECT_EQ(made.secret.size(), 43U);
  const auto kept = must(SecretHash::parse(made.hash.text()));
  EXPECT_TRUE(kept.matches(made.secret.reveal()));
  EXPECT_FALSE(kept.matches(as_bytes("another secret")));
  EXPECT_EQ(made.hash.text().find(as_text(made.secret.reveal())), std::string::npos);
}

TEST(ClientSecret, HasAnotherHashEachTime) {
  const auto first = must(SecretHash::of(as_bytes("the same")));
  const auto second = must(SecretHash::of(as_bytes("the same")));
  EXPECT_NE(first.text(), second.text());
  EXPECT_TRUE(second.matches(as_bytes("the same")));
}

TEST(ClientSecret, RefusesHashesOfAnotherForm) {
  for (const auto* text : {"", "plain", "hmac-sha256$", "hmac-sha256$AAAA$AAAA", "hmac-sha256$AAAAAAAAAAAAAAAAAAAAAA",
                           "sha256$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}) {
    EXPECT_FALSE(SecretHash::parse(text)) << text;
  }
}

TEST(Clients, NeedExactlyOneWayToProveThemselves) {
  const auto hash = must(SecretHash::of(as_bytes("s")));
  std::vector<Client> none{{must(ClientId::parse("a")), "App", std::nullopt, std::nullopt, {}}};
  EXPECT_FALSE(Clients::make(none));
  auto both = test::TestClient("a").registered();
  both.secret = hash;
  EXPECT_FALSE(Clients::make({both}));
  EXPECT_TRUE(Clients::make({with_secret("a", hash)}));
}

TEST(Clients, SignInByAuthLoginWithASecretAndUnboundTokensAlone) {
  const auto made = must(make_client_secret());
  const auto accepts = [&](const std::function<void(Client&)>& change) {
    Client client{must(ClientId::parse("old")), "Old", std::nullopt, made.hash, {}};
    client.compatibility = {Compatibility::auth_login};
    change(client);
    return static_cast<bool>(Clients::make({client}));
  };
  EXPECT_TRUE(accepts([](Client&) {}));
  EXPECT_FALSE(accepts([](Client& client) { client.dpop_bound = true; }));
  EXPECT_FALSE(accepts([](Client& client) { client.certificate_bound = true; }));
  EXPECT_FALSE(accepts([](Client& client) {
    client.secret.reset();
    client.key = must(crypto::SoftwareKey::generate())->public_key();
  }));
}

TEST(Clients, CompatibilityHasNamesAndNoOthers) {
  for (const std::string_view name : {"no-pkce", "auth-login", "token-query"}) {
    const auto parsed = parse_compatibility(name);
    ASSERT_TRUE(parsed) << name;
    EXPECT_EQ(name_of(*parsed), name);
  }
  EXPECT_FALSE(parse_compatibility(""));
  EXPECT_FALSE(parse_compatibility("no_pkce"));
}

TEST(Clients, RefuseAnIdThatStandsTwice) {
  const auto hash = must(SecretHash::of(as_bytes("s")));
  EXPECT_FALSE(Clients::make({with_secret("a", hash), with_secret("a", hash)}));
}

TEST(Clients, SeeEverySignerUnlessTheirsAreNamed) {
  const auto alice = must(SignerId::parse("alice"));
  const auto bob = must(SignerId::parse("bob"));
  EXPECT_TRUE(test::TestClient("a").registered().may_see(bob));
  EXPECT_TRUE(test::TestClient("a").registered({"alice"}).may_see(alice));
  EXPECT_FALSE(test::TestClient("a").registered({"alice"}).may_see(bob));
}

}  // namespace
}  // namespace intaglio::oauth
