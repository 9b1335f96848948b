#include <cstddef>
#include <cstdint>

#include "base/log.h"
#include "oauth/migrations.h"
#include "oauth/test_support.h"
#include "oauth/token_endpoint.h"

namespace {

using namespace intaglio;
using oauth::test::must;

/// One endpoint for the whole run; a key that the fuzzer does not have.
struct World {
  World() {
    database.migrate(oauth::migrations());
    auto made = must(oauth::make_client_secret());
    oauth::Client shown{must(ClientId::parse("shown")), "C", std::nullopt, std::nullopt, {}};
    shown.certificates.insert(crypto::Sha256Digest{});
    clients = std::make_shared<const oauth::Clients>(must(oauth::Clients::make(
        {client.registered(), oauth::Client{must(ClientId::parse("secretive")), "S", std::nullopt, std::move(made.hash), {}},
         std::move(shown)})));
    const auto grants = std::make_shared<oauth::Grants>(database.get(), clock);
    tokens = must(oauth::AccessTokens::make({"https://sign.example", std::chrono::seconds{3600}}, must(crypto::SoftwareKey::generate()),
                                            clients, grants, clock));
    const auto authentication = std::make_shared<oauth::ClientAuthentication>(
        oauth::ClientAuthenticationConfig{{"https://sign.example", "https://sign.example/token"}}, clients, database.get(), clock);
    endpoint = std::make_unique<oauth::TokenEndpoint>("https://sign.example", authentication, tokens, grants, clock);
  }
  oauth::test::TemporaryDatabase database;
  oauth::test::TestClient client{"keyed"};
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(oauth::test::test_start);
  std::shared_ptr<const oauth::Clients> clients;
  std::shared_ptr<oauth::AccessTokens> tokens;
  std::unique_ptr<oauth::TokenEndpoint> endpoint;
};

}  // namespace

/// First line: the Authorization header; the rest: the body. Nothing that the fuzzer can write earns a token.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World world;
  static const bool quiet = [] {
    log::open("fuzz", "error");
    return true;
  }();
  (void)quiet;
  const auto input = as_text({data, size});
  const auto line = input.find('\n');
  http::Request request;
  request.headers["content-type"] = "application/x-www-form-urlencoded";
  if (line != std::string_view::npos && line != 0) request.headers["authorization"] = std::string(input.substr(0, line));
  request.body = std::string(line == std::string_view::npos ? input : input.substr(line + 1));
  const auto answer = world.endpoint->answer(request);
  if (answer.status == 200) panic("a token without a proof");
  if (!json::parse(answer.body)) panic("an answer that is not JSON");
  (void)world.tokens->check(request);
  return 0;
}
