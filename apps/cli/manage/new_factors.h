#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "sign/sap_session.h"

/// What enrolment and a later change of factors have in common on the signer's side.
namespace intaglio::cli {

/// A new PIN of the right form: asked twice, or from the file that `option` names.
[[nodiscard]] Result<Secret> choose_pin(const std::optional<std::filesystem::path>& file, std::string_view option);

/// A new signerpass of the right form: asked twice, or from the file that `option` names. Whether it is strong enough the SAM says.
[[nodiscard]] Result<Secret> choose_signerpass(const std::optional<std::filesystem::path>& file, std::string_view option);

/// Before anything is sent: the file for the seed does not exist yet.
Status check_seed_file(const std::optional<std::filesystem::path>& seed_file);

/// The answer's members; the seed is wiped with this.
struct Seed {
  std::string base32, issuer, account;
  Seed() = default;
  Seed(const Seed&) = delete;
  Seed& operator=(const Seed&) = delete;
  ~Seed() { wipe(base32); }
};
/// Opens what the SAM sealed to the key of this message; without a seed its members are empty.
[[nodiscard]] Result<std::unique_ptr<Seed>> open_answer(const json::Value& answer, const SapMessage& message, std::string_view typ,
                                                        bool with_seed);
/// To a new file of mode 0600, and as QR code on the terminal.
Status hand_over(const Seed& seed, const std::optional<std::filesystem::path>& seed_file, bool draw);

}  // namespace intaglio::cli
