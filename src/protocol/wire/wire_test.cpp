#include "protocol/wire.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "protocol/wire/test_identity.h"
#include "protocol/wire/test_sam.h"

namespace intaglio::protocol::wire {
namespace {

const auto leaf = crypto::sha256(as_bytes("leaf"));

KeyId key(std::string_view text) { return *KeyId::parse(text); }
SignerId signer(std::string_view text) { return *SignerId::parse(text); }

SignRequest sign_request(std::string sad, std::size_t digests = 1) {
  SignRequest request{std::move(sad), key("key-1"), crypto::SignatureSuite::ecdsa_sha256, {}, "client", "192.0.2.1"};
  for (std::size_t i = 0; i < digests; ++i) request.digests.emplace_back(32, static_cast<std::uint8_t>(i));
  return request;
}

OpenSigning open_signing() {
  return {key("key-1"),
          crypto::HashAlgorithm::sha384,
          {crypto::SignatureSuite::rsa_pss_sha384, crypto::SignatureSuite::rsa_pkcs1_sha384},
          {{Bytes(48, 1), "Σύμβαση.pdf"}, {Bytes(48, 2), ""}},
          "client",
          "Client"};
}

class Wire : public testing::Test {
 protected:
  ServerConfig server_config() const {
    ServerConfig config;
    config.identity = sam_identity.files;
    config.pinned_peers = {ssa_identity.pin};
    config.workers = 4;
    return config;
  }
  void serve() { serve(server_config()); }
  void serve(const ServerConfig& config) {
    auto started = Server::start(config, sam);
    ASSERT_TRUE(started) << started.error().detail;
    server = *std::move(started);
  }
  ClientConfig client_config() const {
    ClientConfig config;
    config.port = server->port();
    config.identity = ssa_identity.files;
    config.pinned_peer = sam_identity.pin;
    config.connections = 4;
    config.timeout = std::chrono::seconds(10);
    return config;
  }
  std::shared_ptr<SamService> client() { return client(client_config()); }
  static std::shared_ptr<SamService> client(const ClientConfig& config) {
    auto connected = connect(config);
    if (!connected) panic("no client");
    return *std::move(connected);
  }

  TestFolder folder;
  TestIdentity sam_identity = make_identity(folder.path(), "sam");
  TestIdentity ssa_identity = make_identity(folder.path(), "ssa");
  TestIdentity stranger = make_identity(folder.path(), "stranger");
  std::shared_ptr<TestSam> sam = std::make_shared<TestSam>();
  std::unique_ptr<Server> server;
};

TEST_F(Wire, CarriesEveryFieldOfEveryCallBothWays) {
  serve();
  const auto remote = client();
  TestSam local;

  const auto opened = remote->open_signing(open_signing());
  ASSERT_TRUE(opened) << opened.error().detail;
  const auto expected = *local.open_signing(open_signing());
  EXPECT_EQ(opened->ticket, expected.ticket);
  EXPECT_EQ(opened->transaction, expected.transaction);
  EXPECT_EQ(opened->sap_statement, expected.sap_statement);
  EXPECT_EQ(opened->expires, expected.expires);

  const auto enrolment = remote->open_enrolment({signer("alice"), "id", "name"});
  ASSERT_TRUE(enrolment);
  EXPECT_EQ(enrolment->ticket + "|" + std::string(as_text(enrolment->transaction)) + "|" + enrolment->sap_statement, "alice|id|name");
  const auto generation = remote->open_key_generation({signer("bob"), crypto::KeyAlgorithm::rsa3072, "direct-resident", "id", "name"});
  ASSERT_TRUE(generation);
  EXPECT_EQ(generation->ticket + "|" + std::string(as_text(generation->transaction)) + "|" + generation->sap_statement,
            "bob|direct-resident|rsa3072");

  const auto factors = remote->open_factor_change({signer("alice"), "id", "name"});
  ASSERT_TRUE(factors);
  EXPECT_EQ(factors->ticket + "|" + std::string(as_text(factors->transaction)) + "|" + factors->sap_statement, "alice|id|name");
  EXPECT_EQ(factors->expires, from_unix_seconds(3));
  const auto change = remote->open_key_change({key("key-1"), KeyChange::destroy, "id", "name"});
  ASSERT_TRUE(change);
  EXPECT_EQ(change->ticket + "|" + std::string(as_text(change->transaction)) + "|" + change->sap_statement, "key-1|id|name");
  EXPECT_EQ(change->expires, from_unix_seconds(2));

  Bytes granted(91, 4);
  const auto grant = remote->open_grant({.key = key("key-1"),
                                         .suites = {crypto::SignatureSuite::ecdsa_sha256, crypto::SignatureSuite::ecdsa_sha384},
                                         .client_key = granted,
                                         .signatures = 1000,
                                         .ends = from_unix_seconds(1795000000),
                                         .client_id = "id",
                                         .client_name = "name"});
  ASSERT_TRUE(grant);
  append_field(granted, std::uint64_t{1000});
  append_field(granted, std::uint64_t{7});
  append_field(granted, std::uint64_t{8});
  EXPECT_EQ(grant->ticket + "|" + grant->sap_statement, "key-1|id|name");
  EXPECT_EQ(grant->transaction, granted);
  EXPECT_EQ(grant->expires, from_unix_seconds(1795000000));
  EXPECT_EQ(remote->recognise_device("alice-asks")->text(), "alice");
  EXPECT_EQ(remote->recognise_device("bob-asks").error().code, ErrorCode::authentication_failed);
  EXPECT_TRUE(remote->end_grant("grant-1", "the client is gone"));
  EXPECT_EQ(remote->end_grant("grant-2", "the client is gone").error().code, ErrorCode::not_found);

  const auto authorised = remote->authorise("message");
  ASSERT_TRUE(authorised);
  EXPECT_EQ(authorised->sad, "sad-for-message");
  EXPECT_EQ(authorised->expires_in, std::chrono::seconds(60));
  EXPECT_EQ(remote->enrol_factors("message")->sealed_answer, "sealed-for-message");
  const auto generated = remote->generate_key("message");
  ASSERT_TRUE(generated);
  EXPECT_EQ(generated->key, key("new-key"));
  EXPECT_EQ(as_text(generated->csr), "message");
  EXPECT_EQ(generated->key_assertion, "assertion");

  const auto created = remote->create_signer("request");
  ASSERT_TRUE(created);
  EXPECT_EQ(created->signer, signer("new-signer"));
  EXPECT_EQ(created->sealed_activation_code, "request");
  EXPECT_TRUE(remote->suspend_key(key("key-1"), "lost phone"));
  EXPECT_EQ(remote->suspend_key(key("key-2"), "lost phone").error().code, ErrorCode::credential_unknown);
  EXPECT_TRUE(remote->resume_key("resume"));
  EXPECT_TRUE(remote->suspend_by_operator("suspend"));
  EXPECT_EQ(remote->suspend_by_operator("resume").error().code, ErrorCode::not_authorised);
  EXPECT_EQ(remote->reset_factors("request")->signer, signer("reset-signer"));
  EXPECT_EQ(remote->reset_factors("request")->sealed_activation_code, "request");
  EXPECT_EQ(remote->change_factors("message")->sealed_answer, "changed-for-message");
  EXPECT_TRUE(remote->change_key("change"));
  EXPECT_EQ(remote->change_key("other").error().code, ErrorCode::authentication_failed);
  EXPECT_EQ(remote->resume_key("flood").error().code, ErrorCode::busy) << "no room for another secret";
  EXPECT_TRUE(remote->put_revocation_data(as_bytes("crl")));
  EXPECT_EQ(*remote->receipt(41, leaf), "{\"index\":41}");
  EXPECT_EQ(remote->receipt(41, crypto::sha256({})).error().code, ErrorCode::not_found) << "the leaf reaches the SAM";
  EXPECT_EQ(*remote->status(), "{\"state\":\"serving\"}");
  EXPECT_EQ(*remote->public_keys(), "{\"sam\":\"test\"}");
}

TEST_F(Wire, CarriesASessionOverOneConnection) {
  serve();
  const auto remote = client();
  TestSam local;
  const OpenOneTime ask{"one-time", crypto::HashAlgorithm::sha256, {{Bytes(32, 1), "Σύμβαση.pdf"}, {Bytes(32, 2), "b"}}, "id", "name"};
  const auto opened = remote->open_one_time(ask);
  ASSERT_TRUE(opened) << opened.error().detail;
  EXPECT_EQ(opened->transaction, local.open_one_time(ask)->transaction);
  EXPECT_EQ(opened->ticket + opened->sap_statement, "idname");

  auto session = *remote->begin_one_time();
  const auto made = session->identify("message");
  ASSERT_TRUE(made) << made.error().detail;
  EXPECT_EQ(made->key, key("session-key"));
  EXPECT_EQ(as_text(made->csr), "message");
  EXPECT_EQ(made->key_assertion, "assertion");
  const auto signed_now = session->sign({{to_bytes("leaf"), to_bytes("issuer")}, "192.0.2.1"});
  ASSERT_TRUE(signed_now) << signed_now.error().detail;
  ASSERT_EQ(signed_now->answer.signatures.size(), 2U);
  EXPECT_EQ(as_text(signed_now->answer.signatures[1].signature), "issuer");
  EXPECT_EQ(signed_now->destroyed.log, "192.0.2.1");
  EXPECT_EQ(signed_now->destroyed.index, 7U);
  EXPECT_EQ(signed_now->destroyed.leaf, crypto::sha256(as_bytes("leaf")));
  sam->wait_until_sessions_end();

  const auto orphan = remote->report_orphan(key("key-1"), as_bytes("leaf"));
  ASSERT_TRUE(orphan);
  EXPECT_EQ(orphan->log, "key-1 leaf");
  EXPECT_EQ(orphan->index, 12U);
}

TEST_F(Wire, EndsASessionWithItsConnection) {
  serve();
  const auto remote = client();
  auto session = *remote->begin_one_time();
  ASSERT_TRUE(session->identify("message"));
  session.reset();
  sam->wait_until_sessions_end();
}

TEST_F(Wire, EndsASessionThatIsOver) {
  sam->session_milliseconds = 1;
  serve();
  const auto remote = client();
  auto session = *remote->begin_one_time();
  ASSERT_TRUE(session->identify("message"));
  sam->wait_until_sessions_end();
  EXPECT_FALSE(session->sign({{to_bytes("leaf")}, {}}));
}

TEST_F(Wire, EndsASessionThatWasRefused) {
  serve();
  const auto remote = client();
  auto stranger_session = *remote->begin_one_time();
  EXPECT_EQ(stranger_session->identify("stranger").error().code, ErrorCode::authentication_failed);
  auto session = *remote->begin_one_time();
  ASSERT_TRUE(session->identify("message"));
  EXPECT_EQ(session->sign({{to_bytes("foreign")}, {}}).error().code, ErrorCode::certificate_invalid);
  sam->wait_until_sessions_end();
  EXPECT_FALSE(session->sign({{to_bytes("leaf")}, {}})) << "a session signs once";
}

TEST_F(Wire, SignsInNoSessionOfAnotherConnection) {
  serve();
  const auto remote = client();
  auto session = *remote->begin_one_time();
  ASSERT_TRUE(session->identify("message"));
  auto other = *remote->begin_one_time();
  EXPECT_EQ(other->sign({{to_bytes("leaf")}, {}}).error().code, ErrorCode::invalid_request);
  EXPECT_TRUE(session->sign({{to_bytes("leaf")}, {}}));
}

TEST_F(Wire, EndsASessionWithWhichASecondOneWouldBegin) {
  serve();
  const auto remote = client();
  auto session = *remote->begin_one_time();
  ASSERT_TRUE(session->identify("message"));
  EXPECT_EQ(session->identify("message").error().code, ErrorCode::conflict);
  sam->wait_until_sessions_end();
}

TEST_F(Wire, CarriesAnExtensionAndItsRefusal) {
  serve();
  const auto remote = client();
  const ExtendRequest asked{"sad", key("key-1"), {Bytes(32, 0x11)}, "client", "192.0.2.1"};
  const auto extended = remote->extend(asked);
  ASSERT_TRUE(extended) << extended.error().detail;
  EXPECT_EQ(extended->sad, "sad-of-key-1");
  EXPECT_EQ(extended->expires_in, std::chrono::seconds(59));
  auto others = asked;
  others.digests.clear();
  EXPECT_EQ(remote->extend(others).error().code, ErrorCode::hash_not_authorised);
}

TEST_F(Wire, CarriesSignaturesInTheOrderOfTheRequest) {
  serve();
  const auto answer = client()->sign(sign_request("again", 3));
  ASSERT_TRUE(answer) << answer.error().detail;
  ASSERT_EQ(answer->signatures.size(), 3U);
  EXPECT_FALSE(answer->stopped);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(answer->signatures[i].signature, Bytes(32, static_cast<std::uint8_t>(i)));
    EXPECT_EQ(answer->signatures[i].index, i);
    EXPECT_EQ(answer->signatures[i].log, "client|192.0.2.1");
    EXPECT_EQ(answer->signatures[i].leaf[31], 7);
    EXPECT_TRUE(answer->signatures[i].redelivered);
  }
}

TEST_F(Wire, CarriesCredentialFacts) {
  serve();
  const auto remote = client();
  const auto facts = remote->list_credentials(signer("carol"));
  ASSERT_TRUE(facts) << facts.error().detail;
  ASSERT_EQ(facts->size(), 2U);
  EXPECT_EQ((*facts)[1].signer, signer("carol"));
  EXPECT_EQ((*facts)[1].state, KeyState::suspended);
  EXPECT_TRUE((*facts)[1].certificate_revoked);
  const auto one = remote->credential(key("key-9"));
  ASSERT_TRUE(one);
  EXPECT_EQ(one->key, key("key-9"));
  EXPECT_EQ(one->algorithm, crypto::KeyAlgorithm::p384);
  EXPECT_EQ(one->suites, (std::vector{crypto::SignatureSuite::ecdsa_sha384, crypto::SignatureSuite::ecdsa_sha256}));
  EXPECT_EQ(one->certificates, (std::vector<Bytes>{{1, 2, 3}, {4}}));
  EXPECT_EQ(one->max_documents, 7U);
  const auto bound = remote->bind_certificate({"operator-request", {Bytes(1000, 7)}});
  ASSERT_TRUE(bound);
  EXPECT_EQ(bound->certificates, (std::vector<Bytes>{Bytes(1000, 7)}));
  EXPECT_EQ(bound->profile, "operator-request");
}

TEST_F(Wire, TellsTheCodeOfARefusalAndNeverItsDetail) {
  serve();
  const auto answer = client()->sign(sign_request("refused"));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::sad_expired);
  EXPECT_EQ(answer.error().detail.find("secret"), std::string::npos);
}

TEST_F(Wire, KeepsServingAfterAnExceptionOfTheService) {
  serve();
  const auto remote = client();
  EXPECT_EQ(remote->sign(sign_request("throws")).error().code, ErrorCode::internal);
  EXPECT_TRUE(remote->status());
}

TEST_F(Wire, ReportsABatchThatStopped) {
  serve();
  const auto answer = client()->sign(sign_request("stops", 3));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->signatures.size(), 1U);
  EXPECT_EQ(answer->stopped, ErrorCode::signature_doubtful);
}

TEST_F(Wire, DoesNotTakeFewerSignaturesForSuccess) {
  serve();
  const auto answer = client()->sign(sign_request("short", 2));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::internal);
}

TEST_F(Wire, RefusesAPeerWhoseKeyIsNotPinned) {
  serve();
  auto config = client_config();
  config.identity = stranger.files;
  EXPECT_FALSE(client(config)->status());
  EXPECT_TRUE(client()->status()) << "and goes on serving the pinned one";
}

TEST_F(Wire, TalksToNoSamWhoseKeyIsNotPinned) {
  serve();
  auto config = client_config();
  config.pinned_peer = stranger.pin;
  const auto answer = client(config)->sign(sign_request("sad"));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::token_unavailable) << "nothing was sent";
  EXPECT_EQ(sam->signs, 0U);
}

TEST_F(Wire, SaysThatNothingWasSentWhenTheSamIsAway) {
  serve();
  const auto config = client_config();
  server->stop();
  const auto answer = client(config)->sign(sign_request("sad"));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::token_unavailable);
}

TEST_F(Wire, MakesConnectionsAgainAfterTheSamCameBack) {
  serve();
  const auto remote = client();
  ASSERT_TRUE(remote->status());
  auto config = server_config();
  config.port = server->port();
  server.reset();
  serve(config);
  EXPECT_TRUE(remote->sign(sign_request("sad")));
  EXPECT_EQ(sam->signs, 1U);
}

TEST_F(Wire, NeverRepeatsACallWhoseAnswerItDidNotGet) {
  serve();
  auto config = client_config();
  config.timeout = std::chrono::seconds(1);
  sam->block();
  const auto answer = client(config)->sign(sign_request("sad"));
  sam->release();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::storage_unavailable);
  EXPECT_EQ(answer.error().detail.rfind("outcome unknown", 0), 0U) << answer.error().detail;
  server->stop();
  EXPECT_EQ(sam->signs, 1U);
}

TEST_F(Wire, IsBusyWhenEveryConnectionIsInUse) {
  serve();
  auto config = client_config();
  config.connections = 1;
  config.patience = std::chrono::milliseconds(20);
  const auto remote = client(config);
  sam->block();
  std::thread first([&] { EXPECT_TRUE(remote->sign(sign_request("sad"))); });
  sam->wait_until_blocked();
  const auto impatient = remote->status();
  sam->release();
  first.join();
  ASSERT_FALSE(impatient);
  EXPECT_EQ(impatient.error().code, ErrorCode::busy);
  EXPECT_TRUE(remote->status());
}

TEST_F(Wire, FinishesTheCallUnderWayWhenItStops) {
  serve();
  const auto remote = client();
  sam->block();
  auto answer = Result<SignAnswer>(Error{ErrorCode::internal, "not asked"});
  std::thread caller([&] { answer = remote->sign(sign_request("sad")); });
  sam->wait_until_blocked();
  std::thread stopper([&] { server->stop(); });
  sam->release();
  caller.join();
  stopper.join();
  EXPECT_TRUE(answer) << answer.error().detail;
}

TEST_F(Wire, ServesManyCallersAtOnceWithoutMixingTheirAnswers) {
  serve();
  const auto remote = client();
  std::atomic<unsigned> wrong{0};
  std::vector<std::thread> callers;
  for (unsigned caller = 0; caller < 8; ++caller) {
    callers.emplace_back([&, caller] {
      for (unsigned i = 0; i < 50; ++i) {
        const auto index = 1 + caller * 1000 + i;
        const auto answer = remote->receipt(index, leaf);
        if (!answer || *answer != "{\"index\":" + std::to_string(index) + "}") ++wrong;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(wrong, 0U);
}

TEST_F(Wire, SendsNothingThatDoesNotFitIntoAFrame) {
  serve();
  const auto remote = client();
  auto request = open_signing();
  request.documents.assign(max_documents, {Bytes(48, 1), std::string(256, 'x')});
  EXPECT_EQ(remote->open_signing(request).error().code, ErrorCode::too_large);
  EXPECT_EQ(remote->receipt(0, leaf).error().code, ErrorCode::too_large) << "nor does the SAM answer with it";
  EXPECT_TRUE(remote->status());
}

TEST_F(Wire, AcceptsNoMoreConnectionsThanItsCap) {
  auto config = server_config();
  config.max_connections = 1;
  serve(config);
  const auto first = client();
  ASSERT_TRUE(first->status());
  EXPECT_FALSE(client()->status());
  EXPECT_TRUE(first->status());
}

TEST_F(Wire, StartsOnlyWithAnIdentityThatIsWhole) {
  auto config = server_config();
  config.identity.private_key_file = stranger.files.private_key_file;
  EXPECT_EQ(Server::start(config, sam).error().code, ErrorCode::configuration) << "key of another certificate";
  config = server_config();
  std::filesystem::permissions(config.identity.private_key_file, std::filesystem::perms::others_read, std::filesystem::perm_options::add);
  EXPECT_EQ(Server::start(config, sam).error().code, ErrorCode::configuration) << "key file that others may read";
  config = server_config();
  config.pinned_peers.clear();
  EXPECT_EQ(Server::start(config, sam).error().code, ErrorCode::configuration) << "nobody pinned";
}

/// A client of its own, to say what ours never says.
class RawClient {
 public:
  RawClient(std::uint16_t port, const TestIdentity* identity, int version) : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_max_proto_version(context_, version);
    if (identity != nullptr) {
      SSL_CTX_use_certificate_file(context_, identity->files.certificate_file.c_str(), SSL_FILETYPE_PEM);
      SSL_CTX_use_PrivateKey_file(context_, identity->files.private_key_file.c_str(), SSL_FILETYPE_PEM);
    }
    // A server that has closed is an answer, and not the end of the tests.
    static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
    ssl_ = SSL_new(context_);
    socket_ = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    void* generic = &address;
    if (::connect(socket_, static_cast<sockaddr*>(generic), sizeof address) != 0) panic("no connection");
    SSL_set_fd(ssl_, socket_);
    shaken_ = SSL_connect(ssl_) == 1;
  }
  ~RawClient() {
    SSL_free(ssl_);
    SSL_CTX_free(context_);
    ::close(socket_);
  }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;
  [[nodiscard]] bool shaken() const { return shaken_; }
  [[nodiscard]] bool resumable() const { return SSL_SESSION_is_resumable(SSL_get_session(ssl_)) == 1; }
  /// Says nothing; true when the server closes.
  bool waits_for_the_end() {
    std::uint8_t octet = 0;
    return SSL_read(ssl_, &octet, 1) <= 0;
  }
  /// What the server answers until it closes or the frame is whole; empty when it closes without a word.
  Bytes ask(ByteView bytes) {
    if (SSL_write(ssl_, bytes.data(), static_cast<int>(bytes.size())) <= 0) return {};
    Bytes answer(64 * 1024);
    const int count = SSL_read(ssl_, answer.data(), static_cast<int>(answer.size()));
    answer.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return answer;
  }

 private:
  SSL_CTX* context_;
  SSL* ssl_;
  int socket_;
  bool shaken_ = false;
};

const Bytes status_frame = {0, 0, 0, 3, 0x82, 0x01, 0x00};

TEST_F(Wire, SpeaksTls13Only) {
  serve();
  EXPECT_FALSE(RawClient(server->port(), &ssa_identity, TLS1_2_VERSION).shaken());
  RawClient modern(server->port(), &ssa_identity, TLS1_3_VERSION);
  EXPECT_FALSE(modern.ask(status_frame).empty());
  EXPECT_FALSE(modern.resumable()) << "no session ticket was handed out";
}

TEST_F(Wire, AnswersNobodyWithoutACertificate) {
  serve();
  // In TLS 1.3 the client's half of the handshake ends before the server looks at its certificate.
  EXPECT_TRUE(RawClient(server->port(), nullptr, TLS1_3_VERSION).ask(status_frame).empty());
  EXPECT_TRUE(RawClient(server->port(), &stranger, TLS1_3_VERSION).ask(status_frame).empty());
}

TEST_F(Wire, ClosesOnAFrameThatBreaksTheRules) {
  serve();
  const auto ask = [&](const Bytes& bytes) { return RawClient(server->port(), &ssa_identity, TLS1_3_VERSION).ask(bytes); };
  EXPECT_TRUE(ask({0, 0x10, 0, 1}).empty()) << "1 MiB and one byte";
  EXPECT_TRUE(ask({0, 0x20, 0, 0}).empty());
  EXPECT_TRUE(ask({0, 0, 0, 0}).empty()) << "no message";
  auto two = status_frame;
  append(two, status_frame);
  EXPECT_TRUE(ask(two).empty()) << "a request before the answer";
}

TEST_F(Wire, LetsNoKeyHaveMoreConnectionsThanItsShare) {
  auto config = server_config();
  config.pinned_peers.push_back(stranger.pin);
  config.max_connections_per_peer = 2;
  serve(config);
  const auto connected = [&](const TestIdentity& who) { return std::make_unique<RawClient>(server->port(), &who, TLS1_3_VERSION); };
  const auto first = connected(ssa_identity);
  const auto second = connected(ssa_identity);
  EXPECT_FALSE(first->ask(status_frame).empty());
  EXPECT_FALSE(second->ask(status_frame).empty());
  EXPECT_TRUE(connected(ssa_identity)->ask(status_frame).empty());
  EXPECT_FALSE(connected(stranger)->ask(status_frame).empty()) << "another key has a share of its own";
}

TEST_F(Wire, EndsAConnectionThatRestsForTooLong) {
  auto config = server_config();
  config.longest_rest = std::chrono::milliseconds(1);
  serve(config);
  RawClient idle(server->port(), &ssa_identity, TLS1_3_VERSION);
  ASSERT_TRUE(idle.shaken());
  EXPECT_TRUE(idle.waits_for_the_end());
}

TEST_F(Wire, RefusesAMessageThatIsNoRequest) {
  serve();
  const Bytes invalid_request = {0, 0, 0, 2, 0x08, 0x01};
  const auto ask = [&](const Bytes& bytes) { return RawClient(server->port(), &ssa_identity, TLS1_3_VERSION).ask(bytes); };
  EXPECT_EQ(ask({0, 0, 0, 2, 0xff, 0xff}), invalid_request) << "not protobuf";
  EXPECT_EQ(ask({0, 0, 0, 3, 0x92, 0x06, 0x00}), invalid_request) << "field 98: a call that nobody knows";
  EXPECT_EQ(ask({0, 0, 0, 3, 0x22, 0x01, ' '}), invalid_request) << "a SAP message of one space";
}

}  // namespace
}  // namespace intaglio::protocol::wire
