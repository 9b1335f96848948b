#include <array>

#include "base/log.h"
#include "ssa/test_support.h"

namespace {

using namespace intaglio;

/// Who calls: a client with a good token, nobody, a *sign a document* page whose handle was exchanged, or a device of Alice's.
enum class Caller { client, nobody, page, device };
struct Endpoint {
  std::string_view path;
  Caller caller = Caller::client;
};

constexpr auto endpoints = std::to_array<Endpoint>({
    {"/csc/v2/info"},
    {"/csc/v2/credentials/list"},
    {"/csc/v2/credentials/info"},
    {"/csc/v2/credentials/authorize"},
    {"/csc/v2/signatures/signHash"},
    {"/sic/v1/transactions"},
    {"/sic/v1/enrolments"},
    {"/sic/v1/keys"},
    {"/sic/v1/messages"},
    {"/sic/v1/receipts/"},
    {"/csc/v2/signatures/signDoc"},
    {"/csc/v2/credentials/authorizeCheck"},
    {"/csc/v2/credentials/getChallenge"},
    {"/csc/v2/signatures/signPolling"},
    {"/sic/v1/sessions"},
    {"/sic/v1/factors"},
    {"/sic/v1/suspensions"},
    {"/sic/v1/destructions"},
    {"/sic/v1/grants"},
    {"/sic/v1/grants/ends"},
    {"/sic/v1/documents"},
    {"/sic/v1/documents/handles", Caller::nobody},
    {"/sic/v1/documents/openings", Caller::page},
    {"/sic/v1/documents/messages", Caller::page},
    {"/sic/v1/approvals", Caller::nobody},
    {"/sic/v1/approvals/messages", Caller::page},
    {"/sic/v1/approvals/refusals", Caller::page},
    {"/csc/v1/credentials/list"},
    {"/csc/v1/credentials/info"},
    {"/csc/v1/signatures/signHash"},
    {"/sic/v1/approvals/logins", Caller::page},
    {"/sic/v1/approvals/logins/codes", Caller::page},
    {"/csc/v2/credentials/extendTransaction"},
    {"/csc/v2/auth/login"},
    {"/csc/v2/auth/login", Caller::nobody},
    {"/csc/v2/auth/revoke"},
    {"/csc/v1/credentials/extendTransaction"},
    {"/sic/v1/devices/sessions", Caller::nobody},
    {"/sic/v1/devices/waiting", Caller::device},
    {"/sic/v1/devices/openings", Caller::device},
});

struct Target {
  Target() {
    log::open("fuzz", "error");
    ssa::signer::IdentityProviderConfig config;
    config.issuer = "https://id.example";
    config.authorization_endpoint = "https://id.example/auth";
    world.identity_provider = std::make_shared<const ssa::signer::IdentityProvider>(
        config, ssa::signer::ClientSecret{Secret(as_bytes("secret"))},
        [](std::string_view, const outbound::HttpHeaders&, const outbound::HttpHeaders&) -> Result<outbound::HttpAnswer> {
          return Error{ErrorCode::busy, "nobody answers"};
        },
        world.clock);
    world.start();
    page = new_page();
    device = new_device();
  }

  /// A page that has opened nothing yet.
  [[nodiscard]] std::string new_page() const {
    const auto made = json::parse(world.send("POST", "/sic/v1/documents", R"({"credentialID":"alice-ec"})", client).body);
    if (!made || !made->contains("page")) panic("no page is made");
    const auto address = made->at("page").get<std::string>();
    const auto body = R"({"handle":")" + address.substr(address.find('#') + 1) + R"("})";
    const auto exchanged = json::parse(world.send("POST", "/sic/v1/documents/handles", body, "").body);
    if (!exchanged || !exchanged->contains("bearer")) panic("a handle is not exchanged");
    return "Bearer " + exchanged->at("bearer").get<std::string>();
  }
  [[nodiscard]] std::string authorization(Caller caller) const {
    if (caller == Caller::nobody) return {};
    if (caller == Caller::device) return device;
    return caller == Caller::client ? client : page;
  }

  [[nodiscard]] std::string new_device() const {
    const auto known = json::parse(world.send("POST", "/sic/v1/devices/sessions", R"({"request":"alice asks"})", "").body);
    if (!known || !known->contains("bearer")) panic("a device is not recognised");
    return "Bearer " + known->at("bearer").get<std::string>();
  }

  ssa::test::World world;
  std::string client = "Bearer " + world.token("only-alice");
  std::string page, device;
};

}  // namespace

/// The first byte names the endpoint, the rest is its body (or the rest of its path). The caller has a good token or a page and no SAD:
/// nothing is signed, nothing of Bob is shown, and every answer that has a body is JSON.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static Target target;
  if (size == 0) return 0;
  const auto& endpoint = endpoints.at(data[0] % endpoints.size());
  const auto path = std::string(endpoint.path);
  const auto input = std::string(as_text({data + 1, size - 1}));
  const auto authorization = target.authorization(endpoint.caller);
  const auto answer = path.ends_with('/') ? target.world.send("GET", path + input, "", authorization)
                                          : target.world.send("POST", path, input, authorization);
  if (answer.status != 204 && !json::parse(answer.body)) panic("an answer that is not JSON");
  // What it opened is another page's.
  if (endpoint.caller == Caller::page && answer.status < 300) target.page = target.new_page();
  if (target.world.sam->signs != 0) panic("the SAM was asked to sign without a SAD");
  if (answer.status == 200 && answer.body.find("bob") != std::string::npos) panic("a client saw a signer that is not its own");
  return 0;
}
