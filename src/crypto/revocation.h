#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/certificate.h"

/// Revocation lists (RFC 5280 section 5) and OCSP messages (RFC 6960), read with OpenSSL.
namespace intaglio::crypto {

inline constexpr std::size_t max_crl_bytes = std::size_t{16} * 1024 * 1024;
inline constexpr std::size_t max_ocsp_request_bytes = std::size_t{16} * 1024;
inline constexpr std::size_t max_ocsp_certificates = 32;

/// CRLReason (RFC 5280, 5.3.1); the numbers are those of the standard.
enum class RevocationReason : std::uint8_t {
  unspecified = 0,
  key_compromise = 1,
  ca_compromise = 2,
  affiliation_changed = 3,
  superseded = 4,
  cessation_of_operation = 5,
  certificate_hold = 6,
  remove_from_crl = 8,
  privilege_withdrawn = 9,
  aa_compromise = 10,
};
[[nodiscard]] std::string_view name_of(RevocationReason reason) noexcept;  ///< as the standard spells it: "keyCompromise"
[[nodiscard]] Result<RevocationReason> parse_revocation_reason(std::string_view name);

struct RevokedCertificate {
  std::string serial_hex;  ///< as Certificate::serial_hex
  UnixTime at;
  RevocationReason reason;
};
/// A complete list of one issuer. Delta, indirect and partitioned lists are refused.
struct RevocationList {
  Bytes issuer_der;
  UnixTime this_update, next_update;
  std::uint64_t number;  ///< cRLNumber
  std::vector<RevokedCertificate> revoked;
  [[nodiscard]] const RevokedCertificate* find(std::string_view serial_hex) const noexcept;
};

/// Refused: trailing bytes, no nextUpdate, no cRLNumber, a critical extension, more than max_crl_bytes. Not verified yet.
[[nodiscard]] Result<RevocationList> parse_crl(ByteView der);
/// A delta list (RFC 5280, 5.2.4): what changed since the complete list of number `base`; removeFromCRL for what is released.
struct DeltaRevocationList {
  RevocationList changes;
  std::uint64_t base;
};
/// Refused: what parse_crl refuses, but for the critical deltaCRLIndicator, which must be there; a base not below its own number.
[[nodiscard]] Result<DeltaRevocationList> parse_delta_crl(ByteView der);
/// Signed by this issuer with a suite of ours, issuer name equal, the issuer's keyUsage allows cRLSign. Says nothing on time.
[[nodiscard]] Status verify_crl(ByteView der, const Certificate& issuer);

/// Which certificate an OCSP message speaks of.
struct OcspCertificateId {
  Bytes der;                   ///< CertID as it came: an answer repeats it
  std::string hash_oid;        ///< dotted; SHA-1 or SHA-2
  Bytes issuer_name_hash, issuer_key_hash;
  std::string serial_hex;      ///< as Certificate::serial_hex
  /// Whether the hashes are this issuer's.
  [[nodiscard]] bool is_of(const Certificate& issuer) const;
};
/// What a CertID of this issuer says before its serial number, as clients write it: the hash (dotted; SHA-1 or SHA-2) with NULL
/// parameters, and the hashes of name and key. A CertID is the SEQUENCE of this and the serial number's INTEGER.
[[nodiscard]] Result<Bytes> ocsp_issuer_part(const Certificate& issuer, std::string_view hash_oid);
struct OcspRequest {
  std::vector<OcspCertificateId> certificates;
  Bytes nonce;  ///< content of the extension's OCTET STRING, 1 to 128 bytes (RFC 9654); empty when there is none
};
/// Refused: trailing bytes, none or too many certificates, an unknown critical extension, a nonce outside RFC 9654. A
/// signature of the requester is not looked at (RFC 6960, 4.1.2: optional).
[[nodiscard]] Result<OcspRequest> parse_ocsp_request(ByteView der);
/// A request for one certificate with SHA-1 or SHA-256 hashes, as a client makes it; `nonce` may be empty.
[[nodiscard]] Result<Bytes> make_ocsp_request(const Certificate& certificate, const Certificate& issuer, HashAlgorithm hash,
                                              ByteView nonce);

enum class CertificateStatus : std::uint8_t { good = 0, revoked = 1, unknown = 2 };
struct OcspSingleAnswer {
  OcspCertificateId certificate;
  CertificateStatus status;
  std::optional<UnixTime> revoked_at;
  std::optional<RevocationReason> reason;
  UnixTime this_update;
  std::optional<UnixTime> next_update;
  std::optional<UnixTime> archive_cutoff{};  ///< since when ended certificates are answered for (RFC 6960, 4.4.4)
};
struct OcspAnswer {
  UnixTime produced_at;
  std::vector<OcspSingleAnswer> certificates;
  Bytes nonce;
};
/// A successful response with its basic response; refused otherwise. Not verified yet.
[[nodiscard]] Result<OcspAnswer> parse_ocsp_response(ByteView der);
/// Signed by `issuer` itself or by a responder that it certified for id-kp-OCSPSigning (RFC 6960, 4.2.2.2), valid at `at`.
[[nodiscard]] Status verify_ocsp_response(ByteView der, const Certificate& issuer, UnixTime at);

}  // namespace intaglio::crypto
