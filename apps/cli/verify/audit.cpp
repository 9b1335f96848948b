#include <algorithm>

#include "audit/node_logs.h"
#include "base/check.h"
#include "base/file.h"
#include "config/document.h"
#include "console.h"
#include "json/json.h"
#include "problem.h"
#include "settings.h"
#include "storage/node.h"
#include "verify/approval.h"
#include "verify/commands.h"

namespace intaglio::cli {
namespace {

/// Where one process keeps its log.
struct Place {
  std::optional<std::filesystem::path> database, directory, anchor;
  std::optional<std::string> origin;
  std::optional<storage::PostgresqlAddress> server;  ///< instead of the file
  std::string node;                                  ///< as which the server is asked
};

std::optional<storage::PostgresqlAddress> read_server(config::Section& root) {
  if (!root.has("postgresql")) return std::nullopt;
  auto section = root.section("postgresql", "the server of its database");
  const auto text = [&](std::string_view key) { return section.optional_text(key, "see sam.toml").value_or(""); };
  const auto file = [&](std::string_view key) { return section.optional_path(key, "see sam.toml").value_or(std::filesystem::path()); };
  storage::PostgresqlAddress address;
  address.hosts = text("hosts");
  address.ports = text("ports");
  address.name = text("name");
  address.user = text("user");
  address.passfile = file("passfile");
  address.tls_root = file("tls_root");
  address.tls_certificate = file("tls_certificate");
  address.tls_key = file("tls_key");
  return address.hosts.empty() ? std::nullopt : std::optional(std::move(address));
}

/// Only these keys are read: the rest of the file is that process's business. What was given on the command line holds.
Status read_process_config(const std::filesystem::path& path, Place& place) {
  auto document = config::Document::open(path, "intaglio");
  if (!document) return document.error();
  auto root = document->root();
  auto audit = root.section("audit", "the log");
  const auto keep = [](std::optional<std::filesystem::path>& option, std::optional<std::filesystem::path> read) {
    if (!option) option = std::move(read);
  };
  keep(place.directory, audit.optional_path("directory", "tiles and checkpoint"));
  keep(place.anchor, audit.optional_path("anchor", "size and running hash"));
  if (!place.origin) place.origin = audit.optional_text("origin", "origin of the log");
  if (root.has("sam")) {
    auto sam = root.section("sam", "the SAM");
    if (!place.database) place.server = read_server(root);
    keep(place.database, sam.optional_path("database", "its database"));
    place.node = sam.optional_text("node", "its node").value_or("");
    if (!place.origin && !place.node.empty()) place.origin = "intaglio/sam/" + place.node;
  } else {
    keep(place.database, root.section("database", "its database").optional_path("path", "SQLite file"));
  }
  return {};
}

Error missing(std::string_view option) {
  return problem(ErrorCode::invalid_request, "where the log is, is not known: " + std::string(option) + " is missing",
                 "give --config with the process's configuration, or --database, --directory, --anchor and --origin");
}

Result<std::vector<Place>> places_of(const AuditVerifyOptions& given) {
  const Place named{given.database, given.directory, given.anchor, given.origin, {}, {}};
  std::vector<Place> places;
  for (const auto& config : given.configs) {
    if (auto read = read_process_config(config, places.emplace_back(named)); !read) return read.error();
  }
  if (places.empty()) places.push_back(named);
  for (const auto& place : places) {
    if (!place.database && !place.server) return missing("--database");
    if (!place.directory) return missing("--directory");
    if (!place.anchor) return missing("--anchor");
    if (!place.origin) return missing("--origin");
  }
  return places;
}

using Listener = std::function<void(std::string_view event)>;

Result<audit::VerifyReport> verify_place(const Place& place, const crypto::PublicKey& key, const Listener& each,
                                         audit::OccurrencesOfNodes& nodes) {
  const audit::LogConfig config{.origin = *place.origin, .directory = *place.directory, .anchor = *place.anchor};
  if (!place.server) return audit::verify_log(config, *place.database, key, each);
  const auto database = storage::open_postgresql_read_only(*place.server, place.node);
  return audit::verify_log(config, *database, key, each, &nodes);
}

/// Whoever shows some of the nodes' logs shows some of the signatures.
Status check_all_nodes(const std::vector<Place>& places) {
  for (const auto& place : places) {
    if (!place.server) continue;
    const auto database = storage::open_postgresql_read_only(*place.server, place.node);
    auto nodes = audit::nodes_with_a_log(*database);
    if (!nodes) return nodes.error();
    for (const auto& node : *nodes) {
      const bool verified =
          std::any_of(places.begin(), places.end(), [&](const Place& other) { return other.server && other.node == node; });
      if (refused_by("cli.audit-all-nodes", !verified)) {
        return problem(ErrorCode::invalid_request, "the database has a log of node " + printable(node) + ", which was not verified",
                       "give --config once for each node: sam.toml, with its tiles and its anchor");
      }
    }
  }
  return {};
}

}  // namespace

Status verify_audit_log(const AuditVerifyOptions& given) {
  const Progress progress;
  auto places = places_of(given);
  if (!places) return places.error();
  if (!given.key)
    return problem(ErrorCode::invalid_request, "--key is missing",
                   "give the public key that signs the checkpoints, PEM or JWK, as the provider published it");
  auto key = load_public_key(*given.key);
  if (!key) return key.error();
  std::optional<ApprovalInLog> approval;
  if (given.approval) {
    auto opened = ApprovalInLog::open(*given.approval);
    if (!opened) return opened.error();
    approval = std::move(*opened);
  }
  const auto each = [&](std::string_view event) {
    if (approval) approval->see(event);
  };
  audit::OccurrencesOfNodes nodes;
  bool good = true;
  std::uint64_t entries = 0, signatures = 0;
  for (const auto& place : *places) {
    auto report = verify_place(place, *key, each, nodes);
    if (!report) return because(report.error(), "the audit log", "check the paths; a running process does not hinder the verification");
    for (const auto& finding : report->findings) say("finding: " + printable(finding));
    say(json::encode({{"good", report->good},
                      {"entries", report->entries},
                      {"signatures", report->signatures},
                      {"openIntents", report->open_intents},
                      {"origin", *place.origin}}));
    good = good && report->good;
    entries += report->entries;
    signatures += report->signatures;
  }
  if (auto complete = check_all_nodes(*places); !complete) return complete;
  for (const auto& finding : nodes.findings()) {
    say("finding: " + printable(finding));
    good = false;
  }
  if (!good)
    return problem(ErrorCode::invalid_request, "the audit log does not verify",
                   "keep a copy of database, tiles and anchor as they are, and tell the auditor");
  if (approval) {
    if (auto granted = approval->check(); !granted) return granted;
    say(approval->told());
  }
  progress.step((places->size() == 1 ? "audit log verified: " : "audit logs of " + std::to_string(places->size()) + " nodes verified: ") +
                std::to_string(entries) + " entries, " + std::to_string(signatures) + " signatures");
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
