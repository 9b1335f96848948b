#include "sign/transaction_check.h"

#include <algorithm>

#include "base/check.h"
#include "problem.h"

namespace intaglio::cli {
namespace {

using protocol::Purpose;
using protocol::Transaction;

/// A ticket lives 5 minutes at most (trust-core, 2); one minute for clocks that differ.
constexpr std::chrono::seconds longest_life{360};

Error differs(std::string_view what) {
  return problem(ErrorCode::binding_mismatch,
                 "the service opened another transaction than was asked for: " + std::string(what) + " differs",
                 "do not go on; tell the operator of the service");
}

Status check_opened(const Transaction& transaction, Purpose purpose, UnixTime now) {
  if (refused_by("signer.transaction.purpose", transaction.purpose != purpose)) return differs("its purpose");
  if (refused_by("signer.transaction.life", transaction.expires <= now || transaction.expires > now + longest_life)) {
    return problem(ErrorCode::ticket_expired, "the transaction is over or lasts longer than it may",
                   "check this machine's clock, then run the command again");
  }
  return {};
}

Status check_common(const Transaction& transaction, Purpose purpose, const std::string& client_id, UnixTime now) {
  if (auto opened = check_opened(transaction, purpose, now); !opened) return opened;
  if (refused_by("signer.transaction.client", transaction.client_id != client_id)) return differs("the signature application");
  return {};
}

bool same_documents(const std::vector<protocol::DocumentDigest>& left, const std::vector<protocol::DocumentDigest>& right) {
  return std::equal(left.begin(), left.end(), right.begin(), right.end(),
                    [](const auto& a, const auto& b) { return a.digest == b.digest && a.label == b.label; });
}

}  // namespace

Status check_transaction(const Transaction& transaction, const AskedSigning& asked, UnixTime now) {
  if (auto common = check_common(transaction, Purpose::sign, asked.client_id, now); !common) return common;
  if (refused_by("signer.transaction.credential", transaction.key != asked.credential)) return differs("the credential");
  const auto certificate = asked.certificate.fingerprint();
  if (refused_by("signer.transaction.certificate", as_text(transaction.certificate_digest) != as_text(certificate)))
    return differs("the certificate");
  const Bytes suites{static_cast<std::uint8_t>(asked.suite)};
  if (refused_by("signer.transaction.suites", transaction.suites != suites)) return differs("the signature suite");
  // The hash algorithm too: T holds digests of its algorithm's length only, and no two have the same.
  if (refused_by("signer.transaction.documents", !same_documents(transaction.documents, asked.documents)))
    return differs("the list of documents");
  return {};
}

Status check_transaction(const Transaction& transaction, const AskedSession& asked, UnixTime now) {
  if (auto common = check_common(transaction, Purpose::one_time, asked.client_id, now); !common) return common;
  if (refused_by("signer.transaction.session_profile", transaction.profile != asked.profile)) return differs("the profile");
  if (refused_by("signer.transaction.session_documents", !same_documents(transaction.documents, asked.documents)))
    return differs("the list of documents");
  return {};
}

Status check_transaction(const Transaction& transaction, const AskedApproval& asked, UnixTime now) {
  if (auto opened = check_opened(transaction, Purpose::sign, now); !opened) return opened;
  if (asked.digests.empty()) return {};
  std::vector<Bytes> digests;
  digests.reserve(transaction.documents.size());
  for (const auto& document : transaction.documents) digests.push_back(document.digest);
  const bool same = std::is_permutation(digests.begin(), digests.end(), asked.digests.begin(), asked.digests.end());
  if (refused_by("signer.approval.documents", !same)) return differs("the list of documents");
  return {};
}

Status check_transaction(const Transaction& transaction, const AskedEnrolment& asked, UnixTime now) {
  if (auto common = check_common(transaction, Purpose::enrol, asked.client_id, now); !common) return common;
  if (refused_by("signer.transaction.enrol_signer", transaction.signer != asked.signer)) return differs("the signer");
  return {};
}

Status check_transaction(const Transaction& transaction, const AskedKey& asked, UnixTime now) {
  if (auto common = check_common(transaction, Purpose::key, asked.client_id, now); !common) return common;
  if (refused_by("signer.transaction.key_signer", transaction.signer != asked.signer)) return differs("the signer");
  const Bytes algorithm{static_cast<std::uint8_t>(asked.algorithm)};
  if (refused_by("signer.transaction.key_algorithm", transaction.suites != algorithm)) return differs("the key algorithm");
  if (refused_by("signer.transaction.profile", transaction.profile != asked.profile)) return differs("the profile");
  return {};
}

Status check_transaction(const Transaction& transaction, const AskedFactors& asked, UnixTime now) {
  if (auto common = check_common(transaction, Purpose::factors, asked.client_id, now); !common) return common;
  if (refused_by("signer.transaction.factors_signer", transaction.signer != asked.signer)) return differs("the signer");
  return {};
}

Status check_transaction(const Transaction& transaction, const AskedKeyChange& asked, UnixTime now) {
  const auto purpose = asked.change == protocol::KeyChange::suspend ? Purpose::suspend : Purpose::destroy;
  if (auto common = check_common(transaction, purpose, asked.client_id, now); !common) return common;
  if (refused_by("signer.transaction.changed_key", transaction.key != asked.credential)) return differs("the credential");
  return {};
}

Status check_transaction(const Transaction& transaction, const AskedGrant& asked, UnixTime now) {
  if (auto common = check_common(transaction, Purpose::grant, asked.client_id, now); !common) return common;
  if (refused_by("signer.grant.credential", transaction.key != asked.credential)) return differs("the credential");
  const auto certificate = asked.certificate.fingerprint();
  if (refused_by("signer.grant.certificate", as_text(transaction.certificate_digest) != as_text(certificate)))
    return differs("the certificate");
  const Bytes suites{static_cast<std::uint8_t>(asked.suite)};
  if (refused_by("signer.grant.suites", transaction.suites != suites)) return differs("the signature suite");
  const auto& terms = transaction.grant;
  if (refused_by("signer.grant.key", !terms || terms->client_key != asked.terms.client_key)) return differs("the client's key");
  const bool within = terms && terms->signatures == asked.terms.signatures && terms->ends == asked.terms.ends;
  if (refused_by("signer.grant.bounds", !within)) return differs("the number of hashes, or the end");
  return {};
}

}  // namespace intaglio::cli
