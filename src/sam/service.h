#pragma once

#include <atomic>
#include <functional>

#include "sam/core.h"
#include "sam/one_time/session.h"
#include "sam/sign/signing.h"

namespace intaglio::sam {

/// What only the process knows of its token and keys; handed in by `apps/sam`.
struct Surroundings {
  std::function<std::string()> token_facts;               ///< JSON object: description, object count, calls
  std::function<std::uint64_t()> token_signer_signatures; ///< C_Sign calls with signer keys since start
  std::shared_ptr<const crypto::Signer> checkpoint_key;
  std::string log_origin;
  std::string configuration_digest;                       ///< base64url SHA-256 of the effective configuration
};

/// The SAM as the SSA sees it.
class Sam final : public protocol::SamService {
 public:
  Sam(Core core, Surroundings surroundings) : core_(std::move(core)), surroundings_(std::move(surroundings)), signing_(core_) {}

  /// Burns what an earlier start left open, destroys keys without record, makes a SAP key, records the start.
  Status start();
  /// Every half minute: revocation lists of other nodes, SAP keys, what may be forgotten, token counts and their reconciliation with audited signatures.
  void maintain();
  /// Every second, on a thread that nothing else holds up: reads the revocation lists of other nodes when that is due, or failed, which refuses
  /// everything.
  void catch_up();
  void stop();

  [[nodiscard]] Result<protocol::Opened> open_signing(const protocol::OpenSigning& request) override;
  [[nodiscard]] Result<protocol::Opened> open_enrolment(const protocol::OpenEnrolment& request) override;
  [[nodiscard]] Result<protocol::Opened> open_key_generation(const protocol::OpenKeyGeneration& request) override;
  [[nodiscard]] Result<protocol::Opened> open_factor_change(const protocol::OpenEnrolment& request) override;
  [[nodiscard]] Result<protocol::Opened> open_key_change(const protocol::OpenKeyChange& request) override;
  [[nodiscard]] Result<protocol::Opened> open_grant(const protocol::OpenGrant& request) override;
  Status end_grant(std::string_view grant, std::string_view reason) override;
  [[nodiscard]] Result<SignerId> recognise_device(std::string_view request) override;
  [[nodiscard]] Result<protocol::Authorised> authorise(std::string_view sap_message) override;
  [[nodiscard]] Result<protocol::Enrolled> enrol_factors(std::string_view sap_message) override;
  [[nodiscard]] Result<protocol::KeyGenerated> generate_key(std::string_view sap_message) override;
  [[nodiscard]] Result<protocol::Enrolled> change_factors(std::string_view sap_message) override;
  Status change_key(std::string_view sap_message) override;
  [[nodiscard]] Result<protocol::SignAnswer> sign(const protocol::SignRequest& request) override;
  [[nodiscard]] Result<protocol::Authorised> extend(const protocol::ExtendRequest& request) override;
  [[nodiscard]] Result<protocol::Opened> open_one_time(const protocol::OpenOneTime& request) override;
  [[nodiscard]] Result<std::unique_ptr<protocol::OneTimeSession>> begin_one_time() override;
  [[nodiscard]] Result<protocol::LogEntry> report_orphan(const KeyId& key, ByteView certificate) override;
  [[nodiscard]] Result<protocol::SignerCreated> create_signer(std::string_view operator_request) override;
  [[nodiscard]] Result<protocol::SignerCreated> reset_factors(std::string_view operator_request) override;
  [[nodiscard]] Result<protocol::CredentialFacts> bind_certificate(const protocol::CertificateBinding& binding) override;
  Status suspend_key(const KeyId& key, std::string_view reason) override;
  Status suspend_by_operator(std::string_view operator_request) override;
  Status resume_key(std::string_view operator_request) override;
  Status put_revocation_data(ByteView crl) override;
  [[nodiscard]] Result<std::vector<protocol::CredentialFacts>> list_credentials(const SignerId& signer) override;
  [[nodiscard]] Result<protocol::CredentialFacts> credential(const KeyId& key) override;
  [[nodiscard]] Result<std::string> receipt(std::uint64_t index, const crypto::Sha256Digest& leaf) override;
  [[nodiscard]] Result<std::string> status() override;
  [[nodiscard]] Result<std::string> public_keys() override;

 private:
  [[nodiscard]] protocol::CredentialFacts facts_of(const custody::KeyRecord& record) const;
  void read_revocations();
  void forget_what_ended();
  void reconcile_token_calls();

  Core core_;
  Surroundings surroundings_;
  Signing signing_;
  LiveKeys live_keys_;
  std::uint64_t token_signatures_at_last_check_ = 0;
  std::uint64_t alarmed_signatures_ = 0;  ///< how many of the surplus an alarm has told already
};

}  // namespace intaglio::sam
