#include "sam/factors/identities.h"

#include "evidence/identity_approval.h"
#include "sam/testing/factors_fixture.h"

namespace intaglio::sam {
namespace {

using testing::expect_refused;
using testing::SoftPasskey;
using testing::SoftProvider;
using testing::Value;

/// A signer with a PIN and an identity at the provider of the policy.
class IdentitiesTest : public testing::FactorsTest {
 protected:
  void SetUp() override {
    FactorsTest::SetUp();
    use_profiles(Value::array({profile("delegated", Value::array({Value::array({"pin", "id-token"}), Value::array({"pin", "totp"})}))}));
    enrol(alice_, /*pin=*/true, /*seed=*/false, {});
    ASSERT_TRUE(link(alice_, ada_));
  }
  Result<IdentityLink> identified(const std::string& subject) {
    auto verified = factors_->identities().verify_new(provider_.answer(binding_, subject, clock_->now()), binding_);
    if (!verified) return verified.error();
    return std::move(verified->link);
  }
  Status link(const SignerId& id, const std::string& subject) {
    auto identity = identified(subject);
    if (!identity) return identity.error();
    return database_->write([&](storage::Transaction& write) { return factors_->identities().put(write, records_.at(id), *identity); });
  }
  /// A new transaction: another binding, which the provider's answer names.
  std::string answer(const std::string& subject, const Value& changes = Value::object()) {
    binding_ = crypto::sha256(binding_);
    return provider_.answer(binding_, subject, clock_->now(), changes);
  }
  std::string answer() { return answer(ada_); }
  Result<FactorsProven> attempt(const SignerId& id, const std::string& pin, const std::optional<std::string>& token,
                                std::optional<evidence::webauthn::AssertionResponse> passkey = {},
                                const std::optional<Demand>& demand = {}) {
    return factors_->verify(id, *crypto::random_id(), clock_->now() + std::chrono::minutes(5),
                            ShownFactors{.pin = pin.empty() ? Secret() : Secret(as_bytes(pin)),
                                         .secret_kind = Factor::pin,
                                         .totp = {},
                                         .passkey = std::move(passkey),
                                         .device = std::nullopt,
                                         .id_token = token,
                                         .binding = binding_},
                            demand.value_or(Demand{&policy_->profiles().front()}));
  }

  const std::string ada_ = "199001011234", eve_ = "198512129876";
};

TEST_F(IdentitiesTest, PinAndIdTokenProveASignerAndSayWhoAnswered) {
  const auto proven = attempt(alice_, pin_, answer());
  ASSERT_TRUE(proven) << proven.error().detail;
  EXPECT_EQ(proven->shown().text(), "pin id-token");
  ASSERT_TRUE(proven->identity());
  EXPECT_EQ(proven->identity()->link.subject, ada_);
  EXPECT_EQ(proven->identity()->provider.issuer, provider_.issuer);
  EXPECT_EQ(proven->identity()->taken, clock_->now());
}

TEST_F(IdentitiesTest, AnIdTokenAloneOrAPinAloneProvesNobody) {
  expect_refused(attempt(alice_, "", answer()), ErrorCode::authentication_failed);
  expect_refused(attempt(alice_, pin_, std::nullopt), ErrorCode::authentication_failed);
}

TEST_F(IdentitiesTest, ATokenOfAnotherPersonTransactionProviderOrLevelProvesNobody) {
  expect_refused(attempt(alice_, pin_, answer(eve_)), ErrorCode::authentication_failed);
  const auto earlier = answer();
  static_cast<void>(answer());
  expect_refused(attempt(alice_, pin_, earlier), ErrorCode::authentication_failed);
  for (const auto& changes : {Value{{"iss", "https://evil.example.org"}}, Value{{"aud", "somebody"}}, Value{{"acr", "low"}},
                              Value{{"auth_time", unix_seconds(clock_->now()) - 301}}, Value{{"exp", unix_seconds(clock_->now())}},
                              Value{{"nonce", "another"}}}) {
    const auto token = answer(ada_, changes);
    expect_refused(attempt(alice_, pin_, token), ErrorCode::authentication_failed);
  }
  static_cast<void>(answer());
  expect_refused(attempt(alice_, pin_, SoftProvider().answer(binding_, ada_, clock_->now())), ErrorCode::authentication_failed);
  expect_refused(attempt(alice_, pin_, "no token at all"), ErrorCode::authentication_failed);
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
}

TEST_F(IdentitiesTest, TheTokenOfAnotherSignerProvesNobody) {
  const auto bob = *SignerId::parse("bob");
  enrol(bob, /*pin=*/true, /*seed=*/false, {});
  ASSERT_TRUE(link(bob, eve_));
  expect_refused(attempt(alice_, pin_, answer(eve_)), ErrorCode::authentication_failed);
  expect_refused(attempt(bob, pin_, answer(ada_)), ErrorCode::authentication_failed);
  EXPECT_TRUE(attempt(bob, pin_, answer(eve_)));
}

TEST_F(IdentitiesTest, TC9_AnIdTokenIsTakenOnceWhateverMessageItComesIn) {
  const auto once = answer();
  expect_refused(attempt(alice_, "918273", once), ErrorCode::authentication_failed);
  expect_refused(attempt(alice_, pin_, once), ErrorCode::replayed);
  // The same content under another signature is the same token: ECDSA makes as many as one likes.
  expect_refused(attempt(alice_, pin_, provider_.answer(binding_, ada_, clock_->now())), ErrorCode::replayed);
  open();
  expect_refused(attempt(alice_, pin_, once), ErrorCode::replayed);
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
}

TEST_F(IdentitiesTest, AWrongPinBesideARightTokenLocksAfterThreeAndAStrangersTokenLocksNobody) {
  for (int i = 0; i < 5; ++i) expect_refused(attempt(alice_, "111222", answer(eve_)), ErrorCode::authentication_failed);
  for (int i = 0; i < 3; ++i) expect_refused(attempt(alice_, "111222", answer()), ErrorCode::authentication_failed);
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::credential_locked);
  clock_->advance(std::chrono::minutes(15));
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
}

TEST_F(IdentitiesTest, TC11_WhoeverIsAskedForAndWhateverIsShownOnePepperIsEvaluated) {
  const auto nobody = *SignerId::parse("nobody");
  const auto cost = [&](const SignerId& id, const std::string& token) {
    const int before = pepper_.evaluations;
    static_cast<void>(attempt(id, pin_, token));
    return pepper_.evaluations - before;
  };
  EXPECT_EQ(cost(alice_, answer()), 1);
  EXPECT_EQ(cost(alice_, answer(eve_)), 1);
  EXPECT_EQ(cost(nobody, answer()), 1);
  EXPECT_EQ(cost(nobody, "no token at all"), 1);
  expect_refused(attempt(nobody, pin_, answer()), ErrorCode::authentication_failed);
}

TEST_F(IdentitiesTest, EachFactorThatIsShownMustBeRight) {
  const auto bob = *SignerId::parse("bob");
  auto bobs = passkey_;
  use_profiles(Value::array({profile("either", Value::array({Value::array({"pin", "id-token"}), Value::array({"pin", "passkey"})}))}));
  enrol(bob, /*pin=*/true, /*seed=*/false, bobs);
  ASSERT_TRUE(link(bob, eve_));
  auto token = answer(eve_);
  auto proven = attempt(bob, pin_, token, bobs.answer(binding_));
  ASSERT_TRUE(proven) << proven.error().detail;
  EXPECT_EQ(proven->shown().text(), "pin passkey id-token");
  token = answer(ada_);
  expect_refused(attempt(bob, pin_, token, bobs.answer(binding_)), ErrorCode::authentication_failed);
}

TEST_F(IdentitiesTest, TC7_TheIdentityOfAnEarlierRecordOfTheNameApprovesNothing) {
  enrol(alice_, /*pin=*/true, /*seed=*/false, {}, /*incarnation=*/2);
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  ASSERT_TRUE(link(alice_, eve_));
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  EXPECT_TRUE(attempt(alice_, pin_, answer(eve_)));
}

TEST_F(IdentitiesTest, ANewIdentityTakesThePlaceOfTheOld) {
  ASSERT_TRUE(link(alice_, eve_));
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  EXPECT_TRUE(attempt(alice_, pin_, answer(eve_)));
}

TEST_F(IdentitiesTest, WhatAnIdentityOpenedIsNotWrittenOnceAnotherIsLinkedOrItsProviderIsGone) {
  const auto proven = attempt(alice_, pin_, answer());
  ASSERT_TRUE(proven) << proven.error().detail;
  EXPECT_EQ(current(*proven), std::nullopt);
  ASSERT_TRUE(link(alice_, eve_));
  EXPECT_EQ(current(*proven), ErrorCode::conflict);
  ASSERT_TRUE(link(alice_, ada_));
  EXPECT_EQ(current(*proven), ErrorCode::conflict) << "the same person, linked anew";
  const auto again = attempt(alice_, pin_, answer());
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(current(*again), std::nullopt);
  provider_ = SoftProvider{.issuer = "https://other.example.org"};
  use_profiles(Value::array({profile("delegated", Value::array({Value::array({"pin", "id-token"})}))}));
  EXPECT_EQ(current(*again), ErrorCode::conflict);
}

TEST_F(IdentitiesTest, AnIdentityAtAProviderThatThePolicyDroppedApprovesNothing) {
  const auto old = provider_;
  provider_ = SoftProvider{.issuer = "https://other.example.org"};
  use_profiles(Value::array({profile("delegated", Value::array({Value::array({"pin", "id-token"})}))}));
  binding_ = crypto::sha256(binding_);
  expect_refused(attempt(alice_, pin_, old.answer(binding_, ada_, clock_->now())), ErrorCode::authentication_failed);
  // The person of the same number at the other provider is somebody else.
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  ASSERT_TRUE(link(alice_, ada_));
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
}

TEST_F(IdentitiesTest, ATokenThatDoesNotAnswerTheEnrolmentLinksNobodyAndSaysWhy) {
  const auto refused = factors_->identities().verify_new(provider_.answer(Bytes(32, 1), ada_, clock_->now()), binding_);
  expect_refused(refused, ErrorCode::invalid_request);
  EXPECT_NE(refused.error().detail.find("an answer to something else"), std::string::npos) << refused.error().detail;
}

TEST_F(IdentitiesTest, TC8_ARowThatIsPutBackOrRemovedIsRefused) {
  ASSERT_TRUE(database_->write([](storage::Transaction& write) -> Status {
    auto done = write.execute("DELETE FROM identities", {});
    return done ? Status() : Status(done.error());
  }));
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::storage_unavailable);
}

TEST(IdentityLinkRecord, IsReadOnlyAsItIsWritten) {
  const IdentityLinkRecord record{
      .incarnation = Bytes(16, 1),
      .link = {.salt = Bytes(16, 2), .issuer = "https://id.example.org", .subject = "1", .linked = 1'800'000'000}};
  const auto encoded = encode(record);
  const auto read = parse_identity_link(encoded);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encoded);
  for (std::size_t size = 0; size < encoded.size(); ++size) EXPECT_FALSE(parse_identity_link(ByteView(encoded).first(size))) << size;
  auto longer = encoded;
  longer.push_back(0);
  EXPECT_FALSE(parse_identity_link(longer));
}

}  // namespace
}  // namespace intaglio::sam
