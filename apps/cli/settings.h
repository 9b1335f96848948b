#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "crypto/public_key.h"
#include "crypto/signer.h"
#include "protocol/binding.h"
#include "protocol/wire.h"

namespace intaglio::cli {

/// What every program on the signer's side has: where the service is, and the terms that the signer accepts.
struct SignerSide {
  std::string base_url;  ///< without a slash at the end
  std::filesystem::path ca_file;
  protocol::Terms terms;
  std::string terms_text;
  std::chrono::seconds request_time;
};

/// client.toml: the service, the signature application's own identity, and the SAM that the signer trusts.
struct ClientSettings : SignerSide {
  std::string client_id;
  std::shared_ptr<crypto::SoftwareKey> client_key;
  std::string sam_thumbprint;                       ///< RFC 7638
  std::optional<std::string> checkpoint_thumbprint; ///< RFC 7638
  std::optional<std::string> log_origin;
  std::chrono::seconds receipt_time;
};
[[nodiscard]] Result<ClientSettings> load_client_settings(const std::filesystem::path& path);

/// device.toml: a signer's own device, which is no signature application and has no key of its own.
struct DeviceSettings : SignerSide {
  crypto::PublicKey sam_identity;
};
[[nodiscard]] Result<DeviceSettings> load_device_settings(const std::filesystem::path& path);

/// operator.toml: the registration listener, the operator's TLS identity and signing key.
struct OperatorSettings {
  std::string base_url;
  std::filesystem::path ca_file, certificate_file, private_key_file;
  std::string operator_id;
  std::shared_ptr<crypto::SoftwareKey> operator_key;
  std::optional<crypto::PublicKey> sam_identity;
  std::chrono::seconds request_time;
};
[[nodiscard]] Result<OperatorSettings> load_operator_settings(const std::filesystem::path& path);

/// admin.toml: a privileged user and the SAM's management listener.
struct AdminSettings {
  protocol::wire::ClientConfig sam;
  std::string sam_name;
  std::string user_id;
  std::shared_ptr<crypto::SoftwareKey> key;  ///< signs requests, and is the key of the TLS certificate
};
[[nodiscard]] Result<AdminSettings> load_admin_settings(const std::filesystem::path& path);

/// A key of this side: PKCS#8, P-256, PEM, in a file of mode 0600.
[[nodiscard]] Result<std::shared_ptr<crypto::SoftwareKey>> load_private_key(const std::filesystem::path& path);

/// The same; made there when there is no such file. `option` names it in what is said when the file cannot be written.
[[nodiscard]] Result<std::shared_ptr<crypto::SoftwareKey>> load_or_make_private_key(const std::filesystem::path& path,
                                                                                    std::string_view option);

/// A public key in a file: PEM "PUBLIC KEY" or a public JWK.
[[nodiscard]] Result<crypto::PublicKey> load_public_key(const std::filesystem::path& path);

}  // namespace intaglio::cli
