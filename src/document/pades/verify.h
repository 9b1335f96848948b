#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/cms.h"
#include "document/pades/pdf_source.h"
#include "document/pades/sign.h"

namespace intaglio::document::pades {

enum class Verdict {
  valid,      ///< the bytes are those that were signed, and the signer's path ends at an anchor
  untrusted,  ///< the path does not end at an anchor, or is not valid at that time
  invalid,    ///< the bytes, the byte range or the CMS are not right
};

/// What is known of one signature of a PDF.
struct SignatureReport {
  std::string field;         ///< fully qualified name, UTF-8
  std::string sub_filter;    ///< without slash
  std::string claimed_time;  ///< /M as it stands
  std::string reason;
  ByteRange byte_range{};
  Verdict verdict = Verdict::invalid;
  std::string finding;       ///< why it is not valid; empty when it is
  std::optional<crypto::CmsSignature> cms;  ///< when valid
  bool covers_whole_document = false;
  /// Updates after what is signed, counted by their ends; each may be a further signature or a change.
  std::uint64_t later_updates = 0;
};

/// Every signature of the document in the order of its form. Refused when the document cannot be read; a signature that is not
/// valid is a report. `at`: the time at which the certificates must be valid. Revocation is not looked at.
[[nodiscard]] Result<std::vector<SignatureReport>> verify(const std::shared_ptr<const PdfSource>& document,
                                                          const std::vector<crypto::Certificate>& anchors, UnixTime at);

}  // namespace intaglio::document::pades
