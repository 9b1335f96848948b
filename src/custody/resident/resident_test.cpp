// One suite of resident custody for every token that can hold signers' keys: SoftHSM in this process; openCryptoki's and a TPM's in a
// process of this program's own, which a script of tests/tokens starts beside the module.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "crypto/certificate.h"
#include "crypto/random.h"
#include "custody/resident/vault.h"
#include "custody/test_support.h"
#include "custody/wrapped/sealed_key.h"
#include "token/hsm_profile.h"

namespace intaglio::sam {

/// Stands where the SAM's verifier stands, whose test is elsewhere: no one else can make an activation.
class Verifier {
 public:
  static custody::Activation activate(const custody::KeyBinding& binding, crypto::SignatureSuite suite, Bytes digest) {
    return custody::Activation(binding.key, binding.owner, suite, std::move(digest));
  }
};

}  // namespace intaglio::sam

namespace intaglio::custody {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;
using testing::code_of;

constexpr std::array rising = {KeyAlgorithm::p256,    KeyAlgorithm::p384,    KeyAlgorithm::p521,
                               KeyAlgorithm::rsa2048, KeyAlgorithm::rsa3072, KeyAlgorithm::rsa4096};

KeyId fresh_key() {
  static unsigned next = 0;
  return *KeyId::parse("resident-" + std::to_string(++next));
}
Bytes digest_of(SignatureSuite suite, std::uint8_t fill) { return Bytes(crypto::digest_length(crypto::hash_of(suite)), fill); }
SignatureSuite suite_of(const crypto::PublicKey& key) {
  return crypto::is_rsa(key.algorithm()) ? SignatureSuite::rsa_pss_sha256 : SignatureSuite::ecdsa_sha256;
}
Activation activation_of(const KeyId& key, SignatureSuite suite, Bytes digest) {
  return sam::Verifier::activate({key, *SignerId::parse("alice"), Bytes(16, 0x11), "resident", 1}, suite, std::move(digest));
}

class ResidentCustody : public ::testing::Test {
 protected:
  void SetUp() override {
    token = testing::open_resident_token();
    vault = std::make_unique<ResidentVault>(token);
    // The known-answer check may keep a probe key: made now, so that counts do not meet it.
    ASSERT_TRUE(token->check_health());
  }
  /// The first algorithm that the token serves: keys of it are made fastest.
  [[nodiscard]] KeyAlgorithm served() const {
    for (const auto algorithm : rising) {
      if (token->check_algorithm(algorithm)) return algorithm;
    }
    panic("the token of the test serves nothing");
  }
  [[nodiscard]] crypto::PublicKey make(const KeyId& id) { return make(id, served()); }
  [[nodiscard]] crypto::PublicKey make(const KeyId& id, KeyAlgorithm algorithm) {
    auto made = vault->generate(id, algorithm);
    if (!made) panic(("no key: " + made.error().detail).c_str());
    return *std::move(made);
  }
  [[nodiscard]] static ::testing::AssertionResult signs(ResidentVault& vault, const KeyId& id, const crypto::PublicKey& key,
                                                        SignatureSuite suite) {
    const auto digest = digest_of(suite, 0x5a);
    const auto outcome = vault.sign(activation_of(id, suite, digest), key);
    if (!outcome.signature) return ::testing::AssertionFailure() << outcome.refusal->error.detail;
    return key.verify_digest(suite, digest, *outcome.signature) ? ::testing::AssertionSuccess() : ::testing::AssertionFailure() << "wrong";
  }

  std::shared_ptr<token::Token> token;
  std::unique_ptr<ResidentVault> vault;
};

TEST_F(ResidentCustody, MakesKeysOfEachServedAlgorithmThatProveThemselvesAndSign) {
  const auto subject = *crypto::encode_name({{"2.5.4.3", "Ada Lovelace"}});
  unsigned count = 0;
  for (const auto algorithm : rising) {
    if (!token->check_algorithm(algorithm)) continue;
    const auto id = fresh_key();
    const auto key = make(id, algorithm);
    EXPECT_EQ(key.algorithm(), algorithm);
    const auto request = vault->make_certificate_request(id, *SignerId::parse("alice"), subject);
    ASSERT_TRUE(request) << crypto::name_of(algorithm) << ": " << request.error().detail;
    const auto parsed = crypto::parse_csr(*request);
    ASSERT_TRUE(parsed) << parsed.error().detail;
    EXPECT_EQ(parsed->key.spki(), key.spki());
    EXPECT_TRUE(signs(*vault, id, key, suite_of(key))) << crypto::name_of(algorithm);
    EXPECT_TRUE(vault->destroy(id));
    ++count;
  }
  EXPECT_GT(count, 0U);
}

TEST_F(ResidentCustody, RefusesAnAlgorithmThatTheTokenDoesNotServe) {
  for (const auto algorithm : rising) {
    if (token->check_algorithm(algorithm)) continue;
    EXPECT_EQ(code_of(vault->generate(fresh_key(), algorithm)), ErrorCode::unsupported) << crypto::name_of(algorithm);
  }
}

TEST_F(ResidentCustody, FindsAKeyAgainInAnotherVaultAndSigns) {
  const auto id = fresh_key();
  const auto key = make(id);
  ResidentVault other(token);
  EXPECT_TRUE(signs(other, id, key, suite_of(key)));
  EXPECT_TRUE(other.destroy(id));
}

TEST_F(ResidentCustody, SignsNothingWhenTheCertificateIsOfAnotherKey) {
  const auto id = fresh_key();
  const auto key = make(id);
  const auto other_id = fresh_key();
  const auto other = make(other_id);
  const auto before = token->signer_signatures();
  const auto outcome = vault->sign(activation_of(id, suite_of(key), digest_of(suite_of(key), 1)), other);
  ASSERT_TRUE(outcome.refusal);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_EQ(token->signer_signatures(), before);
  EXPECT_TRUE(vault->destroy(id));
  EXPECT_TRUE(vault->destroy(other_id));
}

TEST_F(ResidentCustody, RefusesADigestOfAnotherLengthWithCertainty) {
  const auto id = fresh_key();
  const auto key = make(id);
  const auto outcome = vault->sign(activation_of(id, suite_of(key), Bytes(31, 1)), key);
  ASSERT_TRUE(outcome.refusal);
  EXPECT_TRUE(outcome.refusal->definite);
  EXPECT_TRUE(vault->destroy(id));
}

TEST_F(ResidentCustody, KeepsAnIdForItsFirstKey) {
  const auto id = fresh_key();
  const auto key = make(id);
  EXPECT_EQ(code_of(vault->generate(id, served())), ErrorCode::conflict);
  EXPECT_TRUE(signs(*vault, id, key, suite_of(key)));
  EXPECT_TRUE(vault->destroy(id));
}

TEST_F(ResidentCustody, DestroysAKeyForGoodAndLeavesNoObjectBehind) {
  const auto before = token->object_count();
  ASSERT_TRUE(before);
  const auto id = fresh_key();
  const auto key = make(id);
  EXPECT_TRUE(vault->destroy(id));
  EXPECT_TRUE(vault->destroy(id)) << "a second time there is nothing to do";
  const auto outcome = vault->sign(activation_of(id, suite_of(key), digest_of(suite_of(key), 1)), key);
  ASSERT_TRUE(outcome.refusal);
  EXPECT_EQ(outcome.refusal->error.code, ErrorCode::not_found);
  EXPECT_TRUE(outcome.refusal->definite);
  const auto after = token->object_count();
  ASSERT_TRUE(after);
  EXPECT_EQ(*after, *before);
}

TEST_F(ResidentCustody, SignsFromSeveralThreadsAndCountsEachSignature) {
  const auto id = fresh_key();
  const auto key = make(id);
  const auto before = token->signer_signatures();
  std::atomic<unsigned> good{0};
  {
    std::vector<std::jthread> threads;
    for (int number = 0; number < 3; ++number) {
      threads.emplace_back([&] {
        for (int round = 0; round < 5; ++round) good += signs(*vault, id, key, suite_of(key)) ? 1U : 0U;
      });
    }
  }
  EXPECT_EQ(good, 15U);
  EXPECT_EQ(token->signer_signatures(), before + 15);
  EXPECT_TRUE(vault->destroy(id));
}

TEST_F(ResidentCustody, IsDeclaredEmulatedWhereTheModuleHasNoKeyAuthorisation) { EXPECT_EQ(vault->key_authorisation(), "emulated"); }

constexpr unsigned tests_of_the_suite = 9;

/// Runs the suite in a process of its own beside the module; gives how many of its tests passed.
unsigned passed_on(const std::string& kind, const std::string& module) {
  std::string folder = (std::filesystem::temp_directory_path() / "intaglio-module-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) panic("no folder for the test");
  const auto self = std::filesystem::read_symlink("/proc/self/exe").string();
  const auto source = std::filesystem::path(INTAGLIO_SOURCE_DIR);
  // What a module keeps until its process ends is no leak of ours.
  const auto command = "ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 " + (source / "tests/tokens" / kind).string() + " " + folder +
                       " env INTAGLIO_TEST_MODULE=" + module + " INTAGLIO_TEST_PIN=" + folder +
                       "/pin INTAGLIO_TEST_PROFILE=" + (source / "deploy/hsm-profiles" / (kind + ".json")).string() + " " + self +
                       " --gtest_filter='ResidentCustody.*' 2>&1 </dev/null";
  std::FILE* const output = ::popen(command.c_str(), "r");
  if (output == nullptr) panic("no shell");
  std::string said;
  std::array<char, 4096> piece;
  while (const auto length = std::fread(piece.data(), 1, piece.size(), output)) said.append(piece.data(), length);
  const int ended = ::pclose(output);
  std::filesystem::remove_all(folder);
  unsigned passed = 0;
  for (auto at = said.find("[       OK ]"); at != std::string::npos; at = said.find("[       OK ]", at + 1)) ++passed;
  EXPECT_EQ(ended, 0) << said;
  return passed;
}

TEST(CustodySuite, HoldsOnOpenCryptokiWithRsaKeys) {
  EXPECT_EQ(passed_on("opencryptoki", "/usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so"), tests_of_the_suite);
}

TEST(CustodySuite, HoldsOnATpmWithP256AndRsa2048) {
  EXPECT_EQ(passed_on("tpm2-pkcs11", "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so"), tests_of_the_suite);
}

}  // namespace
}  // namespace intaglio::custody
