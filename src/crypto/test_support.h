#pragma once

#include <memory>
#include <string>
#include <vector>

#include "crypto/certificate.h"
#include "crypto/der.h"
#include "crypto/random.h"
#include "crypto/signer.h"

/// For unit tests of this and other rooms: keys of published examples and small certificates. No product code includes it.
namespace intaglio::crypto::testing {

inline Bytes hex(std::string_view text) { return *parse_hex(text); }

/// A P-256 key from a published private JWK: `d`, `x` and `y` as base64url.
inline std::shared_ptr<SoftwareKey> key_of_jwk(std::string_view d, std::string_view x, std::string_view y) {
  Bytes point{0x04};
  append(point, *parse_base64url(x));
  append(point, *parse_base64url(y));
  const Bytes key = der::sequence({der::integer(1), der::octet_string(*parse_base64url(d)), der::explicit_tag(1, der::bit_string(point))});
  const Bytes algorithm = der::sequence({der::oid("1.2.840.10045.2.1"), der::oid("1.2.840.10045.3.1.7")});
  const Bytes pkcs8 = der::sequence({der::integer(0), algorithm, der::octet_string(key)});
  const std::string pem = "-----BEGIN PRIVATE KEY-----\n" + encode_base64(pkcs8) + "\n-----END PRIVATE KEY-----\n";
  return *SoftwareKey::parse_pem(Secret(as_bytes(pem)));
}

/// The key of RFC 7515, A.3.
inline std::shared_ptr<SoftwareKey> rfc7515_key() {
  return key_of_jwk("jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI", "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                    "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
}

/// An authority or, with `ca` false, a certificate with `leaf_usage` (a person's: nonRepudiation); valid 2026-01-01 to 2028-01-01.
inline Certificate issue(const std::string& subject, const PublicKey& key, const std::string& issuer, const Signer& signer, bool ca,
                         const Bytes& leaf_usage = der::bit_string(Bytes{0x40}, 6)) {
  const auto name = [](const std::string& text) { return *encode_name({{"2.5.4.6", "DE"}, {"2.5.4.3", text}}); };
  const auto extension = [](std::string_view oid, ByteView value) {
    return der::sequence({der::oid(oid), der::boolean(true), der::octet_string(value)});
  };
  const Bytes constraints = ca ? der::sequence({der::boolean(true)}) : der::sequence(std::initializer_list<ByteView>{});
  const Bytes usage = ca ? der::bit_string(Bytes{0x06}, 1) : leaf_usage;
  const Bytes extensions = der::sequence({extension("2.5.29.19", constraints), extension("2.5.29.15", usage)});
  const Bytes validity = der::sequence({der::time(from_unix_seconds(1767225600)), der::time(from_unix_seconds(1830297600))});
  Bytes serial = *random_bytes(8);
  serial[0] = 0x5A;
  const Bytes tbs = der::sequence({der::explicit_tag(0, der::integer(2)), der::integer(ByteView(serial)),
                                   algorithm_identifier(SignatureSuite::ecdsa_sha256), name(issuer), validity, name(subject), key.spki(),
                                   der::explicit_tag(3, extensions)});
  const auto signature = signer.sign(SignatureSuite::ecdsa_sha256, tbs);
  return *Certificate::parse_der(assemble_signed(tbs, SignatureSuite::ecdsa_sha256, *signature));
}

}  // namespace intaglio::crypto::testing
