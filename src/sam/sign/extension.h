#pragma once

#include "sam/core.h"

namespace intaglio::sam {

/// CSC's extendTransaction: a SAD that ends later takes the place of one that still holds. The authorisation is the same, its list and the
/// state of each occurrence are untouched: what was signed stays signed, and nothing is added (TC-2, TC-4). Never beyond five minutes after
/// the ticket's end. Refused: sad_invalid, sad_expired, hash_not_authorised (a digest without a free occurrence), unsupported (the profile
/// signs one document an approval, whose SAD ends when it says), busy (a call under this SAD is under way).
[[nodiscard]] Result<protocol::Authorised> extend(Core& core, const protocol::ExtendRequest& request);

}  // namespace intaglio::sam
