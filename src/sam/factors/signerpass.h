#pragma once

#include "sam/policy/policy.h"

namespace intaglio::sam {

/// What a search costs that knows the commonest habits, in bits, rounded down. A word counts 10 bits whatever its length, a run, a repetition or
/// a walk on the keyboard 5, capital letters and usual separators nothing; a letter or digit between characters of other kinds counts in full.
/// So a text that was made by chance, of letters and digits by turns, has the bits that it was made with. It is an estimate: what a person
/// made up, or took from a book, may have fewer. `signer`: his id, which counts as a word that everyone tries.
[[nodiscard]] std::uint32_t estimated_bits(const Secret& signerpass, std::string_view signer);

/// 12 to 128 printable ASCII characters, no space at either end, compared byte for byte: without characters that keyboards and systems write in
/// different ways there is nothing to normalise. Estimated at `least_bits` at least. `invalid_request`, with words that say nothing of the text.
[[nodiscard]] Status check_new_signerpass(const Secret& signerpass, std::string_view signer, std::uint32_t least_bits);

/// The rules for a new PIN or signerpass, as `kind` says. A signerpass is refused where policy takes none.
[[nodiscard]] Status check_new_secret(const Policy& policy, Factor kind, const Secret& secret, std::string_view signer);

}  // namespace intaglio::sam
