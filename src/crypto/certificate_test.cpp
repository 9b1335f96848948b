#include "crypto/certificate.h"

#include <gtest/gtest.h>
#include <openssl/rsa.h>

#include <algorithm>

#include "crypto/cms.h"
#include "crypto/detail/openssl.h"
#include "crypto/test_support.h"

namespace intaglio::crypto {
namespace {

const UnixTime now = from_unix_seconds(1795171020);

struct Authority {
  std::shared_ptr<SoftwareKey> root_key = *SoftwareKey::generate(), issuing_key = *SoftwareKey::generate(), key = *SoftwareKey::generate();
  Certificate root = testing::issue("Root", root_key->public_key(), "Root", *root_key, true);
  Certificate issuing = testing::issue("Issuing", issuing_key->public_key(), "Root", *root_key, true);
  Certificate leaf = testing::issue("Alice M\xc3\xbcller", key->public_key(), "Issuing", *issuing_key, false);
};

TEST(Certificate, ShowsWhatItHolds) {
  const Authority ca;
  EXPECT_EQ(*ca.leaf.subject_attribute("2.5.4.3"), "Alice M\xc3\xbcller");
  EXPECT_EQ(*ca.leaf.subject_attribute("2.5.4.6"), "DE");
  EXPECT_FALSE(ca.leaf.subject_attribute("2.5.4.10"));
  EXPECT_FALSE(ca.leaf.subject_attribute("no oid"));
  EXPECT_EQ(ca.leaf.subject(), "CN=Alice M\xc3\xbcller,C=DE");
  EXPECT_EQ(ca.leaf.issuer(), "CN=Issuing,C=DE");
  EXPECT_EQ(ca.leaf.issuer_der(), ca.issuing.subject_der());
  EXPECT_EQ(ca.leaf.serial_hex().substr(0, 2), "5a");
  EXPECT_EQ(format_utc(ca.leaf.not_before()), "2026-01-01T00:00:00Z");
  EXPECT_EQ(format_utc(ca.leaf.not_after()), "2028-01-01T00:00:00Z");
  EXPECT_EQ(ca.leaf.public_key()->spki(), ca.key->public_key().spki());
  EXPECT_EQ(Certificate::parse_pem(ca.leaf.pem())->der(), ca.leaf.der());
}

TEST(Certificate, IsRefusedWithTrailingBytesTruncatedOrTooLarge) {
  const Authority ca;
  Bytes der = ca.leaf.der();
  der.push_back(0);
  EXPECT_FALSE(Certificate::parse_der(der));
  EXPECT_FALSE(Certificate::parse_der(ByteView(der).first(der.size() - 2)));
  EXPECT_FALSE(Certificate::parse_der({}));
  EXPECT_EQ(Certificate::parse_der(Bytes(65537)).error().code, ErrorCode::too_large);
  EXPECT_FALSE(Certificate::parse_pem("-----BEGIN NOTHING-----\nAA==\n-----END NOTHING-----\n"));
  EXPECT_FALSE(Certificate::parse_pem(""));
}

TEST(Certificate, IsIssuedByTheOneWhoseNameAndKeyMatch) {
  const Authority ca;
  const Authority other;
  EXPECT_TRUE(ca.leaf.verify_issued_by(ca.issuing));
  EXPECT_FALSE(ca.leaf.verify_issued_by(other.issuing));
  const Certificate same_key = testing::issue("Other", ca.issuing_key->public_key(), "Root", *ca.root_key, true);
  EXPECT_FALSE(ca.leaf.verify_issued_by(same_key));
}

TEST(CertificatePath, EndsAtAnAnchorWithinTheValidity) {
  const Authority ca;
  EXPECT_TRUE(verify_chain(ca.leaf, {ca.issuing}, {ca.root}, now));
  EXPECT_TRUE(verify_chain(ca.leaf, {}, {ca.issuing}, now));
  EXPECT_EQ(verify_chain(ca.leaf, {}, {ca.root}, now).error().code, ErrorCode::certificate_invalid);
  EXPECT_FALSE(verify_chain(ca.leaf, {ca.issuing, ca.root}, {}, now));
  EXPECT_FALSE(verify_chain(ca.leaf, {ca.issuing}, {Authority().root}, now));
  EXPECT_FALSE(verify_chain(ca.leaf, {ca.issuing}, {ca.root}, from_unix_seconds(1767225599)));
  EXPECT_FALSE(verify_chain(ca.leaf, {ca.issuing}, {ca.root}, from_unix_seconds(1830297601)));
}

TEST(CertificatePath, DoesNotRunOverACertificateThatIsNoAuthority) {
  const Authority ca;
  const auto mallory = *SoftwareKey::generate();
  const Certificate forged = testing::issue("Mallory", mallory->public_key(), "Alice", *ca.key, false);
  const Certificate alice = testing::issue("Alice", ca.key->public_key(), "Issuing", *ca.issuing_key, false);
  EXPECT_FALSE(verify_chain(forged, {alice, ca.issuing}, {ca.root}, now));
}

TEST(CertificateRequest, IsAssembledFromASignatureMadeElsewhereAndParsedBack) {
  const auto key = *SoftwareKey::generate();
  const Bytes name = *encode_name({{"2.5.4.6", "DE"}, {"2.5.4.3", "Alice"}, {"2.5.4.5", "PNODE-1"}});
  const Bytes info = *encode_csr_info(name, key->public_key());
  const auto request = assemble_csr(info, SignatureSuite::ecdsa_sha256, *key->sign(SignatureSuite::ecdsa_sha256, info));
  ASSERT_TRUE(request);
  const auto parsed = parse_csr(*request);
  EXPECT_EQ(parsed->key.spki(), key->public_key().spki());
  EXPECT_EQ(parsed->subject_der, name);
}

TEST(CertificateRequest, IsRefusedWithoutProofOfPossession) {
  const auto key = *SoftwareKey::generate();
  const auto other = *SoftwareKey::generate();
  const Bytes info = *encode_csr_info(*encode_name({{"2.5.4.3", "Alice"}}), key->public_key());
  const Bytes signature = *other->sign(SignatureSuite::ecdsa_sha256, info);
  EXPECT_FALSE(assemble_csr(info, SignatureSuite::ecdsa_sha256, signature));
  EXPECT_FALSE(parse_csr(assemble_signed(info, SignatureSuite::ecdsa_sha256, signature)));
  EXPECT_FALSE(parse_csr({}));
  EXPECT_EQ(parse_csr(Bytes(65537)).error().code, ErrorCode::too_large);
}

TEST(Name, WritesCountryAndSerialNumberAsPrintableAndRefusesOddOnes) {
  const Bytes name = *encode_name({{"2.5.4.6", "DE"}, {"2.5.4.42", "J\xc3\xb6rg"}});
  EXPECT_EQ(encode_hex(name), "301d310b3009060355040613024445310e300c060355042a0c054ac3b67267");
  EXPECT_FALSE(encode_name({{"2.5.4.6", "D\xc3\x96"}}));
  EXPECT_FALSE(encode_name({{"2.5.4.3", ""}}));
  EXPECT_FALSE(encode_name({{"2.5.4.3", "\xff\xfe"}}));
  for (const char* oid : {"", "2", "2.", "3.1", "1.40", "2..4", "2.5.4.", "x"}) EXPECT_FALSE(encode_name({{oid, "text"}})) << oid;
}

TEST(AlgorithmIdentifier, IsThatOfRfc4055ForPss) {
  EXPECT_EQ(encode_hex(algorithm_identifier(SignatureSuite::rsa_pss_sha256)),
            "304106092a864886f70d01010a3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500"
            "a203020120");
  EXPECT_EQ(encode_hex(algorithm_identifier(SignatureSuite::ecdsa_sha256)), "300a06082a8648ce3d040302");
}

struct SignedMessage : Authority {
  Sha256Digest content = sha256(as_bytes("the document"));
  Bytes attributes = *cms_signed_attributes(content, HashAlgorithm::sha256, leaf);
  Result<Bytes> cms =
      assemble_cms(attributes, SignatureSuite::ecdsa_sha256, *key->sign(SignatureSuite::ecdsa_sha256, attributes), {leaf, issuing});
};

TEST(Cms, IsVerifiedWithItsContentItsSignerAndItsPath) {
  const SignedMessage message;
  ASSERT_TRUE(message.cms) << message.cms.error().detail;
  EXPECT_EQ(*cms_digest_algorithm(*message.cms), HashAlgorithm::sha256);
  const auto verified = verify_cms_detached(*message.cms, message.content, {message.root}, now);
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->signer.der(), message.leaf.der());
  EXPECT_EQ(verified->certificates.size(), 2U);
}

TEST(Cms, MayBeFollowedByThePaddingOfAPdfAndByNothingElse) {
  const SignedMessage message;
  Bytes padded = *message.cms;
  padded.resize(padded.size() + 100);
  EXPECT_TRUE(verify_cms_detached(padded, message.content, {message.root}, now));
  padded.back() = 1;
  EXPECT_FALSE(verify_cms_detached(padded, message.content, {message.root}, now));
}

TEST(Cms, IsRefusedForAnotherContentAnotherRootOrAnotherTime) {
  const SignedMessage message;
  EXPECT_FALSE(verify_cms_detached(*message.cms, sha256(as_bytes("another")), {message.root}, now));
  EXPECT_EQ(verify_cms_detached(*message.cms, message.content, {Authority().root}, now).error().code, ErrorCode::certificate_invalid);
  EXPECT_FALSE(verify_cms_detached(*message.cms, message.content, {message.root}, from_unix_seconds(1830297601)));
  EXPECT_EQ(verify_cms_detached(*message.cms, Bytes(48), {message.root}, now).error().code, ErrorCode::digest_length);
}

TEST(Cms, IsNotAssembledFromAWrongSignatureOrWithAnotherCertificate) {
  const SignedMessage good;
  const Bytes signature = *good.key->sign(SignatureSuite::ecdsa_sha256, good.attributes);
  const Bytes other_signature = *good.issuing_key->sign(SignatureSuite::ecdsa_sha256, good.attributes);
  EXPECT_FALSE(assemble_cms(good.attributes, SignatureSuite::ecdsa_sha256, other_signature, {good.leaf}));
  // Same key and name, another serial number: signingCertificateV2 tells them apart.
  const Certificate twin = testing::issue("Alice M\xc3\xbcller", good.key->public_key(), "Issuing", *good.issuing_key, false);
  EXPECT_FALSE(assemble_cms(good.attributes, SignatureSuite::ecdsa_sha256, signature, {twin}));
  EXPECT_FALSE(assemble_cms(good.attributes, SignatureSuite::ecdsa_sha256, signature, {}));
  EXPECT_FALSE(assemble_cms({}, SignatureSuite::ecdsa_sha256, signature, {good.leaf}));
}

/// Like assemble_cms, but with whatever is given and without any check.
Bytes composed(const SignedMessage& message, ByteView attributes, ByteView encapsulated) {
  const Bytes hash = digest_identifier(HashAlgorithm::sha256);
  const Bytes info = der::sequence({der::integer(1), der::sequence({message.leaf.issuer_der(), message.leaf.serial_der()}), hash,
                                    der::implicit_tag(0, attributes), algorithm_identifier(SignatureSuite::ecdsa_sha256),
                                    der::octet_string(*message.key->sign(SignatureSuite::ecdsa_sha256, attributes))});
  const Bytes data = der::sequence({der::integer(1), der::set_of({hash}), der::sequence({encapsulated}),
                                    der::implicit_tag(0, der::set_of({message.leaf.der(), message.issuing.der()})), der::set_of({info})});
  return der::sequence({der::oid("1.2.840.113549.1.7.2"), der::explicit_tag(0, data)});
}

TEST(Cms, IsRefusedWhenItCarriesItsContent) {
  const SignedMessage message;
  const Bytes id_data = der::oid("1.2.840.113549.1.7.1");
  EXPECT_TRUE(verify_cms_detached(composed(message, message.attributes, id_data), message.content, {message.root}, now));
  const Bytes carried = der::concatenate({id_data, der::explicit_tag(0, der::octet_string(as_bytes("the document")))});
  EXPECT_FALSE(verify_cms_detached(composed(message, message.attributes, carried), message.content, {message.root}, now));
}

TEST(Cms, IsRefusedWithoutEachAttributeOfBaselineBOrWithAnotherContentType) {
  const SignedMessage message;
  const Bytes id_data = der::oid("1.2.840.113549.1.7.1");
  const auto attribute = [](std::string_view type, const Bytes& value) { return der::sequence({der::oid(type), der::set_of({value})}); };
  const Bytes type = attribute("1.2.840.113549.1.9.3", id_data);
  const Bytes other_type = attribute("1.2.840.113549.1.9.3", der::oid("1.2.840.113549.1.9.16.1.4"));
  const Bytes digest = attribute("1.2.840.113549.1.9.4", der::octet_string(message.content));
  const Bytes id = der::sequence({der::sequence({der::sequence({der::octet_string(message.leaf.fingerprint())})})});
  const Bytes signer = attribute("1.2.840.113549.1.9.16.2.47", id);
  const auto accepted = [&](std::vector<Bytes> attributes) {
    return bool(verify_cms_detached(composed(message, der::set_of(std::move(attributes)), id_data), message.content, {message.root}, now));
  };
  EXPECT_TRUE(accepted({type, digest, signer}));
  EXPECT_FALSE(accepted({other_type, digest, signer}));
  EXPECT_FALSE(accepted({digest, signer}));
  EXPECT_FALSE(accepted({type, signer}));
  EXPECT_FALSE(accepted({type, digest}));
  EXPECT_FALSE(accepted({type, digest, digest, signer}));
}

TEST(Cms, CarriesRsaSignaturesOfEitherPadding) {
  const Authority ca;
  const detail::KeyHandle rsa(EVP_RSA_gen(2048));
  unsigned char* buffer = nullptr;
  const int length = i2d_PUBKEY(rsa.get(), &buffer);
  const Bytes spki = detail::take(buffer, length);
  const Certificate leaf = testing::issue("Alice", *PublicKey::parse_spki(spki), "Issuing", *ca.issuing_key, false);
  for (const auto suite : {SignatureSuite::rsa_pss_sha256, SignatureSuite::rsa_pss_sha512, SignatureSuite::rsa_pkcs1_sha384}) {
    const HashAlgorithm hash = hash_of(suite);
    const Bytes content = digest(hash, as_bytes("the document"));
    const Bytes attributes = *cms_signed_attributes(content, hash, leaf);
    const Bytes hashed = digest(hash, attributes);
    const detail::KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, rsa.get(), nullptr));
    Bytes signature(256);
    std::size_t size = signature.size();
    ASSERT_EQ(EVP_PKEY_sign_init(context.get()), 1);
    ASSERT_TRUE(detail::set_rsa_suite(context.get(), suite));
    ASSERT_EQ(EVP_PKEY_sign(context.get(), signature.data(), &size, hashed.data(), hashed.size()), 1);
    const auto cms = assemble_cms(attributes, suite, signature, {leaf, ca.issuing});
    ASSERT_TRUE(cms) << cms.error().detail;
    EXPECT_TRUE(verify_cms_detached(*cms, content, {ca.root}, now));
  }
}

TEST(Cms, IsRefusedWhenItIsTooLarge) {
  const SignedMessage message;
  Bytes padded = *message.cms;
  padded.resize(1024 * 1024 + 1);
  EXPECT_EQ(cms_digest_algorithm(padded).error().code, ErrorCode::too_large);
}

TEST(Cms, IsRefusedWithAnyOneByteOfItsSignedPartsChanged) {
  const SignedMessage message;
  const Bytes& cms = *message.cms;
  const auto found = std::search(cms.begin(), cms.end(), message.attributes.begin() + 2, message.attributes.end());
  ASSERT_NE(found, cms.end());
  for (auto at = found - cms.begin(); at < found - cms.begin() + static_cast<std::ptrdiff_t>(message.attributes.size()) - 2; ++at) {
    Bytes changed = cms;
    changed[static_cast<std::size_t>(at)] ^= 1U;
    EXPECT_FALSE(verify_cms_detached(changed, message.content, {message.root}, now)) << at;
  }
}

}  // namespace
}  // namespace intaglio::crypto
