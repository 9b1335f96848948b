#include "ssa/signer/open_request.h"

#include <algorithm>

#include "crypto/jose/jws.h"
#include "json/json.h"
#include "ssa/csc/parameters.h"

namespace intaglio::ssa::signer {
namespace {

using csc::invalid_parameter;
using csc::invalid_request;
using csc::Parameters;

/// A label is shown as it is: no control character may hide or reorder what the signer reads.
bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= protocol::max_label_bytes && std::none_of(text.begin(), text.end(), [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet < 0x20 || octet == 0x7F;
  });
}

/// Of any hash when none is given; none at all when the member is absent.
std::vector<crypto::SignatureSuite> read_suites(Parameters& parameters, std::optional<crypto::HashAlgorithm> hash) {
  std::vector<crypto::SignatureSuite> suites;
  const auto* array = parameters.member("suites");
  if (array == nullptr) return suites;
  if (!array->is_array() || array->empty() || array->size() > 9) {
    parameters.refuse(invalid_parameter("suites"));
    return suites;
  }
  for (const auto& element : *array) {
    const auto* name = element.get_ptr<const json::Value::string_t*>();
    const auto suite = crypto::parse_suite(name == nullptr ? "" : *name);
    const bool other_hash = suite && hash && crypto::hash_of(*suite) != *hash;
    if (!suite || other_hash || std::find(suites.begin(), suites.end(), *suite) != suites.end()) {
      parameters.refuse(invalid_parameter("suites"));
      return suites;
    }
    suites.push_back(*suite);
  }
  return suites;
}

std::vector<protocol::DocumentDigest> read_documents(Parameters& parameters, crypto::HashAlgorithm hash) {
  std::vector<protocol::DocumentDigest> documents;
  const auto* array = parameters.member("documents");
  if (array == nullptr || !array->is_array()) {
    parameters.refuse(invalid_request("Missing (or invalid type) array parameter documents"));
    return documents;
  }
  if (array->empty()) parameters.refuse(invalid_request("Empty documents array"));
  if (array->size() > protocol::max_documents) parameters.refuse(invalid_request("Numbers of signatures is too high"));
  if (parameters.refusal()) return documents;
  for (const auto& element : *array) {
    const auto* digest_value = element.is_object() ? json::member(element, "hash") : nullptr;
    const auto* label_value = element.is_object() ? json::member(element, "label") : nullptr;
    const auto* digest_text = digest_value == nullptr ? nullptr : digest_value->get_ptr<const json::Value::string_t*>();
    const auto* label = label_value == nullptr ? nullptr : label_value->get_ptr<const json::Value::string_t*>();
    if (digest_text == nullptr || label == nullptr) {
      parameters.refuse(invalid_request("Missing (or invalid type) string parameter hash or label of a document"));
      return {};
    }
    auto digest = csc::parse_digest(*digest_text);
    if (auto* refusal = std::get_if<csc::Refusal>(&digest)) {
      parameters.refuse(std::move(*refusal));
      return {};
    }
    if (std::get<Bytes>(digest).size() != crypto::digest_length(hash)) {
      parameters.refuse(invalid_request("Invalid digest value length"));
      return {};
    }
    if (!is_label(*label)) {
      parameters.refuse(invalid_parameter("label"));
      return {};
    }
    documents.push_back({std::move(std::get<Bytes>(digest)), *label});
  }
  return documents;
}

}  // namespace

std::variant<protocol::OpenSigning, csc::Refusal> parse_open_signing(const http::Request& request, const oauth::Client& client) {
  auto parameters = Parameters::of(request);
  const auto credential = parameters.required_text("credentialID");
  const auto oid = parameters.required_text("hashAlgorithmOID");
  if (parameters.refusal()) return *parameters.refusal();
  auto key = KeyId::parse(credential);
  if (!key) return invalid_parameter("credentialID");
  const auto hash = crypto::parse_hash_oid(oid);
  if (!hash) return invalid_parameter("hashAlgorithmOID");
  auto suites = read_suites(parameters, *hash);
  auto documents = read_documents(parameters, *hash);
  if (parameters.refusal()) return *parameters.refusal();
  return protocol::OpenSigning{std::move(*key), *hash, std::move(suites), std::move(documents), client.id.text(), client.name};
}

std::variant<protocol::OpenOneTime, csc::Refusal> parse_open_one_time(const http::Request& request, const oauth::Client& client) {
  auto parameters = Parameters::of(request);
  auto profile = parameters.required_text("profile");
  const auto oid = parameters.required_text("hashAlgorithmOID");
  if (parameters.refusal()) return *parameters.refusal();
  if (profile.empty() || profile.size() > 64) return invalid_parameter("profile");
  const auto hash = crypto::parse_hash_oid(oid);
  if (!hash) return invalid_parameter("hashAlgorithmOID");
  auto documents = read_documents(parameters, *hash);
  if (parameters.refusal()) return *parameters.refusal();
  return protocol::OpenOneTime{std::move(profile), *hash, std::move(documents), client.id.text(), client.name};
}

std::variant<protocol::OpenEnrolment, csc::Refusal> parse_open_enrolment(const http::Request& request, const oauth::Client& client) {
  auto parameters = Parameters::of(request);
  const auto text = parameters.required_text("signerID");
  if (parameters.refusal()) return *parameters.refusal();
  auto signer = SignerId::parse(text);
  if (!signer || !client.may_see(*signer)) return invalid_parameter("signerID");
  return protocol::OpenEnrolment{std::move(*signer), client.id.text(), client.name};
}

std::variant<protocol::OpenKeyGeneration, csc::Refusal> parse_open_key(const http::Request& request, const oauth::Client& client) {
  auto parameters = Parameters::of(request);
  const auto text = parameters.required_text("signerID");
  const auto algorithm_name = parameters.required_text("algorithm");
  auto profile = parameters.required_text("profile");
  if (parameters.refusal()) return *parameters.refusal();
  auto signer = SignerId::parse(text);
  if (!signer || !client.may_see(*signer)) return invalid_parameter("signerID");
  const auto algorithm = crypto::parse_key_algorithm(algorithm_name);
  if (!algorithm) return invalid_parameter("algorithm");
  if (profile.empty() || profile.size() > 64) return invalid_parameter("profile");
  return protocol::OpenKeyGeneration{std::move(*signer), *algorithm, std::move(profile), client.id.text(), client.name};
}

std::variant<protocol::OpenGrant, csc::Refusal> parse_open_grant(const http::Request& request, const oauth::Client& client) {
  auto parameters = Parameters::of(request);
  const auto credential = parameters.required_text("credentialID");
  const auto expires = parameters.required_text("expires");
  auto suites = read_suites(parameters, std::nullopt);
  if (parameters.refusal()) return *parameters.refusal();
  auto key = KeyId::parse(credential);
  if (!key) return invalid_parameter("credentialID");
  if (suites.empty()) return invalid_parameter("suites");
  const auto ends = parse_utc(expires);
  if (!ends) return invalid_parameter("expires");
  const auto* count = parameters.member("signatures");
  if (count == nullptr || !count->is_number_unsigned() || *count == 0) return invalid_parameter("signatures");
  const auto* jwk = parameters.member("clientKey");
  const auto client_key =
      jwk != nullptr && jwk->is_object() ? crypto::parse_jwk(json::encode(*jwk)) : Error{ErrorCode::invalid_request, ""};
  if (!client_key) return invalid_parameter("clientKey");
  return protocol::OpenGrant{.key = std::move(*key),
                             .suites = std::move(suites),
                             .client_key = client_key->spki(),
                             .signatures = count->get<std::uint64_t>(),
                             .ends = *ends,
                             .client_id = client.id.text(),
                             .client_name = client.name};
}

}  // namespace intaglio::ssa::signer
