#pragma once

#include <cstddef>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/clock.h"
#include "crypto/digest.h"

namespace intaglio::oauth {

/// What has been checked once and may be forgotten at any time: values under the SHA-256 of what was checked, until a moment.
/// Holds at most `capacity` entries; the oldest leaves first, and what has ended leaves with the next insertion. Thread-safe; a
/// value is copied out, so it should be small.
template <typename Value>
class BoundedCache {
 public:
  explicit BoundedCache(std::size_t capacity) : capacity_(capacity) {}

  [[nodiscard]] std::optional<Value> find(const crypto::Sha256Digest& key, UnixTime now) const {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found == entries_.end() || found->second.until <= now) return std::nullopt;
    return found->second.value;
  }

  /// Keeps the first of two values that race for one key, and returns the one that stands.
  Value insert(const crypto::Sha256Digest& key, Value value, UnixTime until, UnixTime now) {
    const std::lock_guard lock(mutex_);
    const auto found = entries_.find(key);
    if (found != entries_.end()) {
      if (found->second.until > now) return found->second.value;
      found->second = Entry{value, until};
      return value;
    }
    while (!order_.empty() && (entries_.size() >= capacity_ || entries_.at(order_.front()).until <= now)) {
      entries_.erase(order_.front());
      order_.pop_front();
    }
    entries_.emplace(key, Entry{value, until});
    order_.push_back(key);
    return value;
  }

  void erase(const crypto::Sha256Digest& key) {
    const std::lock_guard lock(mutex_);
    if (entries_.erase(key) != 0) std::erase(order_, key);
  }

  [[nodiscard]] std::size_t size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
  }

 private:
  struct Entry {
    Value value;
    UnixTime until;
  };
  /// The key is a digest already: its first bytes are as good as any hash of it.
  struct FirstBytes {
    std::size_t operator()(const crypto::Sha256Digest& key) const noexcept {
      std::size_t hash = 0;
      std::memcpy(&hash, key.data(), sizeof hash);
      return hash;
    }
  };

  const std::size_t capacity_;
  mutable std::mutex mutex_;
  std::unordered_map<crypto::Sha256Digest, Entry, FirstBytes> entries_;
  std::deque<crypto::Sha256Digest> order_;
};

}  // namespace intaglio::oauth
