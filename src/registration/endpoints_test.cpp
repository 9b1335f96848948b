#include "registration/endpoints.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "crypto/certificate.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "crypto/signer.h"
#include "storage/test_support.h"

namespace intaglio::registration {
namespace {

template <typename T>
T must(Result<T> result) {
  if (!result) panic(result.error().detail.c_str());
  return std::move(*result);
}

/// What an operator's TLS certificate looks like to the server: any certificate, verified by the listener before.
Bytes some_certificate() {
  namespace der = crypto::der;
  const auto key = must(crypto::SoftwareKey::generate());
  const auto name = must(crypto::encode_name({{"2.5.4.3", "ra-1"}}));
  const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
  const auto validity =
      der::sequence(std::vector<Bytes>{der::time(from_unix_seconds(1795171200)), der::time(from_unix_seconds(1826707200))});
  const auto tbs = der::sequence(std::vector<Bytes>{der::explicit_tag(0, der::integer(std::uint64_t{2})), der::integer(std::uint64_t{1}),
                                                    algorithm, name, validity, name, key->public_key().spki()});
  return der::sequence(std::vector<Bytes>{tbs, algorithm, der::bit_string(must(key->sign(crypto::SignatureSuite::ecdsa_sha256, tbs)))});
}

class FakeSam final : public protocol::SamService {
 public:
  Result<protocol::Opened> open_signing(const protocol::OpenSigning&) override { return unexpected(); }
  Result<protocol::Opened> open_enrolment(const protocol::OpenEnrolment&) override { return unexpected(); }
  Result<protocol::Opened> open_key_generation(const protocol::OpenKeyGeneration&) override { return unexpected(); }
  Result<protocol::Opened> open_factor_change(const protocol::OpenEnrolment&) override { return unexpected(); }
  Result<protocol::Opened> open_key_change(const protocol::OpenKeyChange&) override { return unexpected(); }
  Result<protocol::Opened> open_grant(const protocol::OpenGrant&) override { return unexpected(); }
  Status end_grant(std::string_view, std::string_view) override { return unexpected(); }
  Result<protocol::Enrolled> change_factors(std::string_view) override { return unexpected(); }
  Status change_key(std::string_view) override { return unexpected(); }
  Result<protocol::Authorised> authorise(std::string_view) override { return unexpected(); }
  Result<protocol::Enrolled> enrol_factors(std::string_view) override { return unexpected(); }
  Result<protocol::KeyGenerated> generate_key(std::string_view) override { return unexpected(); }
  Result<protocol::SignAnswer> sign(const protocol::SignRequest&) override { return unexpected(); }
  Result<protocol::Opened> open_one_time(const protocol::OpenOneTime&) override { return unexpected(); }
  Result<std::unique_ptr<protocol::OneTimeSession>> begin_one_time() override { return unexpected(); }
  Result<protocol::LogEntry> report_orphan(const KeyId&, ByteView) override { return unexpected(); }
  Result<protocol::SignerCreated> create_signer(std::string_view request) override {
    calls.emplace_back(request);
    if (failure) return *failure;
    return protocol::SignerCreated{must(SignerId::parse("alice")), "sealed-code"};
  }
  Result<protocol::SignerCreated> reset_factors(std::string_view request) override { return create_signer(request); }
  Result<protocol::CredentialFacts> bind_certificate(const protocol::CertificateBinding& binding) override {
    calls.push_back(binding.operator_request);
    bound = binding.certificates;
    if (failure) return *failure;
    return protocol::CredentialFacts{must(KeyId::parse("key-1")),
                                     must(SignerId::parse("alice")),
                                     protocol::KeyState::assigned,
                                     crypto::KeyAlgorithm::rsa3072,
                                     {},
                                     binding.certificates,
                                     false,
                                     "direct-resident",
                                     1};
  }
  Status suspend_key(const KeyId& key, std::string_view reason) override {
    calls.push_back("suspend " + key.text() + " " + std::string(reason));
    return failure && !suspends_always ? Status(*failure) : Status();
  }
  Status suspend_by_operator(std::string_view request) override {
    calls.emplace_back(request);
    return failure ? Status(*failure) : Status();
  }
  Status resume_key(std::string_view request) override {
    calls.emplace_back(request);
    return failure ? Status(*failure) : Status();
  }
  Status put_revocation_data(ByteView crl) override {
    calls.push_back("crl " + std::string(as_text(crl)));
    return failure ? Status(*failure) : Status();
  }
  Result<std::vector<protocol::CredentialFacts>> list_credentials(const SignerId& signer) override {
    return std::vector<protocol::CredentialFacts>{{must(KeyId::parse("key-1")),
                                                   signer,
                                                   protocol::KeyState::destroyed,
                                                   crypto::KeyAlgorithm::rsa3072,
                                                   {},
                                                   {},
                                                   false,
                                                   "direct-resident",
                                                   1}};
  }
  Result<protocol::CredentialFacts> credential(const KeyId&) override { return unexpected(); }
  Result<std::string> receipt(std::uint64_t, const crypto::Sha256Digest&) override { return unexpected(); }
  Result<std::string> status() override { return unexpected(); }
  Result<std::string> public_keys() override { return unexpected(); }

  std::vector<std::string> calls;
  std::vector<Bytes> bound;
  std::optional<Error> failure;
  bool suspends_always = false;

 private:
  static Error unexpected() { panic("not a call of the registration authority"); }
};

class FakeAuthority final : public CertificationAuthority {
 public:
  Result<std::vector<Bytes>> issue(std::string_view request, std::string_view assertion, ByteView csr) override {
    issued.push_back({std::string(request), std::string(assertion), std::string(as_text(csr))});
    if (failure) return *failure;
    return std::vector<Bytes>{to_bytes("leaf"), to_bytes("issuer")};
  }
  Result<std::vector<Bytes>> issue_short_term(std::string_view, ByteView) override {
    return Error{ErrorCode::internal, "a call that this test does not expect"};
  }
  Result<std::optional<Bytes>> revoke(std::string_view request) override {
    revoked.emplace_back(request);
    if (failure) return *failure;
    return unlisted ? std::optional<Bytes>() : to_bytes("list");
  }
  Result<Bytes> release(std::string_view request) override {
    released.emplace_back(request);
    if (failure) return *failure;
    return to_bytes("list");
  }
  Result<Bytes> current_crl() override { return to_bytes("list"); }
  Result<Bytes> root_crl() override { return to_bytes("root list"); }

  std::vector<std::array<std::string, 3>> issued;
  std::vector<std::string> revoked, released;
  std::optional<Error> failure;
  bool unlisted = false;
};

class RegistrationTest : public testing::Test {
 protected:
  RegistrationTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "intaglio-ra-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) panic("no temporary folder");
    folder_ = pattern;
    database_ = must(storage::test::open_database(folder_ / "ra.db"));
    if (!database_->migrate(migrations())) panic("the tables were not made");
    requests_ = std::make_shared<KeyRequests>(database_, clock_);
    endpoints_ =
        std::make_unique<Endpoints>(Parts{sam_, requests_, authority_, [this](const KeyId& key) { changed_.push_back(key.text()); }});
    endpoints_->add_routes(router_);
  }
  ~RegistrationTest() override {
    endpoints_.reset();
    requests_.reset();
    database_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] std::string request(const std::string& op, json::Value more = json::Value::object(),
                                    std::string_view typ = "intaglio-ra+jwt") const {
    more["op"] = op;
    more["rid"] = "r-1";
    more["iat"] = 1795171200;
    return must(crypto::make_jws(*key_, typ, "ra-1", json::encode(more)));
  }
  [[nodiscard]] http::Response send(const std::string& method, const std::string& path, const std::string& body,
                                    bool with_certificate = true) const {
    http::Request asked;
    asked.method = method;
    asked.path = path;
    asked.body = body;
    asked.headers["content-type"] = "application/json";
    if (with_certificate) asked.peer_certificate = certificate_;
    return router_.dispatch(asked);
  }
  [[nodiscard]] http::Response post(const std::string& path, const std::string& jws) const {
    json::Value body = json::Value::object();
    body["request"] = jws;
    return send("POST", path, json::encode(body));
  }
  void pending() {
    const auto kept = requests_->keep({must(KeyId::parse("key-1")), to_bytes("csr"), "assertion"}, must(SignerId::parse("alice")));
    ASSERT_TRUE(kept);
  }
  [[nodiscard]] static std::string sha256(std::string_view text) { return encode_base64url(crypto::sha256(as_bytes(text))); }
  [[nodiscard]] std::string issue_request() const {
    return request("issue-certificate", {{"key", "key-1"}, {"signer", "alice"}, {"csr_sha256", sha256("csr")}});
  }
  static void expect_refused(const http::Response& answer, unsigned status, std::string_view error) {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(must(json::parse(answer.body)).at("error"), error);
  }

  std::filesystem::path folder_;
  const Bytes certificate_ = some_certificate();
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(from_unix_seconds(1795171200));
  std::shared_ptr<crypto::SoftwareKey> key_ = must(crypto::SoftwareKey::generate());
  std::shared_ptr<FakeSam> sam_ = std::make_shared<FakeSam>();
  std::shared_ptr<FakeAuthority> authority_ = std::make_shared<FakeAuthority>();
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<KeyRequests> requests_;
  std::unique_ptr<Endpoints> endpoints_;
  http::Router router_;
  std::vector<std::string> changed_;
};

TEST_F(RegistrationTest, ASignerIsCreatedByTheSamWithTheOperatorsOwnRequest) {
  const auto jws = request("create-signer", {{"signer", "alice"}});
  const auto answer = post("/ra/v1/signers", jws);
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.body, R"({"activationCode":"sealed-code","signerID":"alice"})");
  EXPECT_EQ(sam_->calls, std::vector<std::string>{jws});
}

TEST_F(RegistrationTest, FactorsAreResetByTheSamAndTheKeysAreForgottenHere) {
  const auto jws = request("reset-factors", {{"signer", "alice"}});
  expect_refused(post("/ra/v1/resets", request("create-signer", {{"signer", "alice"}})), 400, "invalid_request");
  EXPECT_EQ(post("/ra/v1/resets", jws).body, R"({"activationCode":"sealed-code","signerID":"alice"})");
  EXPECT_EQ(sam_->calls, std::vector<std::string>{jws});
  EXPECT_EQ(changed_, std::vector<std::string>{"key-1"});
}

TEST_F(RegistrationTest, AnOperatorsOwnRequestSuspendsAKey) {
  const auto jws = request("suspend-key", {{"key", "key-1"}, {"reason", "phone lost"}});
  expect_refused(post("/ra/v1/suspensions", request("resume-key", {{"key", "key-1"}})), 400, "invalid_request");
  EXPECT_EQ(post("/ra/v1/suspensions", jws).body, R"({"credentialID":"key-1","state":"suspended"})");
  EXPECT_EQ(sam_->calls, std::vector<std::string>{jws});
  EXPECT_EQ(changed_, std::vector<std::string>{"key-1"});
}

TEST_F(RegistrationTest, EveryRouteAsksForAClientCertificate) {
  for (const auto* path : {"/ra/v1/signers", "/ra/v1/resets", "/ra/v1/certificates", "/ra/v1/bindings", "/ra/v1/suspensions",
                           "/ra/v1/resumptions", "/ra/v1/revocations", "/ra/v1/releases"}) {
    EXPECT_GE(send("POST", path, "{}", false).status, 400U) << path;
    EXPECT_EQ(send("POST", path, "{}", false).body.find("signerID"), std::string::npos);
  }
  EXPECT_EQ(send("GET", "/ra/v1/requests/key-1", "", false).status, 403U);
  EXPECT_TRUE(sam_->calls.empty());
}

TEST_F(RegistrationTest, ARequestOfAnotherFormOrOperationIsNotRelayed) {
  const std::vector<std::string> wrong{request("create-signer", {}, "JWT"), request("resume-key"), "no.jws", "", std::string(70000, 'a')};
  for (const auto& jws : wrong) {
    EXPECT_GE(post("/ra/v1/signers", jws).status, 400U) << jws.substr(0, 40);
  }
  for (const auto* member : {"rid", "iat"}) {
    json::Value payload{{"op", "create-signer"}, {"rid", "r"}, {"iat", 1}};
    payload.erase(member);
    expect_refused(post("/ra/v1/signers", must(crypto::make_jws(*key_, "intaglio-ra+jwt", "ra-1", json::encode(payload)))), 400,
                   "invalid_request");
  }
  for (const std::string body : {"", "[]", "{", R"({"request":5})", R"({"request":null})"}) {
    expect_refused(send("POST", "/ra/v1/signers", body), 400, "invalid_request");
  }
  EXPECT_TRUE(sam_->calls.empty());
}

TEST_F(RegistrationTest, APendingRequestShowsWhatTheSamSaidOfTheKey) {
  pending();
  const auto answer = send("GET", "/ra/v1/requests/key-1", "");
  EXPECT_EQ(answer.body, R"({"credentialID":"key-1","csr":"Y3Ny","keyAssertion":"assertion","signerID":"alice"})");
  expect_refused(send("GET", "/ra/v1/requests/key-2", ""), 404, "not_found");
  expect_refused(send("GET", "/ra/v1/requests/a%20b", ""), 404, "not_found");
}

TEST_F(RegistrationTest, AKeyIsKeptOnce) {
  pending();
  const auto again = requests_->keep({must(KeyId::parse("key-1")), to_bytes("other"), "other"}, must(SignerId::parse("bob")));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::conflict);
}

TEST_F(RegistrationTest, ACertificateIsIssuedForThePendingKeyAndKeptUntilItIsBound) {
  pending();
  const auto jws = issue_request();
  const auto answer = post("/ra/v1/certificates", jws);
  EXPECT_EQ(answer.body, R"({"certificates":["bGVhZg==","aXNzdWVy"]})");
  ASSERT_EQ(authority_->issued.size(), 1U);
  EXPECT_EQ(authority_->issued.front(), (std::array<std::string, 3>{jws, "assertion", "csr"}));

  const auto bind = request("bind-certificate", {{"key", "key-1"}, {"certificate_sha256", sha256("leaf")}});
  EXPECT_EQ(post("/ra/v1/bindings", bind).body, R"({"credentialID":"key-1","state":"assigned"})");
  EXPECT_EQ(sam_->calls, std::vector<std::string>{bind});
  EXPECT_EQ(sam_->bound, (std::vector<Bytes>{to_bytes("leaf"), to_bytes("issuer")}));
  EXPECT_EQ(changed_, std::vector<std::string>{"key-1"});
}

TEST_F(RegistrationTest, ACertificateIsNotAskedForAnotherCsrOrAnUnknownKey) {
  pending();
  expect_refused(post("/ra/v1/certificates", request("issue-certificate", {{"key", "key-1"}, {"csr_sha256", sha256("other")}})), 400,
                 "invalid_request");
  expect_refused(post("/ra/v1/certificates", request("issue-certificate", {{"key", "key-1"}})), 400, "invalid_request");
  expect_refused(post("/ra/v1/certificates", request("issue-certificate", {{"key", "key-2"}, {"csr_sha256", sha256("csr")}})), 404,
                 "not_found");
  EXPECT_TRUE(authority_->issued.empty());
}

TEST_F(RegistrationTest, OnlyTheCertificateThatWasIssuedIsBound) {
  pending();
  const auto bind = request("bind-certificate", {{"key", "key-1"}, {"certificate_sha256", sha256("leaf")}});
  expect_refused(post("/ra/v1/bindings", bind), 404, "not_found");
  EXPECT_EQ(post("/ra/v1/certificates", issue_request()).status, 200U);
  expect_refused(post("/ra/v1/bindings", request("bind-certificate", {{"key", "key-1"}, {"certificate_sha256", sha256("else")}})), 400,
                 "invalid_request");
  EXPECT_TRUE(sam_->calls.empty());
}

TEST_F(RegistrationTest, AKeyIsSuspendedAndResumed) {
  EXPECT_EQ(send("POST", "/ra/v1/suspensions", R"({"credentialID":"key-1","reason":"lost phone"})").body,
            R"({"credentialID":"key-1","state":"suspended"})");
  expect_refused(send("POST", "/ra/v1/suspensions", R"({"credentialID":"key-1"})"), 400, "invalid_request");
  expect_refused(send("POST", "/ra/v1/suspensions", R"({"credentialID":"a b","reason":"x"})"), 400, "invalid_request");
  const auto jws = request("resume-key", {{"key", "key-1"}});
  EXPECT_EQ(post("/ra/v1/resumptions", jws).body, R"({"credentialID":"key-1","state":"assigned"})");
  EXPECT_EQ(sam_->calls, (std::vector<std::string>{"suspend key-1 lost phone", jws}));
  EXPECT_EQ(changed_, (std::vector<std::string>{"key-1", "key-1"}));
}

TEST_F(RegistrationTest, ARevocationReachesTheAuthorityAndThenTheSam) {
  const auto jws = request("revoke-certificate", {{"key", "key-1"}, {"serial", "01"}, {"reason", "keyCompromise"}});
  EXPECT_EQ(post("/ra/v1/revocations", jws).body, R"({"credentialID":"key-1","state":"revoked"})");
  EXPECT_EQ(authority_->revoked, std::vector<std::string>{jws});
  EXPECT_EQ(sam_->calls, std::vector<std::string>{"crl list"});
  EXPECT_EQ(changed_, std::vector<std::string>{"key-1"});
}

TEST_F(RegistrationTest, AKeyIsSuspendedWhenTheSamDidNotTakeTheRevocation) {
  sam_->failure = Error{ErrorCode::invalid_request, "no CRL of ours"};
  sam_->suspends_always = true;
  const auto jws = request("revoke-certificate", {{"key", "key-1"}, {"serial", "01"}});
  EXPECT_EQ(post("/ra/v1/revocations", jws).status, 400U);
  EXPECT_EQ(sam_->calls, (std::vector<std::string>{"crl list", "suspend key-1 revocation"}));
}

TEST_F(RegistrationTest, ARevocationThatNoListShowsYetStopsTheKeyAtOnce) {
  authority_->unlisted = true;
  const auto jws = request("revoke-certificate", {{"key", "key-1"}, {"serial", "01"}});
  EXPECT_EQ(post("/ra/v1/revocations", jws).body, R"({"credentialID":"key-1","state":"revoked"})");
  EXPECT_EQ(sam_->calls, std::vector<std::string>{"suspend key-1 revocation"});
  EXPECT_EQ(changed_, std::vector<std::string>{"key-1"});
  sam_->failure = Error{ErrorCode::conflict, "not assigned"};
  EXPECT_EQ(post("/ra/v1/revocations", jws).status, 503U) << "the key may sign still: the operator must know";
}

TEST_F(RegistrationTest, AReleaseReachesTheAuthorityAndThenTheSam) {
  const auto jws = request("release-certificate", {{"key", "key-1"}, {"serial", "01"}});
  EXPECT_EQ(post("/ra/v1/releases", jws).body, R"({"credentialID":"key-1","state":"released"})");
  EXPECT_EQ(authority_->released, std::vector<std::string>{jws});
  EXPECT_EQ(sam_->calls, std::vector<std::string>{"crl list"}) << "the list alone: that the key signs again is another request";
  EXPECT_EQ(changed_, std::vector<std::string>{"key-1"});
  expect_refused(post("/ra/v1/releases", request("revoke-certificate", {{"key", "key-1"}})), 400, "invalid_request");
  authority_->failure = Error{ErrorCode::conflict, "not on hold"};
  expect_refused(post("/ra/v1/releases", jws), 409, "conflict");
  EXPECT_EQ(sam_->calls.size(), 1U);
}

TEST_F(RegistrationTest, ARefusedRevocationChangesNothing) {
  authority_->failure = Error{ErrorCode::not_authorised, "not an operator"};
  expect_refused(post("/ra/v1/revocations", request("revoke-certificate", {{"key", "key-1"}})), 403, "not_authorised");
  EXPECT_TRUE(sam_->calls.empty());
  EXPECT_TRUE(changed_.empty());
}

TEST_F(RegistrationTest, WhatTheSamRefusesIsToldWithoutItsDetail) {
  sam_->failure = Error{ErrorCode::not_authorised, "operator ra-9 is not registered"};
  const auto answer = post("/ra/v1/signers", request("create-signer"));
  expect_refused(answer, 403, "not_authorised");
  EXPECT_EQ(answer.body.find("ra-9"), std::string::npos);
}

}  // namespace
}  // namespace intaglio::registration
