#include "audit/detail/checkpoint.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"

namespace intaglio::audit::detail {

namespace {

constexpr std::size_t max_note_size = 64 * 1024;
constexpr std::size_t key_id_size = 4;
constexpr std::string_view dash = "\xe2\x80\x94 ";

Error refused(const char* why) { return {ErrorCode::invalid_request, std::string("checkpoint: ") + why}; }

Bytes key_id_of(const crypto::PublicKey& key) {
  const auto digest = crypto::sha256(key.spki());
  return Bytes(digest.begin(), digest.begin() + key_id_size);
}

std::string text_of(const Checkpoint& checkpoint) {
  return checkpoint.origin + '\n' + std::to_string(checkpoint.size) + '\n' + encode_base64(checkpoint.root) + '\n';
}

/// The line without its newline; the rest stays.
std::optional<std::string_view> next_line(std::string_view& rest) {
  const auto end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const auto line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return line;
}

Result<Checkpoint> parse_text(std::string_view text) {
  const auto origin = next_line(text);
  const auto size = next_line(text);
  const auto root = next_line(text);
  if (!origin || !size || !root || !is_origin(*origin)) return refused("fewer than three lines");
  Checkpoint checkpoint{std::string(*origin), 0, {}};
  const auto parsed = std::from_chars(size->data(), size->data() + size->size(), checkpoint.size);
  if (parsed.ec != std::errc() || std::to_string(checkpoint.size) != *size) return refused("the size is not a number");
  auto hash = parse_base64(*root);
  if (!hash || hash->size() != checkpoint.root.size()) return refused("the root is not a hash");
  std::copy(hash->begin(), hash->end(), checkpoint.root.begin());
  return checkpoint;
}

/// The signature of this name and key, among others.
Result<Bytes> find_signature(std::string_view lines, std::string_view name, const Bytes& key_id) {
  while (const auto line = next_line(lines)) {
    if (!line->starts_with(dash)) return refused("a line after the text is not a signature");
    const auto rest = line->substr(dash.size());
    const auto space = rest.find(' ');
    if (space == std::string_view::npos || rest.substr(0, space) != name) continue;
    auto bytes = parse_base64(rest.substr(space + 1));
    if (!bytes || bytes->size() <= key_id_size || !std::equal(key_id.begin(), key_id.end(), bytes->begin())) continue;
    return Bytes(bytes->begin() + key_id_size, bytes->end());
  }
  return refused("not signed by the key of this log");
}

}  // namespace

bool is_origin(std::string_view text) noexcept {
  return !text.empty() && text.size() <= 255 &&
         std::all_of(text.begin(), text.end(), [](char character) { return character > ' ' && character < 0x7f && character != '+'; });
}

Result<std::string> sign_checkpoint(const Checkpoint& checkpoint, const crypto::Signer& signer) {
  const auto text = text_of(checkpoint);
  auto signature = signer.sign(crypto::SignatureSuite::ecdsa_sha256, as_bytes(text));
  if (!signature) return signature.error();
  auto signed_by = key_id_of(signer.public_key());
  append(signed_by, *signature);
  return text + '\n' + std::string(dash) + checkpoint.origin + ' ' + encode_base64(signed_by) + '\n';
}

Result<Checkpoint> verify_checkpoint(std::string_view note, std::string_view origin, const crypto::PublicKey& key) {
  if (note.size() > max_note_size) return refused("too large");
  const auto blank = note.rfind("\n\n");
  if (blank == std::string_view::npos || note.back() != '\n') return refused("not a signed note");
  const auto text = note.substr(0, blank + 1);
  auto checkpoint = parse_text(text);
  if (!checkpoint) return checkpoint.error();
  if (refused_by("checkpoint.origin", checkpoint->origin != origin)) return refused("of another log");
  auto signature = find_signature(note.substr(blank + 2), checkpoint->origin, key_id_of(key));
  if (!signature) return signature.error();
  const auto verified = key.verify(crypto::SignatureSuite::ecdsa_sha256, as_bytes(text), *signature);
  if (refused_by("checkpoint.signature", !verified)) return refused("the signature does not verify");
  return checkpoint;
}

}  // namespace intaglio::audit::detail
