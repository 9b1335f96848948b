// The PKCS#11 module that a SAM loads: each function of the wrapped module, with the faults of the plan around it.
#include <dlfcn.h>
#include <p11-kit/pkcs11.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <thread>
#include <type_traits>

#include "control.h"

namespace intaglio::virtual_hsm {
namespace {

constexpr std::chrono::milliseconds glance{10};

/// What a function is given first.
enum class Given { nothing, slot, session };

constexpr std::array without_subject = std::to_array<std::string_view>(
    {"C_Initialize", "C_Finalize", "C_GetInfo", "C_GetFunctionList", "C_GetSlotList", "C_WaitForSlotEvent"});
constexpr std::array given_slot = std::to_array<std::string_view>(
    {"C_GetSlotInfo", "C_GetTokenInfo", "C_GetMechanismList", "C_GetMechanismInfo", "C_InitToken", "C_OpenSession", "C_CloseAllSessions"});
/// Functions that are given a key, and those that use one without being given it: what a tampered token refuses.
constexpr std::array given_key =
    std::to_array<std::string_view>({"C_SignInit", "C_EncryptInit", "C_DecryptInit", "C_VerifyInit", "C_SignRecoverInit",
                                     "C_VerifyRecoverInit", "C_DigestKey", "C_DeriveKey", "C_WrapKey", "C_UnwrapKey"});
constexpr std::array uses_key = std::to_array<std::string_view>(
    {"C_Sign", "C_SignUpdate", "C_SignFinal", "C_Encrypt", "C_EncryptUpdate", "C_EncryptFinal", "C_Decrypt", "C_DecryptUpdate",
     "C_DecryptFinal", "C_Verify", "C_VerifyUpdate", "C_VerifyFinal", "C_GenerateKey", "C_GenerateKeyPair", "C_GenerateRandom"});
constexpr std::array given_object =
    std::to_array<std::string_view>({"C_GetAttributeValue", "C_SetAttributeValue", "C_CopyObject", "C_DestroyObject", "C_GetObjectSize"});

template <std::size_t size>
bool holds(const std::array<std::string_view, size>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Given given_of(std::string_view name) {
  if (holds(without_subject, name)) return Given::nothing;
  return holds(given_slot, name) ? Given::slot : Given::session;
}

const char* setting(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') std::fprintf(stderr, "virtual-hsm: %s is not set\n", name);
  return value == nullptr || *value == '\0' ? nullptr : value;
}

CK_FUNCTION_LIST* load(const char* file) {
  void* const library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  const auto entry = library == nullptr ? nullptr : reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
  CK_FUNCTION_LIST* functions = nullptr;
  if (entry == nullptr || entry(&functions) != CKR_OK || functions == nullptr) {
    std::fprintf(stderr, "virtual-hsm: %s is no PKCS#11 module\n", file);
    return nullptr;
  }
  return functions;
}

struct Wrapper {
  Wrapper(CK_FUNCTION_LIST& wrapped, const std::string& journal_file, std::string plan_file)
      : real(wrapped), journal(journal_file), control(std::move(plan_file), journal) {}

  CK_FUNCTION_LIST& real;
  Journal journal;
  Control control;
  CK_FUNCTION_LIST list{};

  void opened(CK_SLOT_ID slot) {
    const std::lock_guard lock(mutex);
    slots.insert(slot);
  }
  void begins_signature(CK_SESSION_HANDLE session, std::string key) {
    const std::lock_guard lock(mutex);
    signing.insert_or_assign(session, std::move(key));
  }
  [[nodiscard]] std::string key_of_signature(CK_SESSION_HANDLE session) {
    const std::lock_guard lock(mutex);
    const auto found = signing.find(session);
    return found == signing.end() ? std::string() : found->second;
  }
  /// A token that is taken out takes its sessions and its login along; putting it back does not bring them back.
  void close_sessions() {
    const std::lock_guard lock(mutex);
    for (const auto slot : slots) (void)real.C_CloseAllSessions(slot);
  }
  [[nodiscard]] std::string id_of(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key) const {
    std::array<unsigned char, 64> id{};
    CK_ATTRIBUTE wanted{CKA_ID, id.data(), id.size()};
    if (real.C_GetAttributeValue(session, key, &wanted, 1) != CKR_OK || wanted.ulValueLen > id.size()) return "unknown";
    std::string text;
    for (std::size_t at = 0; at < wanted.ulValueLen; ++at) {
      constexpr std::string_view digits = "0123456789abcdef";
      text.append({digits[id[at] >> 4U], digits[id[at] & 15U]});
    }
    return text;
  }

 private:
  std::mutex mutex;
  std::set<CK_SLOT_ID> slots;
  std::map<CK_SESSION_HANDLE, std::string> signing;
};

/// Never ended: a thread may hang in it while the process ends.
Wrapper* wrapper = nullptr;

/// What the condition of the token makes of a call before it reaches the wrapped module.
std::optional<CK_RV> refusal_of(const Condition& condition, std::string_view function, Given given) {
  if (condition.absent && given != Given::nothing) return condition.absent;
  if (condition.pin_locked && function == "C_Login") return CKR_PIN_LOCKED;
  if (condition.tampered && (holds(given_key, function) || holds(uses_key, function))) return CKR_DEVICE_ERROR;
  if (condition.zeroised && holds(given_key, function)) return CKR_KEY_HANDLE_INVALID;
  if (condition.zeroised && holds(given_object, function)) return CKR_OBJECT_HANDLE_INVALID;
  return std::nullopt;
}

void wait(const std::vector<Rule>& rules, const std::shared_ptr<Standing>& standing, std::string_view function) {
  for (const auto& rule : rules) {
    if (rule.action == Action::delay) std::this_thread::sleep_for(std::chrono::milliseconds(rule.value));
    if (rule.action != Action::hang) continue;
    wrapper->journal.note(std::string("hang ").append(function));
    while (wrapper->control.standing() == standing) std::this_thread::sleep_for(glance);
  }
}

/// The first rule that decides what is reported.
const Rule* deciding(const std::vector<Rule>& rules) {
  for (const auto& rule : rules) {
    if (rule.action == Action::error_before || rule.action == Action::error_after || rule.action == Action::lose_session ||
        rule.action == Action::lose_login)
      return &rule;
  }
  return nullptr;
}

void spoil(const std::vector<Rule>& rules, unsigned char* signature, CK_ULONG& length) {
  for (const auto& rule : rules) {
    if (rule.action == Action::flip_bit && length > 0) {
      auto& octet = signature[(rule.value / 8) % length];
      octet = static_cast<unsigned char>(octet ^ (1U << (rule.value % 8)));
    }
    if (rule.action == Action::cut) length -= std::min<CK_ULONG>(rule.value, length);
  }
}

template <auto member>
struct Call;

template <typename... Arguments, CK_RV (*CK_FUNCTION_LIST::*member)(Arguments...)>
struct Call<member> {
  static inline std::size_t index = 0;

  template <auto other>
  static constexpr bool is = std::is_same_v<Call, Call<other>>;

  static CK_SESSION_HANDLE session_of(Arguments... arguments) {
    if constexpr (sizeof...(Arguments) > 0) {
      const auto first = std::get<0>(std::tuple(arguments...));
      if constexpr (std::is_same_v<decltype(first), const CK_SESSION_HANDLE>) return first;
    }
    return CK_INVALID_HANDLE;
  }

  /// The wrapped module's own answer, and what the condition of the token changes in it.
  static CK_RV reach(const Condition& condition, Effect& effect, const std::string& key, const std::vector<Rule>& rules,
                     Arguments... arguments) {
    const auto result = (wrapper->real.*member)(arguments...);
    effect = result == CKR_OK ? Effect::done : Effect::refused;
    if (result != CKR_OK) return result;
    const auto given = std::tuple(arguments...);
    if constexpr (is<&CK_FUNCTION_LIST::C_SignInit>) wrapper->begins_signature(std::get<0>(given), key);
    if constexpr (is<&CK_FUNCTION_LIST::C_OpenSession>) wrapper->opened(std::get<0>(given));
    if constexpr (is<&CK_FUNCTION_LIST::C_Sign>) {
      if (std::get<3>(given) == nullptr) {
        effect = Effect::length;
      } else {
        spoil(rules, std::get<3>(given), *std::get<4>(given));
      }
    }
    if constexpr (is<&CK_FUNCTION_LIST::C_GetSlotList>) {
      if (condition.absent) *std::get<2>(given) = 0;
    }
    if constexpr (is<&CK_FUNCTION_LIST::C_FindObjects>) {
      if (condition.zeroised) *std::get<3>(given) = 0;
    }
    if constexpr (is<&CK_FUNCTION_LIST::C_GetTokenInfo>) {
      if (condition.pin_locked) std::get<1>(given)->flags |= CKF_USER_PIN_LOCKED;
    }
    return result;
  }

  static CK_RV decide(const Standing& standing, const std::vector<Rule>& rules, Given given, Effect& effect, const std::string& key,
                      Arguments... arguments) {
    if (!standing.plan) return CKR_GENERAL_ERROR;
    const auto& condition = standing.plan->condition;
    const auto* const rule = deciding(rules);
    // A rule for one call comes before what holds for all, but nothing has an effect that the condition forbids.
    const bool would_reach = rule == nullptr || rule->action == Action::error_after;
    const auto refused = refusal_of(condition, function_names()[index], given);
    if (would_reach && refused) return rule == nullptr ? *refused : rule->result;
    if (rule == nullptr) return reach(condition, effect, key, rules, arguments...);
    switch (rule->action) {
      case Action::error_after: {
        (void)reach(condition, effect, key, rules, arguments...);
        return rule->result;
      }
      case Action::lose_session: {
        if (given == Given::session) (void)wrapper->real.C_CloseSession(session_of(arguments...));
        return rule->result;
      }
      case Action::lose_login: {
        if (given == Given::session) (void)wrapper->real.C_Logout(session_of(arguments...));
        return CKR_USER_NOT_LOGGED_IN;
      }
      default: return rule->result;
    }
  }

  /// The key of C_SignInit and C_Sign.
  static std::string key_of(Arguments... arguments) {
    if constexpr (is<&CK_FUNCTION_LIST::C_SignInit>) {
      const auto given = std::tuple(arguments...);
      return wrapper->id_of(std::get<0>(given), std::get<2>(given));
    } else if constexpr (is<&CK_FUNCTION_LIST::C_Sign>) {
      return wrapper->key_of_signature(session_of(arguments...));
    }
    return {};
  }

  static CK_RV made(Arguments... arguments) {
    const auto function = function_names()[index];
    const auto given = given_of(function);
    const auto key = key_of(arguments...);
    const auto standing = wrapper->control.standing();
    const auto call = standing->calls[index].fetch_add(1) + 1;
    const auto key_call = key.empty() ? 0 : standing->count(index, key);
    std::vector<Rule> rules;
    if (standing->plan) {
      rules = rules_for(*standing->plan, {function, given == Given::session, call, key, key_call});
      if (standing->plan->condition.absent) std::call_once(standing->sessions_closed, [] { wrapper->close_sessions(); });
    }
    wait(rules, standing, function);
    auto effect = Effect::none;
    const auto result = decide(*standing, rules, given, effect, key, arguments...);
    wrapper->journal.call(function, call, result, effect, key);
    return result;
  }
};

CK_RV give_list(CK_FUNCTION_LIST** list) {
  if (list == nullptr) return CKR_ARGUMENTS_BAD;
  *list = &wrapper->list;
  return CKR_OK;
}

template <auto member>
void wrap(std::string_view name) {
  const auto names = function_names();
  Call<member>::index = static_cast<std::size_t>(std::find(names.begin(), names.end(), name) - names.begin());
  wrapper->list.*member = Call<member>::made;
}

void wrap_all() {
  wrapper->list.version = wrapper->real.version;
  wrapper->list.C_GetFunctionList = give_list;
  wrap<&CK_FUNCTION_LIST::C_Initialize>("C_Initialize");
  wrap<&CK_FUNCTION_LIST::C_Finalize>("C_Finalize");
  wrap<&CK_FUNCTION_LIST::C_GetInfo>("C_GetInfo");
  wrap<&CK_FUNCTION_LIST::C_GetSlotList>("C_GetSlotList");
  wrap<&CK_FUNCTION_LIST::C_GetSlotInfo>("C_GetSlotInfo");
  wrap<&CK_FUNCTION_LIST::C_GetTokenInfo>("C_GetTokenInfo");
  wrap<&CK_FUNCTION_LIST::C_GetMechanismList>("C_GetMechanismList");
  wrap<&CK_FUNCTION_LIST::C_GetMechanismInfo>("C_GetMechanismInfo");
  wrap<&CK_FUNCTION_LIST::C_InitToken>("C_InitToken");
  wrap<&CK_FUNCTION_LIST::C_InitPIN>("C_InitPIN");
  wrap<&CK_FUNCTION_LIST::C_SetPIN>("C_SetPIN");
  wrap<&CK_FUNCTION_LIST::C_OpenSession>("C_OpenSession");
  wrap<&CK_FUNCTION_LIST::C_CloseSession>("C_CloseSession");
  wrap<&CK_FUNCTION_LIST::C_CloseAllSessions>("C_CloseAllSessions");
  wrap<&CK_FUNCTION_LIST::C_GetSessionInfo>("C_GetSessionInfo");
  wrap<&CK_FUNCTION_LIST::C_GetOperationState>("C_GetOperationState");
  wrap<&CK_FUNCTION_LIST::C_SetOperationState>("C_SetOperationState");
  wrap<&CK_FUNCTION_LIST::C_Login>("C_Login");
  wrap<&CK_FUNCTION_LIST::C_Logout>("C_Logout");
  wrap<&CK_FUNCTION_LIST::C_CreateObject>("C_CreateObject");
  wrap<&CK_FUNCTION_LIST::C_CopyObject>("C_CopyObject");
  wrap<&CK_FUNCTION_LIST::C_DestroyObject>("C_DestroyObject");
  wrap<&CK_FUNCTION_LIST::C_GetObjectSize>("C_GetObjectSize");
  wrap<&CK_FUNCTION_LIST::C_GetAttributeValue>("C_GetAttributeValue");
  wrap<&CK_FUNCTION_LIST::C_SetAttributeValue>("C_SetAttributeValue");
  wrap<&CK_FUNCTION_LIST::C_FindObjectsInit>("C_FindObjectsInit");
  wrap<&CK_FUNCTION_LIST::C_FindObjects>("C_FindObjects");
  wrap<&CK_FUNCTION_LIST::C_FindObjectsFinal>("C_FindObjectsFinal");
  wrap<&CK_FUNCTION_LIST::C_EncryptInit>("C_EncryptInit");
  wrap<&CK_FUNCTION_LIST::C_Encrypt>("C_Encrypt");
  wrap<&CK_FUNCTION_LIST::C_EncryptUpdate>("C_EncryptUpdate");
  wrap<&CK_FUNCTION_LIST::C_EncryptFinal>("C_EncryptFinal");
  wrap<&CK_FUNCTION_LIST::C_DecryptInit>("C_DecryptInit");
  wrap<&CK_FUNCTION_LIST::C_Decrypt>("C_Decrypt");
  wrap<&CK_FUNCTION_LIST::C_DecryptUpdate>("C_DecryptUpdate");
  wrap<&CK_FUNCTION_LIST::C_DecryptFinal>("C_DecryptFinal");
  wrap<&CK_FUNCTION_LIST::C_DigestInit>("C_DigestInit");
  wrap<&CK_FUNCTION_LIST::C_Digest>("C_Digest");
  wrap<&CK_FUNCTION_LIST::C_DigestUpdate>("C_DigestUpdate");
  wrap<&CK_FUNCTION_LIST::C_DigestKey>("C_DigestKey");
  wrap<&CK_FUNCTION_LIST::C_DigestFinal>("C_DigestFinal");
  wrap<&CK_FUNCTION_LIST::C_SignInit>("C_SignInit");
  wrap<&CK_FUNCTION_LIST::C_Sign>("C_Sign");
  wrap<&CK_FUNCTION_LIST::C_SignUpdate>("C_SignUpdate");
  wrap<&CK_FUNCTION_LIST::C_SignFinal>("C_SignFinal");
  wrap<&CK_FUNCTION_LIST::C_SignRecoverInit>("C_SignRecoverInit");
  wrap<&CK_FUNCTION_LIST::C_SignRecover>("C_SignRecover");
  wrap<&CK_FUNCTION_LIST::C_VerifyInit>("C_VerifyInit");
  wrap<&CK_FUNCTION_LIST::C_Verify>("C_Verify");
  wrap<&CK_FUNCTION_LIST::C_VerifyUpdate>("C_VerifyUpdate");
  wrap<&CK_FUNCTION_LIST::C_VerifyFinal>("C_VerifyFinal");
  wrap<&CK_FUNCTION_LIST::C_VerifyRecoverInit>("C_VerifyRecoverInit");
  wrap<&CK_FUNCTION_LIST::C_VerifyRecover>("C_VerifyRecover");
  wrap<&CK_FUNCTION_LIST::C_DigestEncryptUpdate>("C_DigestEncryptUpdate");
  wrap<&CK_FUNCTION_LIST::C_DecryptDigestUpdate>("C_DecryptDigestUpdate");
  wrap<&CK_FUNCTION_LIST::C_SignEncryptUpdate>("C_SignEncryptUpdate");
  wrap<&CK_FUNCTION_LIST::C_DecryptVerifyUpdate>("C_DecryptVerifyUpdate");
  wrap<&CK_FUNCTION_LIST::C_GenerateKey>("C_GenerateKey");
  wrap<&CK_FUNCTION_LIST::C_GenerateKeyPair>("C_GenerateKeyPair");
  wrap<&CK_FUNCTION_LIST::C_WrapKey>("C_WrapKey");
  wrap<&CK_FUNCTION_LIST::C_UnwrapKey>("C_UnwrapKey");
  wrap<&CK_FUNCTION_LIST::C_DeriveKey>("C_DeriveKey");
  wrap<&CK_FUNCTION_LIST::C_SeedRandom>("C_SeedRandom");
  wrap<&CK_FUNCTION_LIST::C_GenerateRandom>("C_GenerateRandom");
  wrap<&CK_FUNCTION_LIST::C_GetFunctionStatus>("C_GetFunctionStatus");
  wrap<&CK_FUNCTION_LIST::C_CancelFunction>("C_CancelFunction");
  wrap<&CK_FUNCTION_LIST::C_WaitForSlotEvent>("C_WaitForSlotEvent");
}

Wrapper* made_once() {
  static std::once_flag once;
  std::call_once(once, [] {
    const char* const module = setting("INTAGLIO_VIRTUAL_HSM_MODULE");
    const char* const plan = setting("INTAGLIO_VIRTUAL_HSM_PLAN");
    const char* const journal = setting("INTAGLIO_VIRTUAL_HSM_JOURNAL");
    if (module == nullptr || plan == nullptr || journal == nullptr) return;
    auto* const real = load(module);
    if (real == nullptr) return;
    wrapper = new Wrapper(*real, journal, plan);
    wrap_all();
  });
  return wrapper;
}

}  // namespace
}  // namespace intaglio::virtual_hsm

extern "C" __attribute__((visibility("default"))) CK_RV C_GetFunctionList(CK_FUNCTION_LIST** list) {
  if (intaglio::virtual_hsm::made_once() == nullptr) return CKR_GENERAL_ERROR;
  return intaglio::virtual_hsm::give_list(list);
}
