#include "verify/approval.h"

#include "base/check.h"
#include "base/file.h"
#include "json/json.h"
#include "problem.h"

namespace intaglio::cli {
namespace {

constexpr std::size_t max_approval_bytes = 64 * 1024;
constexpr std::string_view what = "the approval";

std::string text_of(const json::Value& object, std::string_view name) {
  auto text = json::text_member(object, name);
  return text ? std::move(*text) : std::string();
}

}  // namespace

ApprovalInLog::ApprovalInLog(evidence::Approval approval, protocol::Transaction transaction, ByteView encoded)
    : approval_(std::move(approval)), transaction_(std::move(transaction)) {
  const auto consent = protocol::consent_digest(approval_.transaction, approval_.terms, approval_.act);
  evidence_ = encode_base64url(crypto::sha256(encoded));
  passkey_ = encode_base64url(evidence::passkey_digest(approval_.response.credential_id, approval_.spki));
  binding_ = encode_base64url(protocol::binding_digest(approval_.transaction, consent));
  nonce_ = encode_base64url(transaction_.nonce);
}

Result<ApprovalInLog> ApprovalInLog::open(const std::filesystem::path& file) {
  constexpr std::string_view hint = "give the file that `intaglio-sam --export-approval` wrote, or one of api/sap/README.md, section 8";
  auto encoded = read_file(file, max_approval_bytes);
  if (!encoded) return because(encoded.error(), what, hint);
  auto approval = evidence::parse_approval(*encoded);
  if (!approval) return because(approval.error(), what, hint);
  auto transaction = evidence::verify_approval(*approval);
  if (refused_by("cli.approval.verifies", !transaction))
    return because(transaction.error(), what, "nobody approved this with this passkey");
  return ApprovalInLog(std::move(*approval), std::move(*transaction), *encoded);
}

void ApprovalInLog::see(std::string_view text) {
  const auto event = json::parse(text);
  if (!event) return;
  const auto* fields = json::member(*event, "fields");
  if (fields == nullptr) return;
  const auto type = text_of(*event, "type");
  const auto subject = text_of(*event, "subject");
  const auto passkey = text_of(*fields, "passkey");
  if (subject == transaction_.signer) {
    // A reset, and a change that drops the passkeys of before, end this one too.
    if (type == "factors.reset" || text_of(*fields, "passkeys_of_before") == "ended") registered_ = false;
    if (type == "passkey.suspended" && passkey == passkey_) registered_ = false;
    if ((type == "factors.enrolled" || type == "factors.changed") && passkey == passkey_) registered_ = true;
  }
  const bool same = type == "authorisation.granted" && text_of(*fields, "evidence") == evidence_ && subject == transaction_.key &&
                    text_of(*event, "actor") == "signer:" + transaction_.signer && text_of(*fields, "authorisation") == nonce_ &&
                    text_of(*fields, "binding") == binding_;
  if (!same) return;
  registered_then_ = registered_;
  time_ = text_of(*event, "time");
}

Status ApprovalInLog::check() const {
  constexpr std::string_view hint = "keep both as they are, and tell the auditor";
  const auto refuse = [&](const char* why) {
    return problem(ErrorCode::invalid_request, std::string(what) + ": " + why, std::string(hint));
  };
  if (refused_by("cli.approval.granted", !registered_then_)) return refuse("the log granted no authorisation on it");
  if (refused_by("cli.approval.registered", registered_then_ == false)) return refuse("the passkey was not this signer's at that time");
  return {};
}

std::string ApprovalInLog::told() const {
  auto documents = json::Value::array();
  for (const auto& document : transaction_.documents)
    documents.push_back({{"label", document.label}, {"digest", encode_base64url(document.digest)}});
  return json::encode({{"approval",
                        {{"signer", transaction_.signer},
                         {"key", transaction_.key},
                         {"authorisation", nonce_},
                         {"time", time_},
                         {"client", transaction_.client_name},
                         {"documents", documents},
                         {"terms", approval_.terms.id + "/" + approval_.terms.version + "/" + approval_.terms.language},
                         {"act", approval_.act},
                         {"relyingParty", approval_.rp_id},
                         {"passkey", passkey_}}}});
}

}  // namespace intaglio::cli
