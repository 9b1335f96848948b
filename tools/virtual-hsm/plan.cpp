#include "plan.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "ckr_names.h"

namespace intaglio::virtual_hsm {
namespace {

constexpr std::size_t max_text = 65536;
constexpr std::size_t max_rules = 256;
constexpr std::uint64_t max_delay = 600'000;
constexpr std::uint64_t max_bit = 65'535;
constexpr std::uint64_t max_cut = 1024;
constexpr auto without_end = std::numeric_limits<std::uint64_t>::max();

constexpr std::array names = std::to_array<std::string_view>({
    "C_Initialize",
    "C_Finalize",
    "C_GetInfo",
    "C_GetFunctionList",
    "C_GetSlotList",
    "C_GetSlotInfo",
    "C_GetTokenInfo",
    "C_GetMechanismList",
    "C_GetMechanismInfo",
    "C_InitToken",
    "C_InitPIN",
    "C_SetPIN",
    "C_OpenSession",
    "C_CloseSession",
    "C_CloseAllSessions",
    "C_GetSessionInfo",
    "C_GetOperationState",
    "C_SetOperationState",
    "C_Login",
    "C_Logout",
    "C_CreateObject",
    "C_CopyObject",
    "C_DestroyObject",
    "C_GetObjectSize",
    "C_GetAttributeValue",
    "C_SetAttributeValue",
    "C_FindObjectsInit",
    "C_FindObjects",
    "C_FindObjectsFinal",
    "C_EncryptInit",
    "C_Encrypt",
    "C_EncryptUpdate",
    "C_EncryptFinal",
    "C_DecryptInit",
    "C_Decrypt",
    "C_DecryptUpdate",
    "C_DecryptFinal",
    "C_DigestInit",
    "C_Digest",
    "C_DigestUpdate",
    "C_DigestKey",
    "C_DigestFinal",
    "C_SignInit",
    "C_Sign",
    "C_SignUpdate",
    "C_SignFinal",
    "C_SignRecoverInit",
    "C_SignRecover",
    "C_VerifyInit",
    "C_Verify",
    "C_VerifyUpdate",
    "C_VerifyFinal",
    "C_VerifyRecoverInit",
    "C_VerifyRecover",
    "C_DigestEncryptUpdate",
    "C_DecryptDigestUpdate",
    "C_SignEncryptUpdate",
    "C_DecryptVerifyUpdate",
    "C_GenerateKey",
    "C_GenerateKeyPair",
    "C_WrapKey",
    "C_UnwrapKey",
    "C_DeriveKey",
    "C_SeedRandom",
    "C_GenerateRandom",
    "C_GetFunctionStatus",
    "C_CancelFunction",
    "C_WaitForSlotEvent",
});

/// An action as it is written, and what follows it.
enum class Follows { nothing, number, result, session_result };
struct Word {
  std::string_view name;
  Action action;
  Follows follows;
  std::uint64_t most;
};
constexpr std::array words = std::to_array<Word>({
    {"delay", Action::delay, Follows::number, max_delay},
    {"hang", Action::hang, Follows::nothing, 0},
    {"error-before", Action::error_before, Follows::result, 0},
    {"error-after", Action::error_after, Follows::result, 0},
    {"lose-session", Action::lose_session, Follows::session_result, 0},
    {"lose-login", Action::lose_login, Follows::nothing, 0},
    {"flip-bit", Action::flip_bit, Follows::number, max_bit},
    {"cut", Action::cut, Follows::number, max_cut},
});

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> parts;
  for (std::size_t begin = 0; begin <= line.size();) {
    const auto end = std::min(line.find(' ', begin), line.size());
    parts.push_back(line.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

/// Decimal digits alone, without a leading zero.
std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_key(std::string_view text) {
  constexpr std::string_view allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  return !text.empty() && text.size() <= 64 && text.find_first_not_of(allowed) == std::string_view::npos;
}

/// As the journal writes it: two hexadecimal digits an octet.
std::string hex_of(std::string_view text) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string hex;
  for (const char octet : text) {
    const auto value = static_cast<unsigned char>(octet);
    hex.append({digits[value >> 4U], digits[value & 15U]});
  }
  return hex;
}

/// `every`, `N`, `N-M` or `N-`.
bool parse_calls(std::string_view text, Rule& rule) {
  rule.first = 1;
  rule.last = without_end;
  if (text == "every") return true;
  const auto dash = text.find('-');
  const auto first = number(text.substr(0, dash));
  if (!first || *first == 0) return false;
  rule.first = *first;
  if (dash == std::string_view::npos) {
    rule.last = *first;
  } else if (dash + 1 < text.size()) {
    const auto last = number(text.substr(dash + 1));
    if (!last || *last < *first) return false;
    rule.last = *last;
  }
  return true;
}

/// The reason why the line is no condition, or nothing.
std::optional<std::string> parse_condition(std::span<const std::string_view> parts, Condition& condition) {
  const auto set_once = [](bool& flag) -> std::optional<std::string> {
    if (flag) return "the condition stands twice";
    flag = true;
    return std::nullopt;
  };
  if (parts.size() == 3 && parts[1] == "removed") {
    if (condition.absent) return "the condition stands twice";
    const auto result = result_named(parts[2]);
    if (result != CKR_DEVICE_REMOVED && result != CKR_TOKEN_NOT_PRESENT) return "removed takes CKR_DEVICE_REMOVED or CKR_TOKEN_NOT_PRESENT";
    condition.absent = result;
    return std::nullopt;
  }
  if (parts.size() == 2 && parts[1] == "pin-locked") return set_once(condition.pin_locked);
  if (parts.size() == 2 && parts[1] == "tampered") return set_once(condition.tampered);
  if (parts.size() == 2 && parts[1] == "zeroised") return set_once(condition.zeroised);
  return "token is followed by removed CKR_…, pin-locked, tampered or zeroised";
}

std::optional<std::string> parse_rule(std::span<const std::string_view> parts, Rule& rule) {
  if (parts.size() < 3) return "a rule is FUNCTION[@KEY] CALLS ACTION [VALUE]";
  const auto at = parts[0].find('@');
  const auto function = parts[0].substr(0, at);
  if (function != "*" && std::find(names.begin(), names.end(), function) == names.end()) return "no function of PKCS#11 has this name";
  if (at != std::string_view::npos) {
    if (function != "C_SignInit" && function != "C_Sign") return "only C_SignInit and C_Sign are told apart by their key";
    const auto key = parts[0].substr(at + 1);
    rule.key = hex_of(key);
    if (!is_key(key)) return "a key is a CKA_ID of 1 to 64 letters, digits, '-' and '_'";
  }
  // The real module is reached by it and the application has no other way in.
  if (function == "C_GetFunctionList") return "C_GetFunctionList has no faults";
  rule.function = std::string(function);
  if (!parse_calls(parts[1], rule)) return "calls are 'every', N, N-M or N-, from 1";
  const auto* const word = std::find_if(words.begin(), words.end(), [&](const Word& row) { return row.name == parts[2]; });
  if (word == words.end()) return "no action has this name";
  rule.action = word->action;
  if (parts.size() != (word->follows == Follows::nothing ? 3U : 4U)) return "the action has another number of values";
  if ((rule.action == Action::flip_bit || rule.action == Action::cut) && rule.function != "C_Sign") return "only C_Sign makes signatures";
  if (word->follows == Follows::number) {
    const auto value = number(parts[3]);
    if (!value || *value > word->most) return "a number from 0 to " + std::to_string(word->most) + " is wanted";
    rule.value = *value;
  }
  if (word->follows == Follows::result || word->follows == Follows::session_result) {
    const auto result = result_named(parts[3]);
    if (!result || *result == CKR_OK) return "a CKR code other than CKR_OK is wanted";
    if (word->follows == Follows::session_result && *result != CKR_SESSION_HANDLE_INVALID && *result != CKR_SESSION_CLOSED)
      return "lose-session takes CKR_SESSION_HANDLE_INVALID or CKR_SESSION_CLOSED";
    rule.result = *result;
  }
  return std::nullopt;
}

}  // namespace

std::span<const std::string_view> function_names() noexcept { return names; }

std::variant<Plan, PlanError> parse_plan(std::string_view text) {
  if (text.size() > max_text) return PlanError{1, "a plan has at most 65536 bytes"};
  if (!text.empty() && text.back() != '\n') {
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
    return PlanError{lines + 1, "the last line has no end: the file is not whole"};
  }
  Plan plan;
  for (std::size_t begin = 0, line = 1; begin < text.size(); ++line) {
    const auto end = text.find('\n', begin);
    const auto content = text.substr(begin, end - begin);
    begin = end + 1;
    if (content.empty() || content.front() == '#') continue;
    const auto parts = split(content);
    if (parts[0] == "token") {
      if (auto reason = parse_condition(parts, plan.condition)) return PlanError{line, *reason};
      continue;
    }
    Rule rule{.function = {}, .key = {}, .first = 1, .last = 1, .action = Action::delay, .value = 0, .result = CKR_OK};
    if (auto reason = parse_rule(parts, rule)) return PlanError{line, *reason};
    if (plan.rules.size() == max_rules) return PlanError{line, "a plan has at most 256 rules"};
    plan.rules.push_back(std::move(rule));
  }
  return plan;
}

std::vector<Rule> rules_for(const Plan& plan, const Met& met) {
  std::vector<Rule> found;
  for (const auto& rule : plan.rules) {
    const bool named = rule.function == met.function || (rule.function == "*" && met.given_session);
    if (!named || (!rule.key.empty() && rule.key != met.key)) continue;
    const auto call = rule.key.empty() ? met.call : met.key_call;
    if (rule.first <= call && call <= rule.last) found.push_back(rule);
  }
  return found;
}

}  // namespace intaglio::virtual_hsm
