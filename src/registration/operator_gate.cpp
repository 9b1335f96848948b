#include "registration/operator_gate.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/jose/jws.h"

namespace intaglio::registration {

OperatorGate::OperatorGate(Operators operators, std::chrono::seconds max_age, std::shared_ptr<storage::Database> database,
                           std::shared_ptr<const Clock> clock)
    : operators_(std::move(operators)), max_age_(max_age), database_(std::move(database)), clock_(std::move(clock)) {}

Result<OperatorRequest> OperatorGate::admit(std::string_view compact, std::string_view op) {
  auto request = parse_operator_request(compact, op);
  if (!request) return request.error();
  const auto known = operators_.find(request->operator_id);
  if (known == operators_.end()) return Error{ErrorCode::not_authorised, "the request is of an operator that is not pinned"};
  const auto verified = crypto::verify_jws(compact, "intaglio-ra+jwt", known->second);
  if (refused_by("external_ca.operator.signature", !verified))
    return Error{ErrorCode::not_authorised, "operator " + known->first + ": " + verified.error().detail};

  const auto rid = json::text_member(request->payload, "rid", 128);
  const auto iat = json::integer_member(request->payload, "iat");
  if (!rid) return rid.error();
  if (!iat) return iat.error();
  if (auto trusted = clock_->synchronised(); !trusted) return trusted.error();
  const auto now = unix_seconds(clock_->now());
  const std::int64_t age = now - std::clamp<std::int64_t>(*iat, 0, std::int64_t{1} << 40);
  if (refused_by("external_ca.operator.age", age > max_age_.count() || age < -max_age_.count()))
    return Error{ErrorCode::not_authorised, "the operator's request is too old, or of the future"};

  bool replayed = false;
  const auto used = database_->write([&](storage::Transaction& transaction) -> Status {
    // Twice the age, as a request may come from the future by as much.
    auto forgotten = transaction.execute("DELETE FROM registration_operator_requests WHERE seen < ?1", {now - 2 * max_age_.count() - 1});
    if (!forgotten) return forgotten.error();
    auto inserted = transaction.execute("INSERT INTO registration_operator_requests (operator, rid, seen) VALUES (?1, ?2, ?3)",
                                        {std::string_view(known->first), std::string_view(*rid), now});
    replayed = !inserted && inserted.error().code == ErrorCode::conflict;
    return inserted ? Status() : Status(inserted.error());
  });
  if (refused_by("external_ca.operator.replayed", replayed)) return Error{ErrorCode::replayed, "the operator's request was used before"};
  if (!used && !replayed) return used.error();
  return request;
}

}  // namespace intaglio::registration
