#include "admin/commands.h"

#include "admin/effect.h"
#include "base/check.h"
#include "base/file.h"
#include "console.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "problem.h"
#include "protocol/wire.h"
#include "settings.h"

namespace intaglio::cli {
namespace {

constexpr std::string_view request_typ = "intaglio-manage+jwt";
constexpr std::size_t max_payload_file = 64 * 1024;

Result<json::Value> ask(const AdminSettings& settings, std::string_view op, json::Value members, const Clock& clock) {
  auto rid = crypto::random_id();
  if (!rid) return rid.error();
  members["op"] = op;
  members["rid"] = *rid;
  members["iat"] = unix_seconds(clock.now());
  members["sam"] = settings.sam_name;
  auto request = crypto::make_jws(*settings.key, request_typ, settings.user_id, json::encode(members));
  if (!request) return because(request.error(), "signing the request", "a request is at most 64 KiB");
  auto answer = protocol::wire::manage(settings.sam, *request);
  if (!answer && answer.error().code == ErrorCode::token_unavailable)
    return because(answer.error(), "no connection to the SAM", "check address and port, and that your key is one of its privileged users");
  if (!answer) return because(answer.error(), "the SAM refused " + std::string(op), "what was refused is in the audit log");
  return json::parse(*answer, {.max_bytes = 1024 * 1024, .max_depth = 32, .max_members = 100'000});
}

void show(const json::Value& answer) { say(in_ascii(answer, 2)); }

struct Shown {
  json::Value proposal;
  std::string operation;
  std::string digest;  ///< of what is shown, computed here
};
/// The digest is made of what the user sees: another content behind the same id gets no approval.
Result<Shown> find_proposal(const AdminSettings& settings, const std::string& id, const Clock& clock) {
  auto answer = ask(settings, "show-proposal", {{"proposal", id}}, clock);
  if (!answer) return answer.error();
  auto told_id = json::text_member(*answer, "proposal", 64);
  auto operation = json::text_member(*answer, "operation", 64);
  auto told_digest = json::text_member(*answer, "digest", 64);
  const auto* payload = json::member(*answer, "payload");
  if (!told_id || *told_id != id || !operation || !told_digest || payload == nullptr)
    return problem(ErrorCode::internal, "the SAM's answer is incomplete, or another proposal", "compare the versions");
  auto digest = encode_base64url(protocol::proposal_digest(*told_id, *operation, json::encode(*payload)));
  if (refused_by("admin.proposal.digest", digest != *told_digest))
    return problem(ErrorCode::binding_mismatch, "the proposal that is shown is not the one that its digest names",
                   "do not approve it; tell a security officer");
  return Shown{std::move(*answer), std::move(*operation), std::move(digest)};
}

/// What the proposal changes, beside what there is now: the user, the key as its thumbprint, the policy line by line.
Status show_effect(const AdminSettings& settings, const Shown& shown, const Clock& clock) {
  const auto& payload = shown.proposal.at("payload");
  if (shown.operation == "install-policy") {
    auto current = ask(settings, "show-policy", json::Value::object(), clock);
    if (!current) return current.error();
    auto before = json::text_member(*current, "document", max_payload_file);
    auto after = json::text_member(payload, "document", max_payload_file);
    if (!before || !after) return problem(ErrorCode::internal, "the SAM's answer has no policy document", "compare the versions");
    auto lines = changes_between(*before, *after);
    if (!lines) return because(lines.error(), "comparing the policies", "do not approve it");
    say("Changes against the policy that is installed (- before, + after):");
    for (const auto& line : *lines) say(line);
    return {};
  }
  auto users = ask(settings, "show-users", json::Value::object(), clock);
  if (!users) return users.error();
  auto id = json::text_member(payload, "id", 64);
  if (!id) return problem(ErrorCode::internal, "the proposal names no user", "do not approve it");
  say(describe_user(*users, *id));
  const auto* jwk = json::member(payload, "jwk");
  if (jwk == nullptr) return {};
  auto key = crypto::parse_jwk(json::encode(*jwk));
  if (!key) return because(key.error(), "the key of the proposal", "do not approve it");
  auto thumbprint = crypto::jwk_thumbprint(*key);
  if (!thumbprint) return thumbprint.error();
  say("key of the proposal: " + *thumbprint + " (RFC 7638): compare it with what its owner says");
  return {};
}

}  // namespace

Status ask_sam(const std::filesystem::path& admin_file, const std::string& operation, json::Value members, const Clock& clock) {
  auto settings = load_admin_settings(admin_file);
  if (!settings) return settings.error();
  auto answer = ask(*settings, operation, std::move(members), clock);
  if (!answer) return answer.error();
  show(*answer);
  return {};
}

Status propose(const std::filesystem::path& admin_file, const std::string& operation, const std::filesystem::path& payload_file,
               const Clock& clock) {
  const std::string next = "docs/operate/management.md shows what each operation takes";
  auto content = read_file(payload_file, max_payload_file);
  if (!content) return because(content.error(), "--payload", next);
  auto payload = json::parse(as_text(*content));
  if (!payload) return because(payload.error(), "--payload " + payload_file.string(), next);
  return ask_sam(admin_file, "propose", {{"operation", operation}, {"payload", std::move(*payload)}}, clock);
}

Status approve(const ProposalOptions& options, const Clock& clock) {
  auto settings = load_admin_settings(options.admin_file);
  if (!settings) return settings.error();
  auto shown = find_proposal(*settings, options.proposal, clock);
  if (!shown) return shown.error();
  show(shown->proposal);
  if (auto told = show_effect(*settings, *shown, clock); !told) return told;
  if (!options.yes) {
    auto answer = ask_line("Approve this? Type yes: ");
    if (!answer) return answer.error();
    if (*answer != "yes") return problem(ErrorCode::not_authorised, "not approved", "nothing was changed");
  }
  auto answer = ask(*settings, "approve", {{"proposal", options.proposal}, {"digest", shown->digest}}, clock);
  if (!answer) return answer.error();
  say("approved: " + options.proposal);
  return {};
}

Status approve_restore(const RestoreOptions& options, const Clock& clock) {
  const std::string next = "docs/operate/backup.md shows how a restore goes";
  auto settings = load_admin_settings(options.admin_file);
  if (!settings) return settings.error();
  auto content = read_file(options.statement, max_payload_file);
  if (!content) return because(content.error(), "--statement", next);
  auto statement = json::parse(as_text(*content));
  if (!statement) return because(statement.error(), "--statement " + options.statement.string(), next);
  auto sam = json::text_member(*statement, "sam", 128);
  // The SAM takes an approval by this digest: what was not shown here would be another statement.
  if (refused_by("admin.restore.canonical", json::encode(*statement) != as_text(*content)))
    return problem(ErrorCode::invalid_request, "the statement is not as a SAM writes it", "copy the file again, unchanged");
  if (!sam || *sam != settings->sam_name)
    return problem(ErrorCode::not_authorised, "the statement is of another SAM than the one that you administrate", "do not approve it");
  show(*statement);
  if (!options.yes) {
    auto answer = ask_line("Let the SAM serve from this backup? Type yes: ");
    if (!answer) return answer.error();
    if (*answer != "yes") return problem(ErrorCode::not_authorised, "not approved", "nothing was changed");
  }
  auto approval = crypto::make_jws(
      *settings->key, "intaglio-restore+jwt", settings->user_id,
      json::encode({{"sam", *sam}, {"statement", encode_base64url(crypto::sha256(*content))}, {"iat", unix_seconds(clock.now())}}));
  if (!approval) return because(approval.error(), "signing the approval", next);
  if (auto written = write_file_durably(options.out, as_bytes(*approval), 0644); !written) return because(written.error(), "--out", next);
  say("approved: " + encode_base64url(crypto::sha256(*content)));
  return {};
}

Status show_proposal(const ProposalOptions& options, const Clock& clock) {
  auto settings = load_admin_settings(options.admin_file);
  if (!settings) return settings.error();
  auto shown = find_proposal(*settings, options.proposal, clock);
  if (!shown) return shown.error();
  show(shown->proposal);
  return show_effect(*settings, *shown, clock);
}

Status execute(const ProposalOptions& options, const Clock& clock) {
  auto settings = load_admin_settings(options.admin_file);
  if (!settings) return settings.error();
  auto shown = find_proposal(*settings, options.proposal, clock);
  if (!shown) return shown.error();
  auto answer = ask(*settings, "execute", {{"proposal", options.proposal}, {"digest", shown->digest}}, clock);
  if (!answer) return answer.error();
  show(*answer);
  return {};
}

}  // namespace intaglio::cli
