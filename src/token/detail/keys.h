#pragma once

#include "token/detail/connection.h"
#include "token/detail/key_profile.h"
#include "token/detail/key_table.h"

namespace intaglio::token::detail {

/// Finds, makes and destroys keys; one of these at a time in the process, and in the folder of a SoftHSM token.
class Keys {
 public:
  explicit Keys(Connection& connection) : connection_(connection) {}

  [[nodiscard]] KeyTable& table() noexcept { return table_; }
  /// The number of the only key of this purpose with this CKA_ID: not_found when there is none, conflict when there are more.
  [[nodiscard]] Result<unsigned long> find(KeyPurpose purpose, ByteView id);
  /// `conflict` when one exists. The key's attributes are read back; when one differs the key is destroyed again.
  [[nodiscard]] Result<unsigned long> generate(KeyPurpose purpose, crypto::KeyAlgorithm algorithm, ByteView id, std::string_view label);
  Status destroy(unsigned long number);
  /// Objects that are kept in the token, or that end with their sessions.
  [[nodiscard]] Result<std::size_t> count(bool stored = true);
  /// Objects of every kind with this CKA_ID, stored or not.
  [[nodiscard]] Result<std::size_t> count_with_id(ByteView id);
  /// The cached keys under their new handles; a key that is gone or whose public key differs loses its handle.
  Status rebind_all();

 private:
  [[nodiscard]] Result<std::vector<CK_OBJECT_HANDLE>> search(CK_SESSION_HANDLE session, Template attributes, std::size_t most);
  [[nodiscard]] Result<std::vector<CK_OBJECT_HANDLE>> search_purpose(CK_SESSION_HANDLE session, const KeyProfile& profile,
                                                                     CK_OBJECT_CLASS object_class, ByteView id);
  [[nodiscard]] Result<KeyEntry> find_entry(CK_SESSION_HANDLE session, KeyPurpose purpose, ByteView id);
  [[nodiscard]] Result<KeyEntry> make_entry(CK_SESSION_HANDLE session, const KeyProfile& profile, crypto::KeyAlgorithm algorithm,
                                            ByteView id, std::string_view label);
  Status destroy_objects(CK_SESSION_HANDLE session, ObjectKind kind, CK_OBJECT_HANDLE handle, CK_OBJECT_HANDLE pair);
  /// Ends the time in which another thread may still be reading the folder anew, see keys.cpp.
  Status settle(CK_SESSION_HANDLE session);
  [[nodiscard]] ObjectView view(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, KeyPurpose purpose);

  Connection& connection_;
  KeyTable table_;
};

[[nodiscard]] inline ObjectKind kind_of(KeyPurpose purpose) noexcept {
  return purpose == KeyPurpose::signer ? ObjectKind::signer_key : ObjectKind::service_key;
}

}  // namespace intaglio::token::detail
