#include "ra/commands.h"

#include "base/check.h"
#include "base/file.h"
#include "base/ids.h"
#include "console.h"
#include "crypto/certificate.h"
#include "crypto/digest.h"
#include "crypto/jose/jwe.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "problem.h"
#include "service.h"

namespace intaglio::cli {
namespace {

constexpr std::string_view request_typ = "intaglio-ra+jwt";
constexpr std::string_view activation_typ = "intaglio-activation+jwe";
constexpr std::string_view assertion_typ = "intaglio-key+jwt";

struct Desk {
  OperatorSettings settings;
  RegistrationService service;
};
Result<Desk> open_desk(const std::filesystem::path& operator_file) {
  auto settings = load_operator_settings(operator_file);
  if (!settings) return settings.error();
  auto service = RegistrationService::open(*settings);
  if (!service) return service.error();
  return Desk{std::move(*settings), std::move(*service)};
}

/// The operator's request: what SAM and PKI verify themselves (TC-15).
Result<std::string> sign_request(const OperatorSettings& settings, std::string_view op, json::Value members, const Clock& clock) {
  auto rid = crypto::random_id();
  if (!rid) return rid.error();
  members["op"] = op;
  members["rid"] = *rid;
  members["iat"] = unix_seconds(clock.now());
  return crypto::make_jws(*settings.operator_key, request_typ, settings.operator_id, json::encode(members));
}

Result<json::Value> load_identity(const std::filesystem::path& path) {
  auto content = read_file(path, 64 * 1024);
  const std::string next = R"(give a file like {"givenName":"Ada","surname":"Example","country":"GR","serialNumber":"PNOGR-123"})";
  if (!content) return because(content.error(), "--identity", next);
  auto identity = json::parse(as_text(*content));
  if (!identity) return because(identity.error(), "--identity " + path.string(), next);
  for (const std::string_view name : {"givenName", "surname", "country", "serialNumber"}) {
    if (!json::text_member(*identity, name, 128))
      return problem(ErrorCode::invalid_request, path.string() + ": " + std::string(name) + " is missing", next);
  }
  return identity;
}

struct PendingRequest {
  std::string signer, key_assertion;
  Bytes csr;
  crypto::PublicKey key;
};

/// What the SAM says about the key belongs to this credential, this key and this identity; its signature is verified when
/// operator.toml pins the SAM's identity.
Status check_assertion(const PendingRequest& request, const std::string& credential, const json::Value& identity,
                       const OperatorSettings& settings) {
  if (!settings.sam_identity) return {};
  const auto wrong = [](std::string_view what) {
    return problem(ErrorCode::not_authorised, "the SAM's statement about the key does not fit: " + std::string(what),
                   "do not certify it; tell the operator of the service");
  };
  auto payload = crypto::verify_jws(request.key_assertion, assertion_typ, *settings.sam_identity);
  if (refused_by("operator.assertion.signature", !payload)) return wrong("its signature");
  if (!payload) return payload.error();
  auto claims = json::parse(*payload);
  if (!claims) return wrong("its payload");
  auto signer = json::text_member(*claims, "signer");
  auto key = json::text_member(*claims, "key");
  auto spki = json::text_member(*claims, "spki_sha256");
  auto digest = json::text_member(*claims, "identity_sha256");
  if (refused_by("operator.assertion.key", !signer || !key || *signer != request.signer || *key != credential))
    return wrong("signer or credential");
  if (refused_by("operator.assertion.spki", !spki || *spki != encode_base64url(request.key.thumbprint()))) return wrong("the public key");
  const auto identity_digest = encode_base64url(crypto::sha256(as_bytes(json::encode(identity))));
  if (refused_by("operator.assertion.identity", !digest || *digest != identity_digest)) {
    return problem(ErrorCode::binding_mismatch, "the identity is not the one with which the signer was created",
                   "give the same --identity file as for `intaglio ra signer-create`");
  }
  return {};
}

Result<PendingRequest> fetch_request(const Desk& desk, const std::string& credential) {
  if (!KeyId::parse(credential))
    return problem(ErrorCode::invalid_request, "--credential is not an identifier", "give the id that `intaglio key new` printed");
  auto answer = desk.service.get("/ra/v1/requests/" + credential);
  if (!answer) return because(answer.error(), "the request of credential " + credential, "check the id: `intaglio key new` printed it");
  auto signer = json::text_member(*answer, "signerID");
  auto csr_text = json::text_member(*answer, "csr", 64 * 1024);
  auto assertion = json::text_member(*answer, "keyAssertion", 64 * 1024);
  if (!signer || !csr_text || !assertion)
    return problem(ErrorCode::internal, "the service's answer is incomplete", "check that base_url is the registration listener");
  auto csr = parse_base64(*csr_text);
  if (!csr) return because(csr.error(), "the certificate request", "tell the operator of the service");
  auto parsed = crypto::parse_csr(*csr);
  if (!parsed) return because(parsed.error(), "the certificate request", "tell the operator of the service");
  return PendingRequest{std::move(*signer), std::move(*assertion), std::move(*csr), std::move(parsed->key)};
}

Result<std::vector<crypto::Certificate>> read_chain(const json::Value& answer, const crypto::PublicKey& key) {
  const auto* list = json::member(answer, "certificates");
  if (list == nullptr || !list->is_array() || list->empty())
    return problem(ErrorCode::internal, "no certificate came back", "tell the operator of the PKI");
  std::vector<crypto::Certificate> chain;
  for (const auto& entry : *list) {
    auto der = entry.is_string() ? parse_base64(entry.get<std::string>()) : Error{ErrorCode::invalid_request, ""};
    if (!der) return problem(ErrorCode::internal, "an unreadable certificate came back", "tell the operator of the PKI");
    auto certificate = crypto::Certificate::parse_der(*der);
    if (!certificate) return because(certificate.error(), "a certificate that came back", "tell the operator of the PKI");
    chain.push_back(std::move(*certificate));
  }
  auto certified = chain.front().public_key();
  if (refused_by("operator.certificate.key", !certified || certified->spki() != key.spki())) {
    return problem(ErrorCode::binding_mismatch, "the certificate is for another key than was asked for",
                   "revoke it, and tell the operator of the PKI");
  }
  return chain;
}

Result<Secret> open_activation_code(const json::Value& answer, const OperatorSettings& settings, const std::string& signer) {
  auto sealed = json::text_member(answer, "activationCode", 64 * 1024);
  if (!sealed) return problem(ErrorCode::internal, "no activation code came back", "check that base_url is the registration listener");
  auto opened = crypto::open_jwe(*settings.operator_key, activation_typ, *sealed);
  if (!opened)
    return because(opened.error(), "the activation code", "it is sealed to operator.key_file: check that this is the operator's key");
  auto content = json::parse(as_text(opened->reveal()));
  if (!content) return content.error();
  auto for_signer = json::text_member(*content, "signer");
  if (refused_by("operator.activation.signer", !for_signer || *for_signer != signer)) {
    return problem(ErrorCode::binding_mismatch, "the activation code is for another signer",
                   "do not hand it out; tell the operator of the service");
  }
  auto* code = content->contains("code") ? (*content)["code"].get_ptr<std::string*>() : nullptr;
  if (code == nullptr) return problem(ErrorCode::internal, "the activation code is unreadable", "tell the operator of the service");
  const WipeAtExit wiped(*code);
  return Secret(as_bytes(*code));
}

/// A code goes to a file, which is told, or is shown.
Status hand_out(std::string_view what, ByteView code, const std::optional<std::filesystem::path>& file, const std::string& lost) {
  if (file) {
    auto written = write_file_durably(*file, code, 0600);
    if (!written) return because(written.error(), std::string(what), lost);
    say(std::string(what) + " written to " + file->string());
    return {};
  }
  std::string line = std::string(what) + " " + std::string(as_text(code));
  const WipeAtExit wiped(line);
  say(line);
  return {};
}

/// A request that gives an activation code: a new signer, or one whose factors are reset.
Status register_signer(const CreateSignerOptions& options, std::string_view op, const std::string& path, const std::string& done,
                       const std::string& next, const Clock& clock) {
  const Progress progress;
  auto identity = load_identity(options.identity_file);
  if (!identity) return identity.error();
  auto desk = open_desk(options.operator_file);
  if (!desk) return desk.error();
  auto jwk = crypto::encode_jwk(desk->settings.operator_key->public_key());
  if (!jwk) return jwk.error();
  auto deliver_to = json::parse(*jwk);
  if (!deliver_to) return deliver_to.error();
  json::Value members{{"signer", options.signer}, {"identity", *identity}, {"deliver_to", *deliver_to}};
  if (!options.level.empty()) members["level"] = options.level;
  auto contact = json::Value::object();
  if (!options.email.empty()) contact["email"] = options.email;
  if (!options.phone.empty()) contact["phone"] = options.phone;
  if (!options.language.empty()) contact["language"] = options.language;
  if (!contact.empty()) members["contact"] = std::move(contact);
  auto request = sign_request(desk->settings, op, std::move(members), clock);
  if (!request) return request.error();
  auto answer = desk->service.post(path, {{"request", *request}});
  if (!answer) return because(answer.error(), std::string(op) + " of " + options.signer, next);
  auto code = open_activation_code(*answer, desk->settings, options.signer);
  if (!code) return code.error();
  progress.step("signer " + options.signer + " " + done + "; the activation code is good for 7 days and 5 tries");
  // What the service sends is shown on a terminal: only what has the form of a code is.
  auto* const revocation = answer->contains("revocationCode") ? (*answer)["revocationCode"].get_ptr<std::string*>() : nullptr;
  if (revocation != nullptr && revocation->find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567-") == std::string::npos) {
    const WipeAtExit wiped(*revocation);
    // Both are attempted: neither comes a second time.
    auto handed =
        hand_out("revocation code", as_bytes(*revocation), options.revocation_code_out, "the code is lost: revocation is by the hotline");
    auto activation = hand_out("activation code", code->reveal(), options.code_out, "the code is lost: reset the factors for another one");
    return handed ? activation : handed;
  }
  progress.step("no revocation code could be kept: revocation is by the hotline");
  return hand_out("activation code", code->reveal(), options.code_out, "the code is lost: reset the factors for another one");
}

}  // namespace

Status create_signer(const CreateSignerOptions& options, const Clock& clock) {
  return register_signer(options, "create-signer", "/ra/v1/signers", "created",
                         "check operator.id and operator.key_file (the SAM must know this operator), and that the signer is new", clock);
}

Status reset_factors(const CreateSignerOptions& options, const Clock& clock) {
  return register_signer(options, "reset-factors", "/ra/v1/resets", "enrols again, and the earlier keys are destroyed",
                         "check operator.id and operator.key_file (the SAM must know this operator), and that country and serialNumber of "
                         "--identity are those of the registered person",
                         clock);
}

Status certify(const CertifyOptions& options, const Clock& clock) {
  const Progress progress;
  auto identity = load_identity(options.identity_file);
  if (!identity) return identity.error();
  auto desk = open_desk(options.operator_file);
  if (!desk) return desk.error();
  auto pending = fetch_request(*desk, options.credential);
  if (!pending) return pending.error();
  if (auto checked = check_assertion(*pending, options.credential, *identity, desk->settings); !checked) return checked;
  progress.step("request of signer " + printable(pending->signer) + ": proof of possession verified");

  auto issue = sign_request(desk->settings, "issue-certificate",
                            {{"signer", pending->signer},
                             {"key", options.credential},
                             {"csr_sha256", encode_base64url(crypto::sha256(pending->csr))},
                             {"identity", *identity},
                             {"profile", options.profile}},
                            clock);
  if (!issue) return issue.error();
  auto answer = desk->service.post("/ra/v1/certificates", {{"request", *issue}});
  if (!answer)
    return because(answer.error(), "the certificate", "check --identity and --profile, and that the PKI runs and knows this operator");
  auto chain = read_chain(*answer, pending->key);
  if (!chain) return chain.error();
  const auto& leaf = chain->front();
  progress.step("certificate " + leaf.serial_hex() + " issued for " + printable(leaf.subject()));

  auto bind = sign_request(desk->settings, "bind-certificate",
                           {{"key", options.credential}, {"certificate_sha256", encode_base64url(leaf.fingerprint())}}, clock);
  if (!bind) return bind.error();
  auto bound = desk->service.post("/ra/v1/bindings", {{"request", *bind}});
  if (!bound)
    return because(bound.error(), "binding the certificate",
                   "the certificate " + leaf.serial_hex() + " is issued: revoke it, or run the command again");
  auto state = json::text_member(*bound, "state");
  progress.step("bound by the SAM; the credential is " + printable(state ? *state : "unknown"));

  if (options.out) {
    std::string pem;
    for (const auto& certificate : *chain) pem += certificate.pem();
    auto written = write_file_durably(*options.out, as_bytes(pem), 0644);
    if (!written) return because(written.error(), "--out", "the certificate is bound; fetch it with credentials/info");
  }
  say(json::encode({{"credentialID", options.credential},
                    {"signerID", pending->signer},
                    {"subject", leaf.subject()},
                    {"serial", leaf.serial_hex()},
                    {"notAfter", format_utc(leaf.not_after())},
                    {"state", state ? *state : "unknown"}}));
  return {};
}

Status suspend_key(const KeyStateOptions& options, const Clock& clock) {
  auto desk = open_desk(options.operator_file);
  if (!desk) return desk.error();
  auto request = sign_request(desk->settings, "suspend-key", {{"key", options.credential}, {"reason", options.reason}}, clock);
  if (!request) return request.error();
  auto answer = desk->service.post("/ra/v1/suspensions", {{"request", *request}});
  if (!answer) {
    return because(answer.error(), "suspending " + options.credential,
                   "check the credential's id, that the reason has at most 64 characters, and that the SAM knows this operator");
  }
  say("credential " + options.credential + " suspended");
  return {};
}

Status resume_key(const KeyStateOptions& options, const Clock& clock) {
  auto desk = open_desk(options.operator_file);
  if (!desk) return desk.error();
  auto request = sign_request(desk->settings, "resume-key", {{"key", options.credential}}, clock);
  if (!request) return request.error();
  auto answer = desk->service.post("/ra/v1/resumptions", {{"request", *request}});
  if (!answer)
    return because(answer.error(), "resuming " + options.credential, "check the credential's id, and that the SAM knows this operator");
  say("credential " + options.credential + " resumed");
  return {};
}

Status revoke_certificate(const KeyStateOptions& options, const Clock& clock) {
  auto desk = open_desk(options.operator_file);
  if (!desk) return desk.error();
  auto request = sign_request(desk->settings, "revoke-certificate",
                              {{"key", options.credential},
                               {"serial", options.serial},
                               {"reason", options.reason},
                               {"urgency", options.urgency},
                               {"channel", options.channel}},
                              clock);
  if (!request) return request.error();
  auto answer = desk->service.post("/ra/v1/revocations", {{"request", *request}});
  if (!answer)
    return because(answer.error(), "revoking " + options.serial,
                   "check --serial (as `ra certify` printed it) and --reason (RFC 5280, for example keyCompromise)");
  say("certificate " + options.serial + " of credential " + options.credential + " revoked");
  return {};
}

Status release_certificate(const KeyStateOptions& options, const Clock& clock) {
  auto desk = open_desk(options.operator_file);
  if (!desk) return desk.error();
  auto request = sign_request(desk->settings, "release-certificate", {{"key", options.credential}, {"serial", options.serial}}, clock);
  if (!request) return request.error();
  auto answer = desk->service.post("/ra/v1/releases", {{"request", *request}});
  if (!answer)
    return because(answer.error(), "releasing " + options.serial, "check --serial, and that the certificate is on hold (certificateHold)");
  say("certificate " + options.serial + " released; `ra resume` takes credential " + options.credential + " up again");
  return {};
}

}  // namespace intaglio::cli
