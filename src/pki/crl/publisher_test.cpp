#include "pki/crl/publisher.h"

#include <gtest/gtest.h>

#include "pki/crl/revocation_list.h"
#include "pki/test_support.h"

namespace intaglio::pki {
namespace {

using testing::Material;
using testing::TestPki;

class Lists : public ::testing::Test {
 protected:
  std::unique_ptr<Publisher> open() {
    return std::move(*Publisher::open({std::chrono::hours(24), std::chrono::hours(1)}, *pki.issuing, pki.environment()));
  }
  crypto::RevocationList current() { return *crypto::parse_crl(publisher->current()->der); }
  crypto::Certificate revoked(const std::string& reason) {
    const Material material = pki.good();
    auto certificate = pki.issued(material);
    EXPECT_TRUE(pki.authority->revoke(pki.revocation_request(certificate, material.request["key"], reason)));
    return certificate;
  }
  TestPki pki;
  std::unique_ptr<Publisher> publisher = open();
};

TEST_F(Lists, VerifyUnderTheIssuerAndStateTheirNextUpdate) {
  EXPECT_EQ(publisher->current().error().code, ErrorCode::not_found);
  ASSERT_TRUE(publisher->issue());
  EXPECT_TRUE(crypto::verify_crl(publisher->current()->der, pki.issuing->certificate));
  EXPECT_EQ(current().number, 1U);
  EXPECT_EQ(current().next_update - current().this_update, std::chrono::hours(24));
  EXPECT_TRUE(current().revoked.empty());
}

TEST_F(Lists, ShowEveryRevocationWithItsReason) {
  const auto first = revoked("keyCompromise");
  const auto second = revoked("unspecified");
  ASSERT_TRUE(publisher->issue());
  EXPECT_EQ(current().revoked.size(), 2U);
  EXPECT_EQ(current().find(first.serial_hex())->reason, crypto::RevocationReason::key_compromise);
  EXPECT_EQ(current().find(second.serial_hex())->reason, crypto::RevocationReason::unspecified);
  EXPECT_EQ(current().find(first.serial_hex())->at, pki.clock->now());
}

TEST_F(Lists, CountUpAcrossRestarts) {
  ASSERT_TRUE(publisher->issue());
  ASSERT_TRUE(publisher->issue());
  publisher = open();
  EXPECT_EQ(current().number, 2U);
  ASSERT_TRUE(publisher->issue());
  EXPECT_EQ(current().number, 3U);
}

TEST_F(Lists, AreMadeWhenDueAndWhenARevocationIsMissingOnThem) {
  EXPECT_TRUE(publisher->refresh());
  EXPECT_EQ(current().number, 1U);
  EXPECT_TRUE(publisher->refresh());
  EXPECT_EQ(current().number, 1U) << "nothing is due";
  pki.clock->advance(std::chrono::hours(1));
  EXPECT_TRUE(publisher->refresh());
  EXPECT_EQ(current().number, 2U);
  revoked("superseded");
  EXPECT_TRUE(publisher->refresh());
  EXPECT_EQ(current().number, 3U);
  EXPECT_EQ(current().revoked.size(), 1U);
}

TEST_F(Lists, AreAudited) {
  ASSERT_TRUE(publisher->issue());
  EXPECT_NE(pki.events().find("crl.issued"), std::string::npos);
}

TEST_F(Lists, AreNotMadeWithoutAClock) {
  pki.clock->lose_synchronisation();
  EXPECT_EQ(publisher->issue().error().code, ErrorCode::clock_unsynchronised);
  EXPECT_EQ(pki.count("pki_revocation_list"), 0U);
}

TEST_F(Lists, OfAnotherIssuerAreNotTakenUp) {
  ASSERT_TRUE(publisher->issue());
  const auto other = std::move(*Publisher::open({std::chrono::hours(24), std::chrono::hours(1)}, *pki.root, pki.environment()));
  EXPECT_EQ(other->current().error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace intaglio::pki
