#include "token/detail/breaker.h"

namespace intaglio::token::detail {
namespace {

constexpr unsigned failures_in_a_row = 3;
constexpr std::chrono::milliseconds rest{1000};

}  // namespace

Breaker::Answer Breaker::admit() {
  if (state_.load(std::memory_order_acquire) == State::closed) return Answer::go;
  const std::lock_guard lock(mutex_);
  if (state_ == State::closed) return Answer::go;
  if (state_ == State::condemned || trying_ || std::chrono::steady_clock::now() < next_try_) return Answer::refused;
  trying_ = true;
  return Answer::try_it;
}

void Breaker::succeeded() noexcept {
  if (failures_.load(std::memory_order_relaxed) != 0) failures_.store(0, std::memory_order_relaxed);
}

void Breaker::failed() {
  if (failures_.fetch_add(1, std::memory_order_relaxed) + 1 < failures_in_a_row) return;
  const std::lock_guard lock(mutex_);
  open_until_later();
}

void Breaker::tried(bool well) {
  const std::lock_guard lock(mutex_);
  trying_ = false;
  if (!well) return open_until_later();
  failures_ = 0;
  if (state_ == State::open) state_ = State::closed;
}

void Breaker::condemn() {
  const std::lock_guard lock(mutex_);
  state_ = State::condemned;
}

void Breaker::open_until_later() {
  if (state_ != State::condemned) state_ = State::open;
  next_try_ = std::chrono::steady_clock::now() + rest;
}

}  // namespace intaglio::token::detail
