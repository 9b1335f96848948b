#pragma once

#include "protocol/management.h"
#include "sam/core.h"
#include "sam/management/request.h"
#include "sam/roles/proposals.h"

namespace intaglio::sam {

/// The SAM as privileged users see it (TC-13), apart from the service for the SSA and on a listener of its own. Who asks is what the
/// SAM verifies itself: the TLS key of the connection and the signature of the request, both the user's. Each request stands for
/// itself; there are no sessions that could stay open.
class Management final : public protocol::ManagementService {
 public:
  static constexpr std::chrono::hours proposal_lifetime{24};
  static constexpr std::chrono::hours max_idle{90 * 24};
  static constexpr std::uint64_t failures_before_lock = 5;
  static constexpr std::chrono::minutes lock_time{15};

  /// `status`: the SAM's status document, JSON text.
  Management(Core core, std::function<Result<std::string>()> status);

  /// Whether a TLS peer with this key is a privileged user, as far as a snapshot knows: others never get as far as a request, and of
  /// a request `handle` decides anew.
  [[nodiscard]] bool knows(const crypto::Sha256Digest& peer_spki) override;
  /// One request (api/management/README.md): a direct operation, or `propose`, `approve`, `execute` for those that need two persons.
  /// The answer is JSON text. Everything refused after the user is known is in the audit log, with the reason; the code goes out.
  [[nodiscard]] Result<std::string> handle(const crypto::Sha256Digest& peer_spki, std::string_view compact) override;

 private:
  struct Call;
  Status admit(storage::Transaction& transaction, Call& call);
  [[nodiscard]] Result<std::string> perform(storage::Transaction& transaction, Call& call);
  [[nodiscard]] Result<std::string> propose(storage::Transaction& transaction, Call& call);
  [[nodiscard]] Result<std::string> approve(storage::Transaction& transaction, Call& call);
  [[nodiscard]] Result<std::string> execute(storage::Transaction& transaction, Call& call);
  [[nodiscard]] Result<std::string> show_users(const Call& call) const;
  [[nodiscard]] Result<std::string> show_policy(storage::Transaction& transaction) const;
  [[nodiscard]] Result<std::string> show_proposals(storage::Transaction& transaction) const;
  [[nodiscard]] Result<std::string> read_audit(storage::Transaction& transaction, const Call& call);
  Status suspend_user(storage::Transaction& transaction, Call& call);
  /// Whether the payload can take effect now; with `effect`, lets it.
  Status apply(storage::Transaction& transaction, Call& call, const Proposal& proposal, bool effect);
  Status record(storage::Transaction& transaction, const audit::Event& event) const;

  Core core_;
  std::function<Result<std::string>()> status_;
  UserRegistry registry_;
  sealed::Table proposals_, state_;
};

}  // namespace intaglio::sam
