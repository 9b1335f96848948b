#include "sam/management/request.h"

#include "base/check.h"
#include "crypto/jose/jws.h"

namespace intaglio::sam {
namespace {

Error refused(std::string detail) { return {ErrorCode::not_authorised, std::move(detail)}; }

}  // namespace

Result<ManagementRequest> verify_management_request(std::string_view compact, const PrivilegedUser& by) {
  // No name to switch this off by: without its signature there is no payload (mutant jws.signature).
  auto payload = crypto::verify_jws(compact, "intaglio-manage+jwt", by.key);
  if (!payload) return refused("the request is not signed by " + by.id.text() + ": " + payload.error().detail);
  auto body = json::parse(*payload, {.max_bytes = 48 * 1024, .max_depth = 10, .max_members = 4096});
  if (!body) return Error{ErrorCode::invalid_request, "the request is not JSON: " + body.error().detail};
  auto op = json::text_member(*body, "op", 64);
  auto rid = json::text_member(*body, "rid", 64);
  auto iat = json::integer_member(*body, "iat");
  auto sam = json::text_member(*body, "sam", 128);
  if (!op || !rid || rid->size() < 16 || !iat || !sam)
    return Error{ErrorCode::invalid_request, "op, rid (16 to 64 characters), iat and sam are needed"};
  return ManagementRequest{
      .op = std::move(*op), .rid = std::move(*rid), .issued = from_unix_seconds(*iat), .sam = std::move(*sam), .body = std::move(*body)};
}

Status check_meant_for_us(const ManagementRequest& request, std::string_view sam) {
  if (refused_by("sam.manage.audience", request.sam != sam)) return refused("the request is meant for another SAM");
  return {};
}

Status check_fresh(const ManagementRequest& request, const Restored& restored, UnixTime now) {
  const bool fresh = request.issued <= now + management_clock_tolerance && now <= request.issued + management_request_lifetime;
  if (refused_by("sam.manage.fresh", !fresh)) return refused("the request is not of the last two minutes; compare the clocks");
  if (refused_by("sam.manage.before-restore", restored.may_be_of_before(request.issued, management_clock_tolerance)))
    return refused("the request may have been used before the restore: make another one, half a minute after it");
  return {};
}

Status check_may_log_in(const PrivilegedUsers& users, const PrivilegedUser& user, std::chrono::hours max_idle, UnixTime now) {
  if (refused_by("sam.manage.suspended", user.suspended)) return refused("the user is suspended; resume-user brings him back");
  if (refused_by("sam.manage.locked", unix_seconds(now) < user.locked_until)) return refused("the user is locked after refused requests");
  if (refused_by("sam.manage.idle", users.idle(user, max_idle, now)))
    return refused("the user was not seen for too long; resume-user brings him back");
  return {};
}

}  // namespace intaglio::sam
