#include "sam/policy/passkey_rules.h"

#include <algorithm>

#include "base/check.h"

namespace intaglio::sam {
namespace {

using json::Value;

constexpr std::size_t max_host = 253, max_origins = 16, max_models = 256, max_roots = 64;
constexpr std::string_view scheme = "https://";

Error wrong(const std::string& why) { return {ErrorCode::configuration, "policy: passkeys: " + why}; }

/// A domain name as WebAuthn takes it for a relying party (5.4.2): never an address, for which browsers make no passkeys.
bool is_host(std::string_view text) {
  if (text.empty() || text.size() > max_host) return false;
  bool letter = false;
  std::size_t label = 0;
  for (const char c : text) {
    if (c == '.') {
      if (label == 0) return false;
      label = 0;
      letter = false;
      continue;
    }
    const bool alphabetic = c >= 'a' && c <= 'z';
    if (!alphabetic && !(c >= '0' && c <= '9') && c != '-') return false;
    letter = letter || alphabetic;
    if (++label > 63) return false;
  }
  return label > 0 && letter;  // no address ends in a label with letters
}

/// RFC 6454, 6.2, as browsers write it: scheme, host and, unless it is 443, the port.
bool is_origin_of(std::string_view origin, std::string_view rp_id) {
  if (!origin.starts_with(scheme)) return false;
  auto host = origin.substr(scheme.size());
  if (const auto colon = host.find(':'); colon != std::string_view::npos) {
    const auto port = host.substr(colon + 1);
    const bool digits = std::all_of(port.begin(), port.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (port.empty() || port.size() > 5 || port.front() == '0' || !digits || port == "443") return false;
    host = host.substr(0, colon);
  }
  if (!is_host(host)) return false;
  return host == rp_id || (host.size() > rp_id.size() && host.ends_with(rp_id) && host[host.size() - rp_id.size() - 1] == '.');
}

Result<std::vector<std::string>> texts(const Value& object, std::string_view name, std::size_t most) {
  const auto* list = json::member(object, name);
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > most)
    return wrong(std::string(name) + " must be a list of 1 to " + std::to_string(most) + " texts");
  std::vector<std::string> out;
  for (const auto& item : *list) {
    if (!item.is_string()) return wrong(std::string(name) + " must be a list of texts");
    out.push_back(item.get<std::string>());
  }
  return out;
}

/// "d548826e-79b4-db40-a3d8-11116f7e8349"
Result<evidence::webauthn::Aaguid> parse_model(std::string_view text) {
  constexpr std::array<std::size_t, 4> dashes{8, 13, 18, 23};
  std::string digits;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool dash = std::find(dashes.begin(), dashes.end(), at) != dashes.end();
    if ((text[at] == '-') != dash) return wrong("a model is an AAGUID as text");
    if (!dash) digits += text[at];
  }
  evidence::webauthn::Aaguid model{};
  const auto bytes = parse_hex(digits);
  if (!bytes || bytes->size() != model.size()) return wrong("a model is an AAGUID as text");
  std::copy(bytes->begin(), bytes->end(), model.begin());
  return model;
}

Status take_models(const Value& object, evidence::webauthn::Rules& rules) {
  const bool has_models = json::member(object, "models") != nullptr;
  const bool has_roots = json::member(object, "roots") != nullptr;
  if (has_models != has_roots) return wrong("models are believed by their attestation: models and roots go together");
  if (!has_models) return {};
  auto models = texts(object, "models", max_models);
  auto roots = texts(object, "roots", max_roots);
  if (!models) return models.error();
  if (!roots) return roots.error();
  for (const auto& text : *models) {
    auto model = parse_model(text);
    if (!model) return model.error();
    rules.models.push_back(*model);
  }
  for (const auto& text : *roots) {
    auto der = parse_base64(text);
    auto root = der ? crypto::Certificate::parse_der(*der) : Result<crypto::Certificate>(der.error());
    if (!root) return wrong("a root is a certificate in base64 DER: " + root.error().detail);
    rules.roots.push_back(std::move(*root));
  }
  return {};
}

}  // namespace

Result<evidence::webauthn::Rules> parse_passkey_rules(const Value& object) {
  if (!object.is_object()) return wrong("not an object");
  for (const auto& [name, value] : object.items()) {
    if (name != "rp_id" && name != "origins" && name != "backup_eligible" && name != "models" && name != "roots")
      return wrong("the unknown member " + name);
  }
  auto rp_id = json::text_member(object, "rp_id", max_host);
  if (!rp_id || !is_host(*rp_id)) return wrong("rp_id must be the host of the page, in lower case");
  auto origins = texts(object, "origins", max_origins);
  if (!origins) return origins.error();
  for (const auto& origin : *origins) {
    if (refused_by("sam.policy.origin", !is_origin_of(origin, *rp_id)))
      return wrong("the origin " + origin + " is not https, or not of " + *rp_id);
  }
  const auto* backup_eligible = json::member(object, "backup_eligible");
  if (backup_eligible == nullptr || !backup_eligible->is_boolean()) return wrong("backup_eligible must be true or false");
  evidence::webauthn::Rules rules{.rp_id = std::move(*rp_id),
                                  .origins = std::move(*origins),
                                  .allow_backup_eligible = backup_eligible->get<bool>(),
                                  .models = {},
                                  .roots = {}};
  if (auto taken = take_models(object, rules); !taken) return taken.error();
  return rules;
}

}  // namespace intaglio::sam
