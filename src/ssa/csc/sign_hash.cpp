#include "ssa/csc/sign_hash.h"

#include "ssa/csc/algorithms.h"

namespace intaglio::ssa::csc {

std::variant<SigningUse, Refusal> parse_sign_hash(const http::Request& request, std::size_t max_hashes, SadSource source) {
  auto parameters = Parameters::of(request);
  auto sad = read_sad(parameters, source);
  const auto credential = parameters.required_text("credentialID");
  auto digests = parameters.digests("hashes", max_hashes);
  AlgorithmChoice choice;
  choice.sign_algo = parameters.required_text("signAlgo");
  choice.sign_algo_params = parameters.optional_text("signAlgoParams");
  choice.hash_algorithm = parameters.optional_text("hashAlgorithmOID");
  if (parameters.refusal()) return *parameters.refusal();
  const auto suite = choose_suite(choice);
  if (const auto* refusal = std::get_if<Refusal>(&suite)) return *refusal;
  const auto delivery = parameters.delivery();
  parameters.client_data();
  for (const auto& digest : digests) {
    if (digest.size() != crypto::digest_length(crypto::hash_of(std::get<crypto::SignatureSuite>(suite)))) {
      parameters.refuse(invalid_request("Invalid digest value length"));
    }
  }
  auto key = KeyId::parse(credential);
  if (!key) parameters.refuse(invalid_parameter("credentialID"));
  if (parameters.refusal()) return *parameters.refusal();
  return SigningUse{std::move(sad), std::move(*key), std::get<crypto::SignatureSuite>(suite), std::move(digests), delivery};
}

SignHash::SignHash(std::shared_ptr<const AuthorisedSigning> signing, std::shared_ptr<const KeptAnswers> kept, std::size_t max_hashes)
    : signing_(std::move(signing)), kept_(std::move(kept)), max_hashes_(max_hashes) {}

http::Response SignHash::answer(const http::Request& request, const http::Principal& caller) const {
  auto parsed = parse_sign_hash(request, max_hashes_, sad_source(caller));
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return csc::answer(*refusal);
  auto& use = std::get<SigningUse>(parsed);
  const auto credential = use.credential;
  const auto delivery = use.delivery;
  const auto signed_digests = signing_->sign(request, caller, std::move(use));
  if (!signed_digests) return signing_->refuse_use(request, credential, signed_digests.error());
  auto signatures = json::Value::array();
  for (const auto& one : *signed_digests) signatures.push_back(encode_base64(one.signature));
  json::Value body = json::Value::object();
  body["signatures"] = std::move(signatures);
  body["auditReceipts"] = audit_receipts(*signed_digests);
  return kept_->deliver(request, caller, credential, delivery, body);
}

}  // namespace intaglio::ssa::csc
