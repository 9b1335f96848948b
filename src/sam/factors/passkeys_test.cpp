#include "sam/factors/passkeys.h"

#include "sam/testing/factors_fixture.h"

namespace intaglio::sam {
namespace {

using testing::expect_refused;
using testing::SoftPasskey;
using testing::Value;

class PasskeysTest : public testing::FactorsTest {};

TEST_F(PasskeysTest, PinAndPasskeyProveASignerAndSayWhatWasShown) {
  const auto proven = attempt(alice_, pin_, answer());
  ASSERT_TRUE(proven) << proven.error().detail;
  EXPECT_EQ(proven->shown().text(), "pin passkey");
  ASSERT_TRUE(proven->passkey());
  EXPECT_EQ(proven->passkey()->passkey.id, passkey_.id);
}

TEST_F(PasskeysTest, FactorsThatThePolicyDoesNotTakeTogetherProveNobody) {
  expect_refused(attempt(alice_, "", answer()), ErrorCode::authentication_failed);
  expect_refused(attempt(alice_, pin_, {}), ErrorCode::authentication_failed);
  expect_refused(attempt(alice_, "", {}), ErrorCode::authentication_failed);
}

TEST_F(PasskeysTest, APasskeyStandsAloneOnlyWhereThePolicySaysSo) {
  use_profiles(Value::array({profile("passkey", Value::array({Value::array({"passkey"})}))}));
  const auto proven = attempt(alice_, "", answer());
  ASSERT_TRUE(proven) << proven.error().detail;
  EXPECT_EQ(proven->shown().text(), "passkey");
  expect_refused(attempt(alice_, pin_, {}), ErrorCode::authentication_failed);
}

TEST_F(PasskeysTest, AWrongPinIsNotMadeGoodByThePasskeyAndLocksAfterThree) {
  for (int i = 0; i < 3; ++i) expect_refused(attempt(alice_, "111222", answer()), ErrorCode::authentication_failed);
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::credential_locked);
  clock_->advance(std::chrono::minutes(15));
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
}

TEST_F(PasskeysTest, ASuccessGivesTheAttemptsBack) {
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 2; ++i) expect_refused(attempt(alice_, "111222", answer()), ErrorCode::authentication_failed);
    const auto proven = attempt(alice_, pin_, answer());
    ASSERT_TRUE(proven) << proven.error().detail;
    succeed(*proven);
  }
}

TEST_F(PasskeysTest, AnotherPasskeyThanTheSignersProvesNobodyAndLocksNobody) {
  SoftPasskey foreign;
  foreign.id = Bytes(32, 0x77);
  SoftPasskey forged;  // the name of hers, and another key
  for (int i = 0; i < 5; ++i) {
    static_cast<void>(answer());
    expect_refused(attempt(alice_, pin_, foreign.answer(binding_)), ErrorCode::authentication_failed);
    expect_refused(attempt(alice_, pin_, forged.answer(binding_)), ErrorCode::authentication_failed);
  }
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
}

TEST_F(PasskeysTest, TC11_TheWorkIsTheSameForARightAForeignAndNobodysPasskey) {
  const auto measure = [&](const SignerId& id, const evidence::webauthn::AssertionResponse& response) {
    const auto argon2 = crypto::argon2_evaluations();
    const int pepper = pepper_.evaluations;
    const auto result = attempt(id, "", response);
    return std::tuple(result.error().code, crypto::argon2_evaluations() - argon2, pepper_.evaluations - pepper);
  };
  SoftPasskey foreign;
  foreign.id = Bytes(32, 0x77);
  const auto own = measure(alice_, answer());
  const auto other = measure(alice_, foreign.answer(binding_));
  const auto nobody = measure(*SignerId::parse("nobody"), foreign.answer(binding_));
  EXPECT_EQ(own, other);
  EXPECT_EQ(own, nobody);
  EXPECT_EQ(own, std::tuple(ErrorCode::authentication_failed, 1U, 1));
}

TEST_F(PasskeysTest, TC9_AnAssertionIsTakenOnceAndAgainIsNoSignOfACopy) {
  const auto once = answer();
  ASSERT_TRUE(attempt(alice_, pin_, once));
  expect_refused(attempt(alice_, pin_, once), ErrorCode::replayed);
  EXPECT_TRUE(events("passkey.suspended").empty());
  ASSERT_TRUE(attempt(alice_, pin_, answer()));
}

TEST_F(PasskeysTest, TC9_AnAssertionOfAnAuthenticatorWithoutCounterIsTakenOnceToo) {
  SoftPasskey uncounted;
  uncounted.id = Bytes(32, 0x55);
  uncounted.counts = false;
  ASSERT_TRUE(put(uncounted));
  static_cast<void>(answer());
  const auto once = uncounted.answer(binding_);
  ASSERT_TRUE(attempt(alice_, pin_, once));
  expect_refused(attempt(alice_, pin_, once), ErrorCode::replayed);
  // The same content under another signature is the same assertion: ECDSA makes as many as one likes.
  expect_refused(attempt(alice_, pin_, uncounted.answer(binding_)), ErrorCode::replayed);
  static_cast<void>(answer());
  EXPECT_TRUE(attempt(alice_, pin_, uncounted.answer(binding_)));
}

TEST_F(PasskeysTest, ACounterThatGoesBackSuspendsThePasskeyForGoodAndIsAudited) {
  SoftPasskey spare;
  spare.id = Bytes(32, 0x55);
  ASSERT_TRUE(put(spare));
  passkey_.counter = 10;
  ASSERT_TRUE(attempt(alice_, pin_, answer()));
  passkey_.counter = 3;
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  const auto told = events("passkey.suspended");
  ASSERT_EQ(told.size(), 1U);
  EXPECT_NE(told.front().find(R"("counter_known":"11")"), std::string::npos) << told.front();
  EXPECT_NE(told.front().find(R"("counter_told":"4")"), std::string::npos) << told.front();
  passkey_.counter = 100;
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  EXPECT_EQ(events("passkey.suspended").size(), 1U);
  EXPECT_TRUE(attempt(alice_, pin_, spare.answer(binding_))) << "her other passkey is not concerned";
}

TEST_F(PasskeysTest, ACopyIsSuspendedWhileTheSignerIsLockedToo) {
  for (int i = 0; i < 3; ++i) expect_refused(attempt(alice_, "111222", answer()), ErrorCode::authentication_failed);
  passkey_.counter = 0;
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  EXPECT_EQ(events("passkey.suspended").size(), 1U);
}

TEST_F(PasskeysTest, TC7_PasskeysOfAnEarlierRecordOfTheNameOpenNothing) {
  enrol(alice_, /*pin=*/true, /*seed=*/false, {}, /*incarnation=*/2);
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
}

TEST_F(PasskeysTest, WhatAPasskeyOpenedIsNotWrittenOnceThatPasskeyIsGone) {
  const auto proven = attempt(alice_, pin_, answer());
  ASSERT_TRUE(proven) << proven.error().detail;
  EXPECT_EQ(current(*proven), std::nullopt);
  SoftPasskey other;
  other.id = Bytes(32, 0x55);
  ASSERT_TRUE(put(other));
  EXPECT_EQ(current(*proven), std::nullopt) << "another one beside it changes nothing";
  other.id = Bytes(32, 0x66);
  ASSERT_TRUE(put(other, /*alone=*/true));
  EXPECT_EQ(current(*proven), ErrorCode::conflict);
}

TEST_F(PasskeysTest, WhatAPasskeyOpenedIsNotWrittenOnceItIsSuspended) {
  passkey_.counter = 10;
  const auto proven = attempt(alice_, pin_, answer());
  ASSERT_TRUE(proven) << proven.error().detail;
  passkey_.counter = 3;
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  EXPECT_EQ(current(*proven), ErrorCode::conflict);
}

TEST_F(PasskeysTest, APasskeyThatAStricterPolicyTakesNoMoreOpensNothingUntilItDoesAgain) {
  const auto bob = *SignerId::parse("bob");
  auto rules = passkey_rules_;
  rules["backup_eligible"] = true;
  use_rules(rules);
  SoftPasskey synced;
  synced.id = Bytes(32, 0x55);
  synced.backup_eligible = true;
  enrol(bob, /*pin=*/true, /*seed=*/false, synced);
  EXPECT_TRUE(attempt(bob, pin_, synced.answer(binding_)));
  rules["backup_eligible"] = false;
  use_rules(rules);
  expect_refused(attempt(bob, pin_, synced.answer(binding_)), ErrorCode::authentication_failed);

  // A model is believed only where its attestation was verified.
  ASSERT_TRUE(attempt(alice_, pin_, answer()));
  auto attested = *registered(passkey_);
  rules["models"] = Value::array({"00000000-0000-0000-0000-000000000000", "d548826e-79b4-db40-a3d8-11116f7e8349"});
  rules["roots"] = Value::array({encode_base64(certificate_)});
  use_rules(rules);
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  passkey_.id = attested.id = Bytes(32, 0x77);
  attested.attested = true;
  const auto stored = database_->write(
      [&](storage::Transaction& write) { return factors_->passkeys().put(write, records_.at(alice_), attested, /*alone=*/true); });
  ASSERT_TRUE(stored) << stored.error().detail;
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
  rules["models"] = Value::array({"d548826e-79b4-db40-a3d8-11116f7e8349"});
  use_rules(rules);
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
}

TEST_F(PasskeysTest, AStrangerWithTheCodeOfNoSeedLocksNobodyOut) {
  for (int i = 0; i < 5; ++i) expect_refused(attempt(alice_, pin_, {}, zero_code()), ErrorCode::authentication_failed);
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
}

TEST_F(PasskeysTest, EachFactorThatIsShownMustBeRight) {
  const auto bob = *SignerId::parse("bob");
  auto bobs = passkey_;
  enrol(bob, /*pin=*/true, /*seed=*/true, bobs);
  binding_ = crypto::sha256(as_bytes("another"));
  const auto proven = attempt(bob, pin_, bobs.answer(binding_), zero_code(0x33));
  ASSERT_TRUE(proven) << proven.error().detail;
  EXPECT_EQ(proven->shown().text(), "pin totp passkey");
  succeed(*proven);
  auto wrong = bobs.answer(binding_);
  wrong.signature.back() ^= 1U;
  expect_refused(attempt(bob, pin_, wrong, zero_code(0x33)), ErrorCode::authentication_failed);
  expect_refused(attempt(bob, pin_, bobs.answer(binding_), "000000"), ErrorCode::authentication_failed);
}

TEST_F(PasskeysTest, TC11_APasskeyAloneRefillsNoGuessesAtThePin) {
  use_profiles(
      Value::array({profile("weak", Value::array({Value::array({"passkey"})})), profile("strong", Value::array({"pin", "passkey"}))}));
  const Demand weak{&policy_->profiles().at(0)}, strong{&policy_->profiles().at(1)};
  for (int i = 0; i < 2; ++i) expect_refused(attempt(alice_, "918273", answer(), "", strong), ErrorCode::authentication_failed);
  const auto alone = attempt(alice_, "", answer(), "", weak);
  ASSERT_TRUE(alone) << alone.error().detail;
  succeed(*alone);
  expect_refused(attempt(alice_, "918273", answer(), "", strong), ErrorCode::authentication_failed);
  expect_refused(attempt(alice_, pin_, answer(), "", strong), ErrorCode::credential_locked);
}

TEST_F(PasskeysTest, AChangeOfFactorsAsksForWhatEachReachableProfileAsksFor) {
  const auto bob = *SignerId::parse("bob");
  auto bobs = passkey_;
  enrol(bob, /*pin=*/true, /*seed=*/true, bobs);
  use_profiles(
      Value::array({profile("weak", Value::array({Value::array({"passkey"})})), profile("strong", Value::array({"pin", "totp"}))}));
  const Demand all{&policy_->profiles().at(0), &policy_->profiles().at(1)};
  binding_ = crypto::sha256(as_bytes("another"));
  expect_refused(attempt(bob, "", bobs.answer(binding_), "", all), ErrorCode::authentication_failed);
  expect_refused(attempt(bob, pin_, {}, zero_code(0x33), all), ErrorCode::authentication_failed);
  EXPECT_TRUE(attempt(bob, pin_, bobs.answer(binding_), zero_code(0x33), all));
  // Alice has no one-time passwords: the strong profile is out of her reach, and asks nothing of her.
  static_cast<void>(answer());
  EXPECT_TRUE(attempt(alice_, "", passkey_.answer(binding_), "", all));
}

TEST_F(PasskeysTest, EightPasskeysAreKeptEachOnceAndANewOneMayTakeThePlaceOfAll) {
  expect_refused(put(passkey_), ErrorCode::conflict);
  SoftPasskey last;
  for (std::uint8_t i = 1; i < max_passkeys; ++i) {
    last = SoftPasskey();
    last.id = Bytes(32, i);
    ASSERT_TRUE(put(last));
  }
  SoftPasskey ninth;
  ninth.id = Bytes(32, 0x99);
  expect_refused(put(ninth), ErrorCode::limit_exceeded);
  static_cast<void>(answer());
  EXPECT_TRUE(attempt(alice_, pin_, last.answer(binding_)));
  ASSERT_TRUE(put(ninth, /*alone=*/true));
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  EXPECT_TRUE(attempt(alice_, pin_, ninth.answer(binding_)));
}

TEST_F(PasskeysTest, TC8_ARowOfPasskeysThatIsPutBackOrRemovedIsRefused) {
  ASSERT_TRUE(attempt(alice_, pin_, answer()));
  ASSERT_TRUE(database_->write([](storage::Transaction& write) -> Status {
    auto done = write.execute("DELETE FROM passkeys", {});
    return done ? Status() : Status(done.error());
  }));
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::storage_unavailable);
}

TEST_F(PasskeysTest, ARegistrationForAnotherBindingIsRefusedWithItsReason) {
  SoftPasskey other;
  expect_refused(factors_->passkeys().verify_new(other.registration(crypto::sha256(as_bytes("other"))), binding_),
                 ErrorCode::invalid_request);
}

TEST(PasskeyRecord, IsReadOnlyAsItIsWritten) {
  const PasskeyRecord record{.incarnation = Bytes(16, 1),
                             .passkeys = {{Bytes(32, 2), Bytes(91, 3), 7, {4}, 5, true, true, false, 1'800'000'000},
                                          {Bytes(16, 6), Bytes(91, 7), 9, {}, 0, false, false, true, 1}}};
  const auto encoded = encode(record);
  const auto read = parse_passkeys(encoded);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encoded);
  for (std::size_t size = 0; size < encoded.size(); ++size) EXPECT_FALSE(parse_passkeys(ByteView(encoded).first(size))) << size;
  auto longer = encoded;
  longer.push_back(0);
  EXPECT_FALSE(parse_passkeys(longer));
}

TEST(PasskeyRecord, OfBeforeAttestationWasKeptHasNone) {
  Bytes earlier;
  append_field(earlier, std::string_view("passkeys/1"));
  append_field(earlier, Bytes(16, 1));
  append_field(earlier, std::uint64_t{1});
  append_field(earlier, Bytes(32, 2));
  append_field(earlier, Bytes(91, 3));
  append_field(earlier, std::uint64_t{7});
  append_field(earlier, Bytes(16, 4));
  for (const std::uint64_t number : {5U, 1U, 0U, 1800000000U}) append_field(earlier, number);
  const auto read = parse_passkeys(earlier);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_FALSE(read->passkeys.front().attested);
  EXPECT_TRUE(read->passkeys.front().backup_eligible);
  EXPECT_FALSE(read->passkeys.front().suspended);
}

}  // namespace
}  // namespace intaglio::sam
