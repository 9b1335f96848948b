#include "sam/grants/grants.h"

#include "base/check.h"
#include "crypto/jose/jwe.h"
#include "crypto/jose/jws.h"
#include "json/json.h"
#include "sam/authorise/attempt.h"

namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

std::vector<std::string> suite_names(const Bytes& suites) {
  std::vector<std::string> names;
  for (const auto suite : suites) names.emplace_back(name_of(static_cast<crypto::SignatureSuite>(suite)));
  return names;
}

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += out.empty() ? name : " " + name;
  return out;
}

Result<std::string> client_thumbprint(const protocol::GrantTerms& terms) {
  auto key = crypto::PublicKey::parse_spki(terms.client_key);
  if (!key) return key.error();
  return crypto::jwk_thumbprint(*key);
}

Result<std::string> make_statement(const Core& core, const GrantRecord& grant, const std::string& thumbprint) {
  const auto& transaction = grant.transaction;
  auto kid = crypto::jwk_thumbprint(core.sad_key->public_key());
  if (!kid) return kid.error();
  const json::Value payload = {{"grant", grant.id},
                               {"sub", transaction.signer},
                               {"key", transaction.key},
                               {"jkt", thumbprint},
                               {"n", transaction.grant->signatures},
                               {"suites", suite_names(transaction.suites)},
                               {"iat", unix_seconds(grant.made)},
                               {"exp", unix_seconds(transaction.grant->ends)}};
  return crypto::make_jws(*core.sad_key, "intaglio-grant+jwt", *kid, json::encode(payload));
}

}  // namespace

sealed::Table grants(const Core& core) { return {core.sealer, "grants", sealed::Rollback::refused}; }

Bytes grant_index(const Core& core, std::string_view grant) {
  const auto index = core.sealer->blind_index("authorisations", "grant", as_bytes(grant));
  return to_bytes(ByteView(index));
}

crypto::Sha256Digest factors_digest(const SignerRecord& signer) {
  Bytes input;
  input.reserve(256);
  append_field(input, std::string_view("intaglio/grant-factors/1"));
  append_field(input, signer.incarnation);
  append_field(input, signer.pin ? signer.pin->version : 0);
  append_field(input, signer.totp_seed.reveal());
  const WipeAtExit wiped(input);
  return crypto::sha256(input);
}

bool is_grant_message(std::string_view sap_message) {
  const auto header = crypto::peek_jwe_header(sap_message);
  return header && header->typ == message_typ(protocol::Purpose::grant);
}

Result<protocol::Authorised> make_grant(Core& core, std::string_view sap_message) {
  if (auto ready = core.ready(); !ready) return ready.error();
  auto message = open_message(core, protocol::Purpose::grant, sap_message);
  if (!message) return message.error();
  const auto refuse = [&](const Error& error) {
    record_refusal(core, *message, error);
    return error;
  };
  auto proven = prove_factors(core, *message);
  if (!proven) return refuse(proven.error());
  const auto& transaction = message->transaction;
  const auto& profile = profile_of(core, transaction);
  const auto refuse_proven = [&](const Error& error) {
    give_attempt_back(core, *proven, profile);
    return refuse(error);
  };
  const GrantRecord grant{.id = encode_base64url(transaction.nonce),
                          .transaction = transaction,
                          .consent = message->consent,
                          .terms = message->terms,
                          .act = message->act,
                          .factors = factors_digest(proven->signer()),
                          .made = core.clock->now(),
                          .used = 0,
                          .ended = false};
  const auto& terms = *transaction.grant;
  auto thumbprint = client_thumbprint(terms);
  if (!thumbprint) return refuse_proven(thumbprint.error());
  auto statement = make_statement(core, grant, *thumbprint);
  if (!statement) return refuse_proven(statement.error());
  auto written = core.database.write([&](storage::Transaction& write) -> Status {
    auto key_id = KeyId::parse(transaction.key);
    if (!key_id) return key_id.error();
    auto key = core.keys.find(write, *key_id);
    if (!key) return key.error();
    if (auto checked = check_approved_key(core, *message, proven->signer(), *key); !checked) return checked;
    if (auto current = core.factors.find_current(write, *proven); !current) return current.error();
    if (auto consumed = core.factors.consume(write, "nonce", grant.id, transaction.expires); !consumed) return consumed;
    if (auto given = core.factors.give_back(write, *proven, 0, profile); !given) return given;
    if (auto inserted = grants(core).insert(write, grant.id, encode(grant)); !inserted) return inserted;
    auto appended =
        core.log.append(write, Event{.type = EventType::grant_made,
                                     .actor = "signer:" + transaction.signer,
                                     .subject = transaction.key,
                                     .outcome = Outcome::success,
                                     .fields = {{"grant", grant.id},
                                                {"client_key", *thumbprint},
                                                {"signatures", std::to_string(terms.signatures)},
                                                {"ends", format_utc(terms.ends)},
                                                {"suites", joined(suite_names(transaction.suites))},
                                                {"certificate", encode_base64url(transaction.certificate_digest)},
                                                {"terms", grant.terms.id + "/" + grant.terms.version + "/" + grant.terms.language},
                                                {"act", grant.act},
                                                {"methods", proven->shown().text()},
                                                {"client", transaction.client_id}}});
    return appended ? Status() : Status(appended.error());
  });
  if (!written) return refuse_proven(written.error());
  return protocol::Authorised{.sad = *std::move(statement),
                              .expires_in = std::chrono::duration_cast<std::chrono::seconds>(terms.ends - core.clock->now())};
}

Status end_grant(Core& core, std::string_view grant, std::string_view reason) {
  return core.database.write([&](storage::Transaction& write) -> Status {
    auto row = grants(core).find(write, grant);
    if (!row) return row.error();
    if (!*row) return Error{ErrorCode::not_found, "no such grant"};
    auto record = parse_grant((*row)->content.reveal());
    if (!record) return record.error();
    if (record->ended) return {};
    record->ended = true;
    if (auto updated = grants(core).update(write, grant, (*row)->version, encode(*record)); !updated) return updated;
    const auto index = grant_index(core, grant);
    auto voided = write.execute("DELETE FROM authorisations WHERE signer = ?1", {ByteView(index)});
    if (!voided) return voided.error();
    auto appended = core.log.append(write, Event{.type = EventType::grant_ended,
                                                 .actor = "ssa",
                                                 .subject = record->transaction.key,
                                                 .outcome = Outcome::success,
                                                 .fields = {{"grant", std::string(grant)}, {"reason", std::string(reason)}}});
    return appended ? Status() : Status(appended.error());
  });
}

}  // namespace intaglio::sam
