#include "pki/ocsp/responder.h"

#include <gtest/gtest.h>

#include "pki/ca/certificate_template.h"
#include "pki/ca/extensions.h"
#include "pki/test_support.h"

namespace intaglio::pki {
namespace {

using crypto::CertificateStatus;
using testing::Material;
using testing::TestPki;

class Ocsp : public ::testing::Test {
 protected:
  Ocsp() {
    responder =
        std::move(*Responder::open({std::chrono::hours(1), 0}, pki.authority->issuer(),
                                   *pki.authority->responder_certificate(pki.ocsp_key->public_key()), pki.ocsp_key, pki.environment()));
  }
  Bytes ask(const crypto::Certificate& about, const crypto::Certificate& issuer, ByteView nonce = {}) {
    return responder->answer(*crypto::make_ocsp_request(about, issuer, crypto::HashAlgorithm::sha256, nonce));
  }
  crypto::OcspSingleAnswer status(const crypto::Certificate& about) {
    const Bytes answer = ask(about, pki.issuing->certificate);
    EXPECT_TRUE(crypto::verify_ocsp_response(answer, pki.issuing->certificate, pki.clock->now()));
    return crypto::parse_ocsp_response(answer)->certificates.at(0);
  }
  TestPki pki;
  std::unique_ptr<Responder> responder;
  Material material = pki.good();
  crypto::Certificate certificate = pki.issued(material);
};

TEST_F(Ocsp, SaysGoodOfWhatWasIssued) {
  const auto answer = status(certificate);
  EXPECT_EQ(answer.status, CertificateStatus::good);
  EXPECT_EQ(answer.this_update, pki.clock->now());
  EXPECT_EQ(answer.next_update, pki.clock->now() + std::chrono::hours(1));
}

TEST_F(Ocsp, SaysRevokedAtOnce) {
  EXPECT_TRUE(pki.authority->revoke(pki.revocation_request(certificate, material.request["key"], "keyCompromise")));
  const auto answer = status(certificate);
  EXPECT_EQ(answer.status, CertificateStatus::revoked);
  EXPECT_EQ(answer.reason, crypto::RevocationReason::key_compromise);
  EXPECT_EQ(answer.revoked_at, pki.clock->now());
}

TEST_F(Ocsp, SaysUnknownOfWhatItDidNotIssue) {
  // Signed by the issuing key, and yet in no row: a forger with the key does not get `good` (RFC 6960, 2.2).
  const auto forged = sign_certificate({*random_serial(),
                                        pki.issuing->facts.subject_der,
                                        certificate.subject_der(),
                                        pki.clock->now(),
                                        pki.clock->now() + std::chrono::days(1),
                                        pki.ocsp_key->public_key().spki(),
                                        {key_usage({"nonRepudiation"})}},
                                       *pki.issuing_key);
  EXPECT_EQ(status(*forged).status, CertificateStatus::unknown);
  const Bytes answer = ask(certificate, pki.root->certificate);
  EXPECT_EQ(crypto::parse_ocsp_response(answer)->certificates.at(0).status, CertificateStatus::unknown) << "another issuer's hashes";
}

TEST_F(Ocsp, RepeatsTheNonce) {
  for (const std::size_t length : {1U, 32U, 128U}) {
    const Bytes nonce(length, 0x5A);
    EXPECT_EQ(crypto::parse_ocsp_response(ask(certificate, pki.issuing->certificate, nonce))->nonce, nonce);
  }
  EXPECT_TRUE(crypto::parse_ocsp_response(ask(certificate, pki.issuing->certificate))->nonce.empty());
}

TEST_F(Ocsp, AnswersRubbishWithMalformedRequest) {
  EXPECT_EQ(encode_hex(responder->answer(as_bytes("rubbish"))), "30030a0101");
  EXPECT_EQ(encode_hex(responder->answer({})), "30030a0101");
  EXPECT_EQ(encode_hex(ask(certificate, pki.issuing->certificate, Bytes(129, 1))), "30030a0101") << "RFC 9654: a nonce of 129 bytes";
}

TEST_F(Ocsp, AsksForLaterWithoutAClock) {
  pki.clock->lose_synchronisation();
  EXPECT_EQ(encode_hex(ask(certificate, pki.issuing->certificate)), "30030a0103");
}

TEST_F(Ocsp, SignsNothingBeyondItsCertificate) {
  pki.clock->advance(std::chrono::days(30) - std::chrono::minutes(10));
  const auto answer = crypto::parse_ocsp_response(ask(certificate, pki.issuing->certificate));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->certificates.at(0).next_update, pki.clock->now() + std::chrono::minutes(10));
  pki.clock->advance(std::chrono::minutes(11));
  EXPECT_EQ(encode_hex(ask(certificate, pki.issuing->certificate)), "30030a0102");
  responder->use_certificate(*pki.authority->responder_certificate(pki.ocsp_key->public_key()));
  EXPECT_TRUE(crypto::parse_ocsp_response(ask(certificate, pki.issuing->certificate)));
}

}  // namespace
}  // namespace intaglio::pki
