#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "storage/database.h"

namespace intaglio::storage {

/// What one node at a time does, of several that share a database. A lease ends by itself, by the clock of whoever asks for it, so that the
/// death of a node holds nothing up for longer; who works longer than its lease is not alone any more. Thread-safe.
class Leases {
 public:
  static const std::vector<Migration>& migrations();

  /// `node`: the name of this one; the same after a restart, which then has its leases still.
  Leases(std::shared_ptr<Database> database, std::shared_ptr<const Clock> clock, std::string node)
      : database_(std::move(database)), clock_(std::move(clock)), node_(std::move(node)) {}

  /// True when this node has it, from now on for `length`, or had it already; false while another one has it.
  [[nodiscard]] Result<bool> take(std::string_view name, std::chrono::seconds length);
  /// Gives it back before its time; nothing when another node has it.
  Status give_back(std::string_view name);

 private:
  std::shared_ptr<Database> database_;
  std::shared_ptr<const Clock> clock_;
  const std::string node_;
};

}  // namespace intaglio::storage
