#include "registration/endpoints.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <set>
#include <tuple>

#include "base/test_support.h"
#include "crypto/certificate.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "crypto/signer.h"
#include "registration/signer_revocation.h"
#include "storage/test_support.h"

namespace intaglio::registration {
namespace {

using test::must;

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
  Result<protocol::Authorised> extend(const protocol::ExtendRequest&) override { return unexpected(); }
  Result<protocol::Opened> open_enrolment(const protocol::OpenEnrolment&) override { return unexpected(); }
  Result<protocol::Opened> open_key_generation(const protocol::OpenKeyGeneration&) override { return unexpected(); }
  Result<protocol::Opened> open_factor_change(const protocol::OpenEnrolment&) override { return unexpected(); }
  Result<protocol::Opened> open_key_change(const protocol::OpenKeyChange&) override { return unexpected(); }
  Result<protocol::Opened> open_grant(const protocol::OpenGrant&) override { return unexpected(); }
  Status end_grant(std::string_view, std::string_view) override { return unexpected(); }
  Result<SignerId> recognise_device(std::string_view) override { return unexpected(); }
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
    if (meanwhile) meanwhile();
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
    if (meanwhile) meanwhile();
    return failure ? Status(*failure) : Status();
  }
  Status put_revocation_data(ByteView crl) override {
    calls.push_back("crl " + std::string(as_text(crl)));
    return failure ? Status(*failure) : Status();
  }
  Result<std::vector<protocol::CredentialFacts>> list_credentials(const SignerId& signer) override {
    return std::vector<protocol::CredentialFacts>{
        {must(KeyId::parse("key-1")), signer, state_of_keys, crypto::KeyAlgorithm::rsa3072, {}, {}, false, "direct-resident", 1}};
  }
  Result<protocol::CredentialFacts> credential(const KeyId&) override { return unexpected(); }
  Result<std::string> receipt(std::uint64_t, const crypto::Sha256Digest&) override { return unexpected(); }
  Result<std::string> status() override { return unexpected(); }
  Result<std::string> public_keys() override { return unexpected(); }

  std::vector<std::string> calls;
  std::vector<Bytes> bound;
  std::optional<Error> failure;
  bool suspends_always = false;
  std::function<void()> meanwhile;  ///< while the SAM binds or resumes
  protocol::KeyState state_of_keys = protocol::KeyState::destroyed;

 private:
  static Error unexpected() { panic("not a call of the registration authority"); }
};

class FakeAuthority final : public CertificationAuthority {
 public:
  Result<std::vector<Bytes>> issue(std::string_view request, std::string_view assertion, ByteView csr) override {
    issued.push_back({std::string(request), std::string(assertion), std::string(as_text(csr))});
    if (meanwhile) meanwhile();
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
  std::function<void()> meanwhile;  ///< while it issues
  std::vector<std::string> revoked, released;
  std::optional<Error> failure;
  bool unlisted = false;
};

class RegistrationTest : public testing::Test {
 protected:
  RegistrationTest() {
    database_ = must(storage::test::open_database(folder_ / "ra.db"));
    for (const auto* series : {&storage::Leases::migrations(), &migrations(), &audit::Log::migrations()}) {
      if (!database_->migrate(*series)) panic("the tables were not made");
    }
    log_ = must(audit::Log::open({"intaglio/ssa/test", folder_ / "audit", folder_ / "anchor"}, *database_, key_, clock_));
    requests_ = std::make_shared<KeyRequests>(database_, clock_);
    enrolments_ = std::make_shared<Enrolments>(database_, clock_, *log_);
    codes_ = std::make_shared<RevocationCodes>(database_, clock_, *log_);
    serve({});
  }
  ~RegistrationTest() override {
    endpoints_.reset();
    signer_revocation_.reset();
    requests_.reset();
    enrolments_.reset();
    codes_.reset();
    log_.reset();
    database_.reset();
  }

  /// Everything of this room behind one router, with this policy.
  void serve(SecondPerson second_person) {
    const auto changed = [this](const KeyId& key) { changed_.push_back(key.text()); };
    router_ = http::Router();
    endpoints_ = std::make_unique<Endpoints>(Parts{sam_, requests_, authority_, changed, enrolments_, codes_,
                                                   std::make_shared<const Recorder>(enrolments_, requests_), clock_,
                                                   std::make_shared<storage::Leases>(database_, clock_, "ssa-1"), second_person});
    endpoints_->add_routes(router_);
    signer_revocation_ = std::make_unique<SignerRevocation>(SignerRevocation::Parts{sam_, enrolments_, codes_, clock_, changed},
                                                            http::RateLimit::Bounds{.each = 15, .all = 40});
    signer_revocation_->add_routes(router_);
  }
  [[nodiscard]] std::string request(const std::string& op, json::Value more = json::Value::object(),
                                    std::string_view typ = "intaglio-ra+jwt", const std::string& officer = "ra-1") const {
    more["op"] = op;
    more["rid"] = "r-1";
    more["iat"] = 1795171200;
    return must(crypto::make_jws(*key_, typ, officer, json::encode(more)));
  }
  [[nodiscard]] std::string request_of(const std::string& officer, const std::string& op, json::Value more) const {
    return request(op, std::move(more), "intaglio-ra+jwt", officer);
  }
  [[nodiscard]] json::Value get(const std::string& path, const std::string& query = {}) const {
    http::Request asked;
    asked.method = "GET";
    asked.path = path;
    asked.query = query;
    asked.peer_certificate = certificate_;
    const auto answer = router_.dispatch(asked);
    auto body = must(json::parse(answer.body));
    if (answer.status != 200) body["status"] = answer.status;
    return body;
  }
  /// Enrols alice; gives her revocation code.
  std::string enrol(json::Value more = json::Value::object()) {
    more["signer"] = "alice";
    const auto answer = post("/ra/v1/signers", request("create-signer", std::move(more)));
    return must(json::text_member(must(json::parse(answer.body)), "revocationCode"));
  }
  [[nodiscard]] http::Response redeem(const std::string& code, const std::string& address = "192.0.2.1") const {
    http::Request asked;
    asked.method = "POST";
    asked.path = "/sic/v1/revocations";
    asked.headers["content-type"] = "application/json";
    asked.body = json::encode({{"code", code}});
    asked.peer_address = address;
    return router_.dispatch(asked);
  }
  [[nodiscard]] EnrolmentState state_of(const std::string& key) const {
    const auto id = key.empty() ? std::optional<KeyId>() : std::optional<KeyId>(must(KeyId::parse(key)));
    return must(enrolments_->state_of(must(SignerId::parse("alice")), id));
  }
  void stand(const std::string& key, EnrolmentState state) {
    ASSERT_TRUE(enrolments_->change({must(SignerId::parse("alice")), must(KeyId::parse(key)), state, "test"}));
  }
  /// The audit events of this room, as "subject actor field=value …".
  [[nodiscard]] std::vector<std::string> audited() const {
    std::vector<std::string> told;
    const auto done = database_->read([&](storage::Reader& reader) -> Status {
      const auto selected = log_->select(reader, {});
      if (!selected) return selected.error();
      for (const auto& text : selected->events) {
        const auto event = must(json::parse(text));
        std::string line = event.at("subject").get<std::string>() + " " + event.at("actor").get<std::string>();
        for (const auto& field : event.at("fields").items()) line += " " + field.key() + "=" + field.value().get<std::string>();
        told.push_back(std::move(line));
      }
      return {};
    });
    if (!done) panic("the log was not read");
    return told;
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

  test::TemporaryFolder folder_;
  const Bytes certificate_ = some_certificate();
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(from_unix_seconds(1795171200));
  std::shared_ptr<crypto::SoftwareKey> key_ = must(crypto::SoftwareKey::generate());
  std::shared_ptr<FakeSam> sam_ = std::make_shared<FakeSam>();
  std::shared_ptr<FakeAuthority> authority_ = std::make_shared<FakeAuthority>();
  std::shared_ptr<storage::Database> database_;
  std::unique_ptr<audit::Log> log_;
  std::shared_ptr<KeyRequests> requests_;
  std::shared_ptr<Enrolments> enrolments_;
  std::shared_ptr<RevocationCodes> codes_;
  std::unique_ptr<Endpoints> endpoints_;
  std::unique_ptr<SignerRevocation> signer_revocation_;
  http::Router router_;
  std::vector<std::string> changed_;
};

TEST_F(RegistrationTest, ASignerIsCreatedByTheSamWithTheOperatorsOwnRequest) {
  const auto jws = request("create-signer", {{"signer", "alice"}});
  const auto answer = post("/ra/v1/signers", jws);
  EXPECT_EQ(answer.status, 200U);
  const auto body = must(json::parse(answer.body));
  EXPECT_EQ(body.at("activationCode"), "sealed-code");
  EXPECT_EQ(body.at("signerID"), "alice");
  EXPECT_EQ(sam_->calls, std::vector<std::string>{jws});
}

TEST_F(RegistrationTest, FactorsAreResetByTheSamAndTheKeysAreForgottenHere) {
  const auto jws = request("reset-factors", {{"signer", "alice"}});
  expect_refused(post("/ra/v1/resets", request("create-signer", {{"signer", "alice"}})), 400, "invalid_request");
  const auto body = must(json::parse(post("/ra/v1/resets", jws).body));
  EXPECT_EQ(body.at("activationCode"), "sealed-code");
  EXPECT_EQ(body.at("signerID"), "alice");
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
  for (const auto* path : {"/ra/v1/requests/key-1", "/ra/v1/enrolments", "/ra/v1/enrolments/alice"}) {
    EXPECT_EQ(send("GET", path, "", false).status, 403U) << path;
  }
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

TEST_F(RegistrationTest, APendingRequestShowsTheCertificateThatWasIssuedForIt) {
  pending();
  ASSERT_TRUE(requests_->issued(must(KeyId::parse("key-1")), {to_bytes("leaf"), to_bytes("issuer")}));
  const auto answer = must(json::parse(send("GET", "/ra/v1/requests/key-1", "").body));
  EXPECT_EQ(*json::member(answer, "certificates"), (json::Value{"bGVhZg==", "aXNzdWVy"}));
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

TEST_F(RegistrationTest, AnEnrolmentIsFollowedFromTheCodeToTheCertificateAndEveryStepIsAudited) {
  const auto code = enrol({{"level", "substantial"}});
  const Recorder recorder(enrolments_, requests_);
  recorder.device_registered(must(SignerId::parse("alice")));
  pending();
  recorder.key_made(must(SignerId::parse("alice")), must(KeyId::parse("key-1")));
  EXPECT_EQ(post("/ra/v1/certificates", issue_request()).status, 200U);
  EXPECT_EQ(post("/ra/v1/bindings", request("bind-certificate", {{"key", "key-1"}, {"certificate_sha256", sha256("leaf")}})).status, 200U);
  const auto shown = get("/ra/v1/enrolments/alice");
  EXPECT_EQ(shown.at("state"), "device_registered");
  EXPECT_EQ(shown.at("enrolledBy"), "ra-1");
  EXPECT_EQ(shown.at("level"), "substantial");
  EXPECT_EQ(shown.at("since"), format_utc(clock_->now()));
  ASSERT_EQ(shown.at("keys").size(), 1U);
  EXPECT_EQ(shown.at("keys")[0].at("credentialID"), "key-1");
  EXPECT_EQ(shown.at("keys")[0].at("state"), "key_certified");
  EXPECT_EQ(audited(), (std::vector<std::string>{
                           "alice ra-1 from=none level=substantial to=code_sent",
                           "alice signer:alice from=code_sent to=device_registered",
                           "alice signer:alice credential=key-1 from=none to=key_made",
                           "alice ra-1 credential=key-1 from=key_made to=key_certified",
                       }));
  for (const json::Value& level : {json::Value("best"), json::Value(3), json::Value("")}) {
    expect_refused(post("/ra/v1/signers", request("create-signer", {{"signer", "bob"}, {"level", level}})), 400, "invalid_request");
  }
}

TEST_F(RegistrationTest, TheRegisterIsReadInPagesAndByState) {
  enrol();
  for (const auto* key : {"k1", "k2", "k3"}) stand(key, EnrolmentState::key_made);
  auto first = get("/ra/v1/enrolments", "limit=2");
  EXPECT_EQ(first.at("enrolments").size(), 2U);
  EXPECT_EQ(first.at("next"), "alice.k1");
  const auto second = get("/ra/v1/enrolments", "limit=2&after=alice.k1");
  EXPECT_EQ(second.at("enrolments")[0].at("credentialID"), "k2");
  EXPECT_FALSE(second.contains("next"));
  EXPECT_EQ(get("/ra/v1/enrolments", "limit=1").at("next"), "alice");
  EXPECT_EQ(get("/ra/v1/enrolments", "limit=1&after=alice").at("next"), "alice.k1");
  EXPECT_EQ(get("/ra/v1/enrolments", "state=code_sent").at("enrolments").size(), 1U);
  EXPECT_EQ(get("/ra/v1/enrolments", "state=key_made").at("enrolments").size(), 3U);
  for (const auto* query :
       {"state=none", "state=", "state=x", "limit=0", "limit=101", "limit=1x", "limit=", "limit=-1", "after=", "after=.", "after=alice.",
        "after=a%20b", "after=a.b.c", "limit=1&limit=2", "state=%", "ending=0", "ending=3661", "ending=x", "ending="}) {
    EXPECT_EQ(get("/ra/v1/enrolments", query).value("error", ""), "invalid_request") << query;
  }
  EXPECT_EQ(get("/ra/v1/enrolments/bob").value("status", 0), 404);
  EXPECT_EQ(get("/ra/v1/enrolments/a%20b").value("status", 0), 404);
}

TEST_F(RegistrationTest, AResetSendsTheSignerBackToTheCodeAndEndsHisKeys) {
  const auto before = enrol();
  stand("key-1", EnrolmentState::key_certified);
  stand("key-0", EnrolmentState::revoked);
  EXPECT_EQ(post("/ra/v1/resets", request_of("ra-2", "reset-factors", {{"signer", "alice"}})).status, 200U);
  EXPECT_EQ(state_of(""), EnrolmentState::code_sent);
  EXPECT_EQ(state_of("key-1"), EnrolmentState::ended);
  EXPECT_EQ(state_of("key-0"), EnrolmentState::revoked);
  EXPECT_EQ(get("/ra/v1/enrolments/alice").at("enrolledBy"), "ra-2");
  EXPECT_EQ(redeem(before).status, 403U) << "the code of before";
}

TEST_F(RegistrationTest, ARefusedSignerIsNotInTheRegisterAndHasNoCode) {
  sam_->failure = Error{ErrorCode::not_authorised, "not an operator"};
  expect_refused(post("/ra/v1/signers", request("create-signer", {{"signer", "alice"}})), 403, "not_authorised");
  EXPECT_EQ(state_of(""), EnrolmentState::none);
  EXPECT_TRUE(audited().empty());
}

TEST_F(RegistrationTest, ARevocationCodeStopsTheSignersKeysAndNothingGoesOnFromThere) {
  const auto code = enrol();
  pending();
  stand("key-1", EnrolmentState::key_certified);
  sam_->calls.clear();
  sam_->state_of_keys = protocol::KeyState::assigned;
  std::string typed = code;
  for (auto& c : typed) c = c == '-' ? ' ' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  EXPECT_EQ(redeem(typed).body, R"({"state":"revocation_requested"})");
  EXPECT_EQ(sam_->calls, std::vector<std::string>{"suspend key-1 revocation code"});
  EXPECT_EQ(changed_, std::vector<std::string>{"key-1"});
  EXPECT_EQ(state_of(""), EnrolmentState::revocation_requested);
  EXPECT_EQ(state_of("key-1"), EnrolmentState::revocation_requested);
  EXPECT_EQ(get("/ra/v1/enrolments", "state=revocation_requested").at("enrolments").size(), 2U);
  EXPECT_EQ(redeem(code).status, 200U) << "again, and nothing new";
  sam_->calls.clear();
  expect_refused(post("/ra/v1/resumptions", request("resume-key", {{"key", "key-1"}})), 409, "conflict");
  expect_refused(post("/ra/v1/releases", request("release-certificate", {{"key", "key-1"}, {"serial", "01"}})), 409, "conflict");
  expect_refused(post("/ra/v1/certificates", issue_request()), 409, "conflict");
  expect_refused(post("/ra/v1/bindings", request("bind-certificate", {{"key", "key-1"}})), 409, "conflict");
  EXPECT_TRUE(sam_->calls.empty() && authority_->issued.empty() && authority_->released.empty());
  EXPECT_EQ(
      post("/ra/v1/revocations", request("revoke-certificate", {{"key", "key-1"}, {"serial", "01"}, {"reason", "superseded"}})).status,
      200U);
  EXPECT_EQ(state_of("key-1"), EnrolmentState::revoked);
}

TEST_F(RegistrationTest, ACertificateIsNotAskedForAgainWhileTheCaMakesIt) {
  pending();
  authority_->meanwhile = [&] {
    authority_->meanwhile = nullptr;
    expect_refused(post("/ra/v1/certificates", issue_request()), 409, "conflict");
  };
  EXPECT_EQ(post("/ra/v1/certificates", issue_request()).status, 200U);
  EXPECT_EQ(authority_->issued.size(), 1U);
}

TEST_F(RegistrationTest, ACertificateIsNotAskedForWhileAnotherNodeAsksForIt) {
  pending();
  storage::Leases other(database_, clock_, "ssa-2");
  ASSERT_TRUE(must(other.take("issue/key-1", std::chrono::minutes(10))));
  expect_refused(post("/ra/v1/certificates", issue_request()), 409, "conflict");
  EXPECT_TRUE(authority_->issued.empty());
  ASSERT_TRUE(other.give_back("issue/key-1"));
  EXPECT_EQ(post("/ra/v1/certificates", issue_request()).status, 200U);
}

TEST_F(RegistrationTest, ACodeThatIsGivenWhileTheSamResumesTheKeyStopsItAfterwards) {
  const auto code = enrol();
  pending();
  stand("key-1", EnrolmentState::suspended);
  sam_->state_of_keys = protocol::KeyState::suspended;
  sam_->calls.clear();
  sam_->meanwhile = [&] { EXPECT_EQ(redeem(code).status, 200U); };
  expect_refused(post("/ra/v1/resumptions", request("resume-key", {{"key", "key-1"}})), 409, "conflict");
  EXPECT_EQ(sam_->calls.back(), "suspend key-1 revocation code");
  EXPECT_EQ(state_of("key-1"), EnrolmentState::revocation_requested);
}

TEST_F(RegistrationTest, ACodeThatTheSamDidNotHearOfIsUsedAgain) {
  const auto code = enrol();
  sam_->state_of_keys = protocol::KeyState::assigned;
  sam_->failure = Error{ErrorCode::busy, "no connection"};
  EXPECT_EQ(redeem(code).status, 503U);
  EXPECT_EQ(state_of("key-1"), EnrolmentState::revocation_requested) << "the operator sees it all the same";
  sam_->failure.reset();
  EXPECT_EQ(redeem(code).status, 200U);
}

TEST_F(RegistrationTest, ARevocationCodeComesFromNoPageOfABrowser) {
  const auto code = enrol();
  http::Request asked;
  asked.method = "POST";
  asked.path = "/sic/v1/revocations";
  asked.body = json::encode({{"code", code}});
  asked.peer_address = "192.0.2.1";
  EXPECT_EQ(router_.dispatch(asked).status, 400U) << "no type";
  for (const std::string type :
       {"text/plain", "application/x-www-form-urlencoded", "application/json-patch", "text/plain; application/json"}) {
    asked.headers["content-type"] = type;
    EXPECT_EQ(router_.dispatch(asked).status, 400U) << type;
  }
  asked.headers["content-type"] = "application/json; charset=utf-8";
  asked.headers["origin"] = "https://elsewhere.example";
  EXPECT_EQ(router_.dispatch(asked).status, 403U);
  EXPECT_TRUE(state_of("") == EnrolmentState::code_sent);
  asked.headers.erase("origin");
  EXPECT_EQ(router_.dispatch(asked).status, 200U);
}

TEST_F(RegistrationTest, WhatIsNoRevocationCodeInForceIsRefusedInOneWay) {
  const auto code = enrol();
  const auto wrong = code.substr(0, code.size() - 1) + (code.back() == 'A' ? 'B' : 'A');
  const auto unknown = (code.front() == 'A' ? "B" : "A") + code.substr(1);
  std::vector<std::string> bodies;
  for (const auto& text : {wrong, unknown, std::string("x"), std::string(), std::string(60, '-'), code + "A", std::string("1!")}) {
    const auto answer = redeem(text);
    EXPECT_EQ(answer.status, 403U) << text;
    bodies.push_back(answer.body);
  }
  EXPECT_EQ(std::set<std::string>(bodies.begin(), bodies.end()).size(), 1U);
  EXPECT_EQ(audited().back(), "alice ssa tries_left=9") << "only the try of a code that exists is counted";
  for (const std::string body : {"", "[]", "{", "{}", R"({"code":5})", R"({"code":null})"}) {
    expect_refused(send("POST", "/sic/v1/revocations", body, false), 400, "invalid_request");
  }
  EXPECT_EQ(state_of(""), EnrolmentState::code_sent);
}

TEST_F(RegistrationTest, ACodeThatWasTriedTooOftenIsOneNoMore) {
  const auto code = enrol();
  const auto wrong = code.substr(0, code.size() - 1) + (code.back() == 'A' ? 'B' : 'A');
  for (std::int64_t tries = 0; tries < RevocationCodes::tries - 1; ++tries) EXPECT_EQ(redeem(wrong).status, 403U);
  EXPECT_EQ(redeem(code).status, 200U) << "the last try";
  for (std::int64_t tries = 0; tries < RevocationCodes::tries; ++tries) EXPECT_EQ(redeem(wrong, "192.0.2.2").status, 403U);
  EXPECT_EQ(redeem(code, "192.0.2.3").status, 403U);
}

TEST_F(RegistrationTest, StrangersAskSoOftenInAMinuteAndNoMore) {
  const auto code = enrol();
  for (int i = 0; i < 15; ++i) EXPECT_EQ(redeem("x").status, 403U);
  expect_refused(redeem(code), 429, "limit_exceeded");
  EXPECT_EQ(redeem(code, "192.0.2.2").status, 200U) << "somebody else";
  for (int i = 0; i < 24; ++i) EXPECT_EQ(redeem("x", "192.0.2." + std::to_string(10 + i)).status, 403U);
  expect_refused(redeem(code, "192.0.2.99"), 429, "limit_exceeded");
  clock_->advance(std::chrono::minutes(1));
  EXPECT_EQ(redeem(code).status, 200U);
}

TEST_F(RegistrationTest, AnEmergencyStopsTheKeyBeforeThePkiIsAsked) {
  stand("key-1", EnrolmentState::key_certified);
  authority_->failure = Error{ErrorCode::busy, "the PKI is away"};
  const json::Value revocation{
      {"key", "key-1"}, {"serial", "01"}, {"reason", "keyCompromise"}, {"urgency", "emergency"}, {"channel", "hotline"}};
  EXPECT_EQ(post("/ra/v1/revocations", request("revoke-certificate", revocation)).status, 503U);
  EXPECT_EQ(sam_->calls, std::vector<std::string>{"suspend key-1 emergency"});
  authority_->failure.reset();
  EXPECT_EQ(post("/ra/v1/revocations", request("revoke-certificate", revocation)).status, 200U);
  EXPECT_EQ(audited().back(),
            "alice ra-1 channel=hotline credential=key-1 from=suspended reason=keyCompromise to=revoked urgency=emergency");
  for (const auto* member : {"urgency", "channel"}) {
    for (const json::Value& value : {json::Value("soon"), json::Value(1), json::Value("")}) {
      auto changed = revocation;
      changed[member] = value;
      expect_refused(post("/ra/v1/revocations", request("revoke-certificate", changed)), 400, "invalid_request");
    }
  }
}

TEST_F(RegistrationTest, AHoldIsASuspensionInTheRegister) {
  stand("key-1", EnrolmentState::key_certified);
  const json::Value hold{{"key", "key-1"}, {"serial", "01"}, {"reason", "certificateHold"}};
  EXPECT_EQ(post("/ra/v1/revocations", request("revoke-certificate", hold)).status, 200U);
  EXPECT_EQ(state_of("key-1"), EnrolmentState::suspended);
  EXPECT_EQ(post("/ra/v1/resumptions", request("resume-key", {{"key", "key-1"}})).status, 200U);
  EXPECT_EQ(state_of("key-1"), EnrolmentState::key_certified);
}

TEST_F(RegistrationTest, WhoEnrolledTheSignerDoesNotCertifyResumeOrRevokeAloneWherePolicySaysSo) {
  enrol();
  pending();
  stand("key-1", EnrolmentState::key_made);
  const json::Value issue{{"key", "key-1"}, {"signer", "alice"}, {"csr_sha256", sha256("csr")}};
  const json::Value bind{{"key", "key-1"}, {"certificate_sha256", sha256("leaf")}};
  const json::Value key{{"key", "key-1"}};
  const json::Value revocation{{"key", "key-1"}, {"serial", "01"}, {"reason", "superseded"}};
  const std::vector<std::tuple<const char*, const char*, json::Value>> held{{"/ra/v1/certificates", "issue-certificate", issue},
                                                                            {"/ra/v1/bindings", "bind-certificate", bind},
                                                                            {"/ra/v1/resumptions", "resume-key", key},
                                                                            {"/ra/v1/releases", "release-certificate", revocation},
                                                                            {"/ra/v1/revocations", "revoke-certificate", revocation}};
  serve({.certify = true, .resume = true, .revoke = true});
  sam_->calls.clear();
  for (const auto& [path, op, body] : held) expect_refused(post(path, request_of("ra-1", op, body)), 403, "not_authorised");
  EXPECT_TRUE(sam_->calls.empty() && authority_->issued.empty() && authority_->revoked.empty() && authority_->released.empty());
  for (const auto& [path, op, body] : held) EXPECT_EQ(post(path, request_of("ra-2", op, body)).status, 200U) << path;
  auto emergency = revocation;
  emergency["urgency"] = "emergency";
  EXPECT_EQ(post("/ra/v1/revocations", request_of("ra-1", "revoke-certificate", emergency)).status, 200U)
      << "an emergency waits for nobody";
  EXPECT_EQ(post("/ra/v1/suspensions", request_of("ra-1", "suspend-key", {{"key", "key-1"}, {"reason", "lost"}})).status, 200U);
  // Nobody knows who enrolled the signer of this key: then nobody is known to be the second.
  expect_refused(post("/ra/v1/resumptions", request_of("ra-2", "resume-key", {{"key", "key-9"}})), 403, "not_authorised");
  serve({});
  EXPECT_EQ(post("/ra/v1/resumptions", request_of("ra-1", "resume-key", key)).status, 200U);
}

TEST_F(RegistrationTest, TheRegisterFollowsNoOtherPairOfStates) {
  stand("key-1", EnrolmentState::revoked);
  const auto told = audited().size();
  const auto back =
      enrolments_->change({must(SignerId::parse("alice")), must(KeyId::parse("key-1")), EnrolmentState::key_certified, "test"});
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code, ErrorCode::conflict);
  EXPECT_EQ(state_of("key-1"), EnrolmentState::revoked);
  EXPECT_EQ(audited().size(), told);
}

TEST_F(RegistrationTest, CertificatesAreSeenBeforeTheyEndAndExpireOnceWhenTheyDo) {
  const auto alice = must(SignerId::parse("alice"));
  const auto in_days = [&](int days) { return clock_->now() + std::chrono::hours(24 * days); };
  const auto certified = [&](const char* key, int days) {
    ASSERT_TRUE(enrolments_->change({alice, must(KeyId::parse(key)), EnrolmentState::key_certified, "test", {}, {}, in_days(days)}));
  };
  enrol();
  stand("no-end", EnrolmentState::key_certified);
  certified("k10", 10);
  certified("k40", 40);
  certified("k50", 50);
  stand("k50", EnrolmentState::revoked);
  const auto ending = [&](const std::string& query) {
    std::vector<std::string> keys;
    const auto page = get("/ra/v1/enrolments", query);
    for (const auto& line : page.at("enrolments")) keys.push_back(line.at("credentialID"));
    return keys;
  };
  EXPECT_EQ(ending("ending=30"), std::vector<std::string>{"k10"});
  EXPECT_EQ(ending("ending=41&state=key_certified"), (std::vector<std::string>{"k10", "k40"}));
  EXPECT_EQ(get("/ra/v1/enrolments", "ending=30").at("enrolments")[0].at("certificateEnds"), format_utc(in_days(10)));
  ASSERT_TRUE(enrolments_->expire_certificates());
  EXPECT_EQ(state_of("k10"), EnrolmentState::key_certified);
  clock_->advance(std::chrono::hours(24 * 60));
  const auto told = audited().size();
  ASSERT_TRUE(enrolments_->expire_certificates());
  EXPECT_EQ(audited().size(), told + 2);
  EXPECT_EQ(audited().back(), "alice ssa credential=k40 from=key_certified to=expired");
  EXPECT_EQ(state_of("k10"), EnrolmentState::expired);
  EXPECT_EQ(state_of("k50"), EnrolmentState::revoked);
  EXPECT_EQ(state_of("no-end"), EnrolmentState::key_certified);
  ASSERT_TRUE(enrolments_->expire_certificates());
  EXPECT_EQ(audited().size(), told + 2) << "nothing the second time";
}

}  // namespace
}  // namespace intaglio::registration
