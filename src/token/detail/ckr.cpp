#include "token/detail/ckr.h"

#include <array>
#include <string>

namespace intaglio::token::detail {
namespace {

constexpr std::array table = std::to_array<CkrInfo>({
    {CKR_OK, "CKR_OK", CkrClass::ok, false},
    {CKR_CANCEL, "CKR_CANCEL", CkrClass::general, false},
    {CKR_HOST_MEMORY, "CKR_HOST_MEMORY", CkrClass::busy, true},
    {CKR_SLOT_ID_INVALID, "CKR_SLOT_ID_INVALID", CkrClass::device_lost, true},
    {CKR_GENERAL_ERROR, "CKR_GENERAL_ERROR", CkrClass::general, true},
    {CKR_FUNCTION_FAILED, "CKR_FUNCTION_FAILED", CkrClass::general, true},
    {CKR_ARGUMENTS_BAD, "CKR_ARGUMENTS_BAD", CkrClass::argument, true},
    {CKR_NO_EVENT, "CKR_NO_EVENT", CkrClass::refused, true},
    {CKR_NEED_TO_CREATE_THREADS, "CKR_NEED_TO_CREATE_THREADS", CkrClass::argument, true},
    {CKR_CANT_LOCK, "CKR_CANT_LOCK", CkrClass::argument, true},
    {CKR_ATTRIBUTE_READ_ONLY, "CKR_ATTRIBUTE_READ_ONLY", CkrClass::refused, true},
    {CKR_ATTRIBUTE_SENSITIVE, "CKR_ATTRIBUTE_SENSITIVE", CkrClass::refused, true},
    {CKR_ATTRIBUTE_TYPE_INVALID, "CKR_ATTRIBUTE_TYPE_INVALID", CkrClass::argument, true},
    {CKR_ATTRIBUTE_VALUE_INVALID, "CKR_ATTRIBUTE_VALUE_INVALID", CkrClass::argument, true},
    {CKR_ACTION_PROHIBITED, "CKR_ACTION_PROHIBITED", CkrClass::refused, true},
    {CKR_DATA_INVALID, "CKR_DATA_INVALID", CkrClass::argument, true},
    {CKR_DATA_LEN_RANGE, "CKR_DATA_LEN_RANGE", CkrClass::argument, true},
    {CKR_DEVICE_ERROR, "CKR_DEVICE_ERROR", CkrClass::device_lost, true},
    {CKR_DEVICE_MEMORY, "CKR_DEVICE_MEMORY", CkrClass::busy, true},
    {CKR_DEVICE_REMOVED, "CKR_DEVICE_REMOVED", CkrClass::device_lost, true},
    {CKR_ENCRYPTED_DATA_INVALID, "CKR_ENCRYPTED_DATA_INVALID", CkrClass::argument, true},
    {CKR_ENCRYPTED_DATA_LEN_RANGE, "CKR_ENCRYPTED_DATA_LEN_RANGE", CkrClass::argument, true},
    {CKR_FUNCTION_CANCELED, "CKR_FUNCTION_CANCELED", CkrClass::general, false},
    {CKR_FUNCTION_NOT_PARALLEL, "CKR_FUNCTION_NOT_PARALLEL", CkrClass::general, true},
    {CKR_FUNCTION_NOT_SUPPORTED, "CKR_FUNCTION_NOT_SUPPORTED", CkrClass::refused, true},
    {CKR_KEY_HANDLE_INVALID, "CKR_KEY_HANDLE_INVALID", CkrClass::argument, true},
    {CKR_KEY_SIZE_RANGE, "CKR_KEY_SIZE_RANGE", CkrClass::refused, true},
    {CKR_KEY_TYPE_INCONSISTENT, "CKR_KEY_TYPE_INCONSISTENT", CkrClass::refused, true},
    {CKR_KEY_NOT_NEEDED, "CKR_KEY_NOT_NEEDED", CkrClass::argument, true},
    {CKR_KEY_CHANGED, "CKR_KEY_CHANGED", CkrClass::argument, true},
    {CKR_KEY_NEEDED, "CKR_KEY_NEEDED", CkrClass::argument, true},
    {CKR_KEY_INDIGESTIBLE, "CKR_KEY_INDIGESTIBLE", CkrClass::refused, true},
    {CKR_KEY_FUNCTION_NOT_PERMITTED, "CKR_KEY_FUNCTION_NOT_PERMITTED", CkrClass::refused, true},
    {CKR_KEY_NOT_WRAPPABLE, "CKR_KEY_NOT_WRAPPABLE", CkrClass::refused, true},
    {CKR_KEY_UNEXTRACTABLE, "CKR_KEY_UNEXTRACTABLE", CkrClass::refused, true},
    {CKR_MECHANISM_INVALID, "CKR_MECHANISM_INVALID", CkrClass::refused, true},
    {CKR_MECHANISM_PARAM_INVALID, "CKR_MECHANISM_PARAM_INVALID", CkrClass::argument, true},
    {CKR_OBJECT_HANDLE_INVALID, "CKR_OBJECT_HANDLE_INVALID", CkrClass::argument, true},
    {CKR_OPERATION_ACTIVE, "CKR_OPERATION_ACTIVE", CkrClass::session_lost, true},
    {CKR_OPERATION_NOT_INITIALIZED, "CKR_OPERATION_NOT_INITIALIZED", CkrClass::session_lost, true},
    {CKR_PIN_INCORRECT, "CKR_PIN_INCORRECT", CkrClass::pin, true},
    {CKR_PIN_INVALID, "CKR_PIN_INVALID", CkrClass::pin, true},
    {CKR_PIN_LEN_RANGE, "CKR_PIN_LEN_RANGE", CkrClass::pin, true},
    {CKR_PIN_EXPIRED, "CKR_PIN_EXPIRED", CkrClass::pin, true},
    {CKR_PIN_LOCKED, "CKR_PIN_LOCKED", CkrClass::pin, true},
    {CKR_SESSION_CLOSED, "CKR_SESSION_CLOSED", CkrClass::session_lost, true},
    {CKR_SESSION_COUNT, "CKR_SESSION_COUNT", CkrClass::busy, true},
    {CKR_SESSION_HANDLE_INVALID, "CKR_SESSION_HANDLE_INVALID", CkrClass::session_lost, true},
    {CKR_SESSION_PARALLEL_NOT_SUPPORTED, "CKR_SESSION_PARALLEL_NOT_SUPPORTED", CkrClass::argument, true},
    {CKR_SESSION_READ_ONLY, "CKR_SESSION_READ_ONLY", CkrClass::refused, true},
    {CKR_SESSION_EXISTS, "CKR_SESSION_EXISTS", CkrClass::busy, true},
    {CKR_SESSION_READ_ONLY_EXISTS, "CKR_SESSION_READ_ONLY_EXISTS", CkrClass::busy, true},
    {CKR_SESSION_READ_WRITE_SO_EXISTS, "CKR_SESSION_READ_WRITE_SO_EXISTS", CkrClass::busy, true},
    {CKR_SIGNATURE_INVALID, "CKR_SIGNATURE_INVALID", CkrClass::argument, true},
    {CKR_SIGNATURE_LEN_RANGE, "CKR_SIGNATURE_LEN_RANGE", CkrClass::argument, true},
    {CKR_TEMPLATE_INCOMPLETE, "CKR_TEMPLATE_INCOMPLETE", CkrClass::argument, true},
    {CKR_TEMPLATE_INCONSISTENT, "CKR_TEMPLATE_INCONSISTENT", CkrClass::argument, true},
    {CKR_TOKEN_NOT_PRESENT, "CKR_TOKEN_NOT_PRESENT", CkrClass::device_lost, true},
    {CKR_TOKEN_NOT_RECOGNIZED, "CKR_TOKEN_NOT_RECOGNIZED", CkrClass::device_lost, true},
    {CKR_TOKEN_WRITE_PROTECTED, "CKR_TOKEN_WRITE_PROTECTED", CkrClass::refused, true},
    {CKR_UNWRAPPING_KEY_HANDLE_INVALID, "CKR_UNWRAPPING_KEY_HANDLE_INVALID", CkrClass::argument, true},
    {CKR_UNWRAPPING_KEY_SIZE_RANGE, "CKR_UNWRAPPING_KEY_SIZE_RANGE", CkrClass::refused, true},
    {CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT, "CKR_UNWRAPPING_KEY_TYPE_INCONSISTENT", CkrClass::refused, true},
    {CKR_USER_ALREADY_LOGGED_IN, "CKR_USER_ALREADY_LOGGED_IN", CkrClass::refused, true},
    {CKR_USER_NOT_LOGGED_IN, "CKR_USER_NOT_LOGGED_IN", CkrClass::session_lost, true},
    {CKR_USER_PIN_NOT_INITIALIZED, "CKR_USER_PIN_NOT_INITIALIZED", CkrClass::pin, true},
    {CKR_USER_TYPE_INVALID, "CKR_USER_TYPE_INVALID", CkrClass::argument, true},
    {CKR_USER_ANOTHER_ALREADY_LOGGED_IN, "CKR_USER_ANOTHER_ALREADY_LOGGED_IN", CkrClass::busy, true},
    {CKR_USER_TOO_MANY_TYPES, "CKR_USER_TOO_MANY_TYPES", CkrClass::busy, true},
    {CKR_WRAPPED_KEY_INVALID, "CKR_WRAPPED_KEY_INVALID", CkrClass::argument, true},
    {CKR_WRAPPED_KEY_LEN_RANGE, "CKR_WRAPPED_KEY_LEN_RANGE", CkrClass::argument, true},
    {CKR_WRAPPING_KEY_HANDLE_INVALID, "CKR_WRAPPING_KEY_HANDLE_INVALID", CkrClass::argument, true},
    {CKR_WRAPPING_KEY_SIZE_RANGE, "CKR_WRAPPING_KEY_SIZE_RANGE", CkrClass::refused, true},
    {CKR_WRAPPING_KEY_TYPE_INCONSISTENT, "CKR_WRAPPING_KEY_TYPE_INCONSISTENT", CkrClass::refused, true},
    {CKR_RANDOM_SEED_NOT_SUPPORTED, "CKR_RANDOM_SEED_NOT_SUPPORTED", CkrClass::refused, true},
    {CKR_RANDOM_NO_RNG, "CKR_RANDOM_NO_RNG", CkrClass::general, true},
    {CKR_DOMAIN_PARAMS_INVALID, "CKR_DOMAIN_PARAMS_INVALID", CkrClass::argument, true},
    {CKR_CURVE_NOT_SUPPORTED, "CKR_CURVE_NOT_SUPPORTED", CkrClass::refused, true},
    {CKR_BUFFER_TOO_SMALL, "CKR_BUFFER_TOO_SMALL", CkrClass::argument, true},
    {CKR_SAVED_STATE_INVALID, "CKR_SAVED_STATE_INVALID", CkrClass::argument, true},
    {CKR_INFORMATION_SENSITIVE, "CKR_INFORMATION_SENSITIVE", CkrClass::refused, true},
    {CKR_STATE_UNSAVEABLE, "CKR_STATE_UNSAVEABLE", CkrClass::refused, true},
    {CKR_CRYPTOKI_NOT_INITIALIZED, "CKR_CRYPTOKI_NOT_INITIALIZED", CkrClass::device_lost, true},
    {CKR_CRYPTOKI_ALREADY_INITIALIZED, "CKR_CRYPTOKI_ALREADY_INITIALIZED", CkrClass::refused, true},
    {CKR_MUTEX_BAD, "CKR_MUTEX_BAD", CkrClass::argument, true},
    {CKR_MUTEX_NOT_LOCKED, "CKR_MUTEX_NOT_LOCKED", CkrClass::argument, true},
    {CKR_NEW_PIN_MODE, "CKR_NEW_PIN_MODE", CkrClass::pin, true},
    {CKR_NEXT_OTP, "CKR_NEXT_OTP", CkrClass::pin, true},
    {CKR_EXCEEDED_MAX_ITERATIONS, "CKR_EXCEEDED_MAX_ITERATIONS", CkrClass::general, true},
    {CKR_FIPS_SELF_TEST_FAILED, "CKR_FIPS_SELF_TEST_FAILED", CkrClass::tamper, true},
    {CKR_LIBRARY_LOAD_FAILED, "CKR_LIBRARY_LOAD_FAILED", CkrClass::device_lost, true},
    {CKR_PIN_TOO_WEAK, "CKR_PIN_TOO_WEAK", CkrClass::pin, true},
    {CKR_PUBLIC_KEY_INVALID, "CKR_PUBLIC_KEY_INVALID", CkrClass::argument, true},
    {CKR_FUNCTION_REJECTED, "CKR_FUNCTION_REJECTED", CkrClass::refused, true},
    {CKR_VENDOR_DEFINED, "CKR_VENDOR_DEFINED", CkrClass::general, false},
});

ErrorCode code_of(CkrClass meaning) noexcept {
  switch (meaning) {
    case CkrClass::refused: return ErrorCode::unsupported;
    case CkrClass::pin: return ErrorCode::configuration;
    case CkrClass::busy: return ErrorCode::busy;
    case CkrClass::argument: return ErrorCode::internal;
    case CkrClass::ok:
    case CkrClass::session_lost:
    case CkrClass::device_lost:
    case CkrClass::tamper:
    case CkrClass::general: break;
  }
  return ErrorCode::token_unavailable;
}

}  // namespace

std::span<const CkrInfo> ckr_table() noexcept { return table; }

std::size_t index_of(CK_RV result) noexcept {
  for (std::size_t index = 0; index + 1 < table.size(); ++index) {
    if (table[index].value == result) return index;
  }
  return table.size() - 1;
}

const CkrInfo& describe(CK_RV result) noexcept { return table[index_of(result)]; }

Error error_of(std::string_view function, CK_RV result) {
  const auto& info = describe(result);
  std::string detail(function);
  detail.append(": ").append(info.name);
  if (info.value != result) detail.append(" (").append(std::to_string(result)).append(")");
  return {code_of(info.meaning), std::move(detail)};
}

}  // namespace intaglio::token::detail
