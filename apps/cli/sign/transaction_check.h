#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/certificate.h"
#include "protocol/binding.h"

namespace intaglio::cli {

/// What the signer's side asked a service to open.
struct AskedSigning {
  std::string credential;
  crypto::SignatureSuite suite;
  std::vector<protocol::DocumentDigest> documents;
  crypto::Certificate certificate;
  std::string client_id;
};
/// Documents for a key of one session: `documents` are digests of contents.
struct AskedSession {
  std::string profile;
  std::vector<protocol::DocumentDigest> documents;  ///< with the hash algorithm: no two have digests of one length
  std::string client_id;
};
/// What an application asked for and a signer's own device is to approve.
struct AskedApproval {
  std::vector<Bytes> digests;  ///< these and no others, in any order; empty: the signer compares what is shown
};
struct AskedEnrolment {
  std::string signer;
  std::string client_id;
};
struct AskedFactors {
  std::string signer;
  std::string client_id;
};
struct AskedKeyChange {
  std::string credential;
  protocol::KeyChange change;
  std::string client_id;
};
struct AskedKey {
  std::string signer;
  crypto::KeyAlgorithm algorithm;
  std::string profile;
  std::string client_id;
};

struct AskedGrant {
  std::string credential;
  crypto::SignatureSuite suite;
  protocol::GrantTerms terms;
  crypto::Certificate certificate;
  std::string client_id;
};

/// T holds exactly what was asked for, and is not over: whatever else the service put into it is refused (`binding_mismatch`),
/// before the signer is asked for anything.
[[nodiscard]] Status check_transaction(const protocol::Transaction& transaction, const AskedSigning& asked, UnixTime now);
[[nodiscard]] Status check_transaction(const protocol::Transaction& transaction, const AskedSession& asked, UnixTime now);
[[nodiscard]] Status check_transaction(const protocol::Transaction& transaction, const AskedApproval& asked, UnixTime now);
[[nodiscard]] Status check_transaction(const protocol::Transaction& transaction, const AskedEnrolment& asked, UnixTime now);
[[nodiscard]] Status check_transaction(const protocol::Transaction& transaction, const AskedKey& asked, UnixTime now);
[[nodiscard]] Status check_transaction(const protocol::Transaction& transaction, const AskedFactors& asked, UnixTime now);
[[nodiscard]] Status check_transaction(const protocol::Transaction& transaction, const AskedKeyChange& asked, UnixTime now);

[[nodiscard]] Status check_transaction(const protocol::Transaction& transaction, const AskedGrant& asked, UnixTime now);

}  // namespace intaglio::cli
