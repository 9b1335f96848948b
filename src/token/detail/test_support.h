#pragma once

#include <sys/types.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "token/detail/cryptoki.h"
#include "token/token.h"

/// For the unit tests of this room: one SoftHSM2 folder for the whole test process (SOFTHSM2_CONF is one for a process).
namespace intaglio::token::testing {

struct Place {
  std::filesystem::path root;  ///< removed at the end
  [[nodiscard]] std::filesystem::path directory() const { return root / "tokens"; }
  [[nodiscard]] std::filesystem::path pin_file() const { return root / "pin"; }
  [[nodiscard]] std::filesystem::path configuration() const { return root / "softhsm2.conf"; }
};
/// In memory where the machine allows it: key generation makes each file durable.
[[nodiscard]] const Place& place();
/// A folder of its own on disk, with a token "victim", for tests that kill or damage; becomes SOFTHSM2_CONF while it lives.
class Victim {
 public:
  Victim();
  ~Victim();
  Victim(const Victim&) = delete;
  Victim& operator=(const Victim&) = delete;
  [[nodiscard]] TokenConfig config() const;
  [[nodiscard]] const Place& place() const noexcept { return place_; }
  /// The token's own file.
  [[nodiscard]] std::filesystem::path object() const;

 private:
  Place place_;
};
[[nodiscard]] std::filesystem::path module_path();
[[nodiscard]] TokenConfig config_of(std::string_view label = "unit");
[[nodiscard]] std::shared_ptr<Token> open_token();
/// A new id for each call, so that tests do not meet.
[[nodiscard]] Bytes fresh_id();
[[nodiscard]] Bytes sample_digest(std::size_t length);
[[nodiscard]] std::uint64_t count_of(const Token& token, std::string_view function, std::string_view result);

/// Why it was refused; nothing when it was not.
template <typename T>
[[nodiscard]] std::optional<ErrorCode> code_of(const Result<T>& result) {
  return result ? std::nullopt : std::optional(result.error().code);
}

/// The module as another program in this process would use it.
[[nodiscard]] const CK_FUNCTION_LIST& raw_module();
[[nodiscard]] CK_SLOT_ID raw_slot(std::string_view label = "unit");
/// The only object of this class with this CKA_ID.
[[nodiscard]] CK_OBJECT_HANDLE raw_find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS object_class, ByteView id);
/// A session that may write; the login is the token's.
class RawSession {
 public:
  RawSession();
  ~RawSession();
  RawSession(const RawSession&) = delete;
  RawSession& operator=(const RawSession&) = delete;
  [[nodiscard]] CK_SESSION_HANDLE handle() const noexcept { return handle_; }

 private:
  CK_SESSION_HANDLE handle_ = CK_INVALID_HANDLE;
};

/// Starts this test program anew, on the victim's token, and waits until it began: "--open-without-end" opens and closes the
/// token until it is killed, "--exit-while-signing" ends while four threads sign.
[[nodiscard]] pid_t start_child(const Victim& victim, std::string mode);

/// What a program started by tests/tokens does with a module that is not SoftHSM: module, folder of the PIN, token label, profile,
/// then the algorithms to try. 0 when all went as software_modules_test.cpp says.
[[nodiscard]] int try_module(const std::vector<std::string>& words);

/// Sets an environment variable until the end of the scope.
class Environment {
 public:
  Environment(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Environment() { ::unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const char* name_;
};

}  // namespace intaglio::token::testing
