#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocol/service.h"
#include "sign/factors.h"

namespace intaglio::cli {

struct EnrolOptions {
  std::filesystem::path client_file;
  std::string signer;
  std::optional<std::filesystem::path> code_file, pin_file;
  bool signerpass = false;  ///< chosen instead of a PIN
  std::optional<std::filesystem::path> signerpass_file;
  std::optional<std::filesystem::path> seed_file;  ///< where the TOTP seed is kept for scripts, mode 0600
  std::optional<std::filesystem::path> id_token_program;  ///< links an identity instead of asking for a seed
  std::optional<std::filesystem::path> device_key_file;   ///< registers the key of this device instead; made when there is none
  bool no_qr = false;
  bool yes = false;  ///< for scripts; implied when all secrets come from files
};
/// `intaglio enrol`: activation code and a new PIN or signerpass for the first factors; the TOTP seed comes back sealed and is shown as QR code, or the
/// person who signs in at the identity provider is linked, or the key of this device is registered.
Status enrol(const EnrolOptions& options, const Clock& clock);

struct NewKeyOptions {
  std::filesystem::path client_file;
  std::string signer, algorithm, profile;
  std::optional<std::filesystem::path> csr_out;
  FactorOptions factors;
  bool yes = false;  ///< for scripts; implied when both factors come from files
};
/// `intaglio key new`: a key in the SAM's token, asked for with the signer's factors.
Status new_key(const NewKeyOptions& options, const Clock& clock);

struct ChangeFactorsOptions {
  std::filesystem::path client_file;
  std::string signer;
  /// One of them, or new_id_token_program or new_device_key_file, at least; not both of the first two.
  bool change_pin = false, change_signerpass = false, change_seed = false;
  std::optional<std::filesystem::path> new_pin_file, new_signerpass_file;
  std::optional<std::filesystem::path> new_id_token_program;  ///< the person who signs in there is linked from now on
  std::optional<std::filesystem::path> new_device_key_file;  ///< registered from now on; made when there is none
  bool drop_devices = false;  ///< the devices of before end
  std::optional<std::filesystem::path> seed_file;  ///< where the new TOTP seed is kept for scripts, mode 0600
  FactorOptions factors;  ///< the ones that the signer has
  bool no_qr = false;
  bool yes = false;  ///< for scripts; implied when all secrets come from files
};
/// `intaglio signer change-pin`, `change-signerpass`, `change-seed`, `change-identity`, `change-device`: new factors with the ones that the signer has.
Status change_factors(const ChangeFactorsOptions& options, const Clock& clock);

struct MakeSignerpassOptions {
  std::optional<std::filesystem::path> output;  ///< a new file of mode 0600; else the terminal
};
/// `intaglio signer make-signerpass`: ten letters and ten digits by turns, by chance: 80 bits.
Status make_signerpass(const MakeSignerpassOptions& options);

struct ChangeKeyOptions {
  std::filesystem::path client_file;
  std::string credential;
  protocol::KeyChange change = protocol::KeyChange::suspend;
  FactorOptions factors;
  bool yes = false;  ///< for scripts; implied when both factors come from files
};
/// `intaglio key suspend`, `intaglio key destroy`: on the signer's own word.
Status change_key(const ChangeKeyOptions& options, const Clock& clock);

/// Replaces this process by a program that stands beside it; comes back only when that fails.
Status run_sibling(const std::string& program, const std::vector<std::string>& arguments);
/// `intaglio hsm probe`. SoftHSM finds its token by SOFTHSM2_CONF: when that is not set, the file that `intaglio up` made beside
/// the token's folder is used.
Status probe_token(const std::filesystem::path& sam_config);

}  // namespace intaglio::cli
