#include <gtest/gtest.h>

#include "oauth/authorization_endpoint.h"
#include "oauth/migrations.h"
#include "oauth/test_support.h"
#include "oauth/token_endpoint.h"

namespace intaglio::oauth {
namespace {

using test::must;

constexpr const char* issuer = "https://sign.example";
constexpr const char* base = "https://sign.example/csc/v2/oauth2/";
constexpr const char* page = "https://sign.example/approve";
constexpr const char* back = "https://client.example/back?from=intaglio";
constexpr const char* assertion_type = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
constexpr const char* sha256_oid = "2.16.840.1.101.3.4.2.1";
/// RFC 7636, appendix B.
constexpr const char* verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
constexpr const char* challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

using Values = std::map<std::string, std::string>;

std::string form_of(const Values& values) {
  std::string body;
  for (const auto& [name, value] : values) body += (body.empty() ? "" : "&") + name + "=" + encode_form_value(value);
  return body;
}

std::string location_of(const http::Response& answer) {
  for (const auto& [name, value] : answer.headers) {
    if (name == "Location") return value;
  }
  return "";
}

/// The parameters of an address, decoded.
Form query_of(const std::string& address) { return must(Form::parse(address.substr(address.find('?') + 1))); }
std::string value_in(const std::string& address, std::string_view name) {
  const auto query = query_of(address);
  const auto* value = query.find(name);
  return value == nullptr ? "" : *value;
}

class AuthorizationTest : public testing::Test {
 protected:
  AuthorizationTest() {
    database_.migrate(migrations());
    clients_ = std::make_shared<const Clients>(
        must(Clients::make({wallet_.registered({}, {back}), other_.registered({}, {"https://other.example/a", "https://other.example/b"}),
                            machine_.registered(), old_client()})));
    authentication_ = std::make_shared<ClientAuthentication>(
        ClientAuthenticationConfig{{issuer, std::string(base) + "token", std::string(base) + "pushed_authorize"}}, clients_,
        database_.get(), clock_);
    grants_ = std::make_shared<Grants>(database_.get(), clock_);
    tokens_ =
        must(AccessTokens::make({issuer, std::chrono::seconds{3600}}, must(crypto::SoftwareKey::generate()), clients_, grants_, clock_));
    pending_ = std::make_shared<PendingRequests>(database_.get(), clock_);
    endpoint_ = std::make_unique<AuthorizationEndpoint>(AuthorizationConfig{issuer, page}, clients_, authentication_, pending_, grants_,
                                                        database_.get());
    token_endpoint_ = std::make_unique<TokenEndpoint>(issuer, authentication_, tokens_, grants_, clock_);
  }

  [[nodiscard]] Client old_client() const {
    auto client = old_.registered({}, {"https://old.example/back"});
    client.compatibility = {Compatibility::no_pkce};
    return client;
  }
  /// As a client of CSC API v1 asks.
  [[nodiscard]] static Values asked_of_old() {
    auto values = with(without(without(asked(), "code_challenge"), "code_challenge_method"), "client_id", "old");
    values["redirect_uri"] = "https://old.example/back";
    return values;
  }
  [[nodiscard]] static std::string digest(std::string_view text) { return encode_base64(crypto::sha256(as_bytes(text))); }
  [[nodiscard]] static json::Value details() {
    auto one = json::Value::object();
    one["type"] = "https://cloudsignatureconsortium.org/2025/credential";
    one["credentialID"] = "key-1";
    one["numSignatures"] = 2;
    one["hashAlgorithmOID"] = sha256_oid;
    one["locations"] = json::Value::array({"https://sign.example/csc/v2"});
    one["documentDigests"] =
        json::Value::array({{{"hash", digest("a")}, {"label", "a.pdf"}, {"hashType", "DTBSR"}}, {{"hash", digest("b")}}});
    return json::Value::array({one});
  }
  [[nodiscard]] static Values asked() {
    return {{"response_type", "code"},
            {"client_id", "wallet"},
            {"redirect_uri", back},
            {"state", "s t&1"},
            {"code_challenge", challenge},
            {"code_challenge_method", "S256"},
            {"authorization_details", json::encode(details())}};
  }
  [[nodiscard]] static Values by_scope() {
    auto values = asked();
    values.erase("authorization_details");
    values["scope"] = "credential";
    values["credentialID"] = "key-1";
    values["numSignatures"] = "2";
    values["hashAlgorithmOID"] = sha256_oid;
    values["hashes"] = encode_base64url(crypto::sha256(as_bytes("a"))) + "," + encode_base64url(crypto::sha256(as_bytes("b")));
    return values;
  }
  [[nodiscard]] static Values with(Values values, const std::string& name, const std::string& value) {
    values[name] = value;
    return values;
  }
  [[nodiscard]] static Values without(Values values, const std::string& name) {
    values.erase(name);
    return values;
  }

  [[nodiscard]] http::Response authorize(const std::string& query) {
    http::Request request;
    request.method = "GET";
    request.query = query;
    return endpoint_->authorize(
        request, [this](const Client& client, const CredentialRequest& wanted, Origin origin) -> Result<OpenedApproval> {
          opened_.emplace_back(client.id.text(), wanted);
          origin_ = origin;
          if (failure_) return *failure_;
          return OpenedApproval{"ticket", "statement", to_bytes("T"), to_bytes("nonce"), clock_->now() + std::chrono::minutes{5}};
        });
  }
  [[nodiscard]] http::Response authorize(const Values& values) { return authorize(form_of(values)); }
  [[nodiscard]] http::Response post(const Values& values, const test::TestClient& client, bool push) {
    auto all = values;
    all["client_assertion_type"] = assertion_type;
    all["client_assertion"] = client.sign(client.claims(issuer, clock_->now(), "j" + std::to_string(++assertions_)));
    http::Request request;
    request.method = "POST";
    request.headers["content-type"] = "application/x-www-form-urlencoded";
    request.body = form_of(all);
    return push ? endpoint_->push(request) : token_endpoint_->answer(request);
  }
  [[nodiscard]] http::Response push(const Values& values) { return post(values, wallet_, true); }
  [[nodiscard]] std::string pushed() {
    const auto answer = push(asked());
    EXPECT_EQ(answer.status, 201U) << answer.body;
    return must(json::parse(answer.body)).at("request_uri").get<std::string>();
  }
  [[nodiscard]] static Values by_reference(const std::string& reference, const std::string& client = "wallet") {
    return {{"client_id", client}, {"request_uri", reference}};
  }
  /// Through the page, as the SAM would have authorised it; gives the address that the browser goes to.
  [[nodiscard]] std::string approve(const http::Response& begun, std::chrono::seconds sad_life = std::chrono::seconds{60}) {
    const auto address = location_of(begun);
    const auto exchanged = must(endpoint_->exchange(address.substr(address.find('#') + 1)));
    return must(endpoint_->approved(exchanged.bearer, exchanged.pending, "alice", Secret(as_bytes("the SAD")), clock_->now() + sad_life));
  }
  [[nodiscard]] std::string code(const Values& values = asked()) { return value_in(approve(authorize(values)), "code"); }
  [[nodiscard]] Values redemption(const std::string& code) const {
    return {
        {"grant_type", "authorization_code"}, {"client_id", "wallet"}, {"code", code}, {"redirect_uri", back}, {"code_verifier", verifier}};
  }
  [[nodiscard]] http::Response redeem(const Values& values) { return post(values, wallet_, false); }
  [[nodiscard]] http::Response redeem(const std::string& code) { return redeem(redemption(code)); }

  [[nodiscard]] json::Value granted_with_service() {
    const auto answer = redeem(code(with(asked(), "scope", "service")));
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return must(json::parse(answer.body));
  }
  [[nodiscard]] http::Response refresh(const json::Value& given, Values more = {}) {
    more["grant_type"] = "refresh_token";
    more["client_id"] = "wallet";
    more["refresh_token"] = given.at("refresh_token").get<std::string>();
    return redeem(more);
  }
  [[nodiscard]] http::Response revoke(const std::string& token, const std::string& hint, const std::string& id,
                                      const test::TestClient& client) {
    http::Request request;
    request.method = "POST";
    request.headers["content-type"] = "application/x-www-form-urlencoded";
    request.body = form_of({{"client_id", id},
                            {"token", token},
                            {"token_type_hint", hint},
                            {"client_assertion_type", assertion_type},
                            {"client_assertion", client.sign(client.claims(issuer, clock_->now(), "r" + std::to_string(++assertions_)))}});
    return token_endpoint_->revoke(request);
  }
  [[nodiscard]] http::Response revoke(const std::string& token, const std::string& hint = "") {
    return revoke(token, hint, "wallet", wallet_);
  }

  static void expect_refusal(const http::Response& answer, std::string_view error, std::string_view description) {
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(answer.status, 400U) << answer.body;
    EXPECT_EQ(body.at("error"), error) << answer.body;
    EXPECT_EQ(body.at("error_description"), description);
    EXPECT_EQ(location_of(answer), "");
  }
  void expect_redirected(const Values& values, std::string_view error) {
    const auto before = opened_.size();
    const auto answer = authorize(values);
    const auto address = location_of(answer);
    EXPECT_EQ(answer.status, 302U) << answer.body;
    EXPECT_TRUE(address.starts_with(std::string(back) + "&")) << address;
    EXPECT_EQ(value_in(address, "error"), error) << address;
    EXPECT_EQ(value_in(address, "iss"), issuer);
    EXPECT_EQ(value_in(address, "code"), "");
    EXPECT_EQ(opened_.size(), before);
  }
  [[nodiscard]] Result<http::Principal> caller_of(const std::string& token) {
    http::Request request;
    request.headers["authorization"] = "Bearer " + token;
    return tokens_->check(request);
  }

  test::TemporaryDatabase database_;
  test::TestClient wallet_{"wallet"}, other_{"other"}, machine_{"machine"}, old_{"old"};
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(test::test_start);
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<const ClientAuthentication> authentication_;
  std::shared_ptr<Grants> grants_;
  std::shared_ptr<AccessTokens> tokens_;
  std::shared_ptr<PendingRequests> pending_;
  std::unique_ptr<AuthorizationEndpoint> endpoint_;
  std::unique_ptr<TokenEndpoint> token_endpoint_;
  std::vector<std::pair<std::string, CredentialRequest>> opened_;
  std::optional<Error> failure_;
  std::optional<Origin> origin_;  ///< of the last that was opened
  unsigned assertions_ = 0;
};

TEST_F(AuthorizationTest, SendsTheSignerToThePageAndTheCodeToTheClient) {
  const auto begun = authorize(asked());
  EXPECT_EQ(begun.status, 302U) << begun.body;
  EXPECT_TRUE(location_of(begun).starts_with(std::string(page) + "#"));
  ASSERT_EQ(opened_.size(), 1U);
  EXPECT_EQ(opened_[0].first, "wallet");
  const auto& wanted = opened_[0].second;
  EXPECT_EQ(wanted.credential.text(), "key-1");
  ASSERT_EQ(wanted.documents.size(), 2U);
  EXPECT_EQ(wanted.documents[0].label, "a.pdf");
  EXPECT_EQ(wanted.documents[1].label, "Document 2");
  EXPECT_EQ(wanted.documents[1].digest, to_bytes(ByteView(crypto::sha256(as_bytes("b")))));

  const auto address = approve(begun);
  EXPECT_TRUE(address.starts_with(std::string(back) + "&code=")) << address;
  EXPECT_EQ(value_in(address, "state"), "s t&1");
  EXPECT_EQ(value_in(address, "iss"), issuer);
  const auto answer = redeem(value_in(address, "code"));
  ASSERT_EQ(answer.status, 200U) << answer.body;
  const auto body = must(json::parse(answer.body));
  EXPECT_EQ(body.at("token_type"), "Bearer");
  EXPECT_EQ(body.at("expires_in"), 60);
  EXPECT_EQ(body.at("scope"), "credential");
  EXPECT_EQ(body.at("authorization_details"), details());
  EXPECT_FALSE(body.contains("refresh_token"));

  const auto token = body.at("access_token").get<std::string>();
  const auto caller = must(caller_of(token));
  EXPECT_EQ(caller.id, "wallet");
  EXPECT_EQ(caller.subject, "alice");
  EXPECT_EQ(caller.credential, "key-1");
  EXPECT_EQ(caller.scopes, std::vector<std::string>{"credential"});
  const auto sad = must(grants_->parked(caller.grant, token));
  EXPECT_EQ(as_text(sad.reveal()), "the SAD");
  EXPECT_EQ(grants_->parked(caller.grant, token + "x").error().code, ErrorCode::sad_invalid);
}

TEST_F(AuthorizationTest, TakesTheSameAsParametersOfScopeCredential) {
  const auto answer = redeem(code(by_scope()));
  ASSERT_EQ(answer.status, 200U) << answer.body;
  EXPECT_FALSE(must(json::parse(answer.body)).contains("authorization_details"));
  ASSERT_EQ(opened_.size(), 1U);
  EXPECT_EQ(opened_[0].second.documents.size(), 2U);
  EXPECT_EQ(opened_[0].second.documents[0].label, "Document 1");
}

TEST_F(AuthorizationTest, TakesBothSpellingsOfTheTypeAndScopeCredentialBesideThem) {
  auto spelled = details();
  spelled[0]["type"] = "credential";
  const auto values = with(with(asked(), "authorization_details", json::encode(spelled)), "scope", "credential");
  const auto answer = redeem(code(values));
  ASSERT_EQ(answer.status, 200U) << answer.body;
  EXPECT_EQ(must(json::parse(answer.body)).at("authorization_details"), spelled);
}

TEST_F(AuthorizationTest, NeverRedirectsToWhatTheClientDidNotRegister) {
  for (const auto* uri :
       {"https://client.example/back", "https://client.example/back?from=intaglio&x=1", "https://CLIENT.example/back?from=intaglio",
        "https://client.example/back?from=intaglio/", "https://evil.example/", "javascript:alert(1)"}) {
    SCOPED_TRACE(uri);
    expect_refusal(authorize(with(asked(), "redirect_uri", uri)), "invalid_request", "Invalid parameter redirect_uri");
    expect_refusal(push(with(asked(), "redirect_uri", uri)), "invalid_request", "Invalid parameter redirect_uri");
  }
  expect_refusal(authorize(without(asked(), "client_id")), "invalid_request", "Missing parameter client_id");
  expect_refusal(authorize(with(asked(), "client_id", "nobody")), "invalid_request", "Invalid parameter client_id");
  expect_refusal(authorize(with(asked(), "client_id", "machine")), "unauthorized_client",
                 "The client is not registered for authorization codes");
  expect_refusal(authorize(without(with(asked(), "client_id", "other"), "redirect_uri")), "invalid_request",
                 "Missing parameter redirect_uri");
  expect_refusal(authorize(with(asked(), "state", std::string(513, 's'))), "invalid_request", "Invalid parameter state");
  expect_refusal(authorize(form_of(asked()) + "&redirect_uri=https%3A%2F%2Fevil.example"), "invalid_request",
                 "A parameter is malformed or came twice");
  EXPECT_TRUE(opened_.empty());
}

TEST_F(AuthorizationTest, TellsTheClientWhatItAskedWrongly) {
  expect_redirected(without(asked(), "response_type"), "invalid_request");
  expect_redirected(with(asked(), "response_type", "token"), "unsupported_response_type");
  expect_redirected(with(asked(), "response_mode", "fragment"), "invalid_request");
  expect_redirected(with(asked(), "request", "eyJ"), "invalid_request");
  expect_redirected(with(asked(), "scope", "credential admin"), "invalid_scope");
  expect_redirected(with(without(asked(), "authorization_details"), "scope", "service"), "invalid_scope");
  expect_redirected(with(asked(), "description", std::string(501, 'd')), "invalid_request");
  failure_ = Error{ErrorCode::credential_unknown, "no such key"};
  EXPECT_EQ(value_in(location_of(authorize(asked())), "error"), "access_denied");
  failure_ = Error{ErrorCode::storage_unavailable, "full"};
  EXPECT_EQ(value_in(location_of(authorize(asked())), "error"), "temporarily_unavailable");
}

TEST_F(AuthorizationTest, TakesNoRequestWithoutAChallengeOfMethodS256) {
  expect_redirected(without(asked(), "code_challenge"), "invalid_request");
  expect_redirected(with(asked(), "code_challenge_method", "plain"), "invalid_request");
  expect_redirected(without(asked(), "code_challenge_method"), "invalid_request");
  expect_redirected(with(asked(), "code_challenge", "short"), "invalid_request");
  expect_redirected(with(asked(), "code_challenge", std::string(challenge) + "A"), "invalid_request");
}

TEST_F(AuthorizationTest, TellsWhoPushedARequestFromWhoOnlyNamesAClient) {
  EXPECT_EQ(authorize(asked()).status, 302U);
  EXPECT_EQ(origin_, Origin::anybody);
  EXPECT_EQ(authorize(by_reference(pushed())).status, 302U);
  EXPECT_EQ(origin_, Origin::client);
}

TEST_F(AuthorizationTest, AClientThatIsRegisteredForItNeedsNoChallengeAndNoOtherDoes) {
  const auto code_of = [](const std::string& address) { return value_in(address, "code"); };
  const auto redeem_old = [&](const std::string& code, Values more = {}) {
    more.merge(
        Values{{"grant_type", "authorization_code"}, {"client_id", "old"}, {"code", code}, {"redirect_uri", "https://old.example/back"}});
    return post(more, old_, false);
  };
  const auto given = redeem_old(code_of(approve(authorize(asked_of_old()))));
  EXPECT_EQ(given.status, 200U) << given.body;
  // A verifier without a challenge: the challenge was taken out on the way.
  const auto downgraded = redeem_old(code_of(approve(authorize(asked_of_old()))), {{"code_verifier", verifier}});
  EXPECT_EQ(downgraded.status, 400U) << downgraded.body;
  EXPECT_EQ(must(json::parse(downgraded.body)).at("error"), "invalid_grant");
  // It is held to a challenge that it sends.
  auto with_challenge = with(with(asked_of_old(), "code_challenge", challenge), "code_challenge_method", "S256");
  const auto unproved = redeem_old(code_of(approve(authorize(with_challenge))));
  EXPECT_EQ(unproved.status, 400U) << unproved.body;
  EXPECT_EQ(redeem_old(code_of(approve(authorize(with_challenge))), {{"code_verifier", verifier}}).status, 200U);
  for (const auto& [name, value] :
       {std::pair("code_challenge_method", "S256"), std::pair("code_challenge_method", "plain"), std::pair("code_challenge", challenge)}) {
    EXPECT_EQ(value_in(location_of(authorize(with(asked_of_old(), name, value))), "error"), "invalid_request") << name;
  }
  EXPECT_EQ(value_in(location_of(authorize(without(without(asked(), "code_challenge"), "code_challenge_method"))), "error"),
            "invalid_request");
}

TEST_F(AuthorizationTest, TellsADigestOfADocumentFromOneOfWhatIsSigned) {
  auto asked = details();
  asked[0]["documentDigests"].push_back({{"hash", digest("c")}, {"hashType", "SDR"}});
  asked[0]["numSignatures"] = 3;
  const auto parsed = must(parse_authorization_details(json::encode(asked), issuer));
  ASSERT_EQ(parsed.request.documents.size(), 3U);
  EXPECT_EQ(parsed.request.documents[0].kind, DigestKind::dtbsr);
  EXPECT_EQ(parsed.request.documents[1].kind, DigestKind::dtbsr) << "where nothing is said";
  EXPECT_EQ(parsed.request.documents[2].kind, DigestKind::sdr);
  EXPECT_EQ(parsed.stated, asked);
}

TEST_F(AuthorizationTest, RefusesAuthorizationDetailsThatItDoesNotUnderstandWhole) {
  const std::vector<std::function<void(json::Value&)>> changes{
      [](json::Value& one) { one["type"] = "https://cloudsignatureconsortium.org/2025/credential-deletion"; },
      [](json::Value& one) { one.erase("type"); },
      [](json::Value& one) { one["signed_props"] = json::Value::array(); },
      [](json::Value& one) { one["documentDigests"][0]["circumstantialData"] = "AA=="; },
      [](json::Value& one) { one["documentDigests"][0]["hashType"] = "sodr"; },
      [](json::Value& one) { one["documentDigests"][0]["hashType"] = 5; },
      [](json::Value& one) { one["documentDigests"][0]["label"] = "a\nb"; },
      [](json::Value& one) { one["documentDigests"][0]["label"] = std::string(257, 'l'); },
      [](json::Value& one) { one["documentDigests"][0]["hash"] = "AAAA"; },
      [](json::Value& one) { one["documentDigests"][0].erase("hash"); },
      [](json::Value& one) { one["documentDigests"] = json::Value::array(); },
      [](json::Value& one) { one["documentDigests"] = json::Value::array({"x"}); },
      [](json::Value& one) { one["numSignatures"] = 1; },
      [](json::Value& one) { one["numSignatures"] = "2"; },
      [](json::Value& one) { one["hashAlgorithmOID"] = "1.3.14.3.2.26"; },
      [](json::Value& one) { one["credentialID"] = "../etc"; },
      [](json::Value& one) { one["locations"] = json::Value::array({"https://sign.example.evil"}); },
      [](json::Value& one) { one["locations"] = json::Value::array(); },
      [](json::Value& one) { one["locations"] = "https://sign.example"; },
  };
  for (std::size_t i = 0; i < changes.size(); ++i) {
    SCOPED_TRACE(i);
    auto changed = details();
    changes[i](changed[0]);
    expect_redirected(with(asked(), "authorization_details", json::encode(changed)), "invalid_authorization_details");
  }
  auto two = details();
  two.push_back(two[0]);
  for (const auto& text : {json::encode(two), std::string("{}"), std::string("[]"), std::string("[1]"), std::string("no JSON")}) {
    expect_redirected(with(asked(), "authorization_details", text), "invalid_authorization_details");
  }
}

TEST_F(AuthorizationTest, RefusesACredentialThatIsDescribedTwiceOrNotWholly) {
  for (const auto* name : {"credentialID", "signatureQualifier", "numSignatures", "hashes", "hashAlgorithmOID"}) {
    expect_redirected(with(asked(), name, "2"), "invalid_request");
  }
  for (const auto* name : {"credentialID", "numSignatures", "hashes", "hashAlgorithmOID"})
    expect_redirected(without(by_scope(), name), "invalid_request");
  expect_redirected(with(by_scope(), "signatureQualifier", "eu_eidas_qes"), "invalid_request");
  expect_redirected(with(by_scope(), "numSignatures", "3"), "invalid_request");
  expect_redirected(with(by_scope(), "numSignatures", "2x"), "invalid_request");
  expect_redirected(with(by_scope(), "hashes", by_scope()["hashes"] + ","), "invalid_request");
  expect_redirected(with(by_scope(), "hashes", "AAAA"), "invalid_request");
  expect_redirected(with(by_scope(), "hashAlgorithmOID", "1.2.3"), "invalid_request");
}

TEST_F(AuthorizationTest, APushedRequestIsUsedOnceByItsClientAlone) {
  const auto reference = pushed();
  expect_refusal(authorize(by_reference(reference, "other")), "invalid_request", "Invalid parameter request_uri");
  // What stands beside the reference is not part of the request.
  const auto begun = authorize(with(with(by_reference(reference), "state", "other"), "redirect_uri", "https://evil.example"));
  EXPECT_EQ(value_in(approve(begun), "state"), "s t&1");
  expect_refusal(authorize(by_reference(reference)), "invalid_request", "Invalid parameter request_uri");
  expect_refusal(authorize(by_reference(reference + "x")), "invalid_request", "Invalid parameter request_uri");
  const auto late = pushed();
  clock_->advance(PendingRequests::pushed_life);
  expect_refusal(authorize(by_reference(late)), "invalid_request", "Invalid parameter request_uri");
  EXPECT_EQ(opened_.size(), 1U);
}

TEST_F(AuthorizationTest, PushesNothingThatWouldNotBePutBeforeASignerAndForNobodyUnproved) {
  expect_refusal(push(without(asked(), "code_challenge")), "invalid_request", "Missing parameter code_challenge");
  expect_refusal(push(with(asked(), "request_uri", "urn:x")), "invalid_request", "Invalid parameter request_uri");
  auto changed = details();
  changed[0]["type"] = "payment";
  EXPECT_EQ(must(json::parse(push(with(asked(), "authorization_details", json::encode(changed))).body)).at("error"),
            "invalid_authorization_details");
  EXPECT_EQ(post(asked(), other_, true).status, 401U);
  http::Request request;
  request.headers["content-type"] = "application/x-www-form-urlencoded";
  request.body = form_of(asked());
  EXPECT_EQ(endpoint_->push(request).status, 401U);
  request.headers["content-type"] = "application/json";
  EXPECT_EQ(endpoint_->push(request).status, 400U);
}

TEST_F(AuthorizationTest, KeepsNoClientAuthenticationOfAPushedRequest) {
  const auto answer = push(asked());
  ASSERT_EQ(answer.status, 201U);
  std::string kept;
  ASSERT_TRUE(database_.get()->read([&](storage::Reader& reader) {
    return reader.query("SELECT request FROM oauth_pushed_requests", {}, [&](const storage::Row& row) {
      kept += row.text(0);
      return true;
    });
  }));
  EXPECT_NE(kept.find("code_challenge="), std::string::npos);
  EXPECT_EQ(kept.find("client_assertion"), std::string::npos);
}

TEST_F(AuthorizationTest, AHandleIsExchangedOnceAndInTime) {
  const auto begun = location_of(authorize(asked()));
  const auto handle = begun.substr(begun.find('#') + 1);
  EXPECT_EQ(endpoint_->exchange(handle + "x").error().code, ErrorCode::not_found);
  const auto exchanged = must(endpoint_->exchange(handle));
  EXPECT_EQ(exchanged.pending.ticket, "ticket");
  EXPECT_EQ(endpoint_->exchange(handle).error().code, ErrorCode::not_found);
  EXPECT_TRUE(endpoint_->find(exchanged.bearer));
  EXPECT_EQ(endpoint_->find(handle).error().code, ErrorCode::not_found);
  clock_->advance(std::chrono::minutes{5});
  EXPECT_EQ(endpoint_->find(exchanged.bearer).error().code, ErrorCode::not_found);
  const auto late = location_of(authorize(asked()));
  clock_->advance(std::chrono::minutes{5});
  EXPECT_EQ(endpoint_->exchange(late.substr(late.find('#') + 1)).error().code, ErrorCode::not_found);
}

TEST_F(AuthorizationTest, AnApprovalIsAnsweredOnce) {
  const auto begun = location_of(authorize(asked()));
  const auto exchanged = must(endpoint_->exchange(begun.substr(begun.find('#') + 1)));
  const auto address = must(endpoint_->denied(exchanged.bearer, exchanged.pending));
  EXPECT_EQ(value_in(address, "error"), "access_denied");
  EXPECT_EQ(value_in(address, "state"), "s t&1");
  EXPECT_EQ(value_in(address, "iss"), issuer);
  const auto again = endpoint_->approved(exchanged.bearer, exchanged.pending, "alice", Secret(as_bytes("SAD")), clock_->now());
  EXPECT_EQ(again.error().code, ErrorCode::not_found);
}

TEST_F(AuthorizationTest, ACodeThatIsUsedTwiceEndsWhatTheFirstUseGave) {
  const auto given = code();
  const auto token = must(json::parse(redeem(given).body)).at("access_token").get<std::string>();
  const auto caller = must(caller_of(token));
  expect_refusal(redeem(given), "invalid_grant", "Authorization code is invalid or expired");
  EXPECT_EQ(caller_of(token).error().code, ErrorCode::ticket_expired);
  EXPECT_EQ(grants_->parked(caller.grant, token).error().code, ErrorCode::sad_invalid);
  expect_refusal(redeem(given), "invalid_grant", "Authorization code is invalid or expired");
}

TEST_F(AuthorizationTest, ACodeIsForItsClientItsRedirectAndItsVerifier) {
  const auto given = code();
  expect_refusal(post(with(redemption(given), "client_id", "other"), other_, false), "invalid_grant", "Invalid parameter code");
  const auto redirect = "redirect_uri parameter does not match redirect_uri parameter of authorization request";
  expect_refusal(redeem(with(redemption(given), "redirect_uri", "https://client.example/back")), "invalid_grant", redirect);
  expect_refusal(redeem(without(redemption(given), "redirect_uri")), "invalid_grant", redirect);
  expect_refusal(redeem(without(redemption(given), "code_verifier")), "invalid_request", "Missing parameter code_verifier");
  expect_refusal(redeem(with(redemption(given), "code_verifier", std::string(43, 'v'))), "invalid_grant",
                 "Invalid parameter code_verifier");
  expect_refusal(redeem(with(redemption(given), "code_verifier", challenge)), "invalid_grant", "Invalid parameter code_verifier");
  expect_refusal(redeem(with(redemption(given), "code", given + "x")), "invalid_grant", "Invalid parameter code");
  expect_refusal(redeem(without(redemption(given), "code")), "invalid_request", "Missing parameter code");
  auto changed = details();
  changed[0]["documentDigests"][0]["hash"] = digest("c");
  expect_refusal(redeem(with(redemption(given), "authorization_details", json::encode(changed))), "invalid_authorization_details",
                 "authorization_details are not those that were approved");
  EXPECT_EQ(redeem(with(redemption(given), "authorization_details", json::encode(details()))).status, 200U);
}

TEST_F(AuthorizationTest, ARedirectThatWasNotStatedIsNotRepeated) {
  const auto given = code(without(asked(), "redirect_uri"));
  EXPECT_EQ(redeem(without(redemption(given), "redirect_uri")).status, 200U);
}

TEST_F(AuthorizationTest, ACodeEndsByItself) {
  const auto given = value_in(approve(authorize(asked()), std::chrono::seconds{300}), "code");
  clock_->advance(std::chrono::seconds{60});
  expect_refusal(redeem(given), "invalid_grant", "Authorization code is invalid or expired");
}

TEST_F(AuthorizationTest, ARefreshTokenIsUsedOnceAndRenewsTheServiceAlone) {
  const auto first = granted_with_service();
  EXPECT_EQ(first.at("scope"), "credential service");
  EXPECT_EQ(first.at("expires_in"), 3600);
  const auto second = must(json::parse(refresh(first).body));
  EXPECT_EQ(second.at("scope"), "service");
  const auto caller = must(caller_of(second.at("access_token").get<std::string>()));
  EXPECT_EQ(caller.subject, "alice");
  EXPECT_EQ(caller.credential, "");
  EXPECT_EQ(caller.scopes, std::vector<std::string>{"service"});
  EXPECT_NE(second.at("refresh_token"), first.at("refresh_token"));
  EXPECT_EQ(must(json::parse(refresh(second, {{"scope", "credential"}}).body)).at("error"), "invalid_scope");
  EXPECT_EQ(refresh(second, {{"scope", "service"}}).status, 200U);
}

TEST_F(AuthorizationTest, ARefreshTokenThatIsUsedTwiceEndsItsWholeFamily) {
  const auto first = granted_with_service();
  const auto second = must(json::parse(refresh(first).body));
  expect_refusal(refresh(first), "invalid_grant", "Invalid parameter refresh_token");
  expect_refusal(refresh(second), "invalid_grant", "Invalid parameter refresh_token");
  for (const auto& answer : {first, second}) {
    EXPECT_EQ(caller_of(answer.at("access_token").get<std::string>()).error().code, ErrorCode::ticket_expired);
  }
}

TEST_F(AuthorizationTest, ARefreshTokenIsForItsClientAndEndsByItself) {
  const auto first = granted_with_service();
  Values foreign{{"grant_type", "refresh_token"}, {"client_id", "other"}, {"refresh_token", first.at("refresh_token").get<std::string>()}};
  expect_refusal(post(foreign, other_, false), "invalid_grant", "Invalid parameter refresh_token");
  expect_refusal(redeem({{"grant_type", "refresh_token"}, {"client_id", "wallet"}}), "invalid_request", "Missing parameter refresh_token");
  expect_refusal(redeem({{"grant_type", "refresh_token"}, {"client_id", "wallet"}, {"refresh_token", "x"}}), "invalid_grant",
                 "Invalid parameter refresh_token");
  clock_->advance(std::chrono::hours{24 * 29});
  const auto second = must(json::parse(refresh(first).body));
  // What takes its place does not live longer than the first would have.
  clock_->advance(std::chrono::hours{24});
  expect_refusal(refresh(second), "invalid_grant", "Refresh token expired");
}

TEST_F(AuthorizationTest, RevokesAnAccessTokenAloneAndARefreshTokenWithItsGrant) {
  const auto first = granted_with_service();
  const auto second = must(json::parse(refresh(first).body));
  const auto one = first.at("access_token").get<std::string>();
  const auto two = second.at("access_token").get<std::string>();
  EXPECT_EQ(revoke(one).status, 204U);
  EXPECT_EQ(revoke(one, "access_token").status, 204U);
  EXPECT_EQ(caller_of(one).error().code, ErrorCode::ticket_expired);
  EXPECT_TRUE(caller_of(two));
  EXPECT_EQ(revoke(second.at("refresh_token").get<std::string>(), "access_token").status, 204U);
  EXPECT_EQ(caller_of(two).error().code, ErrorCode::ticket_expired);
  expect_refusal(refresh(second), "invalid_grant", "Invalid parameter refresh_token");
}

TEST_F(AuthorizationTest, RevokesATokenThatAnApplicationHasByItself) {
  const auto token = must(tokens_->issue(*clients_->find("wallet"), "service")).token;
  EXPECT_TRUE(caller_of(token));
  EXPECT_EQ(revoke(token).status, 204U);
  EXPECT_EQ(caller_of(token).error().code, ErrorCode::ticket_expired);
}

TEST_F(AuthorizationTest, RevokesNothingOfOthersAndNothingUnproved) {
  const auto first = granted_with_service();
  const auto access = first.at("access_token").get<std::string>();
  const auto renewing = first.at("refresh_token").get<std::string>();
  for (const auto& token : {access, renewing}) {
    expect_refusal(revoke(token, "", "other", other_), "invalid_request", "Invalid string parameter token");
    EXPECT_EQ(revoke(token, "", "wallet", other_).status, 401U);
  }
  EXPECT_TRUE(caller_of(access));
  expect_refusal(revoke("unknown"), "invalid_request", "Invalid string parameter token");
  expect_refusal(revoke(""), "invalid_request", "Missing parameter token");
  expect_refusal(revoke(access, "id_token"), "invalid_request", "Invalid parameter token_type_hint");
  EXPECT_EQ(refresh(first).status, 200U);
}

TEST_F(AuthorizationTest, KeepsNoCodeTokenOrSadInClear) {
  const auto given = code();
  const auto token = must(json::parse(redeem(code()).body)).at("access_token").get<std::string>();
  std::string kept;
  ASSERT_TRUE(database_.get()->read([&](storage::Reader& reader) {
    for (const auto* sql : {"SELECT sad, code FROM oauth_codes", "SELECT sad, sad FROM oauth_parked_sads"}) {
      auto done = reader.query(sql, {}, [&](const storage::Row& row) {
        kept += std::string(as_text(row.bytes(0))) + std::string(as_text(row.bytes(1)));
        return true;
      });
      if (!done) return done;
    }
    return Status();
  }));
  EXPECT_FALSE(kept.empty());
  EXPECT_EQ(kept.find("the SAD"), std::string::npos);
  EXPECT_EQ(kept.find(given), std::string::npos);
  EXPECT_EQ(kept.find(token), std::string::npos);
}

TEST_F(AuthorizationTest, PublishesTheKeyThatSignsItsTokens) {
  const auto keys = must(json::parse(must(tokens_->jwks()))).at("keys");
  ASSERT_EQ(keys.size(), 1U);
  auto public_part = keys[0];
  for (const auto* member : {"kid", "use", "alg"}) public_part.erase(member);
  EXPECT_FALSE(public_part.contains("d"));
  const auto key = must(crypto::parse_jwk(json::encode(public_part)));
  EXPECT_EQ(keys[0].at("kid"), must(crypto::jwk_thumbprint(key)));
  EXPECT_TRUE(crypto::verify_jws(must(tokens_->issue(*clients_->find("wallet"), "service")).token, "at+jwt", key));
}

TEST(RedirectAddress, OfARegistrationIsASafeOne) {
  const test::TestClient client("app");
  for (const auto* good :
       {"https://a.example/cb", "http://127.0.0.1:4000/cb", "http://[::1]/cb", "rqes://callback", "eu.example.app:/cb"}) {
    EXPECT_TRUE(Clients::make({client.registered({}, {good})})) << good;
  }
  for (const auto* bad :
       {"http://a.example/cb", "http://127.0.0.1.evil/cb", "https://u@evil.example/", "https://a.example/#f", "https://",
        "javascript:alert(1)", "data:text/html,x", "/relative", "a b://x", "HTTPS://a.example", ":x", "https://a.example/\r\nX: y"}) {
    EXPECT_FALSE(Clients::make({client.registered({}, {bad})})) << bad;
  }
}

}  // namespace
}  // namespace intaglio::oauth
