#include "pki/ca/identity.h"

#include "base/check.h"
#include "pki/ca/extensions.h"

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

/// Three capital letters of `types`, or of a national scheme two and ':', a country, '-', and more.
bool has_semantics(std::string_view text, std::initializer_list<std::string_view> types, bool national) noexcept {
  if (text.size() < 7 || text[5] != '-' || !is_upper(text[3]) || !is_upper(text[4])) return false;
  const bool own = national && is_upper(text[0]) && is_upper(text[1]) && text[2] == ':';
  return own || std::find(types.begin(), types.end(), text.substr(0, 3)) != types.end();
}

struct Member {
  std::string_view name, oid;
};
constexpr std::array<Member, 6> members = {{{"country", oid_country},
                                            {"givenName", oid_given_name},
                                            {"surname", oid_surname},
                                            {"serialNumber", oid_serial_number},
                                            {"organizationName", oid_organisation},
                                            {"organizationIdentifier", oid_organisation_identifier}}};

Error refused(std::string detail) { return {ErrorCode::invalid_request, std::move(detail)}; }

Status check_value(std::string_view oid, const std::string& value, std::string_view member) {
  if (oid == oid_country && (value.size() != 2 || !is_upper(value[0]) || !is_upper(value[1])))
    return refused("country is not two capital letters");
  if (oid == oid_serial_number && !is_printable(value)) return refused("serialNumber is not a PrintableString");
  if (oid == oid_organisation_identifier && !(is_printable(value) && is_legal_semantics(value)))
    return refused("organizationIdentifier does not have the form of EN 319 412-1, 5.1.4");
  if (!is_name(value)) return refused(std::string(member) + " is empty, longer than 64 characters or holds control characters");
  return {};
}

}  // namespace

const std::vector<std::string_view>& attributes_of(Person person) {
  static const std::vector<std::string_view> natural = {oid_country, oid_given_name, oid_surname, oid_serial_number};
  static const std::vector<std::string_view> representative = {oid_country,    oid_organisation, oid_organisation_identifier,
                                                               oid_given_name, oid_surname,      oid_serial_number};
  static const std::vector<std::string_view> legal = {oid_country, oid_organisation, oid_organisation_identifier};
  switch (person) {
    case Person::natural: return natural;
    case Person::representative: return representative;
    case Person::legal: return legal;
  }
  panic("a person that does not exist");
}

bool is_natural_semantics(std::string_view text) noexcept { return has_semantics(text, {"PAS", "IDC", "PNO", "TAX", "TIN"}, false); }
bool is_legal_semantics(std::string_view text) noexcept { return has_semantics(text, {"VAT", "NTR", "PSD", "LEI"}, true); }

Result<std::string> attribute_oid(std::string_view name) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 7> known = {{
      {"countryName", oid_country},
      {"givenName", oid_given_name},
      {"surname", oid_surname},
      {"commonName", oid_common_name},
      {"serialNumber", oid_serial_number},
      {"organizationName", oid_organisation},
      {"organizationIdentifier", oid_organisation_identifier},
  }};
  for (const auto& [each, oid] : known) {
    if (each == name) return std::string(oid);
  }
  return Error{ErrorCode::configuration, "subject attribute " + std::string(name) + " is not known"};
}

Result<Identity> Identity::parse(const json::Value& record) {
  if (!record.is_object()) return refused("identity is not an object");
  Identity identity{Person::natural, {}, crypto::sha256(as_bytes(json::encode(record)))};
  for (const auto& [name, value] : record.items()) {
    if (name == "email") continue;
    const auto* known = std::find_if(members.begin(), members.end(), [&](const Member& each) { return each.name == name; });
    if (known == members.end()) return refused("identity has an unknown member");
    auto text = json::text_member(record, name, 256);
    if (!text) return text.error();
    if (auto checked = check_value(known->oid, *text, name); !checked) return checked.error();
    identity.attributes.emplace(known->oid, *std::move(text));
  }
  const bool is_natural = identity.attributes.contains(oid_given_name);
  const bool has_organisation = identity.attributes.contains(oid_organisation);
  identity.person = !has_organisation ? Person::natural : is_natural ? Person::representative : Person::legal;
  const auto& wanted = attributes_of(identity.person);
  const bool complete = identity.attributes.size() == wanted.size() &&
                        std::all_of(wanted.begin(), wanted.end(), [&](std::string_view oid) { return identity.attributes.contains(oid); });
  if (!complete) return refused("identity has not the members of a natural person, of one for an organisation, or of an organisation");
  const auto& attributes = identity.attributes;
  auto common_name = identity.person == Person::legal
                         ? attributes.at(std::string(oid_organisation))
                         : attributes.at(std::string(oid_given_name)) + " " + attributes.at(std::string(oid_surname));
  if (!is_name(common_name)) return refused("given name and surname are longer than 64 characters");
  identity.attributes.emplace(oid_common_name, std::move(common_name));
  return identity;
}

std::optional<std::string> Identity::attribute(std::string_view oid) const {
  const auto found = attributes.find(oid);
  if (found == attributes.end()) return std::nullopt;
  return found->second;
}

std::optional<std::string_view> Identity::semantics() const noexcept {
  if (person == Person::legal) return oid_legal_semantics;
  const auto serial = attributes.find(oid_serial_number);
  if (serial == attributes.end() || !is_natural_semantics(serial->second)) return std::nullopt;
  return oid_natural_semantics;
}

}  // namespace intaglio::pki
