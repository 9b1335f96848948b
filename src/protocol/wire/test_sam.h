#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "protocol/service.h"

/// For tests: a SAM that answers with what it was asked, so that a lost or exchanged field shows.
namespace intaglio::protocol::wire {

class TestSam : public SamService {
 public:
  Result<Opened> open_signing(const OpenSigning& q) override {
    Bytes seen;
    append_field(seen, q.key.text());
    append_field(seen, std::uint64_t{static_cast<std::uint8_t>(q.hash)});
    for (const auto suite : q.suites) append_field(seen, std::uint64_t{static_cast<std::uint8_t>(suite)});
    for (const auto& document : q.documents) {
      append_field(seen, document.digest);
      append_field(seen, document.label);
    }
    append_field(seen, q.client_id);
    append_field(seen, q.client_name);
    return Opened{"ticket", seen, "statement", from_unix_seconds(1795000000)};
  }
  Result<Opened> open_enrolment(const OpenEnrolment& q) override {
    return Opened{q.signer.text(), to_bytes(q.client_id), q.client_name, from_unix_seconds(1)};
  }
  Result<Opened> open_key_generation(const OpenKeyGeneration& q) override {
    return Opened{q.signer.text(), to_bytes(q.profile), std::string(crypto_name(q.algorithm)), from_unix_seconds(2)};
  }
  Result<Opened> open_factor_change(const OpenEnrolment& q) override {
    return Opened{q.signer.text(), to_bytes(q.client_id), q.client_name, from_unix_seconds(3)};
  }
  Result<Opened> open_key_change(const OpenKeyChange& q) override {
    return Opened{q.key.text(), to_bytes(q.client_id), q.client_name, from_unix_seconds(static_cast<std::int64_t>(q.change))};
  }
  Result<Opened> open_grant(const OpenGrant& q) override {
    Bytes seen = q.client_key;
    append_field(seen, q.signatures);
    for (const auto suite : q.suites) append_field(seen, std::uint64_t{static_cast<std::uint8_t>(suite)});
    return Opened{q.key.text(), std::move(seen), q.client_id + "|" + q.client_name, q.ends};
  }
  Status end_grant(std::string_view grant, std::string_view reason) override {
    if (grant == "grant-1" && reason == "the client is gone") return {};
    return Error{ErrorCode::not_found, "no"};
  }
  Result<SignerId> recognise_device(std::string_view request) override {
    if (request == "alice-asks") return *SignerId::parse("alice");
    return Error{ErrorCode::authentication_failed, "no"};
  }
  Result<Authorised> authorise(std::string_view message) override {
    return Authorised{"sad-for-" + std::string(message), std::chrono::seconds(60)};
  }
  Result<Enrolled> enrol_factors(std::string_view message) override { return Enrolled{"sealed-for-" + std::string(message)}; }
  Result<KeyGenerated> generate_key(std::string_view message) override {
    return KeyGenerated{*KeyId::parse("new-key"), to_bytes(message), "assertion"};
  }
  Result<Enrolled> change_factors(std::string_view message) override { return Enrolled{"changed-for-" + std::string(message)}; }
  Status change_key(std::string_view message) override {
    if (message == "change") return {};
    return Error{ErrorCode::authentication_failed, "no"};
  }
  Result<Authorised> extend(const ExtendRequest& q) override {
    if (q.digests != std::vector<Bytes>{Bytes(32, 0x11)} || q.client_id != "client" || q.client_address != "192.0.2.1")
      return Error{ErrorCode::hash_not_authorised, "no"};
    return Authorised{q.sad + "-of-" + q.key.text(), std::chrono::seconds(59)};
  }
  Result<SignAnswer> sign(const SignRequest& q) override {
    ++signs;
    {
      std::unique_lock lock(mutex_);
      ++waiting_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return !blocked_; });
      --waiting_;
    }
    if (q.sad == "refused") return Error{ErrorCode::sad_expired, "a secret reason"};
    if (q.sad == "throws") throw std::bad_alloc();
    SignAnswer answer;
    for (const auto& digest : q.digests) {
      if (q.sad == "stops" && answer.signatures.size() == 1) {
        answer.stopped = ErrorCode::signature_doubtful;
        break;
      }
      SignedDigest one{digest, q.client_id + "|" + q.client_address, answer.signatures.size(), {}, q.sad == "again"};
      one.leaf.fill(static_cast<std::uint8_t>(q.suite));
      answer.signatures.push_back(one);
    }
    if (q.sad == "short") answer.signatures.pop_back();
    return answer;
  }
  Result<Opened> open_one_time(const OpenOneTime& q) override {
    Bytes seen;
    append_field(seen, q.profile);
    append_field(seen, std::uint64_t{static_cast<std::uint8_t>(q.hash)});
    for (const auto& document : q.documents) {
      append_field(seen, document.digest);
      append_field(seen, document.label);
    }
    return Opened{q.client_id, seen, q.client_name, from_unix_seconds(4)};
  }
  Result<std::unique_ptr<OneTimeSession>> begin_one_time() override { return std::unique_ptr<OneTimeSession>(new Session(*this)); }
  Result<LogEntry> report_orphan(const KeyId& key, ByteView certificate) override {
    return LogEntry{key.text() + " " + std::string(as_text(certificate)), 12, crypto::sha256(certificate)};
  }
  Result<SignerCreated> create_signer(std::string_view request) override {
    return SignerCreated{*SignerId::parse("new-signer"), std::string(request)};
  }
  Result<SignerCreated> reset_factors(std::string_view request) override {
    return SignerCreated{*SignerId::parse("reset-signer"), std::string(request)};
  }
  Result<CredentialFacts> bind_certificate(const CertificateBinding& q) override {
    auto facts = some_facts(*KeyId::parse("key-1"));
    facts.certificates = q.certificates;
    facts.profile = q.operator_request;
    return facts;
  }
  Status suspend_key(const KeyId& key, std::string_view reason) override {
    if (key.text() == "key-1" && reason == "lost phone") return {};
    return Error{ErrorCode::credential_unknown, "no such key"};
  }
  Status suspend_by_operator(std::string_view request) override {
    if (request == "suspend") return {};
    return Error{ErrorCode::not_authorised, "no"};
  }
  Status resume_key(std::string_view request) override {
    if (request == "resume") return {};
    if (request == "flood") throw SecretsExhausted();
    return Error{ErrorCode::not_authorised, "no"};
  }
  Status put_revocation_data(ByteView crl) override {
    if (as_text(crl) == "crl") return {};
    return Error{ErrorCode::certificate_invalid, "no"};
  }
  Result<std::vector<CredentialFacts>> list_credentials(const SignerId& signer) override {
    auto second = some_facts(*KeyId::parse("key-2"));
    second.signer = signer;
    second.state = KeyState::suspended;
    second.certificate_revoked = true;
    return std::vector<CredentialFacts>{some_facts(*KeyId::parse("key-1")), second};
  }
  Result<CredentialFacts> credential(const KeyId& key) override { return some_facts(key); }
  Result<std::string> receipt(std::uint64_t index, const crypto::Sha256Digest& leaf) override {
    if (leaf != crypto::sha256(as_bytes("leaf"))) return Error{ErrorCode::not_found, "another leaf"};
    if (index == 0) return std::string(2 * 1024 * 1024, ' ');
    return "{\"index\":" + std::to_string(index) + "}";
  }
  Result<std::string> status() override { return std::string("{\"state\":\"serving\"}"); }
  Result<std::string> public_keys() override { return std::string("{\"sam\":\"test\"}"); }

  /// Sign calls wait from now on, until release.
  void block() {
    const std::lock_guard lock(mutex_);
    blocked_ = true;
  }
  void release() {
    const std::lock_guard lock(mutex_);
    blocked_ = false;
    changed_.notify_all();
  }
  void wait_until_blocked() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ > 0; });
  }
  std::atomic<unsigned> signs{0};

  void wait_until_sessions_end() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return sessions_ == 0; });
  }
  std::atomic<int> session_milliseconds{60'000};  ///< how long a session lasts

 private:
  class Session final : public OneTimeSession {
   public:
    explicit Session(TestSam& sam)
        : sam_(sam), ends_(std::chrono::steady_clock::now() + std::chrono::milliseconds(sam.session_milliseconds)) {
      const std::lock_guard lock(sam_.mutex_);
      ++sam_.sessions_;
    }
    ~Session() override {
      const std::lock_guard lock(sam_.mutex_);
      --sam_.sessions_;
      sam_.changed_.notify_all();
    }
    Result<KeyGenerated> identify(std::string_view message) override {
      if (message == "stranger") return Error{ErrorCode::authentication_failed, "no"};
      return KeyGenerated{*KeyId::parse("session-key"), to_bytes(message), "assertion"};
    }
    Result<OneTimeSigned> sign(const OneTimeCertificate& certificate) override {
      if (as_text(certificate.certificates.front()) == "foreign") return Error{ErrorCode::certificate_invalid, "no"};
      OneTimeSigned made{{}, {certificate.client_address, 7, crypto::sha256(certificate.certificates.front())}};
      for (const auto& der : certificate.certificates) made.answer.signatures.push_back({der, "log", 6, {}, false});
      return made;
    }
    std::chrono::steady_clock::time_point ends() const override { return ends_; }

   private:
    TestSam& sam_;
    std::chrono::steady_clock::time_point ends_;
  };

  static std::string_view crypto_name(crypto::KeyAlgorithm algorithm) { return crypto::name_of(algorithm); }
  static CredentialFacts some_facts(const KeyId& key) {
    return {.key = key,
            .signer = *SignerId::parse("alice"),
            .state = KeyState::assigned,
            .algorithm = crypto::KeyAlgorithm::p384,
            .suites = {crypto::SignatureSuite::ecdsa_sha384, crypto::SignatureSuite::ecdsa_sha256},
            .certificates = {Bytes{1, 2, 3}, Bytes{4}},
            .certificate_revoked = false,
            .profile = "direct-resident",
            .max_documents = 7};
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool blocked_ = false;
  unsigned waiting_ = 0;
  int sessions_ = 0;
};

}  // namespace intaglio::protocol::wire
