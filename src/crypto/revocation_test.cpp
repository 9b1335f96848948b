#include "crypto/revocation.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "crypto/der.h"
#include "crypto/signer.h"

namespace intaglio::crypto {
namespace {

Bytes vector(const std::string& name) {
  auto bytes = read_file(std::string(INTAGLIO_SOURCE_DIR) + "/tests/data/revocation/" + name, 1 << 20);
  return bytes ? *bytes : Bytes{};
}
Certificate certificate(const std::string& name) { return *Certificate::parse_der(vector(name)); }
const UnixTime during = *parse_utc("2026-11-25T00:00:00Z");

TEST(RevocationList, ReadsTheListOfAnotherWriter) {
  const auto list = parse_crl(vector("crl.der"));
  ASSERT_TRUE(list) << list.error().detail;
  EXPECT_EQ(list->number, 42U);
  EXPECT_EQ(format_utc(list->this_update), "2026-11-20T00:00:00Z");
  EXPECT_EQ(format_utc(list->next_update), "2026-12-20T00:00:00Z");
  EXPECT_EQ(list->issuer_der, certificate("ca.cer").subject_der());
  ASSERT_EQ(list->revoked.size(), 3U);
  EXPECT_EQ(list->find("0a0b")->reason, RevocationReason::key_compromise);
  EXPECT_EQ(format_utc(list->find("0a0b")->at), "2026-11-01T12:00:00Z");
  EXPECT_EQ(list->find("f1")->reason, RevocationReason::superseded);
  EXPECT_EQ(list->find("7f0000000000000000000000000000000000000001")->reason, RevocationReason::unspecified);
  EXPECT_EQ(list->find("0a0c"), nullptr);
}

TEST(RevocationList, WritesSerialsAsCertificatesDo) {
  EXPECT_NE(parse_crl(vector("crl.der"))->find(certificate("leaf.cer").serial_hex()), nullptr);
}

TEST(RevocationList, RefusesCriticalExtensionsMissingNumbersAndTrailingBytes) {
  EXPECT_EQ(parse_crl(vector("crl_idp.der")).error().code, ErrorCode::unsupported);
  EXPECT_EQ(parse_crl(vector("crl_no_number.der")).error().code, ErrorCode::invalid_request);
  Bytes longer = vector("crl.der");
  longer.push_back(0);
  EXPECT_EQ(parse_crl(longer).error().code, ErrorCode::invalid_request);
  EXPECT_EQ(parse_crl({}).error().code, ErrorCode::too_large);
  EXPECT_EQ(parse_crl(vector("ca.cer")).error().code, ErrorCode::invalid_request);
}

TEST(RevocationList, VerifiesOnlyUnderItsIssuer) {
  const Bytes list = vector("crl.der");
  EXPECT_TRUE(verify_crl(list, certificate("ca.cer")));
  EXPECT_EQ(verify_crl(list, certificate("other.cer")).error().code, ErrorCode::not_authorised) << "another key under the same name";
  EXPECT_EQ(verify_crl(list, certificate("another.cer")).error().code, ErrorCode::not_authorised) << "another name and key";
  EXPECT_EQ(verify_crl(list, certificate("same_key_other_name.cer")).error().code, ErrorCode::not_authorised)
      << "another name, the same key";
  EXPECT_EQ(verify_crl(list, certificate("no_crl_sign.cer")).error().code, ErrorCode::not_authorised) << "keyUsage without cRLSign";
  EXPECT_EQ(verify_crl(vector("crl_sha1.der"), certificate("ca.cer")).error().code, ErrorCode::algorithm_refused);
}

TEST(RevocationList, SignedWithPssHasOneHashAndASaltOfItsLength) {
  const Certificate issuer = certificate("pss_ca.cer");
  for (const std::string name : {"crl_pss.der", "crl_pss_sha384.der"}) {
    const auto verified = verify_crl(vector(name), issuer);
    EXPECT_TRUE(verified) << name << ": " << verified.error().detail;
  }
  for (const std::string name : {"crl_pss_salt.der", "crl_pss_mask.der", "crl_pss_sha224.der", "crl_pss_absent.der", "crl_pss_sha1.der"}) {
    const auto refused = verify_crl(vector(name), issuer);
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::algorithm_refused) << name;
  }
}

TEST(RevocationList, DoesNotVerifyWhenAnyByteChanged) {
  const Bytes list = vector("crl.der");
  const Certificate issuer = certificate("ca.cer");
  for (std::size_t index = 0; index < list.size(); ++index) {
    Bytes changed = list;
    changed[index] ^= 0x01;
    EXPECT_FALSE(verify_crl(changed, issuer)) << "byte " << index;
  }
}

/// A list of a throw-away key, number 7, with these further extensions.
Bytes list_with(const std::vector<Bytes>& extensions, const std::vector<Bytes>& entries = {}) {
  const auto key = *SoftwareKey::generate();
  const auto suite = SignatureSuite::ecdsa_sha256;
  std::vector<Bytes> all = {der::sequence({der::oid("2.5.29.20"), der::octet_string(der::integer(std::uint64_t{7}))})};
  all.insert(all.end(), extensions.begin(), extensions.end());
  const Bytes tbs = der::sequence({der::integer(std::uint64_t{1}), algorithm_identifier(suite), *encode_name({{"2.5.4.3", "Test CA"}}),
                                   der::time(during), der::time(during + std::chrono::hours(1)),
                                   entries.empty() ? Bytes{} : der::sequence(entries), der::explicit_tag(0, der::sequence(all))});
  return assemble_signed(tbs, suite, *key->sign(suite, tbs));
}

Bytes delta_indicator(std::uint64_t base, bool critical) {
  return der::sequence({der::oid("2.5.29.27"), critical ? der::boolean(true) : Bytes{}, der::octet_string(der::integer(base))});
}

TEST(DeltaRevocationList, IsReadWithItsBaseAndNeverAsACompleteOne) {
  const Bytes removed = der::sequence({der::integer(std::uint64_t{9}), der::time(during),
                                       der::sequence({der::sequence({der::oid("2.5.29.21"), der::octet_string(der::enumerated(8))})})});
  const Bytes der = list_with({delta_indicator(5, true)}, {removed});
  const auto delta = parse_delta_crl(der);
  ASSERT_TRUE(delta) << delta.error().detail;
  EXPECT_EQ(delta->base, 5U);
  EXPECT_EQ(delta->changes.number, 7U);
  EXPECT_EQ(delta->changes.find("09")->reason, RevocationReason::remove_from_crl);
  EXPECT_EQ(parse_crl(der).error().code, ErrorCode::unsupported);
  EXPECT_EQ(parse_crl(list_with({delta_indicator(5, false)})).error().code, ErrorCode::unsupported) << "though it is not critical";
}

TEST(DeltaRevocationList, IsReadAsAnotherWriterWroteIt) {
  const auto delta = parse_delta_crl(vector("delta.der"));
  ASSERT_TRUE(delta) << delta.error().detail;
  EXPECT_EQ(delta->base, 5U);
  EXPECT_EQ(delta->changes.number, 7U);
  EXPECT_EQ(delta->changes.find("0a0b")->reason, RevocationReason::remove_from_crl);
  EXPECT_EQ(delta->changes.find("0a0c")->reason, RevocationReason::key_compromise);
  EXPECT_FALSE(parse_crl(vector("delta.der")));
  EXPECT_FALSE(parse_delta_crl(vector("crl.der")));
}

TEST(DeltaRevocationList, IsRefusedWithoutABaseBelowItAndWithWhatIsNotProcessed) {
  EXPECT_TRUE(parse_delta_crl(list_with({delta_indicator(6, true)})));
  EXPECT_FALSE(parse_delta_crl(list_with({delta_indicator(7, true)})));
  EXPECT_FALSE(parse_delta_crl(list_with({delta_indicator(8, true)})));
  EXPECT_FALSE(parse_delta_crl(list_with({})));
  const Bytes partition =
      der::sequence({der::oid("2.5.29.28"), der::boolean(true), der::octet_string(der::sequence(std::vector<Bytes>{}))});
  EXPECT_EQ(parse_delta_crl(list_with({delta_indicator(5, true), partition})).error().code, ErrorCode::unsupported);
}

TEST(RevocationReasons, AreTheStandardsNames) {
  for (const auto reason : {RevocationReason::unspecified, RevocationReason::key_compromise, RevocationReason::aa_compromise}) {
    EXPECT_EQ(*parse_revocation_reason(name_of(reason)), reason);
  }
  EXPECT_EQ(name_of(RevocationReason::cessation_of_operation), "cessationOfOperation");
  EXPECT_FALSE(parse_revocation_reason("keycompromise"));
}

TEST(OcspRequest, IsReadAsAnotherClientWroteIt) {
  const auto request = parse_ocsp_request(vector("request.der"));
  ASSERT_TRUE(request) << request.error().detail;
  ASSERT_EQ(request->certificates.size(), 3U);
  EXPECT_EQ(request->certificates[0].serial_hex, "0a0b");
  EXPECT_EQ(request->certificates[2].serial_hex, "1234");
  EXPECT_EQ(request->certificates[0].hash_oid, "1.3.14.3.2.26");
  EXPECT_EQ(encode_hex(request->nonce), "f2628e03cba7359612bf6c56ace9ccf4");
  EXPECT_TRUE(request->certificates[0].is_of(certificate("ca.cer")));
  EXPECT_FALSE(request->certificates[0].is_of(certificate("other.cer"))) << "same name, other key";
  EXPECT_FALSE(request->certificates[0].is_of(certificate("another.cer")));

  const auto newer = parse_ocsp_request(vector("request_sha256.der"));
  ASSERT_TRUE(newer);
  EXPECT_EQ(newer->certificates[0].hash_oid, "2.16.840.1.101.3.4.2.1");
  EXPECT_TRUE(newer->nonce.empty());
  EXPECT_TRUE(newer->certificates[0].is_of(certificate("ca.cer")));
}

TEST(OcspRequest, IsWrittenAsItIsRead) {
  const auto made = make_ocsp_request(certificate("leaf.cer"), certificate("ca.cer"), HashAlgorithm::sha256, Bytes(32, 0x5A));
  ASSERT_TRUE(made);
  const auto read = parse_ocsp_request(*made);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->nonce, Bytes(32, 0x5A));
  EXPECT_EQ(read->certificates[0].serial_hex, "0a0b");
}

TEST(OcspRequest, TakesNoncesOfOneTo128Bytes) {
  const auto with_nonce = [](std::size_t length) {
    return parse_ocsp_request(*make_ocsp_request(certificate("leaf.cer"), certificate("ca.cer"), HashAlgorithm::sha256, Bytes(length, 1)));
  };
  EXPECT_TRUE(with_nonce(1));
  EXPECT_TRUE(with_nonce(128));
  EXPECT_FALSE(with_nonce(129));
}

TEST(OcspRequest, RefusesRubbish) {
  Bytes longer = vector("request.der");
  longer.push_back(0);
  EXPECT_FALSE(parse_ocsp_request(longer));
  EXPECT_FALSE(parse_ocsp_request({}));
  EXPECT_FALSE(parse_ocsp_request(Bytes(max_ocsp_request_bytes + 1, 0x30)));
  EXPECT_FALSE(parse_ocsp_request(*parse_hex("300430023000"))) << "asks for nothing";
}

TEST(OcspResponse, IsReadAsAnotherResponderWroteIt) {
  const auto answer = parse_ocsp_response(vector("response.der"));
  ASSERT_TRUE(answer) << answer.error().detail;
  ASSERT_EQ(answer->certificates.size(), 3U);
  EXPECT_EQ(answer->certificates[0].status, CertificateStatus::revoked);
  EXPECT_EQ(answer->certificates[0].reason, RevocationReason::key_compromise);
  EXPECT_EQ(format_utc(*answer->certificates[0].revoked_at), "2026-11-01T12:00:00Z");
  EXPECT_EQ(answer->certificates[1].status, CertificateStatus::good);
  EXPECT_EQ(answer->certificates[2].status, CertificateStatus::unknown);
  EXPECT_EQ(encode_hex(answer->nonce), "f2628e03cba7359612bf6c56ace9ccf4");
  EXPECT_TRUE(verify_ocsp_response(vector("response.der"), certificate("ca.cer"), during));
}

TEST(OcspResponse, IsBelievedOnlyFromTheIssuerOrItsDelegate) {
  EXPECT_FALSE(verify_ocsp_response(vector("response.der"), certificate("other.cer"), during));
  EXPECT_FALSE(verify_ocsp_response(vector("response.der"), certificate("another.cer"), during));
  EXPECT_FALSE(verify_ocsp_response(vector("response_not_delegated.der"), certificate("ca.cer"), during))
      << "a certificate without OCSPSigning";
  EXPECT_FALSE(verify_ocsp_response(vector("response.der"), certificate("ca.cer"), *parse_utc("2026-11-01T00:00:00Z")))
      << "before the responder's time";
  EXPECT_FALSE(parse_ocsp_response(*parse_hex("30030a0101"))) << "malformedRequest";
}

}  // namespace
}  // namespace intaglio::crypto
