#pragma once

#include "sam/roles/matrix.h"
#include "sam/roles/users.h"

namespace intaglio::sam {

/// MADE -> APPROVED -> EXECUTED, each step once and before `ends`. No way back, and no state for what expired: it is read from `ends`.
enum class ProposalState : std::uint8_t { made = 1, approved = 2, executed = 3 };

/// A change that two persons must want (SRG_M; requirements, 29): one who may execute it, and one who may observe it.
struct Proposal {
  std::string id;        ///< 22 characters, random
  Operation operation;
  std::string payload;   ///< canonical JSON
  UserId proposed_by;
  std::string proposer;  ///< the person behind that account then: accounts may change hands while a proposal waits
  Standing maker;        ///< of `proposed_by` then
  UnixTime made, ends;
  ProposalState state;
  std::string approved_by;  ///< user; empty before
  Standing approver{};      ///< of `approved_by` then
};
/// protocol::proposal_digest: what the observer sees and signs.
[[nodiscard]] crypto::Sha256Digest digest_of(const Proposal& proposal);
[[nodiscard]] Bytes encode(const Proposal& proposal);
[[nodiscard]] Result<Proposal> parse_proposal(ByteView encoded);

/// Refused unless the observer is another person than the proposer, has a role that observes, names this content and is in time.
[[nodiscard]] Status check_approval(const Proposal& proposal, const PrivilegedUser& observer, ByteView digest, UnixTime now);
/// Refused unless it is approved, in time, this content, and asked for by a person who executes and did not observe;
/// and unless who made it and who approved it are what they were then: suspended, resumed, in other roles or with another key since,
/// what they agreed to counts no more.
[[nodiscard]] Status check_execution(const Proposal& proposal, const PrivilegedUsers& users, const PrivilegedUser& executor,
                                     ByteView digest, UnixTime now);

}  // namespace intaglio::sam
