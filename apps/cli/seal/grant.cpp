#include "crypto/jose/jws.h"
#include "problem.h"
#include "seal/commands.h"

namespace intaglio::cli {
Status make_seal_grant(const SealGrantOptions& options, const Clock& clock) {
  const Progress progress;
  auto settings = load_client_settings(options.signing.client_file);
  if (!settings) return settings.error();
  auto service = Service::sign_in(*settings, clock);
  if (!service) return service.error();
  auto credential = find_credential(*service, options.signing, clock);
  if (!credential) return credential.error();
  auto key = load_or_make_private_key(options.key_file, "--key");
  if (!key) return key.error();
  auto jwk_text = crypto::encode_jwk((*key)->public_key());
  if (!jwk_text) return jwk_text.error();
  auto jwk = json::parse(*jwk_text);
  if (!jwk) return jwk.error();
  const auto ends = clock.now() + std::chrono::days(options.days);
  const json::Value request{{"credentialID", credential->id},
                            {"suites", json::Value::array({std::string(crypto::name_of(credential->suite))})},
                            {"clientKey", *jwk},
                            {"signatures", options.signatures},
                            {"expires", format_utc(ends)}};
  auto opened = open_transaction(*service, *settings, "/sic/v1/grants", request, clock.now());
  if (!opened)
    return because(opened.error(), "opening the grant",
                   "check that the credential's profile knows grants, and how many and how long it lets them be");
  const AskedGrant asked{.credential = credential->id,
                         .suite = credential->suite,
                         .terms = {(*key)->public_key().spki(), options.signatures, ends},
                         .certificate = credential->chain.front(),
                         .client_id = settings->client_id};
  if (auto checked = check_transaction(opened->transaction, asked, clock.now()); !checked) return checked;
  progress.step("grant opened, and it holds exactly what was asked for; the SAM is the pinned one");

  const auto& transaction = opened->transaction;
  say("");
  say("To let " + printable(transaction.client_name) + " seal with credential " + transaction.key + " of signer " + transaction.signer +
      " without asking:");
  say("  " + std::to_string(options.signatures) + " hashes, until " + format_utc(ends) + ", " +
      std::string(crypto::name_of(credential->suite)));
  say("  for the key " + encode_hex((*key)->public_key().thumbprint()));
  const bool script = options.signing.yes || options.signing.factors.from_files();
  if (auto agreed = ask_to_agree(*settings, script); !agreed) return agreed;
  const auto act = act_of(script);
  auto factors = collect_factors(options.signing.factors, binding_of(*opened, settings->terms, act), clock, progress);
  if (!factors) return factors.error();
  auto message = make_sap_message(*opened, settings->terms, act, factors->shown());
  if (!message) return message.error();
  auto answer = service->post("/sic/v1/messages", {{"message", message->compact}});
  if (!answer) return because(answer.error(), "the grant", "check PIN and one-time code; three failures lock the signer for 15 minutes");
  auto grant = json::text_member(*answer, "grant", 64);
  auto statement = json::text_member(*answer, "statement", protocol::max_message_bytes);
  if (!grant || !statement) return problem(ErrorCode::internal, "the service's answer is incomplete", "check that base_url is the SSA's");
  say(json::encode({{"grant", *grant}, {"statement", *statement}}));
  return {};
}

Status end_seal_grant(const SealEndOptions& options, const Clock& clock) {
  auto settings = load_client_settings(options.client_file);
  if (!settings) return settings.error();
  auto service = Service::sign_in(*settings, clock);
  if (!service) return service.error();
  auto answer = service->post("/sic/v1/grants/ends", {{"grant", options.grant}});
  if (!answer) return because(answer.error(), "ending the grant", "check its id; `intaglio key suspend` stops the credential itself");
  say("grant " + options.grant + " is ended");
  return {};
}

}  // namespace intaglio::cli
