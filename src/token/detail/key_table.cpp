#include "token/detail/key_table.h"

#include <mutex>

namespace intaglio::token::detail {

unsigned long KeyTable::add(KeyEntry entry) {
  const std::unique_lock lock(mutex_);
  const auto [place, is_new] = numbers_.try_emplace({entry.purpose, entry.id}, next_);
  if (is_new) ++next_;
  entries_.insert_or_assign(place->second, std::move(entry));
  return place->second;
}

CK_OBJECT_HANDLE KeyTable::handle(unsigned long number) const {
  const std::shared_lock lock(mutex_);
  const auto found = entries_.find(number);
  return found == entries_.end() ? CK_INVALID_HANDLE : found->second.handle;
}

std::optional<KeyEntry> KeyTable::entry(unsigned long number) const {
  const std::shared_lock lock(mutex_);
  const auto found = entries_.find(number);
  return found == entries_.end() ? std::nullopt : std::optional(found->second);
}

std::vector<unsigned long> KeyTable::numbers() const {
  const std::shared_lock lock(mutex_);
  std::vector<unsigned long> all;
  for (const auto& [number, entry] : entries_) all.push_back(number);
  return all;
}

void KeyTable::rebind(unsigned long number, CK_OBJECT_HANDLE handle, CK_OBJECT_HANDLE pair) {
  const std::unique_lock lock(mutex_);
  const auto found = entries_.find(number);
  if (found == entries_.end()) return;
  found->second.handle = handle;
  found->second.pair = pair;
}

void KeyTable::remove(unsigned long number) {
  const std::unique_lock lock(mutex_);
  const auto found = entries_.find(number);
  if (found == entries_.end()) return;
  numbers_.erase({found->second.purpose, found->second.id});
  entries_.erase(found);
}

}  // namespace intaglio::token::detail
