#pragma once

#include <limits>
#include <string>
#include <utility>

#include "base/bytes.h"
#include "base/result.h"

namespace intaglio {

/// Reads what append_field wrote, in order: the first field that does not fit makes everything after it fail, so that one look at the end,
/// and one before each loop over a number that was read, is enough. What is read after a failure is empty or zero.
class Fields {
 public:
  explicit Fields(ByteView encoded) noexcept : reader_(encoded) {}
  std::string text(std::size_t max_length) { return take(reader_.text(max_length)); }
  Bytes bytes(std::size_t max_length) { return take(reader_.bytes(max_length)); }
  std::uint64_t number(std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
    const auto read = take(reader_.number());
    good_ = good_ && read <= most;
    return good_ ? read : 0;
  }
  std::int64_t seconds() { return static_cast<std::int64_t>(number()); }
  /// The name of the form and its version, which every encoding begins with.
  void expect(std::string_view version) { good_ = text(version.size()) == version && good_; }
  /// For what the caller finds wrong in a field.
  void fail() noexcept { good_ = false; }
  [[nodiscard]] bool good() const noexcept { return good_; }
  /// Every field fitted, and nothing is left: an encoding has exactly one meaning.
  [[nodiscard]] bool finished() const { return good_ && reader_.end(); }

 private:
  template <typename T>
  T take(Result<T> result) {
    if (result && good_) return std::move(*result);
    good_ = false;
    return T{};
  }
  FieldReader reader_;
  bool good_ = true;
};

}  // namespace intaglio
