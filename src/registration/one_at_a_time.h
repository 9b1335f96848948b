#pragma once

#include <mutex>
#include <set>
#include <string>

namespace intaglio::registration {

/// What is being done for a key, so that it is not done twice at once. Thread-safe.
class OneAtATime {
 public:
  /// The turn for a name, while it lives; false when somebody else has it.
  class Turn {
   public:
    Turn(OneAtATime& turns, std::string name) : turns_(turns), name_(std::move(name)) {
      const std::lock_guard lock(turns_.mutex_);
      mine_ = turns_.taken_.insert(name_).second;
    }
    ~Turn() {
      if (!mine_) return;
      const std::lock_guard lock(turns_.mutex_);
      turns_.taken_.erase(name_);
    }
    Turn(const Turn&) = delete;
    Turn& operator=(const Turn&) = delete;
    explicit operator bool() const noexcept { return mine_; }

   private:
    OneAtATime& turns_;
    const std::string name_;
    bool mine_ = false;
  };

 private:
  std::mutex mutex_;
  std::set<std::string> taken_;
};

}  // namespace intaglio::registration
