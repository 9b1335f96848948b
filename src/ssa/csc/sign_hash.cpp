#include "ssa/csc/sign_hash.h"

#include "base/check.h"
#include "base/log.h"
#include "json/json.h"
#include "oauth/access_token.h"
#include "ssa/csc/algorithms.h"
#include "ssa/csc/parameters.h"
#include "ssa/lying_sam.h"

namespace intaglio::ssa::csc {
namespace {

/// CSC API v2, 11.10: Signing certificate 'O=[organization],CN=[common_name]' is expired.
std::string expired_text(const LeafFacts& leaf) {
  const std::string organisation = leaf.organisation.empty() ? "" : "O=" + leaf.organisation + ",";
  return "Signing certificate '" + organisation + "CN=" + leaf.common_name + "' is expired.";
}

http::Response signatures(const std::vector<protocol::SignedDigest>& signed_digests) {
  auto signatures = json::Value::array();
  auto receipts = json::Value::array();
  for (const auto& one : signed_digests) {
    signatures.push_back(encode_base64(one.signature));
    receipts.push_back({{"log", one.log}, {"index", one.index}, {"leaf", encode_base64(one.leaf)}});
  }
  json::Value body = json::Value::object();
  body["signatures"] = std::move(signatures);
  body["auditReceipts"] = std::move(receipts);
  return http::json_answer(json::encode(body));
}

}  // namespace

std::variant<SignHashInput, Refusal> parse_sign_hash(const http::Request& request, std::size_t max_hashes, SadSource source) {
  auto parameters = Parameters::of(request);
  std::string sad;
  if (source == SadSource::body) {
    sad = parameters.required_text("SAD");
  } else if (refused_by("ssa.sign.two_authorisations", parameters.member("SAD") != nullptr)) {
    parameters.refuse(invalid_parameter("SAD"));
  }
  const auto credential = parameters.required_text("credentialID");
  auto digests = parameters.digests("hashes", max_hashes);
  AlgorithmChoice choice;
  choice.sign_algo = parameters.required_text("signAlgo");
  choice.sign_algo_params = parameters.optional_text("signAlgoParams");
  choice.hash_algorithm = parameters.optional_text("hashAlgorithmOID");
  if (parameters.refusal()) return *parameters.refusal();
  const auto suite = choose_suite(choice);
  if (const auto* refusal = std::get_if<Refusal>(&suite)) return *refusal;
  // Only synchronous answers are offered: validity_period and response_uri are then ignored (CSC API v2, 11.10).
  const auto mode = parameters.optional_text("operationMode");
  if (mode && *mode != "S") parameters.refuse(invalid_parameter("operationMode"));
  parameters.client_data();
  for (const auto& digest : digests) {
    if (digest.size() != crypto::digest_length(crypto::hash_of(std::get<crypto::SignatureSuite>(suite)))) {
      parameters.refuse(invalid_request("Invalid digest value length"));
    }
  }
  auto key = KeyId::parse(credential);
  if (!key) parameters.refuse(invalid_parameter("credentialID"));
  if (source == SadSource::body && sad.empty()) parameters.refuse(invalid_parameter("SAD"));
  if (parameters.refusal()) return *parameters.refusal();
  return SignHashInput{std::move(sad), std::move(*key), std::move(digests), std::get<crypto::SignatureSuite>(suite)};
}

SignHash::SignHash(std::shared_ptr<protocol::SamService> sam, std::shared_ptr<SadFilter> filter,
                   std::shared_ptr<CredentialDirectory> credentials, std::shared_ptr<const oauth::Grants> grants,
                   std::shared_ptr<const Clock> clock, std::size_t max_hashes)
    : sam_(std::move(sam)),
      filter_(std::move(filter)),
      credentials_(std::move(credentials)),
      grants_(std::move(grants)),
      clock_(std::move(clock)),
      max_hashes_(max_hashes) {}

http::Response SignHash::refuse_use(const http::Request& request, const KeyId& credential, const Error& error) const {
  if (error.code == ErrorCode::certificate_invalid) {
    const auto known = credentials_->find(credential);
    if (known && (*known)->leaf && (*known)->status(clock_->now()) == CertificateStatus::expired) {
      log::refusal("request.refused", error, {{"request", request.request_id}, {"path", request.path}});
      return csc::answer(invalid_request(expired_text(*(*known)->leaf)));
    }
  }
  return refuse(request, error);
}

Result<std::string> SignHash::kept_sad(const http::Request& request, const http::Principal& caller) const {
  const auto shown = oauth::shown_token(request);
  if (!shown) return shown.error();
  const auto sad = grants_->parked(caller.grant, shown->token);
  if (!sad) return sad.error();
  return std::string(as_text(sad->reveal()));
}

http::Response SignHash::answer(const http::Request& request, const http::Principal& caller) const {
  const auto source = caller.credential.empty() ? SadSource::body : SadSource::token;
  auto parsed = parse_sign_hash(request, max_hashes_, source);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return csc::answer(*refusal);
  auto& input = std::get<SignHashInput>(parsed);
  if (source == SadSource::token) {
    auto kept = kept_sad(request, caller);
    if (!kept) return refuse_use(request, input.credential, kept.error());
    input.sad = std::move(*kept);
  }

  std::shared_ptr<KnownSad> sad;
  if (!early_checks_skipped()) {
    auto admitted = filter_->admit({input.sad, caller.id, input.credential, input.suite, input.digests});
    if (!admitted) return refuse_use(request, input.credential, admitted.error());
    sad = std::move(*admitted);
    const bool foreign = !caller.subject.empty() && sad->claims().signer != caller.subject;
    if (refused_by("ssa.sign.subject", foreign)) {
      return refuse(request, {ErrorCode::sad_invalid, "the SAD is of another signer than the access token"});
    }
  }
  const auto asked = input.digests.size();
  const protocol::SignRequest call{std::move(input.sad), input.credential, input.suite, input.digests, caller.id, request.peer_address};
  const auto signed_digests = sam_->sign(call);
  if (!signed_digests) return refuse_use(request, input.credential, signed_digests.error());
  if (signed_digests->stopped) {
    // What the SAM finished it returns again for the same authorisation, digest and suite (TC-5).
    return refuse_use(request, input.credential, {*signed_digests->stopped, "the SAM stopped within the batch"});
  }
  if (refused_by("ssa.sign.count", signed_digests->signatures.size() != asked)) {
    return refuse(request, {ErrorCode::internal, "the SAM returned another number of signatures"});
  }
  if (sad) sad->delivered(input.digests);
  return signatures(signed_digests->signatures);
}

}  // namespace intaglio::ssa::csc
