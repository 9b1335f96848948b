#include "evidence/cbor.h"

#include <cbor.h>

#include <algorithm>
#include <limits>

namespace intaglio::evidence::cbor {
namespace {

constexpr std::size_t max_bytes = 64 * 1024;
constexpr unsigned max_depth = 8;
constexpr std::size_t max_items = 512;

Error malformed(const char* why) { return {ErrorCode::invalid_request, std::string("CBOR: ") + why}; }

/// What the decoder said of one item: a value, or the head of an array or map whose members follow.
struct Head {
  enum class Kind { none, value, array, map, refused } kind = Kind::none;
  Item item;
  std::uint64_t count = 0;
  const char* why = "an item of a kind that WebAuthn does not use";
};

Head& head_of(void* context) { return *static_cast<Head*>(context); }
void put(void* context, Item item) {
  head_of(context).kind = Head::Kind::value;
  head_of(context).item = std::move(item);
}
void refuse(void* context) { head_of(context).kind = Head::Kind::refused; }

template <typename Number>
void put_number(void* context, Number number) {
  if (std::uint64_t{number} <= std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    put(context, {static_cast<std::int64_t>(number)});
  } else {
    refuse(context);
  }
}
/// A negative number is -1 minus what stands in the item (RFC 8949, 3.1).
template <typename Number>
void put_negative(void* context, Number number) {
  if (std::uint64_t{number} <= std::uint64_t{std::numeric_limits<std::int64_t>::max()}) {
    put(context, {-1 - static_cast<std::int64_t>(number)});
  } else {
    refuse(context);
  }
}

cbor_callbacks make_callbacks() {
  cbor_callbacks to = cbor_empty_callbacks;
  to.uint8 = put_number<std::uint8_t>;
  to.uint16 = put_number<std::uint16_t>;
  to.uint32 = put_number<std::uint32_t>;
  to.uint64 = put_number<std::uint64_t>;
  to.negint8 = put_negative<std::uint8_t>;
  to.negint16 = put_negative<std::uint16_t>;
  to.negint32 = put_negative<std::uint32_t>;
  to.negint64 = put_negative<std::uint64_t>;
  to.byte_string = [](void* context, cbor_data data, std::size_t size) { put(context, {ByteView(data, size)}); };
  to.string = [](void* context, cbor_data data, std::size_t size) { put(context, {as_text(ByteView(data, size))}); };
  to.boolean = [](void* context, bool value) { put(context, {value}); };
  to.null = [](void* context) { put(context, {nullptr}); };
  to.array_start = [](void* context, std::size_t count) {
    head_of(context).kind = Head::Kind::array;
    head_of(context).count = count;
  };
  to.map_start = [](void* context, std::size_t count) {
    head_of(context).kind = Head::Kind::map;
    head_of(context).count = count;
  };
  to.byte_string_start = to.string_start = to.indef_array_start = to.indef_map_start = to.indef_break = to.undefined = refuse;
  to.tag = [](void* context, std::uint64_t) { refuse(context); };
  to.float2 = to.float4 = [](void* context, float) { refuse(context); };
  to.float8 = [](void* context, double) { refuse(context); };
  return to;
}

bool same_label(const Item& left, const Item& right) {
  const auto* number = left.as<std::int64_t>();
  const auto* text = left.as<std::string_view>();
  if (number != nullptr) return right.as<std::int64_t>() != nullptr && *right.as<std::int64_t>() == *number;
  return text != nullptr && right.as<std::string_view>() != nullptr && *right.as<std::string_view>() == *text;
}

class Parser {
 public:
  explicit Parser(ByteView input) : rest_(input) {}

  [[nodiscard]] Result<Item> item(unsigned depth) {
    if (depth > max_depth) return malformed("nested too deeply");
    if (++items_ > max_items) return malformed("too many items");
    static const cbor_callbacks callbacks = make_callbacks();
    Head head;
    const auto decoded = cbor_stream_decode(rest_.data(), rest_.size(), &callbacks, &head);
    if (decoded.status == CBOR_DECODER_NEDATA) return malformed("ends too early");
    if (decoded.status != CBOR_DECODER_FINISHED || decoded.read == 0 || decoded.read > rest_.size()) return malformed("not well formed");
    rest_ = rest_.subspan(decoded.read);
    switch (head.kind) {
      case Head::Kind::value: return std::move(head.item);
      case Head::Kind::array: return array(head.count, depth);
      case Head::Kind::map: return map(head.count, depth);
      case Head::Kind::none:
      case Head::Kind::refused: break;
    }
    return malformed(head.why);
  }
  [[nodiscard]] std::size_t left() const noexcept { return rest_.size(); }

 private:
  [[nodiscard]] Result<Item> array(std::uint64_t count, unsigned depth) {
    if (count > max_items) return malformed("too many items");
    Array members;
    for (std::uint64_t i = 0; i < count; ++i) {
      auto member = item(depth + 1);
      if (!member) return member.error();
      members.push_back(std::move(*member));
    }
    return Item{std::move(members)};
  }
  [[nodiscard]] Result<Item> map(std::uint64_t count, unsigned depth) {
    if (count > max_items) return malformed("too many items");
    Map members;
    for (std::uint64_t i = 0; i < count; ++i) {
      auto label = item(depth + 1);
      if (!label) return label.error();
      if (label->as<std::int64_t>() == nullptr && label->as<std::string_view>() == nullptr)
        return malformed("a member whose name is neither text nor number");
      const bool twice = std::any_of(members.begin(), members.end(), [&](const auto& member) { return same_label(member.first, *label); });
      if (twice) return malformed("a member twice");
      auto content = item(depth + 1);
      if (!content) return content.error();
      members.emplace_back(std::move(*label), std::move(*content));
    }
    return Item{std::move(members)};
  }

  ByteView rest_;
  std::size_t items_ = 0;
};

const Item* find_member(const Item& item, const Item& label) {
  const auto* map = item.as<Map>();
  if (map == nullptr) return nullptr;
  const auto found = std::find_if(map->begin(), map->end(), [&](const auto& member) { return same_label(member.first, label); });
  return found == map->end() ? nullptr : &found->second;
}

}  // namespace

const Item* Item::find(std::string_view name) const { return find_member(*this, Item{name}); }
const Item* Item::find(std::int64_t label) const { return find_member(*this, Item{label}); }

Result<Prefix> parse_prefix(ByteView input) {
  if (input.size() > max_bytes) return malformed("too large");
  Parser parser(input);
  auto item = parser.item(0);
  if (!item) return item.error();
  return Prefix{std::move(*item), input.size() - parser.left()};
}

Result<Item> parse(ByteView input) {
  auto prefix = parse_prefix(input);
  if (!prefix) return prefix.error();
  if (prefix->size != input.size()) return malformed("bytes after the end");
  return std::move(prefix->item);
}

}  // namespace intaglio::evidence::cbor
