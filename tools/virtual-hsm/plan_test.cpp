#include "plan.h"

#include <gtest/gtest.h>

#include "ckr_names.h"

namespace intaglio::virtual_hsm {
namespace {

Plan plan_of(std::string_view text) {
  auto parsed = parse_plan(text);
  if (auto* error = std::get_if<PlanError>(&parsed)) {
    ADD_FAILURE() << "line " << error->line << ": " << error->reason;
    return {};
  }
  return std::get<Plan>(parsed);
}

std::size_t refused_line(std::string_view text) {
  auto parsed = parse_plan(text);
  const auto* error = std::get_if<PlanError>(&parsed);
  return error == nullptr ? 0 : error->line;
}

TEST(VirtualHsmPlan, AnEmptyPlanAndCommentsAreNoFaults) {
  for (const auto* text : {"", "\n", "# nothing\n\n"}) {
    const auto plan = plan_of(text);
    EXPECT_TRUE(plan.rules.empty());
    EXPECT_FALSE(plan.condition.absent || plan.condition.pin_locked || plan.condition.tampered || plan.condition.zeroised);
  }
}

TEST(VirtualHsmPlan, EachActionIsReadWithItsCallsAndItsValue) {
  const auto plan = plan_of(
      "C_Sign 3 error-before CKR_DEVICE_ERROR\nC_Sign 2-4 error-after 0x80000001\n* every delay 250\nC_SignInit 5- lose-session "
      "CKR_SESSION_CLOSED\n"
      "C_Login every hang\nC_Sign 1 flip-bit 17\nC_Sign 1 cut 1\nC_Decrypt 1 lose-login\n");
  ASSERT_EQ(plan.rules.size(), 8U);
  EXPECT_EQ(plan.rules[0].action, Action::error_before);
  EXPECT_EQ(plan.rules[0].result, CKR_DEVICE_ERROR);
  EXPECT_EQ(plan.rules[0].first, 3U);
  EXPECT_EQ(plan.rules[0].last, 3U);
  EXPECT_EQ(plan.rules[1].action, Action::error_after);
  EXPECT_EQ(plan.rules[1].result, 0x80000001UL);
  EXPECT_EQ(plan.rules[1].last, 4U);
  EXPECT_EQ(plan.rules[2].value, 250U);
  EXPECT_EQ(plan.rules[3].action, Action::lose_session);
  EXPECT_EQ(plan.rules[4].action, Action::hang);
  EXPECT_EQ(plan.rules[5].value, 17U);
  EXPECT_EQ(plan.rules[6].action, Action::cut);
  EXPECT_EQ(plan.rules[7].action, Action::lose_login);
}

TEST(VirtualHsmPlan, ConditionsOfTheTokenAreRead) {
  const auto plan = plan_of("token removed CKR_TOKEN_NOT_PRESENT\ntoken pin-locked\ntoken tampered\ntoken zeroised\n");
  EXPECT_EQ(plan.condition.absent, CKR_TOKEN_NOT_PRESENT);
  EXPECT_TRUE(plan.condition.pin_locked && plan.condition.tampered && plan.condition.zeroised);
}

TEST(VirtualHsmPlan, WhateverIsNotExactlyAPlanIsRefusedWithItsLine) {
  for (const auto* line : {"C_Sing 1 hang",
                           "c_sign 1 hang",
                           "C_Sign",
                           "C_Sign 1",
                           "C_Sign 0 hang",
                           "C_Sign 01 hang",
                           "C_Sign -1 hang",
                           "C_Sign 4-2 hang",
                           "C_Sign 1-2-3 hang",
                           "C_Sign  1 hang",
                           " C_Sign 1 hang",
                           "C_Sign 1 hang ",
                           "C_Sign\t1\thang",
                           "C_Sign 1 hang\r",
                           "C_Sign 1 hang 3",
                           "C_Sign 1 explode",
                           "C_Sign 1 delay",
                           "C_Sign 1 delay 600001",
                           "C_Sign 1 delay 1s",
                           "C_Sign 99999999999999999999 hang",
                           "C_Sign 1 error-before CKR_OK",
                           "C_Sign 1 error-before 0x0",
                           "C_Sign 1 error-before DEVICE_ERROR",
                           "C_Sign 1 error-before 48",
                           "C_Sign 1 error-before 0x",
                           "C_Sign 1 error-before 0x123456789",
                           "C_Sign 1 error-before 0x-1",
                           "C_SignInit 1 flip-bit 0",
                           "* 1 cut 1",
                           "C_Sign 1 lose-session CKR_DEVICE_ERROR",
                           "C_GetFunctionList 1 hang",
                           "token",
                           "token removed",
                           "token removed CKR_DEVICE_ERROR",
                           "token tampered now",
                           "token broken",
                           "C_Sign@ 1 hang",
                           "C_Sign@a@b 1 hang",
                           "C_Sign@a.b 1 hang",
                           "C_Decrypt@a 1 hang",
                           "*@a 1 hang"}) {
    EXPECT_EQ(refused_line(std::string("# first\n") + line + "\nC_Sign 1 hang\n"), 2U) << line;
  }
}

TEST(VirtualHsmPlan, APlanIsWholeAndBounded) {
  EXPECT_EQ(refused_line("C_Sign 1 hang\nC_Sign 2 hang"), 2U);
  EXPECT_EQ(refused_line("token zeroised\ntoken zeroised\n"), 2U);
  std::string rules;
  for (int rule = 0; rule < 256; ++rule) rules += "C_Sign 1 hang\n";
  EXPECT_EQ(refused_line(rules), 0U);
  EXPECT_EQ(refused_line(rules + "C_Sign 1 hang\n"), 257U);
  EXPECT_EQ(refused_line("#" + std::string(65536, 'x') + "\n"), 1U);
}

TEST(VirtualHsmPlan, RulesMeetTheirCallsAloneAndAStarMeetsOnlySessions) {
  const auto plan = plan_of("C_Sign 2-3 hang\n* 1 delay 5\nC_Sign 3 error-before CKR_DEVICE_ERROR\n");
  const auto met = [&](std::string_view function, bool session, std::uint64_t call) {
    return rules_for(plan, {function, session, call, {}, 0}).size();
  };
  EXPECT_EQ(met("C_Sign", true, 1), 1U);
  EXPECT_EQ(met("C_Sign", true, 2), 1U);
  EXPECT_EQ(met("C_Sign", true, 3), 2U);
  EXPECT_EQ(met("C_Sign", true, 4), 0U);
  EXPECT_EQ(met("C_GetSlotList", false, 1), 0U);
  EXPECT_EQ(met("C_Decrypt", true, 1), 1U);
}

TEST(VirtualHsmPlan, ARuleForOneKeyCountsTheCallsWithThatKey) {
  const auto plan = plan_of("C_Sign@a-K_1 2 hang\n");
  EXPECT_EQ(plan.rules.at(0).key, "612d4b5f31");
  EXPECT_EQ(rules_for(plan, {"C_Sign", true, 9, "612d4b5f31", 2}).size(), 1U);
  EXPECT_EQ(rules_for(plan, {"C_Sign", true, 2, "612d4b5f31", 1}).size(), 0U);
  EXPECT_EQ(rules_for(plan, {"C_Sign", true, 2, "612d", 2}).size(), 0U);
  EXPECT_EQ(rules_for(plan, {"C_SignInit", true, 2, "612d4b5f31", 2}).size(), 0U);
}

TEST(VirtualHsmPlan, ResultsHaveTheirNamesBothWays) {
  EXPECT_EQ(name_of(CKR_OK), "CKR_OK");
  EXPECT_EQ(name_of(CKR_FIPS_SELF_TEST_FAILED), "CKR_FIPS_SELF_TEST_FAILED");
  EXPECT_EQ(name_of(0x80000002UL), "0x80000002");
  EXPECT_EQ(result_named("CKR_PIN_LOCKED"), CKR_PIN_LOCKED);
  EXPECT_EQ(result_named("CKR_PIN"), std::nullopt);
}

}  // namespace
}  // namespace intaglio::virtual_hsm
