#pragma once

#include "audit/detail/anchor.h"
#include "storage/database.h"

/// The rows of the log. Appended, never changed: triggers refuse everything else, and the chain shows it when somebody drops them.
namespace intaglio::audit::detail {

struct Entry {
  std::uint64_t index;
  Bytes event;
  Hash leaf;
  Hash running;
  Bytes mac;  ///< over running, when the log has a key for it; empty otherwise
};

[[nodiscard]] const std::vector<storage::Migration>& entry_migrations();

[[nodiscard]] Result<Head> read_head(storage::Reader& reader, const Head& empty);
/// The running hash after this many entries, nothing when there are fewer.
[[nodiscard]] Result<std::optional<Hash>> read_running(storage::Reader& reader, std::uint64_t size, const Head& empty);
[[nodiscard]] Result<std::optional<Entry>> read_entry(storage::Reader& reader, std::uint64_t index);
Status insert_entry(storage::Transaction& transaction, const Entry& entry);
/// In order, those that exist, until `each` returns false. A value of a foreign type or length gives an empty event or a hash of
/// zeros, which no check accepts.
Status each_entry(storage::Reader& reader, std::uint64_t begin, std::uint64_t end, const std::function<bool(Entry)>& each);

/// Whether an entry continues the chain: leaf of its event, running hash of the leaf. The detail names the entry.
Status verify_link(const Entry& entry, const Head& before);

/// What was integrated last, so that a removed tile folder is noticed.
struct TreeMark {
  std::uint64_t size;
  Hash root;
};
[[nodiscard]] Result<TreeMark> read_tree_mark(storage::Reader& reader);
Status write_tree_mark(storage::Transaction& transaction, const TreeMark& mark);

}  // namespace intaglio::audit::detail
