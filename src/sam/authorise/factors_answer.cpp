#include "sam/authorise/factors_answer.h"

#include "crypto/jose/jwe.h"
#include "json/json.h"

namespace intaglio::sam {

Result<std::string> seal_factors_answer(const Core& core, const SapMessage& message, const Secret* seed) {
  std::string answer;
  const WipeAtExit wiped(answer);
  answer.reserve(1024);
  answer += R"({"account":)" + json::encode(json::Value(message.transaction.signer)) + R"(,"issuer":)" +
            json::encode(json::Value(core.policy.totp_issuer));
  if (seed != nullptr) {
    auto text = encode_base32(seed->reveal());
    answer += R"(,"totp_seed":")";
    answer += text;
    answer += '"';
    wipe(text);
  }
  answer += '}';
  const auto purpose = std::string(name_of(message.transaction.purpose));
  return crypto::make_jwe(
      *message.answer_key,
      {.typ = "intaglio-" + purpose + "-answer+jwe", .kid = "epk", .apu = message.transaction.nonce, .apv = to_bytes("epk")},
      as_bytes(answer));
}

}  // namespace intaglio::sam
