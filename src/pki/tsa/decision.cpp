#include "pki/tsa/decision.h"

#include <algorithm>

#include "base/check.h"

namespace intaglio::pki {

TimestampDecision decide_timestamp(ByteView der, const TimestampPolicy& policy) {
  using Failure = crypto::TimestampFailure;
  const auto refuse = [](Failure failure, std::string_view why) { return TimestampDecision::refused({failure, std::string(why)}); };

  auto request = crypto::parse_timestamp_request(der);
  if (!request) return refuse(Failure::bad_data_format, "not a TimeStampReq in DER of at most 4 KiB");
  if (refused_by("tsa.version", request->version != 1)) return refuse(Failure::bad_request, "version 1 is served (RFC 3161, 2.4.1)");

  const auto hash = crypto::parse_hash_oid(request->hash_oid);
  const bool served = hash && std::find(policy.hashes.begin(), policy.hashes.end(), *hash) != policy.hashes.end();
  if (refused_by("tsa.hash", !served)) return refuse(Failure::bad_algorithm, "the hash is not accepted");
  if (refused_by("tsa.hash_parameters", !request->plain_hash)) return refuse(Failure::bad_algorithm, "the hash has parameters");
  const bool fits = hash && request->hashed_message.size() == crypto::digest_length(*hash);
  if (refused_by("tsa.imprint_length", !fits)) return refuse(Failure::bad_data_format, "the imprint has another length than its hash");

  if (refused_by("tsa.policy", request->policy && *request->policy != policy.oid))
    return refuse(Failure::unaccepted_policy, "the time-stamp policy is not served");
  // Critical or not: none is known here (RFC 3161, 2.4.1).
  if (refused_by("tsa.extension", request->extensions != 0)) return refuse(Failure::unaccepted_extension, "no extension is served");
  return TimestampDecision::accepted(std::move(*request));
}

}  // namespace intaglio::pki
