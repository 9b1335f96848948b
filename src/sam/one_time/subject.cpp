#include "sam/one_time/subject.h"

#include <algorithm>

#include "crypto/certificate.h"
#include "crypto/inspection.h"

namespace intaglio::sam {
namespace {

constexpr std::size_t max_value = 64;  // X.520 upper bounds

std::vector<crypto::NameAttribute> attributes_of(const AssertedSubject& subject) {
  return {{"2.5.4.6", subject.country},
          {"2.5.4.42", subject.given_name},
          {"2.5.4.4", subject.surname},
          {"2.5.4.5", subject.serial_number},
          {"2.5.4.3", subject.common_name()}};
}

}  // namespace

json::Value AssertedSubject::record() const {
  return {{"givenName", given_name}, {"surname", surname}, {"country", country}, {"serialNumber", serial_number}};
}

Result<Bytes> AssertedSubject::name() const { return crypto::encode_name(attributes_of(*this)); }

Result<AssertedSubject> asserted_subject(const OneTimeRules::Claims& claims, const evidence::id_token::Identity& identity) {
  AssertedSubject subject;
  const auto take = [&](const std::string& claim, std::string& into) -> Status {
    auto value = evidence::id_token::text_claim(identity, claim);
    if (!value) return value.error();
    const bool plain = std::none_of(value->begin(), value->end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
    if (value->size() > max_value || !plain)
      return Error{ErrorCode::authentication_failed, "the claim " + claim + " is nothing that a certificate can hold"};
    into = *std::move(value);
    return {};
  };
  for (const auto& [claim, into] :
       {std::pair(&claims.given_name, &subject.given_name), std::pair(&claims.surname, &subject.surname),
        std::pair(&claims.country, &subject.country), std::pair(&claims.serial_number, &subject.serial_number)}) {
    if (auto taken = take(*claim, *into); !taken) return taken.error();
  }
  // Refused here rather than by the CA, when the key exists already.
  if (auto name = subject.name(); !name)
    return Error{ErrorCode::authentication_failed, "the claims are nothing that a certificate can hold: " + name.error().detail};
  return subject;
}

bool is_subject(const AssertedSubject& subject, ByteView name_der) {
  const auto found = crypto::parse_name(name_der);
  if (!found) return false;
  const auto expected = attributes_of(subject);
  return found->size() == expected.size() && std::all_of(expected.begin(), expected.end(), [&](const crypto::NameAttribute& attribute) {
           return std::count_if(found->begin(), found->end(), [&](const crypto::NameAttribute& each) {
                    return each.oid == attribute.oid && each.value == attribute.value;
                  }) == 1;
         });
}

}  // namespace intaglio::sam
