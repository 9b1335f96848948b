#pragma once

#include <p11-kit/pkcs11.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace intaglio::virtual_hsm {

/// What a rule does to a call that it meets.
enum class Action {
  delay,         ///< the call waits `value` milliseconds first
  hang,          ///< the call waits until another plan is read
  error_before,  ///< `result` without any effect
  error_after,   ///< the call is made, then `result` is reported
  lose_session,  ///< the session is closed, then `result` is reported
  lose_login,    ///< the token is logged out, then CKR_USER_NOT_LOGGED_IN is reported
  flip_bit,      ///< C_Sign: bit `value` of the signature, modulo its length, is the other one
  cut,           ///< C_Sign: the signature is `value` bytes shorter than the token made it
};

struct Rule {
  std::string function;  ///< of PKCS#11, or "*" for each one that is given a session
  std::string
      key;  ///< C_SignInit and C_Sign: only with the key of this CKA_ID (hexadecimal digits), and counted with it alone; empty for any
  std::uint64_t first;  ///< calls of this function since the plan was read, from 1
  std::uint64_t last;
  Action action;
  std::uint64_t value;  ///< milliseconds (at most 600000), a bit or bytes
  CK_RV result;
};

/// What is wrong with the token as a whole while the plan stands.
struct Condition {
  std::optional<CK_RV> absent;  ///< CKR_DEVICE_REMOVED or CKR_TOKEN_NOT_PRESENT, for each call with a slot or a session
  bool pin_locked = false;
  bool tampered = false;  ///< each use of a key: CKR_DEVICE_ERROR
  bool zeroised = false;  ///< each key handle is invalid, each search finds nothing
};

struct Plan {
  std::vector<Rule> rules;
  Condition condition;
};

struct PlanError {
  std::size_t line;  ///< from 1
  std::string reason;
};

/// The names of the functions of PKCS#11 v2.40, in the order of CK_FUNCTION_LIST.
[[nodiscard]] std::span<const std::string_view> function_names() noexcept;

/// Reads a plan of at most 64 KiB and 256 rules, docs/develop/virtual-hsm.md says how it is written. Whatever is not exactly that is an error:
/// a fault that was misspelt must not look like one that did no harm.
[[nodiscard]] std::variant<Plan, PlanError> parse_plan(std::string_view text);

/// A call, as rules see it.
struct Met {
  std::string_view function;
  bool given_session;
  std::uint64_t call;  ///< of this function since the plan was read
  std::string_view key;  ///< CKA_ID of the key of C_SignInit and C_Sign in hexadecimal digits, else empty
  std::uint64_t key_call;  ///< of this function with this key
};
/// The rules that meet this call, in the order of the plan. "*" counts for functions that are given a session.
[[nodiscard]] std::vector<Rule> rules_for(const Plan& plan, const Met& met);

}  // namespace intaglio::virtual_hsm
