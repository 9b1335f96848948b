#include "raw_module.h"

#include <dlfcn.h>

#include "base/file.h"
#include "crypto/random.h"
#include "token/softhsm.h"

namespace intaglio::bench {
namespace {

constexpr std::string_view label = "intaglio-bench";

Secret random_pin() { return Secret(as_bytes(encode_hex(must("random", crypto::random_bytes(8))))); }

}  // namespace

const std::array<Kind, 2>& measured_kinds() {
  static const std::array<Kind, 2> kinds{Kind{"rsa3072-pss", crypto::KeyAlgorithm::rsa3072, crypto::SignatureSuite::rsa_pss_sha256},
                                         Kind{"p256", crypto::KeyAlgorithm::p256, crypto::SignatureSuite::ecdsa_sha256}};
  return kinds;
}

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

RawModule::RawModule(const std::filesystem::path& path) {
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

CK_SESSION_HANDLE RawModule::open_session() const {
  CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
  if (functions_->C_OpenSession(slot_, CKF_SERIAL_SESSION, nullptr, nullptr, &session) != CKR_OK) fail("C_OpenSession");
  return session;
}

CK_OBJECT_HANDLE RawModule::find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS object_class, Bytes id) const {
  std::array<CK_ATTRIBUTE, 2> wanted{CK_ATTRIBUTE{CKA_CLASS, &object_class, sizeof object_class},
                                     CK_ATTRIBUTE{CKA_ID, id.data(), id.size()}};
  CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
  CK_ULONG count = 0;
  const bool good = functions_->C_FindObjectsInit(session, wanted.data(), wanted.size()) == CKR_OK &&
                    functions_->C_FindObjects(session, &found, 1, &count) == CKR_OK && functions_->C_FindObjectsFinal(session) == CKR_OK;
  if (!good || count != 1) fail("C_FindObjects");
  return found;
}

ByteView RawModule::sign(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE key, bool rsa, ByteView digest, std::span<std::uint8_t> out) const {
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

void verify_raw(const crypto::PublicKey& key, const Kind& kind, ByteView digest, ByteView signature) {
  if (crypto::is_rsa(kind.algorithm)) return must("verification", key.verify_digest(kind.suite, digest, signature));
  const auto der = must("signature", crypto::ecdsa_to_der(signature));
  must("verification", key.verify_digest(kind.suite, digest, der));
}

}  // namespace intaglio::bench
