#include "ssa/lying_sam.h"

#include <gtest/gtest.h>

#include "ssa/test_support.h"

#ifdef INTAGLIO_TESTING

namespace intaglio::ssa {
namespace {

using test::must;

/// The fake SAM under a lie.
class LyingSamTest : public testing::Test {
 protected:
  ~LyingSamTest() override {
    ::unsetenv("INTAGLIO_LIE");
    ::unsetenv("INTAGLIO_LIE_WITH");
  }
  void lie(const char* name, const char* with = "") {
    ::setenv("INTAGLIO_LIE", name, 1);
    ::setenv("INTAGLIO_LIE_WITH", with, 1);
    liar_ = perhaps_lying(world_.sam);
  }
  [[nodiscard]] protocol::Transaction shown() {
    const protocol::OpenSigning request{must(KeyId::parse("alice-rsa")),
                                        crypto::HashAlgorithm::sha256,
                                        {crypto::SignatureSuite::rsa_pss_sha256},
                                        {{test::digest_of("one"), "one"}},
                                        "any",
                                        "Application any"};
    return must(protocol::parse_transaction(must(liar_->open_signing(request)).transaction));
  }
  [[nodiscard]] protocol::SignRequest told() {
    const protocol::SignRequest request{
        "a.b.c", must(KeyId::parse("alice-rsa")), crypto::SignatureSuite::rsa_pss_sha256, {test::digest_of("one")}, "any", ""};
    (void)liar_->sign(request);
    return *world_.sam->last_sign;
  }

  test::World world_;
  std::shared_ptr<protocol::SamService> liar_;
};

TEST_F(LyingSamTest, WithoutALieTheSamIsAskedItself) { EXPECT_EQ(perhaps_lying(world_.sam), world_.sam); }

TEST_F(LyingSamTest, WhatIsOpenedDiffersFromWhatIsShown) {
  for (const auto* name : {"open-hash", "open-label", "open-document-added", "open-suite", "open-client"}) {
    SCOPED_TRACE(name);
    lie(name);
    const auto t = shown();
    EXPECT_EQ(t.documents.size(), 1U);
    EXPECT_EQ(t.documents.front().digest, test::digest_of("one"));
    EXPECT_EQ(t.documents.front().label, "one");
    EXPECT_EQ(t.client_id, "any");
    EXPECT_EQ(t.suites.size(), 1U);
  }
}

TEST_F(LyingSamTest, WhatIsShownDiffersFromWhatWasOpened) {
  lie("show-time");
  EXPECT_EQ(shown().expires, world_.clock->now() + std::chrono::minutes{5} + std::chrono::hours{24});
  lie("show-signer", "bob");
  EXPECT_EQ(shown().signer, "bob");
  lie("show-profile");
  EXPECT_EQ(shown().profile, "another-profile");
}

TEST_F(LyingSamTest, WhatIsAskedToBeSignedDiffersFromTheRequest) {
  lie("sign-hash");
  EXPECT_NE(told().digests.front(), test::digest_of("one"));
  lie("sign-more");
  EXPECT_EQ(told().digests.size(), 2U);
  lie("sign-key", "bob-ec");
  EXPECT_EQ(told().key.text(), "bob-ec");
  lie("sign-suite");
  EXPECT_EQ(told().suite, crypto::SignatureSuite::rsa_pkcs1_sha256);
  lie("sign-client");
  EXPECT_EQ(told().client_id, "another-client");
  lie("sign-without");
  EXPECT_TRUE(told().sad.empty());
  lie("sign-forged-sad");
  EXPECT_EQ(must(crypto::peek_jws_header(told().sad)).typ, "intaglio-sad+jwt");
  lie("sign-tampered-sad");
  EXPECT_NE(told().sad, "");
}

TEST_F(LyingSamTest, CallsAreMadeTwice) {
  lie("sign-twice");
  (void)told();
  EXPECT_EQ(world_.sam->signs, 2U);
}

}  // namespace
}  // namespace intaglio::ssa

#endif
