#include "audit/detail/receipt.h"

#include "audit/log.h"
#include "base/check.h"
#include "base/secret.h"
#include "json/json.h"

namespace intaglio::audit {

namespace {

constexpr std::size_t max_receipt_size = 256 * 1024;
constexpr std::size_t max_path = 64;

Error refused(const std::string& why) { return {ErrorCode::invalid_request, "receipt: " + why}; }

Result<detail::Hash> hash_member(const json::Value& value) {
  const auto* text = value.get_ptr<const std::string*>();
  auto bytes = text == nullptr ? Result<Bytes>(refused("a hash is not a text")) : parse_base64(*text);
  if (!bytes) return bytes.error();
  detail::Hash hash{};
  if (bytes->size() != hash.size()) return refused("a hash has another length");
  std::copy(bytes->begin(), bytes->end(), hash.begin());
  return hash;
}

Result<std::vector<detail::Hash>> read_path(const json::Value& receipt) {
  const auto* array = json::member(receipt, "inclusion");
  if (array == nullptr || !array->is_array() || array->size() > max_path) return refused("no inclusion path");
  std::vector<detail::Hash> path;
  for (const auto& element : *array) {
    auto hash = hash_member(element);
    if (!hash) return hash.error();
    path.push_back(*hash);
  }
  return path;
}

}  // namespace

namespace detail {

Result<std::string> make_receipt(const Entry& entry, const Checkpoint& checkpoint, const std::string& note, const Tiles& tiles) {
  const auto leaf = hash_of_leaf(entry.event);
  auto path = inclusion_path(entry.index, checkpoint.size,
                             [&](std::uint64_t begin, std::uint64_t end) { return tiles.range_hash(checkpoint.size, begin, end); });
  if (!path) return Error{ErrorCode::audit_unavailable, path.error().detail};
  auto root = root_from_path(entry.index, checkpoint.size, leaf, *path);
  if (refused_by("audit.receipt_root", !root || *root != checkpoint.root)) {
    return Error{ErrorCode::audit_unavailable, "audit: entry " + std::to_string(entry.index) + " or the tiles were changed"};
  }
  auto inclusion = json::Value::array();
  for (const auto& hash : *path) inclusion.push_back(encode_base64(hash));
  return json::encode({{"checkpoint", note},
                       {"event", as_text(entry.event)},
                       {"inclusion", std::move(inclusion)},
                       {"index", entry.index},
                       {"leaf", encode_base64(leaf)},
                       {"log", checkpoint.origin}});
}

}  // namespace detail

Status check_receipt_holder(std::string_view receipt_json, const crypto::Sha256Digest& leaf) {
  const Error not_theirs{ErrorCode::not_found, "audit: the entry is not one that the caller was given"};
  const auto receipt = json::parse(receipt_json, {.max_bytes = max_receipt_size});
  if (!receipt) return receipt.error();
  const auto text = json::text_member(*receipt, "event", detail::max_entry_size);
  if (!text) return text.error();
  if (refused_by("audit.receipt_holder", !same_secret(detail::hash_of_leaf(as_bytes(*text)), leaf))) return not_theirs;
  const auto event = json::parse(*text, {.max_bytes = detail::max_entry_size});
  const auto type = event ? json::text_member(*event, "type") : event.error();
  const bool signature = type && (*type == name_of(EventType::signature_made) || *type == name_of(EventType::signature_redelivered));
  if (refused_by("audit.receipt_kind", !signature)) return not_theirs;
  return {};
}

Status verify_receipt(std::string_view receipt_json, std::string_view origin, const crypto::PublicKey& signer) {
  auto receipt = json::parse(receipt_json, {.max_bytes = max_receipt_size});
  if (!receipt) return receipt.error();
  auto note = json::text_member(*receipt, "checkpoint", max_receipt_size);
  if (!note) return note.error();
  auto checkpoint = detail::verify_checkpoint(*note, origin, signer);
  if (!checkpoint) return checkpoint.error();
  auto log = json::text_member(*receipt, "log");
  if (refused_by("receipt.log", !log || *log != origin)) return refused("of another log");
  auto event = json::text_member(*receipt, "event", detail::max_entry_size);
  if (!event) return event.error();
  auto index = json::integer_member(*receipt, "index");
  if (!index || *index < 0) return refused("no index");
  const auto* leaf_text = json::member(*receipt, "leaf");
  if (leaf_text == nullptr) return refused("no leaf");
  auto leaf = hash_member(*leaf_text);
  if (!leaf) return leaf.error();
  if (refused_by("receipt.leaf", *leaf != detail::hash_of_leaf(as_bytes(*event)))) return refused("the leaf is not the event's hash");
  auto path = read_path(*receipt);
  if (!path) return path.error();
  auto root = detail::root_from_path(static_cast<std::uint64_t>(*index), checkpoint->size, *leaf, *path);
  if (!root) return root.error();
  if (refused_by("receipt.root", *root != checkpoint->root)) return refused("the inclusion path does not lead to the checkpoint");
  return {};
}

}  // namespace intaglio::audit
