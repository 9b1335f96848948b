#pragma once

#include "evidence/id_token.h"
#include "sam/factors/identity_link.h"
#include "sam/policy/policy.h"
#include "sam/records.h"
#include "sealed/table.h"

namespace intaglio::sam {

/// The linked identity that answered, with what its provider said and the policy by which that was taken: anyone can repeat the
/// verification.
struct IdentityProof {
  IdentityLink link;
  evidence::id_token::IssuerPolicy provider;
  evidence::id_token::Identity said;
  UnixTime taken;
};

/// An identity that is to be linked.
struct NewIdentity {
  IdentityLink link;
  crypto::Sha256Digest token;  ///< for the caller to consume
};

/// The identities of all signers at the providers of the policy: who is linked to whom, and whether an ID token is of that person.
class Identities {
 public:
  Identities(const Policy& policy, const std::shared_ptr<const sealed::Sealer>& sealer, const std::shared_ptr<const Clock>& clock);

  struct Evaluated {
    std::optional<IdentityLink> link;  ///< of the signer, with a provider that the policy still has
    std::optional<IdentityProof> answered;
  };
  /// Within the transaction that charges the attempt. `signer` null: there is none, or no factors yet. `shown` null: no token is shown. One
  /// that is shown costs the same verification, whosever it is (TC-11).
  [[nodiscard]] Result<Evaluated> evaluate(storage::Transaction& transaction, const SignerId& id, const SignerRecord* signer,
                                           const std::string* shown, ByteView binding) const;

  /// Who it is in a token that answers `binding`, with a salt of its own; `invalid_request` with the reason when no provider of the policy
  /// says so.
  [[nodiscard]] Result<IdentityProof> identify(std::string_view token, ByteView binding) const;
  /// The same, to be linked.
  [[nodiscard]] Result<NewIdentity> verify_new(std::string_view token, ByteView binding) const;
  /// Within the transaction that changes the signer's factors; takes the place of the identity of before.
  Status put(storage::Transaction& transaction, const SignerRecord& signer, const IdentityLink& link) const;
  /// That of this incarnation, with a provider that the policy still has.
  [[nodiscard]] Result<std::optional<IdentityLink>> of(storage::Transaction& transaction, const SignerRecord& signer) const;

 private:
  const Policy& policy_;
  std::shared_ptr<const Clock> clock_;
  sealed::Table table_;
};

}  // namespace intaglio::sam
