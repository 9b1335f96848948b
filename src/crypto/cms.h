#pragma once

#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/certificate.h"

/// CMS (RFC 5652) as CAdES and PAdES B-B want it: detached, one signer, signed attributes, no signing-time (EN 319 142-1, 6.3).
namespace intaglio::crypto {

/// The signed attributes, a DER SET OF: contentType id-data, messageDigest, signingCertificateV2 with an ESSCertIDv2 of
/// SHA-256 (RFC 5035). What is signed is this encoding; a signature service gets its digest. Refused: a digest of another length.
[[nodiscard]] Result<Bytes> cms_signed_attributes(ByteView content_digest, HashAlgorithm hash, const Certificate& signer);

/// ContentInfo with detached SignedData and one SignerInfo, version 1. `certificates`: the signer's first, then its path.
/// `signature`: DER ECDSA-Sig-Value for EC, the plain block for RSA, over `signed_attributes`. Parsed back by OpenSSL and
/// verified before it leaves; refused when that fails.
[[nodiscard]] Result<Bytes> assemble_cms(ByteView signed_attributes, SignatureSuite suite, ByteView signature,
                                         const std::vector<Certificate>& certificates);

/// What a verified signature says.
struct CmsSignature {
  Certificate signer;
  std::vector<Certificate> certificates;  ///< all that the message carries, in its order
  HashAlgorithm hash;                     ///< of the content and of the signed attributes
};

/// The hash that the content must be digested with, before anything is verified. At most 1 MiB; zeros may follow (the
/// padding of a PDF's /Contents).
[[nodiscard]] Result<HashAlgorithm> cms_digest_algorithm(ByteView cms);

/// Refused (`invalid_request`) when the message is malformed, has not exactly one signer, carries the content, or when its
/// messageDigest is not `content_digest`, its contentType not id-data, its signing certificate not the signer's, or its
/// signature wrong; (`certificate_invalid`) when the signer's path does not end at an anchor at time `at`. Revocation is
/// the caller's.
[[nodiscard]] Result<CmsSignature> verify_cms_detached(ByteView cms, ByteView content_digest, const std::vector<Certificate>& anchors,
                                                       UnixTime at);

}  // namespace intaglio::crypto
