#include "sam/factors/signerpass.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "sam/factors/factors.h"

namespace intaglio::sam {
namespace {

constexpr std::size_t least_length = 12, most_length = 128;
/// Tenths of a bit. Two or three characters of a kind may be a word, an abbreviation or a year: they count less than by themselves.
constexpr std::uint32_t of_habit = 50, of_symbol = 30;
constexpr std::array<std::uint32_t, 3> of_letters = {47, 60, 100}, of_digits = {33, 50, 80};

/// A word or name that is tried first, wherever it stands.
constexpr std::array<std::string_view, 40> famous = {
    "password", "passwort", "passwd",  "intaglio", "signerpass", "signature", "secret",   "welcome",  "letmein",  "admin",
    "master",   "login",    "monkey",  "dragon",   "football",   "baseball",  "sunshine", "princess", "shadow",   "superman",
    "iloveyou", "trustno1", "correct", "horse",    "battery",    "staple",    "starwars", "whatever", "freedom",  "hello",
    "charlie",  "michael",  "jordan",  "summer",   "winter",     "p4ssw0rd",  "passw0rd", "pa55w0rd", "pa55word", "changeme"};
constexpr std::array<std::string_view, 9> keyboard_rows = {
    "qwertyuiop",          "asdfghjkl", "zxcvbnm", "qwertzuiop", "yxcvbnm", "azertyuiop", "qsdfghjklm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik",
    "1q2w3e4r5t6y7u8i9o0p"};

constexpr bool is_letter(std::uint8_t c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_digit(std::uint8_t c) noexcept { return c >= '0' && c <= '9'; }
constexpr std::uint8_t lower(std::uint8_t c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<std::uint8_t>(c - 'A' + 'a') : c; }

bool starts_with(ByteView text, std::string_view word) {
  return !word.empty() && text.size() >= word.size() && same_secret(text.first(word.size()), as_bytes(word));
}

/// How many characters from here stand `stride` before their neighbour in one rising, falling or constant order; stride 2 for two orders by
/// turns, as in a1b2c3. 0 when too few to be one.
std::size_t run_length(ByteView text, std::size_t stride) {
  const auto step = [&](std::size_t at) { return static_cast<int>(text[at]) - static_cast<int>(text[at - stride]); };
  std::size_t length = std::min(stride, text.size());
  while (length < text.size()) {
    const int here = step(length);
    const bool regular = here >= -1 && here <= 1 && (length < 2 * stride || here == step(length - stride));
    if (!regular) break;
    ++length;
  }
  return length >= 2 * stride + 1 ? length : 0;
}

/// How much of a row of the keyboard stands here, in either direction; 0 below three keys.
std::size_t walk_length(ByteView text) {
  std::size_t longest = 0;
  for (const auto row : keyboard_rows) {
    const std::string backwards(row.rbegin(), row.rend());
    for (const std::string_view way : {row, std::string_view(backwards)}) {
      for (std::size_t from = 0; from + 3 <= way.size(); ++from) {
        std::size_t length = 0;
        while (length < text.size() && from + length < way.size() && text[length] == static_cast<std::uint8_t>(way[from + length]))
          ++length;
        longest = std::max(longest, length);
      }
    }
  }
  return longest >= 3 ? longest : 0;
}

/// The longest piece from `at` on that stood before it already; 0 below three characters.
std::size_t repeated_length(ByteView text, std::size_t at) {
  std::size_t longest = 0;
  for (std::size_t from = 0; from < at; ++from) {
    std::size_t length = 0;
    while (at + length < text.size() && from + length < at && text[from + length] == text[at + length]) ++length;
    longest = std::max(longest, length);
  }
  return longest >= 3 ? longest : 0;
}

std::size_t famous_length(ByteView text, std::string_view signer) {
  std::size_t longest = signer.size() >= 3 && starts_with(text, signer) ? signer.size() : 0;
  for (const auto word : famous) {
    if (starts_with(text, word)) longest = std::max(longest, word.size());
  }
  return longest;
}

/// Characters of one kind from here on, and what they count together.
struct Piece {
  std::size_t length;
  std::uint32_t tenths;
};
Piece piece_of_one_kind(ByteView text, std::size_t at) {
  const auto here = text.subspan(at);
  const auto end_of = [&](auto&& belongs) {
    return static_cast<std::size_t>(std::find_if_not(here.begin(), here.end(), belongs) - here.begin());
  };
  if (is_letter(here.front())) {
    const auto length = end_of(is_letter);
    return {length, of_letters.at(std::min(length, of_letters.size()) - 1)};
  }
  if (is_digit(here.front())) {
    const auto length = end_of(is_digit);
    return {length, of_digits.at(std::min(length, of_digits.size()) - 1)};
  }
  static constexpr std::string_view separators = " -_.,";
  const bool usual = separators.find(static_cast<char>(here.front())) != std::string_view::npos;
  const auto before = text.first(at);
  const bool again = std::find(before.begin(), before.end(), here.front()) != before.end();
  return {1, usual || again ? 0 : of_symbol};
}

}  // namespace

std::uint32_t estimated_bits(const Secret& signerpass, std::string_view signer) {
  Secret folded = Secret::of_size(signerpass.size());
  std::transform(signerpass.reveal().begin(), signerpass.reveal().end(), folded.writable().begin(), lower);
  std::string id(signer);
  std::transform(id.begin(), id.end(), id.begin(), [](char c) { return static_cast<char>(lower(static_cast<std::uint8_t>(c))); });
  const auto text = folded.reveal();
  std::uint32_t tenths = 0;
  for (std::size_t at = 0; at < text.size();) {
    const auto rest = text.subspan(at);
    const auto habit =
        std::max({famous_length(rest, id), run_length(rest, 1), run_length(rest, 2), walk_length(rest), repeated_length(text, at)});
    const auto piece = habit > 0 ? Piece{habit, of_habit} : piece_of_one_kind(text, at);
    tenths += piece.tenths;
    at += piece.length;
  }
  return tenths / 10;
}

Status check_new_signerpass(const Secret& signerpass, std::string_view signer, std::uint32_t least_bits) {
  const auto text = signerpass.reveal();
  const bool printable = std::all_of(text.begin(), text.end(), [](std::uint8_t c) { return c >= 0x20 && c <= 0x7e; });
  const bool formed = text.size() >= least_length && text.size() <= most_length && printable && text.front() != ' ' && text.back() != ' ';
  if (refused_by("sam.signerpass.form", !formed)) {
    return Error{ErrorCode::invalid_request,
                 "a signerpass has 12 to 128 characters of ASCII: letters, digits, signs, and spaces that are not at its ends"};
  }
  if (refused_by("sam.signerpass.strength", estimated_bits(signerpass, signer) < least_bits)) {
    return Error{ErrorCode::invalid_request, "this signerpass is too easy to search for; let a program make one by chance"};
  }
  return {};
}

Status check_new_secret(const Policy& policy, Factor kind, const Secret& secret, std::string_view signer) {
  if (kind != Factor::signerpass) return check_new_pin(secret);
  if (!policy.signerpass_least_bits) return Error{ErrorCode::invalid_request, "no profile takes a signerpass"};
  return check_new_signerpass(secret, signer, *policy.signerpass_least_bits);
}

}  // namespace intaglio::sam
