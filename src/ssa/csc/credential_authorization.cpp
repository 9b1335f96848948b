#include "ssa/csc/credential_authorization.h"

#include "base/check.h"
#include "base/log.h"
#include "ssa/csc/parameters.h"

namespace intaglio::ssa::csc {
namespace {

constexpr std::size_t max_description_bytes = 500;

/// numSignatures, in the words of the table; 0 after a refusal.
std::uint64_t read_count(Parameters& parameters, std::uint32_t most) {
  const auto* count = parameters.member("numSignatures");
  if (count == nullptr || !count->is_number_integer()) {
    parameters.refuse(invalid_request("Missing (or invalid type) integer parameter numSignatures"));
    return 0;
  }
  if (!count->is_number_unsigned() || count->get<std::uint64_t>() < 1) {
    parameters.refuse(invalid_request("Invalid value for parameter numSignatures"));
    return 0;
  }
  if (count->get<std::uint64_t>() > most) parameters.refuse(invalid_request("Numbers of signatures is too high"));
  return count->get<std::uint64_t>();
}

/// Nothing, or the object that says that the signer decides elsewhere; never a value.
void read_authentication(Parameters& parameters) {
  const Refusal wrong{400, "invalid_authentication_data", "The authentication data is invalid"};
  for (const std::string_view name : {"PIN", "OTP"}) {
    if (refused_by("ssa.authorize.factor", parameters.member(name) != nullptr)) parameters.refuse(invalid_parameter(name));
  }
  const auto* data = parameters.member("authData");
  if (data == nullptr) return;
  bool signers_device = data->is_array() && data->size() <= 1;
  for (const auto& one : *data) {
    const auto id = one.is_object() ? json::text_member(one, "id") : Result<std::string>(Error{ErrorCode::invalid_request, "no object"});
    signers_device = signers_device && id && *id == device_object_id && json::member(one, "value") == nullptr;
  }
  if (refused_by("ssa.authorize.data", !signers_device)) parameters.refuse(wrong);
}

/// What the signer is to approve. SCAL 2: without the digests there is nothing to approve (csc-api 8.1).
oauth::CredentialRequest read_request(Parameters& parameters, const KeyId& key, std::uint64_t count, std::size_t max_hashes) {
  oauth::CredentialRequest asked{key, crypto::HashAlgorithm::sha256, {}};
  auto digests = parameters.digests("hashes", max_hashes, "hashes");
  const auto oid = parameters.required_text("hashAlgorithmOID");
  const auto kind_text = parameters.optional_text("hashType");
  if (parameters.refusal()) return asked;
  const auto hash = crypto::parse_hash_oid(oid);
  if (!hash) parameters.refuse(invalid_parameter("hashAlgorithmOID"));
  const auto kind = oauth::parse_digest_kind(kind_text.value_or("dtbsr"));
  if (!kind) parameters.refuse(invalid_parameter("hashType"));
  if (refused_by("ssa.authorize.count", digests.size() != count)) {
    parameters.refuse(invalid_request("Invalid value for parameter numSignatures"));
  }
  if (parameters.refusal()) return asked;
  asked.hash = *hash;
  for (auto& digest : digests) {
    if (digest.size() != crypto::digest_length(*hash)) parameters.refuse(invalid_request("Invalid digest value length"));
    asked.documents.push_back({std::move(digest), oauth::place_in_list(asked.documents.size()), kind.value_or(oauth::DigestKind::dtbsr)});
  }
  return asked;
}

}  // namespace

CredentialAuthorization::CredentialAuthorization(const Credentials& credentials, const signer::Approvals& approvals,
                                                 std::shared_ptr<const signer::DeviceApprovals> devices,
                                                 std::shared_ptr<const oauth::Clients> clients, std::shared_ptr<const Clock> clock,
                                                 std::size_t max_hashes)
    : credentials_(credentials),
      approvals_(approvals),
      devices_(std::move(devices)),
      clients_(std::move(clients)),
      clock_(std::move(clock)),
      max_hashes_(max_hashes) {}

http::Response CredentialAuthorization::authorize(const http::Request& request, const http::Principal& caller) const {
  return authorize_by(credentials_.mode_for(caller), request, caller);
}

http::Response CredentialAuthorization::authorize_by(AuthorizationMode mode, const http::Request& request,
                                                     const http::Principal& caller) const {
  auto parameters = Parameters::of(request);
  const auto id = parameters.required_text("credentialID");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto credential = credentials_.visible(id, caller);
  if (!credential) return refuse(request, credential.error());
  const auto& facts = (*credential)->facts;
  if (!(*credential)->enabled()) return refuse(request, {ErrorCode::credential_disabled, "the key is not assigned"});
  const auto count = read_count(parameters, facts.max_documents);
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  if (refused_by("ssa.authorize.mode", mode != AuthorizationMode::device)) {
    // CSC API v2, 11.6: not for oauth2code.
    return csc::answer(invalid_request("The credential is not authorized by credentials/authorize: its auth/mode is oauth2code"));
  }
  read_authentication(parameters);
  const auto asked = read_request(parameters, facts.key, count, max_hashes_);
  if (parameters.optional_text("description").value_or("").size() > max_description_bytes) {
    parameters.refuse(invalid_parameter("description"));
  }
  parameters.client_data();
  if (parameters.refusal()) return csc::answer(*parameters.refusal());

  const auto* client = clients_->find(caller.id);
  if (client == nullptr) return refuse(request, {ErrorCode::internal, "an admitted client is not registered"});
  const auto awaited = approvals_.await(*client, asked, clock_->now());
  if (!awaited) return refuse(request, awaited.error());
  log::info("authorization.awaited", {{"request", request.request_id}, {"client", caller.id}});
  return uncached({{"handle", awaited->handle},
                   {"approvalUri", awaited->page},
                   {"comparison", awaited->comparison},
                   {"expiresIn", awaited->expires_in.count()}},
                  202);
}

http::Response CredentialAuthorization::check(const http::Request& request, const http::Principal& caller) const {
  auto parameters = Parameters::of(request);
  const auto handle = parameters.optional_text("handle").value_or("");
  if (handle.empty()) parameters.refuse(invalid_parameter("handle"));
  parameters.client_data();
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto found = devices_->check(handle, caller.id);
  if (!found && found.error().code == ErrorCode::not_found) {
    log::refusal("request.refused", found.error(), {{"request", request.request_id}, {"path", request.path}});
    return csc::answer(invalid_parameter("handle"));
  }
  if (!found) return refuse(request, found.error());
  if (std::holds_alternative<signer::DeviceApprovals::Waiting>(*found)) return uncached({{"handle", handle}}, 202);
  if (std::holds_alternative<signer::DeviceApprovals::Declined>(*found)) return csc::answer({400, "access_denied", "The signer declined"});
  const auto& given = std::get<signer::DeviceApprovals::Given>(*found);
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(given.expires - clock_->now());
  return uncached({{"SAD", std::string(as_text(given.sad.reveal()))}, {"expiresIn", left.count()}}, 200);
}

http::Response CredentialAuthorization::challenge(const http::Request& request, const http::Principal& caller) const {
  auto parameters = Parameters::of(request);
  const auto id = parameters.required_text("credentialID");
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto credential = credentials_.visible(id, caller);
  if (!credential) return refuse(request, credential.error());
  (void)parameters.required_text("authObjectID");
  parameters.client_data();
  return csc::answer(parameters.refusal().value_or(invalid_parameter("authObjectID")));
}

}  // namespace intaglio::ssa::csc
