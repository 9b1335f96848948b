#include "registration/operator_request.h"

#include "crypto/jose/jws.h"
#include "protocol/service.h"

namespace intaglio::registration {

Result<OperatorRequest> parse_operator_request(std::string_view compact, std::string_view op) {
  if (compact.size() > protocol::max_message_bytes) return Error{ErrorCode::too_large, "an operator's request of more than 64 KiB"};
  const auto header = crypto::peek_jws_header(compact);
  if (!header) return Error{ErrorCode::invalid_request, "not a JWS: " + header.error().detail};
  if (header->typ != "intaglio-ra+jwt" || header->alg != "ES256") return Error{ErrorCode::invalid_request, "not an operator's request"};
  if (!OperatorId::parse(header->kid)) return Error{ErrorCode::invalid_request, "the kid is no operator id"};
  const auto first = compact.find('.');
  const auto second = first == std::string_view::npos ? first : compact.find('.', first + 1);
  if (second == std::string_view::npos) return Error{ErrorCode::invalid_request, "not a compact JWS"};
  const auto decoded = parse_base64url(compact.substr(first + 1, second - first - 1));
  if (!decoded) return Error{ErrorCode::invalid_request, "the payload is not base64url"};
  auto payload = json::parse(as_text(*decoded));
  if (!payload || !payload->is_object()) return Error{ErrorCode::invalid_request, "the payload is not a JSON object"};
  const auto stated = json::text_member(*payload, "op");
  const auto id = json::text_member(*payload, "rid", 128);
  const auto issued = json::integer_member(*payload, "iat");
  if (!stated || *stated != op) return Error{ErrorCode::invalid_request, "the request is not for this operation"};
  if (!id || id->empty() || !issued) return Error{ErrorCode::invalid_request, "the request lacks rid or iat"};
  return OperatorRequest{std::string(compact), header->kid, std::move(*payload)};
}

}  // namespace intaglio::registration
