#include "token/detail/slot.h"

#include <optional>

#include "base/check.h"

namespace intaglio::token::detail {
namespace {

Result<std::vector<CK_SLOT_ID>> slots_with_token(const CK_FUNCTION_LIST& functions, CallCounters& counters) {
  for (int attempt = 0; attempt < 4; ++attempt) {
    CK_ULONG count = 0;
    auto result = counters.record(Function::get_slot_list, ObjectKind::none, functions.C_GetSlotList(CK_TRUE, nullptr, &count));
    if (result != CKR_OK) return error_of("C_GetSlotList", result);
    std::vector<CK_SLOT_ID> slots(count);
    result = counters.record(Function::get_slot_list, ObjectKind::none, functions.C_GetSlotList(CK_TRUE, slots.data(), &count));
    if (result == CKR_BUFFER_TOO_SMALL) continue;
    if (result != CKR_OK) return error_of("C_GetSlotList", result);
    slots.resize(count);
    return slots;
  }
  return Error{ErrorCode::token_unavailable, "C_GetSlotList: the number of slots keeps changing"};
}

std::optional<CK_TOKEN_INFO> token_in(const CK_FUNCTION_LIST& functions, CallCounters& counters, CK_SLOT_ID slot) {
  CK_TOKEN_INFO info{};
  if (counters.record(Function::get_token_info, ObjectKind::none, functions.C_GetTokenInfo(slot, &info)) != CKR_OK) return std::nullopt;
  return info;
}

}  // namespace

std::string_view padded_text(const CK_UTF8CHAR* field, std::size_t size) noexcept {
  const auto text = as_text({field, size});
  const auto last = text.find_last_not_of(' ');
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

Result<Slot> find_slot(const CK_FUNCTION_LIST& functions, CallCounters& counters, std::string_view label) {
  auto slots = slots_with_token(functions, counters);
  if (!slots) return slots.error();
  std::optional<Slot> found;
  for (const auto id : *slots) {
    const auto info = token_in(functions, counters, id);
    if (!info || (info->flags & CKF_TOKEN_INITIALIZED) == 0 || padded_text(info->label, sizeof info->label) != label) continue;
    if (found) return Error{ErrorCode::conflict, "more than one token is labelled " + std::string(label)};
    found = Slot{id, *info};
  }
  if (!found) return Error{ErrorCode::not_found, "no token is labelled " + std::string(label)};
  return *found;
}

Result<CK_SLOT_ID> find_free_slot(const CK_FUNCTION_LIST& functions, CallCounters& counters) {
  auto slots = slots_with_token(functions, counters);
  if (!slots) return slots.error();
  for (const auto id : *slots) {
    const auto info = token_in(functions, counters, id);
    if (info && (info->flags & CKF_TOKEN_INITIALIZED) == 0) return id;
  }
  return Error{ErrorCode::not_found, "no slot is free for a new token"};
}

Status check_pin_tries(CK_FLAGS flags) {
  if (refused_by("token.final_try_is_a_persons", (flags & (CKF_USER_PIN_FINAL_TRY | CKF_USER_PIN_LOCKED)) != 0)) {
    return Error{ErrorCode::configuration, "the token's PIN is locked or one try away from it"};
  }
  return {};
}

std::string describe_token(const CK_TOKEN_INFO& token) {
  std::string text(padded_text(token.manufacturerID, sizeof token.manufacturerID));
  text.append(" ").append(padded_text(token.model, sizeof token.model));
  text.append(", firmware ")
      .append(std::to_string(token.firmwareVersion.major))
      .append(".")
      .append(std::to_string(token.firmwareVersion.minor));
  text.append(", serial ").append(padded_text(token.serialNumber, sizeof token.serialNumber));
  return text;
}

}  // namespace intaglio::token::detail
