#include "sam/roles/members.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/jose/jws.h"

namespace intaglio::sam {
namespace {

constexpr std::size_t max_shown_name_bytes = 64;

}  // namespace

std::string bounded(std::string_view text, std::size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  auto end = max_bytes;
  // The octets of a character after its first are 10xxxxxx.
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "…";
}

Status check_members(const json::Value& object, std::string_view what, std::initializer_list<std::string_view> known) {
  if (!object.is_object()) return Error{ErrorCode::invalid_request, std::string(what) + " must be an object"};
  for (const auto& [name, value] : object.items()) {
    const bool unknown = std::find(known.begin(), known.end(), name) == known.end();
    if (refused_by("sam.manage.members", unknown))
      return Error{ErrorCode::invalid_request, std::string(what) + " has the unknown member " + bounded(name, max_shown_name_bytes)};
  }
  return {};
}

Result<crypto::PublicKey> parse_user_key(const json::Value& object) {
  const auto* jwk = json::member(object, "jwk");
  if (jwk == nullptr) return Error{ErrorCode::invalid_request, "jwk is missing"};
  if (auto checked = check_members(*jwk, "jwk", {"kty", "crv", "x", "y"}); !checked) return checked.error();
  auto key = crypto::parse_jwk(json::encode(*jwk));
  if (!key) return Error{ErrorCode::invalid_request, "jwk: " + key.error().detail};
  return key;
}

}  // namespace intaglio::sam
