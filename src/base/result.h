#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "base/error.h"
#include "base/panic.h"

namespace intaglio {

/// A value, or the reason why there is none. Ignoring it is a compile error.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] explicit operator bool() const noexcept { return state_.index() == 0; }
  [[nodiscard]] T& operator*() & { return value(); }
  [[nodiscard]] const T& operator*() const& { return const_cast<Result*>(this)->value(); }
  [[nodiscard]] T&& operator*() && { return std::move(value()); }
  [[nodiscard]] T* operator->() { return &value(); }
  [[nodiscard]] const T* operator->() const { return &**this; }
  [[nodiscard]] const Error& error() const {
    if (const auto* error = std::get_if<1>(&state_)) return *error;
    panic("error() of a result that holds a value");
  }

 private:
  T& value() {
    if (auto* value = std::get_if<0>(&state_)) return *value;
    panic("value of a result that holds an error");
  }
  std::variant<T, Error> state_;
};

/// Success, or the reason for refusal.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  [[nodiscard]] explicit operator bool() const noexcept { return !error_.has_value(); }
  [[nodiscard]] const Error& error() const {
    if (!error_) panic("error() of a result that holds a value");
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace intaglio
