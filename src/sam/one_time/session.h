#pragma once

#include <mutex>
#include <optional>
#include <set>

#include "sam/one_time/key_end.h"
#include "sam/one_time/subject.h"
#include "sam/sap/message.h"
#include "sam/sign/signing.h"

namespace intaglio::sam {

/// The keys of this node's open sessions: what the sweep must leave alone.
class LiveKeys {
 public:
  void add(const KeyId& key) {
    const std::lock_guard lock(mutex_);
    keys_.insert(key);
  }
  void remove(const KeyId& key) {
    const std::lock_guard lock(mutex_);
    keys_.erase(key);
  }
  [[nodiscard]] bool contains(const KeyId& key) {
    const std::lock_guard lock(mutex_);
    return keys_.contains(key);
  }

 private:
  std::mutex mutex_;
  std::set<KeyId> keys_;
};

/// One session with a one-time key (trust-core, section 2, "identify first"): each step once and in order. The key ends with the
/// session: after the signatures, at the first refusal, when the session is over, when its connection ends. One thread.
class OneTimeSession final : public protocol::OneTimeSession {
 public:
  /// What it refers to outlives it.
  OneTimeSession(Core& core, Signing& signing, LiveKeys& live) : core_(core), signing_(signing), live_(live) {}
  ~OneTimeSession() override;

  [[nodiscard]] Result<protocol::KeyGenerated> identify(std::string_view sap_message) override;
  [[nodiscard]] Result<protocol::OneTimeSigned> sign(const protocol::OneTimeCertificate& certificate) override;
  [[nodiscard]] std::chrono::steady_clock::time_point ends() const override { return steady_end_; }

 private:
  /// What is known once a person identified himself for the documents.
  struct Identified {
    protocol::Transaction transaction;  ///< T: the documents as they were shown
    crypto::Sha256Digest consent, session;
    protocol::Terms terms;
    std::string act;
    const Profile* profile;
    AssertedSubject subject;
    SignerId person;  ///< pseudonym of the person at the provider
    KeyId key;
  };
  [[nodiscard]] Result<Identified> verify(const SapMessage& message, IdentityProof& proof) const;
  Status claim(const SapMessage& message, const Identified& identified, const IdentityProof& proof);
  [[nodiscard]] Result<protocol::KeyGenerated> make_key();
  [[nodiscard]] Status check_certificate(const std::vector<crypto::Certificate>& chain) const;
  /// T of the signature: what is signed for each approved document under this certificate, composed here (TC-2).
  [[nodiscard]] Result<protocol::Transaction> compose(const crypto::Certificate& leaf) const;
  [[nodiscard]] Result<std::string> authorise(const std::vector<crypto::Certificate>& chain, const protocol::Transaction& transaction);
  [[nodiscard]] Result<protocol::SignAnswer> sign_now(const protocol::OneTimeCertificate& certificate);
  [[nodiscard]] Result<audit::EntryReference> end(std::string_view reason, bool released);

  Core& core_;
  Signing& signing_;
  LiveKeys& live_;
  enum class State { fresh, identified, over };
  State state_ = State::fresh;
  std::optional<Identified> identified_;  ///< from the claim on, until the key has ended
  std::optional<crypto::PublicKey> public_key_;
  std::string assertion_;
  UnixTime end_{};
  std::chrono::steady_clock::time_point steady_end_{};
};

}  // namespace intaglio::sam
