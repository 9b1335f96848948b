#include "sign/factors.h"

#include <charconv>
#include <thread>

#include "base/file.h"
#include "crypto/password_hash.h"
#include "problem.h"
#include "sign/id_token_program.h"

namespace intaglio::cli {
namespace {

constexpr std::int64_t step_seconds = 30;  // RFC 6238, 4

std::filesystem::path memory_of(const std::filesystem::path& seed_file) { return seed_file.string() + ".last"; }

std::int64_t last_used(const std::filesystem::path& seed_file) {
  auto content = read_file(memory_of(seed_file), 64);
  std::int64_t step = -1;
  if (!content) return step;
  const auto text = as_text(*content);
  std::from_chars(text.data(), text.data() + text.size(), step);
  return step;
}

/// The first unused step that the service accepts: this one or the next (it allows one step of difference).
std::int64_t unused_step(const std::filesystem::path& seed_file, const Clock& clock, const Progress& progress) {
  const auto last = last_used(seed_file);
  for (bool said = false;; said = true) {
    const auto now = unix_seconds(clock.now());
    const auto current = now / step_seconds;
    // The clock was set back: the service decides.
    if (last > current + 1) return current;
    const auto step = std::max(last + 1, current);
    if (step <= current + 1) return step;
    const auto wait = (step - 1) * step_seconds - now;
    if (!said) progress.step("the one-time codes of this moment were used; waiting " + std::to_string(wait) + " s for the next");
    std::this_thread::sleep_for(std::chrono::seconds(std::max<std::int64_t>(1, wait)));
  }
}

Result<Secret> computed_code(const std::filesystem::path& seed_file, const FactorOptions& options, const Clock& clock,
                             const Progress& progress) {
  auto text = read_secret_file(seed_file, 256);
  if (!text)
    return because(text.error(), "--otp-seed-file " + seed_file.string(), "it must exist, hold the base32 seed alone, and have mode 0600");
  auto seed_bytes = parse_base32(as_text(text->reveal()));
  if (!seed_bytes)
    return problem(ErrorCode::configuration, seed_file.string() + " does not hold a base32 seed",
                   "use the file that `intaglio enrol --seed-file` wrote");
  const WipeAtExit wiped(*seed_bytes);
  const Secret seed(*seed_bytes);
  const auto step = options.otp_step_offset ? unix_seconds(clock.now()) / step_seconds + *options.otp_step_offset
                                            : unused_step(seed_file, clock, progress);
  if (auto kept = write_file_durably(memory_of(seed_file), as_bytes(std::to_string(step)), 0600); !kept) {
    return because(kept.error(), "remembering the used one-time code", "the folder of the seed file must be writable");
  }
  return crypto::totp_code(seed, static_cast<std::uint64_t>(step));
}

}  // namespace

Result<Factors> collect_factors(const FactorOptions& options, ByteView binding, const Clock& clock, const Progress& progress) {
  const bool signerpass = options.signerpass || options.signerpass_file;
  const std::string_view known_type = signerpass ? "signerpass" : "pin";
  auto known = signerpass ? secret_from(options.signerpass_file, "Signerpass", "--signerpass-file")
                          : secret_from(options.pin_file, "PIN", "--pin-file");
  if (!known) return known.error();
  if (options.device_key_file) {
    auto key = load_private_key(*options.device_key_file);
    if (!key) return key.error();
    return Factors{known_type, std::move(*known), "device", Secret(), std::move(*key)};
  }
  if (options.id_token_program) {
    auto token = ask_identity_provider(*options.id_token_program, binding);
    if (!token) return token.error();
    return Factors{known_type, std::move(*known), "id-token", std::move(*token), nullptr};
  }
  auto totp = options.otp_seed_file ? computed_code(*options.otp_seed_file, options, clock, progress) : ask_secret("One-time code");
  if (!totp) return totp.error();
  return Factors{known_type, std::move(*known), "totp", std::move(*totp), nullptr};
}

}  // namespace intaglio::cli
