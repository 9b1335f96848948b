#include "sam/authorise/linked_identity.h"

#include "base/check.h"
#include "evidence/identity_approval.h"

namespace intaglio::sam {

Status link_identity(const Core& core, storage::Transaction& write, const SignerRecord& signer, const NewIdentity& identity,
                     UnixTime message_ends) {
  if (auto once = core.factors.consume(write, "ID token", encode_base64url(identity.token), message_ends);
      refused_by("sam.identity.new-token-once", !once))
    return once;
  return core.factors.identities().put(write, signer, identity.link);
}

std::string identity_field(const IdentityLink& link) {
  return encode_base64url(evidence::identity_digest(link.salt, link.issuer, link.subject));
}

}  // namespace intaglio::sam
