#include "evidence/approval.h"

#include "base/check.h"
#include "base/fields.h"

namespace intaglio::evidence {
namespace {

constexpr std::string_view version = "intaglio/approval/1";
constexpr std::size_t max_bytes = 64 * 1024, max_origins = 16, max_text = 512;
constexpr std::size_t max_credential_id = 1023, max_spki = 1024, max_client_data = 4096, max_authenticator_data = 2048,
                      max_signature = 1024;

Error malformed() { return {ErrorCode::invalid_request, "approval: not of this form"}; }
Error refuse(const std::string& why) { return {ErrorCode::authentication_failed, "approval: " + why}; }

}  // namespace

Bytes encode(const Approval& approval) {
  Bytes out;
  append_field(out, version);
  append_field(out, approval.transaction);
  for (const auto* text : {&approval.terms.id, &approval.terms.version, &approval.terms.language, &approval.act, &approval.rp_id})
    append_field(out, *text);
  append_field(out, std::uint64_t{approval.origins.size()});
  for (const auto& origin : approval.origins) append_field(out, origin);
  append_field(out, approval.response.credential_id);
  append_field(out, approval.spki);
  append_field(out, approval.suite);
  append_field(out, std::uint64_t{approval.backup_eligible});
  append_field(out, approval.response.client_data);
  append_field(out, approval.response.authenticator_data);
  append_field(out, approval.response.signature);
  return out;
}

Result<Approval> parse_approval(ByteView encoded) {
  if (encoded.size() > max_bytes) return malformed();
  Fields in(encoded);
  in.expect(version);
  Approval approval{};
  approval.transaction = in.bytes(max_bytes);
  for (auto* text : {&approval.terms.id, &approval.terms.version, &approval.terms.language, &approval.act, &approval.rp_id})
    *text = in.text(max_text);
  const auto origins = in.number(max_origins);
  for (std::uint64_t at = 0; at < origins && in.good(); ++at) approval.origins.push_back(in.text(max_text));
  approval.response.credential_id = in.bytes(max_credential_id);
  approval.spki = in.bytes(max_spki);
  approval.suite = in.number();
  const auto backup_eligible = in.number(1);
  approval.response.client_data = in.bytes(max_client_data);
  approval.response.authenticator_data = in.bytes(max_authenticator_data);
  approval.response.signature = in.bytes(max_signature);
  if (!in.finished()) return malformed();
  approval.backup_eligible = backup_eligible == 1;
  return approval;
}

Result<protocol::Transaction> verify_approval(const Approval& approval) {
  auto transaction = protocol::parse_transaction(approval.transaction);
  if (!transaction) return refuse("T cannot be read");
  if (refused_by("approval.purpose", transaction->purpose != protocol::Purpose::sign)) return refuse("T approves no documents");
  auto key = crypto::PublicKey::parse_spki(approval.spki);
  auto suite = crypto::suite_from_number(approval.suite);
  if (!key || !suite) return refuse("the passkey's key cannot be read");
  const auto consent = protocol::consent_digest(approval.transaction, approval.terms, approval.act);
  const auto binding = protocol::binding_digest(approval.transaction, consent);
  const webauthn::Rules rules{
      .rp_id = approval.rp_id, .origins = approval.origins, .allow_backup_eligible = approval.backup_eligible, .models = {}, .roots = {}};
  const webauthn::Credential credential{.id = approval.response.credential_id,
                                        .key = std::move(*key),
                                        .suite = *suite,
                                        .model = {},
                                        .counter = 0,
                                        .backup_eligible = approval.backup_eligible};
  const auto verified = webauthn::verify_assertion(rules, credential, binding, approval.response);
  if (refused_by("approval.assertion", !verified)) return refuse(verified.error().detail);
  return std::move(*transaction);
}

crypto::Sha256Digest passkey_digest(ByteView id, ByteView spki) {
  Bytes input;
  append_field(input, std::string_view("intaglio/passkey/1"));
  append_field(input, id);
  append_field(input, spki);
  return crypto::sha256(input);
}

}  // namespace intaglio::evidence
