#include "sam/sap/passkey_members.h"

namespace intaglio::sam {
namespace {

constexpr std::size_t max_id = 1023, max_client_data = 4096, max_authenticator_data = 2048, max_signature = 1024;
constexpr std::size_t max_attestation = 16 * 1024;

Result<Bytes> bytes_member(const json::Value& factor, std::string_view name, std::size_t most) {
  auto bytes = json::base64url_member(factor, name, most);
  if (!bytes || bytes->empty())
    return Error{ErrorCode::invalid_request,
                 "SAP message: " + std::string(name) + " must be 1 to " + std::to_string(most) + " bytes in base64url"};
  return bytes;
}

}  // namespace

Result<evidence::webauthn::AssertionResponse> parse_assertion(const json::Value& factor) {
  auto id = bytes_member(factor, "id", max_id);
  auto client_data = bytes_member(factor, "client_data", max_client_data);
  auto authenticator_data = bytes_member(factor, "authenticator_data", max_authenticator_data);
  auto signature = bytes_member(factor, "signature", max_signature);
  for (const auto* part : {&id, &client_data, &authenticator_data, &signature}) {
    if (!*part) return part->error();
  }
  return evidence::webauthn::AssertionResponse{.credential_id = std::move(*id),
                                               .client_data = std::move(*client_data),
                                               .authenticator_data = std::move(*authenticator_data),
                                               .signature = std::move(*signature)};
}

Result<evidence::webauthn::RegistrationResponse> parse_registration(const json::Value& factor) {
  auto client_data = bytes_member(factor, "client_data", max_client_data);
  if (!client_data) return client_data.error();
  auto attestation = bytes_member(factor, "attestation", max_attestation);
  if (!attestation) return attestation.error();
  return evidence::webauthn::RegistrationResponse{.client_data = std::move(*client_data), .attestation_object = std::move(*attestation)};
}

}  // namespace intaglio::sam
