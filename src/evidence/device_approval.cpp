#include "evidence/device_approval.h"

#include "base/check.h"
#include "base/fields.h"

namespace intaglio::evidence {
namespace {

constexpr std::string_view version = "intaglio/approval-by-device/1";
constexpr std::size_t max_bytes = 64 * 1024, max_text = 512, max_spki = 128, max_signature = 64;

Error malformed() { return {ErrorCode::invalid_request, "approval by a device: not of this form"}; }
Error refuse(const std::string& why) { return {ErrorCode::authentication_failed, "approval by a device: " + why}; }

}  // namespace

Bytes encode(const DeviceApproval& approval) {
  Bytes out;
  append_field(out, version);
  append_field(out, approval.transaction);
  for (const auto* text : {&approval.terms.id, &approval.terms.version, &approval.terms.language, &approval.act, &approval.message_id})
    append_field(out, *text);
  append_field(out, approval.spki);
  append_field(out, approval.signature);
  return out;
}

bool is_device_approval(ByteView encoded) { return Fields(encoded).text(max_text) == version; }

Result<DeviceApproval> parse_device_approval(ByteView encoded) {
  if (encoded.size() > max_bytes) return malformed();
  Fields in(encoded);
  in.expect(version);
  DeviceApproval approval{};
  approval.transaction = in.bytes(max_bytes);
  for (auto* text : {&approval.terms.id, &approval.terms.version, &approval.terms.language, &approval.act, &approval.message_id})
    *text = in.text(max_text);
  approval.spki = in.bytes(max_spki);
  approval.signature = in.bytes(max_signature);
  if (!in.finished()) return malformed();
  return approval;
}

Result<protocol::Transaction> verify_approval(const DeviceApproval& approval) {
  auto transaction = protocol::parse_transaction(approval.transaction);
  if (!transaction) return refuse("T cannot be read");
  if (refused_by("device-approval.purpose", transaction->purpose != protocol::Purpose::sign)) return refuse("T approves no documents");
  const auto key = device_key::parse_key(approval.spki);
  if (!key) return refuse(key.error().detail);
  const auto consent = protocol::consent_digest(approval.transaction, approval.terms, approval.act);
  const auto binding = protocol::binding_digest(approval.transaction, consent);
  const auto input = device_key::approval_input(device_key::name_of(approval.spki), approval.message_id, binding);
  const auto verified = device_key::verify(*key, input, approval.signature);
  if (refused_by("device-approval.signature", !verified)) return refuse(verified.error().detail);
  return std::move(*transaction);
}

}  // namespace intaglio::evidence
