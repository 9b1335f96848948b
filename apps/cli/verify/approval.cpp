#include "verify/approval.h"

#include "base/check.h"
#include "base/file.h"
#include "evidence/approval.h"
#include "evidence/device_approval.h"
#include "evidence/identity_approval.h"
#include "json/json.h"
#include "problem.h"

namespace intaglio::cli {
namespace {

constexpr std::size_t max_approval_bytes = 128 * 1024;
constexpr std::string_view what = "the approval";

std::string text_of(const json::Value& object, std::string_view name) {
  auto text = json::text_member(object, name);
  return text ? std::move(*text) : std::string();
}

}  // namespace

ApprovalInLog::ApprovalInLog(Approved approved, Factor factor)
    : transaction_(std::move(approved.transaction)),
      terms_(std::move(approved.terms)),
      act_(std::move(approved.act)),
      factor_(std::move(factor)) {
  const auto consent = protocol::consent_digest(approved.encoded_transaction, terms_, act_);
  evidence_ = encode_base64url(crypto::sha256(approved.encoded));
  const bool began_session = transaction_.purpose == protocol::Purpose::one_time;
  binding_ = encode_base64url(began_session ? protocol::session_digest(transaction_, terms_, act_)
                                            : protocol::binding_digest(approved.encoded_transaction, consent));
  nonce_ = encode_base64url(transaction_.nonce);
}

Result<ApprovalInLog> ApprovalInLog::open(const std::filesystem::path& file) {
  constexpr std::string_view hint =
      "give the file that `intaglio-sam --export-approval` wrote, or one of api/sap/README.md, sections 8, 9 and 12";
  const auto encoded = read_file(file, max_approval_bytes);
  if (!encoded) return because(encoded.error(), what, hint);
  if (evidence::is_identity_approval(*encoded)) {
    const auto approval = evidence::parse_identity_approval(*encoded);
    if (!approval) return because(approval.error(), what, hint);
    auto transaction = evidence::verify_approval(*approval);
    if (refused_by("cli.approval.identity-verifies", !transaction))
      return because(transaction.error(), what, "no identity provider confirmed this");
    const auto& issuer = approval->provider.issuer;
    const auto name = encode_base64url(evidence::identity_digest(approval->salt, issuer, approval->subject));
    return ApprovalInLog({std::move(*transaction), approval->transaction, *encoded, approval->terms, approval->act},
                         {"identity", name, {{"identityProvider", issuer}, {"subject", approval->subject}}});
  }
  if (evidence::is_device_approval(*encoded)) {
    const auto approval = evidence::parse_device_approval(*encoded);
    if (!approval) return because(approval.error(), what, hint);
    auto transaction = evidence::verify_approval(*approval);
    if (refused_by("cli.approval.device-verifies", !transaction))
      return because(transaction.error(), what, "nobody approved this with this device");
    const auto name = encode_base64url(evidence::device_key::name_of(approval->spki));
    return ApprovalInLog({std::move(*transaction), approval->transaction, *encoded, approval->terms, approval->act},
                         {"device", name, json::Value::object()});
  }
  const auto approval = evidence::parse_approval(*encoded);
  if (!approval) return because(approval.error(), what, hint);
  auto transaction = evidence::verify_approval(*approval);
  if (refused_by("cli.approval.verifies", !transaction))
    return because(transaction.error(), what, "nobody approved this with this passkey");
  const auto name = encode_base64url(evidence::passkey_digest(approval->response.credential_id, approval->spki));
  return ApprovalInLog({std::move(*transaction), approval->transaction, *encoded, approval->terms, approval->act},
                       {"passkey", name, {{"relyingParty", approval->rp_id}}});
}

void ApprovalInLog::see(std::string_view text) {
  const auto event = json::parse(text);
  if (!event) return;
  const auto* fields = json::member(*event, "fields");
  if (fields == nullptr) return;
  const auto type = text_of(*event, "type");
  const auto subject = text_of(*event, "subject");
  const auto named = text_of(*fields, factor_.kind);
  if (subject == transaction_.signer) {
    // A reset ends it; so does a change that drops the passkeys or devices of before, or that links another identity.
    const bool replaced = factor_.kind == "identity" ? !named.empty() : text_of(*fields, factor_.kind + "s_of_before") == "ended";
    if (type == "factors.reset" || replaced) registered_ = false;
    if (type == "passkey.suspended" && named == factor_.name) registered_ = false;
    if ((type == "factors.enrolled" || type == "factors.changed") && named == factor_.name) registered_ = true;
  }
  if (transaction_.purpose == protocol::Purpose::one_time) {
    // Nobody is registered: the identification is the session's own.
    const bool identified = type == "person.identified" && text_of(*fields, "evidence") == evidence_ && subject == transaction_.key &&
                            text_of(*fields, "authorisation") == nonce_ && text_of(*fields, "session") == binding_ && named == factor_.name;
    if (!identified) return;
    registered_then_ = true;
    time_ = text_of(*event, "time");
    return;
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
  const auto refuse = [&](const std::string& why) {
    return problem(ErrorCode::invalid_request, std::string(what) + ": " + why, std::string(hint));
  };
  if (refused_by("cli.approval.granted", !registered_then_)) return refuse("the log granted no authorisation on it");
  if (refused_by("cli.approval.registered", registered_then_ == false))
    return refuse("the " + factor_.kind + " was not this signer's at that time");
  return {};
}

std::string ApprovalInLog::told() const {
  auto documents = json::Value::array();
  for (const auto& document : transaction_.documents)
    documents.push_back({{"label", document.label}, {"digest", encode_base64url(document.digest)}});
  json::Value approval = {{"signer", transaction_.signer},
                          {"key", transaction_.key},
                          {"authorisation", nonce_},
                          {"time", time_},
                          {"client", transaction_.client_name},
                          {"documents", documents},
                          {"terms", terms_.id + "/" + terms_.version + "/" + terms_.language},
                          {"act", act_},
                          {factor_.kind, factor_.name}};
  approval.update(factor_.shown);
  return json::encode({{"approval", approval}});
}

}  // namespace intaglio::cli
