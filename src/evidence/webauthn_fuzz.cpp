#include "evidence/webauthn.h"

/// A stranger's registration and assertion. The first byte says where the parts end.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  using namespace intaglio::evidence::webauthn;
  static const Rules rules{
      .rp_id = "example.org", .origins = {"https://example.org"}, .allow_backup_eligible = true, .models = {}, .roots = {}};
  static const Bytes challenge = *parse_base64url("wRhKX934BF4T3Ef1S2H1pla2ZrWQGPFthw6SVumVIBI");
  if (size < 2) return 0;
  const ByteView input(data + 2, size - 2);
  const auto cut = std::min<std::size_t>(std::size_t{data[0]} << 8U | data[1], input.size());
  const auto client_data = to_bytes(input.first(cut));
  const auto rest = to_bytes(input.subspan(cut));
  const auto taken = verify_registration(rules, challenge, {client_data, rest}, from_unix_seconds(1'750'000'000));
  if (taken) {
    const auto again = verify_assertion(rules, taken->credential, challenge, {taken->credential.id, client_data, rest, rest});
    if (again) std::abort();  // nothing is a registration and an assertion at once
  }
  return 0;
}
