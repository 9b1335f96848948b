#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

#include "token/detail/ckr.h"
#include "token/token.h"

namespace intaglio::token::detail {

enum class Function : std::uint8_t {
  initialize,
  get_slot_list,
  get_token_info,
  get_mechanism_info,
  open_session,
  close_session,
  get_session_info,
  login,
  find_objects,
  get_attribute_value,
  set_attribute_value,
  copy_object,
  destroy_object,
  generate_key,
  generate_key_pair,
  derive_key,
  wrap_key,
  unwrap_key,
  sign_init,
  sign,
  encrypt_init,
  encrypt,
  decrypt_init,
  decrypt,
  generate_random,
};
inline constexpr std::size_t function_count = static_cast<std::size_t>(Function::generate_random) + 1;
[[nodiscard]] std::string_view name_of(Function function) noexcept;

enum class ObjectKind : std::uint8_t { none, signer_key, service_key, mac_key, probe_object };
inline constexpr std::size_t object_kind_count = 5;

/// Counts of PKCS#11 calls by function, object and result (trust-core, section 4). One relaxed addition per call.
class CallCounters {
 public:
  CallCounters();
  /// Gives the result back, so that a call is written in one line.
  CK_RV record(Function function, ObjectKind object, CK_RV result) noexcept;
  [[nodiscard]] std::vector<CallCount> read() const;

 private:
  std::vector<std::atomic<std::uint64_t>> counts_;
};

}  // namespace intaglio::token::detail
