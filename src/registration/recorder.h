#pragma once

#include <functional>
#include <memory>
#include <string>

#include "protocol/service.h"
#include "registration/enrolments.h"
#include "registration/key_requests.h"
#include "registration/operator_request.h"

namespace intaglio::registration {

/// Brings the register up to what was done. What was done stands in the SAM or the PKI: a line that cannot be written is told in the
/// log, and undoes nothing.
class Recorder {
 public:
  Recorder(std::shared_ptr<Enrolments> enrolments, std::shared_ptr<KeyRequests> requests)
      : enrolments_(std::move(enrolments)), requests_(std::move(requests)) {}

  /// A signer was created, or his factors were reset: he has a new activation code, and his keys, if any, have ended.
  void signer_enrolled(const SignerId& signer, const OperatorRequest& asked) const;
  void device_registered(const SignerId& signer) const;
  void key_made(const SignerId& signer, const KeyId& key) const;
  /// The signer's own word, through the SAM.
  void key_stopped_by_signer(const SignerId& signer, const KeyId& key, EnrolmentState to) const;
  /// An operator's request, or the SSA's own suspension (without one). `ends`: of the certificate that was bound.
  void key_changed(const KeyId& key, EnrolmentState to, const OperatorRequest* asked, std::optional<UnixTime> ends = std::nullopt) const;

  /// Refused (`conflict`) where what an operator wants to go on with is to end: the signer asked for a revocation.
  [[nodiscard]] Status may_go_on(const KeyId& key) const;
  /// The operator whose request created the key's signer; empty: not known.
  [[nodiscard]] Result<std::string> enrolled_by(const KeyId& key) const;

 private:
  [[nodiscard]] Result<SignerId> signer_of(const KeyId& key) const;
  void record(const EnrolmentChange& change) const;

  std::shared_ptr<Enrolments> enrolments_;
  std::shared_ptr<KeyRequests> requests_;
};

/// How a revocation is asked for: members `urgency` and `channel` of the operator's payload.
struct RevocationManner {
  bool emergency = false;       ///< the key stops before the PKI is asked
  std::string channel = "operator";
};
/// `invalid_request` for other words than standard, emergency; operator, hotline.
[[nodiscard]] Result<RevocationManner> parse_manner(const json::Value& payload);

}  // namespace intaglio::registration
