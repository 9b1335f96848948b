#include "sam/authority/identity.h"

#include <algorithm>
#include <array>

#include "crypto/inspection.h"

namespace intaglio::sam {
namespace {

constexpr std::string_view oid_common_name = "2.5.4.3";

struct Member {
  std::string_view name, oid;
  std::size_t longest;  ///< X.520 upper bounds
};
/// In the order of a subject.
constexpr std::array<Member, 6> members = {{{"country", "2.5.4.6", 2},
                                            {"organizationName", "2.5.4.10", 64},
                                            {"organizationIdentifier", "2.5.4.97", 64},
                                            {"givenName", "2.5.4.42", 64},
                                            {"surname", "2.5.4.4", 64},
                                            {"serialNumber", "2.5.4.5", 64}}};

Error malformed(const std::string& what) { return {ErrorCode::invalid_request, "operator request: " + what}; }

/// What a set of members is; the country is everybody's.
enum class Person { natural, representative, legal, nobody };
Person person_of(const json::Value& identity) {
  const auto has = [&](std::string_view name) { return json::member(identity, name) != nullptr; };
  const auto all = [&](std::initializer_list<std::string_view> names) { return std::all_of(names.begin(), names.end(), has); };
  const auto none = [&](std::initializer_list<std::string_view> names) { return std::none_of(names.begin(), names.end(), has); };
  const bool organisation = all({"organizationName", "organizationIdentifier"});
  const bool natural = all({"givenName", "surname", "serialNumber"});
  if (!has("country")) return Person::nobody;
  if (natural && organisation) return Person::representative;
  if (natural && none({"organizationName", "organizationIdentifier"})) return Person::natural;
  if (organisation && none({"givenName", "surname", "serialNumber"})) return Person::legal;
  return Person::nobody;
}

Status check_members(const json::Value& identity) {
  for (const auto& [name, value] : identity.items()) {
    const bool known =
        name == "email" || std::any_of(members.begin(), members.end(), [&](const Member& each) { return each.name == name; });
    if (!known) return malformed("identity has the unknown member " + name);
  }
  const auto* email = json::member(identity, "email");
  if (email != nullptr && (!email->is_string() || email->get_ref<const std::string&>().size() > 254))
    return malformed("identity.email is a text of at most 254 characters");
  return {};
}

}  // namespace

bool IdentityRecord::is_named_by(ByteView name_der) const {
  const auto stated = crypto::parse_name(name_der);
  if (!stated) return false;
  return std::all_of(members.begin(), members.end(), [&](const Member& member) {
    const auto values = [&](const std::vector<crypto::NameAttribute>& name) {
      std::vector<std::string> found;
      for (const auto& each : name) {
        if (each.oid == member.oid) found.push_back(each.value);
      }
      return found;
    };
    return values(*stated) == values(subject);
  });
}

Result<IdentityRecord> parse_identity(const json::Value& identity) {
  if (!identity.is_object()) return malformed("identity must be an object");
  if (auto known = check_members(identity); !known) return known.error();
  const auto person = person_of(identity);
  if (person == Person::nobody) {
    return malformed(
        "identity needs country, and givenName, surname and serialNumber, or organizationName and organizationIdentifier, or "
        "all of them");
  }
  IdentityRecord record{json::encode(identity), {}};
  for (const auto& member : members) {
    if (json::member(identity, member.name) == nullptr) continue;
    auto text = json::text_member(identity, member.name, member.longest);
    if (!text || text->empty())
      return malformed("identity." + std::string(member.name) + " is a text of 1 to " + std::to_string(member.longest) + " bytes");
    record.subject.push_back({std::string(member.oid), *std::move(text)});
  }
  const auto is_letter = [](char c) { return c >= 'A' && c <= 'Z'; };
  const auto& country = record.subject.front().value;
  if (country.size() != 2 || !is_letter(country[0]) || !is_letter(country[1]))
    return malformed("identity.country is two capital letters (ISO 3166-1)");
  const auto value = [&](std::string_view name) { return identity.value(std::string(name), std::string()); };
  record.subject.push_back(
      {std::string(oid_common_name), person == Person::legal ? value("organizationName") : value("givenName") + " " + value("surname")});
  if (auto encoded = record.subject_der(); !encoded) return malformed(encoded.error().detail);
  return record;
}

}  // namespace intaglio::sam
