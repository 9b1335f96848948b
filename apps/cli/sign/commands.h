#pragma once

#include "sign/remote_signature.h"

namespace intaglio::cli {

struct SignPdfOptions {
  SigningOptions signing;
  std::filesystem::path input;
  std::optional<std::filesystem::path> output;  ///< default: NAME.signed.pdf beside the input
  bool replace = false;                         ///< the output may exist already, and may be the input
  std::string reason;
  bool no_receipt = false;
};
/// `intaglio sign FILE.pdf`: PAdES B-B.
Status sign_pdf(const SignPdfOptions& options, const Clock& clock);

struct SignDigestsOptions {
  SigningOptions signing;
  std::vector<std::string> digests;  ///< hexadecimal
};
/// `intaglio sign --digest`: raw signatures over digests, printed as JSON lines.
Status sign_digests(const SignDigestsOptions& options, const Clock& clock);

struct ApproveOptions {
  std::filesystem::path device_file;
  std::optional<std::filesystem::path> address_file;  ///< else it is asked for
  std::vector<std::filesystem::path> documents;       ///< approve these and no others, by their digests
  std::vector<std::string> digests;                   ///< the same, hexadecimal
  std::optional<std::string> signer;  ///< instead of an address: what waits for this signer is asked with the device's key
  std::optional<std::string> comparison;  ///< the two digits that the application shows, for scripts; else they are asked for
  int wait_seconds = 60;  ///< how long something may wait to come
  FactorOptions factors;
  bool yes = false;
};
/// `intaglio approve`: the signer's own device for what an application asked to have approved (api/sic, /sic/v1/approvals).
Status approve(const ApproveOptions& options, const Clock& clock);

}  // namespace intaglio::cli
