#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/certificate.h"

/// What stands in a certificate, member by member, as a linter needs it (RFC 5280; QcStatements of RFC 3739 and EN 319 412-5).
namespace intaglio::crypto {

/// The attributes of a Name in their order, the inverse of encode_name. Refused: a relative name of several attributes.
[[nodiscard]] Result<std::vector<NameAttribute>> parse_name(ByteView der);

struct NamePart {
  std::string oid;    ///< dotted
  std::string value;  ///< UTF-8
  int string_tag;     ///< universal tag number of the string: 12 UTF8String, 19 PrintableString …
};
struct ExtensionFacts {
  std::string oid;
  bool critical;
  Bytes value;  ///< content of extnValue
};
struct PolicyFacts {
  std::string oid;
  std::vector<std::string> cps;  ///< cPSuri qualifiers
};
struct DisclosureStatement {
  std::string url, language;
};
/// QcStatements; what a certificate does not state is empty or false.
struct QcFacts {
  std::vector<std::string> statements;             ///< statementId of each, in order
  std::optional<std::string> semantics;            ///< id-qcs-pkixQCSyntax-v2: semanticsIdentifier
  std::vector<std::string> types;                  ///< QcType
  std::vector<DisclosureStatement> disclosures;    ///< QcPDS
  std::optional<std::uint64_t> retention_years;    ///< QcRetentionPeriod
  [[nodiscard]] bool states(std::string_view oid) const noexcept;
};

struct CertificateFacts {
  long version;                 ///< 3 for v3
  Bytes serial;                 ///< magnitude, big-endian
  bool serial_negative;
  std::string signature_algorithm, inner_signature_algorithm;  ///< dotted, outside and inside the signed part
  Bytes issuer_der, subject_der;
  std::vector<NamePart> subject;
  UnixTime not_before, not_after;
  bool utc_times;               ///< both times are UTCTime
  Bytes spki;
  std::vector<ExtensionFacts> extensions;
  /// From the extensions; nothing when the extension is absent.
  std::optional<Bytes> authority_key_id, subject_key_id;
  std::optional<std::vector<std::string>> key_usage;           ///< names of RFC 5280, 4.2.1.3; bit 1 is nonRepudiation
  std::vector<std::string> extended_key_usage;                 ///< dotted
  std::vector<PolicyFacts> policies;
  std::vector<std::string> crl_distribution_points;            ///< URIs
  std::vector<std::string> ocsp_addresses, ca_issuers;         ///< URIs of authorityInfoAccess
  std::optional<bool> is_ca;
  std::optional<long> path_length;
  std::optional<UnixTime> private_key_not_after;               ///< privateKeyUsagePeriod
  QcFacts qc;

  [[nodiscard]] const ExtensionFacts* extension(std::string_view oid) const noexcept;
};

/// Refused (`invalid_request`) when an extension of those above does not parse.
[[nodiscard]] Result<CertificateFacts> inspect(const Certificate& certificate);

}  // namespace intaglio::crypto
