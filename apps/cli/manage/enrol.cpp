#include "base/file.h"
#include "crypto/jose/jwe.h"
#include "manage/commands.h"
#include "manage/qr_code.h"
#include "problem.h"
#include "sign/sap_session.h"
#include "sign/transaction_check.h"

namespace intaglio::cli {
namespace {

constexpr std::string_view answer_typ = "intaglio-enrol-answer+jwe";

/// A new PIN: asked twice, or from a file.
Result<Secret> choose_pin(const std::optional<std::filesystem::path>& file) {
  auto pin = secret_from(file, "New PIN (6 to 12 digits)", "--pin-file");
  if (!pin || file) return pin;
  auto again = ask_secret("The same PIN again");
  if (!again) return again.error();
  if (!same_secret(pin->reveal(), again->reveal()))
    return problem(ErrorCode::invalid_request, "the two PINs differ", "run the command again; nothing was sent");
  return pin;
}

Status check_pin(const Secret& pin) {
  const auto digits = pin.reveal();
  const bool is_number = std::all_of(digits.begin(), digits.end(), [](std::uint8_t c) { return c >= '0' && c <= '9'; });
  if (is_number && digits.size() >= 6 && digits.size() <= 12) return {};
  return problem(ErrorCode::invalid_request, "a PIN has 6 to 12 digits", "choose another one; nothing was sent");
}

/// The answer's members; the seed is wiped with this.
struct Seed {
  std::string base32, issuer, account;
  ~Seed() { wipe(base32); }
};

Result<std::unique_ptr<Seed>> open_answer(const json::Value& answer, const SapMessage& message) {
  auto sealed = json::text_member(answer, "answer", protocol::max_message_bytes);
  if (!sealed) return problem(ErrorCode::internal, "the service's answer is incomplete", "check that base_url is the SSA's");
  auto opened = crypto::open_jwe(*message.answer_key, answer_typ, *sealed);
  if (!opened) return because(opened.error(), "the SAM's answer", "tell the operator of the service; have the factors reset");
  auto content = json::parse(as_text(opened->reveal()));
  if (!content) return content.error();
  auto seed = std::make_unique<Seed>();
  auto* text = content->contains("totp_seed") ? (*content)["totp_seed"].get_ptr<std::string*>() : nullptr;
  if (text == nullptr) return problem(ErrorCode::internal, "the SAM's answer holds no TOTP seed", "tell the operator of the service");
  seed->base32 = *text;
  wipe(*text);
  if (auto issuer = json::text_member(*content, "issuer", 128)) seed->issuer = *issuer;
  if (auto account = json::text_member(*content, "account", 128)) seed->account = *account;
  if (!parse_base32(seed->base32))
    return problem(ErrorCode::internal, "the SAM's TOTP seed is unreadable", "tell the operator of the service");
  return seed;
}

/// Everything but letters, digits and -._~ as %XX (RFC 3986, 2.3).
std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain =
        (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += "%" + encode_hex(as_bytes(std::string_view(&c, 1)));
    }
  }
  return out;
}

Status show_qr_code(const Seed& seed) {
  const auto issuer = percent_encoded(seed.issuer);
  std::string uri;
  const WipeAtExit wiped(uri);
  uri.reserve(1024);
  uri += "otpauth://totp/" + issuer + ":" + percent_encoded(seed.account) + "?secret=";
  uri += seed.base32;
  uri += "&issuer=" + issuer + "&algorithm=SHA1&digits=6&period=30";
  auto drawn = draw_qr_code(as_bytes(uri), output_is_terminal());
  if (!drawn) return drawn.error();
  const WipeAtExit drawn_wiped(*drawn);
  say("Scan this with an authenticator application. It is shown only now.");
  say(*drawn);
  if (output_is_terminal()) {
    std::string line;
    const WipeAtExit line_wiped(line);
    line.reserve(128);
    line += "Or enter the seed by hand: ";
    line += seed.base32;
    say(line);
  }
  return {};
}

}  // namespace

Status enrol(const EnrolOptions& options, const Clock& clock) {
  const Progress progress;
  auto settings = load_client_settings(options.client_file);
  if (!settings) return settings.error();
  if (options.seed_file && std::filesystem::exists(*options.seed_file)) {
    return problem(ErrorCode::conflict, options.seed_file->string() + " exists already",
                   "give another --seed-file, or move that one away; nothing was sent");
  }
  auto code = secret_from(options.code_file, "Activation code", "--code-file");
  if (!code) return code.error();
  auto pin = choose_pin(options.pin_file);
  if (!pin) return pin.error();
  if (auto checked = check_pin(*pin); !checked) return checked;

  auto service = Service::sign_in(*settings, clock);
  if (!service) return service.error();
  auto opened = open_transaction(*service, *settings, "/sic/v1/enrolments", {{"signerID", options.signer}}, clock.now());
  if (!opened)
    return because(opened.error(), "enrolment of " + options.signer, "check the signer's id, and that `intaglio ra signer-create` made it");
  if (auto checked = check_transaction(opened->transaction, AskedEnrolment{options.signer, settings->client_id}, clock.now()); !checked)
    return checked;
  progress.step("enrolment opened; the SAM is the pinned one");
  const bool script = options.yes || (options.code_file && options.pin_file);
  if (auto agreed = ask_to_agree(*settings, script); !agreed) return agreed;
  auto message = make_sap_message(*opened, settings->terms, act_of(script), {{"activation-code", &*code}, {"new-pin", &*pin}});
  if (!message) return message.error();
  auto answer = service->post("/sic/v1/messages", {{"message", message->compact}});
  if (!answer)
    return because(answer.error(), "enrolment",
                   "check the activation code (5 tries, 7 days) and choose a PIN that is not a well-known one");
  auto seed = open_answer(*answer, *message);
  if (!seed) return seed.error();
  progress.step("factors set for signer " + options.signer);
  if (options.seed_file) {
    auto written = write_file_durably(*options.seed_file, as_bytes((*seed)->base32), 0600);
    if (!written)
      return because(written.error(), "--seed-file", "the seed is shown only now: use the QR code below, or have the factors reset");
    say("TOTP seed written to " + options.seed_file->string());
  }
  if (options.no_qr) return {};
  return show_qr_code(**seed);
}

}  // namespace intaglio::cli
