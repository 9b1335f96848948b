#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audit/log.h"
#include "base/clock.h"
#include "base/ids.h"
#include "registration/enrolment_state.h"
#include "storage/database.h"

namespace intaglio::registration {

/// A line of the register: a signer, or one of his keys. It names nobody: who the signer is stands sealed in the SAM.
struct Enrolment {
  std::string signer;
  std::string credential;  ///< empty: the line is of the signer
  EnrolmentState state;
  UnixTime since;
  std::string enrolled_by;  ///< operator whose request created the signer, last reset included; empty on the lines of keys
  std::string level;        ///< of the identity proofing, as that operator signed it; empty: not said
  std::optional<UnixTime> ends;  ///< of the key's certificate, where one is bound and was read
};

/// What is new of a signer or a key.
struct EnrolmentChange {
  SignerId signer;
  std::optional<KeyId> key;  ///< none: of the signer
  EnrolmentState to;
  std::string actor;  ///< of the audit event
  /// Fields of `enrolment.changed` beside from, to and credential; `level` stays on the line.
  std::vector<std::pair<std::string, std::string>> more{};
  std::string enrolled_by{};  ///< on the signer's line; empty: as before
  std::optional<UnixTime> ends{};  ///< of the certificate that was bound; none: as before
};

/// The register of enrolments: it follows what the SAM and the PKI did, and allows nothing that they refuse. Every change is an audit
/// event of the same transaction.
class Enrolments {
 public:
  /// Told of each change in its own transaction, as the line stands from now on and what it was before. It must not fail the change.
  using Follower = std::function<void(storage::Transaction& transaction, const Enrolment& line, EnrolmentState from)>;
  /// `log` is of the same database and outlives this.
  Enrolments(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock, audit::Log& log);

  /// Before the first change.
  void follow_with(Follower follower) { follower_ = std::move(follower); }

  /// Durable when it returns; `conflict` where the table of transitions has no such pair.
  Status change(const EnrolmentChange& change);
  /// The state of a line; `none` where there is no line.
  [[nodiscard]] Result<EnrolmentState> state_of(const SignerId& signer, const std::optional<KeyId>& key);
  /// The line of a key whose signer is not known; nothing where there is no line.
  [[nodiscard]] Result<std::optional<Enrolment>> find_key(const KeyId& key);
  /// The signer's line, then those of his keys, at most `max_lines`.
  [[nodiscard]] Result<std::vector<Enrolment>> find(const SignerId& signer);

  struct Page {
    std::optional<EnrolmentState> state{};     ///< only lines of this state
    std::optional<UnixTime> ending_before{};  ///< only keys whose certificate ends before then
    std::string after_signer{}, after_credential{};
    std::size_t limit = 50;
  };
  /// By signer and credential, from after the given line on.
  [[nodiscard]] Result<std::vector<Enrolment>> list(const Page& page);

  /// Each key whose certificate came to its end stands as expired from now on; the second time it finds nothing. Run from time to time.
  Status expire_certificates();

  static constexpr std::size_t max_lines = 200;

 private:
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
  audit::Log& log_;
  Follower follower_;
};

}  // namespace intaglio::registration
