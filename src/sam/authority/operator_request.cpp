#include "sam/authority/operator_request.h"

#include "base/check.h"
#include "crypto/certificate.h"
#include "crypto/jose/jws.h"

namespace intaglio::sam {
namespace {

constexpr std::chrono::minutes request_lifetime{10};
constexpr std::chrono::minutes clock_tolerance{1};

Error refused(std::string detail) { return {ErrorCode::not_authorised, "operator request: " + std::move(detail)}; }
Error malformed(std::string detail) { return {ErrorCode::invalid_request, "operator request: " + std::move(detail)}; }

}  // namespace

Result<OperatorRequest> verify_operator_request(const Core& core, std::string_view compact, std::string_view op) {
  auto header = crypto::peek_jws_header(compact);
  if (!header) return malformed(header.error().detail);
  const auto* by = core.policy.find_operator(header->kid);
  if (by == nullptr) return refused("the operator is not registered");
  auto payload = crypto::verify_jws(compact, "intaglio-ra+jwt", by->key);
  if (!payload) return refused(payload.error().detail);
  auto body = json::parse(*payload, {.max_bytes = 32 * 1024, .max_depth = 6, .max_members = 256});
  if (!body) return malformed(body.error().detail);
  auto told_op = json::text_member(*body, "op", 64);
  auto rid = json::text_member(*body, "rid", 64);
  auto iat = json::integer_member(*body, "iat");
  if (!told_op || !rid || rid->size() < 16 || !iat) return malformed("op, rid (16 to 64 characters) and iat are needed");
  if (refused_by("sam.operator.op", *told_op != op)) return refused("it asks for another operation");
  const auto now = core.clock->now();
  const auto issued = from_unix_seconds(*iat);
  if (refused_by("sam.operator.fresh", issued > now + clock_tolerance || now > issued + request_lifetime))
    return refused("it is not of the last ten minutes");
  return OperatorRequest{
      .by = by->id, .rid = std::move(*rid), .ends = issued + request_lifetime + clock_tolerance, .body = std::move(*body)};
}

Result<IdentityRecord> parse_identity(const json::Value& identity) {
  if (!identity.is_object()) return malformed("identity must be an object");
  for (const auto& [name, value] : identity.items()) {
    if (name != "givenName" && name != "surname" && name != "country" && name != "serialNumber" && name != "email")
      return malformed("identity has the unknown member " + name);
  }
  auto given_name = json::text_member(identity, "givenName", 64);
  auto surname = json::text_member(identity, "surname", 64);
  auto country = json::text_member(identity, "country", 2);
  auto serial = json::text_member(identity, "serialNumber", 64);
  if (!given_name || !surname || !country || !serial) return malformed("identity needs givenName, surname, country and serialNumber");
  if (const auto* email = json::member(identity, "email");
      email != nullptr && (!email->is_string() || email->get_ref<const std::string&>().size() > 254)) {
    return malformed("identity.email is a text of at most 254 characters");
  }
  const auto is_letter = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (country->size() != 2 || !is_letter((*country)[0]) || !is_letter((*country)[1]))
    return malformed("identity.country is two capital letters (ISO 3166-1)");
  // The order and the attributes of a natural person: EN 319 412-2, 4.2.4.
  auto subject = crypto::encode_name({{"2.5.4.6", *country},
                                      {"2.5.4.42", *given_name},
                                      {"2.5.4.4", *surname},
                                      {"2.5.4.5", *serial},
                                      {"2.5.4.3", *given_name + " " + *surname}});
  if (!subject) return malformed(subject.error().detail);
  return IdentityRecord{.canonical = json::encode(identity), .subject_der = std::move(*subject)};
}

}  // namespace intaglio::sam
