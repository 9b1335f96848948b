#include "sam/factors/passkey_record.h"

namespace intaglio::sam {
namespace {

/// Records of before attestation was kept have none.
constexpr std::string_view version = "passkeys/2", earlier_version = "passkeys/1";
constexpr std::size_t max_credential_id = 1023, max_spki = 1024;

Error malformed() { return {ErrorCode::storage_unavailable, "a record is malformed: passkeys"}; }

Result<Passkey> parse_passkey(FieldReader& in, bool earlier) {
  auto id = in.bytes(max_credential_id);
  auto spki = in.bytes(max_spki);
  auto suite = in.number();
  auto model = in.bytes(evidence::webauthn::Aaguid().size());
  auto counter = in.number();
  auto backup_eligible = in.number();
  const auto attested = earlier ? Result<std::uint64_t>(0) : in.number();
  auto suspended = in.number();
  auto registered = in.number();
  if (!id || !spki || !suite || !model || !counter || !backup_eligible || !attested || !suspended || !registered) return malformed();
  if (model->size() != evidence::webauthn::Aaguid().size() || *counter > UINT32_MAX || *backup_eligible > 1 || *attested > 1 ||
      *suspended > 1)
    return malformed();
  Passkey passkey{.id = std::move(*id),
                  .spki = std::move(*spki),
                  .suite = *suite,
                  .model = {},
                  .counter = *counter,
                  .backup_eligible = *backup_eligible == 1,
                  .attested = *attested == 1,
                  .suspended = *suspended == 1,
                  .registered = static_cast<std::int64_t>(*registered)};
  std::copy(model->begin(), model->end(), passkey.model.begin());
  return passkey;
}

}  // namespace

Bytes encode(const PasskeyRecord& record) {
  Bytes out;
  append_field(out, version);
  append_field(out, record.incarnation);
  append_field(out, std::uint64_t{record.passkeys.size()});
  for (const auto& passkey : record.passkeys) {
    append_field(out, passkey.id);
    append_field(out, passkey.spki);
    append_field(out, passkey.suite);
    append_field(out, ByteView(passkey.model));
    append_field(out, passkey.counter);
    append_field(out, std::uint64_t{passkey.backup_eligible});
    append_field(out, std::uint64_t{passkey.attested});
    append_field(out, std::uint64_t{passkey.suspended});
    append_field(out, static_cast<std::uint64_t>(passkey.registered));
  }
  return out;
}

Result<PasskeyRecord> parse_passkeys(ByteView encoded) {
  FieldReader in(encoded);
  const auto told = in.text(version.size());
  auto incarnation = in.bytes(16);
  const auto count = in.number();
  const bool earlier = told && *told == earlier_version;
  if (!told || (*told != version && !earlier) || !incarnation || !count || *count > max_passkeys) return malformed();
  PasskeyRecord record{.incarnation = std::move(*incarnation), .passkeys = {}};
  for (std::uint64_t at = 0; at < *count; ++at) {
    auto passkey = parse_passkey(in, earlier);
    if (!passkey) return passkey.error();
    record.passkeys.push_back(std::move(*passkey));
  }
  if (!in.end()) return malformed();
  return record;
}

}  // namespace intaglio::sam
