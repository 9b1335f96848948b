#include "oauth/dpop.h"

#include <cstdlib>

#include "base/check.h"
#include "crypto/jose/jws.h"
#include "crypto/jose/self_signed.h"
#include "json/json.h"

namespace intaglio::oauth {
namespace {

constexpr std::string_view header_name = "dpop";
constexpr std::size_t max_proof_bytes = 4096;
constexpr std::size_t max_jti_bytes = 256;
constexpr std::int64_t window_seconds = 60;

Error refused(std::string detail) { return {ErrorCode::not_authorised, "DPoP proof: " + std::move(detail)}; }

}  // namespace

bool has_dpop_proof(const http::Request& request) { return request.headers.contains(header_name); }

Result<std::string> verify_dpop_proof(const http::Request& request, std::string_view origin, std::string_view token, const Grants& grants,
                                      UnixTime now) {
  const auto header = request.headers.find(header_name);
  if (header == request.headers.end()) return refused("there is none");
  if (header->second.size() > max_proof_bytes) return refused("it is too long");
  const auto proof = crypto::verify_self_signed(header->second, "dpop+jwt");
  if (!proof) return refused(proof.error().detail);
  const auto thumbprint = crypto::jwk_thumbprint(proof->key);
  if (!thumbprint) return refused(thumbprint.error().detail);
  const auto claims = json::parse(proof->payload, {max_proof_bytes, 4, 64});
  if (!claims || !claims->is_object()) return refused("the payload is no JSON object");

  const auto method = json::text_member(*claims, "htm", 16);
  if (refused_by("oauth.dpop.method", !method || *method != request.method)) return refused("htm is not the method of the request");
  const auto address = json::text_member(*claims, "htu");
  const auto stated = address ? std::string_view(*address).substr(0, address->find_first_of("?#")) : std::string_view{};
  if (refused_by("oauth.dpop.address", stated != std::string(origin) + request.path))
    return refused("htu is not the address of the request");
  const auto issued = json::integer_member(*claims, "iat");
  if (!issued) return refused("iat is missing");
  const auto second = unix_seconds(now);
  if (refused_by("oauth.dpop.old", *issued < second - window_seconds)) return refused("it is too old");
  if (refused_by("oauth.dpop.future", *issued > second + window_seconds)) return refused("it is of the future");
  if (!token.empty()) {
    const auto digest = json::text_member(*claims, "ath", 64);
    const auto right = encode_base64url(crypto::sha256(as_bytes(token)));
    if (refused_by("oauth.dpop.token", !digest || *digest != right)) return refused("ath is not that of the access token");
  }
  const auto id = json::text_member(*claims, "jti", max_jti_bytes);
  if (!id || id->empty()) return refused("jti is missing");
  const auto used = grants.use_proof(crypto::sha256(as_bytes(*thumbprint + "." + *id)), now + std::chrono::seconds{2 * window_seconds + 1});
  if (!used) return used.error();
  return *thumbprint;
}

}  // namespace intaglio::oauth
