#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "crypto/jose/jws.h"
#include "pki/ca/ceremony.h"
#include "pki/service.h"

namespace intaglio::pki::testing {

/// A folder that goes with the test.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

/// What the registration authority sends; a test spoils one member.
struct Material {
  json::Value request, assertion;  ///< payloads before signing
  Bytes csr;
  std::shared_ptr<crypto::SoftwareKey> key, request_signer, assertion_signer;
  std::string request_kid = "ra-1", request_typ = "intaglio-ra+jwt", assertion_typ = "intaglio-key+jwt";
};

/// A whole PKI over keys in software: root, issuing CA, responder, database, audit log, one operator, one SAM.
class TestPki {
 public:
  /// `authority`: what the keys of root and issuing CA are, and those of responder and time-stamping unit, unless it is RSA.
  explicit TestPki(UnixTime start = *parse_utc("2026-11-20T10:00:00Z"), crypto::KeyAlgorithm authority = crypto::KeyAlgorithm::p256);

  /// A request that must succeed.
  [[nodiscard]] Material good() const;
  [[nodiscard]] Result<crypto::Certificate> issue(const Material& material);
  /// Issues or ends the test.
  [[nodiscard]] crypto::Certificate issued(const Material& material);
  [[nodiscard]] std::string revocation_request(const crypto::Certificate& certificate, const std::string& key,
                                               const std::string& reason) const;
  [[nodiscard]] std::string release_request(const crypto::Certificate& certificate, const std::string& key) const;
  [[nodiscard]] std::string sign_request(const json::Value& payload) const;
  [[nodiscard]] AuthorityConfig authority_config() const;
  /// With the role `tsa`.
  [[nodiscard]] Service::Config service_config() const;
  [[nodiscard]] UnitProfile unit_profile() const;
  [[nodiscard]] TimestampPolicy timestamp_policy() const;
  [[nodiscard]] Environment environment() const { return {*database, *log, clock}; }
  [[nodiscard]] std::size_t count(std::string_view table) const;
  /// The canonical events of the log, one a line.
  [[nodiscard]] std::string events() const;
  /// Reopens gate and authority with another configuration.
  void reconfigure(AuthorityConfig config);

  TemporaryFolder folder;
  std::shared_ptr<ManualClock> clock;
  std::shared_ptr<crypto::SoftwareKey> root_key, issuing_key, ocsp_key, tsu_key, operator_key, sam_key, checkpoint_key;
  std::unique_ptr<storage::Database> database;
  std::unique_ptr<audit::Log> log;
  std::optional<Issuer> root, issuing;
  std::unique_ptr<OperatorGate> gate;
  std::unique_ptr<Authority> authority;
};

/// A CSR over this subject, signed by this key.
[[nodiscard]] Bytes make_csr(const std::vector<crypto::NameAttribute>& subject, const crypto::Signer& key);
[[nodiscard]] Profile load_profile(const std::string& name, bool qualified = false);

}  // namespace intaglio::pki::testing
