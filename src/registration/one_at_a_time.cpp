#include "registration/one_at_a_time.h"

#include "base/log.h"

namespace intaglio::registration {

OneAtATime::Turn::Turn(OneAtATime& turns, const std::string& name) : turns_(turns), name_(turns.what_ + "/" + name) {
  {
    const std::lock_guard lock(turns_.mutex_);
    mine_ = turns_.taken_.insert(name_).second;
  }
  if (!mine_) return;
  const auto leased = turns_.leases_->take(name_, turns_.longest_);
  if (!leased) log::refusal("registration.no_turn", leased.error(), {{"turn", name_}});
  if (leased && *leased) return;
  mine_ = false;
  end();
}

OneAtATime::Turn::~Turn() {
  if (!mine_) return;
  if (!kept_) {
    // Who cannot give it back has it until it ends by itself.
    if (const auto given = turns_.leases_->give_back(name_); !given)
      log::refusal("registration.turn_kept", given.error(), {{"turn", name_}});
  }
  end();
}

void OneAtATime::Turn::end() {
  const std::lock_guard lock(turns_.mutex_);
  turns_.taken_.erase(name_);
}

}  // namespace intaglio::registration
