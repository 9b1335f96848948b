#include "manage/commands.h"
#include "manage/new_factors.h"
#include "problem.h"
#include "sign/id_token_program.h"
#include "sign/transaction_check.h"

namespace intaglio::cli {

Status change_factors(const ChangeFactorsOptions& options, const Clock& clock) {
  const Progress progress;
  auto settings = load_client_settings(options.client_file);
  if (!settings) return settings.error();
  if (auto free = check_seed_file(options.seed_file); !free) return free;
  auto service = Service::sign_in(*settings, clock);
  if (!service) return service.error();
  auto opened = open_transaction(*service, *settings, "/sic/v1/factors", {{"signerID", options.signer}}, clock.now());
  if (!opened) return because(opened.error(), "changing the factors of " + options.signer, "check the signer's id");
  const AskedFactors asked{options.signer, settings->client_id};
  if (auto checked = check_transaction(opened->transaction, asked, clock.now()); !checked) return checked;
  progress.step("change of factors opened; the SAM is the pinned one");

  const bool script = options.yes || (options.factors.from_files() && (!options.change_pin || options.new_pin_file) &&
                                      (!options.change_signerpass || options.new_signerpass_file));
  if (auto agreed = ask_to_agree(*settings, script); !agreed) return agreed;
  const auto act = act_of(script);
  auto factors = collect_factors(options.factors, binding_of(*opened, settings->terms, act), clock, progress);
  if (!factors) return factors.error();
  auto shown = factors->shown();
  std::optional<Secret> new_known;
  if (options.change_pin || options.change_signerpass) {
    auto chosen = options.change_signerpass ? choose_signerpass(options.new_signerpass_file, "--new-signerpass-file")
                                            : choose_pin(options.new_pin_file, "--new-pin-file");
    if (!chosen) return chosen.error();
    new_known.emplace(std::move(*chosen));
    shown.push_back({options.change_signerpass ? "new-signerpass" : "new-pin", &*new_known});
  }
  std::shared_ptr<crypto::SoftwareKey> device;
  if (options.new_device_key_file) {
    auto key = load_or_make_private_key(*options.new_device_key_file, "--new-device-key");
    if (!key) return key.error();
    device = std::move(*key);
    shown.push_back({"new-device", nullptr, device.get()});
  }
  auto id_token = options.new_id_token_program
                      ? ask_identity_provider(*options.new_id_token_program, binding_of(*opened, settings->terms, act))
                      : Result<Secret>(Secret());
  if (!id_token) return id_token.error();
  if (!id_token->empty()) shown.push_back({"new-id-token", &*id_token});
  auto message = make_sap_message(*opened, settings->terms, act, shown, {options.change_seed, options.drop_devices});
  if (!message) return message.error();
  auto answer = service->post("/sic/v1/messages", {{"message", message->compact}});
  if (!answer) {
    return because(answer.error(), "the change of factors",
                   "check PIN and one-time code (three failures lock the signer for 15 minutes), and choose a PIN that is not a well-known "
                   "one, or a signerpass that was made by chance");
  }
  auto seed = open_answer(*answer, *message, "intaglio-factors-answer+jwe", options.change_seed);
  if (!seed) return seed.error();
  progress.step("factors changed for signer " + options.signer);
  return options.change_seed ? hand_over(**seed, options.seed_file, !options.no_qr) : Status();
}

Status change_key(const ChangeKeyOptions& options, const Clock& clock) {
  const Progress progress;
  auto settings = load_client_settings(options.client_file);
  if (!settings) return settings.error();
  auto service = Service::sign_in(*settings, clock);
  if (!service) return service.error();
  const bool destroy = options.change == protocol::KeyChange::destroy;
  const std::string what = destroy ? "destroying credential " : "suspending credential ";
  auto opened = open_transaction(*service, *settings, destroy ? "/sic/v1/destructions" : "/sic/v1/suspensions",
                                 {{"credentialID", options.credential}}, clock.now());
  if (!opened) return because(opened.error(), what + options.credential, "check the credential's id");
  const AskedKeyChange asked{options.credential, options.change, settings->client_id};
  if (auto checked = check_transaction(opened->transaction, asked, clock.now()); !checked) return checked;
  progress.step((destroy ? "destruction" : "suspension") + std::string(" opened; the SAM is the pinned one"));
  say(destroy ? "Credential " + options.credential + " will never sign again. There is no way back."
              : "Credential " + options.credential + " signs nothing until the registration authority lifts the suspension.");

  const bool script = options.yes || options.factors.from_files();
  if (auto agreed = ask_to_agree(*settings, script); !agreed) return agreed;
  const auto act = act_of(script);
  auto factors = collect_factors(options.factors, binding_of(*opened, settings->terms, act), clock, progress);
  if (!factors) return factors.error();
  auto message = make_sap_message(*opened, settings->terms, act, factors->shown());
  if (!message) return message.error();
  auto answer = service->post("/sic/v1/messages", {{"message", message->compact}});
  if (!answer)
    return because(answer.error(), what + options.credential, "check PIN and one-time code; three failures lock the signer for 15 minutes");
  auto state = json::text_member(*answer, "state", 64);
  say("credential " + options.credential + " is " + (state ? printable(*state) : "unknown"));
  return {};
}

}  // namespace intaglio::cli
