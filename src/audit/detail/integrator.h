#pragma once

#include "audit/detail/checkpoint.h"
#include "audit/detail/entries.h"
#include "audit/detail/tiles.h"

namespace intaglio::audit::detail {

/// Turns entries into tiles, bundles and a signed checkpoint. One caller at a time. What it needs of the past is the right edge
/// of the tree, so it starts in constant time: partial tiles and the checkpoint, checked against each other and the database.
class Integrator {
 public:
  Integrator(std::string origin, const std::filesystem::path& folder, storage::Database& database,
             std::shared_ptr<const crypto::Signer> signer);

  /// Refused (`audit_unavailable`) when folder, checkpoint and database contradict each other.
  Status open();
  /// Integrates the entries below `head.size`, whose chain must end in `head.running`, and signs the checkpoint. Tiles are durable
  /// before the checkpoint that speaks of them. After a failure nothing has changed and the next call tries afresh.
  Status integrate(const Head& head);

  [[nodiscard]] std::uint64_t size() const noexcept { return tree_.edge.size(); }
  /// The newest signed checkpoint; empty before the first.
  [[nodiscard]] const std::string& note() const noexcept { return note_; }
  [[nodiscard]] const Tiles& tiles() const noexcept { return tiles_; }
  [[nodiscard]] const crypto::PublicKey& public_key() const noexcept { return signer_->public_key(); }

 private:
  /// What grows; replaced as a whole when a step succeeded.
  struct Tree {
    Edge edge;
    std::vector<Bytes> bundle;  ///< the entries of the unfinished bundle
    Head head;
  };

  [[nodiscard]] Result<Tree> load(const Checkpoint& checkpoint) const;
  Status grow(Tree& tree, const Head& head) const;
  Status add(Tree& tree, Entry entry) const;
  Status write_partial(const Tree& tree) const;
  Status publish(const Tree& tree);
  Status mark(const Tree& tree);

  const std::string origin_;
  const std::filesystem::path folder_;
  storage::Database& database_;
  const std::shared_ptr<const crypto::Signer> signer_;
  const Tiles tiles_;
  Tree tree_;
  std::string note_;
};

}  // namespace intaglio::audit::detail
