#include "custody/wrapped/lock.h"

#include "base/check.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"

namespace intaglio::custody {
namespace {

constexpr std::size_t key_length = 32;
constexpr std::size_t counter_length = 16;

Status check_lock(const Secret& lock) {
  if (refused_by("custody.lock-length", lock.size() < min_lock)) {
    return Error{ErrorCode::invalid_request, "a lock of less than 32 bytes"};
  }
  return {};
}

/// A salt is drawn anew each time, so that no key and counter serve twice.
Result<Secret> crypt(const Secret& lock, const KeyBinding& binding, ByteView salt, ByteView content) {
  Bytes info;
  append_field(info, std::string_view("intaglio/wrapped-custody/lock/1"));
  append_field(info, binding.owner.text());
  append_field(info, binding.key.text());
  const auto keys = crypto::hkdf_sha256(lock.reveal(), salt, info, key_length + counter_length);
  return crypto::aes256_ctr(keys.reveal().first(key_length), keys.reveal().subspan(key_length), content);
}

}  // namespace

Result<Bytes> close_lock(const Secret& lock, const KeyBinding& binding, const Secret& content) {
  if (auto checked = check_lock(lock); !checked) return checked.error();
  auto locked = crypto::random_bytes(lock_salt);
  if (!locked) return locked;
  const auto hidden = crypt(lock, binding, *locked, content.reveal());
  if (!hidden) return hidden.error();
  append(*locked, hidden->reveal());
  return locked;
}

Result<Secret> open_lock(const Secret& lock, const KeyBinding& binding, ByteView locked) {
  if (auto checked = check_lock(lock); !checked) return checked.error();
  if (locked.size() < lock_salt) return Error{ErrorCode::storage_unavailable, "a locked keypass is too short"};
  return crypt(lock, binding, locked.first(lock_salt), locked.subspan(lock_salt));
}

}  // namespace intaglio::custody
