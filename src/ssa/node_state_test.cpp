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

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(UnixTime(std::chrono::seconds(1'790'000'000)));
  std::shared_ptr<test::FakeSam> sam = std::make_shared<test::FakeSam>(clock);
  Status audit;
  NodeState state{NodeParts{sam, clock, [this] { return audit; }, [] { return std::uint64_t{12}; }}};
  http::Router router;
  metrics::Metrics metrics;
};

TEST_F(NodeStateTest, ServesWhenTheSamTheClockAndTheLogAreWell) {
  EXPECT_EQ(seen(), (json::Value{{"state", "serving"}, {"sam", "serving"}, {"clock", true}, {"audit", true}}));
  EXPECT_EQ(get("/health/ready").status, 200U);
}

TEST_F(NodeStateTest, RefusesWithoutAnyOfThemAndSaysWhich) {
  audit = Error{ErrorCode::audit_unavailable, "full"};
  EXPECT_EQ(seen(), (json::Value{{"state", "refusing"}, {"sam", "serving"}, {"clock", true}, {"audit", false}}));
  EXPECT_EQ(get("/health/ready").status, 503U);
  audit = {};
  clock->lose_synchronisation();
  EXPECT_EQ(seen(), (json::Value{{"state", "refusing"}, {"sam", "serving"}, {"clock", false}, {"audit", true}}));
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
       {"intaglio_serving 1\n", "intaglio_sam_up 1\n", "intaglio_sam_audit_entries 41\n", "intaglio_audit_entries 12\n",
        "intaglio_sam_token_signatures_total 9\n", "intaglio_sam_audited_signatures_total 8\n", "intaglio_sam_revocation_lists_current 1\n",
        "intaglio_sam_policy_epoch 3\n", "intaglio_sam_token_hanging_calls 0\n", "intaglio_sam_secrets_locked 1\n"}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + line)) << line;
  }
}

TEST_F(NodeStateTest, ShowsNoFigureOfASamThatDoesNotAnswer) {
  sam->failure = Error{ErrorCode::token_unavailable, "down"};
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr("\nintaglio_sam_up 0\n"));
  EXPECT_THAT(text, HasSubstr("\nintaglio_serving 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("intaglio_sam_audit")));
}

}  // namespace
}  // namespace intaglio::ssa
