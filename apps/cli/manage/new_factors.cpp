#include "manage/new_factors.h"

#include "base/file.h"
#include "crypto/jose/jwe.h"
#include "manage/qr_code.h"
#include "problem.h"
#include "sign/factors.h"

namespace intaglio::cli {
namespace {

Status check_pin(const Secret& pin) {
  const auto digits = pin.reveal();
  const bool is_number = std::all_of(digits.begin(), digits.end(), [](std::uint8_t c) { return c >= '0' && c <= '9'; });
  if (is_number && digits.size() >= 6 && digits.size() <= 12) return {};
  return problem(ErrorCode::invalid_request, "a PIN has 6 to 12 digits", "choose another one; nothing was sent");
}

Status check_signerpass(const Secret& signerpass) {
  const auto text = signerpass.reveal();
  const bool printable = std::all_of(text.begin(), text.end(), [](std::uint8_t c) { return c >= 0x20 && c <= 0x7e; });
  if (printable && text.size() >= 12 && text.size() <= 128 && text.front() != ' ' && text.back() != ' ') return {};
  return problem(ErrorCode::invalid_request, "a signerpass has 12 to 128 letters, digits and signs of ASCII, and no space at its ends",
                 "make one with `intaglio signer make-signerpass`; nothing was sent");
}

/// The secret of the file, or the one that was typed twice.
Result<Secret> choose(const std::optional<std::filesystem::path>& file, std::string_view option, std::string_view prompt,
                      const std::string& name) {
  auto secret = secret_from(file, prompt, option);
  if (!secret || file) return secret;
  auto again = ask_secret("The same " + name + " again");
  if (!again) return again.error();
  if (!same_secret(secret->reveal(), again->reveal()))
    return problem(ErrorCode::invalid_request, "the two differ", "run the command again; nothing was sent");
  return secret;
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

Result<Secret> choose_pin(const std::optional<std::filesystem::path>& file, std::string_view option) {
  auto pin = choose(file, option, "New PIN (6 to 12 digits)", "PIN");
  if (!pin) return pin;
  if (auto checked = check_pin(*pin); !checked) return checked.error();
  return pin;
}

Result<Secret> choose_signerpass(const std::optional<std::filesystem::path>& file, std::string_view option) {
  auto signerpass = choose(file, option, "New signerpass", "signerpass");
  if (!signerpass) return signerpass;
  if (auto checked = check_signerpass(*signerpass); !checked) return checked.error();
  return signerpass;
}

Status check_seed_file(const std::optional<std::filesystem::path>& seed_file) {
  if (!seed_file || !std::filesystem::exists(*seed_file)) return {};
  return problem(ErrorCode::conflict, seed_file->string() + " exists already",
                 "give another --seed-file, or move that one away; nothing was sent");
}

Result<std::unique_ptr<Seed>> open_answer(const json::Value& answer, const SapMessage& message, std::string_view typ, bool with_seed) {
  auto sealed = json::text_member(answer, "answer", protocol::max_message_bytes);
  if (!sealed) return problem(ErrorCode::internal, "the service's answer is incomplete", "check that base_url is the SSA's");
  auto opened = crypto::open_jwe(*message.answer_key, typ, *sealed);
  if (!opened) return because(opened.error(), "the SAM's answer", "tell the operator of the service; have the factors reset");
  auto content = json::parse(as_text(opened->reveal()));
  if (!content) return content.error();
  auto seed = std::make_unique<Seed>();
  if (!with_seed) return seed;
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

Status hand_over(const Seed& seed, const std::optional<std::filesystem::path>& seed_file, bool draw) {
  if (seed_file) {
    auto written = write_file_durably(*seed_file, as_bytes(seed.base32), 0600);
    if (!written)
      return because(written.error(), "--seed-file", "the seed is shown only now: use the QR code below, or have the factors reset");
    say("TOTP seed written to " + seed_file->string());
  }
  return draw ? show_qr_code(seed) : Status();
}

}  // namespace intaglio::cli
