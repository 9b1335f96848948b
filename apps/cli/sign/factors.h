#pragma once

#include <filesystem>
#include <optional>

#include "base/clock.h"
#include "console.h"
#include "sign/sap_session.h"

namespace intaglio::cli {

/// Where PIN and one-time code come from: the terminal, or files of mode 0600 for scripts. A signerpass takes the place of the PIN, an ID token
/// or the key of this device that of the code.
struct FactorOptions {
  std::optional<std::filesystem::path> pin_file;
  bool signerpass = false;  ///< asked for instead of the PIN
  std::optional<std::filesystem::path> signerpass_file;
  std::optional<std::filesystem::path> otp_seed_file;  ///< base32, as `enrol --seed-file` writes it
  std::optional<int> otp_step_offset;  ///< -1, 0 or 1: exactly this step, whatever was used before
  std::optional<std::filesystem::path> id_token_program;  ///< asks the identity provider
  std::optional<std::filesystem::path> device_key_file;  ///< the registered key of this device
  /// Whether nobody has to be asked at the terminal.
  [[nodiscard]] bool from_files() const noexcept {
    return (pin_file || signerpass_file) && (otp_seed_file || id_token_program || device_key_file);
  }
};

struct Factors {
  std::string_view known_type;  ///< "pin" or "signerpass"
  Secret known;
  std::string_view second_type;  ///< "totp", "id-token" or "device"
  Secret second;  ///< of the first two
  std::shared_ptr<crypto::SoftwareKey> device;
  /// As they stand in a SAP message; a view of this.
  [[nodiscard]] std::vector<Factor> shown() const { return {{known_type, &known}, {second_type, &second, device.get()}}; }
};
/// Asks or computes both; `binding` is what an identity provider answers. A code computed from a seed file is of a step that this file was not used for before (the file
/// FILE.last remembers): the present one or the next, and when both are used it waits and says so.
[[nodiscard]] Result<Factors> collect_factors(const FactorOptions& options, ByteView binding, const Clock& clock, const Progress& progress);

}  // namespace intaglio::cli
