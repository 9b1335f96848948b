#include "pki/ca/operator_gate.h"

#include "base/check.h"
#include "base/ids.h"
#include "crypto/jose/jws.h"
#include "pki/store.h"

namespace intaglio::pki {

Result<OperatorRequest> OperatorGate::admit(std::string_view compact, std::string_view operation) {
  auto header = crypto::peek_jws_header(compact);
  if (!header) return header.error();
  const auto known = operators_.find(header->kid);
  if (known == operators_.end()) return Error{ErrorCode::not_authorised, "the request is of an operator that is not pinned"};
  auto verified = crypto::verify_jws(compact, "intaglio-ra+jwt", known->second);
  if (!verified) return Error{ErrorCode::not_authorised, "operator " + known->first + ": " + verified.error().detail};

  auto payload = json::parse(*verified);
  if (!payload) return payload.error();
  auto op = json::text_member(*payload, "op", 64);
  auto rid = json::text_member(*payload, "rid", 64);
  auto iat = json::integer_member(*payload, "iat");
  if (!op) return op.error();
  if (!rid) return rid.error();
  if (!iat) return iat.error();
  if (auto formed = detail::check_id(*rid); !formed) return formed.error();
  if (refused_by("pki.operator.operation", *op != operation))
    return Error{ErrorCode::invalid_request, "the request is for another operation"};

  if (auto trusted = environment_.clock->synchronised(); !trusted) return trusted.error();
  const UnixTime now = environment_.clock->now();
  const std::int64_t age = unix_seconds(now) - std::clamp<std::int64_t>(*iat, 0, std::int64_t{1} << 40);
  if (refused_by("pki.operator.age", age > max_age_.count() || age < -max_age_.count())) {
    return Error{ErrorCode::not_authorised, "the request is too old, or of the future"};
  }
  auto used =
      environment_.database.write([&](storage::Transaction& transaction) { return use_request_id(transaction, known->first, *rid, now); });
  const bool replayed = !used && used.error().code == ErrorCode::replayed;
  if (refused_by("pki.operator.replayed", replayed) || (!used && !replayed)) return used.error();
  return OperatorRequest{known->first, std::move(*rid), std::move(*payload)};
}

Status OperatorGate::forget_old() {
  // Twice the age, as a request may come from the future by as much.
  const UnixTime before = environment_.clock->now() - 2 * max_age_ - std::chrono::seconds(1);
  return environment_.database.write([&](storage::Transaction& transaction) { return forget_request_ids(transaction, before); });
}

}  // namespace intaglio::pki
