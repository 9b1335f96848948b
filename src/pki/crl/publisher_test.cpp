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
  crypto::RevocationList current() { return *crypto::parse_crl((*publisher->current())->der); }
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
  EXPECT_TRUE(crypto::verify_crl((*publisher->current())->der, pki.issuing->certificate));
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

class DeltaLists : public Lists {
 protected:
  DeltaLists() { reopen(); }
  void reopen(bool keep_expired = true) {
    publisher = std::move(*Publisher::open(
        {std::chrono::hours(24), std::chrono::hours(1), std::chrono::hours(2), "http://pki.example/crl/issuing-delta.crl", keep_expired},
        *pki.issuing, pki.environment()));
    ASSERT_TRUE(publisher->refresh());
  }
  crypto::DeltaRevocationList delta() {
    const Bytes der = (*publisher->current())->delta;
    EXPECT_TRUE(crypto::verify_crl(der, pki.issuing->certificate));
    EXPECT_FALSE(crypto::parse_crl(der)) << "a delta list is not taken for a complete one";
    return *crypto::parse_delta_crl(der);
  }
  /// A certificate that was put on hold.
  std::pair<crypto::Certificate, std::string> held() {
    const Material material = pki.good();
    auto certificate = pki.issued(material);
    const std::string key = material.request["key"];
    EXPECT_TRUE(pki.authority->revoke(pki.revocation_request(certificate, key, "certificateHold")));
    return {certificate, key};
  }
};

TEST_F(DeltaLists, ContinueTheOldestListInForceUnderTheNumberOfTheNewest) {
  // The first list has none to continue: a second one follows at once.
  EXPECT_EQ(current().number, 2U);
  EXPECT_EQ(delta().changes.number, 2U);
  EXPECT_EQ(delta().base, 1U);
  EXPECT_TRUE(delta().changes.revoked.empty());
  const auto first = revoked("keyCompromise");
  pki.clock->advance(std::chrono::hours(1));
  ASSERT_TRUE(publisher->refresh());
  const auto second = revoked("superseded");
  ASSERT_TRUE(publisher->issue());
  EXPECT_EQ(delta().base, 1U);
  EXPECT_EQ(delta().changes.number, current().number);
  EXPECT_EQ(delta().changes.revoked.size(), 2U);
  EXPECT_EQ(delta().changes.find(first.serial_hex())->reason, crypto::RevocationReason::key_compromise);
  EXPECT_EQ(delta().changes.next_update - delta().changes.this_update, std::chrono::hours(2));
  // A day later the list that the delta continues is one that shows the first revocation.
  pki.clock->advance(std::chrono::hours(23));
  ASSERT_TRUE(publisher->issue());
  EXPECT_GT(delta().base, 1U);
  EXPECT_EQ(delta().changes.find(first.serial_hex()), nullptr);
  EXPECT_NE(delta().changes.find(second.serial_hex()), nullptr);
  EXPECT_EQ(current().revoked.size(), 2U);
}

TEST_F(DeltaLists, SayRemoveFromCrlOfWhatIsReleased) {
  const auto [certificate, key] = held();
  ASSERT_TRUE(publisher->issue());
  EXPECT_EQ(delta().changes.find(certificate.serial_hex())->reason, crypto::RevocationReason::certificate_hold);
  ASSERT_TRUE(pki.authority->release(pki.release_request(certificate, key)));
  ASSERT_TRUE(publisher->refresh());
  EXPECT_EQ(current().find(certificate.serial_hex()), nullptr);
  ASSERT_NE(delta().changes.find(certificate.serial_hex()), nullptr);
  EXPECT_EQ(delta().changes.find(certificate.serial_hex())->reason, crypto::RevocationReason::remove_from_crl);
  EXPECT_EQ(delta().changes.revoked.size(), 1U) << "each certificate stands once, with its latest status";
}

TEST_F(DeltaLists, KeepTheMomentOfAHoldThatBecomesARevocation) {
  const auto [certificate, key] = held();
  const UnixTime held_at = pki.clock->now();
  pki.clock->advance(std::chrono::minutes(30));
  ASSERT_TRUE(pki.authority->revoke(pki.revocation_request(certificate, key, "keyCompromise")));
  ASSERT_TRUE(publisher->refresh());
  for (const auto& list : {current(), delta().changes}) {
    ASSERT_NE(list.find(certificate.serial_hex()), nullptr);
    EXPECT_EQ(list.find(certificate.serial_hex())->at, held_at);
    EXPECT_EQ(list.find(certificate.serial_hex())->reason, crypto::RevocationReason::key_compromise);
  }
}

TEST_F(DeltaLists, AreStillThereAfterARestartAndAuditedWithTheirDigests) {
  const auto number = current().number;
  const Bytes before = (*publisher->current())->delta;
  reopen();
  EXPECT_EQ(current().number, number);
  EXPECT_EQ((*publisher->current())->delta, before);
  EXPECT_NE(pki.events().find(encode_base64url(crypto::sha256(before))), std::string::npos);
  publisher = open();
  EXPECT_TRUE((*publisher->current())->delta.empty()) << "the configuration makes none any more";
}

TEST_F(DeltaLists, DoNotContinueAListThatHasEnded) {
  pki.clock->advance(std::chrono::hours(24) + std::chrono::seconds(1));
  ASSERT_TRUE(publisher->refresh());
  EXPECT_EQ(current().number, 4U);
  EXPECT_EQ(delta().base, 3U);
  EXPECT_EQ(pki.count("pki_revocation_list"), 2U) << "ended lists are forgotten at the next issue";
}

TEST_F(DeltaLists, LeaveWhatIsExpiredOnTheListUntilAListOfLaterHasShownIt) {
  reopen(false);
  const auto certificate = revoked("superseded");
  const auto shown = [&] {
    EXPECT_TRUE(publisher->issue());
    return current().find(certificate.serial_hex()) != nullptr;
  };
  EXPECT_TRUE(shown());
  pki.clock->advance(certificate.not_after() - pki.clock->now() - std::chrono::minutes(1));
  EXPECT_TRUE(shown());
  pki.clock->advance(std::chrono::minutes(2));
  EXPECT_TRUE(shown()) << "ended, and no list of later has shown it";
  pki.clock->advance(std::chrono::hours(12));
  EXPECT_TRUE(shown()) << "a list of before the end is still in force";
  pki.clock->advance(std::chrono::hours(12));
  EXPECT_FALSE(shown());
}

TEST_F(Lists, KeepWhatIsExpiredWhenTheySayThatTheyDo) {
  const auto certificate = revoked("superseded");
  pki.clock->advance(std::chrono::days(1000));
  ASSERT_TRUE(publisher->issue());
  pki.clock->advance(std::chrono::days(2));
  ASSERT_TRUE(publisher->issue());
  EXPECT_NE(current().find(certificate.serial_hex()), nullptr);
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
