#include "base/error.h"

#include <array>

#include "base/panic.h"

namespace intaglio {
namespace {

struct Row {
  ErrorCode code;
  std::uint32_t wire;
  unsigned http;
  std::string_view name;
};

// The one place where a code gets its HTTP status, its wire number and its name.
constexpr auto rows = std::to_array<Row>({
    {ErrorCode::invalid_request, 1, 400, "invalid_request"},
    {ErrorCode::not_authorised, 2, 403, "not_authorised"},
    {ErrorCode::authentication_failed, 3, 400, "authentication_failed"},
    {ErrorCode::credential_unknown, 4, 400, "credential_unknown"},
    {ErrorCode::credential_locked, 5, 400, "credential_locked"},
    {ErrorCode::credential_disabled, 6, 400, "credential_disabled"},
    {ErrorCode::certificate_invalid, 7, 400, "certificate_invalid"},
    {ErrorCode::ticket_invalid, 8, 400, "ticket_invalid"},
    {ErrorCode::ticket_expired, 9, 400, "ticket_expired"},
    {ErrorCode::replayed, 10, 400, "replayed"},
    {ErrorCode::binding_mismatch, 11, 400, "binding_mismatch"},
    {ErrorCode::sad_invalid, 12, 400, "sad_invalid"},
    {ErrorCode::sad_expired, 13, 400, "sad_expired"},
    {ErrorCode::hash_not_authorised, 14, 400, "hash_not_authorised"},
    {ErrorCode::algorithm_refused, 15, 400, "algorithm_refused"},
    {ErrorCode::digest_length, 16, 400, "digest_length"},
    {ErrorCode::limit_exceeded, 17, 429, "limit_exceeded"},
    {ErrorCode::signature_doubtful, 18, 500, "signature_doubtful"},
    {ErrorCode::not_found, 19, 404, "not_found"},
    {ErrorCode::conflict, 20, 409, "conflict"},
    {ErrorCode::unsupported, 21, 501, "unsupported"},
    {ErrorCode::too_large, 22, 413, "too_large"},
    {ErrorCode::busy, 23, 503, "busy"},
    {ErrorCode::clock_unsynchronised, 24, 503, "clock_unsynchronised"},
    {ErrorCode::audit_unavailable, 25, 503, "audit_unavailable"},
    {ErrorCode::storage_unavailable, 26, 503, "storage_unavailable"},
    {ErrorCode::token_unavailable, 27, 503, "token_unavailable"},
    {ErrorCode::configuration, 28, 500, "configuration"},
    {ErrorCode::internal, 29, 500, "internal"},
});

const Row& row_of(ErrorCode code) noexcept {
  for (const auto& row : rows) {
    if (row.code == code) return row;
  }
  panic("an error code without a row");
}

}  // namespace

std::string_view name_of(ErrorCode code) noexcept { return row_of(code).name; }
std::uint32_t wire_number(ErrorCode code) noexcept { return row_of(code).wire; }
unsigned http_status(ErrorCode code) noexcept { return row_of(code).http; }

ErrorCode from_wire_number(std::uint32_t number) noexcept {
  for (const auto& row : rows) {
    if (row.wire == number) return row.code;
  }
  return ErrorCode::internal;
}

}  // namespace intaglio
