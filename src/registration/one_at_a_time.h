#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "storage/leases.h"

namespace intaglio::registration {

/// What is being done for a key, so that it is not done twice at once, neither on this node nor on another. Thread-safe.
class OneAtATime {
 public:
  /// `what`: names the turns among those of the others that share `leases`. `longest`: for how long a node that died has a turn.
  OneAtATime(std::shared_ptr<storage::Leases> leases, std::string what, std::chrono::seconds longest)
      : leases_(std::move(leases)), what_(std::move(what)), longest_(longest) {}

  /// The turn for a name, while it lives; false when somebody else has it, or the database does not say.
  class Turn {
   public:
    Turn(OneAtATime& turns, const std::string& name);
    ~Turn();
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    explicit operator bool() const noexcept { return mine_; }
    /// This node goes on with it later: no other one begins meanwhile.
    void keep_for_this_node() noexcept { kept_ = true; }

   private:
    void end();
    OneAtATime& turns_;
    const std::string name_;
    bool mine_ = false;
    bool kept_ = false;
  };

 private:
  const std::shared_ptr<storage::Leases> leases_;
  const std::string what_;
  const std::chrono::seconds longest_;
  std::mutex mutex_;
  std::set<std::string> taken_;
};

}  // namespace intaglio::registration
