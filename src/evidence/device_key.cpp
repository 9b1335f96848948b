#include "evidence/device_key.h"

#include "base/check.h"

namespace intaglio::evidence::device_key {
namespace {

constexpr std::string_view name_domain = "intaglio/device/1";
constexpr std::string_view approval_domain = "intaglio/device-approval/1";
constexpr std::string_view possession_domain = "intaglio/device-possession/1";
constexpr std::size_t signature_bytes = 64;

Error invalid(const char* why) { return {ErrorCode::invalid_request, std::string("device key: ") + why}; }
Error refuse(const char* why) { return {ErrorCode::authentication_failed, std::string("device key: ") + why}; }

Bytes input_of(std::string_view domain, ByteView key, std::string_view message_id, ByteView binding) {
  Bytes input;
  append_field(input, domain);
  append_field(input, key);
  append_field(input, message_id);
  append_field(input, binding);
  return input;
}

}  // namespace

crypto::Sha256Digest name_of(ByteView spki) {
  Bytes input;
  append_field(input, name_domain);
  append_field(input, spki);
  return crypto::sha256(input);
}

Result<crypto::PublicKey> parse_key(ByteView spki) {
  auto key = crypto::PublicKey::parse_spki(spki);
  if (!key) return invalid("it cannot be read");
  if (refused_by("evidence.device.curve", key->algorithm() != crypto::KeyAlgorithm::p256)) return invalid("it is not on P-256");
  return key;
}

Bytes approval_input(ByteView name, std::string_view message_id, ByteView binding) {
  return input_of(approval_domain, name, message_id, binding);
}

Bytes possession_input(ByteView spki, std::string_view message_id, ByteView binding) {
  return input_of(possession_domain, spki, message_id, binding);
}

Status verify(const crypto::PublicKey& key, ByteView input, ByteView signature) {
  if (signature.size() != signature_bytes) return refuse("a signature has 64 bytes");
  const auto der = crypto::ecdsa_to_der(signature);
  if (!der) return refuse("the signature cannot be read");
  const auto verified = key.verify(crypto::SignatureSuite::ecdsa_sha256, input, *der);
  if (refused_by("evidence.device.signature", !verified)) return refuse("it did not sign this");
  return {};
}

Result<crypto::PublicKey> verify_possession(const Registration& registration, std::string_view message_id, ByteView binding) {
  auto key = parse_key(registration.spki);
  if (!key) return key;
  const auto verified = verify(*key, possession_input(registration.spki, message_id, binding), registration.signature);
  if (refused_by("evidence.device.possession", !verified)) return invalid("its private half did not sign this registration");
  return key;
}

}  // namespace intaglio::evidence::device_key
