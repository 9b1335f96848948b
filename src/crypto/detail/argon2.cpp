#include "crypto/detail/argon2.h"

#include <argon2.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "base/log.h"
#include "base/secret.h"
#include "crypto/password_hash.h"

namespace intaglio::crypto {
namespace {

std::atomic<std::uint64_t> evaluations{0};

/// Pages that stay mapped and locked from one evaluation to the next. libargon2 wipes them before it hands them back.
class Place {
 public:
  Place() = default;
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() { unmap(); }

  /// At least this many bytes, or nullptr.
  [[nodiscard]] std::uint8_t* at_least(std::size_t bytes) noexcept {
    if (bytes <= size_) return start_;
    unmap();
    void* const mapped = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (mapped == MAP_FAILED) return nullptr;
    start_ = static_cast<std::uint8_t*>(mapped);
    size_ = bytes;
    ::madvise(mapped, bytes, MADV_DONTDUMP);
    locked_ = ::mlock(mapped, bytes) == 0;
    return start_;
  }

  [[nodiscard]] bool locked() const noexcept { return locked_; }
  [[nodiscard]] bool wiped() const noexcept {
    return std::all_of(start_, start_ + size_, [](std::uint8_t byte) { return byte == 0; });
  }
  bool busy = false;

 private:
  void unmap() noexcept {
    if (start_ != nullptr) ::munmap(start_, size_);
    start_ = nullptr;
    size_ = 0;
  }
  std::uint8_t* start_ = nullptr;
  std::size_t size_ = 0;
  bool locked_ = false;
};

/// The bound on parallel evaluations and the memory they use. Never destroyed: threads may still hash at exit.
class Arena {
 public:
  static Arena& the() {
    static Arena* const arena = new Arena;
    return *arena;
  }

  void set_places(unsigned count) {
    const std::lock_guard guard(mutex_);
    allowed_ = std::max(1U, count);
    freed_.notify_all();
  }

  [[nodiscard]] Place& take() {
    std::unique_lock lock(mutex_);
    freed_.wait(lock, [this] { return in_use_ < allowed_; });
    ++in_use_;
    for (auto& place : places_) {
      if (!place->busy) return claim(*place);
    }
    places_.push_back(std::make_unique<Place>());
    return claim(*places_.back());
  }

  void give_back(Place& place) {
    const std::lock_guard guard(mutex_);
    place.busy = false;
    --in_use_;
    if (!place.locked() && !std::exchange(warned_, true)) log::warn("argon2_arena_not_locked");
    freed_.notify_one();
  }

  [[nodiscard]] bool idle_places_are_wiped() {
    const std::lock_guard guard(mutex_);
    return std::all_of(places_.begin(), places_.end(), [](const auto& place) { return place->busy || place->wiped(); });
  }

 private:
  static Place& claim(Place& place) noexcept {
    place.busy = true;
    return place;
  }
  std::mutex mutex_;
  std::condition_variable freed_;
  std::vector<std::unique_ptr<Place>> places_;
  unsigned allowed_ = 2, in_use_ = 0;
  bool warned_ = false;
};

class Lease {
 public:
  Lease() : place_(Arena::the().take()) {}
  ~Lease() { Arena::the().give_back(place_); }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  [[nodiscard]] std::uint8_t* memory(std::size_t bytes) noexcept { return place_.at_least(bytes); }

 private:
  Place& place_;
};

/// libargon2's allocation callbacks carry no context.
thread_local Lease* current_lease = nullptr;

int allocate(std::uint8_t** memory, std::size_t bytes) {
  *memory = current_lease->memory(bytes);
  return *memory == nullptr ? ARGON2_MEMORY_ALLOCATION_ERROR : ARGON2_OK;
}

/// Nothing to do: the pages stay mapped, and libargon2 has wiped them; a unit test holds it to that.
void release(std::uint8_t*, std::size_t) {}

std::uint8_t* input_of(ByteView view) noexcept { return const_cast<std::uint8_t*>(view.data()); }
std::uint32_t length_of(ByteView view) noexcept { return static_cast<std::uint32_t>(view.size()); }

}  // namespace

void set_argon2_parallelism(unsigned places) { Arena::the().set_places(places); }
std::uint64_t argon2_evaluations() noexcept { return evaluations; }

namespace detail {

Status run_argon2id(const Argon2Input& input, std::span<std::uint8_t> tag) {
  constexpr std::size_t most = std::numeric_limits<std::uint32_t>::max();
  if (std::max({input.password.size(), input.salt.size(), input.secret.size(), input.associated.size(), tag.size()}) > most) {
    return Error{ErrorCode::invalid_request, "an input of Argon2id is too long"};
  }
  Lease lease;
  current_lease = &lease;
  argon2_context context{};
  context.out = tag.data();
  context.outlen = length_of(tag);
  context.pwd = input_of(input.password);
  context.pwdlen = length_of(input.password);
  context.salt = input_of(input.salt);
  context.saltlen = length_of(input.salt);
  context.secret = input_of(input.secret);
  context.secretlen = length_of(input.secret);
  context.ad = input_of(input.associated);
  context.adlen = length_of(input.associated);
  context.t_cost = input.passes;
  context.m_cost = input.memory_kib;
  context.lanes = input.lanes;
  context.threads = 1;
  context.version = ARGON2_VERSION_13;
  context.allocate_cbk = allocate;
  context.free_cbk = release;
  context.flags = ARGON2_DEFAULT_FLAGS;
  const int outcome = argon2_ctx(&context, Argon2_id);
  current_lease = nullptr;
  ++evaluations;
  if (outcome != ARGON2_OK) return Error{ErrorCode::internal, std::string("Argon2id: ") + argon2_error_message(outcome)};
  return {};
}

bool argon2_arena_is_wiped() { return Arena::the().idle_places_are_wiped(); }

}  // namespace detail
}  // namespace intaglio::crypto
