#pragma once

#include <chrono>
#include <memory>
#include <mutex>

#include "pki/environment.h"
#include "pki/store.h"

namespace intaglio::pki {

struct PublisherConfig {
  std::chrono::seconds validity;                 ///< nextUpdate - thisUpdate of a complete list
  std::chrono::seconds interval;                 ///< a new list at the latest after so long
  std::chrono::seconds delta_validity{0};        ///< the same of a delta list, longer than the interval; 0: no delta lists are made
  std::string freshest{};                        ///< where delta lists are published; stands in complete lists when they are made
  bool keep_expired = true;                      ///< what is revoked stays on the list after its certificate's end
};

/// A list in force, and how caches name its content: its SHA-256, hex.
struct CurrentList : StoredList {
  explicit CurrentList(StoredList stored);
  std::string tag, delta_tag;  ///< `delta_tag` is empty when there is no delta list
};

/// The current revocation list of the issuing CA: a new one, with the next number, at each change of status and on time. Beside it,
/// where they are made, the delta list of the same number: it continues the oldest complete list that is in force, so that who holds
/// any list in force needs the delta list alone (RFC 5280, 5.2.4).
class Publisher {
 public:
  /// Loads the latest list; a missing or due one is made by the first refresh().
  [[nodiscard]] static Result<std::unique_ptr<Publisher>> open(PublisherConfig config, const Issuer& issuer, Environment environment);

  /// A new list now, whatever the time. Durable and audited before it is current. Gives the complete list.
  [[nodiscard]] Result<Bytes> issue();
  /// A new list when there is none, the interval is over, or a change of status is not on it yet (its own issue() failed).
  Status refresh();
  /// not_found before the first list.
  [[nodiscard]] Result<std::shared_ptr<const CurrentList>> current() const;
  /// When the current list is replaced at the latest.
  [[nodiscard]] UnixTime due(const StoredList& list) const { return list.this_update + config_.interval; }

 private:
  Publisher(PublisherConfig config, const Issuer& issuer, Environment environment)
      : config_(std::move(config)), issuer_(issuer), environment_(std::move(environment)) {}
  [[nodiscard]] Result<Bytes> make_complete(storage::Transaction& transaction, StoredList& list, std::size_t& entries) const;
  [[nodiscard]] Result<std::optional<StoredList>> base_of(storage::Reader& reader, const StoredList& list) const;
  [[nodiscard]] bool makes_deltas() const noexcept { return config_.delta_validity > std::chrono::seconds(0); }

  PublisherConfig config_;
  const Issuer& issuer_;
  Environment environment_;
  mutable std::mutex mutex_;
  std::shared_ptr<const CurrentList> current_;  ///< shared with those who send it: a list may be megabytes long
};

}  // namespace intaglio::pki
