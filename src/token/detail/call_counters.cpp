#include "token/detail/call_counters.h"

namespace intaglio::token::detail {
namespace {

constexpr std::array<std::string_view, function_count> function_names = {
    "C_Initialize",        "C_GetSlotList",    "C_GetTokenInfo",  "C_GetMechanismInfo", "C_OpenSession",
    "C_CloseSession",      "C_GetSessionInfo", "C_Login",         "C_FindObjects",      "C_GetAttributeValue",
    "C_SetAttributeValue", "C_CopyObject",     "C_DestroyObject", "C_GenerateKey",      "C_GenerateKeyPair",
    "C_DeriveKey",         "C_WrapKey",        "C_UnwrapKey",     "C_SignInit",         "C_Sign",
    "C_EncryptInit",       "C_Encrypt",        "C_DecryptInit",   "C_Decrypt",          "C_GenerateRandom"};
constexpr std::array<std::string_view, object_kind_count> object_names = {"none", "signer-key", "service-key", "mac-key", "probe-object"};

std::size_t place_of(std::size_t function, std::size_t object, std::size_t result) noexcept {
  return (function * object_kind_count + object) * ckr_table().size() + result;
}

}  // namespace

std::string_view name_of(Function function) noexcept { return function_names[static_cast<std::size_t>(function)]; }

CallCounters::CallCounters() : counts_(function_count * object_kind_count * ckr_table().size()) {}

CK_RV CallCounters::record(Function function, ObjectKind object, CK_RV result) noexcept {
  const auto place = place_of(static_cast<std::size_t>(function), static_cast<std::size_t>(object), index_of(result));
  counts_[place].fetch_add(1, std::memory_order_relaxed);
  return result;
}

std::vector<CallCount> CallCounters::read() const {
  std::vector<CallCount> lines;
  const auto results = ckr_table();
  for (std::size_t function = 0; function < function_count; ++function) {
    for (std::size_t object = 0; object < object_kind_count; ++object) {
      for (std::size_t result = 0; result < results.size(); ++result) {
        const auto count = counts_[place_of(function, object, result)].load(std::memory_order_relaxed);
        if (count == 0) continue;
        lines.push_back(
            {std::string(function_names[function]), std::string(object_names[object]), std::string(results[result].name), count});
      }
    }
  }
  return lines;
}

}  // namespace intaglio::token::detail
