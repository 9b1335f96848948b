#include "oauth/authorization_details.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "base/check.h"

namespace intaglio::oauth {
namespace {

constexpr json::Bounds bounds{128 * 1024, 6, 16 * 1024};
constexpr std::size_t max_label_bytes = 256;
constexpr std::size_t max_locations = 8;

constexpr auto credential_types = std::to_array<std::string_view>({"credential", "https://cloudsignatureconsortium.org/2025/credential"});
constexpr auto known_members =
    std::to_array<std::string_view>({"type", "credentialID", "numSignatures", "documentDigests", "hashAlgorithmOID", "locations"});
constexpr auto known_digest_members = std::to_array<std::string_view>({"hash", "label", "hashType"});

Error refused(std::string detail) { return {ErrorCode::invalid_request, "authorization_details: " + std::move(detail)}; }

template <std::size_t N>
bool holds_only(const json::Value& object, const std::array<std::string_view, N>& names) {
  return std::all_of(object.items().begin(), object.items().end(),
                     [&](const auto& item) { return std::find(names.begin(), names.end(), std::string_view(item.key())) != names.end(); });
}

/// A label is shown as it is: no control character may hide or reorder what the signer reads.
bool is_label(std::string_view text) {
  return !text.empty() && text.size() <= max_label_bytes && std::none_of(text.begin(), text.end(), [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet < 0x20 || octet == 0x7F;
  });
}

bool same_without_case(std::string_view text, std::string_view lower) {
  return std::equal(text.begin(), text.end(), lower.begin(), lower.end(),
                    [](char a, char b) { return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b; });
}

bool is_here(const json::Value& location, std::string_view base_url) {
  const auto* text = location.get_ptr<const json::Value::string_t*>();
  return text != nullptr && text->starts_with(base_url) && (text->size() == base_url.size() || (*text)[base_url.size()] == '/');
}

Result<RequestedDigest> read_digest(const json::Value& element, crypto::HashAlgorithm hash, std::size_t index) {
  if (!element.is_object()) return refused("an element of documentDigests is no object");
  if (refused_by("oauth.details.digest_member", !holds_only(element, known_digest_members))) {
    return refused("a member of documentDigests is not known");
  }
  const auto text = json::text_member(element, "hash");
  if (!text) return refused("a document has no hash");
  auto digest = parse_base64(*text);
  if (!digest || digest->size() != crypto::digest_length(hash)) return refused("a hash is no base64 of the length of its algorithm");
  auto kind = DigestKind::dtbsr;
  if (json::member(element, "hashType") != nullptr) {
    const auto stated = json::text_member(element, "hashType");
    const auto known = parse_digest_kind(stated ? *stated : "");
    if (refused_by("oauth.details.hash_type", !known)) return refused("a hashType is neither dtbsr nor sdr");
    kind = known.value_or(kind);
  }
  auto label = place_in_list(index);
  if (json::member(element, "label") != nullptr) {
    const auto stated = json::text_member(element, "label");
    if (!stated || !is_label(*stated)) return refused("a label is empty, too long or holds control characters");
    label = *stated;
  }
  return RequestedDigest{std::move(*digest), std::move(label), kind};
}

}  // namespace

std::optional<DigestKind> parse_digest_kind(std::string_view text) {
  if (same_without_case(text, "dtbsr")) return DigestKind::dtbsr;
  if (same_without_case(text, "sdr")) return DigestKind::sdr;
  return std::nullopt;
}

std::string place_in_list(std::size_t index) { return "Document " + std::to_string(index + 1); }

Result<AuthorizationDetails> parse_authorization_details(std::string_view text, std::string_view base_url) {
  auto parsed = json::parse(text, bounds);
  if (!parsed) return refused("no JSON: " + parsed.error().detail);
  if (!parsed->is_array() || parsed->size() != 1 || !parsed->front().is_object()) return refused("not an array of one object");
  const auto& object = parsed->front();
  const auto type = json::text_member(object, "type");
  const auto is_credential =
      type && std::find(credential_types.begin(), credential_types.end(), std::string_view(*type)) != credential_types.end();
  if (refused_by("oauth.details.type", !is_credential)) return refused("the type is not known");
  if (refused_by("oauth.details.member", !holds_only(object, known_members))) return refused("a member is not known");

  const auto credential = json::text_member(object, "credentialID");
  auto key = KeyId::parse(credential ? *credential : "");
  if (!key) return refused("credentialID is missing or none");
  const auto oid = json::text_member(object, "hashAlgorithmOID");
  const auto hash = crypto::parse_hash_oid(oid ? *oid : "");
  if (!hash) return refused("hashAlgorithmOID is missing or not offered");
  const auto* digests = json::member(object, "documentDigests");
  if (digests == nullptr || !digests->is_array() || digests->empty() || digests->size() > max_requested_digests) {
    return refused("documentDigests is missing, empty or too long");
  }
  if (json::member(object, "numSignatures") != nullptr) {
    const auto count = json::integer_member(object, "numSignatures");
    if (refused_by("oauth.details.count", !count || *count != static_cast<std::int64_t>(digests->size()))) {
      return refused("numSignatures is not the number of digests");
    }
  }
  if (const auto* locations = json::member(object, "locations"); locations != nullptr) {
    const auto here = locations->is_array() && !locations->empty() && locations->size() <= max_locations &&
                      std::all_of(locations->begin(), locations->end(), [&](const auto& one) { return is_here(one, base_url); });
    if (refused_by("oauth.details.location", !here)) return refused("locations names another place");
  }
  CredentialRequest request{std::move(*key), *hash, {}};
  request.documents.reserve(digests->size());
  for (const auto& element : *digests) {
    auto document = read_digest(element, *hash, request.documents.size());
    if (!document) return document.error();
    request.documents.push_back(std::move(*document));
  }
  return AuthorizationDetails{std::move(request), std::move(*parsed)};
}

Result<CredentialRequest> parse_credential_parameters(std::string_view credential, std::string_view count, std::string_view hashes,
                                                      std::string_view hash_algorithm) {
  auto key = KeyId::parse(credential);
  if (!key) return Error{ErrorCode::invalid_request, "Invalid parameter credentialID"};
  const auto hash = crypto::parse_hash_oid(hash_algorithm);
  if (!hash) return Error{ErrorCode::invalid_request, "Invalid parameter hashAlgorithmOID"};
  CredentialRequest request{std::move(*key), *hash, {}};
  while (!hashes.empty()) {
    const auto comma = hashes.find(',');
    auto digest = parse_base64url(hashes.substr(0, comma));
    if (!digest || digest->size() != crypto::digest_length(*hash) || request.documents.size() >= max_requested_digests) {
      return Error{ErrorCode::invalid_request, "Invalid parameter hashes"};
    }
    request.documents.push_back({std::move(*digest), place_in_list(request.documents.size()), DigestKind::dtbsr});
    if (comma == std::string_view::npos) break;
    hashes.remove_prefix(comma + 1);
    if (hashes.empty()) return Error{ErrorCode::invalid_request, "Invalid parameter hashes"};
  }
  if (request.documents.empty()) return Error{ErrorCode::invalid_request, "Missing parameter hashes"};
  std::size_t number = 0;
  const auto [end, failed] = std::from_chars(count.data(), count.data() + count.size(), number);
  const auto whole = failed == std::errc{} && end == count.data() + count.size();
  if (refused_by("oauth.request.count", !whole || number != request.documents.size())) {
    return Error{ErrorCode::invalid_request, "Invalid parameter numSignatures"};
  }
  return request;
}

}  // namespace intaglio::oauth
