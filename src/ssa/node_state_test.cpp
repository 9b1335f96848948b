#include "ssa/node_state.h"

#include <gmock/gmock.h>

#include "ssa/test_support.h"

namespace intaglio::ssa {
namespace {

using test::must;
using testing::HasSubstr;
using testing::Not;

constexpr auto serving_sam = R"({"state":"serving","sam":"sam-1","epoch":3,"clock":{"source":"kernel","synchronised":true},
  "audit":{"log":"intaglio/sam","size":41,"healthy":true},"revocation_lists":{"current":true},"secrets_locked":true,"argon2_evaluations":5,"signer_signatures":9,
  "audited_signatures":8,"token":{"hanging_calls":0}})";

class NodeStateTest : public testing::Test {
 protected:
  NodeStateTest() {
    sam->status_text = serving_sam;
    state.add_routes(router);
    metrics.add([this] { return state.figures(); });
  }
  http::Response get(const std::string& path) const {
    http::Request asked;
    asked.method = "GET";
    asked.path = path;
    return router.dispatch(asked);
  }
  json::Value seen() const { return must(json::parse(get("/health/state").body)); }
  static json::Value state_of(const char* state, const char* of_sam, bool synchronised, bool recorded) {
    return {{"state", state},
            {"sam", of_sam},
            {"sam_nodes", json::Value::array({{{"node", "sam-1:7401"}, {"state", of_sam}}})},
            {"clock", synchronised},
            {"audit", recorded}};
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(UnixTime(std::chrono::seconds(1'790'000'000)));
  std::shared_ptr<test::FakeSam> sam = std::make_shared<test::FakeSam>(clock);
  std::vector<std::pair<std::string, std::shared_ptr<test::FakeSam>>> sams{{"sam-1:7401", sam}};
  Status audit;
  /// As the wire reports on each node (protocol/wire.h).
  std::vector<protocol::NodeReport> report() const {
    std::vector<protocol::NodeReport> nodes;
    for (const auto& [name, node] : sams) nodes.push_back({name, node->failure.has_value(), 7, 2, 1, node->status()});
    return nodes;
  }
  NodeState state{NodeParts{[this] { return report(); }, clock, [this] { return audit; }, [] { return std::uint64_t{12}; }}};
  http::Router router;
  metrics::Metrics metrics;
};

TEST_F(NodeStateTest, ServesWhenTheSamTheClockAndTheLogAreWell) {
  EXPECT_EQ(seen(), state_of("serving", "serving", true, true));
  EXPECT_EQ(get("/health/ready").status, 200U);
}

TEST_F(NodeStateTest, RefusesWithoutAnyOfThemAndSaysWhich) {
  audit = Error{ErrorCode::audit_unavailable, "full"};
  EXPECT_EQ(seen(), state_of("refusing", "serving", true, false));
  EXPECT_EQ(get("/health/ready").status, 503U);
  audit = {};
  clock->lose_synchronisation();
  EXPECT_EQ(seen(), state_of("refusing", "serving", false, true));
  clock->find_synchronisation();
  sam->status_text = R"({"state":"refusing"})";
  EXPECT_EQ(seen().at("sam"), "refusing");
  EXPECT_EQ(get("/health/ready").status, 503U);
  EXPECT_EQ(get("/health/alive").status, 200U);
}

TEST_F(NodeStateTest, SaysThatTheSamCannotBeReachedOrTalksRubbish) {
  sam->failure = Error{ErrorCode::token_unavailable, "down"};
  EXPECT_EQ(seen().at("sam"), "unreachable");
  EXPECT_EQ(get("/health/ready").status, 503U);
  sam->failure.reset();
  sam->status_text = "rubbish";
  EXPECT_EQ(seen().at("sam"), "unreachable");
}

TEST_F(NodeStateTest, ShowsTheSamsFiguresAndItsOwn) {
  const auto text = metrics.text();
  for (const auto* line :
       {"intaglio_serving 1\n", "intaglio_sam_up{node=\"sam-1:7401\"} 1\n", "intaglio_sam_audit_entries{node=\"sam-1:7401\"} 41\n",
        "intaglio_audit_entries 12\n", "intaglio_sam_token_signatures_total{node=\"sam-1:7401\"} 9\n",
        "intaglio_sam_audited_signatures_total{node=\"sam-1:7401\"} 8\n", "intaglio_sam_revocation_lists_current{node=\"sam-1:7401\"} 1\n",
        "intaglio_sam_policy_epoch{node=\"sam-1:7401\"} 3\n", "intaglio_sam_token_hanging_calls{node=\"sam-1:7401\"} 0\n",
        "intaglio_sam_secrets_locked{node=\"sam-1:7401\"} 1\n"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + line)) << line;
  }
}

TEST_F(NodeStateTest, ShowsNoFigureOfASamThatDoesNotAnswer) {
  sam->failure = Error{ErrorCode::token_unavailable, "down"};
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("\nintaglio_sam_up{node=\"sam-1:7401\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nintaglio_serving 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("intaglio_sam_audit")));
}

TEST_F(NodeStateTest, ServesWhileOneNodeOfTheSamDoesAndShowsEach) {
  const auto other = std::make_shared<test::FakeSam>(clock);
  other->status_text = serving_sam;
  sams.emplace_back("sam-2:7401", other);
  sam->failure = Error{ErrorCode::token_unavailable, "down"};
  EXPECT_EQ(seen().at("sam"), "serving");
  EXPECT_EQ(seen().at("sam_nodes"),
            (json::Value::array({{{"node", "sam-1:7401"}, {"state", "unreachable"}}, {{"node", "sam-2:7401"}, {"state", "serving"}}})));
  EXPECT_EQ(get("/health/ready").status, 200U);
  const auto text = metrics.text();
  for (const auto* line : {"intaglio_serving 1\n", "intaglio_sam_up{node=\"sam-1:7401\"} 0\n", "intaglio_sam_up{node=\"sam-2:7401\"} 1\n",
                           "intaglio_sam_left_out{node=\"sam-1:7401\"} 1\n", "intaglio_sam_left_out{node=\"sam-2:7401\"} 0\n",
                           "intaglio_sam_calls_total{node=\"sam-2:7401\"} 7\n", "intaglio_sam_failures_total{node=\"sam-2:7401\"} 2\n",
                           "intaglio_sam_taken_over_total{node=\"sam-2:7401\"} 1\n"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + line)) << line;
  }
  other->status_text = R"({"state":"refusing"})";
  EXPECT_EQ(seen().at("sam"), "refusing");
  EXPECT_EQ(get("/health/ready").status, 503U);
}

}  // namespace
}  // namespace intaglio::ssa
