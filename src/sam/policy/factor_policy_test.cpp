#include <gtest/gtest.h>

#include "crypto/signer.h"
#include "crypto/test_support.h"
#include "evidence/test_identity.h"
#include "evidence/test_support.h"
#include "sam/policy/factor_set.h"
#include "sam/policy/identity_providers.h"
#include "sam/policy/passkey_rules.h"

namespace intaglio::sam {
namespace {

using json::Value;

TEST(FactorSet, ThePinWithAFactorOfAnotherCategoryOrThePasskeyAloneIsACombination) {
  for (const auto& names :
       std::vector<std::vector<std::string>>{{"pin", "totp"}, {"pin", "passkey"}, {"passkey"}, {"passkey", "pin"}, {"pin", "id-token"}})
    EXPECT_TRUE(FactorSet::parse_combination(names));
  EXPECT_EQ(FactorSet::parse_combination({"totp", "pin"})->text(), "pin totp");
  EXPECT_EQ(FactorSet::parse_combination({"id-token", "pin"})->text(), "pin id-token");
  EXPECT_EQ(FactorSet::parse_combination({"passkey", "pin"})->names(), (std::vector<std::string>{"pin", "passkey"}));
}

TEST(FactorSet, TwoOfOneCategoryAreNotTwoFactors) {
  for (const auto& names : std::vector<std::vector<std::string>>{{"totp", "passkey"},
                                                                 {"pin"},
                                                                 {"totp"},
                                                                 {},
                                                                 {"pin", "pin"},
                                                                 {"passkey", "passkey"},
                                                                 {"pin", "totp", "passkey"},
                                                                 {"pin", "eye"},
                                                                 {"id-token"},
                                                                 {"id-token", "totp"},
                                                                 {"id-token", "passkey"},
                                                                 {"pin", "totp", "id-token"},
                                                                 {"device"},
                                                                 {"device", "totp"},
                                                                 {"device", "passkey"},
                                                                 {"device", "id-token"},
                                                                 {"device", "device"},
                                                                 {"pin", "device", "totp"}})
    EXPECT_FALSE(FactorSet::parse_combination(names)) << names.size();
}

TEST(FactorSet, MoreThanACombinationCoversItAndLessDoesNot) {
  const std::vector<FactorSet> combinations{*FactorSet::parse_combination({"pin", "totp"}),
                                            *FactorSet::parse_combination({"pin", "passkey"})};
  FactorSet shown;
  EXPECT_FALSE(covers_any(shown, combinations));
  shown.add(Factor::totp);
  shown.add(Factor::passkey);
  EXPECT_FALSE(covers_any(shown, combinations));
  shown.add(Factor::pin);
  EXPECT_TRUE(covers_any(shown, combinations));
}

class PasskeyRules : public ::testing::Test {
 protected:
  Value document = {{"rp_id", "sign.example.org"}, {"origins", Value::array({"https://sign.example.org"})}, {"backup_eligible", false}};
  const std::string root = encode_base64(evidence::test::self_signed(**crypto::SoftwareKey::generate(), from_unix_seconds(1'790'000'000)));
};

TEST_F(PasskeyRules, NameTheHostItsOriginsAndTheModelsThatAreLetIn) {
  document["origins"] = Value::array({"https://sign.example.org", "https://sign.example.org:8443", "https://deep.sign.example.org"});
  document["models"] = Value::array({"d548826e-79b4-db40-a3d8-11116f7e8349"});
  document["roots"] = Value::array({root});
  const auto rules = parse_passkey_rules(document);
  ASSERT_TRUE(rules) << rules.error().detail;
  EXPECT_EQ(rules->origins.size(), 3U);
  EXPECT_EQ(rules->models.at(0).at(0), 0xd5);
  EXPECT_EQ(rules->models.at(0).at(15), 0x49);
  EXPECT_EQ(rules->roots.size(), 1U);
  EXPECT_FALSE(rules->allow_backup_eligible);
}

TEST_F(PasskeyRules, RefuseAnOriginThatIsNotHttpsOrNotOfTheHost) {
  for (const auto* origin : {"http://sign.example.org", "https://evil.example.org", "https://notsign.example.org", "https://example.org",
                             "https://sign.example.org.evil.net", "https://sign.example.org/", "https://sign.example.org:",
                             "https://sign.example.org:443", "https://sign.example.org:08443", "https://sign.example.org:999999",
                             "https://SIGN.example.org", "https://.sign.example.org", "https://user@sign.example.org", ""}) {
    document["origins"] = Value::array({origin});
    EXPECT_FALSE(parse_passkey_rules(document)) << origin;
  }
}

TEST_F(PasskeyRules, RefuseWhatIsNotKnownAndWhatIsNoHost) {
  EXPECT_TRUE(parse_passkey_rules(document));
  for (const auto* host : {"", "127.0.0.1", "Sign.example.org", "sign..org", ".org", "org.", "https://sign.example.org", "[::1]"}) {
    auto changed = document;
    changed["rp_id"] = host;
    changed["origins"] = Value::array({"https://" + std::string(host)});
    EXPECT_FALSE(parse_passkey_rules(changed)) << host;
  }
  const std::vector<std::pair<const char*, Value>> wrong = {{"backup_eligible", "no"},
                                                            {"backup_eligable", true},
                                                            {"origins", Value::array()},
                                                            {"origins", "https://sign.example.org"},
                                                            {"models", Value::array({"d548826e-79b4-db40-a3d8-11116f7e8349"})},
                                                            {"roots", Value::array({root})}};
  for (const auto& [member, value] : wrong) {
    auto changed = document;
    changed[member] = value;
    EXPECT_FALSE(parse_passkey_rules(changed)) << member;
  }
  for (const auto* model :
       {"d548826e79b4db40a3d811116f7e8349", "d548826e-79b4-db40-a3d8-11116f7e834", "d548826e-79b4-db40-a3d8-11116f7e834g", ""}) {
    auto changed = document;
    changed["models"] = Value::array({model});
    changed["roots"] = Value::array({root});
    EXPECT_FALSE(parse_passkey_rules(changed)) << model;
  }
}

class IdentityProviders : public ::testing::Test {
 protected:
  static Value authority() {
    const auto key = *crypto::SoftwareKey::generate();
    const auto root = crypto::testing::issue("Root", key->public_key(), "Root", *key, true);
    return {{"anchors", Value::array({encode_base64(root.der())})}, {"subject", "CN=ID tokens,C=DE"}, {"alg", "PS256"}};
  }
  Value document = evidence::test::SoftProvider().document();
};

TEST_F(IdentityProviders, PinKeysOrAnAuthorityAndSayWhatIsLetIn) {
  auto other = document;
  other["issuer"] = "https://other.example.org/realm";
  other.erase("keys");
  other["authority"] = authority();
  const auto providers = parse_identity_providers(Value::array({document, other}));
  ASSERT_TRUE(providers) << providers.error().detail;
  EXPECT_EQ(providers->at(0).issuer, "https://id.example.org");
  EXPECT_EQ(providers->at(0).client_id, "intaglio");
  EXPECT_EQ(providers->at(0).acr, std::vector<std::string>{"http://eidas.europa.eu/LoA/high"});
  EXPECT_EQ(providers->at(0).max_authentication_age, std::chrono::seconds(300));
  EXPECT_EQ(std::get<0>(providers->at(0).trust).at(0).kid, "signing-1");
  EXPECT_EQ(std::get<1>(providers->at(1).trust).algorithm, evidence::id_token::Algorithm::ps256);
  EXPECT_EQ(std::get<1>(providers->at(1).trust).anchors.size(), 1U);
}

TEST_F(IdentityProviders, RefuseAnIssuerThatIsNoHttpsUrl) {
  for (const auto* issuer : {"http://id.example.org", "https://", "https:///path", "id.example.org", "https://id.example.org?x=1",
                             "https://id.example.org#x", "https://somebody@id.example.org", "https://id.example.org ", ""}) {
    document["issuer"] = issuer;
    EXPECT_FALSE(parse_identity_providers(Value::array({document}))) << issuer;
  }
}

TEST_F(IdentityProviders, RefuseWhatIsMissingDoubledUnboundedOrNotKnown) {
  EXPECT_TRUE(parse_identity_providers(Value::array({document})));
  EXPECT_FALSE(parse_identity_providers(Value::array()));
  EXPECT_FALSE(parse_identity_providers(document));
  EXPECT_FALSE(parse_identity_providers(Value::array({document, document}))) << "one issuer, two policies";
  for (const auto* member : {"issuer", "client_id", "keys", "acr", "max_auth_seconds", "max_skew_seconds"}) {
    auto changed = document;
    changed.erase(member);
    EXPECT_FALSE(parse_identity_providers(Value::array({changed}))) << member;
  }
  auto hs256 = document["keys"][0];
  hs256["alg"] = "HS256";
  auto twice = Value::array({document["keys"][0], document["keys"][0]});
  auto no_alg = authority();
  no_alg["alg"] = "none";
  auto no_anchor = authority();
  no_anchor["anchors"] = Value::array({"AA=="});
  const std::vector<std::pair<const char*, Value>> wrong = {
      {"acr", Value::array()},  {"acr", Value::array({""})},     {"acr", "http://eidas.europa.eu/LoA/high"},
      {"client_id", ""},        {"max_auth_seconds", 9},         {"max_auth_seconds", 3601},
      {"max_skew_seconds", 61}, {"keys", Value::array({hs256})}, {"keys", twice},
      {"keys", Value::array()}, {"authority", authority()},      {"jwks_uri", "https://id.example.org/jwks"}};
  for (const auto& [member, value] : wrong) {
    auto changed = document;
    changed[member] = value;
    EXPECT_FALSE(parse_identity_providers(Value::array({changed}))) << member << " " << json::encode(value);
  }
  for (const auto& value : {no_alg, no_anchor, Value("CN=Root")}) {
    auto changed = document;
    changed.erase("keys");
    changed["authority"] = value;
    EXPECT_FALSE(parse_identity_providers(Value::array({changed}))) << json::encode(value);
  }
}

}  // namespace
}  // namespace intaglio::sam
