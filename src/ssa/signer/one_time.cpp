#include "ssa/signer/one_time.h"

#include "base/log.h"
#include "crypto/certificate.h"
#include "json/json.h"

namespace intaglio::ssa::signer {
namespace {

/// What waits beyond this stands in the log alone.
constexpr std::size_t most_waiting = 1024;

std::string serial_of(ByteView certificate) {
  const auto parsed = crypto::Certificate::parse_der(certificate);
  return parsed ? parsed->serial_hex() : "unreadable";
}

}  // namespace

bool OrphanReports::told(const Orphan& orphan) {
  const auto reported = sam_->report_orphan(orphan.key, orphan.certificate);
  if (reported) {
    log::info("certificate.orphan_recorded", {{"key", orphan.key.text()}, {"index", std::to_string(reported->index)}});
    return true;
  }
  log::refusal("certificate.orphan_not_recorded", reported.error(), {{"key", orphan.key.text()}});
  // Recorded by the session itself, or nothing that the SAM will ever take.
  return reported.error().code == ErrorCode::conflict || reported.error().code == ErrorCode::certificate_invalid;
}

void OrphanReports::add(const KeyId& key, Bytes certificate) {
  log::error("certificate.orphaned", {{"key", key.text()}, {"serial", serial_of(certificate)}});
  Orphan orphan{key, std::move(certificate)};
  if (told(orphan)) return;
  const std::lock_guard lock(mutex_);
  if (waiting_.size() < most_waiting) waiting_.push_back(std::move(orphan));
}

void OrphanReports::retry() {
  std::vector<Orphan> trying;
  {
    const std::lock_guard lock(mutex_);
    trying.swap(waiting_);
  }
  for (auto& orphan : trying) {
    if (told(orphan)) continue;
    const std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(orphan));
  }
}

std::size_t OrphanReports::waiting() {
  const std::lock_guard lock(mutex_);
  return waiting_.size();
}

Result<OneTimeOutcome> run_session(protocol::SamService& sam, const ShortTermIssuer& issue, OrphanReports& orphans,
                                   std::string_view sap_message, const std::string& client_address) {
  auto session = sam.begin_one_time();
  if (!session) return session.error();
  auto made = (*session)->identify(sap_message);
  if (!made) return made.error();
  auto certificates = issue(made->key_assertion, made->csr);
  if (!certificates) return Error{ErrorCode::internal, "no certificate for a one-time key: " + certificates.error().detail};
  if (certificates->empty()) return Error{ErrorCode::internal, "the certification authority gave no certificate"};
  auto answer = (*session)->sign({*certificates, client_address});
  if (!answer) {
    // The connection goes first: a key that was not ended by the refusal ends with it.
    session->reset();
    orphans.add(made->key, certificates->front());
    return answer.error();
  }
  return OneTimeOutcome{std::move(made->key), *std::move(certificates), *std::move(answer)};
}

http::Response answer_of(const OneTimeOutcome& outcome) {
  const auto entry = [](const std::string& log, std::uint64_t index, ByteView leaf) {
    return json::Value{{"log", log}, {"index", index}, {"leaf", encode_base64(leaf)}};
  };
  auto certificates = json::Value::array();
  for (const auto& der : outcome.certificates) certificates.push_back(encode_base64(der));
  auto signatures = json::Value::array();
  auto receipts = json::Value::array();
  for (const auto& one : outcome.made.answer.signatures) {
    signatures.push_back(encode_base64(one.signature));
    receipts.push_back(entry(one.log, one.index, one.leaf));
  }
  const auto& destroyed = outcome.made.destroyed;
  json::Value body = json::Value::object();
  body["credentialID"] = outcome.key.text();
  body["certificates"] = std::move(certificates);
  body["signatures"] = std::move(signatures);
  body["auditReceipts"] = std::move(receipts);
  body["keyDestroyed"] = entry(destroyed.log, destroyed.index, destroyed.leaf);
  return http::json_answer(json::encode(body));
}

}  // namespace intaglio::ssa::signer
