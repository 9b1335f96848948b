#include "pki/ocsp/shelf.h"

#include <mutex>

#include "base/check.h"

namespace intaglio::pki {

std::uint64_t Shelf::epoch() const {
  const std::shared_lock lock(mutex_);
  return epoch_;
}

void Shelf::put(const ShelfKey& key, ShelvedAnswer answer, std::uint64_t epoch) {
  const std::unique_lock lock(mutex_);
  if (refused_by("ocsp.shelf.epoch", epoch != epoch_)) return;
  if (answers_.size() >= limit_ && !answers_.contains(key)) return;
  answers_.insert_or_assign(key, std::make_shared<const ShelvedAnswer>(std::move(answer)));
}

std::shared_ptr<const ShelvedAnswer> Shelf::find(const ShelfKey& key) const {
  const std::shared_lock lock(mutex_);
  const auto found = answers_.find(key);
  return found == answers_.end() ? nullptr : found->second;
}

std::vector<OcspIdForm> Shelf::begin_epoch(std::string_view serial_hex) {
  const std::unique_lock lock(mutex_);
  ++epoch_;
  std::vector<OcspIdForm> taken;
  for (const OcspIdForm form : ocsp_id_forms) {
    if (answers_.erase({form, std::string(serial_hex)}) == 1) taken.push_back(form);
  }
  return taken;
}

void Shelf::remove(const ShelfKey& key) {
  const std::unique_lock lock(mutex_);
  answers_.erase(key);
}

std::vector<ShelfKey> Shelf::older_than(UnixTime signed_at, std::size_t limit) const {
  const std::shared_lock lock(mutex_);
  std::vector<ShelfKey> old;
  for (const auto& [key, answer] : answers_) {
    if (old.size() >= limit) break;
    if (answer->this_update <= signed_at) old.push_back(key);
  }
  return old;
}

std::size_t Shelf::size() const {
  const std::shared_lock lock(mutex_);
  return answers_.size();
}

}  // namespace intaglio::pki
