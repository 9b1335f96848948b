#include "audit/remains.h"

#include "audit/detail/checkpoint.h"
#include "audit/detail/entries.h"
#include "audit/detail/tiles.h"
#include "base/check.h"
#include "base/file.h"

namespace intaglio::audit {
namespace {

using detail::Hash;
using detail::Head;

constexpr std::size_t max_note_size = 64 * 1024;

Error refused(const std::string& why) { return {ErrorCode::audit_unavailable, "audit: " + why}; }

/// The entries that the tiles hold, from `begin` to `end`, in order.
Status each_in_tiles(const detail::Tiles& tiles, std::uint64_t begin, std::uint64_t end,
                     const std::function<Status(std::uint64_t index, const Bytes& event)>& each) {
  for (auto bundle = begin / detail::tile_width; bundle * detail::tile_width < end; ++bundle) {
    const auto first = bundle * detail::tile_width;
    auto events = tiles.read_bundle(bundle, static_cast<std::size_t>(std::min<std::uint64_t>(detail::tile_width, end - first)));
    if (!events) return refused(events.error().detail + "; bring the newest copy of the audit folder");
    for (std::size_t at = 0; at < events->size(); ++at) {
      if (first + at < begin) continue;
      if (auto done = each(first + at, (*events)[at]); !done) return done;
    }
  }
  return {};
}

Result<detail::Checkpoint> read_checkpoint(const LogConfig& config, const crypto::PublicKey& key) {
  auto note = read_file(config.directory / "checkpoint", max_note_size);
  if (!note) return refused("the checkpoint cannot be read (" + note.error().detail + "); bring the newest copy of the audit folder");
  auto checkpoint = detail::verify_checkpoint(as_text(*note), config.origin, key);
  if (!checkpoint) return refused(checkpoint.error().detail);
  return checkpoint;
}

}  // namespace

Result<Remains> Remains::read(const LogConfig& config, storage::Database& database, const crypto::PublicKey& checkpoint_key) {
  auto checkpoint = read_checkpoint(config, checkpoint_key);
  if (!checkpoint) return checkpoint.error();
  auto anchored = detail::Anchor::read(config.anchor);
  if (!anchored) return anchored.error();
  const auto empty = detail::empty_head(config.origin);
  Remains remains(config);
  remains.tiles_ = checkpoint->size;
  remains.anchored_ = anchored->size;
  remains.anchored_running_ = anchored->running;

  auto read = database.read([&](storage::Reader& reader) -> Status {
    auto head = detail::read_head(reader, empty);
    if (!head) return head.error();
    remains.database_ = head->size;
    remains.database_running_ = head->running;
    // From the first entry on: what the tiles hold is the tree of the checkpoint, and the database's part of it is the same.
    Head reached = empty;
    Hash at_database_end = empty.running;
    detail::Edge edge;
    const auto no_tile = [](unsigned, std::uint64_t, std::span<const Hash>) { return Status(); };
    auto walked = each_in_tiles(detail::Tiles(config.directory), 0, checkpoint->size, [&](std::uint64_t index, const Bytes& event) {
      const auto leaf = detail::hash_of_leaf(event);
      reached = {index + 1, detail::next_running(reached.running, leaf)};
      if (reached.size == head->size) at_database_end = reached.running;
      return edge.append(leaf, no_tile);
    });
    if (!walked) return walked;
    if (refused_by("audit.remains.checkpoint", edge.root() != checkpoint->root))
      return refused("the tiles do not lead to the signed checkpoint");
    if (head->size <= checkpoint->size) {
      if (refused_by("audit.remains.database", at_database_end != head->running))
        return refused("the database's entries are not the first " + std::to_string(head->size) + " of the log");
    } else {
      auto running = detail::read_running(reader, checkpoint->size, empty);
      if (!running) return running.error();
      if (refused_by("audit.remains.database-beyond", !*running || **running != reached.running))
        return refused("the database's first " + std::to_string(checkpoint->size) + " entries are not those of the tiles");
      Status linked;
      auto further = detail::each_entry(reader, checkpoint->size, head->size, [&](const detail::Entry& entry) {
        linked = detail::verify_link(entry, reached);
        const bool ours = !config.entry_mac || same_secret(config.entry_mac(entry.running), entry.mac);
        if (linked && refused_by("audit.remains.not_ours", !ours))
          linked = refused("entry " + std::to_string(entry.index) + " was not written by this log");
        reached = {entry.index + 1, entry.running};
        return static_cast<bool>(linked);
      });
      if (!further) return further;
      if (!linked) return linked;
    }
    remains.known_running_ = reached.running;
    return {};
  });
  if (!read) return Error{ErrorCode::audit_unavailable, read.error().detail};
  if (refused_by("audit.remains.anchor-older", remains.tiles_ > remains.anchored_))
    return refused("the anchor vouches for " + std::to_string(remains.anchored_) + " entries, the tiles hold " +
                   std::to_string(remains.tiles_) + ": it is an old copy; bring the newest one");
  const bool same_end = remains.known() == remains.anchored_;
  if (refused_by("audit.remains.anchor-differs", same_end && remains.known_running_ != remains.anchored_running_))
    return refused("the anchor vouches for another log");
  return remains;
}

Status Remains::each_missing(const std::function<Status(std::string_view event)>& each) const {
  if (tiles_ <= database_) return {};
  auto running = database_running_;
  auto walked = each_in_tiles(detail::Tiles(config_.directory), database_, tiles_, [&](std::uint64_t, const Bytes& event) -> Status {
    running = detail::next_running(running, detail::hash_of_leaf(event));
    return each(as_text(event));
  });
  if (!walked) return walked;
  return check_unchanged(running);
}

Status Remains::check_unchanged(const crypto::Sha256Digest& running) const {
  if (refused_by("audit.remains.changed", running != known_running_)) return refused("the log changed while it was read");
  return {};
}

Status Remains::each_known(storage::Reader& reader, const std::function<Status(std::string_view event)>& each) const {
  auto running = detail::empty_head(config_.origin).running;
  auto walked = each_in_tiles(detail::Tiles(config_.directory), 0, tiles_, [&](std::uint64_t, const Bytes& event) -> Status {
    running = detail::next_running(running, detail::hash_of_leaf(event));
    return each(as_text(event));
  });
  if (!walked) return walked;
  Status taken;
  auto further = detail::each_entry(reader, tiles_, std::max(tiles_, database_), [&](const detail::Entry& entry) {
    running = detail::next_running(running, detail::hash_of_leaf(entry.event));
    taken = each(as_text(entry.event));
    return static_cast<bool>(taken);
  });
  if (!further) return further;
  if (!taken) return taken;
  return check_unchanged(running);
}

}  // namespace intaglio::audit
