#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "audit/log.h"
#include "base/clock.h"
#include "base/ids.h"
#include "notice/contact.h"
#include "notice/notifier.h"
#include "notice/templates.h"
#include "storage/database.h"

namespace intaglio::notice {

/// What a signer is to be told.
struct Notice {
  Kind kind;
  SignerId signer;
  Values facts;      ///< facts_of(kind), each once
  std::string once;  ///< of one kind, signer and `once` there is one notice for ever; empty: each is another
};

/// How often a notice is tried, and how long it waits after each try but the last.
inline constexpr std::array<std::chrono::seconds, 7> pauses{
    std::chrono::minutes(1), std::chrono::minutes(5), std::chrono::minutes(30), std::chrono::hours(2),
    std::chrono::hours(6),   std::chrono::hours(12),  std::chrono::hours(24),
};
inline constexpr std::int64_t most_tries = pauses.size() + 1;

/// The queue of notices. It stands in the database, so that it outlives the process, and holds no address: that is looked up, and the
/// text made, at each try. A notice is delivered at least once: who dies between a receiver's yes and our note of it, tells again,
/// under the same id.
class Outbox {
 public:
  struct Parts {
    std::shared_ptr<storage::Database> database;
    std::shared_ptr<const Clock> clock;
    audit::Log& log;  ///< of the same database; outlives this
    std::shared_ptr<const Contacts> contacts;
    Templates templates;
    Values deployment;  ///< `service`, `contact`, `link`
    std::map<Channel, std::shared_ptr<Notifier>> notifiers;
  };
  explicit Outbox(Parts parts) : parts_(std::move(parts)) {}

  /// Records where a signer is told, on an operator's word.
  Status record_contact(const SignerId& signer, const Contact& contact, const std::string& actor);
  /// Together with what caused it. Nothing where the signer has no address of a channel that is served, or was told once already; `internal` for
  /// facts that are not those of the kind. How many were put in.
  [[nodiscard]] Result<std::size_t> put(storage::Transaction& transaction, const Notice& notice);
  [[nodiscard]] Result<std::size_t> put(const Notice& notice);

  /// Tries each notice that is due, at most `batch`: how many. Not for two callers at once. Each delivery and each end without one is an audit event.
  /// A notice that cannot be read, or whose contact cannot, stops no other.
  /// `stopped` is asked before each; once it says so, the rest waits.
  [[nodiscard]] Result<std::size_t> deliver_due(const std::function<bool()>& stopped = {});
  /// What was told, or given up, longer ago than any `once` is of use.
  Status forget_old();

  struct Count {
    std::string state;  ///< waiting, delivered, given_up
    std::string channel;
    std::int64_t number;
  };
  [[nodiscard]] Result<std::vector<Count>> counts();

  static constexpr std::int64_t batch = 100;
  static constexpr std::chrono::seconds kept_for = std::chrono::hours(24 * 400);

 private:
  struct Due;
  [[nodiscard]] Result<bool> count_try(const Due& due);
  [[nodiscard]] Result<Message> compose(const Due& due, std::string_view& trouble);
  Status try_one(const Due& due);
  Status end(const Due& due, std::string_view reason);

  Parts parts_;
};

/// Tables notice_contacts and notice_outbox.
[[nodiscard]] const std::vector<storage::Migration>& migrations();

}  // namespace intaglio::notice
