#pragma once

#include <chrono>
#include <mutex>

#include "pki/environment.h"
#include "pki/store.h"

namespace intaglio::pki {

struct PublisherConfig {
  std::chrono::seconds validity;  ///< nextUpdate - thisUpdate
  std::chrono::seconds interval;  ///< a new list at the latest after so long
};

/// The current revocation list of the issuing CA: a new one, with the next number, at each revocation and on time.
class Publisher {
 public:
  /// Loads the latest list; a missing or due one is made by the first refresh().
  [[nodiscard]] static Result<std::unique_ptr<Publisher>> open(PublisherConfig config, const Issuer& issuer, Environment environment);

  /// A new list now, whatever the time. Durable and audited before it is current.
  [[nodiscard]] Result<Bytes> issue();
  /// A new list when there is none, the interval is over, or a revocation is not on it yet (its own issue() failed).
  Status refresh();
  /// not_found before the first list.
  [[nodiscard]] Result<StoredList> current() const;

 private:
  Publisher(PublisherConfig config, const Issuer& issuer, Environment environment)
      : config_(config), issuer_(issuer), environment_(std::move(environment)) {}
  PublisherConfig config_;
  const Issuer& issuer_;
  Environment environment_;
  mutable std::mutex mutex_;
  std::optional<StoredList> current_;
  std::size_t listed_ = 0;  ///< entries of the current list
};

}  // namespace intaglio::pki
