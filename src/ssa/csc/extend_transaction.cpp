#include "ssa/csc/extend_transaction.h"

#include "base/check.h"
#include "base/log.h"
#include "base/secret.h"
#include "ssa/csc/parameters.h"

namespace intaglio::ssa::csc {
namespace {

/// What is going to be signed, of one hash; none when nothing is said of it.
std::vector<Bytes> read_digests(Parameters& parameters, std::size_t most) {
  if (parameters.member("hashes") == nullptr) return {};
  auto digests = parameters.digests("hashes", most);
  const auto oid = parameters.optional_text("hashAlgorithmOID");
  if (parameters.refusal() || !oid) return digests;
  const auto hash = crypto::parse_hash_oid(*oid);
  if (!hash) parameters.refuse(invalid_parameter("hashAlgorithmOID"));
  for (const auto& digest : digests) {
    if (hash && digest.size() != crypto::digest_length(*hash)) parameters.refuse(invalid_request("Invalid digest value length"));
  }
  return digests;
}

}  // namespace

ExtendTransaction::ExtendTransaction(std::shared_ptr<protocol::SamService> sam, std::shared_ptr<SadFilter> filter, std::size_t max_hashes)
    : sam_(std::move(sam)), filter_(std::move(filter)), max_hashes_(max_hashes) {}

http::Response ExtendTransaction::answer(const http::Request& request, const http::Principal& caller) const {
  auto parameters = Parameters::of(request);
  const auto credential = parameters.required_text("credentialID");
  const auto digests = read_digests(parameters, max_hashes_);
  auto sad = parameters.required_text("SAD");
  const WipeAtExit wiped(sad);
  parameters.client_data();
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto key = KeyId::parse(credential);
  if (!key) return csc::answer(invalid_parameter("credentialID"));
  const auto admitted = filter_->admit(SadFilter::Extension{sad, caller.id, *key, digests});
  if (!admitted) return refuse(request, admitted.error());
  const bool foreign = !caller.subject.empty() && (*admitted)->claims().signer != caller.subject;
  if (refused_by("ssa.extend.subject", foreign)) {
    return refuse(request, {ErrorCode::sad_invalid, "the SAD is of another signer than the access token"});
  }
  protocol::ExtendRequest call{sad, *key, digests, caller.id, request.peer_address};
  const WipeAtExit wiped_call(call.sad);
  auto extended = sam_->extend(call);
  if (!extended && extended.error().code == ErrorCode::unsupported) {
    return csc::answer(invalid_request("The SAD of this credential is for one signature and is not extended"));
  }
  if (!extended) return refuse(request, extended.error());
  const WipeAtExit wiped_answer(extended->sad);
  if (const auto followed = filter_->follow(**admitted, extended->sad); !followed) return refuse(request, followed.error());
  log::info("sad.extended", {{"request", request.request_id}, {"client", caller.id}, {"credential", key->text()}});
  return uncached({{"SAD", extended->sad}, {"expiresIn", extended->expires_in.count()}});
}

}  // namespace intaglio::ssa::csc
