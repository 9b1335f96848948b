#pragma once

#include <map>
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
inline constexpr std::string_view oid_organisation_identifier = "2.5.4.97";

/// Whom a certificate names: a natural person, one who is associated with an organisation (EN 319 412-2, 4.2.4), or a legal person, whose
/// signatures are seals (EN 319 412-3, 4.2.1).
enum class Person : std::uint8_t { natural, representative, legal };

/// The attributes, except commonName, that a certificate for such a person names, each once.
[[nodiscard]] const std::vector<std::string_view>& attributes_of(Person person);

/// An identity, as the registration authority recorded and an operator signed it.
struct Identity {
  Person person;
  /// By attribute type, dotted; commonName among them: given name and surname, or the organisation's name. UTF-8 of at most 64 characters
  /// (X.520 upper bounds); country: ISO 3166-1 alpha-2, upper case; serialNumber: PrintableString.
  std::map<std::string, std::string, std::less<>> attributes;
  crypto::Sha256Digest digest;  ///< SHA-256 of json::encode of the record: what the SAM's assertion repeats

  /// Members country and, by the person, givenName, surname, serialNumber, organizationName, organizationIdentifier, and optionally email;
  /// any other, and a set of members that is no person's, is refused.
  [[nodiscard]] static Result<Identity> parse(const json::Value& record);
  /// The value of a subject attribute; nothing when this record does not say it.
  [[nodiscard]] std::optional<std::string> attribute(std::string_view oid) const;
  /// The semantics that the identifier has (EN 319 412-1, 5.1.3 and 5.1.4), dotted; nothing for an opaque one.
  [[nodiscard]] std::optional<std::string_view> semantics() const noexcept;
};

/// Whether the text has the form of a natural person's semantics identifier: PAS, IDC, PNO, TAX or TIN, a country, '-', an
/// identifier (EN 319 412-1, 5.1.3).
[[nodiscard]] bool is_natural_semantics(std::string_view serial_number) noexcept;
/// The same of a legal person's: VAT, NTR, PSD, LEI, or two letters of a national scheme and ':' (EN 319 412-1, 5.1.4).
[[nodiscard]] bool is_legal_semantics(std::string_view identifier) noexcept;
/// The dotted OID of an attribute that profiles name; `configuration` for others.
[[nodiscard]] Result<std::string> attribute_oid(std::string_view name);

}  // namespace intaglio::pki
