#pragma once

#include <map>
#include <mutex>

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
  static constexpr std::size_t max_open_proposals = 8;  ///< of one user
  static constexpr std::size_t max_events_in_answer = 200;
  static constexpr std::size_t max_event_bytes_in_answer = 512 * 1024;  ///< a frame of the wire holds 1 MiB

  /// What the SAM is asked beside the writer: it may take its time, and the SAM signs meanwhile.
  struct Questions {
    std::function<Result<std::string>()> status;         ///< its status document, JSON text
    std::function<Status(const Policy&)> serves_policy;  ///< whether its tokens and its clock can serve this one
  };
  Management(Core core, Questions questions);

  /// Whether a TLS peer with this key is a privileged user who is not suspended, as far as a snapshot knows: others never get as far
  /// as a request, and of a request `handle` decides anew.
  [[nodiscard]] bool knows(const crypto::Sha256Digest& peer_spki) override;
  /// One request (api/management/README.md): a question, `suspend-user`, or `propose`, `approve`, `execute` for what needs two
  /// persons. The answer is JSON text. What a user was refused is in the audit log, with the reason; while he may not log in at all,
  /// once in `lock_time`. The code and the reason go out.
  [[nodiscard]] Result<std::string> handle(const crypto::Sha256Digest& peer_spki, std::string_view compact) override;

 private:
  struct Call;
  struct Change;
  /// Before anything is written: what the latest snapshot says of the peer.
  Status check_at_the_door(const Call& call);
  Status admit(storage::Transaction& transaction, Call& call);
  void count_failure(PrivilegedUser& user, const Call& call, std::vector<audit::Event>& events) const;
  /// Questions are answered beside the writer: neither a token that hangs nor a long search keeps a signature waiting.
  [[nodiscard]] Result<std::string> answer(Call& call, Operation operation);
  [[nodiscard]] Result<std::string> change(Call& call);
  /// The user and his roles as they are now, once more: somebody may have suspended him since he was let in.
  Status load_again(storage::Transaction& transaction, Call& call, const UserId& user) const;
  [[nodiscard]] Result<std::string> perform(storage::Transaction& transaction, Call& call);
  /// A policy that would keep the SAM from serving is neither proposed nor installed.
  Status check_policy_served(const Call& call) const;

  [[nodiscard]] Result<std::string> propose(storage::Transaction& transaction, Call& call);
  [[nodiscard]] Result<std::string> approve(storage::Transaction& transaction, Call& call);
  [[nodiscard]] Result<std::string> execute(storage::Transaction& transaction, Call& call);
  Status suspend_user(storage::Transaction& transaction, Call& call);
  Status check_room_for_a_proposal(storage::Transaction& transaction, const Call& call) const;
  /// What the proposal would do now, refused when it cannot; nothing is written.
  [[nodiscard]] Result<Change> plan(storage::Transaction& transaction, const Call& call, const Proposal& proposal) const;
  [[nodiscard]] Result<Change> plan_policy(storage::Transaction& transaction, const json::Value& payload, audit::Event event) const;
  Status take_effect(storage::Transaction& transaction, const Change& change) const;

  [[nodiscard]] Result<std::string> show_users(const Call& call) const;
  [[nodiscard]] Result<std::string> show_policy() const;
  [[nodiscard]] Result<std::string> show_proposals(const Call& call) const;
  [[nodiscard]] Result<std::string> show_proposal(const Call& call) const;
  [[nodiscard]] Result<std::string> read_audit(Call& call) const;
  Status record(storage::Transaction& transaction, const audit::Event& event) const;

  Core core_;
  Questions questions_;
  UserRegistry registry_;
  sealed::Table proposals_, state_;
  std::mutex mutex_;
  std::map<std::string, UnixTime> turned_away_;  ///< users who may not log in: when that was last recorded
};

}  // namespace intaglio::sam
