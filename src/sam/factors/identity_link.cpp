#include "sam/factors/identity_link.h"

namespace intaglio::sam {
namespace {

constexpr std::string_view version = "identity/1";
constexpr std::size_t max_text = 255, salt_bytes = 16, incarnation_bytes = 16;

Error malformed() { return {ErrorCode::storage_unavailable, "a record is malformed: identity"}; }

}  // namespace

Bytes encode(const IdentityLinkRecord& record) {
  Bytes out;
  append_field(out, version);
  append_field(out, record.incarnation);
  append_field(out, record.link.salt);
  append_field(out, record.link.issuer);
  append_field(out, record.link.subject);
  append_field(out, static_cast<std::uint64_t>(record.link.linked));
  return out;
}

Result<IdentityLinkRecord> parse_identity_link(ByteView encoded) {
  FieldReader in(encoded);
  const auto form = in.text(version.size());
  auto incarnation = in.bytes(incarnation_bytes);
  auto salt = in.bytes(salt_bytes);
  auto issuer = in.text(max_text);
  auto subject = in.text(max_text);
  const auto linked = in.number();
  if (!form || *form != version || !incarnation || !salt || !issuer || !subject || !linked || !in.end()) return malformed();
  return IdentityLinkRecord{.incarnation = std::move(*incarnation),
                            .link = {.salt = std::move(*salt),
                                     .issuer = std::move(*issuer),
                                     .subject = std::move(*subject),
                                     .linked = static_cast<std::int64_t>(*linked)}};
}

}  // namespace intaglio::sam
