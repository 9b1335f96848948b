#pragma once

#include <memory>

#include "notice/outbox.h"
#include "registration/enrolments.h"

namespace intaglio::registration {

/// Which changes of the register, and what else, a signer is told of. A notice that cannot be put in is told in the log, and holds nothing up.
class Occasions {
 public:
  Occasions(std::shared_ptr<notice::Outbox> outbox, std::shared_ptr<const Clock> clock)
      : outbox_(std::move(outbox)), clock_(std::move(clock)) {}

  /// In the transaction of the change.
  void changed(storage::Transaction& transaction, const Enrolment& line, EnrolmentState from) const;
  /// The signer changed his factors.
  void secret_changed(const SignerId& signer) const;
  /// An approval was refused because he, or somebody, failed too often: told once a day at most.
  void secret_locked(const SignerId& signer) const;

 private:
  std::shared_ptr<notice::Outbox> outbox_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::registration
