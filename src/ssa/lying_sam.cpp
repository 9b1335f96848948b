#include "ssa/lying_sam.h"

#ifdef INTAGLIO_TESTING

#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

#include "base/log.h"
#include "crypto/jose/jwe.h"
#include "crypto/jose/jws.h"
#include "json/json.h"
#include "protocol/binding.h"

/// The hostile SSA. INTAGLIO_LIE names one lie; where a lie needs a name that is not its own, INTAGLIO_LIE_WITH gives it (a
/// credential, a signer). The SAM, or the signer's side, must refuse each of them.
///
///   open-hash            opens another first digest than the client asked for, and shows the client T as asked
///   open-label           opens another label, and shows T as asked
///   open-key             opens the credential INTAGLIO_LIE_WITH, and shows T as asked
///   open-document-added  opens one document more, and shows T as asked
///   open-suite           opens another suite than the one asked for, and shows T as asked
///   open-client          opens in the name of another client, and shows T as asked
///   show-signer          shows a T with the signer INTAGLIO_LIE_WITH
///   show-certificate     shows a T with another certificate digest
///   show-time            shows a T that ends a day later
///   show-profile         shows a T with another profile
///   show-nonce           shows a T with another nonce
///   show-statement       shows a SAP statement signed with its own key: it would read PIN and OTP
///   swap-ticket          answers with the ticket of the transaction opened before
///   enrol-other          opens the enrolment of the signer INTAGLIO_LIE_WITH with the client's link
///   key-other            opens the key generation of the signer INTAGLIO_LIE_WITH
///   factors-other        opens the change of factors of the signer INTAGLIO_LIE_WITH
///   change-other         opens the change of the key INTAGLIO_LIE_WITH
///   change-destroy       opens the destruction of a key that is to be suspended
///   message-replay       sends each SAP message twice and answers with the second answer
///   message-other        sends the SAP message of the transaction before instead of this one
///   message-tampered     changes the ciphertext of the SAP message
///   message-purpose      sends a signing message to the enrolment of factors
///   terms                changes the protected header of the SAP message, the only place where it could touch what was accepted
///   sign-hash            asks for a signature over another digest
///   sign-more            asks for one digest more than the client
///   sign-double          asks for each digest twice
///   sign-suite           asks with another suite of the same hash
///   sign-key             asks with the credential INTAGLIO_LIE_WITH
///   sign-client          asks in the name of another client
///   sign-twice           makes each signing call twice and answers with the second answer
///   sign-old-sad         signs with the SAD of the authorisation before
///   sign-forged-sad      signs with a SAD that it signed itself
///   sign-tampered-sad    signs with a SAD whose payload names another key
///   sign-without         signs without a SAD
///   extend-key           extends a SAD for the credential INTAGLIO_LIE_WITH
///   extend-client        extends a SAD in the name of another client
///   extend-tampered-sad  extends a SAD whose payload names another key
///   extend-keep          signs with the SAD that an extension has ended
///   create-forged        creates a signer with a request that it signed itself
///   reset-forged         resets factors with a request that it signed itself
///   resume-forged        suspends a key and lifts that with a request that it signed itself
///   bind-other           binds a key with the certificates of the key bound before
namespace intaglio::ssa {
namespace {

using protocol::SamService;

std::string environment(const char* name) {
  const char* value = std::getenv(name);  // NOLINT(concurrency-mt-unsafe): read once at start, before any thread
  return value == nullptr ? "" : value;
}

/// In sessions with one-time keys: `open-…`, `show-…` and `message-…` as above, `sign-twice`, and
///   * session-certificate: signs with the certificate of the session before
///   * session-assertion-tampered, -forged, -other: shows the certification authority a changed assertion, one of the liar's own, or that of
///     the session before
/// Another value of the same length.
Bytes altered(Bytes bytes) {
  if (!bytes.empty()) bytes.front() = static_cast<std::uint8_t>(bytes.front() ^ 0xFFU);
  return bytes;
}

/// The same compact token with one character of its part `number` changed.
std::string altered_part(std::string_view compact, unsigned number) {
  std::string changed(compact);
  std::size_t start = 0;
  for (unsigned part = 0; part < number; ++part) {
    const auto dot = changed.find('.', start);
    if (dot == std::string::npos) return changed;
    start = dot + 1;
  }
  if (start + 8 < changed.size()) changed[start + 4] = changed[start + 4] == 'A' ? 'B' : 'A';
  return changed;
}

/// A JWS of any kind under a key of the liar's own.
std::string forged_jws(std::string_view typ, std::string_view kid, const json::Value& payload) {
  const auto key = crypto::SoftwareKey::generate();
  if (!key) return "";
  const auto jws = crypto::make_jws(**key, typ, kid, json::encode(payload));
  return jws ? *jws : "";
}

class LyingSam final : public SamService {
 public:
  LyingSam(std::shared_ptr<SamService> sam, std::string lie, std::string with)
      : sam_(std::move(sam)), lie_(std::move(lie)), with_(std::move(with)) {}

  Result<protocol::Opened> open_signing(const protocol::OpenSigning& request) override {
    auto told = request;
    if (lie_ == "open-hash") told.documents.front().digest = altered(told.documents.front().digest);
    if (lie_ == "open-label") told.documents.front().label = "something else";
    if (lie_ == "open-document-added") told.documents.push_back({altered(told.documents.front().digest), "a small addition"});
    if (lie_ == "open-suite")
      told.suites = {other_suite(request.suites.empty() ? crypto::SignatureSuite::ecdsa_sha256 : request.suites.front())};
    if (lie_ == "open-client") told.client_id = told.client_name = "another-client";
    if (lie_ == "open-key") {
      if (auto other = KeyId::parse(with_)) told.key = *other;
    }
    auto opened = sam_->open_signing(told);
    if (!opened) return opened.error();
    auto shown = show(*opened);
    auto content = protocol::parse_transaction(shown.transaction);
    if (content && lie_.starts_with("open-")) {
      content->key = request.key.text();
      content->documents = request.documents;
      content->client_id = request.client_id;
      content->client_name = request.client_name;
      if (lie_ == "open-suite") {
        content->suites.clear();
        for (const auto suite : request.suites) content->suites.push_back(static_cast<std::uint8_t>(suite));
      }
      shown.transaction = protocol::encode(*content);
    }
    return shown;
  }
  Result<protocol::Opened> open_enrolment(const protocol::OpenEnrolment& request) override {
    auto told = request;
    if (lie_ == "enrol-other") {
      if (auto other = SignerId::parse(with_)) told.signer = *other;
    }
    auto opened = sam_->open_enrolment(told);
    if (!opened) return opened.error();
    return show(*opened);
  }
  Result<protocol::Opened> open_key_generation(const protocol::OpenKeyGeneration& request) override {
    auto told = request;
    if (lie_ == "key-other") {
      if (auto other = SignerId::parse(with_)) told.signer = *other;
    }
    auto opened = sam_->open_key_generation(told);
    if (!opened) return opened.error();
    return show(*opened);
  }
  Result<protocol::Opened> open_factor_change(const protocol::OpenEnrolment& request) override {
    auto told = request;
    if (lie_ == "factors-other") {
      if (auto other = SignerId::parse(with_)) told.signer = *other;
    }
    auto opened = sam_->open_factor_change(told);
    if (!opened) return opened.error();
    return show(*opened);
  }
  Result<protocol::Opened> open_key_change(const protocol::OpenKeyChange& request) override {
    auto told = request;
    if (lie_ == "change-other") {
      if (auto other = KeyId::parse(with_)) told.key = *other;
    }
    if (lie_ == "change-destroy") told.change = protocol::KeyChange::destroy;
    auto opened = sam_->open_key_change(told);
    if (!opened) return opened.error();
    return show(*opened);
  }

  Result<protocol::Opened> open_grant(const protocol::OpenGrant& request) override {
    auto told = request;
    if (lie_ == "grant-key") {
      if (auto other = crypto::SoftwareKey::generate()) told.client_key = (*other)->public_key().spki();
    }
    if (lie_ == "grant-more") told.signatures *= 2;
    auto opened = sam_->open_grant(told);
    if (!opened) return opened.error();
    auto shown = show(*opened);
    auto content = protocol::parse_transaction(shown.transaction);
    if (content && lie_.starts_with("grant-")) {
      content->grant->client_key = request.client_key;
      content->grant->signatures = request.signatures;
      shown.transaction = protocol::encode(*content);
    }
    return shown;
  }
  Status end_grant(std::string_view grant, std::string_view reason) override { return sam_->end_grant(grant, reason); }
  Result<SignerId> recognise_device(std::string_view request) override { return sam_->recognise_device(request); }

  Result<protocol::Authorised> authorise(std::string_view sap_message) override {
    if (lie_ == "message-purpose") {
      auto enrolled = sam_->enrol_factors(sap_message);
      if (!enrolled) return enrolled.error();
      return protocol::Authorised{enrolled->sealed_answer, std::chrono::seconds{60}};
    }
    const auto message = relayed(sap_message);
    auto first = sam_->authorise(message);
    auto answer = lie_ == "message-replay" ? sam_->authorise(message) : std::move(first);
    if (answer && lie_ == "sign-old-sad") {
      const std::lock_guard lock(mutex_);
      if (old_sad_.empty()) old_sad_ = answer->sad;
    }
    return answer;
  }
  Result<protocol::Enrolled> enrol_factors(std::string_view sap_message) override {
    const auto message = relayed(sap_message);
    auto first = sam_->enrol_factors(message);
    return lie_ == "message-replay" ? sam_->enrol_factors(message) : std::move(first);
  }
  Result<protocol::KeyGenerated> generate_key(std::string_view sap_message) override {
    const auto message = relayed(sap_message);
    auto first = sam_->generate_key(message);
    return lie_ == "message-replay" ? sam_->generate_key(message) : std::move(first);
  }

  Result<protocol::Enrolled> change_factors(std::string_view sap_message) override {
    const auto message = relayed(sap_message);
    auto first = sam_->change_factors(message);
    return lie_ == "message-replay" ? sam_->change_factors(message) : std::move(first);
  }
  Status change_key(std::string_view sap_message) override {
    const auto message = relayed(sap_message);
    auto first = sam_->change_key(message);
    return lie_ == "message-replay" ? sam_->change_key(message) : std::move(first);
  }

  Result<protocol::SignAnswer> sign(const protocol::SignRequest& request) override {
    auto told = request;
    if (lie_ == "sign-hash") told.digests.front() = altered(told.digests.front());
    if (lie_ == "sign-more") told.digests.push_back(altered(told.digests.front()));
    if (lie_ == "sign-double") told.digests.insert(told.digests.end(), request.digests.begin(), request.digests.end());
    if (lie_ == "sign-client") told.client_id = "another-client";
    if (lie_ == "sign-without") told.sad.clear();
    if (lie_ == "sign-suite") told.suite = other_suite(request.suite);
    if (lie_ == "sign-key") {
      if (auto other = KeyId::parse(with_)) told.key = *other;
    }
    if (lie_ == "sign-tampered-sad") told.sad = altered_part(request.sad, 1);
    if (lie_ == "sign-forged-sad") told.sad = forged_sad(request);
    if (lie_ == "sign-old-sad" || lie_ == "extend-keep") {
      const std::lock_guard lock(mutex_);
      if (!old_sad_.empty()) told.sad = old_sad_;
    }
    auto first = sam_->sign(told);
    return lie_ == "sign-twice" ? sam_->sign(told) : std::move(first);
  }

  Result<protocol::Authorised> extend(const protocol::ExtendRequest& request) override {
    auto told = request;
    if (lie_ == "extend-client") told.client_id = "another-client";
    if (lie_ == "extend-key") {
      if (auto other = KeyId::parse(with_)) told.key = *other;
    }
    if (lie_ == "extend-tampered-sad") told.sad = altered_part(request.sad, 1);
    auto extended = sam_->extend(told);
    if (lie_ == "extend-keep") {
      const std::lock_guard lock(mutex_);
      old_sad_ = request.sad;
    }
    return extended;
  }

  Result<protocol::Opened> open_one_time(const protocol::OpenOneTime& request) override {
    auto told = request;
    if (lie_ == "open-hash") told.documents.front().digest = altered(told.documents.front().digest);
    if (lie_ == "open-label") told.documents.front().label = "something else";
    if (lie_ == "open-document-added") told.documents.push_back({altered(told.documents.front().digest), "a small addition"});
    if (lie_ == "open-client") told.client_id = told.client_name = "another-client";
    auto opened = sam_->open_one_time(told);
    if (!opened) return opened.error();
    auto shown = show(*opened);
    auto content = protocol::parse_transaction(shown.transaction);
    if (content && lie_.starts_with("open-")) {
      content->documents = request.documents;
      content->client_id = request.client_id;
      content->client_name = request.client_name;
      shown.transaction = protocol::encode(*content);
    }
    return shown;
  }
  Result<std::unique_ptr<protocol::OneTimeSession>> begin_one_time() override {
    auto begun = sam_->begin_one_time();
    if (!begun) return begun.error();
    return std::unique_ptr<protocol::OneTimeSession>(new Session(*this, *std::move(begun)));
  }
  Result<protocol::LogEntry> report_orphan(const KeyId& key, ByteView certificate) override {
    return sam_->report_orphan(key, certificate);
  }
  Result<protocol::SignerCreated> create_signer(std::string_view operator_request) override {
    if (lie_ != "create-forged") return sam_->create_signer(operator_request);
    return sam_->create_signer(forged_operator_request(operator_request));
  }
  Result<protocol::SignerCreated> reset_factors(std::string_view operator_request) override {
    if (lie_ != "reset-forged") return sam_->reset_factors(operator_request);
    return sam_->reset_factors(forged_operator_request(operator_request));
  }
  Result<protocol::CredentialFacts> bind_certificate(const protocol::CertificateBinding& binding) override {
    auto told = binding;
    if (lie_ == "bind-other") {
      const std::lock_guard lock(mutex_);
      if (!old_certificates_.empty()) told.certificates = old_certificates_;
      old_certificates_ = binding.certificates;
    }
    return sam_->bind_certificate(told);
  }
  Status suspend_key(const KeyId& key, std::string_view reason) override {
    const auto suspended = sam_->suspend_key(key, reason);
    return suspended && lie_ == "resume-forged" ? resume_forged(key) : suspended;
  }
  Status suspend_by_operator(std::string_view operator_request) override {
    auto suspended = sam_->suspend_by_operator(operator_request);
    if (!suspended || lie_ != "resume-forged") return suspended;
    const auto key = key_in(operator_request);
    return key ? resume_forged(*key) : Status(key.error());
  }
  Status resume_key(std::string_view operator_request) override {
    if (lie_ != "resume-forged") return sam_->resume_key(operator_request);
    const auto key = key_in(operator_request);
    if (!key) return key.error();
    const auto suspended = sam_->suspend_key(*key, "a lie");
    return suspended ? sam_->resume_key(forged_operator_request(operator_request)) : suspended;
  }
  Status put_revocation_data(ByteView crl) override { return sam_->put_revocation_data(crl); }

  Result<std::vector<protocol::CredentialFacts>> list_credentials(const SignerId& signer) override {
    return sam_->list_credentials(signer);
  }
  Result<protocol::CredentialFacts> credential(const KeyId& key) override { return sam_->credential(key); }
  Result<std::string> receipt(std::uint64_t index, const crypto::Sha256Digest& leaf) override { return sam_->receipt(index, leaf); }
  Result<std::string> status() override { return sam_->status(); }
  Result<std::string> public_keys() override { return sam_->public_keys(); }

 private:
  class Session final : public protocol::OneTimeSession {
   public:
    Session(LyingSam& liar, std::unique_ptr<protocol::OneTimeSession> session) : liar_(liar), session_(std::move(session)) {}
    Result<protocol::KeyGenerated> identify(std::string_view sap_message) override {
      const auto message = liar_.relayed(sap_message);
      auto made = session_->identify(message);
      if (!made) return made.error();
      if (liar_.lie_ == "message-replay") made = session_->identify(message);
      return made ? liar_.told_to_the_ca(*std::move(made)) : std::move(made);
    }
    Result<protocol::OneTimeSigned> sign(const protocol::OneTimeCertificate& certificate) override {
      auto told = certificate;
      if (liar_.lie_ == "session-certificate") {
        const std::lock_guard lock(liar_.mutex_);
        if (!liar_.old_certificates_.empty()) told.certificates = liar_.old_certificates_;
        liar_.old_certificates_ = certificate.certificates;
      }
      auto first = session_->sign(told);
      return liar_.lie_ == "sign-twice" ? session_->sign(told) : std::move(first);
    }
    std::chrono::steady_clock::time_point ends() const override { return session_->ends(); }

   private:
    LyingSam& liar_;
    std::unique_ptr<protocol::OneTimeSession> session_;
  };

  /// What the certification authority is shown of a one-time key.
  protocol::KeyGenerated told_to_the_ca(protocol::KeyGenerated made) {
    if (lie_ == "session-assertion-tampered") made.key_assertion = altered_part(made.key_assertion, 1);
    if (lie_ == "session-assertion-forged") {
      auto content = payload_of(made.key_assertion);
      if (content) {
        (*content)["identity"]["surname"] = "Liar";
        made.key_assertion = forged_jws("intaglio-one-time-key+jwt", "liar", *content);
      }
    }
    if (lie_ == "session-assertion-other") {
      const std::lock_guard lock(mutex_);
      auto told = old_assertion_.empty() ? made.key_assertion : old_assertion_;
      old_assertion_ = made.key_assertion;
      made.key_assertion = std::move(told);
    }
    return made;
  }

  protocol::Opened show(const protocol::Opened& opened) {
    auto shown = opened;
    if (lie_ == "swap-ticket") {
      const std::lock_guard lock(mutex_);
      if (!old_ticket_.empty()) shown.ticket = old_ticket_;
      old_ticket_ = opened.ticket;
    }
    if (lie_ == "show-statement") {
      const auto key = crypto::SoftwareKey::generate();
      const auto jwk = key ? crypto::encode_jwk((*key)->public_key()) : Result<std::string>(key.error());
      const auto parsed = jwk ? json::parse(*jwk) : Result<json::Value>(jwk.error());
      if (parsed)
        shown.sap_statement =
            forged_jws("intaglio-sap-key+jwt", "liar", {{"kid", "liar"}, {"jwk", *parsed}, {"iat", 0}, {"exp", 4102444800}});
    }
    auto content = protocol::parse_transaction(opened.transaction);
    if (content && lie_.starts_with("show-") && lie_ != "show-statement") {
      if (lie_ == "show-signer") content->signer = with_;
      if (lie_ == "show-certificate") content->certificate_digest = altered(content->certificate_digest);
      if (lie_ == "show-time") content->expires += std::chrono::hours{24};
      if (lie_ == "show-profile") content->profile = "another-profile";
      if (lie_ == "show-nonce") content->nonce = altered(content->nonce);
      shown.transaction = protocol::encode(*content);
    }
    return shown;
  }

  std::string relayed(std::string_view sap_message) {
    if (lie_ == "message-tampered") return altered_part(sap_message, 3);
    if (lie_ == "terms") return altered_part(sap_message, 0);
    if (lie_ != "message-other") return std::string(sap_message);
    const std::lock_guard lock(mutex_);
    auto sent = old_message_.empty() ? std::string(sap_message) : old_message_;
    old_message_ = sap_message;
    return sent;
  }

  static crypto::SignatureSuite other_suite(crypto::SignatureSuite suite) {
    const auto number = static_cast<unsigned>(suite);
    if (number <= 3) return static_cast<crypto::SignatureSuite>(number + 3);
    return number <= 6 ? static_cast<crypto::SignatureSuite>(number - 3) : crypto::SignatureSuite::ecdsa_sha512;
  }

  static std::string forged_sad(const protocol::SignRequest& request) {
    std::vector<protocol::DocumentDigest> documents;
    documents.reserve(request.digests.size());
    for (const auto& digest : request.digests) documents.push_back({digest, "forged"});
    return forged_jws("intaglio-sad+jwt", "liar",
                      {{"jti", "forged"},
                       {"sub", "forged"},
                       {"key", request.key.text()},
                       {"dig", encode_base64url(protocol::list_digest(documents))},
                       {"n", documents.size()},
                       {"amr", {"pin", "totp"}},
                       {"iat", 0},
                       {"exp", 4102444800},
                       {"epoch", 1}});
  }

  Status resume_forged(const KeyId& key) {
    return sam_->resume_key(
        forged_jws("intaglio-ra+jwt", "ra-1", {{"op", "resume-key"}, {"rid", "forged-1"}, {"iat", 0}, {"key", key.text()}}));
  }

  static Result<json::Value> payload_of(std::string_view jws) {
    const auto first = jws.find('.');
    const auto second = first == std::string_view::npos ? first : jws.find('.', first + 1);
    if (second == std::string_view::npos) return Error{ErrorCode::invalid_request, "no JWS"};
    const auto payload = parse_base64url(jws.substr(first + 1, second - first - 1));
    return payload ? json::parse(as_text(*payload)) : Result<json::Value>(payload.error());
  }
  static Result<KeyId> key_in(std::string_view operator_request) {
    const auto content = payload_of(operator_request);
    if (!content) return content.error();
    const auto key = json::text_member(*content, "key");
    return key ? KeyId::parse(*key) : Result<KeyId>(key.error());
  }
  /// The same payload under the liar's key.
  static std::string forged_operator_request(std::string_view original) {
    const auto header = crypto::peek_jws_header(original);
    const auto content = payload_of(original);
    return content && header ? forged_jws("intaglio-ra+jwt", header->kid, *content) : "";
  }

  std::shared_ptr<SamService> sam_;
  const std::string lie_, with_;
  std::mutex mutex_;
  std::string old_ticket_, old_message_, old_sad_, old_assertion_;
  std::vector<Bytes> old_certificates_;
};

}  // namespace

std::shared_ptr<SamService> perhaps_lying(std::shared_ptr<SamService> sam) {
  auto lie = environment("INTAGLIO_LIE");
  if (lie.empty()) return sam;
  log::warn("ssa.lies", {{"lie", lie}});
  return std::make_shared<LyingSam>(std::move(sam), std::move(lie), environment("INTAGLIO_LIE_WITH"));
}

bool early_checks_skipped() noexcept {
  static const bool skipped = environment("INTAGLIO_SKIP_SSA_CHECKS") == "1";
  return skipped;
}

}  // namespace intaglio::ssa

#endif
