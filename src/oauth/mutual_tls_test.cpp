#include <gtest/gtest.h>

#include "crypto/der.h"
#include "crypto/test_support.h"
#include "oauth/authorization_endpoint.h"
#include "oauth/client_certificate.h"
#include "oauth/metadata.h"
#include "oauth/migrations.h"
#include "oauth/test_support.h"
#include "oauth/token_endpoint.h"

namespace intaglio::oauth {
namespace {

namespace der = crypto::der;
using test::must;

constexpr const char* issuer = "https://sign.example";
constexpr std::string_view assertion_type = "urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer";
constexpr const char* back = "https://app.example/back";
/// RFC 7636, appendix B.
constexpr const char* verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
constexpr const char* challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
constexpr auto day = std::chrono::hours{24};

Bytes extension(std::string_view oid, ByteView value) { return der::sequence({der::oid(oid), der::octet_string(value)}); }
Bytes extended_usage(std::string_view purpose) { return extension("2.5.29.37", der::sequence({der::oid(purpose)})); }
Bytes alternative(unsigned kind, ByteView string) { return extension("2.5.29.17", der::sequence({der::implicit_tag(kind, string)})); }

const Bytes for_clients = extended_usage("1.3.6.1.5.5.7.3.2");
const Bytes for_servers = extended_usage("1.3.6.1.5.5.7.3.1");
/// One bit of keyUsage (RFC 5280, 4.2.1.3), counted from 0.
Bytes key_usage(unsigned bit) { return extension("2.5.29.15", der::bit_string(Bytes{static_cast<std::uint8_t>(0x80U >> bit)}, 7 - bit)); }

/// Whoever issues certificates: an authority, or a client for itself.
class Issuer {
 public:
  explicit Issuer(std::string name) : name_(std::move(name)) {}

  /// Valid a day around the start of the tests.
  [[nodiscard]] crypto::Certificate issue(const std::string& name, const std::vector<Bytes>& extensions = {for_clients}) const {
    return issue(name, must(crypto::SoftwareKey::generate())->public_key().spki(), extensions);
  }
  [[nodiscard]] crypto::Certificate issue(const std::string& name, ByteView spki, const std::vector<Bytes>& extensions) const {
    const Bytes validity = der::sequence({der::time(test::test_start - day), der::time(test::test_start + day)});
    const Bytes number = must(crypto::random_bytes(8));
    const Bytes tbs = der::sequence({der::explicit_tag(0, der::integer(2)), der::integer(ByteView(number)),
                                     crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256), subject(name_), validity,
                                     subject(name), spki, der::explicit_tag(3, der::sequence(extensions))});
    const auto signature = must(key_->sign(crypto::SignatureSuite::ecdsa_sha256, tbs));
    return must(crypto::Certificate::parse_der(crypto::assemble_signed(tbs, crypto::SignatureSuite::ecdsa_sha256, signature)));
  }
  [[nodiscard]] crypto::Certificate own() const {
    const Bytes ca = der::sequence({der::oid("2.5.29.19"), der::boolean(true), der::octet_string(der::sequence({der::boolean(true)}))});
    return issue(name_, key_->public_key().spki(), {ca});
  }

 private:
  [[nodiscard]] static Bytes subject(const std::string& name) { return must(crypto::encode_name({{"2.5.4.6", "DE"}, {"2.5.4.3", name}})); }
  std::string name_;
  std::shared_ptr<crypto::SoftwareKey> key_ = must(crypto::SoftwareKey::generate());
};

Client client_of(std::string_view id) { return {must(ClientId::parse(id)), "App", std::nullopt, std::nullopt, {}}; }
Client named(std::string_view id, CertificateName name) {
  auto client = client_of(id);
  client.certificate_name = std::move(name);
  return client;
}
CertificateName alternative_name(crypto::AlternativeName kind, std::string_view text) {
  return must(CertificateName::alternative(kind, text));
}

class MutualTlsTest : public testing::Test {
 protected:
  MutualTlsTest() {
    database_.migrate(migrations());
    auto self_signed = client_of("self-signed");
    self_signed.certificates = {own_.fingerprint(), next_.fingerprint()};
    auto by_subject = named("by-subject", must(CertificateName::subject("CN=app,C=DE")));
    by_subject.redirect_uris = {back};
    auto bound = keyed_.registered();
    bound.certificate_bound = true;
    using crypto::AlternativeName;
    clients_ = std::make_shared<const Clients>(
        must(Clients::make({std::move(by_subject), named("by-dns", alternative_name(AlternativeName::dns, "App.Example")),
                            named("by-uri", alternative_name(AlternativeName::uri, "https://app.example/a")),
                            named("by-email", alternative_name(AlternativeName::email, "app@app.example")),
                            named("by-ip", alternative_name(AlternativeName::ip, "192.0.2.7")), std::move(self_signed), std::move(bound),
                            test::TestClient("plain").registered()})));
    grants_ = std::make_shared<Grants>(database_.get(), clock_);
    tokens_ =
        must(AccessTokens::make({issuer, std::chrono::seconds{86400}}, must(crypto::SoftwareKey::generate()), clients_, grants_, clock_));
    const auto authentication = std::make_shared<ClientAuthentication>(
        ClientAuthenticationConfig{{issuer}, std::chrono::seconds{300}, {authority_.own()}}, clients_, database_.get(), clock_);
    endpoint_ = std::make_unique<TokenEndpoint>(issuer, authentication, tokens_, grants_, clock_);
    authorization_ =
        std::make_unique<AuthorizationEndpoint>(AuthorizationConfig{issuer, "https://sign.example/approve"}, clients_, authentication,
                                                std::make_shared<PendingRequests>(database_.get(), clock_), grants_, database_.get());
  }
  [[nodiscard]] static http::Request form_post(const std::string& path, std::string body, const std::optional<crypto::Certificate>& shown) {
    http::Request request;
    request.method = "POST";
    request.path = "/csc/v2/oauth2/" + path;
    request.headers["content-type"] = "application/x-www-form-urlencoded";
    request.body = std::move(body);
    if (shown) request.peer_certificate = shown->der();
    return request;
  }
  [[nodiscard]] http::Response ask(const std::string& client, const std::optional<crypto::Certificate>& shown,
                                   const std::string& more = "") {
    return endpoint_->answer(form_post("token", "grant_type=client_credentials&client_id=" + client + more, shown));
  }
  /// The client `by-subject` pushes what a signer shall approve, with access to the service.
  [[nodiscard]] http::Response push(const std::optional<crypto::Certificate>& shown) {
    return authorization_->push(
        form_post("pushed_authorize",
                  "response_type=code&client_id=by-subject&redirect_uri=" + encode_form_value(back) + "&code_challenge=" + challenge +
                      "&code_challenge_method=S256&scope=credential%20service&credentialID=key-1&numSignatures=1" +
                      "&hashAlgorithmOID=2.16.840.1.101.3.4.2.1&hashes=" + encode_base64url(crypto::sha256(as_bytes("a"))),
                  shown));
  }
  /// The code of what was pushed and then approved by alice, as the SAM would have authorised it.
  [[nodiscard]] std::string code() {
    const auto pushed = push(app_);
    EXPECT_EQ(pushed.status, 201U) << pushed.body;
    http::Request request;
    request.method = "GET";
    request.query =
        "client_id=by-subject&request_uri=" + encode_form_value(must(json::parse(pushed.body)).at("request_uri").get<std::string>());
    const auto begun =
        authorization_->authorize(request, [this](const Client&, const CredentialRequest&, Origin) -> Result<OpenedApproval> {
          return OpenedApproval{"ticket", "statement", to_bytes("T"), to_bytes("nonce"), clock_->now() + std::chrono::minutes{5}};
        });
    EXPECT_EQ(begun.status, 302U) << begun.body;
    const auto page = begun.headers.front().second;
    const auto opened = must(authorization_->exchange(page.substr(page.find('#') + 1)));
    const auto address = must(authorization_->approved(opened.bearer, opened.pending, "alice", Secret(as_bytes("the SAD")),
                                                       clock_->now() + std::chrono::minutes{1}));
    const auto query = must(Form::parse(std::string_view(address).substr(address.find('?') + 1)));
    const auto* code = query.find("code");
    return code == nullptr ? "" : *code;
  }
  [[nodiscard]] http::Response redeem(const std::string& code, const std::optional<crypto::Certificate>& shown) {
    return endpoint_->answer(form_post("token",
                                       "grant_type=authorization_code&client_id=by-subject&code=" + code +
                                           "&redirect_uri=" + encode_form_value(back) + "&code_verifier=" + verifier,
                                       shown));
  }
  [[nodiscard]] http::Response refresh(const std::string& token, const std::optional<crypto::Certificate>& shown) {
    return endpoint_->answer(form_post("token", "grant_type=refresh_token&client_id=by-subject&refresh_token=" + token, shown));
  }
  [[nodiscard]] http::Response revoke(const std::string& token, const std::optional<crypto::Certificate>& shown) {
    return endpoint_->revoke(form_post("revoke", "client_id=by-subject&token=" + token, shown));
  }
  [[nodiscard]] std::string assertion() {
    return "&client_assertion_type=" + std::string(assertion_type) +
           "&client_assertion=" + keyed_.sign(keyed_.claims(issuer, clock_->now(), "a" + std::to_string(++count_)));
  }
  void expect_refused(const std::string& client, const std::optional<crypto::Certificate>& shown) {
    SCOPED_TRACE(client);
    expect_nobody(ask(client, shown));
  }
  static void expect_nobody(const http::Response& answer) {
    EXPECT_EQ(answer.status, 401U) << answer.body;
    EXPECT_EQ(must(json::parse(answer.body.empty() ? "{}" : answer.body)).value("error", ""), "invalid_client");
  }
  [[nodiscard]] std::string token(const http::Response& answer) {
    EXPECT_EQ(answer.status, 200U) << answer.body;
    const auto body = must(json::parse(answer.body));
    EXPECT_EQ(body.at("token_type"), "Bearer");
    return body.at("access_token").get<std::string>();
  }
  [[nodiscard]] static std::string refresh_token(const http::Response& answer) {
    return must(json::parse(answer.body)).at("refresh_token").get<std::string>();
  }
  /// RFC 8705, 3.1: the token names this certificate, and is taken with it, neither with another nor with none.
  void expect_bound(const std::string& token, const crypto::Certificate& to, const crypto::Certificate& other) {
    const auto dot = token.find('.');
    const auto payload = must(parse_base64url(std::string_view(token).substr(dot + 1, token.rfind('.') - dot - 1)));
    EXPECT_EQ(must(json::parse(as_text(payload))).value("cnf", json::Value()),
              (json::Value{{"x5t#S256", encode_base64url(crypto::sha256(to.der()))}}));
    EXPECT_TRUE(use(token, to));
    EXPECT_FALSE(use(token, std::nullopt));
    EXPECT_FALSE(use(token, other));
  }
  [[nodiscard]] Status use(const std::string& token, const std::optional<crypto::Certificate>& shown) {
    http::Request request;
    request.method = "POST";
    request.path = "/csc/v2/credentials/list";
    request.headers["authorization"] = "Bearer " + token;
    if (shown) request.peer_certificate = shown->der();
    const auto caller = tokens_->check(request);
    return caller ? Status() : Status(caller.error());
  }

  test::TemporaryDatabase database_;
  Issuer authority_{"Authority of clients"}, other_authority_{"Authority of clients"}, self_{"Self"};
  crypto::Certificate own_ = self_.issue("Self"), next_ = self_.issue("Self"), app_ = authority_.issue("app");
  test::TestClient keyed_{"keyed"};
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(test::test_start);
  std::shared_ptr<const Clients> clients_;
  std::shared_ptr<Grants> grants_;
  std::shared_ptr<AccessTokens> tokens_;
  std::unique_ptr<TokenEndpoint> endpoint_;
  std::unique_ptr<AuthorizationEndpoint> authorization_;
  unsigned count_ = 0;
};

TEST_F(MutualTlsTest, AClientIsKnownByTheSubjectOfItsCertificate) {
  EXPECT_EQ(ask("by-subject", app_).status, 200U);
  expect_refused("by-subject", std::nullopt);
  expect_refused("by-subject", authority_.issue("App"));
  expect_refused("by-subject", authority_.issue("app2"));
  expect_refused("by-subject", authority_.issue("another", {for_clients, alternative(2, der::ia5("app"))}));
}

TEST_F(MutualTlsTest, AClientIsKnownByAnAlternativeNameOfThatKindAlone) {
  const Bytes address{192, 0, 2, 7};
  const Bytes other_address{192, 0, 2, 8};
  const std::vector<std::tuple<std::string, unsigned, Bytes, Bytes>> kinds{
      {"by-dns", 2, der::ia5("app.EXAMPLE"), der::ia5("app.example.net")},
      {"by-uri", 6, der::ia5("https://app.example/a"), der::ia5("https://app.example/A")},
      {"by-email", 1, der::ia5("app@app.example"), der::ia5("App@app.example")},
      {"by-ip", 7, der::octet_string(address), der::octet_string(other_address)}};
  for (const auto& [client, kind, right, wrong] : kinds) {
    SCOPED_TRACE(client);
    EXPECT_EQ(ask(client, authority_.issue("any", {for_clients, alternative(kind, right)})).status, 200U);
    expect_refused(client, authority_.issue("any", {for_clients, alternative(kind, wrong)}));
    expect_refused(client, authority_.issue("any", {for_clients, alternative(kind == 2 ? 6 : 2, right)}));
    expect_refused(client, app_);
  }
  // What stands behind a zero octet is part of the name.
  expect_refused("by-dns", authority_.issue("any", {for_clients, alternative(2, der::ia5(std::string_view("app.example\0.net", 16)))}));
}

TEST_F(MutualTlsTest, ANameCountsInACertificateOfTheRightAuthorityForClients) {
  expect_refused("by-subject", other_authority_.issue("app"));
  expect_refused("by-subject", Issuer("app").issue("app"));
  expect_refused("by-subject", authority_.issue("app", {for_servers}));
}

TEST_F(MutualTlsTest, ACertificateOfAnAuthorityIsForClientsUnlessItSaysOtherwise) {
  constexpr unsigned digital_signature = 0;
  constexpr unsigned key_encipherment = 2;
  const Bytes name = alternative(2, der::ia5("app.example"));
  EXPECT_EQ(ask("by-dns", authority_.issue("any", {name})).status, 200U);
  EXPECT_EQ(ask("by-dns", authority_.issue("any", {name, key_usage(digital_signature)})).status, 200U);
  expect_refused("by-dns", authority_.issue("any", {name, key_usage(key_encipherment)}));
  expect_refused("by-dns", authority_.issue("any", {name, key_usage(digital_signature), for_servers}));
  expect_refused("by-dns", authority_.issue("any", {name, extended_usage("2.5.29.37.0")}));
}

TEST_F(MutualTlsTest, AnyAuthorityIssuesTheNameOfAnyClient) {
  const Issuer second("Second authority of clients");
  const auto with = [&](const std::vector<crypto::Certificate>& authorities) {
    return ClientAuthentication({{issuer}, std::chrono::seconds{300}, authorities}, clients_, database_.get(), clock_);
  };
  const auto known = [](const ClientAuthentication& authentication, const crypto::Certificate& shown) {
    const auto request = form_post("token", "client_id=by-subject", shown);
    const auto client = ShownClient::read(request, must(Form::parse(request.body)));
    return std::holds_alternative<const Client*>(authentication.verify(request, std::get<ShownClient>(client)));
  };
  const auto both = with({authority_.own(), second.own()});
  EXPECT_TRUE(known(both, app_));
  EXPECT_TRUE(known(both, second.issue("app")));
  EXPECT_FALSE(known(with({authority_.own()}), second.issue("app")));
}

TEST_F(MutualTlsTest, ASelfSignedCertificateIsKnownByItsDigest) {
  EXPECT_EQ(ask("self-signed", own_).status, 200U);
  EXPECT_EQ(ask("self-signed", next_).status, 200U) << "the one that follows";
  expect_refused("self-signed", self_.issue("Self"));
  expect_refused("self-signed", app_);
  expect_refused("self-signed", std::nullopt);
}

TEST_F(MutualTlsTest, NoCertificateCountsOutsideItsValidity) {
  clock_->advance(std::chrono::hours{20});
  const auto token_of_own = token(ask("self-signed", own_));
  EXPECT_TRUE(use(token_of_own, own_));
  clock_->advance(std::chrono::hours{4} + std::chrono::seconds{1});
  expect_refused("self-signed", own_);
  expect_refused("by-subject", app_);
  EXPECT_FALSE(use(token_of_own, own_));
  clock_->advance(-2 * day - std::chrono::seconds{2});
  expect_refused("self-signed", own_);
}

TEST_F(MutualTlsTest, ACertificateWithAKeyThatIsTooWeakIsNobodys) {
  // An RSA modulus of 1024 bits.
  Bytes modulus(128, 0xA5);
  modulus[0] = 0xC3;
  const Bytes exponent{0x01, 0x00, 0x01};
  const Bytes key = der::sequence({der::integer(ByteView(modulus)), der::integer(ByteView(exponent))});
  const Bytes spki = der::sequence({der::sequence({der::oid("1.2.840.113549.1.1.1"), der::null()}), der::bit_string(key)});
  http::Request request;
  request.peer_certificate = self_.issue("Self", spki, {for_clients}).der();
  EXPECT_FALSE(ClientCertificate::of(request, clock_->now()));
  request.peer_certificate = own_.der();
  EXPECT_TRUE(ClientCertificate::of(request, clock_->now()));
  request.peer_certificate.push_back(0);
  EXPECT_FALSE(ClientCertificate::of(request, clock_->now()));
}

TEST_F(MutualTlsTest, ATokenOfAClientWithACertificateIsUsedWithThatCertificateAlone) {
  const auto bound = token(ask("self-signed", own_));
  expect_bound(bound, own_, next_);
  EXPECT_FALSE(use(bound, app_));
  EXPECT_FALSE(use(token(ask("by-subject", app_)), own_));
}

TEST_F(MutualTlsTest, ATokenOfASignersGrantIsBoundToTheCertificateThatRedeemedTheCode) {
  const auto code = this->code();
  expect_nobody(redeem(code, std::nullopt));
  expect_nobody(redeem(code, authority_.issue("app2")));
  expect_nobody(redeem(code, own_));
  expect_bound(token(redeem(code, app_)), app_, authority_.issue("app"));
}

TEST_F(MutualTlsTest, ATokenThatWasRefreshedIsBoundToTheCertificateThatRefreshedIt) {
  const auto first = refresh_token(redeem(code(), app_));
  expect_nobody(refresh(first, std::nullopt));
  expect_nobody(refresh(first, authority_.issue("app2")));
  expect_nobody(refresh(first, own_));
  const auto again = refresh(first, app_);
  const auto following = authority_.issue("app");
  expect_bound(token(again), app_, following);
  expect_bound(token(refresh(refresh_token(again), following)), following, app_);
}

TEST_F(MutualTlsTest, NothingIsPushedForAClientWithoutItsCertificate) {
  expect_nobody(push(std::nullopt));
  expect_nobody(push(authority_.issue("app2")));
  expect_nobody(push(own_));
  EXPECT_EQ(push(app_).status, 201U);
}

TEST_F(MutualTlsTest, NoTokenIsRevokedForAClientWithoutItsCertificate) {
  const auto granted = redeem(code(), app_);
  const auto access = token(granted);
  for (const auto& one : {access, refresh_token(granted)}) {
    expect_nobody(revoke(one, std::nullopt));
    expect_nobody(revoke(one, authority_.issue("app2")));
    expect_nobody(revoke(one, own_));
  }
  EXPECT_TRUE(use(access, app_));
  EXPECT_EQ(revoke(access, app_).status, 204U);
  EXPECT_FALSE(use(access, app_));
  const auto refreshed = refresh(refresh_token(granted), app_);
  EXPECT_EQ(revoke(refresh_token(refreshed), app_).status, 204U);
  EXPECT_FALSE(use(token(refreshed), app_)) << "ended with its grant";
}

TEST_F(MutualTlsTest, AClientOfAnotherKindIsBoundToACertificateWhenItIsRegisteredForIt) {
  const auto refused = ask("keyed", std::nullopt, assertion());
  EXPECT_EQ(refused.status, 400U);
  EXPECT_EQ(must(json::parse(refused.body)).at("error"), "invalid_request");
  const auto bound = token(ask("keyed", own_, assertion()));
  EXPECT_TRUE(use(bound, own_));
  EXPECT_FALSE(use(bound, std::nullopt));
  const auto unproved = ask("keyed", own_);
  EXPECT_EQ(unproved.status, 401U) << "the certificate does not say who it is";
}

TEST_F(MutualTlsTest, ACertificateIsOneWayOfAuthenticationAndNoOtherStandsBesideIt) {
  const auto both = ask("self-signed", own_, "&client_secret=secret");
  EXPECT_EQ(both.status, 400U);
  EXPECT_EQ(ask("plain", own_).status, 401U);
}

TEST_F(MutualTlsTest, ATokenThatIsBoundToWhatNobodyKnowsIsNone) {
  const auto key = must(crypto::SoftwareKey::generate());
  const auto tokens = must(AccessTokens::make({issuer}, key, clients_, grants_, clock_));
  const auto make = [&](const json::Value& confirmation) {
    const auto now = unix_seconds(clock_->now());
    http::Request request;
    request.headers["authorization"] = "Bearer " + must(crypto::make_jws(*key, "at+jwt", must(crypto::jwk_thumbprint(key->public_key())),
                                                                         json::encode({{"iss", issuer},
                                                                                       {"aud", issuer},
                                                                                       {"sub", "plain"},
                                                                                       {"client_id", "plain"},
                                                                                       {"scope", "service"},
                                                                                       {"exp", now + 60},
                                                                                       {"cnf", confirmation}})));
    request.peer_certificate = own_.der();
    return static_cast<bool>(tokens->check(request));
  };
  EXPECT_TRUE(make({{"x5t#S256", encode_base64url(own_.fingerprint())}}));
  EXPECT_FALSE(make({{"x5t", "AA"}}));
  EXPECT_FALSE(make(json::Value::object()));
  EXPECT_FALSE(make({{"x5t#S256", 7}}));
  EXPECT_FALSE(make("text"));
}

TEST(MutualTlsClients, HaveOneNameAndOneWayOfBinding) {
  EXPECT_FALSE(CertificateName::subject(""));
  EXPECT_FALSE(CertificateName::alternative(crypto::AlternativeName::dns, ""));
  EXPECT_FALSE(CertificateName::alternative(crypto::AlternativeName::ip, "192.0.2"));
  EXPECT_TRUE(CertificateName::alternative(crypto::AlternativeName::ip, "2001:db8::1"));
  auto client = named("a", must(CertificateName::subject("CN=a")));
  EXPECT_TRUE(Clients::make({client}));
  client.dpop_bound = true;
  EXPECT_FALSE(Clients::make({client}));
  client.dpop_bound = false;
  client.certificates.insert(crypto::Sha256Digest{});
  EXPECT_FALSE(Clients::make({client}));
}

TEST(MutualTlsMetadata, StandWhereThereIsAListenerForIt) {
  const auto without = must(json::parse(metadata({issuer, "https://sign.example/o", true})));
  EXPECT_FALSE(without.contains("mtls_endpoint_aliases"));
  EXPECT_FALSE(without.contains("tls_client_certificate_bound_access_tokens"));
  const auto with = must(json::parse(metadata({issuer, "https://sign.example/o", true, "https://mtls.example/o", false})));
  EXPECT_EQ(with.at("tls_client_certificate_bound_access_tokens"), true);
  EXPECT_EQ(with.at("mtls_endpoint_aliases").at("token_endpoint"), "https://mtls.example/o/token");
  EXPECT_EQ(with.at("mtls_endpoint_aliases").at("pushed_authorization_request_endpoint"), "https://mtls.example/o/pushed_authorize");
  const auto has = [](const json::Value& body, std::string_view method) {
    const auto& methods = body.at("token_endpoint_auth_methods_supported");
    return std::find(methods.begin(), methods.end(), json::Value(method)) != methods.end();
  };
  EXPECT_TRUE(has(with, "self_signed_tls_client_auth"));
  EXPECT_FALSE(has(with, "tls_client_auth"));
  EXPECT_TRUE(has(must(json::parse(metadata({issuer, "o", false, "m", true}))), "tls_client_auth"));
  EXPECT_FALSE(has(without, "self_signed_tls_client_auth"));
}

}  // namespace
}  // namespace intaglio::oauth
