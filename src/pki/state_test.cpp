#include "pki/state.h"

#include <gmock/gmock.h>

#include "json/json.h"
#include "pki/test_support.h"

namespace intaglio::pki {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class PkiState : public ::testing::Test {
 protected:
  PkiState() {
    auto opened =
        Service::open(pki.service_config(), *Issuer::make(pki.issuing->certificate, pki.issuing_key), pki.ocsp_key, pki.environment());
    if (!opened) panic(opened.error().detail.c_str());
    service = *std::move(opened);
    state.emplace(*service, pki.environment(), pki.clock->now() + std::chrono::days(90));
    state->add_routes(router);
    metrics.add([this] { return state->figures(); });
  }
  [[nodiscard]] http::Response get(const std::string& path) const {
    http::Request asked;
    asked.method = "GET";
    asked.path = path;
    return router.dispatch(asked);
  }
  [[nodiscard]] json::Value seen() const { return *json::parse(get("/health/state").body); }
  [[nodiscard]] static json::Value all_well() {
    return {{"state", "serving"}, {"clock", true}, {"audit", true}, {"list", true}, {"responder", true}};
  }

  testing::TestPki pki;
  std::unique_ptr<Service> service;
  std::optional<State> state;
  http::Router router;
  metrics::Metrics metrics;
};

TEST_F(PkiState, ServesWhileClockLogListAndResponderAreInForce) {
  EXPECT_EQ(seen(), all_well());
  EXPECT_EQ(get("/health/ready").status, 200U);
  EXPECT_EQ(get("/health/alive").status, 200U);
}

TEST_F(PkiState, RefusesWithoutASynchronisedClockAndSaysSo) {
  pki.clock->lose_synchronisation();
  auto expected = all_well();
  expected["state"] = "refusing";
  expected["clock"] = false;
  EXPECT_EQ(seen(), expected);
  EXPECT_EQ(get("/health/ready").status, 503U);
  EXPECT_EQ(get("/health/alive").status, 200U);
}

TEST_F(PkiState, RefusesWithAListOrAResponderThatHasEndedUntilTheyAreRenewed) {
  const auto standing = service->standing();
  ASSERT_TRUE(standing.list);
  pki.clock->advance(standing.list->next_update - pki.clock->now());
  EXPECT_EQ(seen().at("list"), false);
  EXPECT_EQ(get("/health/ready").status, 503U);
  pki.clock->advance(standing.responder_end - pki.clock->now());
  EXPECT_EQ(seen().at("responder"), false);
  service->tend();
  EXPECT_EQ(seen(), all_well());
}

TEST_F(PkiState, ShowsWhenEverythingEndsThatSomebodyMustRenew) {
  const auto text = metrics.text();
  const auto ends = [&](const std::string& name, UnixTime at) {
    const auto found = text.find(name + " ");
    if (found == std::string::npos) return false;
    return std::stod(text.substr(found + name.size() + 1)) == static_cast<double>(unix_seconds(at));
  };
  const auto standing = service->standing();
  EXPECT_TRUE(ends(R"(intaglio_pki_revocation_list_end_seconds{list="root"})", pki.clock->now() + std::chrono::days(90))) << text;
  EXPECT_TRUE(ends(R"(intaglio_pki_revocation_list_end_seconds{list="issuing"})", standing.list->next_update));
  EXPECT_TRUE(ends(R"(intaglio_pki_certificate_end_seconds{certificate="issuing"})", pki.issuing->certificate.not_after()));
  EXPECT_TRUE(ends(R"(intaglio_pki_certificate_end_seconds{certificate="responder"})", standing.responder_end));
  EXPECT_TRUE(ends(R"(intaglio_pki_certificate_end_seconds{certificate="time_stamping"})", *standing.time_stamping_end));
  EXPECT_THAT(text, HasSubstr("intaglio_pki_revocation_list_number 1\n"));
  EXPECT_THAT(text, HasSubstr("intaglio_serving 1\n"));
}

TEST_F(PkiState, OfAProcessWithoutATimeStampingUnitSaysNothingOfOne) {
  auto config = pki.service_config();
  config.time_stamping.reset();
  const auto plain =
      Service::open(std::move(config), *Issuer::make(pki.issuing->certificate, pki.issuing_key), pki.ocsp_key, pki.environment());
  ASSERT_TRUE(plain);
  metrics::Metrics shown;
  const State without(**plain, pki.environment(), pki.clock->now());
  shown.add([&] { return without.figures(); });
  EXPECT_THAT(shown.text(), Not(HasSubstr("time_stamping")));
}

}  // namespace
}  // namespace intaglio::pki
