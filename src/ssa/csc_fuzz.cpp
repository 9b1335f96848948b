#include <array>

#include "base/log.h"
#include "ssa/test_support.h"

namespace {

using namespace intaglio;

constexpr std::array<std::string_view, 15> paths{
    "/csc/v2/info",
    "/csc/v2/credentials/list",
    "/csc/v2/credentials/info",
    "/csc/v2/credentials/authorize",
    "/csc/v2/signatures/signHash",
    "/sic/v1/transactions",
    "/sic/v1/enrolments",
    "/sic/v1/keys",
    "/sic/v1/messages",
    "/sic/v1/receipts/",
    "/csc/v2/signatures/signDoc",
    "/csc/v2/credentials/authorizeCheck",
    "/csc/v2/credentials/getChallenge",
    "/csc/v2/signatures/signPolling",
    "/sic/v1/sessions",
};

struct Target {
  Target() { log::open("fuzz", "error"); }
  ssa::test::World world;
  std::string authorization = "Bearer " + world.token("only-alice");
};

}  // namespace

/// The first byte names the endpoint, the rest is its body (or the rest of its path). The caller has a good token and no SAD:
/// nothing is signed, nothing of Bob is shown, and every answer is JSON.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Target target;
  if (size == 0) return 0;
  const auto path = std::string(paths.at(data[0] % paths.size()));
  const auto input = std::string(as_text({data + 1, size - 1}));
  const auto answer = path.ends_with('/') ? target.world.send("GET", path + input, "", target.authorization)
                                          : target.world.send("POST", path, input, target.authorization);
  if (!json::parse(answer.body)) panic("an answer that is not JSON");
  if (target.world.sam->signs != 0) panic("the SAM was asked to sign without a SAD");
  if (answer.status == 200 && answer.body.find("bob") != std::string::npos) panic("a client saw a signer that is not its own");
  return 0;
}
