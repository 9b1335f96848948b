#include "sam/roles/proposals.h"

#include <algorithm>

#include "base/check.h"
#include "protocol/management.h"

namespace intaglio::sam {
namespace {

constexpr std::string_view format = "proposal/2";
constexpr std::size_t max_payload_bytes = 64 * 1024;

Error malformed() { return {ErrorCode::storage_unavailable, "the record of a proposal is malformed"}; }

void append_standing(Bytes& out, const Standing& standing) {
  append_field(out, standing.generation);
  append_field(out, ByteView(standing.key));
}

Result<Standing> parse_standing(FieldReader& in) {
  auto generation = in.number();
  auto key = in.bytes(std::tuple_size_v<crypto::Sha256Digest>);
  Standing standing;
  if (!generation || !key || key->size() != standing.key.size()) return malformed();
  standing.generation = *generation;
  std::copy(key->begin(), key->end(), standing.key.begin());
  return standing;
}

bool is_what_he_was(const PrivilegedUsers& users, std::string_view id, const Standing& then) {
  const auto* user = users.find(id);
  return user != nullptr && user->standing() == then;
}

Status check_content(const Proposal& proposal, ByteView digest, UnixTime now) {
  const auto content = digest_of(proposal);
  if (refused_by("sam.proposal.digest", !std::equal(digest.begin(), digest.end(), content.begin(), content.end())))
    return Error{ErrorCode::binding_mismatch, "the proposal is another than the one whose digest is given"};
  if (refused_by("sam.proposal.expired", now >= proposal.ends)) return Error{ErrorCode::ticket_expired, "the proposal is expired"};
  return {};
}

}  // namespace

crypto::Sha256Digest digest_of(const Proposal& proposal) {
  return protocol::proposal_digest(proposal.id, rule_of(proposal.operation).name, proposal.payload);
}

Bytes encode(const Proposal& proposal) {
  Bytes out;
  append_field(out, format);
  append_field(out, proposal.id);
  append_field(out, rule_of(proposal.operation).name);
  append_field(out, proposal.payload);
  append_field(out, proposal.proposed_by.text());
  append_field(out, proposal.proposer);
  append_standing(out, proposal.maker);
  append_field(out, static_cast<std::uint64_t>(unix_seconds(proposal.made)));
  append_field(out, static_cast<std::uint64_t>(unix_seconds(proposal.ends)));
  append_field(out, static_cast<std::uint64_t>(proposal.state));
  append_field(out, proposal.approved_by);
  append_standing(out, proposal.approver);
  return out;
}

Result<Proposal> parse_proposal(ByteView encoded) {
  FieldReader in(encoded);
  auto found_format = in.text(32);
  auto id = in.text(64);
  auto operation_name = in.text(64);
  auto payload = in.text(max_payload_bytes);
  auto proposed_by_text = in.text(64);
  auto proposer = in.text(128);
  auto maker = parse_standing(in);
  auto made = in.number();
  auto ends = in.number();
  auto state = in.number();
  auto approved_by = in.text(64);
  auto approver = parse_standing(in);
  if (!found_format || *found_format != format || !id || !operation_name || !payload || !proposed_by_text || !proposer || !maker || !made ||
      !ends || !state || *state < 1 || *state > 3 || !approved_by || !approver || !in.end()) {
    return malformed();
  }
  auto operation = parse_operation(*operation_name);
  auto proposed_by = UserId::parse(*proposed_by_text);
  if (!operation || !proposed_by) return malformed();
  return Proposal{.id = std::move(*id),
                  .operation = *operation,
                  .payload = std::move(*payload),
                  .proposed_by = std::move(*proposed_by),
                  .proposer = std::move(*proposer),
                  .maker = *maker,
                  .made = from_unix_seconds(static_cast<std::int64_t>(*made)),
                  .ends = from_unix_seconds(static_cast<std::int64_t>(*ends)),
                  .state = static_cast<ProposalState>(*state),
                  .approved_by = std::move(*approved_by),
                  .approver = *approver};
}

Status check_approval(const Proposal& proposal, const PrivilegedUser& observer, ByteView digest, UnixTime now) {
  if (auto checked = check_content(proposal, digest, now); !checked) return checked;
  if (auto allowed = may_observe(observer.roles, rule_of(proposal.operation)); !allowed) return allowed;
  if (refused_by("sam.proposal.two-persons", observer.person == proposal.proposer || observer.id == proposal.proposed_by))
    return Error{ErrorCode::not_authorised, "who proposed it cannot observe it"};
  if (refused_by("sam.proposal.approved-once", proposal.state != ProposalState::made))
    return Error{ErrorCode::replayed, "the proposal is approved already"};
  return {};
}

Status check_execution(const Proposal& proposal, const PrivilegedUsers& users, const PrivilegedUser& executor, ByteView digest,
                       UnixTime now) {
  if (auto checked = check_content(proposal, digest, now); !checked) return checked;
  if (auto allowed = may_execute(executor.roles, rule_of(proposal.operation)); !allowed) return allowed;
  if (refused_by("sam.proposal.executed-once", proposal.state == ProposalState::executed))
    return Error{ErrorCode::replayed, "the proposal is executed already"};
  if (refused_by("sam.proposal.approved", proposal.state == ProposalState::made))
    return Error{ErrorCode::not_authorised, "the proposal is not approved yet"};
  if (refused_by("sam.proposal.observer-executes", executor.id.text() == proposal.approved_by))
    return Error{ErrorCode::not_authorised, "who observed it cannot execute it"};
  if (refused_by("sam.proposal.maker-still", !is_what_he_was(users, proposal.proposed_by.text(), proposal.maker)))
    return Error{ErrorCode::not_authorised, "who proposed it was suspended since, or has other roles or another key; propose it anew"};
  if (refused_by("sam.proposal.observer-still", !is_what_he_was(users, proposal.approved_by, proposal.approver)))
    return Error{ErrorCode::not_authorised,
                 "who approved it was suspended since, or has other roles or another key; let an officer approve a new proposal"};
  return {};
}

}  // namespace intaglio::sam
