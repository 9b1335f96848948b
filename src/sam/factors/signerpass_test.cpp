#include "sam/factors/signerpass.h"

#include <gtest/gtest.h>

#include "sam/testing/factors_fixture.h"

namespace intaglio::sam {
namespace {

using testing::expect_refused;
using testing::FactorsTest;

constexpr std::string_view made_by_chance = "k7d3-q9x2-m4b8-r6t1-w5z0";

std::uint32_t bits_of(std::string_view text, std::string_view signer = "ada") { return estimated_bits(Secret(as_bytes(text)), signer); }
Status check(std::string_view text, std::uint32_t least = 60) { return check_new_signerpass(Secret(as_bytes(text)), "ada", least); }

TEST(Signerpass, HasTheBitsOfTheChanceThatMadeIt) {
  // Ten times one of 26 letters and one of 10 digits: 10 * log2(260).
  EXPECT_EQ(bits_of(made_by_chance), 80U);
  EXPECT_EQ(bits_of("k7d3q9x2m4b8r6t1w5z0"), 80U) << "separators add nothing";
  EXPECT_EQ(bits_of("K7D3-Q9X2-M4B8-R6T1-W5Z0"), 80U) << "nor do capitals";
  EXPECT_TRUE(check(made_by_chance));
  EXPECT_TRUE(check(made_by_chance, 80));
  EXPECT_FALSE(check(made_by_chance, 81));
}

TEST(Signerpass, CountsAWordAsAWordWhateverItsLength) {
  EXPECT_EQ(bits_of("gravel"), 10U);
  EXPECT_EQ(bits_of("donaudampfschifffahrt"), 10U);
  EXPECT_EQ(bits_of("gravel tundra oyster"), 30U);
  EXPECT_TRUE(check("gravel tundra oyster pickle mimosa anchor"));
  EXPECT_FALSE(check("gravel tundra oyster pickle mimosa"));
}

TEST(Signerpass, IsNotWhatIsTriedFirst) {
  for (const std::string_view text :
       {"correct horse battery staple", "Password-Password-Password-Password", "Sn0wboard!2024#Sn0wboard!2024",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "abcdefghijklmnopqrstuvwxyz0123456789", "a1b2c3d4e5f6g7h8i9j0", "z9y8x7w6v5u4t3s2r1q0",
        "x7x7x7x7x7x7x7x7x7x7x7x7", "qwertyuiopasdfghjklzxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn", "mnbvcxzlkjhgfdsapoiuytrewq",
        "482915730164482915730164", "01.02.1990-31.12.2024", "ada ada ada ada ada ada ada ada", "is it me or do we go",
        "!!!!!!!!????????########", "p4ssw0rd-p4ssw0rd-1-2-3"})
    EXPECT_FALSE(check(text)) << text << " has " << bits_of(text);
}

TEST(Signerpass, CountsTheSignersOwnNameAsEverybodyKnowsIt) {
  EXPECT_EQ(bits_of("q7w4lovelace", "Lovelace"), bits_of("q7w4lovelace", "lovelace"));
  EXPECT_LT(bits_of("q7w4lovelace", "lovelace"), bits_of("q7w4lovelace", "alice"));
}

TEST(Signerpass, IsOfAsciiSoThatEveryKeyboardWritesTheSame) {
  const std::string chance(made_by_chance);
  EXPECT_TRUE(check(chance + "~ !"));
  for (const auto& text : {chance + "\xc3\xa4", chance + "\x01", chance + "\x7f", chance + "\t", " " + chance, chance + " ", std::string(),
                           std::string("k7d3q9x2m4b"), chance + std::string(128, '-')})
    expect_refused(check(text), ErrorCode::invalid_request);
  EXPECT_TRUE(check("k7d3q9x2m4b8", 30)) << "twelve are enough where the bits are";
}

TEST(Signerpass, NeverGainsBitsFromACharacterThatRepeats) {
  for (std::size_t length = 12; length <= 128; ++length) {
    const std::string text(length, 'q');
    EXPECT_LE(bits_of(text), 5U) << length;
  }
}

class SignerpassFactor : public FactorsTest {
 protected:
  void SetUp() override {
    argon2_ = {{"memory_kib", 64 * 1024}, {"passes", 3}};
    FactorsTest::SetUp();
    pin_ = made_by_chance;
    secret_kind_ = Factor::signerpass;
    use_profiles(
        Value::array({profile("both", Value::array({Value::array({"signerpass", "passkey"}), Value::array({"pin", "passkey"})}))}));
    enrol(bob_, /*pin=*/true, /*seed=*/false, other_);
  }
  Result<FactorsProven> attempt_of_bob(const std::string& secret) {
    binding_ = crypto::sha256(binding_);
    return attempt(bob_, secret, other_.answer(binding_));
  }
  using Value = json::Value;
  const SignerId bob_ = *SignerId::parse("bob");
  evidence::test::SoftPasskey other_;
};

TEST_F(SignerpassFactor, ApprovesWithAFactorOfAnotherCategory) {
  const auto proven = attempt_of_bob(pin_);
  ASSERT_TRUE(proven) << proven.error().detail;
  EXPECT_EQ(proven->shown().text(), "signerpass passkey");
  EXPECT_TRUE(proven->pin()) << "what the locks of wrapped custody are made of";
  succeed(*proven);
  for (const auto* wrong : {"K7D3-Q9X2-M4B8-R6T1-W5Z0", "k7d3q9x2m4b8r6t1w5z0", "k7d3-q9x2-m4b8-r6t1-w5z1"}) {
    expect_refused(attempt_of_bob(wrong), ErrorCode::authentication_failed);
    if (auto right = attempt_of_bob(pin_)) succeed(*right);
  }
}

TEST_F(SignerpassFactor, IsNotTakenForAPin) {
  secret_kind_ = Factor::pin;
  expect_refused(attempt_of_bob(pin_), ErrorCode::authentication_failed);
  secret_kind_ = Factor::signerpass;
  EXPECT_TRUE(attempt_of_bob(pin_));
}

TEST_F(SignerpassFactor, KeepsTheCostThatItWasMadeWithWhenPolicyAsksForMore) {
  EXPECT_EQ(records_.at(bob_).pin->cost.memory_kib, 64U * 1024);
  argon2_ = {{"memory_kib", 65 * 1024}, {"passes", 3}};
  use_profiles(Value::array({profile("both", Value::array({"signerpass", "passkey"}))}));
  EXPECT_TRUE(attempt_of_bob(pin_));
  enrol(bob_, /*pin=*/true, /*seed=*/false, std::nullopt);
  EXPECT_EQ(records_.at(bob_).pin->cost.memory_kib, 65U * 1024);
}

TEST_F(SignerpassFactor, IsReadBackFromItsRecord) {
  auto& record = records_.at(bob_);
  const auto encoded = encode(record);
  const auto read = parse_signer(encoded.reveal());
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->pin->kind, Factor::signerpass);
  EXPECT_EQ(read->pin->cost.passes, 3U);
  const auto again = encode(*read);
  EXPECT_TRUE(same_secret(again.reveal(), encoded.reveal()));
}

/// As records were written before signerpasses.
Bytes earlier_form_of(const SignerRecord& record) {
  const auto present = encode(record);
  FieldReader in(present.reveal());
  static_cast<void>(in.text(32));
  Bytes earlier;
  append_field(earlier, std::string_view("signer/1"));
  for (int field = 1; field < 15; ++field) append_field(earlier, *in.bytes(16 * 1024));
  return earlier;
}

TEST_F(SignerpassFactor, StandsNotInARecordOfBeforeWhoseSecretIsAPinAtThePolicysCost) {
  const auto read = parse_signer(earlier_form_of(records_.at(alice_)));
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(read->pin->kind, Factor::pin);
  EXPECT_EQ(read->pin->cost.memory_kib, 0U) << "the policy's";
  EXPECT_EQ(read->pin->verifier, records_.at(alice_).pin->verifier);
  auto both = earlier_form_of(records_.at(alice_));
  append_field(both, std::uint64_t{1});
  expect_refused(parse_signer(both), ErrorCode::storage_unavailable);
}

}  // namespace
}  // namespace intaglio::sam
