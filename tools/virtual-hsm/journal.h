#pragma once

#include <p11-kit/pkcs11.h>

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>

namespace intaglio::virtual_hsm {

/// What the wrapped module did in a call.
enum class Effect { none, done, refused, length };

/// A file of one line a call: number, function, call of that function, result that was reported, what the wrapped module did, and for C_Sign the
/// CKA_ID of the key in hexadecimal digits. No PIN, no input, no output. A journal that cannot be written proves nothing: the process ends.
class Journal {
 public:
  explicit Journal(const std::string& file);
  void call(std::string_view function, std::uint64_t call, CK_RV result, Effect effect, std::string_view key);
  /// A line of another kind: `plan …` or `hang …`.
  void note(std::string_view text);

 private:
  void write(std::string line);

  std::mutex mutex_;
  int file_;
  std::uint64_t calls_ = 0;
};

}  // namespace intaglio::virtual_hsm
