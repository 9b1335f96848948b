#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "audit/event.h"
#include "base/clock.h"
#include "crypto/signer.h"
#include "storage/database.h"

namespace intaglio::audit {

/// Where an entry stands: goes out with every signature.
struct EntryReference {
  std::string log;           ///< origin of the log, for example intaglio/sam/node-1
  std::uint64_t index;
  crypto::Sha256Digest leaf; ///< RFC 9162: SHA-256(0x00 | canonical event)
};

/// What an auditor looks for: entries from an index on, each condition that is given (SRG_AA.4).
struct Selection {
  std::uint64_t from = 0;
  std::size_t limit = 100;  ///< events in the answer
  std::optional<std::string> type{}, actor{}, subject{};
  std::optional<UnixTime> since{}, until{};  ///< since <= time < until
};
struct SelectedEvents {
  std::vector<std::string> events;  ///< canonical JSON, in order
  std::uint64_t next;               ///< where to go on; size when nothing is left
  std::uint64_t size;
};

struct LogConfig {
  std::string origin;                 ///< C2SP checkpoint origin, one per node
  std::filesystem::path directory;    ///< tiles and checkpoint (C2SP tlog-tiles)
  std::filesystem::path anchor;       ///< {size, running hash}: on another disk than the database
  /// A MAC under a key that the database's administrators do not have. With it, what stands beyond the anchor after a crash is
  /// adopted only when this log wrote it; without it, such entries are adopted and told as `audit.recovered`.
  std::function<Bytes(ByteView)> entry_mac{};
};

class Remains;

/// The append-only log of one node. Entries are appended inside the caller's transaction; the running hash is in the
/// anchor before any outcome of that commit is released (it registers the database's commit hook); the tree, its tiles
/// and a checkpoint signed with `signer` follow within a second on a thread of its own. Starts in constant time.
class Log {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Log>> open(LogConfig config, storage::Database& database,
                                                         std::shared_ptr<const crypto::Signer> signer, std::shared_ptr<const Clock> clock);
  /// Over a database that was brought back from a backup (audit/remains.h), for the time of its restore: the anchor is neither asked nor
  /// moved, and nothing is integrated, before `end_restore`. Who is cut off before that has changed nothing that a start believes.
  [[nodiscard]] static Result<std::unique_ptr<Log>> open_for_restore(LogConfig config, storage::Database& database,
                                                                     std::shared_ptr<const crypto::Signer> signer,
                                                                     std::shared_ptr<const Clock> clock);
  ~Log();

  /// Puts the entries back that the tiles hold, and an `entry.lost` in the place of each that nobody has, so that no index which was given
  /// out ever names another event. Before anything else is appended.
  Status replay(storage::Transaction& transaction, const Remains& remains);
  /// Once the restore is durable: from here on the anchor vouches for the log as it is now. Integrates it.
  Status end_restore();

  /// Inside a transaction of the same database. Never fails silently: a refusal must end the caller's transaction.
  [[nodiscard]] Result<EntryReference> append(storage::Transaction& transaction, const Event& event);
  /// In a transaction of its own, for events without another effect (refusals, start, stop).
  Result<EntryReference> record(const Event& event);
  /// Inclusion proof and the checkpoint it leads to; not_found until integrated. JSON text for a client:
  /// {"log","index","leaf","event","inclusion":[…base64],"checkpoint":"…"}.
  [[nodiscard]] Result<std::string> receipt(std::uint64_t index);
  /// Reads at most 20 000 entries: a search that finds little answers with `next`, and the caller goes on from there.
  [[nodiscard]] Result<SelectedEvents> select(storage::Reader& reader, const Selection& selection) const;
  /// audit_unavailable when entries cannot be stored, or the anchor contradicts the database.
  [[nodiscard]] Status healthy() const;
  [[nodiscard]] std::uint64_t size() const noexcept;
  /// Integrates now and returns the checkpoint text (tests, orderly stop).
  [[nodiscard]] Result<std::string> checkpoint_now();

  static const std::vector<storage::Migration>& migrations();

 private:
  struct State;
  explicit Log(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Offline: reads database, tiles, checkpoint and anchor; checks every leaf, the tree, the checkpoint's signature, truncation
/// against anchor and checkpoint, and that each intent has its outcome. Names the first bad entry.
struct VerifyReport {
  bool good;
  std::uint64_t entries, signatures, open_intents;
  std::vector<std::string> findings;  ///< human sentences, the first bad entry first
};
/// `each`, if given, is told the events in their order, as JSON texts: what it heard holds when the report is good.
[[nodiscard]] Result<VerifyReport> verify_log(const LogConfig& config, const std::filesystem::path& database,
                                              const crypto::PublicKey& signer,
                                              const std::function<void(std::string_view event)>& each = {});
/// Whether a receipt may go to who says that this leaf hash came with a signature: refused as `not_found`, like an entry that does
/// not exist, when it is another entry's or no outcome of a signature. Counting through the indexes shows nobody else's entries.
[[nodiscard]] Status check_receipt_holder(std::string_view receipt_json, const crypto::Sha256Digest& leaf);
/// Checks one receipt against a checkpoint key: the signer's own, without any access to the server.
[[nodiscard]] Status verify_receipt(std::string_view receipt_json, std::string_view origin, const crypto::PublicKey& signer);

}  // namespace intaglio::audit
