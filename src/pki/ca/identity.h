#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/certificate.h"
#include "json/json.h"

namespace intaglio::pki {

inline constexpr std::string_view oid_country = "2.5.4.6";
inline constexpr std::string_view oid_given_name = "2.5.4.42";
inline constexpr std::string_view oid_surname = "2.5.4.4";
inline constexpr std::string_view oid_common_name = "2.5.4.3";
inline constexpr std::string_view oid_serial_number = "2.5.4.5";
inline constexpr std::string_view oid_organisation = "2.5.4.10";

/// The identity of a natural person, as the registration authority recorded and an operator signed it.
struct Identity {
  std::string given_name, surname;  ///< UTF-8, at most 64 characters each (X.520 upper bounds)
  std::string country;              ///< ISO 3166-1 alpha-2, upper case
  std::string serial_number;        ///< EN 319 412-1, 5.1.3 ("PNOGR-123"), or an opaque identifier; PrintableString, at most 64
  crypto::Sha256Digest digest;      ///< SHA-256 of json::encode of the record: what the SAM's assertion repeats

  /// Members givenName, surname, country, serialNumber and optionally email; any other is refused.
  [[nodiscard]] static Result<Identity> parse(const json::Value& record);
  [[nodiscard]] std::string common_name() const { return given_name + " " + surname; }
  /// The value of a subject attribute; nothing when this record does not say it.
  [[nodiscard]] std::optional<std::string> attribute(std::string_view oid) const;
};

/// Whether the text has the form of a natural person's semantics identifier: PAS, IDC, PNO, TAX or TIN, a country, '-', an
/// identifier (EN 319 412-1, 5.1.3).
[[nodiscard]] bool is_natural_semantics(std::string_view serial_number) noexcept;
/// The dotted OID of an attribute that profiles name; `configuration` for others.
[[nodiscard]] Result<std::string> attribute_oid(std::string_view name);

}  // namespace intaglio::pki
