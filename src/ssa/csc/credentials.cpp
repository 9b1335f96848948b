#include "ssa/csc/credentials.h"

#include <algorithm>
#include <limits>

#include "base/check.h"
#include "ssa/csc/algorithms.h"
#include "ssa/csc/parameters.h"

namespace intaglio::ssa::csc {
namespace {

/// CSC API v2, 11.5: YYYYMMDDHHMMSSZ.
std::string generalized_time(UnixTime time) {
  auto text = format_utc(time);
  std::erase_if(text, [](char c) { return c == '-' || c == ':' || c == 'T'; });
  return text;
}

CertificatesWanted certificates_wanted(Parameters& parameters) {
  const auto wanted = parameters.optional_text("certificates");
  if (!wanted || *wanted == "single") return CertificatesWanted::single;
  if (*wanted == "none") return CertificatesWanted::none;
  if (*wanted != "chain") parameters.refuse(invalid_parameter("certificates"));
  return CertificatesWanted::chain;
}

json::Value describe_key(const Credential& credential) {
  const auto& facts = credential.facts;
  json::Value key{{"status", credential.enabled() ? "enabled" : "disabled"},
                  {"algo", algorithm_oids(facts.suites)},
                  {"len", crypto::bits_of(facts.algorithm)}};
  if (!crypto::is_rsa(facts.algorithm)) key["curve"] = crypto::curve_oid(facts.algorithm);
  return key;
}

json::Value describe_certificate(const Credential& credential, const CredentialView& view, UnixTime now) {
  auto certificate = json::Value::object();
  if (!credential.leaf) return certificate;
  certificate["status"] = name_of(credential.status(now));
  if (view.certificates != CertificatesWanted::none) {
    auto chain = json::Value::array();
    for (const auto& der : credential.facts.certificates) {
      chain.push_back(encode_base64(der));
      if (view.certificates == CertificatesWanted::single) break;
    }
    certificate["certificates"] = std::move(chain);
  }
  if (view.certificate_info) {
    certificate["issuerDN"] = credential.leaf->issuer;
    certificate["subjectDN"] = credential.leaf->subject;
    certificate["serialNumber"] = credential.leaf->serial_hex;
    certificate["validFrom"] = generalized_time(credential.leaf->not_before);
    certificate["validTo"] = generalized_time(credential.leaf->not_after);
  }
  return certificate;
}

/// `objects` belongs to explicit mode only; clients of the EUDI wallet need the member all the same (csc-api 7.3).
json::Value describe_authorization(const CredentialView& view) {
  auto objects = json::Value::array();
  if (view.mode == AuthorizationMode::redirect) return {{"mode", "oauth2code"}, {"objects", objects}};
  if (view.authentication_info) {
    objects.push_back({{"type", "PasswordOOB"},
                       {"id", device_object_id},
                       {"label", "The signer's own device"},
                       {"description", "The signer approves on the page whose address credentials/authorize gives as approvalUri"}});
  }
  return {{"mode", "explicit"}, {"objects", objects}};
}

}  // namespace

json::Value describe(const Credential& credential, const CredentialView& view, UnixTime now) {
  json::Value object = json::Value::object();
  object["key"] = describe_key(credential);
  object["cert"] = describe_certificate(credential, view, now);
  object["auth"] = describe_authorization(view);
  object["SCAL"] = "2";
  object["multisign"] = credential.facts.max_documents;
  return object;
}

Credentials::Credentials(std::shared_ptr<CredentialDirectory> directory, std::shared_ptr<const oauth::Clients> clients,
                         std::shared_ptr<const Clock> clock, bool with_page)
    : directory_(std::move(directory)), clients_(std::move(clients)), clock_(std::move(clock)), with_page_(with_page) {}

AuthorizationMode Credentials::mode_for(const http::Principal& caller) const {
  const auto* client = clients_->find(caller.id);
  const bool can_wait_only = client != nullptr && client->redirect_uris.empty();
  return with_page_ && can_wait_only ? AuthorizationMode::device : AuthorizationMode::redirect;
}

bool Credentials::may_see(const http::Principal& caller, const SignerId& signer) const {
  const auto* client = clients_->find(caller.id);
  if (refused_by("ssa.credential.subject", !caller.subject.empty() && caller.subject != signer.text())) return false;
  return client != nullptr && client->may_see(signer);
}

Result<std::shared_ptr<const Credential>> Credentials::visible(std::string_view id, const http::Principal& caller) const {
  const auto key = KeyId::parse(id);
  if (!key) return Error{ErrorCode::credential_unknown, key.error().detail};
  const bool for_another =
      std::find(caller.scopes.begin(), caller.scopes.end(), "service") == caller.scopes.end() && caller.credential != id;
  if (refused_by("ssa.credential.token", for_another)) {
    return Error{ErrorCode::credential_unknown, "the access token is for another credential"};
  }
  auto credential = directory_->find(*key);
  if (!credential) return credential.error();
  if (refused_by("ssa.credential.client", !may_see(caller, (*credential)->facts.signer))) {
    return Error{ErrorCode::credential_unknown, "the client may not see credentials of this signer"};
  }
  return credential;
}

http::Response Credentials::list(const http::Request& request, const http::Principal& caller) const {
  auto parameters = Parameters::of(request);
  // A token of the application names no user: the client says whose credentials it asks for. The token of a signer says so itself
  // (CSC API v2, 11.4).
  auto user = parameters.optional_text("userID");
  if (!caller.subject.empty()) {
    if (user) parameters.refuse(invalid_request("userID parameter MUST be null"));
    user = caller.subject;
  }
  const auto signer = SignerId::parse(user.value_or(""));
  if (!signer) parameters.refuse(invalid_parameter("userID"));
  const bool with_info = parameters.flag("credentialInfo");
  CredentialView view;
  view.certificates = certificates_wanted(parameters);
  view.certificate_info = parameters.flag("certInfo");
  view.authentication_info = parameters.flag("authInfo");
  view.mode = mode_for(caller);
  const bool only_valid = parameters.flag("onlyValid");
  (void)parameters.optional_text("lang");
  parameters.client_data();
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  if (refused_by("ssa.list.client", !may_see(caller, *signer))) return csc::answer(invalid_parameter("userID"));

  const auto credentials = directory_->list(*signer);
  if (!credentials) {
    const auto code = credentials.error().code;
    const bool unknown = code == ErrorCode::not_found || code == ErrorCode::credential_unknown || code == ErrorCode::authentication_failed;
    return unknown ? csc::answer(invalid_parameter("userID")) : refuse(request, credentials.error());
  }
  const auto now = clock_->now();
  auto ids = json::Value::array();
  auto infos = json::Value::array();
  for (const auto& credential : *credentials) {
    if (only_valid && (!credential.enabled() || credential.status(now) != CertificateStatus::valid)) continue;
    ids.push_back(credential.facts.key.text());
    if (!with_info) continue;
    auto info = describe(credential, view, now);
    info["credentialID"] = credential.facts.key.text();
    infos.push_back(std::move(info));
  }
  json::Value body = json::Value::object();
  body["credentialIDs"] = std::move(ids);
  if (with_info) body["credentialInfos"] = std::move(infos);
  if (only_valid) body["onlyValid"] = true;
  return http::json_answer(json::encode(body));
}

http::Response Credentials::info(const http::Request& request, const http::Principal& caller) const {
  auto parameters = Parameters::of(request);
  const auto id = parameters.required_text("credentialID");
  CredentialView view;
  view.certificates = certificates_wanted(parameters);
  view.certificate_info = parameters.flag("certInfo");
  view.authentication_info = parameters.flag("authInfo");
  view.mode = mode_for(caller);
  (void)parameters.optional_text("lang");
  parameters.client_data();
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto credential = visible(id, caller);
  if (!credential) return refuse(request, credential.error());
  return http::json_answer(json::encode(describe(**credential, view, clock_->now())));
}

}  // namespace intaglio::ssa::csc
