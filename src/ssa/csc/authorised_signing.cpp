#include "ssa/csc/authorised_signing.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/jose/jws.h"
#include "ssa/lying_sam.h"

namespace intaglio::ssa::csc {
namespace {

/// CSC API v2, 11.10: Signing certificate 'O=[organization],CN=[common_name]' is expired.
std::string expired_text(const LeafFacts& leaf) {
  const std::string organisation = leaf.organisation.empty() ? "" : "O=" + leaf.organisation + ",";
  return "Signing certificate '" + organisation + "CN=" + leaf.common_name + "' is expired.";
}

/// A client's own request under a grant (api/sap, 11) stands in the place of a SAD: the SAM alone can tell whether it holds.
bool is_seal_request(std::string_view sad) {
  const auto header = crypto::peek_jws_header(sad);
  return header && header->typ == "intaglio-seal+jwt";
}

}  // namespace

SadSource sad_source(const http::Principal& caller) noexcept { return caller.credential.empty() ? SadSource::body : SadSource::token; }

std::string read_sad(Parameters& parameters, SadSource source) {
  if (source == SadSource::body) {
    auto sad = parameters.required_text("SAD");
    if (sad.empty()) parameters.refuse(invalid_parameter("SAD"));
    return sad;
  }
  if (refused_by("ssa.sign.two_authorisations", parameters.member("SAD") != nullptr)) parameters.refuse(invalid_parameter("SAD"));
  return {};
}

json::Value audit_receipts(const std::vector<protocol::SignedDigest>& signed_digests) {
  auto receipts = json::Value::array();
  for (const auto& one : signed_digests) {
    receipts.push_back({{"log", one.log}, {"index", one.index}, {"leaf", encode_base64(one.leaf)}});
  }
  return receipts;
}

http::Response AuthorisedSigning::refuse_use(const http::Request& request, const KeyId& credential, const Error& error) const {
  if (error.code == ErrorCode::certificate_invalid) {
    const auto known = rooms_.credentials->find(credential);
    if (known && (*known)->leaf && (*known)->status(rooms_.clock->now()) == CertificateStatus::expired) {
      log::refusal("request.refused", error, {{"request", request.request_id}, {"path", request.path}});
      return csc::answer(invalid_request(expired_text(*(*known)->leaf)));
    }
  }
  return refuse(request, error);
}

Result<std::string> AuthorisedSigning::find_sad(const http::Request& request, const http::Principal& caller, std::string stated) const {
  std::string token;
  std::string grant;
  if (sad_source(caller) == SadSource::token) {
    const auto shown = oauth::shown_token(request);
    if (!shown) return shown.error();
    token = shown->token;
    grant = caller.grant;
  } else if (oauth::AccessTokens::is_access_token(stated)) {
    // CSC API v2, 8.4, and v1, 8.3.3: the token of scope credential in the place of the SAD, beside a token of the service.
    const auto holder = rooms_.tokens->check_text(stated);
    if (!holder && holder.error().code == ErrorCode::ticket_expired) return Error{ErrorCode::sad_expired, holder.error().detail};
    if (!holder && holder.error().code == ErrorCode::not_authorised) return Error{ErrorCode::sad_invalid, holder.error().detail};
    if (!holder) return holder.error();
    token = std::move(stated);
    grant = holder->grant;
  } else {
    return stated;
  }
  const auto sad = rooms_.grants->parked(grant, token);
  if (!sad) return sad.error();
  return std::string(as_text(sad->reveal()));
}

Result<std::vector<protocol::SignedDigest>> AuthorisedSigning::sign(const http::Request& request, const http::Principal& caller,
                                                                    SigningUse use) const {
  auto found = find_sad(request, caller, std::move(use.sad));
  if (!found) return found.error();
  std::shared_ptr<KnownSad> sad;
  const bool seal = sad_source(caller) == SadSource::body && is_seal_request(*found);
  if (!seal && !early_checks_skipped()) {
    auto admitted = rooms_.filter->admit({*found, caller.id, use.credential, use.suite, use.digests});
    if (!admitted) return admitted.error();
    sad = std::move(*admitted);
    const bool foreign = !caller.subject.empty() && sad->claims().signer != caller.subject;
    if (refused_by("ssa.sign.subject", foreign)) {
      return Error{ErrorCode::sad_invalid, "the SAD is of another signer than the access token"};
    }
  }
  const protocol::SignRequest call{std::move(*found), use.credential, use.suite, use.digests, caller.id, request.peer_address};
  auto answer = rooms_.sam->sign(call);
  if (!answer) return answer.error();
  if (answer->stopped) return Error{*answer->stopped, "the SAM stopped within the batch"};
  if (refused_by("ssa.sign.count", answer->signatures.size() != use.digests.size())) {
    return Error{ErrorCode::internal, "the SAM returned another number of signatures"};
  }
  if (sad) sad->delivered(use.digests);
  return std::move(answer->signatures);
}

}  // namespace intaglio::ssa::csc
