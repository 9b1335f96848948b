#include "evidence/id_token.h"

#include <gtest/gtest.h>

#include <functional>

#include "crypto/jose/jws.h"
#include "crypto/test_rsa.h"
#include "crypto/test_support.h"
#include "json/json.h"

namespace intaglio::evidence::id_token {
namespace {

namespace der = crypto::der;
using crypto::testing::issue;
using crypto::testing::RsaKey;

const Bytes binding = to_bytes("thirty-two bytes of the binding!");
const UnixTime now = from_unix_seconds(1'800'000'000);
constexpr std::int64_t now_seconds = 1'800'000'000;
const std::string loa = "http://eidas.europa.eu/LoA/high";
const Subject linked{"https://id.example.org", "199001011234"};

std::string compact(std::string_view header, std::string_view payload) {
  return encode_base64url(as_bytes(header)) + "." + encode_base64url(as_bytes(payload));
}
std::string sign_es256(const crypto::Signer& key, const std::string& text) {
  const auto signature = key.sign(crypto::SignatureSuite::ecdsa_sha256, as_bytes(text));
  return text + "." + encode_base64url(*crypto::ecdsa_to_raw(*signature, 32));
}
std::string sign_rsa(const RsaKey& key, bool pss, const std::string& text) {
  return text + "." + encode_base64url(key.sign(pss, as_bytes(text)));
}
const RsaKey& rsa() {
  static const RsaKey key;
  return key;
}

/// An identity provider that does as it is told, so that each thing can be wrong by itself.
struct Provider {
  std::shared_ptr<crypto::SoftwareKey> key = crypto::testing::rfc7515_key();
  IssuerPolicy policy{.issuer = "https://id.example.org",
                      .client_id = "intaglio",
                      .trust = std::vector<PinnedKey>{{"ec", Algorithm::es256, key->public_key()},
                                                      {"rs", Algorithm::rs256, rsa().public_key()},
                                                      {"ps", Algorithm::ps256, rsa().public_key()}},
                      .acr = {"http://eidas.europa.eu/LoA/substantial", loa},
                      .max_authentication_age = std::chrono::seconds(600),
                      .max_skew = std::chrono::seconds(30)};
  json::Value header{{"alg", "ES256"}, {"kid", "ec"}, {"typ", "JWT"}};
  json::Value claims{{"iss", "https://id.example.org"},
                     {"aud", "intaglio"},
                     {"sub", linked.identifier},
                     {"nonce", encode_base64url(binding)},
                     {"acr", loa},
                     {"iat", now_seconds - 10},
                     {"exp", now_seconds + 300},
                     {"auth_time", now_seconds - 20}};

  [[nodiscard]] std::string text() const { return compact(json::encode(header), json::encode(claims)); }
  [[nodiscard]] std::string token() const { return sign_es256(*key, text()); }
  [[nodiscard]] Result<Identity> verify(const std::string& token) const { return verify_approval(policy, linked, binding, token, now); }
  [[nodiscard]] Result<Identity> verify() const { return verify(token()); }
};

template <typename T>
void expect_refused(const Result<T>& result, const std::string& why) {
  ASSERT_FALSE(result) << why;
  EXPECT_EQ(result.error().code, ErrorCode::authentication_failed) << why;
  EXPECT_NE(result.error().detail.find(why), std::string::npos) << result.error().detail << " instead of: " << why;
}
void expect_refused_when(const std::string& why, const std::function<void(Provider&)>& change) {
  Provider provider;
  change(provider);
  expect_refused(provider.verify(), why);
}
void expect_taken_when(const std::function<void(Provider&)>& change) {
  Provider provider;
  change(provider);
  const auto taken = provider.verify();
  EXPECT_TRUE(taken) << taken.error().detail;
}

// What is taken.

TEST(IdToken, AnAnswerToTheBindingIsTaken) {
  const Provider provider;
  const auto token = provider.token();
  const auto taken = provider.verify(token);
  ASSERT_TRUE(taken) << taken.error().detail;
  EXPECT_EQ(taken->subject.issuer, linked.issuer);
  EXPECT_EQ(taken->subject.identifier, linked.identifier);
  EXPECT_EQ(taken->acr, loa);
  EXPECT_EQ(taken->auth_time, from_unix_seconds(now_seconds - 20));
  EXPECT_EQ(taken->issued_at, from_unix_seconds(now_seconds - 10));
  EXPECT_EQ(taken->digest, crypto::sha256(as_bytes(provider.text())));
  EXPECT_EQ(taken->evidence, to_bytes(token));
}

TEST(IdToken, TheEvidenceVerifiesAgainAtItsTime) {
  const Provider provider;
  const auto taken = provider.verify();
  ASSERT_TRUE(taken);
  EXPECT_TRUE(verify_approval(provider.policy, linked, binding, as_text(taken->evidence), taken->issued_at));
}

TEST(IdToken, ATokenSignedAnewHasTheSameDigest) {
  const Provider provider;
  const auto first = provider.token(), second = provider.token();
  ASSERT_NE(first, second);
  EXPECT_EQ(provider.verify(first)->digest, provider.verify(second)->digest);
}

TEST(IdToken, Rs256IsTakenWithItsKey) {
  Provider provider;
  provider.header = {{"alg", "RS256"}, {"kid", "rs"}};
  const auto taken = provider.verify(sign_rsa(rsa(), false, provider.text()));
  EXPECT_TRUE(taken) << taken.error().detail;
}

TEST(IdToken, Ps256IsTakenWithItsKey) {
  Provider provider;
  provider.header = {{"alg", "PS256"}, {"kid", "ps"}};
  const auto taken = provider.verify(sign_rsa(rsa(), true, provider.text()));
  EXPECT_TRUE(taken) << taken.error().detail;
}

TEST(IdToken, ASoleAudienceInAListIsTaken) {
  expect_taken_when([](auto& p) { p.claims["aud"] = {"intaglio"}; });
}
TEST(IdToken, OurOwnNameAsAuthorizedPartyIsTaken) {
  expect_taken_when([](auto& p) { p.claims["azp"] = "intaglio"; });
}
TEST(IdToken, AuthTimeMayBeMissingWhereThePolicyDoesNotBoundIt) {
  expect_taken_when([](auto& p) {
    p.claims.erase("auth_time");
    p.policy.max_authentication_age.reset();
  });
}
TEST(IdToken, AnIdentificationNamesWhoeverAnswered) {
  Provider provider;
  provider.claims["sub"] = "somebody new";
  const auto taken = verify_identification(provider.policy, binding, provider.token(), now);
  ASSERT_TRUE(taken) << taken.error().detail;
  EXPECT_EQ(taken->subject.identifier, "somebody new");
}

// OpenID Connect Core 1.0, A.2 with the key of A.7.

constexpr std::string_view core_key =
    R"({"kty":"RSA","kid":"1e9gdk7","alg":"RS256","n":"w7Zdfmece8iaB0kiTY8pCtiBtzbptJmP28nSWwtdjRu0f2GFpajvWE4VhfJAjEsOcwYzay7XGN0b)"
    R"(-X84BfC8hmCTOj2b2eHT7NsZegFPKRUQzJ9wW8ipn_aDJWMGDuB1XyqT1E7DYqjUCEOD1b4FLpy_xPn6oV_TYOfQ9fZdbE5HGxJUzekuGcOKqOQ8M7wfYHhHHLx)"
    R"(GpQVgL0apWuP2gDDOdTtpuld4D2LK1MZK99s9gaSjRHE8JDb1Z4IGhEcEyzkxswVdPndUWzfvWBBWXWxtSUvQGBRkuy1BHOa4sP6FKjWEeeF7gm7UMs2Nm2QUgN)"
    R"(Zw6xvEDGaLk4KASdIxRQ","e":"AQAB"})";
constexpr std::string_view core_token =
    "eyJraWQiOiIxZTlnZGs3IiwiYWxnIjoiUlMyNTYifQ.ewogImlzcyI6ICJodHRwczovL3NlcnZlci5leGFtcGxlLmNvbSIsCiAic3ViIjogIjI0ODI4OTc2MTAwMSIsCiAiYX"
    "VkIjogInM2QmhkUmtxdDMiLAogIm5vbmNlIjogIm4tMFM2X1d6QTJNaiIsCiAiZXhwIjogMTMxMTI4MTk3MCwKICJpYXQiOiAxMzExMjgwOTcwLAogIm5hbWUiOiAiSmFuZSBE"
    "b2UiLAogImdpdmVuX25hbWUiOiAiSmFuZSIsCiAiZmFtaWx5X25hbWUiOiAiRG9lIiwKICJnZW5kZXIiOiAiZmVtYWxlIiwKICJiaXJ0aGRhdGUiOiAiMDAwMC0xMC0zMSIsCi"
    "AiZW1haWwiOiAiamFuZWRvZUBleGFtcGxlLmNvbSIsCiAicGljdHVyZSI6ICJodHRwOi8vZXhhbXBsZS5jb20vamFuZWRvZS9tZS5qcGciCn0.NTibBYW_ZoNHGm4ZrWCqYA9o"
    "Jaxr1AVrJCze6FEcac4t_EOQiJFbD2nVEPkUXPuMshKjjTn7ESLIFUnfHq8UKTGibIC8uqrBgQAcUQFMeWeg-PkLvDTHk43Dn4_aNrxhmWwMNQfkjqx3wd2Fvta9j8yG2Qn790"
    "Gwb5psGcmBhqMJUUnFrGpyxQDhFIzzodmPokM7tnUxBNj-JuES_4CE-BvZICH4jKLp0TMu-WQsVst0ss-vY2RPdU1MzL59mq_eKk8Rv9XhxIr3WteA2ZlrgVyT0cwH3hlCnRUs"
    "LfHtIEb8k1Y_WaqKUu3DaKPxqRi6u0rN7RO2uZYPzC454xe-mg";

Result<Identity> verify_core_example(std::string_view token) {
  const auto key = parse_pinned_key(core_key);
  if (!key) return key.error();
  const IssuerPolicy policy{.issuer = "https://server.example.com",
                            .client_id = "s6BhdRkqt3",
                            .trust = std::vector<PinnedKey>{*key},
                            .acr = {loa},
                            .max_authentication_age = std::nullopt,
                            .max_skew = std::chrono::seconds(30)};
  return verify_identification(policy, *parse_base64url("n-0S6_WzA2Mj"), token, from_unix_seconds(1'311'281'000));
}

TEST(IdToken, TheExampleOfTheStandardVerifiesUpToTheAcrThatItLacks) {
  expect_refused(verify_core_example(core_token), "an authentication that the policy does not let in");
}
TEST(IdToken, TheExampleOfTheStandardWithAnotherLastByteIsRefused) {
  std::string changed(core_token);
  changed[changed.size() - 3] = 'A';
  expect_refused(verify_core_example(changed), "the signature does not verify");
}

// The form.

TEST(IdToken, ATokenOfMoreThan16KibIsRefused) {
  expect_refused_when("more than 16 KiB", [](auto& p) { p.claims["note"] = std::string(std::size_t{13} * 1024, 'x'); });
}
TEST(IdToken, ATokenOfTwoPartsIsRefused) {
  const Provider provider;
  expect_refused(provider.verify(provider.text()), "not three parts");
  expect_refused(provider.verify(""), "not three parts");
}
TEST(IdToken, ATokenOfFivePartsIsRefused) {
  const Provider provider;
  expect_refused(provider.verify(provider.token() + ".."), "a signature that is not base64url");
}
TEST(IdToken, PaddedBase64IsRefused) {
  const Provider provider;
  expect_refused(provider.verify(provider.token() + "="), "a signature that is not base64url");
}
TEST(IdToken, AMemberThatStandsTwiceIsRefused) {
  const Provider provider;
  auto payload = json::encode(provider.claims);
  payload.insert(1, R"("sub":"somebody else",)");
  expect_refused(provider.verify(sign_es256(*provider.key, compact(json::encode(provider.header), payload))), "a member stands twice");
  const std::string header = R"({"alg":"none","alg":"ES256","kid":"ec"})";
  expect_refused(provider.verify(sign_es256(*provider.key, compact(header, json::encode(provider.claims)))), "a member stands twice");
}
TEST(IdToken, ClaimsNestedTooDeeplyAreRefused) {
  expect_refused_when("a part that is not JSON", [](auto& p) {
    json::Value deep = 1;
    for (int level = 0; level < 8; ++level) deep = json::Value::array({deep});
    p.claims["deep"] = deep;
  });
}
TEST(IdToken, APartThatIsNoObjectIsRefused) {
  const Provider provider;
  expect_refused(provider.verify(sign_es256(*provider.key, compact(json::encode(provider.header), "[]"))), "a part that is no object");
}

// The key and the algorithm.

TEST(IdToken, AlgNoneIsRefused) {
  Provider provider;
  provider.header["alg"] = "none";
  expect_refused(provider.verify(provider.text() + "."), "another algorithm than the key's");
}
TEST(IdToken, Hs256OverThePublicKeyIsRefused) {
  expect_refused_when("another algorithm than the key's", [](auto& p) { p.header = {{"alg", "HS256"}, {"kid", "rs"}}; });
}
TEST(IdToken, AKeyIsNotUsedWithTheOtherPaddingThanItsOwn) {
  Provider provider;
  provider.header = {{"alg", "PS256"}, {"kid", "rs"}};
  expect_refused(provider.verify(sign_rsa(rsa(), true, provider.text())), "another algorithm than the key's");
  provider.header = {{"alg", "RS256"}, {"kid", "rs"}};
  expect_refused(provider.verify(sign_rsa(rsa(), true, provider.text())), "the signature does not verify");
}
TEST(IdToken, AlgIsRequiredAndReadExactly) {
  expect_refused_when("another algorithm than the key's", [](auto& p) { p.header.erase("alg"); });
  expect_refused_when("another algorithm than the key's", [](auto& p) { p.header["alg"] = "es256"; });
  expect_refused_when("another algorithm than the key's", [](auto& p) { p.header["alg"] = 7; });
}
TEST(IdToken, AKeyOfAnotherTypeThanItsAlgorithmIsRefused) {
  expect_refused_when("a key of another type", [](auto& p) {
    p.policy.trust = std::vector<PinnedKey>{{"ec", Algorithm::es256, rsa().public_key()}};
  });
}
TEST(IdToken, ATokenWithoutKidIsRefused) {
  expect_refused_when("no key is named", [](auto& p) { p.header.erase("kid"); });
  expect_refused_when("no key is named", [](auto& p) { p.header["kid"] = ""; });
  expect_refused_when("no key is named", [](auto& p) { p.header["kid"] = 1; });
}
TEST(IdToken, AKidThatIsNotPinnedIsRefused) {
  expect_refused_when("a key that is not pinned", [](auto& p) { p.header["kid"] = "EC"; });
}
TEST(IdToken, TheSignatureOfAnotherKeyIsRefused) {
  expect_refused_when("the signature does not verify", [](auto& p) { p.key = *crypto::SoftwareKey::generate(); });
}
TEST(IdToken, ASignatureInDerIsRefused) {
  const Provider provider;
  const auto signature = provider.key->sign(crypto::SignatureSuite::ecdsa_sha256, as_bytes(provider.text()));
  expect_refused(provider.verify(provider.text() + "." + encode_base64url(*signature)), "a signature of another length");
}
TEST(IdToken, AKeyInTheHeaderIsRefused) {
  expect_refused_when("it brings a key", [](auto& p) { p.header["jku"] = "https://evil.example/jwks"; });
  expect_refused_when("it brings a key", [](auto& p) { p.header["x5u"] = "https://evil.example/x5c"; });
  expect_refused_when("it brings a key", [](auto& p) { p.header["jwk"] = json::Value::object(); });
  expect_refused_when("it brings a key", [](auto& p) { p.header["jwk"] = nullptr; });
}
TEST(IdToken, CriticalExtensionsAreRefused) {
  expect_refused_when("it asks for an extension", [](auto& p) { p.header["crit"] = {"exp"}; });
  expect_refused_when("it asks for an extension", [](auto& p) { p.header["b64"] = false; });
}
TEST(IdToken, AnAccessTokenIsRefused) {
  expect_refused_when("a token of another type", [](auto& p) { p.header["typ"] = "at+jwt"; });
}
TEST(IdToken, ACertificateIsRefusedWhereAKeyIsPinned) {
  expect_refused_when("a certificate where a key is pinned", [](auto& p) { p.header["x5c"] = {"AA=="}; });
}

// For whom, by whom, to what.

TEST(IdToken, AnotherIssuerIsRefused) {
  expect_refused_when("another issuer", [](auto& p) { p.claims["iss"] = "https://id.example.org/"; });
  expect_refused_when("another issuer", [](auto& p) { p.claims["iss"] = "https://ID.example.org"; });
  expect_refused_when("another issuer", [](auto& p) { p.claims.erase("iss"); });
}
TEST(IdToken, AnotherAudienceIsRefused) {
  expect_refused_when("another audience", [](auto& p) { p.claims["aud"] = "somebody"; });
  expect_refused_when("another audience", [](auto& p) { p.claims.erase("aud"); });
}
TEST(IdToken, SeveralAudiencesAreRefused) {
  expect_refused_when("another audience, or several", [](auto& p) { p.claims["aud"] = {"intaglio", "somebody"}; });
  expect_refused_when("another audience, or several", [](auto& p) { p.claims["aud"] = {"intaglio", "intaglio"}; });
  expect_refused_when("another audience, or several", [](auto& p) { p.claims["aud"] = json::Value::array(); });
}
TEST(IdToken, AnotherAuthorizedPartyIsRefused) {
  expect_refused_when("made for another party", [](auto& p) { p.claims["azp"] = "somebody"; });
  expect_refused_when("made for another party", [](auto& p) { p.claims["azp"] = nullptr; });
}
TEST(IdToken, AnotherNonceThanTheBindingIsRefused) {
  expect_refused_when("an answer to something else", [](auto& p) { p.claims["nonce"] = encode_base64url(to_bytes("another")); });
  expect_refused_when("an answer to something else", [](auto& p) { p.claims["nonce"] = encode_base64url(binding) + "="; });
  expect_refused_when("an answer to something else", [](auto& p) { p.claims["nonce"] = as_text(binding); });
  expect_refused_when("an answer to something else", [](auto& p) { p.claims.erase("nonce"); });
}
TEST(IdToken, AnEmptyBindingIsAnsweredByNothing) {
  Provider provider;
  provider.claims["nonce"] = "";
  expect_refused(verify_approval(provider.policy, linked, {}, provider.token(), now), "an answer to something else");
}
TEST(IdToken, AnotherPersonIsRefused) {
  expect_refused_when("another person", [](auto& p) { p.claims["sub"] = "199001011235"; });
}
TEST(IdToken, ASubjectThatWasLinkedAtAnotherProviderIsRefused) {
  const Provider provider;
  const Subject elsewhere{"https://other.example.org", linked.identifier};
  expect_refused(verify_approval(provider.policy, elsewhere, binding, provider.token(), now), "a provider that is not the linked one");
}
TEST(IdToken, ATokenThatNamesNobodyIsRefused) {
  expect_refused_when("nobody is named", [](auto& p) { p.claims.erase("sub"); });
  expect_refused_when("nobody is named", [](auto& p) { p.claims["sub"] = ""; });
  expect_refused_when("nobody is named", [](auto& p) { p.claims["sub"] = std::string(256, '1'); });
}
TEST(IdToken, AnAcrThatThePolicyDoesNotListIsRefused) {
  expect_refused_when("that the policy does not let in", [](auto& p) { p.claims["acr"] = "http://eidas.europa.eu/LoA/low"; });
  expect_refused_when("that the policy does not let in", [](auto& p) { p.claims.erase("acr"); });
}
TEST(IdToken, APolicyWithoutAcrLetsNobodyIn) {
  expect_refused_when("that the policy does not let in", [](auto& p) { p.policy.acr.clear(); });
}

// The times.

TEST(IdToken, AnExpiredTokenIsRefused) {
  expect_refused_when("it has expired", [](auto& p) { p.claims["exp"] = now_seconds; });
  expect_refused_when("it has expired", [](auto& p) { p.claims.erase("exp"); });
  expect_taken_when([](auto& p) { p.claims["exp"] = now_seconds + 1; });
}
TEST(IdToken, ATokenIssuedMoreThanFiveMinutesAgoIsRefused) {
  expect_refused_when("issued too long ago", [](auto& p) { p.claims["iat"] = now_seconds - 301; });
  expect_refused_when("issued too long ago", [](auto& p) { p.claims.erase("iat"); });
  expect_taken_when([](auto& p) { p.claims["iat"] = now_seconds - 300; });
}
TEST(IdToken, ATokenIssuedInTheFutureIsRefused) {
  expect_refused_when("issued in the future", [](auto& p) { p.claims["iat"] = now_seconds + 31; });
  expect_taken_when([](auto& p) { p.claims["iat"] = now_seconds + 30; });
}
TEST(IdToken, ATokenThatIsNotYetValidIsRefused) {
  expect_refused_when("not valid yet", [](auto& p) { p.claims["nbf"] = now_seconds + 31; });
  expect_taken_when([](auto& p) { p.claims["nbf"] = now_seconds + 30; });
}
TEST(IdToken, ATimeThatIsNoneIsRefused) {
  expect_refused_when("a time that is none", [](auto& p) { p.claims["exp"] = "1800000300"; });
  expect_refused_when("a time that is none", [](auto& p) { p.claims["exp"] = 1.8e12; });
  expect_refused_when("a time that is none", [](auto& p) { p.claims["exp"] = 9'223'372'036'854'775'807; });
  expect_refused_when("a time that is none", [](auto& p) { p.claims["iat"] = -1; });
  expect_refused_when("a time that is none", [](auto& p) { p.claims["nbf"] = nullptr; });
}
TEST(IdToken, AuthTimeIsRequiredWhereThePolicyBoundsIt) {
  expect_refused_when("it does not say when the person authenticated", [](auto& p) { p.claims.erase("auth_time"); });
}
TEST(IdToken, AnAuthenticationThatIsTooOldIsRefused) {
  expect_refused_when("authenticated too long ago", [](auto& p) { p.claims["auth_time"] = now_seconds - 601; });
  expect_taken_when([](auto& p) { p.claims["auth_time"] = now_seconds - 600; });
}
TEST(IdToken, AnAuthenticationInTheFutureIsRefused) {
  expect_refused_when("authenticated in the future", [](auto& p) { p.claims["auth_time"] = now_seconds + 31; });
}

// Under a pinned authority.

struct CertifiedProvider : Provider {
  std::shared_ptr<crypto::SoftwareKey> root_key = *crypto::SoftwareKey::generate(), middle_key = *crypto::SoftwareKey::generate();
  crypto::Certificate root = issue("Root", root_key->public_key(), "Root", *root_key, true);
  crypto::Certificate middle = issue("Middle", middle_key->public_key(), "Root", *root_key, true);

  [[nodiscard]] crypto::Certificate leaf(const std::string& subject, std::uint8_t usage = 0x80, int unused = 7) const {
    return issue(subject, key->public_key(), "Middle", *middle_key, false,
                 der::bit_string(Bytes{usage}, static_cast<std::uint8_t>(unused)));
  }
  void present(const crypto::Certificate& certificate) { header["x5c"] = {encode_base64(certificate.der()), encode_base64(middle.der())}; }
  CertifiedProvider() {
    const auto certificate = leaf("ID tokens");
    policy.trust = PinnedAuthority{{root}, certificate.subject(), Algorithm::es256};
    present(certificate);
  }
};

TEST(IdToken, AKeyThatThePinnedAuthorityCertifiedIsTaken) {
  const CertifiedProvider provider;
  const auto taken = provider.verify();
  EXPECT_TRUE(taken) << taken.error().detail;
}
TEST(IdToken, ACertificateOfAnotherAuthorityIsRefused) {
  CertifiedProvider provider;
  std::get<PinnedAuthority>(provider.policy.trust).anchors = {CertifiedProvider().root};
  expect_refused(provider.verify(), "does not lead to the pinned authority");
  std::get<PinnedAuthority>(provider.policy.trust).anchors.clear();
  expect_refused(provider.verify(), "does not lead to the pinned authority");
}
TEST(IdToken, ACertificateThatTheAuthorityGaveToSomebodyElseIsRefused) {
  CertifiedProvider provider;
  provider.present(provider.leaf("Somebody"));
  expect_refused(provider.verify(), "a certificate of somebody else");
}
TEST(IdToken, ACertificateForAnotherPurposeIsRefused) {
  CertifiedProvider provider;
  provider.present(provider.leaf("ID tokens", 0x40, 6));
  expect_refused(provider.verify(), "a certificate for another purpose");
  provider.present(issue("ID tokens", provider.key->public_key(), "Middle", *provider.middle_key, true));
  expect_refused(provider.verify(), "a certificate for another purpose");
}
TEST(IdToken, ACertificateOutsideItsValidityIsRefused) {
  const CertifiedProvider provider;
  for (const auto at : {1'767'225'599, 1'830'297'601}) {
    expect_refused(verify_approval(provider.policy, linked, binding, provider.token(), from_unix_seconds(at)), "outside its validity");
  }
}
TEST(IdToken, ACertifiedKeyOfAnotherTypeIsRefused) {
  CertifiedProvider provider;
  std::get<PinnedAuthority>(provider.policy.trust).algorithm = Algorithm::rs256;
  expect_refused(provider.verify(), "another algorithm than the key's");
  provider.header["alg"] = "RS256";
  expect_refused(provider.verify(), "a key of another type");
}
TEST(IdToken, ATokenWithoutItsCertificatesIsRefused) {
  for (const auto& list : {json::Value(), json::Value::array(), json::Value("AA=="), json::Value::array({1, 2, 3, 4, 5})}) {
    CertifiedProvider provider;
    provider.header["x5c"] = list;
    expect_refused(provider.verify(), "no certificates, or too many");
  }
  CertifiedProvider provider;
  provider.header["x5c"] = json::Value::array({"AA=="});
  expect_refused(provider.verify(), "a certificate that does not parse");
  provider.header["x5c"] = json::Value::array({1});
  expect_refused(provider.verify(), "a certificate that does not parse");
}

// Keys of the policy.

void expect_key_refused(const std::string& jwk, const std::string& why) {
  const auto key = parse_pinned_key(jwk);
  ASSERT_FALSE(key) << jwk;
  EXPECT_EQ(key.error().code, ErrorCode::invalid_request);
  EXPECT_NE(key.error().detail.find(why), std::string::npos) << key.error().detail << " instead of: " << why;
}

TEST(IdToken, AJwkIsPinnedWithItsAlgorithm) {
  json::Value jwk = *json::parse(*crypto::encode_jwk(crypto::testing::rfc7515_key()->public_key()));
  jwk["kid"] = "ec";
  jwk["alg"] = "ES256";
  jwk["use"] = "sig";
  const auto key = parse_pinned_key(json::encode(jwk));
  ASSERT_TRUE(key) << key.error().detail;
  EXPECT_EQ(key->kid, "ec");
  EXPECT_EQ(key->algorithm, Algorithm::es256);
  EXPECT_EQ(key->key.spki(), crypto::testing::rfc7515_key()->public_key().spki());
}
TEST(IdToken, AJwkThatHoldsASecretIsRefused) {
  expect_key_refused(R"({"kty":"oct","kid":"1","alg":"HS256","k":"AAAA"})", "an algorithm that is not served");
  json::Value jwk = *json::parse(core_key);
  jwk["d"] = "AAAA";
  expect_key_refused(json::encode(jwk), "it holds a secret");
}
TEST(IdToken, AJwkForEncryptionIsRefused) {
  json::Value jwk = *json::parse(core_key);
  jwk["use"] = "enc";
  expect_key_refused(json::encode(jwk), "not for signatures");
}
TEST(IdToken, AJwkWithoutKidOrWithAnotherTypeThanItsAlgorithmIsRefused) {
  json::Value jwk = *json::parse(core_key);
  jwk["alg"] = "ES256";
  expect_key_refused(json::encode(jwk), "a key type that does not go with its algorithm");
  jwk.erase("kid");
  expect_key_refused(json::encode(jwk), "no kid");
}

}  // namespace
}  // namespace intaglio::evidence::id_token
