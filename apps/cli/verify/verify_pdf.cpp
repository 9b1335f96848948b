#include <set>

#include "base/file.h"
#include "console.h"
#include "document/pades/verify.h"
#include "json/json.h"
#include "problem.h"
#include "verify/commands.h"

namespace intaglio::cli {
namespace {

namespace pades = document::pades;

constexpr std::string_view pem_end = "-----END CERTIFICATE-----";

/// Every certificate of a PEM file.
Result<std::vector<crypto::Certificate>> load_certificates(const std::filesystem::path& path) {
  auto content = read_file(path, 1024 * 1024);
  if (!content) return because(content.error(), "--anchor " + path.string(), "give the PEM file of the certification authority");
  std::vector<crypto::Certificate> certificates;
  std::string_view rest = as_text(*content);
  for (auto end = rest.find(pem_end); end != std::string_view::npos; end = rest.find(pem_end)) {
    auto certificate = crypto::Certificate::parse_pem(std::string(rest.substr(0, end + pem_end.size())) + "\n");
    if (!certificate) return because(certificate.error(), "--anchor " + path.string(), "give a PEM file of certificates");
    certificates.push_back(std::move(*certificate));
    rest.remove_prefix(end + pem_end.size());
  }
  if (certificates.empty())
    return problem(ErrorCode::invalid_request, path.string() + " holds no PEM certificate",
                   "give the PEM file of the certification authority");
  return certificates;
}

std::string_view name_of(pades::Verdict verdict) {
  switch (verdict) {
    case pades::Verdict::valid: return "valid";
    case pades::Verdict::untrusted: return "untrusted";
    case pades::Verdict::invalid: break;
  }
  return "invalid";
}

json::Value as_json(const pades::SignatureReport& report) {
  json::Value value{{"field", report.field},
                    {"verdict", name_of(report.verdict)},
                    {"subFilter", report.sub_filter},
                    {"claimedTime", report.claimed_time},
                    {"byteRange", report.byte_range},
                    {"coversWholeDocument", report.covers_whole_document},
                    {"laterUpdates", report.later_updates}};
  if (!report.reason.empty()) value["reason"] = report.reason;
  if (!report.finding.empty()) value["finding"] = report.finding;
  if (report.cms) {
    value["signer"] = report.cms->signer.subject();
    value["issuer"] = report.cms->signer.issuer();
    value["serial"] = report.cms->signer.serial_hex();
    value["hash"] = crypto::name_of(report.cms->hash);
  }
  return value;
}

void print(const pades::SignatureReport& report) {
  say("signature " + printable(report.field) + ": " + std::string(name_of(report.verdict)));
  if (!report.finding.empty()) say("  because    " + printable(report.finding));
  if (report.cms) {
    say("  signer     " + printable(report.cms->signer.subject()));
    say("  issued by  " + printable(report.cms->signer.issuer()));
    say("  digest     " + std::string(crypto::name_of(report.cms->hash)) + ", " + report.sub_filter);
  }
  say("  time       " + printable(report.claimed_time) + " (claimed by the signer)");
  if (!report.reason.empty()) say("  reason     " + printable(report.reason));
  if (report.covers_whole_document) {
    say("  covers     the whole document");
  } else {
    say("  covers     an earlier revision; " + std::to_string(report.later_updates) + " later update" +
        (report.later_updates == 1 ? "" : "s"));
  }
}

}  // namespace

Status verify_pdf(const VerifyPdfOptions& options, const Clock& clock) {
  std::vector<crypto::Certificate> anchors;
  for (const auto& path : options.anchors) {
    auto certificates = load_certificates(path);
    if (!certificates) return certificates.error();
    anchors.insert(anchors.end(), certificates->begin(), certificates->end());
  }
  auto source = pades::open_file(options.file);
  if (!source) return because(source.error(), "the document", "give the path of a PDF");
  auto reports = pades::verify(*source, anchors, clock.now());
  if (!reports) return because(reports.error(), options.file.string(), "ask for an undamaged copy of the document");
  if (options.as_json) {
    auto list = json::Value::array();
    for (const auto& report : *reports) list.push_back(as_json(report));
    say(json::encode({{"file", options.file.string()}, {"signatures", list}}));
  } else {
    for (const auto& report : *reports) print(report);
  }
  if (reports->empty())
    return problem(ErrorCode::not_found, options.file.string() + " holds no signature", "sign it: intaglio sign --help");
  bool covered = false;
  for (const auto& report : *reports) {
    if (report.verdict == pades::Verdict::untrusted) {
      return problem(ErrorCode::certificate_invalid, "a signature is not from an authority that you trust",
                     "give its authority with --anchor, if you trust it");
    }
    if (report.verdict == pades::Verdict::invalid)
      return problem(ErrorCode::invalid_request, "a signature is not valid", "do not rely on the document");
    covered = covered || report.covers_whole_document;
  }
  if (!covered) {
    return problem(ErrorCode::invalid_request, "the document was changed after its last signature",
                   "compare it with the signed revision before you rely on it");
  }
  return {};
}

}  // namespace intaglio::cli
