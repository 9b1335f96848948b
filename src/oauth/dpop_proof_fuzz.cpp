#include <cstddef>
#include <cstdint>

#include "base/panic.h"
#include "oauth/dpop.h"
#include "oauth/migrations.h"
#include "oauth/test_support.h"

/// A DPoP header as anybody may write it. The seeds are well made and too old: whoever has no key makes none that is taken.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace intaglio;
  struct World {
    World() { database.migrate(oauth::migrations()); }
    oauth::test::TemporaryDatabase database;
    std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(oauth::test::test_start);
    oauth::Grants grants{database.get(), clock};
  };
  static World world;
  http::Request request;
  request.method = "POST";
  request.path = "/csc/v2/oauth2/token";
  request.headers["dpop"] = std::string(as_text({data, size}));
  if (oauth::verify_dpop_proof(request, "https://sign.example", {}, world.grants, world.clock->now())) panic("a proof without a key");
  return 0;
}
