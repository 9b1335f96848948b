#pragma once

#include "sam/core.h"

/// The end of a one-time key: for certain in the records first, then in the token, which is searched for it; a certificate that
/// was issued for it and served nobody is reported with that proof.
namespace intaglio::sam {

struct KeyEnd {
  KeyId key;
  std::string actor, reason;
  std::string authorisation;  ///< SAM nonce of its ticket, base64url
  bool released;              ///< its signatures leave the SAM next
};
/// The entry that says that the key is destroyed. Refused when the token could not be asked; the key then waits for the next round.
[[nodiscard]] Result<audit::EntryReference> end_key(Core& core, const KeyEnd& end);

/// Ends the one-time keys that this node left behind, but for those that `alive` says are of a session. At start and every half minute.
Status end_left_keys(Core& core, const std::function<bool(const KeyId&)>& alive);

/// A certificate that was issued for a one-time key after its session had ended: recorded once, with who told it. Refused: `not_found`
/// (no one-time key of that id, or not destroyed yet), `certificate_invalid` (of another key, or of no CA of the policy), `conflict`
/// (the session had a certificate, or it was reported before).
[[nodiscard]] Result<audit::EntryReference> report_orphan(Core& core, const KeyId& key, ByteView certificate);

}  // namespace intaglio::sam
