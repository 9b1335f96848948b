#include "audit/log.h"
#include "base/file.h"
#include "config/document.h"
#include "console.h"
#include "json/json.h"
#include "problem.h"
#include "settings.h"
#include "verify/approval.h"
#include "verify/commands.h"

namespace intaglio::cli {
namespace {

/// Where a process keeps its log. Only these keys are read: the rest of the file is that process's business.
Status read_process_config(const std::filesystem::path& path, AuditVerifyOptions& options) {
  auto document = config::Document::open(path, "intaglio");
  if (!document) return document.error();
  auto root = document->root();
  auto audit = root.section("audit", "the log");
  const auto keep = [](std::optional<std::filesystem::path>& option, std::optional<std::filesystem::path> read) {
    if (!option) option = std::move(read);
  };
  keep(options.directory, audit.optional_path("directory", "tiles and checkpoint"));
  keep(options.anchor, audit.optional_path("anchor", "size and running hash"));
  if (!options.origin) options.origin = audit.optional_text("origin", "origin of the log");
  if (root.has("sam")) {
    auto sam = root.section("sam", "the SAM");
    keep(options.database, sam.optional_path("database", "its database"));
    if (!options.origin) {
      if (auto node = sam.optional_text("node", "its node")) options.origin = "intaglio/sam/" + *node;
    }
  } else {
    keep(options.database, root.section("database", "its database").optional_path("path", "SQLite file"));
  }
  return {};
}

Error missing(std::string_view option) {
  return problem(ErrorCode::invalid_request, "where the log is, is not known: " + std::string(option) + " is missing",
                 "give --config with the process's configuration, or --database, --directory, --anchor and --origin");
}

}  // namespace

Status verify_audit_log(const AuditVerifyOptions& given) {
  const Progress progress;
  auto options = given;
  if (options.config) {
    if (auto read = read_process_config(*options.config, options); !read) return read;
  }
  if (!options.database) return missing("--database");
  if (!options.directory) return missing("--directory");
  if (!options.anchor) return missing("--anchor");
  if (!options.origin) return missing("--origin");
  if (!options.key)
    return problem(ErrorCode::invalid_request, "--key is missing",
                   "give the public key that signs the checkpoints, PEM or JWK, as the provider published it");
  auto key = load_public_key(*options.key);
  if (!key) return key.error();
  std::optional<ApprovalInLog> approval;
  if (options.approval) {
    auto opened = ApprovalInLog::open(*options.approval);
    if (!opened) return opened.error();
    approval = std::move(*opened);
  }
  const auto each = [&](std::string_view event) {
    if (approval) approval->see(event);
  };
  auto report = audit::verify_log({.origin = *options.origin, .directory = *options.directory, .anchor = *options.anchor},
                                  *options.database, *key, each);
  if (!report) return because(report.error(), "the audit log", "check the paths; a running process does not hinder the verification");
  for (const auto& finding : report->findings) say("finding: " + printable(finding));
  say(json::encode({{"good", report->good},
                    {"entries", report->entries},
                    {"signatures", report->signatures},
                    {"openIntents", report->open_intents},
                    {"origin", *options.origin}}));
  if (!report->good)
    return problem(ErrorCode::invalid_request, "the audit log does not verify",
                   "keep a copy of database, tiles and anchor as they are, and tell the auditor");
  if (approval) {
    if (auto granted = approval->check(); !granted) return granted;
    say(approval->told());
  }
  progress.step("audit log verified: " + std::to_string(report->entries) + " entries, " + std::to_string(report->signatures) +
                " signatures");
  return {};
}

Status verify_audit_receipt(const AuditReceiptOptions& options) {
  auto content = read_file(options.file, 1024 * 1024);
  if (!content) return because(content.error(), "the receipt", "give the file OUT.pdf.receipt.json that `intaglio sign` wrote");
  std::string text(as_text(*content));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  auto receipt = json::parse(text, {.max_bytes = 1024 * 1024, .max_depth = 16, .max_members = 4096});
  if (!receipt) return because(receipt.error(), options.file.string(), "give the file OUT.pdf.receipt.json that `intaglio sign` wrote");
  auto key = load_public_key(options.key);
  if (!key) return key.error();
  // The checkpoint's signature covers the origin: a receipt that names another one than it was issued for does not verify.
  auto origin = options.origin ? Result<std::string>(*options.origin) : json::text_member(*receipt, "log");
  if (!origin) return because(origin.error(), options.file.string(), "the receipt names no log: give --origin");
  auto verified = audit::verify_receipt(text, *origin, *key);
  if (!verified)
    return because(verified.error(), "the receipt does not verify",
                   "compare --key with what the provider published; else tell the auditor of the service");
  say("receipt valid: entry " + json::encode((*receipt)["index"]) + " of " + printable(*origin));
  if (const auto* event = json::member(*receipt, "event"))
    say(event->is_string() ? printable(event->get<std::string>()) : json::encode(*event));
  return {};
}

}  // namespace intaglio::cli
