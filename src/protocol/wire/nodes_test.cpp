#include "protocol/wire/nodes.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "protocol/wire/test_identity.h"
#include "protocol/wire/test_sam.h"

namespace intaglio::protocol::wire {
namespace {

const auto leaf = crypto::sha256(as_bytes("leaf"));
constexpr auto patience = std::chrono::seconds(20);

SignRequest sign_request() {
  return {"sad", *KeyId::parse("key-1"), crypto::SignatureSuite::ecdsa_sha256, {Bytes(32, 7)}, "client", "192.0.2.1"};
}

/// A node that counts what it is asked, and refuses everything while it is told to.
class Node final : public TestSam {
 public:
  Result<SignAnswer> sign(const SignRequest& request) override {
    return act<SignAnswer>([&] { return TestSam::sign(request); });
  }
  Result<Authorised> authorise(std::string_view message) override {
    return act<Authorised>([&] { return TestSam::authorise(message); });
  }
  Result<CredentialFacts> credential(const KeyId& key) override {
    return act<CredentialFacts>([&] { return TestSam::credential(key); });
  }
  Result<std::string> receipt(std::uint64_t index, const crypto::Sha256Digest& digest) override {
    return act<std::string>([&] { return TestSam::receipt(index, digest); });
  }
  void refuse_with(std::optional<ErrorCode> code) {
    const std::lock_guard lock(mutex_);
    refusal_ = code;
  }
  std::atomic<unsigned> asked{0};

 private:
  template <typename Value>
  Result<Value> act(const std::function<Result<Value>()>& what) {
    ++asked;
    const std::lock_guard lock(mutex_);
    if (refusal_) return Error{*refusal_, "told to"};
    return what();
  }
  std::mutex mutex_;
  std::optional<ErrorCode> refusal_;
};

/// Between caller and node: what the node says after `cut` is lost, with the connection.
class Cutter {
 public:
  explicit Cutter(std::uint16_t target) : target_(target) {
    sockaddr_in any{};
    any.sin_family = AF_INET;
    any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof any;
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&any), length) != 0 || ::listen(listener_, 16) != 0) panic("no listener");
    ::getsockname(listener_, reinterpret_cast<sockaddr*>(&any), &length);
    port = ntohs(any.sin_port);
    thread_ = std::thread([this] { serve(); });
  }
  ~Cutter() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }
  /// Whether an answer that arrives now is lost; asked by the cutter's thread.
  void cut_when(std::function<bool()> cut) {
    const std::lock_guard lock(mutex_);
    cut_ = std::move(cut);
  }
  std::uint16_t port = 0;

 private:
  struct Pair {
    int caller, node;
  };

  void serve() {
    std::vector<Pair> pairs;
    while (!stopping_) {
      std::vector<pollfd> waited{{listener_, POLLIN, 0}};
      for (const auto& pair : pairs) {
        waited.push_back({pair.caller, POLLIN, 0});
        waited.push_back({pair.node, POLLIN, 0});
      }
      if (::poll(waited.data(), waited.size(), 20) <= 0) continue;
      for (std::size_t i = pairs.size(); i-- > 0;) {
        const bool asks = waited[1 + 2 * i].revents != 0, answers = waited[2 + 2 * i].revents != 0;
        const bool goes_on =
            (!asks || carry(pairs[i].caller, pairs[i].node)) && (!answers || (!cuts() && carry(pairs[i].node, pairs[i].caller)));
        if (goes_on) continue;
        ::close(pairs[i].caller);
        ::close(pairs[i].node);
        pairs.erase(pairs.begin() + static_cast<std::ptrdiff_t>(i));
      }
      if (waited.front().revents != 0) open(pairs);
    }
    for (const auto& pair : pairs) {
      ::close(pair.caller);
      ::close(pair.node);
    }
  }
  void open(std::vector<Pair>& pairs) const {
    const int caller = ::accept(listener_, nullptr, nullptr);
    const int node = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in there{};
    there.sin_family = AF_INET;
    there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    there.sin_port = htons(target_);
    if (::connect(node, reinterpret_cast<sockaddr*>(&there), sizeof there) == 0) return pairs.push_back({caller, node});
    ::close(caller);
    ::close(node);
  }
  static bool carry(int from, int to) {
    std::array<std::byte, 16384> buffer{};
    const auto count = ::recv(from, buffer.data(), buffer.size(), 0);
    return count > 0 && ::send(to, buffer.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL) == count;
  }
  bool cuts() {
    const std::lock_guard lock(mutex_);
    return cut_ && cut_();
  }

  const std::uint16_t target_;
  const int listener_ = ::socket(AF_INET, SOCK_STREAM, 0);
  std::mutex mutex_;
  std::function<bool()> cut_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

class SeveralNodes : public testing::Test {
 protected:
  SeveralNodes() {
    serve(0);
    serve(1);
  }
  void serve(std::size_t which, std::uint16_t port = 0) {
    ServerConfig config;
    config.port = port;
    config.identity = identities[which].files;
    config.pinned_peers = {ssa.pin};
    config.workers = 4;
    auto started = Server::start(config, nodes[which]);
    if (!started) panic(started.error().detail.c_str());
    servers[which] = *std::move(started);
  }
  ClientConfig config(std::size_t which) const {
    ClientConfig config;
    config.port = servers[which]->port();
    config.identity = ssa.files;
    config.pinned_peer = identities[which].pin;
    config.connections = 4;
    config.timeout = std::chrono::seconds(10);
    return config;
  }
  std::shared_ptr<SamNodes> client() const { return client({config(0), config(1)}); }
  static std::shared_ptr<SamNodes> client(const std::vector<ClientConfig>& configs) {
    auto connected = connect(configs);
    if (!connected) panic("no client");
    return *std::move(connected);
  }
  /// Waits until what the client knows of this node is so.
  static bool until(SamNodes& remote, std::size_t which, bool left_out) {
    for (const auto end = std::chrono::steady_clock::now() + patience; std::chrono::steady_clock::now() < end;) {
      if (remote.report()[which].left_out == left_out) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
  unsigned asked(std::size_t which) const { return nodes[which]->asked; }

  TestFolder folder;
  TestIdentity ssa = make_identity(folder.path(), "ssa");
  std::array<TestIdentity, 2> identities{make_identity(folder.path(), "sam-1"), make_identity(folder.path(), "sam-2")};
  std::array<std::shared_ptr<Node>, 2> nodes{std::make_shared<Node>(), std::make_shared<Node>()};
  std::array<std::unique_ptr<Server>, 2> servers;
};

TEST_F(SeveralNodes, AreAskedInTurn) {
  const auto remote = client();
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(remote->sign(sign_request()));
  EXPECT_EQ(asked(0), 5U);
  EXPECT_EQ(asked(1), 5U);
  const auto report = remote->report();
  ASSERT_EQ(report.size(), 2U);
  for (const auto& one : report) {
    EXPECT_EQ(one.calls, 5U);
    EXPECT_EQ(one.failures, 0U);
    ASSERT_TRUE(one.status) << one.status.error().detail;
    EXPECT_EQ(*one.status, R"({"state":"serving"})");
  }
  EXPECT_EQ(report[0].name, "127.0.0.1:" + std::to_string(servers[0]->port()));
}

TEST_F(SeveralNodes, LoseNoCallOfAnyKindWhenOneIsAwayAndTryItNoMoreUntilItIsThere) {
  const auto remote = client();
  EXPECT_TRUE(remote->sign(sign_request()) && remote->sign(sign_request()));
  const auto port = servers[0]->port();
  servers[0].reset();
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(remote->sign(sign_request()));
    EXPECT_TRUE(remote->authorise("message"));
    EXPECT_TRUE(remote->credential(*KeyId::parse("key-1")));
    EXPECT_TRUE(remote->begin_one_time());
  }
  const auto report = remote->report();
  EXPECT_TRUE(report[0].left_out);
  EXPECT_FALSE(report[0].status);
  EXPECT_EQ(report[0].failures, 1U);
  EXPECT_EQ(report[1].taken_over, 1U);
  EXPECT_FALSE(report[1].left_out);
  EXPECT_EQ(asked(0), 1U);

  serve(0, port);
  ASSERT_TRUE(until(*remote, 0, false));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(remote->sign(sign_request()));
  EXPECT_EQ(asked(0), 2U);
}

TEST_F(SeveralNodes, AreAllTriedWhenAllWereLeftOut) {
  const auto remote = client();
  const auto port = servers[1]->port();
  servers[0].reset();
  servers[1].reset();
  const auto refused = remote->sign(sign_request());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::token_unavailable) << "nothing was sent";
  serve(1, port);
  EXPECT_TRUE(remote->sign(sign_request()));
}

TEST_F(SeveralNodes, TakeOverWhatAnotherDoesNotServeNowAndNothingThatItRefuses) {
  struct Row {
    ErrorCode code;
    bool taken_over;
    bool left_out;
  };
  for (const auto& row :
       {Row{ErrorCode::busy, true, false}, Row{ErrorCode::token_unavailable, true, true}, Row{ErrorCode::storage_unavailable, true, true},
        Row{ErrorCode::audit_unavailable, true, true}, Row{ErrorCode::clock_unsynchronised, true, true},
        Row{ErrorCode::authentication_failed, false, false}, Row{ErrorCode::replayed, false, false},
        Row{ErrorCode::sad_expired, false, false}, Row{ErrorCode::hash_not_authorised, false, false},
        Row{ErrorCode::limit_exceeded, false, false}, Row{ErrorCode::internal, false, false}}) {
    const auto remote = client();
    nodes[0]->refuse_with(row.code);
    const auto earlier = asked(1);
    const auto answer = remote->sign(sign_request());
    EXPECT_EQ(static_cast<bool>(answer), row.taken_over) << name_of(row.code);
    if (!row.taken_over) {
      EXPECT_EQ(answer.error().code, row.code);
    }
    EXPECT_EQ(asked(1) - earlier, row.taken_over ? 1U : 0U) << name_of(row.code);
    EXPECT_EQ(remote->report()[0].left_out, row.left_out) << name_of(row.code);
  }
}

TEST_F(SeveralNodes, AnswerAsTheFirstDidWhenTheSecondRefusesWhatTheFirstMayHaveDone) {
  const auto remote = client();
  nodes[0]->refuse_with(ErrorCode::storage_unavailable);
  nodes[1]->refuse_with(ErrorCode::hash_not_authorised);
  EXPECT_EQ(remote->sign(sign_request()).error().code, ErrorCode::storage_unavailable);
  // What changes nothing is refused by whoever knows.
  EXPECT_EQ(client()->credential(*KeyId::parse("key-1")).error().code, ErrorCode::hash_not_authorised);
}

TEST_F(SeveralNodes, GiveTheSignatureWhoseAnswerWasLost) {
  Cutter cutter(servers[0]->port());
  auto first = config(0);
  first.port = cutter.port;
  cutter.cut_when([this] { return asked(0) > 0; });
  const auto remote = client({first, config(1)});
  const auto answer = remote->sign(sign_request());
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_EQ(asked(0), 1U);
  EXPECT_EQ(asked(1), 1U);
}

TEST_F(SeveralNodes, SayThatNothingIsKnownWhenAnAnswerWasLostAndNoOtherNodeCanSettleIt) {
  for (const auto code : {ErrorCode::hash_not_authorised, ErrorCode::replayed, ErrorCode::busy, ErrorCode::storage_unavailable}) {
    Cutter cutter(servers[0]->port());
    auto first = config(0);
    first.port = cutter.port;
    const auto earlier = asked(0);
    cutter.cut_when([&] { return asked(0) > earlier; });
    nodes[1]->refuse_with(code);
    const auto remote = client({first, config(1)});
    const auto answer = remote->sign(sign_request());
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().code, ErrorCode::storage_unavailable) << name_of(code);
    EXPECT_EQ(answer.error().detail.rfind("outcome unknown", 0), 0U) << answer.error().detail;
    EXPECT_EQ(asked(0) - earlier, 1U) << "nobody asks the same node twice";
  }
}

TEST_F(SeveralNodes, DoNotTakeOverASessionInItsMiddle) {
  Cutter cutter(servers[0]->port());
  auto first = config(0);
  first.port = cutter.port;
  const auto remote = client({first, config(1)});
  const auto session = remote->begin_one_time();
  ASSERT_TRUE(session);
  ASSERT_TRUE((*session)->identify("message"));
  cutter.cut_when([] { return true; });
  const auto made = (*session)->sign({{Bytes{1}}, "192.0.2.1"});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, ErrorCode::internal);
}

TEST_F(SeveralNodes, DoNotWaitForAConnectionToOneWhileAnotherHasOneFree) {
  auto one = config(0), other = config(1);
  one.connections = other.connections = 1;
  one.patience = other.patience = std::chrono::minutes(10);
  const auto remote = client({one, other});
  nodes[0]->block();
  std::thread first([&] { EXPECT_TRUE(remote->sign(sign_request())); });
  nodes[0]->wait_until_blocked();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(remote->sign(sign_request()));
  EXPECT_EQ(asked(1), 4U);
  EXPECT_FALSE(remote->report()[1].left_out);
  nodes[0]->release();
  first.join();
}

TEST_F(SeveralNodes, WaitForAConnectionToTheOneThatServesWhileAnotherIsGone) {
  auto one = config(0), gone = config(1);
  one.connections = 1;
  one.patience = std::chrono::minutes(10);
  servers[1].reset();
  const auto remote = client({one, gone});
  // The one that is gone is left out from the first call that finds it so.
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(remote->sign(sign_request()));
  nodes[0]->block();
  std::thread first([&] { EXPECT_TRUE(remote->sign(sign_request())); });
  nodes[0]->wait_until_blocked();
  std::thread second([&] { EXPECT_TRUE(remote->sign(sign_request())) << "it waits for its turn"; });
  // Time to be refused in, if it did not wait.
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  nodes[0]->release();
  first.join();
  second.join();
}

TEST_F(SeveralNodes, AreEachAskedForAReceiptThatOnlyOneCanGive) {
  const auto remote = client();
  nodes[0]->refuse_with(ErrorCode::not_found);
  for (int i = 0; i < 4; ++i) {
    const auto receipt = remote->receipt(3, leaf);
    ASSERT_TRUE(receipt) << receipt.error().detail;
    EXPECT_EQ(*receipt, R"({"index":3})");
  }
  nodes[1]->refuse_with(ErrorCode::not_found);
  EXPECT_EQ(remote->receipt(3, leaf).error().code, ErrorCode::not_found);
  EXPECT_EQ(remote->report()[0].failures, 0U);
}

TEST_F(SeveralNodes, AreEachPinnedByAKeyOfItsOwn) {
  auto exchanged = config(0);
  exchanged.pinned_peer = identities[1].pin;
  const auto remote = client({exchanged, config(1)});
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(remote->sign(sign_request()));
  EXPECT_EQ(asked(0), 0U);
  EXPECT_FALSE(remote->report()[0].status);
}

TEST(Repeat, IsSafeForEveryCallThatIsNotPartOfAConversation) {
  EXPECT_EQ(repeat_of(v1::Request::kOneTimeIdentify), Repeat::never);
  EXPECT_EQ(repeat_of(v1::Request::kOneTimeSign), Repeat::never);
  EXPECT_EQ(repeat_of(v1::Request::CALL_NOT_SET), Repeat::never);
  for (const auto call : {v1::Request::kSign, v1::Request::kAuthorise, v1::Request::kCreateSigner, v1::Request::kGenerateKey}) {
    EXPECT_EQ(repeat_of(call), Repeat::settles);
  }
  EXPECT_EQ(repeat_of(v1::Request::kReceipt), Repeat::of_one_node);
  EXPECT_EQ(repeat_of(v1::Request::kCredential), Repeat::harmless);
}

}  // namespace
}  // namespace intaglio::protocol::wire
