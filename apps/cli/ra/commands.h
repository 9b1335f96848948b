#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"

namespace intaglio::cli {

struct CreateSignerOptions {
  std::filesystem::path operator_file, identity_file;
  std::string signer;
  std::optional<std::filesystem::path> code_out;             ///< mode 0600; else the code is shown
  std::optional<std::filesystem::path> revocation_code_out;  ///< the same for the signer's revocation code
  std::string level;                                         ///< of the identity proofing; empty: not said
  std::string email, phone, language;                        ///< where and how the person is told; empty: not said
};
/// `intaglio ra signer-create`: the identity record, signed; the SAM's activation code comes back sealed to the operator.
Status create_signer(const CreateSignerOptions& options, const Clock& clock);
/// `intaglio ra reset-factors`: the person was identified anew; all keys end, a new activation code comes back.
Status reset_factors(const CreateSignerOptions& options, const Clock& clock);

struct CertifyOptions {
  std::filesystem::path operator_file, identity_file;
  std::string credential;
  std::string profile;
  std::optional<std::filesystem::path> out;  ///< PEM chain, leaf first
};
/// `intaglio ra certify`: request -> certificate -> binding.
Status certify(const CertifyOptions& options, const Clock& clock);

struct KeyStateOptions {
  std::filesystem::path operator_file;
  std::string credential;
  std::string reason;
  std::string serial;  ///< hexadecimal; for revoke and release
  std::string urgency = "standard", channel = "operator";  ///< for revoke
};
Status suspend_key(const KeyStateOptions& options, const Clock& clock);
Status resume_key(const KeyStateOptions& options, const Clock& clock);
Status revoke_certificate(const KeyStateOptions& options, const Clock& clock);
/// Ends a hold; the key itself is taken up again by resume_key.
Status release_certificate(const KeyStateOptions& options, const Clock& clock);

}  // namespace intaglio::cli
