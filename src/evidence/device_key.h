#pragma once

#include <string_view>

#include "crypto/public_key.h"

/// The key of a signer's own device and what it signs (api/sap/README.md, 12): ECDSA on P-256 with SHA-256, as r | s, over fields that begin
/// with what they are for. Functions of their input alone.
namespace intaglio::evidence::device_key {

/// How a device answers an approval or a change, and how it shows itself.
struct Answer {
  Bytes device;  ///< its name
  Bytes signature;  ///< r | s, 64 bytes
};

/// A key that a device brings, with the proof that it has the private half.
struct Registration {
  Bytes spki;  ///< SubjectPublicKeyInfo, DER
  Bytes signature;  ///< r | s, 64 bytes
};

/// The name of a device, in messages and in the audit log: SHA-256("intaglio/device/1" | SubjectPublicKeyInfo), every part a field.
[[nodiscard]] crypto::Sha256Digest name_of(ByteView spki);

/// Refused (`invalid_request`): a key on another curve than P-256, another algorithm. One key has one encoding, and so one name.
[[nodiscard]] Result<crypto::PublicKey> parse_key(ByteView spki);

/// "intaglio/device-approval/1" | name | message id | binding, every part a field. The message id is part of it, so that what a device
/// signed goes with one message and with no other.
[[nodiscard]] Bytes approval_input(ByteView name, std::string_view message_id, ByteView binding);
/// "intaglio/device-possession/1" | SubjectPublicKeyInfo | message id | binding, every part a field.
[[nodiscard]] Bytes possession_input(ByteView spki, std::string_view message_id, ByteView binding);

/// Refused (`authentication_failed`) unless this key signed exactly these bytes.
Status verify(const crypto::PublicKey& key, ByteView input, ByteView signature);
/// The key, once its private half signed possession_input(); `invalid_request` with the reason otherwise.
[[nodiscard]] Result<crypto::PublicKey> verify_possession(const Registration& registration, std::string_view message_id, ByteView binding);

}  // namespace intaglio::evidence::device_key
