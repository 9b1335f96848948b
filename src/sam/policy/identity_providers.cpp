#include "sam/policy/identity_providers.h"

#include <algorithm>
#include <set>

#include "base/check.h"

namespace intaglio::sam {
namespace {

using evidence::id_token::IssuerPolicy;
using evidence::id_token::PinnedAuthority;
using evidence::id_token::PinnedKey;
using json::Value;

constexpr std::size_t max_providers = 8, max_keys = 8, max_anchors = 4, max_levels = 8, max_text = 255, max_anchor_bytes = 4096;

Error wrong(const std::string& why) { return {ErrorCode::configuration, "policy: identity_providers: " + why}; }

Status only_members(const Value& object, std::string_view what, const std::set<std::string, std::less<>>& known) {
  if (!object.is_object()) return wrong(std::string(what) + " is not an object");
  for (const auto& [name, value] : object.items()) {
    if (!known.contains(name)) return wrong(std::string(what) + " has the unknown member " + name);
  }
  return {};
}

Result<const Value*> list_in(const Value& object, std::string_view name, std::size_t most) {
  const auto* list = json::member(object, name);
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > most)
    return wrong(std::string(name) + " must be a list of 1 to " + std::to_string(most));
  return list;
}

Result<std::string> text_in(const Value& object, std::string_view name) {
  auto text = json::text_member(object, name, max_text);
  if (!text || text->empty()) return wrong(std::string(name) + " must be a text of 1 to " + std::to_string(max_text) + " bytes");
  return text;
}

Result<std::chrono::seconds> seconds_in(const Value& object, std::string_view name, std::int64_t least, std::int64_t most) {
  const auto number = json::integer_member(object, name);
  if (!number || *number < least || *number > most)
    return wrong(std::string(name) + " must be from " + std::to_string(least) + " to " + std::to_string(most));
  return std::chrono::seconds(*number);
}

/// OpenID Connect Core 1.0, 2: scheme https, a host, no query and no fragment. It is compared byte for byte.
bool is_issuer(std::string_view text) {
  constexpr std::string_view scheme = "https://";
  if (!text.starts_with(scheme) || text.size() == scheme.size() || text[scheme.size()] == '/') return false;
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f && c != '?' && c != '#' && c != '@'; });
}

Result<std::vector<PinnedKey>> parse_keys(const Value& provider) {
  const auto list = list_in(provider, "keys", max_keys);
  if (!list) return list.error();
  std::vector<PinnedKey> keys;
  for (const auto& jwk : **list) {
    auto key = evidence::id_token::parse_pinned_key(json::encode(jwk));
    if (!key) return wrong(key.error().detail);
    const bool known = std::any_of(keys.begin(), keys.end(), [&](const PinnedKey& other) { return other.kid == key->kid; });
    if (known) return wrong("the key " + key->kid + " stands twice");
    keys.push_back(std::move(*key));
  }
  return keys;
}

Result<PinnedAuthority> parse_authority(const Value& provider) {
  const auto& object = provider.at("authority");
  if (auto checked = only_members(object, "authority", {"anchors", "subject", "alg"}); !checked) return checked.error();
  auto subject = text_in(object, "subject");
  const auto alg = text_in(object, "alg");
  const auto list = list_in(object, "anchors", max_anchors);
  if (!subject) return subject.error();
  if (!alg) return alg.error();
  if (!list) return list.error();
  const auto algorithm = evidence::id_token::parse_algorithm(*alg);
  if (!algorithm) return wrong("alg must be RS256, PS256 or ES256");
  PinnedAuthority authority{.anchors = {}, .subject = std::move(*subject), .algorithm = *algorithm};
  for (const auto& item : **list) {
    const auto der = item.is_string() ? parse_base64(item.get<std::string>()) : Result<Bytes>(wrong("an anchor is base64 DER"));
    if (!der || der->size() > max_anchor_bytes)
      return wrong("an anchor is base64 DER of at most " + std::to_string(max_anchor_bytes) + " bytes");
    auto anchor = crypto::Certificate::parse_der(*der);
    if (!anchor) return wrong("an anchor cannot be read: " + anchor.error().detail);
    authority.anchors.push_back(std::move(*anchor));
  }
  return authority;
}

Result<IssuerPolicy> parse_provider(const Value& object) {
  if (auto checked =
          only_members(object, "a provider", {"issuer", "client_id", "keys", "authority", "acr", "max_auth_seconds", "max_skew_seconds"});
      !checked)
    return checked.error();
  auto issuer = text_in(object, "issuer");
  auto client_id = text_in(object, "client_id");
  const auto levels = list_in(object, "acr", max_levels);
  const auto age = seconds_in(object, "max_auth_seconds", 10, 3600);
  const auto skew = seconds_in(object, "max_skew_seconds", 0, 60);
  if (!issuer) return issuer.error();
  if (!client_id) return client_id.error();
  if (!levels) return levels.error();
  if (!age) return age.error();
  if (!skew) return skew.error();
  if (refused_by("sam.policy.issuer", !is_issuer(*issuer))) return wrong("the issuer " + *issuer + " is no https URL");
  IssuerPolicy provider{.issuer = std::move(*issuer),
                        .client_id = std::move(*client_id),
                        .trust = std::vector<PinnedKey>(),
                        .acr = {},
                        .max_authentication_age = *age,
                        .max_skew = *skew};
  for (const auto& level : **levels) {
    if (!level.is_string() || level.get_ref<const std::string&>().empty() || level.get_ref<const std::string&>().size() > max_text)
      return wrong("acr must be a list of texts");
    provider.acr.push_back(level.get<std::string>());
  }
  const bool has_authority = json::member(object, "authority") != nullptr;
  if (has_authority == (json::member(object, "keys") != nullptr)) return wrong("a provider has keys or an authority, and one of them");
  if (has_authority) {
    auto authority = parse_authority(object);
    if (!authority) return authority.error();
    provider.trust = std::move(*authority);
  } else {
    auto keys = parse_keys(object);
    if (!keys) return keys.error();
    provider.trust = std::move(*keys);
  }
  return provider;
}

}  // namespace

Result<std::vector<IssuerPolicy>> parse_identity_providers(const Value& list) {
  if (!list.is_array() || list.empty() || list.size() > max_providers)
    return wrong("must be a list of 1 to " + std::to_string(max_providers));
  std::vector<IssuerPolicy> providers;
  for (const auto& object : list) {
    auto provider = parse_provider(object);
    if (!provider) return provider.error();
    const bool known =
        std::any_of(providers.begin(), providers.end(), [&](const IssuerPolicy& other) { return other.issuer == provider->issuer; });
    if (known) return wrong("the issuer " + provider->issuer + " stands twice");
    providers.push_back(std::move(*provider));
  }
  return providers;
}

}  // namespace intaglio::sam
