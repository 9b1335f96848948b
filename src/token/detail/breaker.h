#pragma once

#include <atomic>
#include <chrono>
#include <mutex>

namespace intaglio::token::detail {

/// Keeps a token that fails from being asked again and again. Three failures in a row open it; after a second one caller
/// tries the token while the others are refused; success closes it. Condemned, it stays open until the next start.
class Breaker {
 public:
  enum class Answer { go, try_it, refused };
  [[nodiscard]] Answer admit();
  void succeeded() noexcept;
  void failed();
  /// The end of a try.
  void tried(bool well);
  void condemn();
  [[nodiscard]] bool condemned() const noexcept { return state_.load(std::memory_order_acquire) == State::condemned; }
  [[nodiscard]] bool closed() const noexcept { return state_.load(std::memory_order_acquire) == State::closed; }

 private:
  enum class State : int { closed, open, condemned };
  void open_until_later();

  std::atomic<State> state_{State::closed};
  std::atomic<unsigned> failures_{0};
  std::mutex mutex_;
  bool trying_ = false;
  std::chrono::steady_clock::time_point next_try_;
};

}  // namespace intaglio::token::detail
