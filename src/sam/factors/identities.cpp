#include "sam/factors/identities.h"

#include "base/check.h"
#include "crypto/random.h"

namespace intaglio::sam {
namespace {

namespace id_token = evidence::id_token;

constexpr std::size_t salt_bytes = 16;

}  // namespace

Identities::Identities(const Policy& policy, const std::shared_ptr<const sealed::Sealer>& sealer, const std::shared_ptr<const Clock>& clock)
    : policy_(policy), clock_(clock), table_(sealer, "identities", sealed::Rollback::refused) {}

Result<std::optional<IdentityLink>> Identities::of(storage::Transaction& transaction, const SignerRecord& signer) const {
  std::optional<IdentityLink> none;
  auto row = table_.find(transaction, signer.id.text());
  if (!row) return row.error();
  if (!*row) return none;
  auto record = parse_identity_link((*row)->content.reveal());
  if (!record) return record.error();
  // After a reset the row is of an earlier record of this name: whoever is linked there approves nothing any more (TC-7).
  if (refused_by("sam.identity.incarnation", record->incarnation != signer.incarnation)) return none;
  if (policy_.identity_provider(record->link.issuer) == nullptr) return none;
  return std::optional(std::move(record->link));
}

Result<Identities::Evaluated> Identities::evaluate(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer,
                                                   const std::string* shown, ByteView binding) const {
  Evaluated evaluated;
  if (signer != nullptr) {
    auto link = of(transaction, *signer);
    if (!link) return link.error();
    evaluated.link = std::move(*link);
  } else if (auto row = table_.find(transaction, id.text()); !row) {
    return row.error();
  }
  if (shown == nullptr) return evaluated;
  // The provider is the one that the token names and not the one that is linked, so that a stranger's token costs what the signer's does.
  // No token names an empty subject: who has no link is nobody.
  const id_token::Subject linked =
      evaluated.link ? id_token::Subject{evaluated.link->issuer, evaluated.link->subject} : id_token::Subject{};
  const auto now = clock_->now();
  for (const auto& provider : policy_.identity_providers()) {
    auto said = id_token::verify_approval(provider, linked, binding, *shown, now);
    if (!said || !evaluated.link) continue;
    evaluated.answered = IdentityProof{.link = *evaluated.link, .provider = provider, .said = std::move(*said), .taken = now};
    break;
  }
  return evaluated;
}

Result<NewIdentity> Identities::verify_new(std::string_view token, ByteView binding) const {
  auto proof = identify(token, binding);
  if (!proof) return proof.error();
  return NewIdentity{.link = std::move(proof->link), .token = proof->said.digest};
}

Result<IdentityProof> Identities::identify(std::string_view token, ByteView binding) const {
  if (policy_.identity_providers().empty()) return Error{ErrorCode::invalid_request, "identity providers are not served"};
  const auto now = clock_->now();
  std::string why;
  for (const auto& provider : policy_.identity_providers()) {
    auto said = id_token::verify_identification(provider, binding, token, now);
    if (!said) {
      why += (why.empty() ? "" : "; ") + said.error().detail;
      continue;
    }
    auto salt = crypto::random_bytes(salt_bytes);
    if (!salt) return salt.error();
    return IdentityProof{.link = {.salt = std::move(*salt),
                                  .issuer = said->subject.issuer,
                                  .subject = said->subject.identifier,
                                  .linked = unix_seconds(now)},
                         .provider = provider,
                         .said = std::move(*said),
                         .taken = now};
  }
  return Error{ErrorCode::invalid_request, why};
}

Status Identities::put(storage::Transaction& transaction, const SignerRecord& signer, const IdentityLink& link) const {
  auto row = table_.find(transaction, signer.id.text());
  if (!row) return row.error();
  const auto content = encode(IdentityLinkRecord{.incarnation = signer.incarnation, .link = link});
  if (!*row) return table_.insert(transaction, signer.id.text(), content);
  return table_.update(transaction, signer.id.text(), (*row)->version, content);
}

}  // namespace intaglio::sam
