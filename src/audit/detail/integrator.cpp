#include "audit/detail/integrator.h"

#include "base/check.h"
#include "base/file.h"

namespace intaglio::audit::detail {

namespace {

constexpr std::size_t max_note_size = 64 * 1024;
/// Entries per checkpoint while catching up: bounds what a failure repeats.
constexpr std::uint64_t max_step = 65536;

Error refused(const std::string& why) { return {ErrorCode::audit_unavailable, "audit: " + why}; }

}  // namespace

Integrator::Integrator(std::string origin, const std::filesystem::path& folder, storage::Database& database,
                       std::shared_ptr<const crypto::Signer> signer)
    : origin_(std::move(origin)),
      folder_(folder),
      database_(database),
      signer_(std::move(signer)),
      tiles_(folder),
      tree_{{}, {}, empty_head(origin_)} {}

Status Integrator::open() {
  TreeMark mark{};
  auto read = database_.read([&](storage::Reader& reader) -> Status {
    auto found = read_tree_mark(reader);
    if (!found) return found.error();
    mark = *found;
    return {};
  });
  if (!read) return read;
  if (auto made = make_folder_durably(folder_); !made) return made;
  auto note = read_file(folder_ / "checkpoint", max_note_size);
  if (!note && note.error().code != ErrorCode::not_found) return note.error();
  if (!note) {
    if (refused_by("audit.checkpoint_missing", mark.size > 0)) {
      return refused("the checkpoint is missing, but " + std::to_string(mark.size) + " entries were integrated");
    }
    return {};
  }
  auto checkpoint = verify_checkpoint(as_text(*note), origin_, signer_->public_key());
  if (!checkpoint) return refused(checkpoint.error().detail);
  if (refused_by("audit.tree_rolled_back",
                 checkpoint->size < mark.size || (checkpoint->size == mark.size && checkpoint->root != mark.root))) {
    return refused("the checkpoint is older than the tree that the database knows");
  }
  auto tree = load(*checkpoint);
  if (!tree) return tree.error();
  tree_ = std::move(*tree);
  note_ = std::string(as_text(*note));
  return {};
}

/// The state in which a checkpoint was signed: the right edge from the partial tiles, and that the database still holds the
/// entries of the unfinished bundle.
Result<Integrator::Tree> Integrator::load(const Checkpoint& checkpoint) const {
  std::vector<std::vector<Hash>> levels;
  for (unsigned level = 0; level < Edge::height(checkpoint.size); ++level) {
    const auto width = Edge::width(checkpoint.size, level);
    auto hashes = width == 0 ? Result<std::vector<Hash>>(std::vector<Hash>())
                             : tiles_.read_tile(level, checkpoint.size >> (tile_height * (level + 1)), width);
    if (!hashes) return refused(hashes.error().detail);
    levels.push_back(std::move(*hashes));
  }
  Tree tree{Edge::restore(checkpoint.size, std::move(levels)), {}, empty_head(origin_)};
  if (refused_by("audit.tiles_differ", tree.edge.root() != checkpoint.root))
    return refused("the tiles do not lead to the signed checkpoint");

  const auto width = Edge::width(checkpoint.size, 0);
  std::string difference;
  auto read = database_.read([&](storage::Reader& reader) -> Status {
    auto running = read_running(reader, checkpoint.size, tree.head);
    if (!running) return running.error();
    if (!*running)
      return refused("the database lacks entries that the checkpoint holds: it has fewer than " + std::to_string(checkpoint.size));
    tree.head = {checkpoint.size, **running};
    return each_entry(reader, checkpoint.size - width, checkpoint.size, [&](Entry entry) {
      const auto at = static_cast<std::size_t>(entry.index % tile_width);
      if (hash_of_leaf(entry.event) != tree.edge.levels().front()[at])
        difference = "entry " + std::to_string(entry.index) + " differs from the tree";
      tree.bundle.push_back(std::move(entry.event));
      return difference.empty();
    });
  });
  if (!read) return read.error();
  if (refused_by("audit.entries_differ", !difference.empty() || tree.bundle.size() != width)) {
    return refused(difference.empty() ? "the database lacks entries that the checkpoint holds" : difference);
  }
  return tree;
}

Status Integrator::integrate(const Head& head) {
  while (tree_.edge.size() < head.size || note_.empty()) {
    Tree grown = tree_;
    if (auto done = grow(grown, head); !done) return done;
    if (auto done = publish(grown); !done) return done;
    tree_ = std::move(grown);
    if (auto done = mark(tree_); !done) return done;
  }
  return {};
}

Status Integrator::grow(Tree& tree, const Head& head) const {
  const auto end = std::min(head.size, tree.edge.size() + max_step);
  Status status;
  auto read = database_.read([&](storage::Reader& reader) {
    return each_entry(reader, tree.edge.size(), end, [&](Entry entry) {
      status = add(tree, std::move(entry));
      return static_cast<bool>(status);
    });
  });
  if (!read) return read;
  if (!status) return status;
  if (tree.edge.size() != end) return refused("entry " + std::to_string(tree.edge.size()) + " is missing");
  if (refused_by("audit.entries_not_anchored", end == head.size && tree.head != head)) {
    return refused("the entries differ from those that the anchor vouches for");
  }
  return write_partial(tree);
}

Status Integrator::add(Tree& tree, Entry entry) const {
  if (auto linked = verify_link(entry, tree.head); !linked) return linked;
  tree.head = {entry.index + 1, entry.running};
  tree.bundle.push_back(std::move(entry.event));
  if (tree.bundle.size() == tile_width) {
    if (auto written = tiles_.write_bundle(entry.index / tile_width, tree.bundle); !written) return written;
    tree.bundle.clear();
  }
  return tree.edge.append(entry.leaf, [&](unsigned level, std::uint64_t index, std::span<const Hash> hashes) {
    return tiles_.write_tile(level, index, hashes);
  });
}

Status Integrator::write_partial(const Tree& tree) const {
  const auto size = tree.edge.size();
  if (!tree.bundle.empty()) {
    if (auto written = tiles_.write_bundle(size / tile_width, tree.bundle); !written) return written;
  }
  for (unsigned level = 0; level < tree.edge.levels().size(); ++level) {
    const auto& hashes = tree.edge.levels()[level];
    // A level that did not move since the last checkpoint has its tile already.
    const bool same = (size >> (tile_height * level)) == (tree_.edge.size() >> (tile_height * level));
    if (hashes.empty() || same) continue;
    if (auto written = tiles_.write_tile(level, size >> (tile_height * (level + 1)), hashes); !written) return written;
  }
  return {};
}

Status Integrator::publish(const Tree& tree) {
  fault_point("audit.tiles_written");
  auto note = sign_checkpoint({origin_, tree.edge.size(), tree.edge.root()}, *signer_);
  if (!note) return note.error();
  if (auto written = write_file_durably(folder_ / "checkpoint", as_bytes(*note), 0600); !written) return written;
  note_ = std::move(*note);
  fault_point("audit.checkpoint_written");
  return {};
}

Status Integrator::mark(const Tree& tree) {
  const TreeMark mark{tree.edge.size(), tree.edge.root()};
  return database_.write([&](storage::Transaction& transaction) { return write_tree_mark(transaction, mark); });
}

}  // namespace intaglio::audit::detail
