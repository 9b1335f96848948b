#include "registration/external_ca.h"

#include <gtest/gtest.h>

#include <mutex>

#include "base/test_support.h"
#include "crypto/cmp/test_responder.h"
#include "crypto/jose/jws.h"
#include "http/server.h"
#include "storage/test_support.h"

namespace intaglio::registration {
namespace {

namespace der = crypto::der;
using crypto::testing::CmpResponder;

using test::must;

// Body types (RFC 4210, 5.1.2).
constexpr int certificate_confirmation = 24, revocation_request = 11, poll_request = 25;

const json::Value identity = {{"givenName", "Ann"}, {"surname", "Example"}, {"country", "DE"}, {"serialNumber", "PNODE-42"}};

Bytes subject_of(const std::string& serial) {
  return must(crypto::encode_name(
      {{"2.5.4.6", "DE"}, {"2.5.4.42", "Ann"}, {"2.5.4.4", "Example"}, {"2.5.4.3", "Ann Example"}, {"2.5.4.5", serial}}));
}

/// A database that is there and does not take, or does not show either, what it is given.
class FailingDatabase final : public storage::Database {
 public:
  explicit FailingDatabase(std::shared_ptr<storage::Database> database) : database_(std::move(database)) {}
  Status write(const std::function<Status(storage::Transaction&)>& work) override {
    return fails_writes ? Status(Error{ErrorCode::storage_unavailable, "the disk is full"}) : database_->write(work);
  }
  Status read(const std::function<Status(storage::Reader&)>& work) override {
    return fails_reads ? Status(Error{ErrorCode::storage_unavailable, "the server is away"}) : database_->read(work);
  }
  void on_commit(std::function<Status()> hook) override { database_->on_commit(std::move(hook)); }
  Status migrate(const std::vector<storage::Migration>& migrations) override { return database_->migrate(migrations); }

  bool fails_writes = false, fails_reads = false;

 private:
  std::shared_ptr<storage::Database> database_;
};

/// A complete list (RFC 5280, 5.1) that names these serial numbers.
Bytes make_list(const crypto::testing::CmpIdentity& issuer, const std::vector<Bytes>& serials) {
  const auto at = from_unix_seconds(CmpResponder::start);
  std::vector<Bytes> entries;
  for (const auto& serial : serials) entries.push_back(der::sequence({serial, der::time(at)}));
  const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
  const Bytes number = der::sequence({der::oid("2.5.29.20"), der::octet_string(der::integer(std::uint64_t{7}))});
  std::vector<Bytes> members{der::integer(std::uint64_t{1}), algorithm, issuer.certificate.subject_der(), der::time(at),
                             der::time(at + std::chrono::hours(24))};
  if (!entries.empty()) members.push_back(der::sequence(entries));
  members.push_back(der::explicit_tag(0, der::sequence({number})));
  const Bytes tbs = der::sequence(members);
  return crypto::assemble_signed(tbs, crypto::SignatureSuite::ecdsa_sha256,
                                 must(issuer.key->sign(crypto::SignatureSuite::ecdsa_sha256, tbs)));
}

/// The registration's side with a CA that speaks CMP over HTTP on this host; a test spoils one member of what is asked.
class ExternalCaTest : public testing::Test {
 protected:
  ExternalCaTest() {
    database_ = must(storage::test::open_database(folder_ / "ra.db"));
    for (const auto* series : {&storage::Leases::migrations(), &migrations()}) {
      if (!database_->migrate(*series)) panic("the tables were not made");
    }
    http::ListenerConfig listener;
    listener.tls = false;
    listener.workers = 1;
    server_ = must(http::Server::start(listener, [this](const http::Request& request) { return answer(request); }));
    outbound::HttpClientConfig outside;
    outside.allowed = {"127.0.0.1:" + std::to_string(server_->port())};
    outside.allow_plain_loopback = true;
    outside.keep_connections = false;
    const auto client = must(outbound::HttpClient::create(outside));
    requests_ = std::make_shared<KeyRequests>(database_, clock_);
    failing_ = std::make_shared<FailingDatabase>(database_);
    unsettled_ = std::make_shared<UnsettledCertificates>(failing_);
    client_ = std::make_unique<outbound::HttpClient>(client);
    start();
    csr_ = make_csr("PNODE-42");
    if (!requests_->keep({must(KeyId::parse("key-1")), csr_, "assertion"}, must(SignerId::parse("alice")))) panic("no request kept");
    request_ = {{"op", "issue-certificate"}, {"rid", "r-1"},    {"iat", CmpResponder::start},
                {"signer", "alice"},         {"key", "key-1"},  {"csr_sha256", encode_base64url(crypto::sha256(csr_))},
                {"identity", identity},      {"profile", "any"}};
    assertion_ = {{"signer", "alice"},
                  {"key", "key-1"},
                  {"spki_sha256", encode_base64url(key_->public_key().thumbprint())},
                  {"identity_sha256", encode_base64url(crypto::sha256(as_bytes(json::encode(identity))))},
                  {"iat", CmpResponder::start}};
  }
  ~ExternalCaTest() override {
    server_->stop(std::chrono::seconds(1));
    ca_.reset();
    requests_.reset();
    unsettled_.reset();
    failing_.reset();
    database_.reset();
  }

  /// As a process that starts: what stands in the database is all that it knows.
  void start(const std::string& node = "ssa-1") {
    const std::string base = "http://127.0.0.1:" + std::to_string(server_->port());
    const auto gate = std::make_shared<OperatorGate>(OperatorGate::Operators{{"ra-1", operator_key_->public_key()}},
                                                     std::chrono::seconds(300), database_, clock_);
    ca_ = must(make_external_ca(
        {base + "/pkix", base + "/list", "", sam_key_->public_key(), std::chrono::seconds(86400), 3}, responder_.client_config(),
        {gate, requests_, unsettled_, std::make_shared<storage::Leases>(database_, clock_, node), *client_, *client_, clock_}));
  }
  /// Another key of the same signer, that waits for its certificate.
  void another_key(const std::string& name) {
    key_ = must(crypto::SoftwareKey::generate());
    csr_ = make_csr("PNODE-42");
    if (!requests_->keep({must(KeyId::parse(name)), csr_, "assertion"}, must(SignerId::parse("alice")))) panic("no request kept");
    request_["key"] = name;
    request_["csr_sha256"] = encode_base64url(crypto::sha256(csr_));
    assertion_["key"] = name;
    assertion_["spki_sha256"] = encode_base64url(key_->public_key().thumbprint());
  }
  [[nodiscard]] Result<std::vector<Bytes>> ask_again() {
    request_["rid"] = "again-" + std::to_string(++changes_);
    request_["iat"] = unix_seconds(clock_->now());
    return issue();
  }
  [[nodiscard]] bool unsettled() { return must(unsettled_->find(must(KeyId::parse("key-1")))).has_value(); }
  [[nodiscard]] std::vector<Bytes> certificates() { return must(requests_->find(must(KeyId::parse("key-1")))).certificates; }
  /// The CA hears what is sent of this type, and its answer does not come.
  void lose_answers_to(int type) {
    responder_.change = [type](CmpResponder::Message& reply, const OSSL_CMP_MSG* request) {
      if (OSSL_CMP_MSG_get_bodytype(request) == type) reply.reset();
    };
  }
  [[nodiscard]] Bytes make_csr(const std::string& serial) const {
    const Bytes info = must(crypto::encode_csr_info(subject_of(serial), key_->public_key()));
    return must(
        crypto::assemble_csr(info, crypto::SignatureSuite::ecdsa_sha256, must(key_->sign(crypto::SignatureSuite::ecdsa_sha256, info))));
  }
  [[nodiscard]] http::Response answer(const http::Request& request) {
    if (request.path == "/list")
      return {.status = 200, .content_type = "application/pkix-crl", .body = std::string(as_text(list_)), .headers = {}};
    content_types_.push_back(request.headers.at("content-type"));
    const auto type = OSSL_CMP_MSG_get_bodytype(CmpResponder::parse(as_bytes(request.body)).get());
    if (type == unheard_) return {.status = 502, .content_type = "text/plain", .body = {}, .headers = {}};
    const auto said = responder_.answer(as_bytes(request.body));
    return {.status = said ? status_ : 502,
            .content_type = answer_type_,
            .body = said ? std::string(as_text(*said)) : std::string(),
            .headers = {}};
  }
  [[nodiscard]] Result<std::vector<Bytes>> issue() {
    const auto request = must(crypto::make_jws(*request_signer_, "intaglio-ra+jwt", "ra-1", json::encode(request_)));
    const auto assertion = must(crypto::make_jws(*assertion_signer_, "intaglio-key+jwt", "sam", json::encode(assertion_)));
    return ca_->issue(request, assertion, csr_);
  }
  /// Issues and keeps, as the endpoint does.
  crypto::Certificate issued() {
    const auto path = must(issue());
    if (!requests_->issued(must(KeyId::parse("key-1")), path)) panic("not kept");
    return must(crypto::Certificate::parse_der(path.front()));
  }
  [[nodiscard]] std::string change(const std::string& op, const std::string& serial, const std::string& reason = "keyCompromise") {
    const json::Value payload = {
        {"op", op},        {"rid", "r-" + std::to_string(++changes_)}, {"iat", CmpResponder::start}, {"key", "key-1"}, {"serial", serial},
        {"reason", reason}};
    return must(crypto::make_jws(*request_signer_, "intaglio-ra+jwt", "ra-1", json::encode(payload)));
  }
  /// Nothing was asked of the CA, and this is why.
  void expect_refused(ErrorCode code, std::string_view words) {
    const auto path = issue();
    ASSERT_FALSE(path);
    EXPECT_EQ(path.error().code, code) << path.error().detail;
    EXPECT_NE(path.error().detail.find(words), std::string::npos) << path.error().detail;
    EXPECT_TRUE(responder_.asked.empty());
  }

  CmpResponder responder_;
  test::TemporaryFolder folder_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(from_unix_seconds(CmpResponder::start));
  std::shared_ptr<crypto::SoftwareKey> operator_key_ = must(crypto::SoftwareKey::generate()),
                                       sam_key_ = must(crypto::SoftwareKey::generate()), key_ = must(crypto::SoftwareKey::generate()),
                                       request_signer_ = operator_key_, assertion_signer_ = sam_key_;
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<FailingDatabase> failing_;  ///< of what is unsettled alone
  std::shared_ptr<KeyRequests> requests_;
  std::shared_ptr<UnsettledCertificates> unsettled_;
  std::unique_ptr<outbound::HttpClient> client_;
  std::unique_ptr<http::Server> server_;
  std::shared_ptr<CertificationAuthority> ca_;
  Bytes csr_, list_;
  unsigned status_ = 200;
  int unheard_ = -1;  ///< body type of the messages that do not reach the CA
  std::string answer_type_ = "application/pkixcmp";
  std::vector<std::string> content_types_;
  json::Value request_, assertion_;
  int changes_ = 100;
};

TEST_F(ExternalCaTest, WhatOperatorAndSamAgreeOnIsCertifiedByTheCa) {
  const auto path = issue();
  ASSERT_TRUE(path) << path.error().detail;
  ASSERT_EQ(path->size(), 2U);
  EXPECT_EQ(must(crypto::Certificate::parse_der(path->front())).subject_der(), subject_of("PNODE-42"));
  EXPECT_EQ(content_types_, std::vector<std::string>(2, "application/pkixcmp")) << "p10cr and certConf";
}

TEST_F(ExternalCaTest, AnOperatorsRequestIsTakenOnce) {
  ASSERT_TRUE(issue());
  responder_.asked.clear();
  expect_refused(ErrorCode::replayed, "used before");
}

TEST_F(ExternalCaTest, AKeyIsCertifiedOnceAndItsCertificateIsGivenAgain) {
  const auto certificate = issued();
  responder_.asked.clear();
  const auto again = ask_again();
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(again->front(), certificate.der());
  EXPECT_TRUE(responder_.asked.empty());
}

TEST_F(ExternalCaTest, AnotherCsrThanTheOneThatIsKeptForTheKeyIsRefused) {
  csr_ = make_csr("PNODE-42");
  request_["csr_sha256"] = encode_base64url(crypto::sha256(csr_));
  expect_refused(ErrorCode::not_authorised, "another CSR is kept");
}

TEST_F(ExternalCaTest, ACertificateStandsInTheDatabaseBeforeItIsConfirmed) {
  unheard_ = certificate_confirmation;
  EXPECT_EQ(issue().error().detail, "the CA answered 502");
  EXPECT_TRUE(certificates().empty());
  const auto kept = must(unsettled_->find(must(KeyId::parse("key-1"))));
  ASSERT_TRUE(kept.has_value());
  EXPECT_TRUE(kept->taken);
  EXPECT_EQ(must(crypto::Certificate::parse_der(kept->certificates.front())).subject_der(), subject_of("PNODE-42"));
}

TEST_F(ExternalCaTest, AConfirmationThatTheCaDidNotHearIsSentAgainAfterARestart) {
  unheard_ = certificate_confirmation;
  ASSERT_FALSE(issue());
  const auto issued = must(unsettled_->find(must(KeyId::parse("key-1"))))->certificates.front();
  start();
  unheard_ = -1;
  ca_->settle();
  EXPECT_FALSE(unsettled());
  ASSERT_EQ(certificates().size(), 2U);
  EXPECT_EQ(certificates().front(), issued);
  EXPECT_EQ(responder_.confirmed, std::vector<std::string>{"PKIStatus: accepted"});
  EXPECT_TRUE(responder_.revoked.empty());
  EXPECT_EQ(must(ask_again()).front(), issued);
}

TEST_F(ExternalCaTest, TheOperatorWhoAsksAgainGetsTheCertificateOfTheFirstTime) {
  unheard_ = certificate_confirmation;
  ASSERT_FALSE(issue());
  const auto issued = must(unsettled_->find(must(KeyId::parse("key-1"))))->certificates.front();
  EXPECT_FALSE(ask_again()) << "the CA is away still";
  EXPECT_TRUE(unsettled());
  unheard_ = -1;
  EXPECT_EQ(must(ask_again()).front(), issued);
  EXPECT_EQ(std::ranges::count(responder_.asked, OSSL_CMP_P10CR), 1);
}

TEST_F(ExternalCaTest, ACertificateThatTheCaConfirmedIsTakenUp) {
  lose_answers_to(certificate_confirmation);
  ASSERT_FALSE(issue());
  responder_.change = [this](CmpResponder::Message& reply, const OSSL_CMP_MSG* request) {
    responder_.answer_with_failure(reply, request, OSSL_CMP_PKIFAILUREINFO_certConfirmed);
  };
  start();
  ca_->settle();
  EXPECT_EQ(certificates().size(), 2U);
  EXPECT_FALSE(unsettled());
  EXPECT_TRUE(responder_.revoked.empty());
}

TEST_F(ExternalCaTest, ACertificateThatCannotBeConfirmedIsRevokedBeforeAnotherOneIsAskedFor) {
  lose_answers_to(certificate_confirmation);
  ASSERT_FALSE(issue());
  const auto first = must(crypto::Certificate::parse_der(must(unsettled_->find(must(KeyId::parse("key-1"))))->certificates.front()));
  start();
  // OpenSSL's server has forgotten the transaction and says so.
  lose_answers_to(revocation_request);
  EXPECT_FALSE(ask_again());
  EXPECT_TRUE(unsettled()) << "until it is known to be revoked";
  responder_.change = nullptr;
  responder_.revoked.clear();
  ASSERT_TRUE(ask_again());
  EXPECT_EQ(responder_.revoked, std::vector<std::string>{first.serial_hex()});
  EXPECT_EQ(std::ranges::count(responder_.asked, OSSL_CMP_P10CR), 2);
  EXPECT_FALSE(unsettled());
}

TEST_F(ExternalCaTest, WhatIsOpenIsSettledWithoutAskingForAnotherCertificate) {
  lose_answers_to(certificate_confirmation);
  ASSERT_FALSE(issue());
  responder_.change = nullptr;
  start();
  ca_->settle();
  EXPECT_EQ(responder_.revoked.size(), 1U);
  EXPECT_EQ(std::ranges::count(responder_.asked, OSSL_CMP_P10CR), 1) << "no operator asked for it";
  EXPECT_FALSE(unsettled());
  EXPECT_TRUE(certificates().empty());
}

TEST_F(ExternalCaTest, ACertificateThatEndedBeforeItWasConfirmedIsRevoked) {
  unheard_ = certificate_confirmation;
  responder_.draft = [](crypto::testing::CertificateDraft& draft) { draft.not_after = CmpResponder::start + 3600; };
  ASSERT_FALSE(issue());
  unheard_ = -1;
  clock_->advance(std::chrono::hours(2));
  ca_->settle();
  EXPECT_TRUE(certificates().empty());
  EXPECT_EQ(responder_.revoked.size(), 1U);
  EXPECT_TRUE(responder_.confirmed.empty());
}

TEST_F(ExternalCaTest, NothingIsSettledWithoutATrustedClock) {
  unheard_ = certificate_confirmation;
  ASSERT_FALSE(issue());
  unheard_ = -1;
  clock_->lose_synchronisation();
  clock_->advance(std::chrono::hours(24 * 3650));
  ca_->settle();
  EXPECT_TRUE(unsettled());
  EXPECT_TRUE(responder_.revoked.empty());
}

TEST_F(ExternalCaTest, ACertificateOfACaThatWaitsForNoConfirmationIsTaken) {
  responder_.grant_implicit_confirm = true;
  const auto path = issue();
  ASSERT_TRUE(path) << path.error().detail;
  EXPECT_EQ(responder_.asked, std::vector<int>{OSSL_CMP_P10CR});
  EXPECT_EQ(certificates(), *path);
  EXPECT_FALSE(unsettled());
}

TEST_F(ExternalCaTest, WhatIsRefusedAndInForceAllTheSameIsRevoked) {
  responder_.grant_implicit_confirm = true;
  responder_.draft = [](crypto::testing::CertificateDraft& draft) { draft.not_after += 86400 * 800; };
  EXPECT_EQ(issue().error().code, ErrorCode::certificate_invalid);
  EXPECT_EQ(responder_.revoked.size(), 1U);
  EXPECT_FALSE(unsettled());
}

TEST_F(ExternalCaTest, ARefusalThatTheCaDidNotHearIsFollowedByARevocation) {
  responder_.draft = [](crypto::testing::CertificateDraft& draft) { draft.not_after += 86400 * 800; };
  EXPECT_EQ(issue().error().code, ErrorCode::certificate_invalid);
  EXPECT_TRUE(responder_.revoked.empty()) << "it was told in certConf";
  EXPECT_FALSE(unsettled());
  unheard_ = certificate_confirmation;
  EXPECT_EQ(ask_again().error().code, ErrorCode::certificate_invalid);
  EXPECT_EQ(responder_.revoked.size(), 1U);
  EXPECT_FALSE(unsettled());
}

TEST_F(ExternalCaTest, ARefusedCertificateThatTheCaHasAsConfirmedIsRevoked) {
  responder_.draft = [](crypto::testing::CertificateDraft& draft) { draft.not_after += 86400 * 800; };
  responder_.change = [this](CmpResponder::Message& reply, const OSSL_CMP_MSG* request) {
    if (OSSL_CMP_MSG_get_bodytype(request) == certificate_confirmation)
      responder_.answer_with_failure(reply, request, OSSL_CMP_PKIFAILUREINFO_certConfirmed);
  };
  EXPECT_EQ(issue().error().code, ErrorCode::certificate_invalid);
  EXPECT_EQ(responder_.revoked.size(), 1U);
  EXPECT_FALSE(unsettled());
}

TEST_F(ExternalCaTest, ACertificateThatTheDatabaseDidNotKeepIsRevoked) {
  responder_.grant_implicit_confirm = true;
  failing_->fails_writes = true;
  EXPECT_EQ(issue().error().code, ErrorCode::storage_unavailable);
  EXPECT_EQ(responder_.revoked, std::vector<std::string>{"5a010203"});
  EXPECT_TRUE(certificates().empty());
}

TEST_F(ExternalCaTest, ACertificateThatStandsNowhereIsNamedInTheLogAndRevokedBeforeAnotherOneIsAskedFor) {
  responder_.grant_implicit_confirm = true;
  failing_->fails_writes = true;
  unheard_ = revocation_request;
  testing::internal::CaptureStderr();
  EXPECT_EQ(issue().error().code, ErrorCode::storage_unavailable);
  const auto line = testing::internal::GetCapturedStderr();
  EXPECT_NE(line.find("registration.certificate_unkept"), std::string::npos) << line;
  EXPECT_NE(line.find("5a010203"), std::string::npos) << line;
  failing_->fails_writes = false;
  EXPECT_EQ(ask_again().error().detail, "the CA answered 502");
  EXPECT_EQ(std::ranges::count(responder_.asked, OSSL_CMP_P10CR), 1);
  unheard_ = -1;
  ca_->settle();
  EXPECT_EQ(responder_.revoked, std::vector<std::string>{"5a010203"});
  EXPECT_EQ(std::ranges::count(responder_.asked, OSSL_CMP_P10CR), 1) << "no operator asked for it";
  ca_->settle();
  EXPECT_EQ(responder_.revoked.size(), 1U) << "once";
  EXPECT_TRUE(ask_again());
}

TEST_F(ExternalCaTest, ACertificateIsRevokedOnlyWhenItIsKnownThatTheDatabaseDoesNotHoldIt) {
  responder_.grant_implicit_confirm = true;
  // The database is lost with the CA's answer.
  responder_.change = [this](CmpResponder::Message&, const OSSL_CMP_MSG*) { failing_->fails_writes = failing_->fails_reads = true; };
  EXPECT_EQ(issue().error().code, ErrorCode::storage_unavailable);
  EXPECT_TRUE(responder_.revoked.empty());
  responder_.change = nullptr;
  failing_->fails_writes = failing_->fails_reads = false;
  ca_->settle();
  EXPECT_EQ(responder_.revoked.size(), 1U);
}

TEST_F(ExternalCaTest, ACertificateForAnotherKeyIsNotRevokedOnTheWordOfACaThatMixesThemUp) {
  responder_.grant_implicit_confirm = true;
  responder_.certify_instead = must(crypto::SoftwareKey::generate());
  EXPECT_EQ(issue().error().code, ErrorCode::certificate_invalid);
  EXPECT_TRUE(responder_.revoked.empty());
  EXPECT_FALSE(unsettled());
}

TEST_F(ExternalCaTest, ACaThatLetsUsWaitHoldsNobodyUp) {
  responder_.waits = 1000;
  responder_.check_after = 600;
  for (const auto* key : {"key-2", "key-3", "key-4"}) {
    another_key(key);
    const auto path = ask_again();
    ASSERT_FALSE(path);
    EXPECT_EQ(path.error().code, ErrorCode::busy);
    EXPECT_EQ(path.error().detail, "the CA is still waiting; ask again in 600 s");
  }
  another_key("key-5");
  EXPECT_EQ(ask_again().error().detail, "too many requests wait for the CA; ask again later");
}

TEST_F(ExternalCaTest, WhatOneNodeWaitsForNoOtherAsksFor) {
  responder_.waits = 2;
  responder_.check_after = 600;
  ASSERT_EQ(issue().error().code, ErrorCode::busy);
  const auto first = std::move(ca_);
  start("ssa-2");
  EXPECT_EQ(ask_again().error().detail, "a certificate for this key is being asked for");
  EXPECT_EQ(std::ranges::count(responder_.asked, OSSL_CMP_P10CR), 1);
  clock_->advance(std::chrono::seconds(600));
  ca_->settle();
  EXPECT_TRUE(certificates().empty());
  first->settle();
  ASSERT_EQ(certificates().size(), 2U);
  EXPECT_EQ(must(ask_again()), certificates()) << "who has it gives the turn back";
  EXPECT_EQ(std::ranges::count(responder_.asked, OSSL_CMP_P10CR), 1);
}

TEST_F(ExternalCaTest, ANodeThatDiedWhileItWaitedHoldsAnotherUpForAnHour) {
  responder_.waits = 2;
  ASSERT_EQ(issue().error().code, ErrorCode::busy);
  responder_.waits = 0;
  start("ssa-2");
  clock_->advance(std::chrono::minutes(59));
  const auto held_up = ask_again();
  ASSERT_FALSE(held_up);
  EXPECT_EQ(held_up.error().detail, "a certificate for this key is being asked for");
  clock_->advance(std::chrono::minutes(1));
  EXPECT_TRUE(ask_again());
}

TEST_F(ExternalCaTest, ACaIsNotAskedSoonerThanItSaid) {
  responder_.waits = 3;
  responder_.check_after = 600;
  ASSERT_EQ(issue().error().code, ErrorCode::busy);
  const auto asked = responder_.asked.size();
  clock_->advance(std::chrono::seconds(599));
  EXPECT_EQ(ask_again().error().detail, "the CA is still waiting; ask again in 1 s");
  EXPECT_EQ(responder_.asked.size(), asked);
  clock_->advance(std::chrono::seconds(1));
  EXPECT_EQ(ask_again().error().detail, "the CA is still waiting; ask again in 600 s");
  EXPECT_EQ(responder_.asked.size(), asked + 1);
  clock_->advance(std::chrono::seconds(600));
  EXPECT_TRUE(ask_again());
  EXPECT_EQ(std::ranges::count(responder_.asked, OSSL_CMP_P10CR), 1) << "one request all the time";
}

TEST_F(ExternalCaTest, ACertificateThatIsReadyIsFetchedWithoutTheOperator) {
  responder_.waits = 2;
  ASSERT_EQ(issue().error().code, ErrorCode::busy);
  ca_->settle();
  EXPECT_TRUE(certificates().empty()) << "not before the CA wants to be asked";
  clock_->advance(std::chrono::seconds(1));
  ca_->settle();
  ASSERT_EQ(certificates().size(), 2U);
  EXPECT_EQ(must(ask_again()), certificates());
}

TEST_F(ExternalCaTest, WhatIsOpenComesUpAgainWhereAnotherIsStuckAndARequestWaits) {
  unheard_ = certificate_confirmation;
  ASSERT_FALSE(issue());
  auto open = *must(unsettled_->find(must(KeyId::parse("key-1"))));
  open.implicit = true;
  ASSERT_TRUE(unsettled_->forget(must(KeyId::parse("key-1"))));
  // No pending request goes with this one: it is never settled.
  ASSERT_TRUE(unsettled_->keep(must(KeyId::parse("key-3")), open));
  unheard_ = -1;
  responder_.waits = 1000;
  another_key("key-2");
  ASSERT_EQ(ask_again().error().code, ErrorCode::busy);
  for (int pass = 0; pass < 3; ++pass) {
    clock_->advance(std::chrono::seconds(1));
    ca_->settle();
    // Before both of the others in the order of the rows.
    if (pass == 0) {
      ASSERT_TRUE(unsettled_->keep(must(KeyId::parse("key-1")), open));
    }
  }
  EXPECT_FALSE(unsettled());
  EXPECT_EQ(certificates().size(), 2U);
  EXPECT_EQ(std::ranges::count(responder_.asked, poll_request), 4) << "the one that waits was due in each pass";
}

TEST_F(ExternalCaTest, ARequestThatTheOperatorDidNotSignIsRefused) {
  request_signer_ = sam_key_;
  expect_refused(ErrorCode::not_authorised, "operator ra-1");
}

TEST_F(ExternalCaTest, ARequestThatIsTooOldOrOfTheFutureIsRefused) {
  for (const int off : {-301, 301}) {
    request_["iat"] = CmpResponder::start + off;
    request_["rid"] = "r" + std::to_string(off);
    expect_refused(ErrorCode::not_authorised, "too old, or of the future");
  }
}

TEST_F(ExternalCaTest, NothingIsDecidedWithoutATrustedClock) {
  clock_->lose_synchronisation();
  EXPECT_EQ(issue().error().code, ErrorCode::clock_unsynchronised);
}

TEST_F(ExternalCaTest, AnotherCsrThanTheOperatorSignedForIsRefused) {
  request_["csr_sha256"] = encode_base64url(crypto::sha256(as_bytes("another")));
  expect_refused(ErrorCode::not_authorised, "another CSR");
}

TEST_F(ExternalCaTest, ACsrThatNamesAnotherPersonIsRefused) {
  csr_ = make_csr("PNODE-43");
  request_["csr_sha256"] = encode_base64url(crypto::sha256(csr_));
  expect_refused(ErrorCode::not_authorised, "subject is not the identity");
}

TEST_F(ExternalCaTest, AnAssertionThatTheSamDidNotSignIsRefused) {
  assertion_signer_ = operator_key_;
  expect_refused(ErrorCode::not_authorised, "key assertion");
}

TEST_F(ExternalCaTest, AnAssertionOfAnotherSignerIsRefused) {
  assertion_["signer"] = "bob";
  expect_refused(ErrorCode::not_authorised, "another signer");
}

TEST_F(ExternalCaTest, AnAssertionOfAnotherKeyIdIsRefused) {
  assertion_["key"] = "key-2";
  expect_refused(ErrorCode::not_authorised, "asserts another key");
}

TEST_F(ExternalCaTest, AnAssertionOfAnotherPublicKeyIsRefused) {
  assertion_["spki_sha256"] = encode_base64url(sam_key_->public_key().thumbprint());
  expect_refused(ErrorCode::not_authorised, "not the one that the SAM asserts");
}

TEST_F(ExternalCaTest, AnAssertionOfAnotherIdentityIsRefused) {
  assertion_["identity_sha256"] = encode_base64url(crypto::sha256(as_bytes("{}")));
  expect_refused(ErrorCode::not_authorised, "another identity record");
}

TEST_F(ExternalCaTest, AnAssertionThatIsTooOldOrOfTheFutureIsRefused) {
  assertion_["iat"] = CmpResponder::start - 86401;
  expect_refused(ErrorCode::not_authorised, "the SAM's assertion is too old");
  assertion_["iat"] = CmpResponder::start + 61;
  request_["rid"] = "r-2";
  expect_refused(ErrorCode::not_authorised, "the SAM's assertion is too old");
}

TEST_F(ExternalCaTest, AnAnswerOfAnotherTypeIsNotRead) {
  answer_type_ = "text/html";
  const auto path = issue();
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().detail, "the CA's answer is not application/pkixcmp");
}

TEST_F(ExternalCaTest, ACaThatAnswersWithAnotherStatusIsBusy) {
  status_ = 503;
  const auto path = issue();
  ASSERT_FALSE(path);
  EXPECT_EQ(path.error().code, ErrorCode::busy);
  EXPECT_EQ(path.error().detail, "the CA answered 503");
}

TEST_F(ExternalCaTest, ARevocationAsksTheCaAndBringsTheListThatNamesIt) {
  const auto certificate = issued();
  list_ = make_list(responder_.issuing, {certificate.serial_der()});
  const auto crl = ca_->revoke(change("revoke-certificate", certificate.serial_hex()));
  ASSERT_TRUE(crl) << crl.error().detail;
  EXPECT_EQ(*crl, std::optional<Bytes>(list_));
  EXPECT_EQ(responder_.revoked, std::vector<std::string>{certificate.serial_hex()});
}

TEST_F(ExternalCaTest, ARevocationThatTheListDoesNotShowYetIsARevocation) {
  const auto certificate = issued();
  for (const Bytes& list :
       {make_list(responder_.issuing, {}), make_list(responder_.stranger, {certificate.serial_der()}), to_bytes("no list")}) {
    list_ = list;
    const auto crl = ca_->revoke(change("revoke-certificate", certificate.serial_hex()));
    ASSERT_TRUE(crl) << crl.error().detail;
    EXPECT_FALSE(crl->has_value());
  }
}

TEST_F(ExternalCaTest, ARevocationOfAnotherSerialNumberIsRefused) {
  static_cast<void>(issued());
  const auto crl = ca_->revoke(change("revoke-certificate", "5b"));
  ASSERT_FALSE(crl);
  EXPECT_EQ(crl.error().code, ErrorCode::not_found);
  EXPECT_TRUE(responder_.revoked.empty());
}

TEST_F(ExternalCaTest, AReasonThatIsNoSignersIsRefused) {
  const auto certificate = issued();
  const auto crl = ca_->revoke(change("revoke-certificate", certificate.serial_hex(), "cACompromise"));
  ASSERT_FALSE(crl);
  EXPECT_EQ(crl.error().code, ErrorCode::unsupported);
  EXPECT_TRUE(responder_.revoked.empty());
}

TEST_F(ExternalCaTest, AReleaseCountsWhenTheListNamesTheCertificateNoMore) {
  const auto certificate = issued();
  list_ = make_list(responder_.issuing, {certificate.serial_der()});
  EXPECT_EQ(ca_->release(change("release-certificate", certificate.serial_hex())).error().code, ErrorCode::busy);
  list_ = make_list(responder_.issuing, {});
  EXPECT_EQ(must(ca_->release(change("release-certificate", certificate.serial_hex()))), list_);
}

TEST_F(ExternalCaTest, OneTimeKeysAndARootsListAreNotOffered) {
  EXPECT_EQ(ca_->issue_short_term("assertion", csr_).error().code, ErrorCode::unsupported);
  EXPECT_EQ(ca_->root_crl().error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace intaglio::registration
