#include "sam/authorise/attempt.h"

namespace intaglio::sam {

void record_refusal(Core& core, const SapMessage& message, const Error& error) {
  const auto& transaction = message.transaction;
  auto recorded = core.log.record(audit::Event{.type = audit::EventType::authorisation_refused,
                                               .actor = "signer:" + transaction.signer,
                                               .subject = transaction.key.empty() ? transaction.signer : transaction.key,
                                               .outcome = audit::Outcome::refused,
                                               .fields = {{"purpose", std::string(name_of(transaction.purpose))},
                                                          {"reason", std::string(name_of(error.code))},
                                                          {"authorisation", encode_base64url(transaction.nonce)},
                                                          {"client", transaction.client_id}}});
  // The refusal stands whether or not it could be recorded; a log that takes nothing stops the next request at ready().
  if (!recorded) return;
}

const Profile& profile_of(const Core& core, const protocol::Transaction& transaction) {
  const auto* named = core.policy.profile(transaction.profile);
  return named == nullptr ? core.policy.profiles().front() : *named;
}

Result<FactorsProven> prove_factors(Core& core, const SapMessage& message) {
  const auto& transaction = message.transaction;
  auto signer = SignerId::parse(transaction.signer);
  if (!signer) return signer.error();
  Demand demand{&profile_of(core, transaction)};
  if (transaction.purpose == protocol::Purpose::factors) {
    demand.clear();
    for (const auto& profile : core.policy.profiles()) demand.push_back(&profile);
  }
  return core.factors.verify(*signer, message.id, transaction.expires,
                             ShownFactors{.pin = message.pin.clone(),
                                          .secret_kind = message.secret_kind,
                                          .totp = message.totp.clone(),
                                          .passkey = message.passkey,
                                          .device = message.device,
                                          .id_token = message.id_token,
                                          .binding = message.binding},
                             demand);
}

void give_attempt_back(Core& core, const FactorsProven& proven, const Profile& profile) {
  auto given =
      core.database.write([&](storage::Transaction& transaction) { return core.factors.give_back(transaction, proven, 0, profile); });
  if (!given) return;
}

}  // namespace intaglio::sam
