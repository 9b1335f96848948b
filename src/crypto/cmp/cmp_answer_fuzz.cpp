#include <cstdlib>

#include "crypto/cmp/client.h"
#include "crypto/cmp/test_responder.h"

namespace {

using namespace intaglio;
using crypto::testing::CmpResponder;

/// A client in the middle of a transaction, and the authority that answers until the stranger does. Made once: keys take their time.
struct World {
  CmpResponder authority;
  std::shared_ptr<crypto::SoftwareKey> signer = *crypto::SoftwareKey::generate();
  Bytes csr = crypto::testing::request_of("Ann Example", *signer);
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(from_unix_seconds(CmpResponder::start));
  ByteView input;
  unsigned honest = 0, exchanges = 0;  ///< answers that are the authority's own, before the stranger's
  bool by_authority = false;           ///< the stranger has the authority's key
  crypto::CmpClient client = *crypto::CmpClient::make(
      authority.client_config(), [this](ByteView message) { return answer(message); }, clock);

  Result<Bytes> answer(ByteView message) {
    // A transaction ends by itself: it polls at most so often.
    if (++exchanges > 64) std::abort();
    if (exchanges <= honest) return authority.answer(message);
    if (!by_authority) return to_bytes(input);
    // Transaction id and nonce of this transaction, and the authority's signature over what the stranger says under them.
    auto said = CmpResponder::parse(input);
    if (!said || !authority.answer(message)) return to_bytes(input);
    if (OSSL_CMP_MSG_update_transactionID(authority.server(), said.get()) != 1 ||
        OSSL_CMP_MSG_update_recipNonce(authority.server(), said.get()) != 1)
      return to_bytes(input);
    return crypto::detail::encode_with(said.get(), i2d_OSSL_CMP_MSG);
  }
};

}  // namespace

/// What a server sends in place of the authority's first, second or third message; the first octet says which, whether the authority lets
/// the client wait before, and whether its own key protects the stranger's words. What is kept is for the request's key, whoever answers.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  if (size == 0) return 0;
  world.honest = data[0] % 3;
  world.authority.waits = data[0] / 3 % 2;
  world.by_authority = data[0] / 6 % 2 == 1;
  world.exchanges = 0;
  world.authority.asked.clear();
  world.authority.confirmed.clear();
  world.input = ByteView(data + 1, size - 1);
  crypto::CmpIssued last;
  auto request = world.client.begin(world.csr, {[&](const crypto::CmpIssued& issued) {
                                                  last = issued;
                                                  return Status();
                                                },
                                                [] {}});
  if (!request) std::abort();
  auto kept = request->proceed();
  while (kept && !*kept) kept = request->proceed();
  // The same words in answer to a confirmation that is sent again.
  world.honest = 0;
  world.exchanges = 0;
  if (!last.confirmation.empty()) static_cast<void>(world.client.confirm_again(last.confirmation));
  if (!kept) return 0;
  const auto leaf = crypto::Certificate::parse_der((*kept)->front());
  if (!leaf || !leaf->verify_issued_by(world.authority.issuing.certificate) ||
      leaf->public_key()->spki() != world.signer->public_key().spki())
    std::abort();
  return 0;
}
