#include "manage/commands.h"
#include "manage/new_factors.h"
#include "problem.h"
#include "sign/id_token_program.h"
#include "sign/transaction_check.h"

namespace intaglio::cli {

Status enrol(const EnrolOptions& options, const Clock& clock) {
  const Progress progress;
  auto settings = load_client_settings(options.client_file);
  if (!settings) return settings.error();
  if (auto free = check_seed_file(options.seed_file); !free) return free;
  auto code = secret_from(options.code_file, "Activation code", "--code-file");
  if (!code) return code.error();
  const bool signerpass = options.signerpass || options.signerpass_file;
  auto known = signerpass ? choose_signerpass(options.signerpass_file, "--signerpass-file") : choose_pin(options.pin_file, "--pin-file");
  if (!known) return known.error();

  auto service = Service::sign_in(*settings, clock);
  if (!service) return service.error();
  auto opened = open_transaction(*service, *settings, "/sic/v1/enrolments", {{"signerID", options.signer}}, clock.now());
  if (!opened)
    return because(opened.error(), "enrolment of " + options.signer, "check the signer's id, and that `intaglio ra signer-create` made it");
  if (auto checked = check_transaction(opened->transaction, AskedEnrolment{options.signer, settings->client_id}, clock.now()); !checked)
    return checked;
  progress.step("enrolment opened; the SAM is the pinned one");
  const bool script = options.yes || (options.code_file && (options.pin_file || options.signerpass_file));
  if (auto agreed = ask_to_agree(*settings, script); !agreed) return agreed;
  const auto act = act_of(script);
  std::vector<Factor> factors{{"activation-code", &*code}, {signerpass ? "new-signerpass" : "new-pin", &*known}};
  std::shared_ptr<crypto::SoftwareKey> device;
  if (options.device_key_file) {
    auto key = load_or_make_private_key(*options.device_key_file, "--device-key");
    if (!key) return key.error();
    device = std::move(*key);
    factors.push_back({"new-device", nullptr, device.get()});
  }
  auto id_token = options.id_token_program ? ask_identity_provider(*options.id_token_program, binding_of(*opened, settings->terms, act))
                                           : Result<Secret>(Secret());
  if (!id_token) return id_token.error();
  if (!id_token->empty()) factors.push_back({"new-id-token", &*id_token});
  auto message = make_sap_message(*opened, settings->terms, act, factors);
  if (!message) return message.error();
  auto answer = service->post("/sic/v1/messages", {{"message", message->compact}});
  if (!answer)
    return because(answer.error(), "enrolment",
                   "check the activation code (5 tries, 7 days) and choose a PIN that is not a well-known one, or a signerpass that was "
                   "made by chance");
  const bool with_seed = !options.id_token_program && !device;
  auto seed = open_answer(*answer, *message, "intaglio-enrol-answer+jwe", with_seed);
  if (!seed) return seed.error();
  progress.step("factors set for signer " + options.signer);
  return with_seed ? hand_over(**seed, options.seed_file, !options.no_qr) : Status();
}

}  // namespace intaglio::cli
