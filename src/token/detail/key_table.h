#pragma once

#include <map>
#include <optional>
#include <shared_mutex>
#include <unordered_map>

#include "token/detail/cryptoki.h"
#include "token/token.h"

namespace intaglio::token::detail {

/// A key that was found or made. `pair` is the public half's object, CK_INVALID_HANDLE for secret keys.
struct KeyEntry {
  KeyPurpose purpose;
  Bytes id;
  CK_OBJECT_HANDLE handle;
  CK_OBJECT_HANDLE pair;
  std::optional<crypto::PublicKey> public_key;
};

/// Numbers that stand for keys outside this room: a handle of the token changes with every new login, a number never does.
class KeyTable {
 public:
  /// The number of this purpose and id; a key that is known keeps its number and gets the new handles.
  [[nodiscard]] unsigned long add(KeyEntry entry);
  /// CK_INVALID_HANDLE for a key that is gone.
  [[nodiscard]] CK_OBJECT_HANDLE handle(unsigned long number) const;
  [[nodiscard]] std::optional<KeyEntry> entry(unsigned long number) const;
  [[nodiscard]] std::vector<unsigned long> numbers() const;
  void rebind(unsigned long number, CK_OBJECT_HANDLE handle, CK_OBJECT_HANDLE pair);
  void remove(unsigned long number);

 private:
  mutable std::shared_mutex mutex_;
  std::unordered_map<unsigned long, KeyEntry> entries_;
  std::map<std::pair<KeyPurpose, Bytes>, unsigned long> numbers_;
  unsigned long next_ = 1;
};

}  // namespace intaglio::token::detail
