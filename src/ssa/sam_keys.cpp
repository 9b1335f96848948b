#include "ssa/sam_keys.h"

#include "base/check.h"
#include "crypto/jose/jws.h"
#include "json/json.h"

namespace intaglio::ssa {
namespace {

constexpr std::chrono::minutes refresh_after{5};

Result<crypto::PublicKey> key_member(const json::Value& object, std::string_view name) {
  const auto* jwk = json::member(object, name);
  if (jwk == nullptr || !jwk->is_object()) return Error{ErrorCode::internal, "the SAM published no key " + std::string(name)};
  return crypto::parse_jwk(json::encode(*jwk));
}

}  // namespace

SamKeys::SamKeys(std::shared_ptr<protocol::SamService> sam, std::string identity_thumbprint, std::shared_ptr<const Clock> clock)
    : sam_(std::move(sam)), identity_thumbprint_(std::move(identity_thumbprint)), clock_(std::move(clock)) {}

Result<std::shared_ptr<const SamKeys::Known>> SamKeys::ask(UnixTime now) const {
  auto text = sam_->public_keys();
  if (!text) return text.error();
  const auto published = json::parse(*text);
  if (!published) return Error{ErrorCode::internal, "the SAM's publication is not JSON"};
  const auto identity = key_member(*published, "identity");
  if (!identity) return identity.error();
  const auto thumbprint = crypto::jwk_thumbprint(*identity);
  if (!thumbprint) return thumbprint.error();
  if (refused_by("ssa.sam.identity", *thumbprint != identity_thumbprint_)) {
    return Error{ErrorCode::configuration, "the SAM shows another identity than the pinned one"};
  }
  auto sad = key_member(*published, "sad");
  if (!sad) return sad.error();
  return std::make_shared<const Known>(Known{std::move(*text), std::move(*sad), now});
}

Result<std::shared_ptr<const SamKeys::Known>> SamKeys::known() {
  const auto now = clock_->now();
  const std::lock_guard lock(mutex_);
  if (known_ && now < known_->asked + refresh_after && known_->asked <= now) return known_;
  auto asked = ask(now);
  if (asked) {
    known_ = std::move(*asked);
    return known_;
  }
  // What was believed a moment ago still is while the SAM does not answer; another identity is not.
  if (known_ && asked.error().code != ErrorCode::configuration) return known_;
  return asked.error();
}

Result<crypto::PublicKey> SamKeys::sad_key() {
  auto current = known();
  if (!current) return current.error();
  return (*current)->sad_key;
}

Result<std::string> SamKeys::publication() {
  auto current = known();
  if (!current) return current.error();
  return (*current)->publication;
}

}  // namespace intaglio::ssa
