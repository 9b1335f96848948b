#include "base/check.h"
#include "crypto/certificate.h"
#include "crypto/random.h"
#include "sam/authorise/authorise.h"
#include "sam/sap/message.h"

namespace intaglio::sam {
namespace {

/// The ticket travels inside the SAP message, which has 64 KiB in all.
constexpr std::size_t max_transaction_bytes = 32 * 1024;

Error refused(ErrorCode code, std::string detail) { return {code, std::move(detail)}; }

/// Text that a signer is shown: UTF-8 without control characters (a page or a terminal must show what is there).
Status check_shown_text(std::string_view text, std::size_t most, std::string_view what) {
  if (text.empty() || text.size() > most) return refused(ErrorCode::invalid_request, std::string(what) + " is empty or too long");
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f)
      return refused(ErrorCode::invalid_request, std::string(what) + " has control characters");
  }
  return {};
}

Status check_client(const std::string& id, const std::string& name) {
  if (auto checked = check_shown_text(id, 64, "client id"); !checked) return checked;
  return check_shown_text(name, 255, "client name");
}

Result<protocol::Transaction> new_transaction(const Core& core, protocol::Purpose purpose, const Profile& profile) {
  if (auto ready = core.ready(); !ready) return ready.error();
  auto nonce = crypto::random_bytes(16);
  if (!nonce) return nonce.error();
  return protocol::Transaction{.purpose = purpose,
                               .nonce = std::move(*nonce),
                               .epoch = core.epoch(),
                               .expires = core.clock->now() + profile.ticket_lifetime,
                               .signer = {},
                               .key = {},
                               .certificate_digest = {},
                               .profile = profile.name,
                               .hash = 0,
                               .suites = {},
                               .client_id = {},
                               .client_name = {},
                               .documents = {}};
}

Status check_documents(const std::vector<protocol::DocumentDigest>& documents, crypto::HashAlgorithm hash, const Profile& profile) {
  if (documents.empty()) return refused(ErrorCode::invalid_request, "no documents");
  if (refused_by("sam.open.count", documents.size() > profile.max_documents)) {
    return refused(ErrorCode::limit_exceeded, "more documents than the profile allows in one authorisation");
  }
  for (const auto& document : documents) {
    if (refused_by("sam.open.digest-length", document.digest.size() != crypto::digest_length(hash))) {
      return refused(ErrorCode::digest_length, "a digest has not the length of its algorithm");
    }
    if (auto checked = check_shown_text(document.label, protocol::max_label_bytes, "a label"); !checked) return checked;
  }
  return {};
}

/// As it is now; what is decided on it is looked at again with the decision.
Result<custody::StoredKey> find_key(const Core& core, const KeyId& id) {
  std::optional<custody::StoredKey> key;
  auto loaded = core.database.read([&](storage::Reader& reader) -> Status {
    auto found = core.keys.find_in_snapshot(reader, id);
    if (!found) return found.error();
    key = std::move(*found);
    return {};
  });
  if (!loaded) return loaded.error();
  if (!key) return refused(ErrorCode::credential_unknown, "no such key");
  return std::move(*key);
}

}  // namespace

Result<protocol::Opened> open_signing(Core& core, const protocol::OpenSigning& request) {
  if (auto checked = check_client(request.client_id, request.client_name); !checked) return checked.error();
  auto key = find_key(core, request.key);
  if (!key) return key.error();
  const auto& record = key->record;
  // Before the state, which follows from it: a revoked key is destroyed.
  if (refused_by("sam.open.revoked", record.revoked)) return refused(ErrorCode::certificate_invalid, "the certificate is revoked");
  if (refused_by("sam.open.assigned", record.state != custody::KeyState::assigned))
    return refused(ErrorCode::credential_disabled, "the key is not ASSIGNED");
  const auto* profile = core.policy.profile(record.profile);
  if (profile == nullptr) return refused(ErrorCode::credential_disabled, "the key's profile is not in the policy");

  // Its one authorisation is the session's, which the SAM grants itself.
  if (refused_by("sam.open.one-time-key", profile->one_time.has_value()))
    return refused(ErrorCode::credential_disabled, "a one-time key signs within its session alone");
  if (auto checked = check_documents(request.documents, request.hash, *profile); !checked) return checked.error();

  auto transaction = new_transaction(core, protocol::Purpose::sign, *profile);
  if (!transaction) return transaction.error();
  const auto allowed = core.policy.algorithms().suites_for(record.algorithm, core.clock->now());
  for (const auto suite : allowed) {
    const bool wanted = request.suites.empty() || std::find(request.suites.begin(), request.suites.end(), suite) != request.suites.end();
    if (wanted && crypto::hash_of(suite) == request.hash && crypto::fits(record.algorithm, suite))
      transaction->suites.push_back(static_cast<std::uint8_t>(suite));
  }
  if (transaction->suites.empty()) return refused(ErrorCode::algorithm_refused, "no suite is left by policy, key and request");
  const auto certificate = crypto::sha256(record.certificates.front());
  transaction->signer = record.owner.text();
  transaction->key = record.id.text();
  transaction->certificate_digest = to_bytes(ByteView(certificate));
  transaction->hash = static_cast<std::uint8_t>(request.hash);
  transaction->client_id = request.client_id;
  transaction->client_name = request.client_name;
  transaction->documents = request.documents;
  if (protocol::encode(*transaction).size() > max_transaction_bytes)
    return refused(ErrorCode::too_large, "the list does not fit into one authorisation");
  return open_transaction(core, *transaction);
}

Result<protocol::Opened> open_enrolment(Core& core, const protocol::OpenEnrolment& request) {
  if (auto checked = check_client(request.client_id, request.client_name); !checked) return checked.error();
  // Whether the signer exists is not looked up: the answer must be the same (TC-11).
  auto transaction = new_transaction(core, protocol::Purpose::enrol, core.policy.profiles().front());
  if (!transaction) return transaction.error();
  transaction->signer = request.signer.text();
  transaction->client_id = request.client_id;
  transaction->client_name = request.client_name;
  return open_transaction(core, *transaction);
}

Result<protocol::Opened> open_key_generation(Core& core, const protocol::OpenKeyGeneration& request) {
  if (auto checked = check_client(request.client_id, request.client_name); !checked) return checked.error();
  const auto* profile = core.policy.profile(request.profile);
  if (profile == nullptr) return refused(ErrorCode::invalid_request, "no such profile");
  if (refused_by("sam.open.one-time-profile", profile->one_time.has_value()))
    return refused(ErrorCode::invalid_request, "keys of this profile are made in sessions alone");
  const auto& allowed = profile->key_algorithms;
  if (refused_by("sam.open.key-algorithm", std::find(allowed.begin(), allowed.end(), request.algorithm) == allowed.end())) {
    return refused(ErrorCode::algorithm_refused, "the profile does not make keys of this algorithm");
  }
  if (auto policy = core.policy.algorithms().may_generate(request.algorithm, core.clock->now());
      refused_by("sam.open.may-generate", !policy))
    return policy.error();
  auto transaction = new_transaction(core, protocol::Purpose::key, *profile);
  if (!transaction) return transaction.error();
  auto key = crypto::random_id();
  if (!key) return key.error();
  transaction->signer = request.signer.text();
  transaction->key = *key;
  transaction->suites = {static_cast<std::uint8_t>(request.algorithm)};
  transaction->client_id = request.client_id;
  transaction->client_name = request.client_name;
  return open_transaction(core, *transaction);
}

Result<protocol::Opened> open_one_time(Core& core, const protocol::OpenOneTime& request) {
  if (auto checked = check_client(request.client_id, request.client_name); !checked) return checked.error();
  const auto* profile = core.policy.profile(request.profile);
  if (profile == nullptr || !profile->one_time) return refused(ErrorCode::invalid_request, "no such profile with one-time custody");
  if (auto checked = check_documents(request.documents, request.hash, *profile); !checked) return checked.error();
  const auto algorithm = profile->key_algorithms.front();
  const auto now = core.clock->now();
  if (auto policy = core.policy.algorithms().may_generate(algorithm, now); !policy) return policy.error();
  auto transaction = new_transaction(core, protocol::Purpose::one_time, *profile);
  if (!transaction) return transaction.error();
  for (const auto suite : core.policy.algorithms().suites_for(algorithm, now)) {
    if (crypto::hash_of(suite) != request.hash || !crypto::fits(algorithm, suite) || !transaction->suites.empty()) continue;
    transaction->suites.push_back(static_cast<std::uint8_t>(suite));
  }
  if (transaction->suites.empty()) return refused(ErrorCode::algorithm_refused, "no suite is left by policy, key and request");
  auto key = crypto::random_id();
  if (!key) return key.error();
  transaction->signer = *key;
  transaction->key = *key;
  transaction->hash = static_cast<std::uint8_t>(request.hash);
  transaction->client_id = request.client_id;
  transaction->client_name = request.client_name;
  transaction->documents = request.documents;
  if (protocol::encode(*transaction).size() > max_transaction_bytes)
    return refused(ErrorCode::too_large, "the list does not fit into one authorisation");
  return open_transaction(core, *transaction);
}

Result<protocol::Opened> open_factor_change(Core& core, const protocol::OpenEnrolment& request) {
  if (auto checked = check_client(request.client_id, request.client_name); !checked) return checked.error();
  // Whether the signer exists is not looked up: the answer must be the same (TC-11).
  auto transaction = new_transaction(core, protocol::Purpose::factors, core.policy.profiles().front());
  if (!transaction) return transaction.error();
  transaction->signer = request.signer.text();
  transaction->client_id = request.client_id;
  transaction->client_name = request.client_name;
  return open_transaction(core, *transaction);
}

Result<protocol::Opened> open_key_change(Core& core, const protocol::OpenKeyChange& request) {
  if (auto checked = check_client(request.client_id, request.client_name); !checked) return checked.error();
  auto key = find_key(core, request.key);
  if (!key) return key.error();
  if (key->record.state == custody::KeyState::destroyed) return refused(ErrorCode::credential_unknown, "no such key");
  const auto* profile = core.policy.profile(key->record.profile);
  const auto purpose = request.change == protocol::KeyChange::suspend ? protocol::Purpose::suspend : protocol::Purpose::destroy;
  // A key whose profile is not in force any more can still be given up.
  auto transaction = new_transaction(core, purpose, profile == nullptr ? core.policy.profiles().front() : *profile);
  if (!transaction) return transaction.error();
  transaction->signer = key->record.owner.text();
  transaction->key = key->record.id.text();
  transaction->client_id = request.client_id;
  transaction->client_name = request.client_name;
  return open_transaction(core, *transaction);
}

Result<protocol::Opened> open_grant(Core& core, const protocol::OpenGrant& request) {
  if (auto checked = check_client(request.client_id, request.client_name); !checked) return checked.error();
  auto key = find_key(core, request.key);
  if (!key) return key.error();
  const auto& record = key->record;
  // Whether it is revoked or suspended is looked at when the grant is made, and at each seal.
  if (record.certificates.empty()) return refused(ErrorCode::credential_disabled, "the key has no certificate");
  const auto* profile = core.policy.profile(record.profile);
  if (profile == nullptr) return refused(ErrorCode::credential_disabled, "the key's profile is not in the policy");
  const auto now = core.clock->now();
  const auto& bounds = profile->grants;
  const bool within = bounds && request.signatures >= 1 && request.signatures <= bounds->signatures && request.ends > now &&
                      request.ends <= now + bounds->days;
  if (refused_by("sam.grant.bounds", !within))
    return refused(ErrorCode::limit_exceeded, "the key's profile knows no grants, or none so large or so long");
  auto client_key = crypto::PublicKey::parse_spki(request.client_key);
  if (!client_key || client_key->algorithm() != crypto::KeyAlgorithm::p256)
    return refused(ErrorCode::invalid_request, "the client's key is not one of P-256");

  auto transaction = new_transaction(core, protocol::Purpose::grant, *profile);
  if (!transaction) return transaction.error();
  const auto allowed = core.policy.algorithms().suites_for(record.algorithm, now);
  for (const auto suite : request.suites) {
    const bool served = std::find(allowed.begin(), allowed.end(), suite) != allowed.end() && crypto::fits(record.algorithm, suite);
    if (refused_by("sam.grant.suite", !served)) return refused(ErrorCode::algorithm_refused, "a suite that policy or key does not allow");
    transaction->suites.push_back(static_cast<std::uint8_t>(suite));
  }
  const auto certificate = crypto::sha256(record.certificates.front());
  transaction->signer = record.owner.text();
  transaction->key = record.id.text();
  transaction->certificate_digest = to_bytes(ByteView(certificate));
  transaction->client_id = request.client_id;
  transaction->client_name = request.client_name;
  transaction->grant = protocol::GrantTerms{client_key->spki(), request.signatures, request.ends};
  return open_transaction(core, *transaction);
}

}  // namespace intaglio::sam
