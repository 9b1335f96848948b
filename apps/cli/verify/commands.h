#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace intaglio::cli {

struct VerifyPdfOptions {
  std::filesystem::path file;
  std::vector<std::filesystem::path> anchors;  ///< PEM, one or more certificates each
  bool as_json = false;
};
/// `intaglio verify`: every signature of a PDF. Refused unless there is one, all are valid, and the newest covers the whole file.
Status verify_pdf(const VerifyPdfOptions& options, const Clock& clock);

struct AuditVerifyOptions {
  std::vector<std::filesystem::path> configs;  ///< of the process whose log it is; of each node where several share a database
  std::optional<std::filesystem::path> database, directory, anchor, key;
  std::optional<std::string> origin;
  std::optional<std::filesystem::path> approval;  ///< what a passkey signed (api/sap/README.md, 8)
};
/// `intaglio audit verify`: the whole log, offline, or those of all nodes of a database on PostgreSQL: refused when one is left out; with an approval also that it verifies and that the log granted just this.
Status verify_audit_log(const AuditVerifyOptions& options);

struct AuditReceiptOptions {
  std::filesystem::path file, key;
  std::optional<std::string> origin;
};
/// `intaglio audit receipt`: one receipt, offline.
Status verify_audit_receipt(const AuditReceiptOptions& options);

}  // namespace intaglio::cli
