#pragma once

#include "intaglio_sam.pb.h"
#include "protocol/service.h"

/// The border: between messages of the wire and values. `read` takes nothing for granted (every field bounded, unknown enum
/// values refused with `invalid_request`); `write` is the reverse.
namespace intaglio::protocol::wire {

[[nodiscard]] Result<OpenSigning> read(const v1::OpenSigning& message);
[[nodiscard]] Result<OpenEnrolment> read(const v1::OpenEnrolment& message);
[[nodiscard]] Result<OpenKeyGeneration> read(const v1::OpenKeyGeneration& message);
[[nodiscard]] Result<OpenKeyChange> read(const v1::OpenKeyChange& message);
[[nodiscard]] Result<OpenGrant> read(const v1::OpenGrant& message);
struct GrantEnd {
  std::string grant, reason;
};
[[nodiscard]] Result<GrantEnd> read(const v1::GrantEnd& message);
[[nodiscard]] Result<SignRequest> read(const v1::SignRequest& message);
[[nodiscard]] Result<ExtendRequest> read(const v1::ExtendRequest& message);
[[nodiscard]] Result<CertificateBinding> read(const v1::CertificateBinding& message);
struct Suspension {
  KeyId key;
  std::string reason;
};
[[nodiscard]] Result<OpenOneTime> read(const v1::OpenOneTime& message);
[[nodiscard]] Result<OneTimeCertificate> read(const v1::OneTimeCertificate& message);
struct Orphan {
  KeyId key;
  Bytes certificate;
};
[[nodiscard]] Result<Orphan> read(const v1::Orphan& message);
[[nodiscard]] Result<Suspension> read(const v1::Suspension& message);
struct ReceiptRequest {
  std::uint64_t index;
  crypto::Sha256Digest leaf;
};
[[nodiscard]] Result<ReceiptRequest> read(const v1::ReceiptRequest& message);
/// SAP messages, operators' requests, SADs: printable ASCII, 1 byte to 64 KiB.
[[nodiscard]] Result<std::string> read_token(const std::string& text);
[[nodiscard]] Result<Bytes> read_revocation_data(const std::string& bytes);

[[nodiscard]] Result<Opened> read(const v1::Opened& message);
[[nodiscard]] Result<Authorised> read(const v1::Authorised& message);
[[nodiscard]] Result<std::string> read_json(const std::string& text);  ///< UTF-8 by the parser, at most 512 KiB
[[nodiscard]] Result<KeyGenerated> read(const v1::KeyGenerated& message);
[[nodiscard]] Result<SignAnswer> read(const v1::SignAnswer& message);
[[nodiscard]] Result<LogEntry> read(const v1::LogEntry& message);
[[nodiscard]] Result<OneTimeSigned> read(const v1::OneTimeSigned& message);
[[nodiscard]] Result<SignerCreated> read(const v1::SignerCreated& message);
[[nodiscard]] Result<CredentialFacts> read(const v1::CredentialFacts& message);
[[nodiscard]] Result<std::vector<CredentialFacts>> read(const v1::CredentialList& message);

void write(const OpenSigning& value, v1::OpenSigning& message);
void write(const OpenEnrolment& value, v1::OpenEnrolment& message);
void write(const OpenKeyGeneration& value, v1::OpenKeyGeneration& message);
void write(const OpenKeyChange& value, v1::OpenKeyChange& message);
void write(const OpenGrant& value, v1::OpenGrant& message);
void write(const GrantEnd& value, v1::GrantEnd& message);
void write(const SignRequest& value, v1::SignRequest& message);
void write(const ExtendRequest& value, v1::ExtendRequest& message);
void write(const CertificateBinding& value, v1::CertificateBinding& message);
void write(const OpenOneTime& value, v1::OpenOneTime& message);
void write(const OneTimeCertificate& value, v1::OneTimeCertificate& message);
void write(const Orphan& value, v1::Orphan& message);
void write(const Suspension& value, v1::Suspension& message);
void write(const ReceiptRequest& value, v1::ReceiptRequest& message);

void write(const Opened& value, v1::Opened& message);
void write(const Authorised& value, v1::Authorised& message);
void write(const Enrolled& value, std::string& message);
void write(const std::string& json, std::string& message);
void write(const SignerId& signer, std::string& message);
void write(const KeyGenerated& value, v1::KeyGenerated& message);
void write(const SignAnswer& value, v1::SignAnswer& message);
void write(const LogEntry& value, v1::LogEntry& message);
void write(const OneTimeSigned& value, v1::OneTimeSigned& message);
void write(const SignerCreated& value, v1::SignerCreated& message);
void write(const CredentialFacts& value, v1::CredentialFacts& message);
void write(const std::vector<CredentialFacts>& value, v1::CredentialList& message);

}  // namespace intaglio::protocol::wire
