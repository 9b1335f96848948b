#pragma once

#include <string>
#include <vector>

#include "crypto/inspection.h"
#include "pki/ca/profile.h"

/// Writers of certificate extensions (RFC 5280 section 4.2, RFC 3739, EN 319 412-5). Each gives the extension as it stands in a
/// certificate; `crypto::inspect` reads the same back.
namespace intaglio::pki {

inline constexpr std::string_view oid_natural_semantics = "0.4.0.194121.1.1";  ///< EN 319 412-1, 5.1.3
inline constexpr std::string_view oid_legal_semantics = "0.4.0.194121.1.2";    ///< EN 319 412-1, 5.1.4
inline constexpr std::string_view oid_qc_syntax = "1.3.6.1.5.5.7.11.2";        ///< RFC 3739: id-qcs-pkixQCSyntax-v2
inline constexpr std::string_view oid_qc_compliance = "0.4.0.1862.1.1";
inline constexpr std::string_view oid_qc_retention = "0.4.0.1862.1.3";
inline constexpr std::string_view oid_qc_sscd = "0.4.0.1862.1.4";
inline constexpr std::string_view oid_qc_disclosure = "0.4.0.1862.1.5";
inline constexpr std::string_view oid_qc_type = "0.4.0.1862.1.6";
inline constexpr std::string_view oid_ocsp_signing = "1.3.6.1.5.5.7.3.9";
inline constexpr std::string_view oid_time_stamping = "1.3.6.1.5.5.7.3.8";
inline constexpr std::string_view oid_short_term = "0.4.0.194121.2.1";  ///< EN 319 412-1, 5.2: validity-assured-short-term
inline constexpr std::string_view oid_any_policy = "2.5.29.32.0";

/// Two arcs or more, each a number, the first ones within X.660.
[[nodiscard]] bool is_oid(std::string_view text) noexcept;
/// QcType of "esign", "eseal" or "web"; nothing for others.
[[nodiscard]] std::optional<std::string> qc_type_oid(std::string_view name);

/// Leftmost 160 bits of SHA-256 over the SubjectPublicKeyInfo (RFC 7093 section 2: any method that gives unique numbers).
[[nodiscard]] Bytes key_identifier(const crypto::PublicKey& key);

/// The BIT STRING of a KeyUsage; nothing when a name is not one of RFC 5280, 4.2.1.3.
[[nodiscard]] std::optional<Bytes> encode_key_usage(const std::vector<std::string>& names);
[[nodiscard]] crypto::ExtensionFacts key_usage(const std::vector<std::string>& names);  ///< critical
[[nodiscard]] crypto::ExtensionFacts subject_key_identifier(const crypto::PublicKey& key);
[[nodiscard]] crypto::ExtensionFacts authority_key_identifier(ByteView key_id);
[[nodiscard]] crypto::ExtensionFacts basic_constraints(std::optional<unsigned> path_length);  ///< of a CA; critical
[[nodiscard]] crypto::ExtensionFacts certificate_policies(const std::vector<crypto::PolicyFacts>& policies);
[[nodiscard]] crypto::ExtensionFacts extended_key_usage(const std::vector<std::string>& oids);
/// id-kp-timeStamping alone and critical (RFC 3161, 2.3).
[[nodiscard]] crypto::ExtensionFacts time_stamping_usage();
/// privateKeyUsagePeriod (RFC 3280, 4.2.1.4), both ends.
[[nodiscard]] crypto::ExtensionFacts private_key_usage_period(UnixTime begin, UnixTime end);
[[nodiscard]] crypto::ExtensionFacts crl_distribution_point(std::string_view uri);
[[nodiscard]] crypto::ExtensionFacts freshest_crl(std::string_view uri);  ///< where the delta lists are (RFC 5280, 4.2.1.15)
/// Empty texts are left out.
[[nodiscard]] crypto::ExtensionFacts authority_information_access(std::string_view ocsp, std::string_view ca_issuers);
[[nodiscard]] crypto::ExtensionFacts ocsp_no_check();  ///< RFC 6960, 4.2.2.2.1
/// Nobody revokes the certificate, as it ends before anyone could (EN 319 412-1, 5.2); NULL, not critical.
[[nodiscard]] crypto::ExtensionFacts validity_assured_short_term();
/// What the profile states where the identifier has these semantics; nothing when that is nothing.
[[nodiscard]] std::optional<crypto::ExtensionFacts> qc_statements(const QcProfile& profile, std::optional<std::string_view> semantics);
/// The same as identifiers, for the linter.
[[nodiscard]] std::vector<std::string> expected_qc_statements(const QcProfile& profile, std::optional<std::string_view> semantics);

/// Extension ::= SEQUENCE, and the Extensions of several.
[[nodiscard]] Bytes encode_extensions(const std::vector<crypto::ExtensionFacts>& extensions);

}  // namespace intaglio::pki
