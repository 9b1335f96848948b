#include "pki/ca/identity.h"

namespace intaglio::pki {

namespace {

bool is_upper(char letter) noexcept { return letter >= 'A' && letter <= 'Z'; }

/// X.520 bounds count characters, and a record may hold no control characters.
bool is_name(std::string_view text) noexcept {
  std::size_t characters = 0;
  for (const char each : text) {
    const auto byte = static_cast<unsigned char>(each);
    if (byte < 0x20 || byte == 0x7f) return false;
    if ((byte & 0xC0U) != 0x80U) ++characters;
  }
  return characters >= 1 && characters <= 64 && text.front() != ' ' && text.back() != ' ';
}

bool is_printable(std::string_view text) noexcept {
  constexpr std::string_view marks = " '()+,-./:=?";
  return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [&](char each) {
    return is_upper(each) || (each >= 'a' && each <= 'z') || (each >= '0' && each <= '9') || marks.find(each) != std::string_view::npos;
  });
}

}  // namespace

bool is_natural_semantics(std::string_view text) noexcept {
  constexpr std::array<std::string_view, 5> types = {"PAS", "IDC", "PNO", "TAX", "TIN"};
  if (text.size() < 7 || text[5] != '-' || !is_upper(text[3]) || !is_upper(text[4])) return false;
  return std::find(types.begin(), types.end(), text.substr(0, 3)) != types.end();
}

Result<std::string> attribute_oid(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 5> known = {{
      {"countryName", oid_country},
      {"givenName", oid_given_name},
      {"surname", oid_surname},
      {"commonName", oid_common_name},
      {"serialNumber", oid_serial_number},
  }};
  for (const auto& [each, oid] : known) {
    if (each == name) return std::string(oid);
  }
  return Error{ErrorCode::configuration, "subject attribute " + std::string(name) + " is not known"};
}

Result<Identity> Identity::parse(const json::Value& record) {
  constexpr std::array<std::string_view, 5> members = {"givenName", "surname", "country", "serialNumber", "email"};
  if (!record.is_object()) return Error{ErrorCode::invalid_request, "identity is not an object"};
  for (const auto& [name, value] : record.items()) {
    if (std::find(members.begin(), members.end(), name) == members.end())
      return Error{ErrorCode::invalid_request, "identity has an unknown member"};
  }
  auto given_name = json::text_member(record, "givenName", 256);
  auto surname = json::text_member(record, "surname", 256);
  auto country = json::text_member(record, "country", 2);
  auto serial_number = json::text_member(record, "serialNumber", 64);
  for (const auto* each : {&given_name, &surname, &country, &serial_number}) {
    if (!*each) return each->error();
  }
  if (!is_name(*given_name) || !is_name(*surname) || !is_name(*given_name + " " + *surname)) {
    return Error{ErrorCode::invalid_request, "a name is empty, longer than 64 characters or holds control characters"};
  }
  if (country->size() != 2 || !is_upper((*country)[0]) || !is_upper((*country)[1]))
    return Error{ErrorCode::invalid_request, "country is not two capital letters"};
  if (!is_printable(*serial_number)) return Error{ErrorCode::invalid_request, "serialNumber is not a PrintableString"};
  return Identity{std::move(*given_name), std::move(*surname), std::move(*country), std::move(*serial_number),
                  crypto::sha256(as_bytes(json::encode(record)))};
}

std::optional<std::string> Identity::attribute(std::string_view oid) const {
  if (oid == oid_country) return country;
  if (oid == oid_given_name) return given_name;
  if (oid == oid_surname) return surname;
  if (oid == oid_common_name) return common_name();
  if (oid == oid_serial_number) return serial_number;
  return std::nullopt;
}

}  // namespace intaglio::pki
