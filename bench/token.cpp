#include "token/token.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>

#include <iostream>
#include <map>

#include "base/file.h"
#include "crypto/random.h"
#include "load.h"
#include "stages.h"
#include "token/softhsm.h"

namespace intaglio::bench {
namespace {

constexpr std::string_view label = "intaglio-bench";

struct Kind {
  std::string name;
  crypto::KeyAlgorithm algorithm;
  crypto::SignatureSuite suite;
};
const std::array<Kind, 2> kinds{Kind{"rsa3072-pss", crypto::KeyAlgorithm::rsa3072, crypto::SignatureSuite::rsa_pss_sha256},
                                Kind{"p256", crypto::KeyAlgorithm::p256, crypto::SignatureSuite::ecdsa_sha256}};

Secret random_pin() { return Secret(as_bytes(encode_hex(must("random", crypto::random_bytes(8))))); }

std::shared_ptr<token::Token> make_token(const LocalOptions& options) {
  const auto configuration = options.folder / "softhsm2.conf";
  const auto directory = options.folder / "tokens";
  const auto pin_file = options.folder / "pin";
  must("softhsm2.conf", token::write_softhsm_configuration(configuration, directory));
  ::setenv("SOFTHSM2_CONF", configuration.c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
  const auto pin = random_pin();
  must("PIN file", write_file_durably(pin_file, pin.reveal(), 0600));
  must("token", token::initialise_token(options.module, label, random_pin(), pin));
  return must("token", token::Token::open({options.module, std::string(label), pin_file, 64, directory}));
}

/// The module as it is, without the room: the token's login counts for every session of the process.
class RawModule {
 public:
  explicit RawModule(const std::filesystem::path& path) {
    auto* const module = ::dlopen(path.c_str(), RTLD_NOW);
    if (module == nullptr) fail("the PKCS#11 module does not load");
    const auto entry = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(module, "C_GetFunctionList"));
    CK_FUNCTION_LIST_PTR functions = nullptr;
    if (entry == nullptr || entry(&functions) != CKR_OK) fail("C_GetFunctionList");
    functions_ = functions;
    std::array<CK_SLOT_ID, 8> slots{};
    CK_ULONG count = slots.size();
    if (functions_->C_GetSlotList(CK_TRUE, slots.data(), &count) != CKR_OK) fail("C_GetSlotList");
    for (const auto slot : std::span(slots).first(count)) {
      CK_TOKEN_INFO info{};
      if (functions_->C_GetTokenInfo(slot, &info) != CKR_OK) fail("C_GetTokenInfo");
      if (as_text(info.label).starts_with(label)) slot_ = slot;
    }
  }

  [[nodiscard]] CK_SESSION_HANDLE open_session() const {
    CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
    if (functions_->C_OpenSession(slot_, CKF_SERIAL_SESSION, nullptr, nullptr, &session) != CKR_OK) fail("C_OpenSession");
    return session;
  }

  [[nodiscard]] CK_OBJECT_HANDLE find_private_key(CK_SESSION_HANDLE session, Bytes id) const {
    CK_OBJECT_CLASS object_class = CKO_PRIVATE_KEY;
    std::array<CK_ATTRIBUTE, 2> wanted{CK_ATTRIBUTE{CKA_CLASS, &object_class, sizeof object_class},
                                       CK_ATTRIBUTE{CKA_ID, id.data(), id.size()}};
    CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
    CK_ULONG count = 0;
    const bool good = functions_->C_FindObjectsInit(session, wanted.data(), wanted.size()) == CKR_OK &&
                      functions_->C_FindObjects(session, &found, 1, &count) == CKR_OK && functions_->C_FindObjectsFinal(session) == CKR_OK;
    if (!good || count != 1) fail("C_FindObjects");
    return found;
  }

  /// C_SignInit and C_Sign; the signature stands in `out`, which the view refers to.
  ByteView sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, bool rsa, ByteView digest, std::span<std::uint8_t> out) const {
    CK_RSA_PKCS_PSS_PARAMS parameters{CKM_SHA256, CKG_MGF1_SHA256, 32};
    CK_MECHANISM mechanism{CKM_ECDSA, nullptr, 0};
    if (rsa) mechanism = {CKM_RSA_PKCS_PSS, &parameters, sizeof parameters};
    std::array<CK_BYTE, 32> input;
    std::copy(digest.begin(), digest.end(), input.begin());
    CK_ULONG length = out.size();
    if (functions_->C_SignInit(session, &mechanism, key) != CKR_OK) fail("C_SignInit");
    if (functions_->C_Sign(session, input.data(), input.size(), out.data(), &length) != CKR_OK) fail("C_Sign");
    return ByteView(out).first(length);
  }

 private:
  const CK_FUNCTION_LIST* functions_ = nullptr;
  CK_SLOT_ID slot_ = 0;
};

void verify(const token::SignerKey& key, const Kind& kind, ByteView digest, ByteView signature) {
  if (crypto::is_rsa(kind.algorithm)) return must("verification", key.public_key().verify_digest(kind.suite, digest, signature));
  const auto der = must("signature", crypto::ecdsa_to_der(signature));
  must("verification", key.public_key().verify_digest(kind.suite, digest, der));
}

enum class Part { sign, sign_and_verify, verify };

Call raw_call(const RawModule& module, const token::SignerKey& key, const Kind& kind, ByteView digest, Part part) {
  const auto session = module.open_session();
  const auto handle = module.find_private_key(session, key.id());
  const bool rsa = crypto::is_rsa(kind.algorithm);
  std::array<std::uint8_t, 512> buffer;
  const auto once = to_bytes(module.sign(session, handle, rsa, digest, buffer));
  return [&module, &key, &kind, digest, part, session, handle, rsa, once] {
    std::array<std::uint8_t, 512> out;
    const auto signature = part == Part::verify ? ByteView(once) : module.sign(session, handle, rsa, digest, out);
    if (part != Part::sign) verify(key, kind, digest, signature);
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
  for (const auto& kind : kinds) {
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
  for (const auto& kind : kinds) cells.try_emplace(kind.name, *token, module, kind, digest);
  std::string key;
  unsigned clients = 0;
  while (std::cin >> key >> clients) {
    const auto found = cells.find(key);
    if (found == cells.end() || clients == 0) fail("not a key and a number of clients: " + key);
    found->second.measure_raw("limit", Part::sign_and_verify, clients, options.seconds);
  }
}

}  // namespace intaglio::bench
