#include "ssa/csc/sign_doc.h"

#include <algorithm>
#include <array>

#include "base/log.h"
#include "crypto/cms.h"
#include "ssa/csc/algorithms.h"
#include "ssa/signed_attributes.h"

namespace intaglio::ssa::csc {
namespace {

constexpr std::size_t max_listed_attributes = 8;
constexpr std::size_t max_attribute_name = 64;

/// A member of an element of documentDigests or documents.
struct TextMember {
  bool valid;    ///< a text, or absent
  bool present;
  std::string text;
};
TextMember text_of(const json::Value& element, std::string_view name) {
  const auto* value = json::member(element, name);
  if (value == nullptr) return {true, false, {}};
  if (const auto* text = value->get_ptr<const json::Value::string_t*>()) return {true, true, *text};
  return {false, true, {}};
}

bool same_without_case(std::string_view left, std::string_view right) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [&](char a, char b) { return lower(a) == lower(b); });
}

/// Attributes that a client wants signed: the template has no place for any, so that their names are told (CSC API v2, 11.11).
std::optional<Refusal> refuse_attributes(const json::Value& element) {
  const auto* list = json::member(element, "signed_props");
  if (list == nullptr || (list->is_array() && list->empty())) return std::nullopt;
  std::string names;
  std::size_t listed = 0;
  if (list->is_array()) {
    for (const auto& one : *list) {
      const auto name = one.is_object() ? json::text_member(one, "attribute_name", max_attribute_name) : Result<std::string>(Error{});
      if (!names.empty()) names += ", ";
      names += name ? *name : "?";
      if (++listed == max_listed_attributes) break;
    }
  }
  return invalid_request("Invalid parameter signed_props" + (names.empty() ? std::string() : " (" + names + ")"));
}

/// The formats that are made: PAdES, level B-B. Where the signature goes in the PDF is the client's, which has the PDF.
std::optional<Refusal> refuse_format(const json::Value& element) {
  const auto format = text_of(element, "signature_format");
  if (!format.valid || !format.present) return missing_text("signature_format");
  if (format.text != "P") return invalid_parameter("signature_format");
  const auto level = text_of(element, "conformance_level");
  if (!level.valid || (level.present && !same_without_case(level.text, "AdES-B-B"))) return invalid_parameter("conformance_level");
  const auto place = text_of(element, "signed_envelope_property");
  if (!place.valid || (place.present && place.text != "Certification" && place.text != "Revision")) {
    return invalid_parameter("signed_envelope_property");
  }
  return refuse_attributes(element);
}

std::variant<crypto::SignatureSuite, Refusal> suite_of(const json::Value& element) {
  const auto sign_algo = text_of(element, "signAlgo");
  if (!sign_algo.valid || !sign_algo.present) return missing_text("signAlgo");
  AlgorithmChoice choice;
  choice.sign_algo = sign_algo.text;
  for (const auto& [name, into] :
       {std::pair("signAlgoParams", &choice.sign_algo_params), std::pair("hashAlgorithmOID", &choice.hash_algorithm)}) {
    auto text = text_of(element, name);
    if (!text.valid) return invalid_parameter(name);
    if (text.present) *into = std::move(text.text);
  }
  auto suite = choose_suite(choice);
  const auto* refusal = std::get_if<Refusal>(&suite);
  const bool known = choice.hash_algorithm && crypto::parse_hash_oid(*choice.hash_algorithm);
  if (refusal != nullptr && known && refusal->description == invalid_parameter("hashAlgorithmOID").description) {
    return invalid_request("String parameter hashAlgorithmOID contradicts with signAlgo parameter");
  }
  return suite;
}

/// `hashes` of an element: an array of texts, or the bare text of the specification's own samples.
std::optional<Refusal> read_hashes(const json::Value& element, crypto::HashAlgorithm hash, std::size_t most, std::vector<Bytes>& digests) {
  const auto* value = json::member(element, "hashes");
  const auto read = [&](const json::Value& one) -> std::optional<Refusal> {
    const auto* text = one.get_ptr<const json::Value::string_t*>();
    if (text == nullptr) return invalid_request("Invalid object parameter documentDigests");
    auto digest = parse_digest(*text);
    if (const auto* refusal = std::get_if<Refusal>(&digest)) {
      const bool length = refusal->description == "Invalid digest value length";
      return length ? *refusal : invalid_request("Invalid Base64 hashes string parameter");
    }
    auto& bytes = std::get<Bytes>(digest);
    if (bytes.size() != crypto::digest_length(hash)) return invalid_request("Invalid digest value length");
    if (digests.size() >= most) return invalid_request("Too many hashes in one request");
    digests.push_back(std::move(bytes));
    return std::nullopt;
  };
  if (value == nullptr || (value->is_array() && value->empty())) return invalid_request("Invalid object parameter documentDigests");
  if (!value->is_array()) return read(*value);
  for (const auto& one : *value) {
    if (auto refusal = read(one)) return refusal;
  }
  return std::nullopt;
}

/// Exactly one of documentDigests and documents; an empty list is an absent one.
std::variant<const json::Value*, Refusal> read_lists(const Parameters& parameters) {
  const auto* digests = parameters.member("documentDigests");
  const auto* documents = parameters.member("documents");
  if (digests != nullptr && !digests->is_array()) return invalid_request("Invalid object parameter documentDigests");
  if (documents != nullptr && !documents->is_array()) return invalid_request("Invalid array parameter documents");
  const bool with_digests = digests != nullptr && !digests->empty();
  const bool with_documents = documents != nullptr && !documents->empty();
  if (with_digests && with_documents) return invalid_request("Both documentDigests and documents parameters passed");
  if (!with_digests && !with_documents) return invalid_request("Empty documentDigests and documents objects");
  if (with_digests) return digests;
  for (const auto& element : *documents) {
    if (!element.is_object()) return invalid_request("Invalid array parameter documents");
    const auto document = text_of(element, "document");
    if (!document.valid || !document.present) return invalid_request("Invalid array parameter documents");
    if (document.text.empty() || !parse_base64(document.text)) return invalid_request("Invalid Base64 documents string parameter");
    if (auto refusal = refuse_format(element)) return *refusal;
  }
  return invalid_request("documentDigests or documents are not authorized by the SAD.");
}

}  // namespace

std::variant<SignDocInput, Refusal> parse_sign_doc(const http::Request& request, std::size_t max_hashes, SadSource source) {
  auto parameters = Parameters::of(request);
  auto sad = read_sad(parameters, source);
  const auto credential = parameters.required_text("credentialID");
  // No credential says a qualifier of itself, so that none can be compared with.
  if (parameters.optional_text("signatureQualifier")) parameters.refuse(invalid_parameter("signatureQualifier"));
  if (parameters.refusal()) return *parameters.refusal();
  const auto lists = read_lists(parameters);
  if (const auto* refusal = std::get_if<Refusal>(&lists)) return *refusal;

  std::optional<crypto::SignatureSuite> suite;
  std::vector<Bytes> digests;
  for (const auto& element : *std::get<const json::Value*>(lists)) {
    if (!element.is_object()) return invalid_request("Invalid object parameter documentDigests");
    if (auto refusal = refuse_format(element)) return *refusal;
    const auto chosen = suite_of(element);
    if (const auto* refusal = std::get_if<Refusal>(&chosen)) return *refusal;
    if (suite && *suite != std::get<crypto::SignatureSuite>(chosen)) return invalid_parameter("signAlgo");
    suite = std::get<crypto::SignatureSuite>(chosen);
    if (auto refusal = read_hashes(element, crypto::hash_of(*suite), max_hashes, digests)) return *refusal;
  }
  if (!suite) return invalid_request("Empty documentDigests and documents objects");
  const auto delivery = parameters.delivery();
  // Level B-B needs none; the flag is read for its form.
  (void)parameters.flag("returnValidationInfo");
  parameters.client_data();
  auto key = KeyId::parse(credential);
  if (!key) parameters.refuse(invalid_parameter("credentialID"));
  if (parameters.refusal()) return *parameters.refusal();
  return SignDocInput{std::move(sad), std::move(*key), *suite, std::move(digests), delivery};
}

SignDoc::SignDoc(const Credentials& credentials, std::shared_ptr<const AuthorisedSigning> signing, std::shared_ptr<const KeptAnswers> kept,
                 std::size_t max_hashes)
    : credentials_(credentials), signing_(std::move(signing)), kept_(std::move(kept)), max_hashes_(max_hashes) {}

http::Response SignDoc::refuse_documents(const http::Request& request, const KeyId& credential, const Error& error,
                                         SadSource source) const {
  if (error.code != ErrorCode::hash_not_authorised) return signing_->refuse_use(request, credential, error);
  log::refusal("request.refused", error, {{"request", request.request_id}, {"path", request.path}});
  // CSC API v2, 11.11 has two words for one refusal; which of them says where the approval was (csc-api 9.2).
  if (source == SadSource::token) return csc::answer({403, "invalid_hash", "Document or documentDigest does not match authroized hash"});
  return csc::answer(invalid_request("documentDigests or documents are not authorized by the SAD."));
}

http::Response SignDoc::answer(const http::Request& request, const http::Principal& caller) const {
  const auto source = sad_source(caller);
  auto parsed = parse_sign_doc(request, max_hashes_, source);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return csc::answer(*refusal);
  auto& input = std::get<SignDocInput>(parsed);
  // The certificate is looked at before the SAD: a client learns nothing of a credential that it may not see.
  const auto credential = credentials_.visible(input.credential.text(), caller);
  if (!credential) return refuse(request, credential.error());
  const auto certificates = certificates_of(**credential);
  if (!certificates) return signing_->refuse_use(request, input.credential, certificates.error());

  SigningUse use{std::move(input.sad), input.credential, input.suite, {}, input.delivery};
  std::vector<Bytes> attributes;
  for (const auto& digest : input.document_digests) {
    auto made = signed_attributes(certificates->front(), crypto::hash_of(input.suite), digest);
    if (!made) return refuse(request, made.error());
    attributes.push_back(std::move(made->encoded));
    use.digests.push_back(std::move(made->digest));
  }
  const auto signed_digests = signing_->sign(request, caller, std::move(use));
  if (!signed_digests) return refuse_documents(request, input.credential, signed_digests.error(), source);
  auto objects = json::Value::array();
  for (std::size_t i = 0; i < attributes.size(); ++i) {
    const auto cms = crypto::assemble_cms(attributes[i], input.suite, signed_digests->at(i).signature, *certificates);
    if (!cms) return refuse(request, {ErrorCode::internal, "a signature gives no CMS: " + cms.error().detail});
    objects.push_back(encode_base64(*cms));
  }
  json::Value body = json::Value::object();
  body["SignatureObject"] = std::move(objects);
  body["auditReceipts"] = audit_receipts(*signed_digests);
  return kept_->deliver(request, caller, input.credential, input.delivery, body);
}

}  // namespace intaglio::ssa::csc
