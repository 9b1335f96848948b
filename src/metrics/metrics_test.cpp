#include "metrics/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace intaglio::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

http::Request get(std::string path) {
  http::Request made;
  made.method = "GET";
  made.path = std::move(path);
  return made;
}

class MetricsTest : public testing::Test {
 protected:
  MetricsTest() {
    router.add("GET", "/things/{id}", http::Access::anonymous,
               [](const http::Request&, const http::PathParameters&) { return http::json_answer("{}"); });
    router.observe_with(metrics.observer("public"));
  }
  Metrics metrics;
  http::Router router;
};

TEST_F(MetricsTest, CountAnswersByRouteAndStatusAndNeverByPath) {
  (void)router.dispatch(get("/things/alice"));
  (void)router.dispatch(get("/things/bob"));
  (void)router.dispatch(get("/nowhere/carol"));
  const auto text = metrics.text();
  EXPECT_THAT(text, HasSubstr(R"(intaglio_http_requests_total{listener="public",route="/things/{id}",status="200"} 2)"));
  EXPECT_THAT(text, HasSubstr(R"(intaglio_http_requests_total{listener="public",route="none",status="404"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(intaglio_http_request_duration_seconds_count{listener="public",route="/things/{id}"} 2)"));
  for (const auto* name : {"alice", "bob", "carol"}) EXPECT_THAT(text, Not(HasSubstr(name)));
}

TEST_F(MetricsTest, AskTheirSourcesAtEachScrapeAndWriteOneFamilyForAName) {
  double value = 1;
  metrics.add([&]() -> std::vector<Figure> { return {{"intaglio_a", "An a", Kind::gauge, value++, {{"of", "x"}}}}; });
  metrics.add([]() -> std::vector<Figure> {
    return {{"intaglio_a", "An a", Kind::gauge, 7, {{"of", "y"}}}, {"intaglio_b_total", "A b", Kind::counter, 3}};
  });
  EXPECT_THAT(metrics.text(),
              HasSubstr("# HELP intaglio_a An a\n# TYPE intaglio_a gauge\nintaglio_a{of=\"x\"} 1\nintaglio_a{of=\"y\"} 7\n"));
  const auto again = metrics.text();
  EXPECT_THAT(again, HasSubstr("intaglio_a{of=\"x\"} 2\n"));
  EXPECT_THAT(again, HasSubstr("# TYPE intaglio_b_total counter\nintaglio_b_total 3\n"));
}

TEST_F(MetricsTest, AreServedAsTheTextOfACollector) {
  http::Router own;
  metrics.add_routes(own);
  (void)router.dispatch(get("/things/1"));
  const auto answer = own.dispatch(get("/metrics"));
  EXPECT_EQ(answer.status, 200U);
  EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(answer.body, HasSubstr("# TYPE intaglio_http_requests_total counter\n"));
}

TEST_F(MetricsTest, TellOfTheProcessItself) {
  metrics.add(process_figures("intaglio-x", "1.2.3"));
  const auto text = metrics.text();
  for (const auto* name :
       {"process_start_time_seconds ", "process_cpu_seconds_total ", "process_resident_memory_bytes ", "process_open_fds "}) {
    EXPECT_THAT(text, HasSubstr(std::string("\n") + name)) << name;
  }
  EXPECT_THAT(text, HasSubstr(R"(program="intaglio-x",version="1.2.3")"));
}

TEST(MetricsListener, IsOnALoopbackAddressAlone) {
  for (const auto* address : {"127.0.0.1", "127.8.0.1", "::1"}) EXPECT_TRUE(listener_on(address, 0)) << address;
  for (const auto* address : {"0.0.0.0", "::", "192.0.2.1", "localhost", ""}) {
    const auto refused = listener_on(address, 0);
    ASSERT_FALSE(refused) << address;
    EXPECT_EQ(refused.error().code, ErrorCode::configuration);
  }
}

TEST(CertificateFigures, AreLeftOutWhenThereIsNoCertificateToRead) {
  EXPECT_TRUE(certificate_figures("public", "/nowhere/at/all.pem")().empty());
  const auto file = std::filesystem::path(testing::TempDir()) / "no-certificate.pem";
  std::ofstream(file) << "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
  EXPECT_TRUE(certificate_figures("public", file.string())().empty());
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace intaglio::metrics
