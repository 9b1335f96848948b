#include "sam/grants/record.h"

namespace intaglio::sam {
namespace {

constexpr std::string_view form = "grant/1";
constexpr std::size_t max_transaction = 64 * 1024, max_name = 256;

Error malformed() { return {ErrorCode::storage_unavailable, "a record is malformed: grant"}; }

Result<crypto::Sha256Digest> digest_of(const Bytes& bytes) {
  crypto::Sha256Digest digest{};
  if (bytes.size() != digest.size()) return malformed();
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

}  // namespace

Bytes encode(const GrantRecord& grant) {
  Bytes out;
  append_field(out, form);
  append_field(out, grant.id);
  append_field(out, protocol::encode(grant.transaction));
  append_field(out, grant.consent);
  append_field(out, grant.terms.id);
  append_field(out, grant.terms.version);
  append_field(out, grant.terms.language);
  append_field(out, grant.act);
  append_field(out, grant.factors);
  append_field(out, static_cast<std::uint64_t>(unix_seconds(grant.made)));
  append_field(out, grant.used);
  append_field(out, std::uint64_t{grant.ended});
  return out;
}

Result<GrantRecord> parse_grant(ByteView encoded) {
  FieldReader in(encoded);
  const auto version = in.text(32);
  auto id = in.text(64);
  const auto transaction = in.bytes(max_transaction);
  const auto consent = in.bytes(32);
  auto terms_id = in.text(max_name);
  auto terms_version = in.text(max_name);
  auto terms_language = in.text(max_name);
  auto act = in.text(max_name);
  const auto factors = in.bytes(32);
  const auto made = in.number();
  const auto used = in.number();
  const auto ended = in.number();
  const bool read =
      version && id && transaction && consent && terms_id && terms_version && terms_language && act && factors && made && used && ended;
  if (!read || !in.end() || *version != form || *ended > 1) return malformed();
  auto approved = protocol::parse_transaction(*transaction);
  auto consented = digest_of(*consent);
  auto of_factors = digest_of(*factors);
  if (!approved || approved->purpose != protocol::Purpose::grant || !consented || !of_factors) return malformed();
  return GrantRecord{.id = *std::move(id),
                     .transaction = *std::move(approved),
                     .consent = *consented,
                     .terms = {*std::move(terms_id), *std::move(terms_version), *std::move(terms_language)},
                     .act = *std::move(act),
                     .factors = *of_factors,
                     .made = from_unix_seconds(static_cast<std::int64_t>(*made)),
                     .used = *used,
                     .ended = *ended == 1};
}

}  // namespace intaglio::sam
