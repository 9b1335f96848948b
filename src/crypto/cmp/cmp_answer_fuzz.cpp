#include <cstdlib>

#include "crypto/cmp/client.h"
#include "crypto/cmp/test_responder.h"

namespace {

using namespace intaglio;

/// A client in the middle of a transaction, and the authority that answers until the stranger does. Made once: keys take their time.
struct World {
  crypto::testing::CmpResponder authority;
  std::shared_ptr<crypto::SoftwareKey> signer = *crypto::SoftwareKey::generate();
  Bytes csr = crypto::testing::request_of("Ann Example", *signer);
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(from_unix_seconds(crypto::testing::CmpResponder::start));
  ByteView input;
  unsigned honest = 0, exchanges = 0;  ///< answers that are the authority's own, before the stranger's
  crypto::CmpClient client = *crypto::CmpClient::make(
      authority.client_config(),
      [this](ByteView message) -> Result<Bytes> {
        // A transaction ends by itself: it polls at most so often.
        if (++exchanges > 64) std::abort();
        return exchanges <= honest ? authority.answer(message) : Result<Bytes>(to_bytes(input));
      },
      [](std::chrono::seconds) {}, clock);
};

}  // namespace

/// What a server sends in place of the authority's first, second or third message: the first octet says which. Nothing of it is protected
/// by the authority's key, so that no certificate ever comes of it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  if (size == 0) return 0;
  world.honest = data[0] % 3;
  world.exchanges = 0;
  world.authority.waits = data[0] / 3 % 2;
  world.input = ByteView(data + 1, size - 1);
  const auto kept = world.client.request(world.csr);
  if (kept && world.exchanges > world.honest) std::abort();
  return 0;
}
