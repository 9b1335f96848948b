#include "token/detail/throw_away.h"

#include <array>
#include <vector>

#include "token/detail/attributes.h"

namespace intaglio::token::detail {
namespace {

/// Every match, before anything is destroyed: some modules end a search when its objects change. Nothing when the search failed.
std::optional<std::vector<CK_OBJECT_HANDLE>> matches(Connection& connection, CK_SESSION_HANDLE session, Template& wanted) {
  const auto& functions = connection.functions();
  if (functions.C_FindObjectsInit(session, wanted.data(), wanted.size()) != CKR_OK) return std::nullopt;
  std::vector<CK_OBJECT_HANDLE> all;
  CK_RV result = CKR_OK;
  for (CK_ULONG found = 1; result == CKR_OK && found != 0;) {
    std::array<CK_OBJECT_HANDLE, 16> page{};
    result = connection.counters().record(Function::find_objects, ObjectKind::probe_object,
                                          functions.C_FindObjects(session, page.data(), static_cast<CK_ULONG>(page.size()), &found));
    if (result == CKR_OK) all.insert(all.end(), page.begin(), page.begin() + static_cast<std::ptrdiff_t>(found));
  }
  functions.C_FindObjectsFinal(session);
  return result == CKR_OK ? std::optional(std::move(all)) : std::nullopt;
}

}  // namespace

std::size_t destroy_stored(Connection& connection, ByteView id) {
  auto session = OwnSession::open(connection, OwnSession::Access::read_write);
  if (!session) return 1;
  Template wanted;
  wanted.flag(CKA_TOKEN, true).bytes(CKA_ID, id);
  const auto found = matches(connection, session->handle(), wanted);
  if (!found) return 1;
  std::size_t left = 0;
  for (const auto object : *found) {
    const auto result = connection.counters().record(Function::destroy_object, ObjectKind::probe_object,
                                                     connection.functions().C_DestroyObject(session->handle(), object));
    if (result != CKR_OK) ++left;
  }
  return left;
}

}  // namespace intaglio::token::detail
