#include <iostream>
#include <map>

#include "crypto/random.h"
#include "raw_module.h"

namespace intaglio::bench {
namespace {

enum class Part { sign, sign_and_verify, verify };

Call raw_call(const RawModule& module, const token::SignerKey& key, const Kind& kind, ByteView digest, Part part) {
  const auto session = module.open_session();
  const auto handle = module.find(session, CKO_PRIVATE_KEY, key.id());
  const bool rsa = crypto::is_rsa(kind.algorithm);
  std::array<std::uint8_t, 512> buffer;
  const auto once = to_bytes(module.sign(session, handle, rsa, digest, buffer));
  return [&module, &key, &kind, digest, part, session, handle, rsa, once] {
    std::array<std::uint8_t, 512> out;
    const auto signature = part == Part::verify ? ByteView(once) : module.sign(session, handle, rsa, digest, out);
    if (part != Part::sign) verify_raw(key.public_key(), kind, digest, signature);
    return 1U;
  };
}

/// The cells of one key that are in this process: named "stage.key.cN".
class Cells {
 public:
  Cells(token::Token& token, const RawModule& module, const Kind& kind, ByteView digest)
      : token_(token),
        module_(module),
        kind_(kind),
        digest_(digest),
        key_(must("key", token.generate_signer_key(kind.algorithm, as_bytes(kind.name), kind.name))) {}

  void measure_raw(std::string_view stage, Part part, unsigned clients, double seconds) const {
    measure(load(stage, clients, seconds), [&](unsigned) { return raw_call(module_, key_, kind_, digest_, part); });
  }
  void measure_room(unsigned clients, double seconds) const {
    measure(load("room", clients, seconds), [&](unsigned) -> Call {
      return [&] {
        if (!token_.sign_for_activation(key_, kind_.suite, digest_).signature) fail("the token room gave no signature");
        return 1U;
      };
    });
  }

 private:
  [[nodiscard]] Load load(std::string_view stage, unsigned clients, double seconds) const {
    return {std::string(stage) + "." + kind_.name + ".c" + std::to_string(clients), clients, seconds};
  }

  token::Token& token_;
  const RawModule& module_;
  const Kind& kind_;
  const ByteView digest_;
  const token::SignerKey key_;
};

}  // namespace

void measure_token(const LocalOptions& options) {
  const auto token = make_token(options);
  const RawModule module(options.module);
  const auto digest = must("random", crypto::random_bytes(32));
  for (const auto& kind : measured_kinds()) {
    const Cells cells(*token, module, kind, digest);
    for (const auto clients : options.clients) {
      cells.measure_raw("csign", Part::sign, clients, options.seconds);
      cells.measure_raw("limit", Part::sign_and_verify, clients, options.seconds);
      cells.measure_raw("verify", Part::verify, clients, options.seconds);
      cells.measure_room(clients, options.seconds);
    }
  }
}

void serve_limits(const LocalOptions& options) {
  const auto token = make_token(options);
  const RawModule module(options.module);
  const auto digest = must("random", crypto::random_bytes(32));
  std::map<std::string, Cells, std::less<>> cells;
  for (const auto& kind : measured_kinds()) cells.try_emplace(kind.name, *token, module, kind, digest);
  std::string key;
  unsigned clients = 0;
  while (std::cin >> key >> clients) {
    const auto found = cells.find(key);
    if (found == cells.end() || clients == 0) fail("not a key and a number of clients: " + key);
    found->second.measure_raw("limit", Part::sign_and_verify, clients, options.seconds);
  }
}

}  // namespace intaglio::bench
