#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"

/// The CBOR of WebAuthn (RFC 8949; CTAP2 canonical form), read strictly: definite lengths, no tags, no floating point, no member twice,
/// bounded in depth and number of items. All of libcbor is in this file's source.
namespace intaglio::evidence::cbor {

struct Item;
using Array = std::vector<Item>;
using Map = std::vector<std::pair<Item, Item>>;

/// Texts and byte strings are views into the input. A number beyond int64 is refused.
struct Item {
  std::variant<std::nullptr_t, bool, std::int64_t, ByteView, std::string_view, Array, Map> value = nullptr;

  /// The member of a map, or nullptr when this is no map or has none of that name.
  [[nodiscard]] const Item* find(std::string_view name) const;
  [[nodiscard]] const Item* find(std::int64_t label) const;
  /// The content when it is of that type, else nullptr.
  template <typename T>
  [[nodiscard]] const T* as() const noexcept {
    return std::get_if<T>(&value);
  }
};

/// Exactly one item, at most 64 KiB; refused (`invalid_request`) with what is wrong.
[[nodiscard]] Result<Item> parse(ByteView input);

struct Prefix {
  Item item;
  std::size_t size;  ///< bytes of it
};
/// The item that the input begins with: a key inside authenticator data has no length of its own.
[[nodiscard]] Result<Prefix> parse_prefix(ByteView input);

}  // namespace intaglio::evidence::cbor
