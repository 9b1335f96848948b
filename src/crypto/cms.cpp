#include "crypto/cms.h"

#include <openssl/cms.h>
#include <openssl/ess.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/der.h"
#include "crypto/detail/x509.h"

namespace intaglio::crypto {
namespace {

using CmsHandle = std::unique_ptr<CMS_ContentInfo, detail::Freed<CMS_ContentInfo_free>>;
struct OwnedStackFreed {
  void operator()(STACK_OF(X509) * stack) const noexcept { sk_X509_pop_free(stack, X509_free); }
};
using OwnedStack = std::unique_ptr<STACK_OF(X509), OwnedStackFreed>;
using SigningCertificate = std::unique_ptr<ESS_SIGNING_CERT_V2, detail::Freed<ESS_SIGNING_CERT_V2_free>>;

constexpr std::size_t max_cms_size = 1024 * 1024;
constexpr int max_certificates = 32;
constexpr std::string_view id_data = "1.2.840.113549.1.7.1", id_signed_data = "1.2.840.113549.1.7.2";
constexpr std::string_view content_type = "1.2.840.113549.1.9.3", message_digest = "1.2.840.113549.1.9.4";
constexpr std::string_view signing_certificate_v2 = "1.2.840.113549.1.9.16.2.47";
/// CMS_signed_get0_data_by_OBJ: the attribute stands once and has one value (RFC 5652, 11.1 and 11.2).
constexpr int once_with_one_value = -3;

Error malformed(std::string_view what) { return detail::refusal(ErrorCode::invalid_request, what); }

Bytes attribute(std::string_view type, ByteView value) { return der::sequence({der::oid(type), der::set_of({to_bytes(value)})}); }

Result<CmsHandle> parse(ByteView cms) {
  if (refused_by("cms.size", cms.size() > max_cms_size)) return Error{ErrorCode::too_large, "a CMS message of more than 1 MiB"};
  const unsigned char* at = cms.data();
  CmsHandle parsed(d2i_CMS_ContentInfo(nullptr, &at, static_cast<long>(cms.size())));
  if (!parsed || OBJ_obj2nid(CMS_get0_type(parsed.get())) != NID_pkcs7_signed) return malformed("not a CMS SignedData");
  if (!std::all_of(at, cms.data() + cms.size(), [](unsigned char byte) { return byte == 0; }))
    return malformed("bytes after a CMS message");
  return parsed;
}

Result<CMS_SignerInfo*> only_signer(CMS_ContentInfo* cms) {
  STACK_OF(CMS_SignerInfo)* const signers = CMS_get0_SignerInfos(cms);
  if (signers == nullptr || sk_CMS_SignerInfo_num(signers) != 1) return malformed("a CMS message that has not exactly one signer");
  return sk_CMS_SignerInfo_value(signers, 0);
}

Result<HashAlgorithm> hash_of_signer(CMS_SignerInfo* signer) {
  X509_ALGOR* digest = nullptr;
  CMS_SignerInfo_get0_algs(signer, nullptr, nullptr, &digest, nullptr);
  const ASN1_OBJECT* type = nullptr;
  X509_ALGOR_get0(&type, nullptr, nullptr, digest);
  switch (OBJ_obj2nid(type)) {
    case NID_sha256: return HashAlgorithm::sha256;
    case NID_sha384: return HashAlgorithm::sha384;
    case NID_sha512: return HashAlgorithm::sha512;
    default: return Error{ErrorCode::algorithm_refused, "a CMS message with a hash that is not served"};
  }
}

Result<Bytes> signed_value(const CMS_SignerInfo* signer, int type, int tag) {
  const auto* const value =
      static_cast<const ASN1_STRING*>(CMS_signed_get0_data_by_OBJ(signer, OBJ_nid2obj(type), once_with_one_value, tag));
  if (value == nullptr) return malformed("a CMS message without one of the attributes of B-B, or with it twice");
  return Bytes(ASN1_STRING_get0_data(value), ASN1_STRING_get0_data(value) + ASN1_STRING_length(value));
}

Status check_attributes(const CMS_SignerInfo* signer, X509* certificate, ByteView content_digest) {
  const void* const type = CMS_signed_get0_data_by_OBJ(signer, OBJ_nid2obj(NID_pkcs9_contentType), once_with_one_value, V_ASN1_OBJECT);
  const bool is_data = type != nullptr && OBJ_obj2nid(static_cast<const ASN1_OBJECT*>(type)) == NID_pkcs7_data;
  if (refused_by("cms.content_type", !is_data)) {
    return malformed("a CMS message whose content type is not id-data");
  }
  const auto digest = signed_value(signer, NID_pkcs9_messageDigest, V_ASN1_OCTET_STRING);
  if (!digest) return digest.error();
  if (refused_by("cms.message_digest", !std::equal(digest->begin(), digest->end(), content_digest.begin(), content_digest.end()))) {
    return malformed("the signature is of another content");
  }
  const auto ess = signed_value(signer, NID_id_smime_aa_signingCertificateV2, V_ASN1_SEQUENCE);
  if (!ess) return ess.error();
  const unsigned char* at = ess->data();
  const SigningCertificate named(d2i_ESS_SIGNING_CERT_V2(nullptr, &at, static_cast<long>(ess->size())));
  const OwnedStack only(sk_X509_new_null());
  if (!named || !only || X509_add_cert(only.get(), certificate, X509_ADD_FLAG_UP_REF) != 1)
    return malformed("a malformed signing certificate");
  if (refused_by("cms.signing_certificate", OSSL_ESS_check_signing_certs(nullptr, named.get(), only.get(), 1) <= 0)) {
    return malformed("the signature names another certificate than the one that verifies it");
  }
  return {};
}

Result<std::vector<Certificate>> certificates_of(CMS_ContentInfo* cms) {
  const OwnedStack stack(CMS_get1_certs(cms));
  const int count = stack ? sk_X509_num(stack.get()) : 0;
  if (count > max_certificates) return malformed("a CMS message with too many certificates");
  std::vector<Certificate> certificates;
  for (int i = 0; i < count; ++i) {
    unsigned char* buffer = nullptr;
    const int length = i2d_X509(sk_X509_value(stack.get(), i), &buffer);
    auto parsed = Certificate::parse_der(detail::take(buffer, length));
    if (!parsed) return parsed.error();
    certificates.push_back(std::move(*parsed));
  }
  return certificates;
}

/// Everything but the path: the message as it stands is a signature of its signer over that digest.
Result<CmsSignature> verify_signature(ByteView cms, ByteView content_digest) {
  const auto parsed = parse(cms);
  if (!parsed) return parsed.error();
  CMS_ContentInfo* const message = parsed->get();
  if (refused_by("cms.detached", CMS_is_detached(message) != 1)) return malformed("a CMS message that carries its content");
  if (OBJ_obj2nid(CMS_get0_eContentType(message)) != NID_pkcs7_data) return malformed("a CMS message over something else than data");
  const auto signer = only_signer(message);
  if (!signer) return signer.error();
  const auto hash = hash_of_signer(*signer);
  if (!hash) return hash.error();
  if (content_digest.size() != digest_length(*hash))
    return Error{ErrorCode::digest_length, "the digest of another hash than the message's"};
  auto certificates = certificates_of(message);
  if (!certificates) return certificates.error();
  const auto own = std::find_if(certificates->begin(), certificates->end(),
                                [&](const Certificate& each) { return CMS_SignerInfo_cert_cmp(*signer, each.native()) == 0; });
  if (own == certificates->end()) return malformed("a CMS message without its signer's certificate");
  const auto key = own->public_key();
  if (!key) return key.error();
  CMS_SignerInfo_set1_signer_cert(*signer, own->native());
  if (auto checked = check_attributes(*signer, own->native(), content_digest); !checked) return checked.error();
  if (refused_by("cms.signature", CMS_SignerInfo_verify(*signer) != 1))
    return malformed("the signature of the CMS message does not verify");
  Certificate signer_certificate = *own;
  return CmsSignature{std::move(signer_certificate), std::move(*certificates), *hash};
}

}  // namespace

Result<Bytes> cms_signed_attributes(ByteView content_digest, HashAlgorithm hash, const Certificate& signer) {
  if (content_digest.size() != digest_length(hash)) {
    return Error{ErrorCode::digest_length, "a digest of another length than its algorithm's"};
  }
  // ESSCertIDv2 without hashAlgorithm, whose default is SHA-256.
  const Bytes certificate_id = der::sequence({der::octet_string(signer.fingerprint())});
  const Bytes signing_certificate = der::sequence({der::sequence({certificate_id})});
  return der::set_of({attribute(content_type, der::oid(id_data)), attribute(message_digest, der::octet_string(content_digest)),
                      attribute(signing_certificate_v2, signing_certificate)});
}

Result<Bytes> assemble_cms(ByteView signed_attributes, SignatureSuite suite, ByteView signature,
                           const std::vector<Certificate>& certificates) {
  if (certificates.empty()) return Error{ErrorCode::invalid_request, "a CMS message needs its signer's certificate"};
  if (signed_attributes.empty() || signed_attributes[0] != 0x31) return Error{ErrorCode::invalid_request, "not a SET OF attributes"};
  const Certificate& signer = certificates.front();
  const Bytes hash = digest_identifier(hash_of(suite));
  std::vector<Bytes> encoded;
  for (const auto& each : certificates) {
    if (std::find(encoded.begin(), encoded.end(), each.der()) == encoded.end()) encoded.push_back(each.der());
  }
  const Bytes signer_info =
      der::sequence({der::integer(1), der::sequence({signer.issuer_der(), signer.serial_der()}), hash,
                     der::implicit_tag(0, signed_attributes), algorithm_identifier(suite), der::octet_string(signature)});
  const Bytes signed_data = der::sequence({der::integer(1), der::set_of({hash}), der::sequence({der::oid(id_data)}),
                                           der::implicit_tag(0, der::set_of(std::move(encoded))), der::set_of({signer_info})});
  Bytes cms = der::sequence({der::oid(id_signed_data), der::explicit_tag(0, signed_data)});

  const auto parsed = parse(cms);
  if (!parsed) return parsed.error();
  const auto info = only_signer(parsed->get());
  if (!info) return info.error();
  const auto digest = signed_value(*info, NID_pkcs9_messageDigest, V_ASN1_OCTET_STRING);
  if (!digest) return digest.error();
  if (auto verified = verify_signature(cms, *digest); !verified) return verified.error();
  return cms;
}

Result<HashAlgorithm> cms_digest_algorithm(ByteView cms) {
  const auto parsed = parse(cms);
  if (!parsed) return parsed.error();
  const auto signer = only_signer(parsed->get());
  if (!signer) return signer.error();
  return hash_of_signer(*signer);
}

Result<CmsSignature> verify_cms_detached(ByteView cms, ByteView content_digest, const std::vector<Certificate>& anchors, UnixTime at) {
  auto verified = verify_signature(cms, content_digest);
  if (!verified) return verified;
  if (auto path = verify_chain(verified->signer, verified->certificates, anchors, at); !path) return path.error();
  return verified;
}

}  // namespace intaglio::crypto
