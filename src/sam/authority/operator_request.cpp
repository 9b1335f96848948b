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
  if (refused_by("sam.operator.before-restore", core.restored.may_be_of_before(issued, clock_tolerance)))
    return refused("it may have been used before the restore: make another one");
  return OperatorRequest{
      .by = by->id, .rid = std::move(*rid), .ends = issued + request_lifetime + clock_tolerance, .body = std::move(*body)};
}

}  // namespace intaglio::sam
