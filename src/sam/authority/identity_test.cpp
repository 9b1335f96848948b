#include "sam/authority/identity.h"

#include <gtest/gtest.h>

namespace intaglio::sam {
namespace {

using Name = std::vector<crypto::NameAttribute>;

const json::Value kari = {{"givenName", "Kari"}, {"surname", "Nordmann"}, {"country", "NO"}, {"serialNumber", "PNONO-1"}};
const json::Value company = {{"organizationName", "Eksempel AS"}, {"organizationIdentifier", "NTRNO-123456789"}, {"country", "NO"}};

json::Value together(const json::Value& left, const json::Value& right) {
  json::Value both = left;
  both.update(right);
  return both;
}
std::string texts(const IdentityRecord& record) {
  std::string all;
  for (const auto& each : record.subject) all += each.oid + "=" + each.value + ";";
  return all;
}
Bytes name(const Name& attributes) { return *crypto::encode_name(attributes); }

TEST(IdentityRecord, OfAPersonOfAnOrganisationOrOfBothGivesASubjectInTheOrderOfTheStandards) {
  const auto natural = parse_identity(together(kari, {{"email", "kari@example.no"}}));
  ASSERT_TRUE(natural) << natural.error().detail;
  EXPECT_EQ(texts(*natural), "2.5.4.6=NO;2.5.4.42=Kari;2.5.4.4=Nordmann;2.5.4.5=PNONO-1;2.5.4.3=Kari Nordmann;");
  const auto legal = parse_identity(company);
  ASSERT_TRUE(legal) << legal.error().detail;
  EXPECT_EQ(texts(*legal), "2.5.4.6=NO;2.5.4.10=Eksempel AS;2.5.4.97=NTRNO-123456789;2.5.4.3=Eksempel AS;");
  const auto representative = parse_identity(together(kari, company));
  ASSERT_TRUE(representative) << representative.error().detail;
  EXPECT_EQ(texts(*representative),
            "2.5.4.6=NO;2.5.4.10=Eksempel AS;2.5.4.97=NTRNO-123456789;2.5.4.42=Kari;2.5.4.4=Nordmann;2.5.4.5=PNONO-1;"
            "2.5.4.3=Kari Nordmann;");
}

TEST(IdentityRecord, OfNobodyIsRefused) {
  for (const auto* missing : {"givenName", "surname", "country", "serialNumber"}) {
    for (json::Value record : {kari, together(kari, company)}) {
      record.erase(missing);
      EXPECT_EQ(parse_identity(record).error().code, ErrorCode::invalid_request) << missing;
    }
  }
  for (const auto* missing : {"organizationName", "organizationIdentifier", "country"}) {
    for (json::Value record : {company, together(kari, company)}) {
      record.erase(missing);
      EXPECT_FALSE(parse_identity(record)) << missing;
    }
  }
  for (const auto& [member, value] : std::vector<std::pair<std::string, json::Value>>{{"country", "no"},
                                                                                      {"country", "NOR"},
                                                                                      {"surname", ""},
                                                                                      {"surname", std::string(65, 'a')},
                                                                                      {"surname", 7},
                                                                                      {"email", std::string(255, 'a')},
                                                                                      {"email", 7},
                                                                                      {"title", "King"}})
    EXPECT_FALSE(parse_identity(together(kari, {{member, value}}))) << member;
  EXPECT_FALSE(parse_identity("Kari"));
}

TEST(IdentityRecord, IsNamedByItsOwnAttributesEachOnceAndByNoOthers) {
  const auto natural = *parse_identity(kari);
  const Name own = natural.subject;
  EXPECT_TRUE(natural.is_named_by(name(own)));
  Name other_order(own.rbegin(), own.rend());
  EXPECT_TRUE(natural.is_named_by(name(other_order)));
  Name other_common_name = own;
  other_common_name.back().value = "Nordmann, K.";
  EXPECT_TRUE(natural.is_named_by(name(other_common_name))) << "commonName is the authority's matter";
  for (std::size_t at = 0; at + 1 < own.size(); ++at) {
    Name changed = own;
    changed[at].value = at == 0 ? "SE" : "another";
    EXPECT_FALSE(natural.is_named_by(name(changed))) << own[at].oid;
    Name shorter = own;
    shorter.erase(shorter.begin() + static_cast<std::ptrdiff_t>(at));
    EXPECT_FALSE(natural.is_named_by(name(shorter))) << own[at].oid;
    Name twice = own;
    twice.push_back(own[at]);
    EXPECT_FALSE(natural.is_named_by(name(twice))) << own[at].oid;
  }
  Name of_a_company = own;
  of_a_company.push_back({"2.5.4.10", "Eksempel AS"});
  EXPECT_FALSE(natural.is_named_by(name(of_a_company))) << "nobody recorded that she acts for it";
  EXPECT_FALSE(parse_identity(company)->is_named_by(name(own)));
  EXPECT_FALSE(natural.is_named_by(as_bytes("not a name")));
}

}  // namespace
}  // namespace intaglio::sam
