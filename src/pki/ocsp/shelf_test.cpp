#include "pki/ocsp/shelf.h"

#include <gtest/gtest.h>

#include "crypto/der.h"
#include "pki/test_support.h"

namespace intaglio::pki {
namespace {

using crypto::CertificateStatus;
using testing::Material;
using testing::TestPki;

ShelvedAnswer signed_at(std::int64_t seconds) { return {Bytes{1}, Bytes{2}, from_unix_seconds(seconds), from_unix_seconds(seconds + 60)}; }

TEST(Shelf, KeepsWhatWasSignedInItsEpoch) {
  Shelf shelf(2);
  shelf.put({OcspIdForm::sha1, "01"}, signed_at(1), shelf.epoch());
  ASSERT_TRUE(shelf.find({OcspIdForm::sha1, "01"}));
  EXPECT_FALSE(shelf.find({OcspIdForm::sha256, "01"})) << "another form of the same certificate";
  const auto epoch = shelf.epoch();
  EXPECT_EQ(shelf.begin_epoch("01"), std::vector<OcspIdForm>{OcspIdForm::sha1});
  EXPECT_FALSE(shelf.find({OcspIdForm::sha1, "01"}));
  shelf.put({OcspIdForm::sha1, "01"}, signed_at(1), epoch);
  EXPECT_FALSE(shelf.find({OcspIdForm::sha1, "01"})) << "what was read before the change came after it";
  shelf.put({OcspIdForm::sha1, "01"}, signed_at(2), shelf.epoch());
  EXPECT_TRUE(shelf.find({OcspIdForm::sha1, "01"}));
}

TEST(Shelf, HoldsNoMoreThanItsLimit) {
  Shelf shelf(2);
  for (const std::string serial : {"01", "02", "03"}) shelf.put({OcspIdForm::sha1, serial}, signed_at(1), shelf.epoch());
  EXPECT_EQ(shelf.size(), 2U);
  shelf.put({OcspIdForm::sha1, "01"}, signed_at(5), shelf.epoch());
  EXPECT_EQ(shelf.find({OcspIdForm::sha1, "01"})->this_update, from_unix_seconds(5)) << "a full shelf still renews";
  EXPECT_EQ(shelf.older_than(from_unix_seconds(1), 9), (std::vector<ShelfKey>{{OcspIdForm::sha1, "02"}}));
}

class Preproduced : public ::testing::Test {
 protected:
  Preproduced() { open(100); }
  void open(std::size_t limit) {
    responder = std::move(*Responder::open({std::chrono::hours(1), limit}, pki.authority->issuer(),
                                           *pki.authority->responder_certificate(pki.ocsp_key->public_key()), counter, pki.environment()));
  }
  /// Everything that is due.
  void renew() {
    for (;;) {
      const auto more = responder->renew(8);
      ASSERT_TRUE(more) << more.error().detail;
      if (!*more) return;
    }
  }
  OcspReply ask(const crypto::Certificate& about, ByteView nonce = {}) {
    auto reply = responder->reply(*crypto::make_ocsp_request(about, pki.issuing->certificate, crypto::HashAlgorithm::sha256, nonce));
    EXPECT_TRUE(crypto::verify_ocsp_response(reply.der, pki.issuing->certificate, pki.clock->now()));
    return reply;
  }
  /// As RFC 5019 asks, with SHA-1: the same request but for the hashes.
  OcspReply ask_sha1(const crypto::Certificate& about) {
    const Bytes id = crypto::der::sequence({*crypto::ocsp_issuer_part(pki.issuing->certificate, "1.3.14.3.2.26"), about.serial_der()});
    namespace der = crypto::der;
    auto reply = responder->reply(der::sequence({der::sequence({der::sequence({der::sequence({id})})})}));
    EXPECT_TRUE(crypto::verify_ocsp_response(reply.der, pki.issuing->certificate, pki.clock->now()));
    return reply;
  }
  static crypto::OcspSingleAnswer read(const OcspReply& reply) { return crypto::parse_ocsp_response(reply.der)->certificates.at(0); }

  /// Counts signatures.
  class Counter final : public crypto::Signer {
   public:
    explicit Counter(std::shared_ptr<const crypto::Signer> key) : key_(std::move(key)) {}
    [[nodiscard]] const crypto::PublicKey& public_key() const noexcept override { return key_->public_key(); }
    [[nodiscard]] Result<Bytes> sign_digest(crypto::SignatureSuite suite, ByteView digest) const override {
      ++count;
      if (before_signing) before_signing();
      return key_->sign_digest(suite, digest);
    }
    mutable std::size_t count = 0;
    std::function<void()> before_signing;

   private:
    std::shared_ptr<const crypto::Signer> key_;
  };

  TestPki pki;
  std::shared_ptr<Counter> counter = std::make_shared<Counter>(pki.ocsp_key);
  Material material = pki.good();
  crypto::Certificate certificate = pki.issued(material);
  std::unique_ptr<Responder> responder;
};

TEST_F(Preproduced, AnswersAreSignedBeforeAnybodyAsks) {
  renew();
  // The responder's certificate is one of those in force.
  EXPECT_EQ(responder->preproduced(), 2U);
  const auto signatures = counter->count;
  pki.clock->advance(std::chrono::minutes(10));
  const auto answer = read(ask_sha1(certificate));
  EXPECT_EQ(answer.status, CertificateStatus::good);
  EXPECT_EQ(answer.this_update, pki.clock->now() - std::chrono::minutes(10));
  EXPECT_EQ(answer.archive_cutoff, pki.issuing->facts.not_before);
  EXPECT_EQ(counter->count, signatures) << "nothing was signed for it";
}

TEST_F(Preproduced, AnAnswerInAnotherFormIsSignedOnceAndKept) {
  EXPECT_EQ(read(ask(certificate)).status, CertificateStatus::good);
  const auto signatures = counter->count;
  EXPECT_EQ(ask(certificate).der, ask(certificate).der);
  EXPECT_EQ(counter->count, signatures);
}

TEST_F(Preproduced, ANonceIsAnsweredLive) {
  renew();
  const auto signatures = counter->count;
  pki.clock->advance(std::chrono::minutes(10));
  const auto reply = ask(certificate, Bytes(32, 7));
  EXPECT_EQ(read(reply).this_update, pki.clock->now());
  EXPECT_FALSE(reply.window);
  EXPECT_EQ(counter->count, signatures + 1);
}

TEST_F(Preproduced, ARevocationReplacesTheAnswersOfBeforeAtOnce) {
  renew();
  ask(certificate);
  const auto changed = pki.authority->revoke(pki.revocation_request(certificate, material.request["key"], "keyCompromise"));
  ASSERT_TRUE(changed);
  EXPECT_EQ(*changed, certificate.serial_hex());
  responder->status_changed(*changed);
  const auto signatures = counter->count;
  EXPECT_EQ(read(ask_sha1(certificate)).status, CertificateStatus::revoked);
  EXPECT_EQ(read(ask(certificate)).status, CertificateStatus::revoked);
  EXPECT_EQ(counter->count, signatures) << "both were signed again with the change";
}

TEST_F(Preproduced, WhatWasReadBeforeARevocationIsNotGivenAfterIt) {
  // The batch has read `good`, and signs when the revocation comes.
  std::optional<std::string> request = pki.revocation_request(certificate, material.request["key"], "keyCompromise");
  counter->before_signing = [&] {
    if (!request) return;
    const std::string once = *std::exchange(request, std::nullopt);
    ASSERT_TRUE(pki.authority->revoke(once));
    responder->status_changed(certificate.serial_hex());
  };
  renew();
  EXPECT_FALSE(request);
  EXPECT_EQ(read(ask_sha1(certificate)).status, CertificateStatus::revoked);
}

TEST_F(Preproduced, AnswersAreRenewedPastHalfOfTheirValidity) {
  renew();
  const auto signatures = counter->count;
  pki.clock->advance(std::chrono::minutes(29));
  renew();
  EXPECT_EQ(counter->count, signatures);
  pki.clock->advance(std::chrono::minutes(1));
  renew();
  EXPECT_EQ(counter->count, signatures + 2);
  EXPECT_EQ(read(ask_sha1(certificate)).this_update, pki.clock->now());
}

TEST_F(Preproduced, NoAnswerIsGivenBeyondItsTimeOrWithoutAClock) {
  renew();
  pki.clock->advance(std::chrono::hours(1));
  EXPECT_EQ(read(ask_sha1(certificate)).this_update, pki.clock->now()) << "signed live";
  ask(certificate);
  pki.clock->lose_synchronisation();
  const Bytes question = *crypto::make_ocsp_request(certificate, pki.issuing->certificate, crypto::HashAlgorithm::sha256, {});
  EXPECT_EQ(encode_hex(responder->answer(question)), "30030a0103");
}

TEST_F(Preproduced, NothingIsKeptOfWhatWasNeverIssued) {
  renew();
  const auto kept = responder->preproduced();
  namespace der = crypto::der;
  const Bytes part = *crypto::ocsp_issuer_part(pki.issuing->certificate, "1.3.14.3.2.26");
  for (std::uint64_t serial = 1; serial < 20; ++serial) {
    const Bytes id = der::sequence({part, der::integer(serial)});
    const auto reply = responder->reply(der::sequence({der::sequence({der::sequence({der::sequence({id})})})}));
    EXPECT_EQ(read(reply).status, CertificateStatus::unknown);
  }
  EXPECT_EQ(responder->preproduced(), kept);
}

TEST_F(Preproduced, AnotherIssuersCertificateOfTheSameNumberIsNotAnsweredFromTheShelf) {
  renew();
  namespace der = crypto::der;
  const Bytes id = der::sequence({*crypto::ocsp_issuer_part(pki.root->certificate, "1.3.14.3.2.26"), certificate.serial_der()});
  const auto reply = responder->reply(der::sequence({der::sequence({der::sequence({der::sequence({id})})})}));
  EXPECT_EQ(read(reply).certificate.der, id);
  EXPECT_EQ(read(reply).status, CertificateStatus::unknown);
}

TEST_F(Preproduced, EndedCertificatesLeaveTheShelf) {
  renew();
  pki.clock->advance(std::chrono::days(31));
  responder->use_certificate(*pki.authority->responder_certificate(pki.ocsp_key->public_key()));
  renew();
  EXPECT_EQ(responder->preproduced(), 1U) << "the responder's first certificate has ended";
  pki.clock->advance(std::chrono::days(800));
  responder->use_certificate(*pki.authority->responder_certificate(pki.ocsp_key->public_key()));
  renew();
  EXPECT_EQ(responder->preproduced(), 0U);
  EXPECT_EQ(read(ask_sha1(certificate)).status, CertificateStatus::good) << "an ended certificate is answered for, live";
}

}  // namespace
}  // namespace intaglio::pki
