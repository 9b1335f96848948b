#include "pki/service.h"

#include <gtest/gtest.h>

#include "pki/test_support.h"

namespace intaglio::pki {
namespace {

using testing::Material;
using testing::TestPki;

class ServiceSurface : public ::testing::Test {
 protected:
  ServiceSurface() {
    auto opened = Service::open(pki.service_config(), *pki.issuing, pki.ocsp_key, pki.environment());
    EXPECT_TRUE(opened) << opened.error().detail;
    service = std::move(*opened);
  }
  static http::Request request(const std::string& method, const std::string& path, std::string body = {}) {
    http::Request made;
    made.method = method;
    made.path = path;
    made.body = std::move(body);
    made.request_id = "r-1";
    made.peer_certificate = {1};
    return made;
  }
  json::Value post(const std::string& path, const json::Value& body, unsigned status = 200) {
    const auto response = service->internal_handler()(request("POST", path, json::encode(body)));
    EXPECT_EQ(response.status, status) << response.body;
    return *json::parse(response.body);
  }
  json::Value body_of(const Material& material) {
    return {{"request", *crypto::make_jws(*pki.operator_key, "intaglio-ra+jwt", "ra-1", json::encode(material.request))},
            {"keyAssertion", *crypto::make_jws(*pki.sam_key, "intaglio-key+jwt", "sam", json::encode(material.assertion))},
            {"csr", encode_base64(material.csr)}};
  }
  http::Response get(const std::string& path) { return service->public_handler()(request("GET", path)); }

  TestPki pki;
  std::unique_ptr<Service> service;
};

TEST_F(ServiceSurface, IssuesRevokesAndShowsItAtOnce) {
  const Material material = pki.good();
  const auto issued = post("/pki/v1/certificates", body_of(material));
  ASSERT_EQ(issued["certificates"].size(), 2U);
  const auto leaf = *crypto::Certificate::parse_der(*parse_base64(issued["certificates"][0].get<std::string>()));
  EXPECT_EQ(*parse_base64(issued["certificates"][1].get<std::string>()), pki.issuing->certificate.der());

  const Bytes question = *crypto::make_ocsp_request(leaf, pki.issuing->certificate, crypto::HashAlgorithm::sha256, Bytes(32, 1));
  const auto ask = [&] {
    const auto response = service->public_handler()(request("POST", "/ocsp", std::string(as_text(question))));
    EXPECT_EQ(response.content_type, "application/ocsp-response");
    EXPECT_TRUE(crypto::verify_ocsp_response(as_bytes(response.body), pki.issuing->certificate, pki.clock->now()));
    return crypto::parse_ocsp_response(as_bytes(response.body))->certificates.at(0).status;
  };
  EXPECT_EQ(ask(), crypto::CertificateStatus::good);

  const auto revoked = post("/pki/v1/revocations", {{"request", pki.revocation_request(leaf, material.request["key"], "keyCompromise")}});
  const Bytes list = *parse_base64(revoked["crl"].get<std::string>());
  EXPECT_NE(crypto::parse_crl(list)->find(leaf.serial_hex()), nullptr);
  EXPECT_EQ(ask(), crypto::CertificateStatus::revoked);
  const auto published = get("/crl/issuing.crl");
  EXPECT_EQ(published.content_type, "application/pkix-crl");
  EXPECT_EQ(to_bytes(published.body), list);
  const auto for_peers = service->internal_handler()(request("GET", "/pki/v1/crl"));
  EXPECT_EQ(*parse_base64((*json::parse(for_peers.body))["crl"].get<std::string>()), list);
}

TEST_F(ServiceSurface, AnswersOcspByGet) {
  const auto leaf = crypto::Certificate::parse_der(
      *parse_base64(post("/pki/v1/certificates", body_of(pki.good()))["certificates"][0].get<std::string>()));
  const std::string text = encode_base64(*crypto::make_ocsp_request(*leaf, pki.issuing->certificate, crypto::HashAlgorithm::sha256, {}));
  std::string escaped;
  for (const char each : text) escaped += each == '+' ? "%2B" : each == '/' ? "%2f" : each == '=' ? "%3D" : std::string(1, each);
  for (const auto& path : {text, escaped}) {
    EXPECT_EQ(crypto::parse_ocsp_response(as_bytes(get("/ocsp/" + path).body))->certificates.at(0).status, crypto::CertificateStatus::good);
  }
  EXPECT_EQ(encode_hex(as_bytes(get("/ocsp/%zz").body)), "30030a0101");
  EXPECT_EQ(encode_hex(as_bytes(get("/ocsp/AAAA%3").body)), "30030a0101");
}

TEST_F(ServiceSurface, PublishesTheAuthorities) {
  EXPECT_EQ(to_bytes(get("/ca/issuing.cer").body), pki.issuing->certificate.der());
  EXPECT_EQ(to_bytes(get("/ca/root.cer").body), pki.root->certificate.der());
  EXPECT_TRUE(crypto::verify_crl(as_bytes(get("/crl/root.crl").body), pki.root->certificate));
  const auto for_peers = service->internal_handler()(request("GET", "/pki/v1/root-crl"));
  EXPECT_EQ(*parse_base64((*json::parse(for_peers.body))["crl"].get<std::string>()), to_bytes(get("/crl/root.crl").body));
  EXPECT_EQ(get("/pki/v1/crl").status, 404U) << "the internal surface is not on the public listener";
}

TEST_F(ServiceSurface, AsksPeersForACertificate) {
  auto nobody = request("GET", "/pki/v1/crl");
  nobody.peer_certificate.clear();
  EXPECT_NE(service->internal_handler()(nobody).status, 200U);
}

TEST_F(ServiceSurface, RefusesBodiesThatAreNotRequests) {
  for (const auto* body :
       {"", "{}", "[]", R"({"request":1,"keyAssertion":"a","csr":"b"})", R"({"request":"a","keyAssertion":"a","csr":"not base64!"})"}) {
    EXPECT_EQ(service->internal_handler()(request("POST", "/pki/v1/certificates", body)).status, 400U) << body;
    EXPECT_EQ(service->internal_handler()(request("POST", "/pki/v1/revocations", body)).status, 400U) << body;
    EXPECT_EQ(service->internal_handler()(request("POST", "/pki/v1/releases", body)).status, 400U) << body;
  }
  auto body = body_of(pki.good());
  body["request"] = body["keyAssertion"];
  post("/pki/v1/certificates", body, http_status(ErrorCode::not_authorised));
}

TEST_F(ServiceSurface, KeepsListAndResponderFresh) {
  const auto before = crypto::parse_crl(as_bytes(get("/crl/issuing.crl").body))->number;
  pki.clock->advance(std::chrono::days(340));
  service->tend();
  EXPECT_EQ(crypto::parse_crl(as_bytes(get("/crl/issuing.crl").body))->number, before + 1);
  EXPECT_EQ(pki.count("pki_certificate"), 3U) << "the responder's certificate was renewed";
}

class OcspByGet : public ServiceSurface {
 protected:
  static std::string header(const http::Response& response, std::string_view name) {
    const auto found = std::find_if(response.headers.begin(), response.headers.end(), [&](const auto& each) { return each.first == name; });
    return found == response.headers.end() ? "" : found->second;
  }
  http::Response ask(ByteView nonce) {
    return get("/ocsp/" + encode_base64(*crypto::make_ocsp_request(pki.root->certificate, pki.issuing->certificate,
                                                                   crypto::HashAlgorithm::sha256, nonce)));
  }
};

TEST_F(OcspByGet, MayBeCachedForAWhileWithoutANonce) {
  const auto response = ask({});
  EXPECT_EQ(header(response, "Cache-Control"), "max-age=60, public, no-transform, must-revalidate");
  EXPECT_EQ(header(response, "Last-Modified"), "Fri, 20 Nov 2026 10:00:00 GMT");
  EXPECT_EQ(header(response, "Expires"), "Fri, 20 Nov 2026 10:01:00 GMT");
  EXPECT_EQ(header(response, "ETag"), '"' + encode_hex(crypto::sha256(as_bytes(response.body))) + '"');
}

TEST_F(OcspByGet, IsNotCachedWithANonceNorWhenItIsARefusal) {
  EXPECT_EQ(header(ask(Bytes(16, 1)), "Cache-Control"), "no-store");
  EXPECT_EQ(header(get("/ocsp/rubbish"), "Cache-Control"), "no-store");
  pki.clock->lose_synchronisation();
  EXPECT_EQ(header(ask({}), "Cache-Control"), "no-store");
}

TEST_F(OcspByGet, IsCachedNoLongerThanItHolds) {
  pki.clock->advance(std::chrono::days(30) - std::chrono::seconds(20));
  EXPECT_EQ(header(ask({}), "Cache-Control").substr(0, 11), "max-age=20,");
}

/// With answers that are signed before they are asked for, and delta lists.
class PreparedSurface : public OcspByGet {
 protected:
  PreparedSurface() {
    auto config = pki.service_config();
    config.responder.preproduced = 100;
    config.publisher.delta_validity = std::chrono::hours(2);
    config.publisher.freshest = "http://pki.example/crl/issuing-delta.crl";
    auto opened = Service::open(std::move(config), *pki.issuing, pki.ocsp_key, pki.environment());
    EXPECT_TRUE(opened) << opened.error().detail;
    service = std::move(*opened);
  }
  crypto::Certificate issued(const Material& material) {
    const auto answer = post("/pki/v1/certificates", body_of(material));
    return *crypto::Certificate::parse_der(*parse_base64(answer["certificates"][0].get<std::string>()));
  }
  http::Response ask_about(const crypto::Certificate& certificate) {
    return get("/ocsp/" +
               encode_base64(*crypto::make_ocsp_request(certificate, pki.issuing->certificate, crypto::HashAlgorithm::sha256, {})));
  }
  static crypto::CertificateStatus status(const http::Response& response) {
    return crypto::parse_ocsp_response(as_bytes(response.body))->certificates.at(0).status;
  }
};

TEST_F(PreparedSurface, AnswersTheSameUntilTheStatusChangesAndThenAtOnceTheOther) {
  const Material material = pki.good();
  const std::string key = material.request["key"];
  const auto leaf = issued(material);
  const auto first = ask_about(leaf);
  EXPECT_EQ(status(first), crypto::CertificateStatus::good);
  pki.clock->advance(std::chrono::minutes(20));
  const auto second = ask_about(leaf);
  EXPECT_EQ(second.body, first.body) << "signed once";
  EXPECT_EQ(header(second, "Last-Modified"), "Fri, 20 Nov 2026 10:00:00 GMT") << "when it was signed";
  EXPECT_EQ(header(second, "Expires"), "Fri, 20 Nov 2026 10:21:00 GMT");
  post("/pki/v1/revocations", {{"request", pki.revocation_request(leaf, key, "certificateHold")}});
  EXPECT_EQ(status(ask_about(leaf)), crypto::CertificateStatus::revoked);
  const auto held = *crypto::parse_delta_crl(as_bytes(get("/crl/issuing-delta.crl").body));
  EXPECT_EQ(held.changes.find(leaf.serial_hex())->reason, crypto::RevocationReason::certificate_hold);
  const auto answer = post("/pki/v1/releases", {{"request", pki.release_request(leaf, key)}});
  EXPECT_EQ(crypto::parse_crl(*parse_base64(answer["crl"].get<std::string>()))->find(leaf.serial_hex()), nullptr);
  EXPECT_EQ(status(ask_about(leaf)), crypto::CertificateStatus::good);
  const auto released = *crypto::parse_delta_crl(as_bytes(get("/crl/issuing-delta.crl").body));
  EXPECT_EQ(released.changes.find(leaf.serial_hex())->reason, crypto::RevocationReason::remove_from_crl);
}

TEST_F(PreparedSurface, LetsCachesKeepAListForAWhile) {
  while (service->tend()) {}
  const auto list = get("/crl/issuing.crl");
  EXPECT_EQ(header(list, "Cache-Control"), "max-age=60, public, no-transform, must-revalidate");
  EXPECT_EQ(header(list, "Last-Modified"), "Fri, 20 Nov 2026 10:00:00 GMT");
  EXPECT_EQ(header(list, "ETag"), '"' + encode_hex(crypto::sha256(as_bytes(list.body))) + '"');
  pki.clock->advance(std::chrono::minutes(59) + std::chrono::seconds(50));
  EXPECT_EQ(header(get("/crl/issuing.crl"), "Cache-Control").substr(0, 11), "max-age=10,") << "not longer than the next list is away";
}

TEST_F(PreparedSurface, SendsAListOnceToWhoSaysThatHeHasIt) {
  while (service->tend()) {}
  const auto ask = [&](const std::string& path, const std::string& has) {
    auto question = request("GET", path);
    question.headers["if-none-match"] = has;
    return service->public_handler()(question);
  };
  for (const std::string path : {"/crl/issuing.crl", "/crl/issuing-delta.crl"}) {
    const auto list = get(path);
    ASSERT_EQ(list.status, 200U);
    const auto tag = header(list, "ETag");
    for (const auto& has : {tag, "W/" + tag, "\"another\" , " + tag, std::string("*")}) {
      const auto answer = ask(path, has);
      EXPECT_EQ(answer.status, 304U) << has;
      EXPECT_EQ(answer.body, "");
      EXPECT_EQ(header(answer, "ETag"), tag);
      EXPECT_EQ(header(answer, "Cache-Control"), header(list, "Cache-Control"));
    }
    const auto bare = tag.substr(1, tag.size() - 2);
    for (const auto& has :
         {std::string(), std::string("\"another\""), bare, tag.substr(1), tag.substr(0, tag.size() - 1), std::string(",")}) {
      const auto answer = ask(path, has);
      EXPECT_EQ(answer.status, 200U) << has;
      EXPECT_EQ(answer.body, list.body);
    }
  }
  const auto before = header(get("/crl/issuing.crl"), "ETag");
  pki.clock->advance(std::chrono::hours(2));
  service->tend();
  EXPECT_EQ(ask("/crl/issuing.crl", before).status, 200U) << "there is a new one";
}

TEST_F(ServiceSurface, SaysThatThereAreNoDeltaListsWhereNoneAreMade) { EXPECT_EQ(get("/crl/issuing-delta.crl").status, 404U); }

class TimeStampSurface : public ServiceSurface {
 protected:
  static http::Request stamp_request(const std::string& type) {
    const auto digest = crypto::sha256(as_bytes("contract"));
    const Bytes question = *crypto::make_timestamp_request(crypto::HashAlgorithm::sha256, digest, "", Bytes{7}, true);
    auto made = request("POST", "/tsa", std::string(as_text(question)));
    if (!type.empty()) made.headers["content-type"] = type;
    return made;
  }
  http::Response ask(const http::Request& question) { return service->public_handler()(question); }
  ErrorCode refused(const Service::Config& config) {
    auto opened = Service::open(config, *pki.issuing, pki.ocsp_key, pki.environment());
    EXPECT_FALSE(opened);
    return opened ? ErrorCode::internal : opened.error().code;
  }
};

TEST_F(TimeStampSurface, GivesTokensOverHttp) {
  for (const std::string type : {"application/timestamp-query", "Application/Timestamp-Query ; charset=binary"}) {
    const auto question = stamp_request(type);
    const auto response = ask(question);
    EXPECT_EQ(response.status, 200U);
    EXPECT_EQ(response.content_type, "application/timestamp-reply");
    EXPECT_TRUE(
        crypto::verify_timestamp_response(as_bytes(response.body), as_bytes(question.body), {}, {pki.root->certificate}, pki.clock->now()));
  }
}

TEST_F(TimeStampSurface, RefusesAnotherContentTypeAndMethod) {
  for (const std::string type : {"", "application/ocsp-request", "application/timestamp-reply", "application/timestamp-querys"})
    EXPECT_EQ(ask(stamp_request(type)).status, 415U) << type;
  EXPECT_EQ(pki.count("pki_timestamp"), 0U);
  for (const std::string method : {"GET", "PUT", "DELETE"}) {
    auto question = stamp_request("application/timestamp-query");
    question.method = method;
    EXPECT_EQ(ask(question).status, 405U) << method;
  }
}

TEST_F(TimeStampSurface, AnswersRubbishWithARejection) {
  auto question = stamp_request("application/timestamp-query");
  question.body = "rubbish";
  const auto response = ask(question);
  EXPECT_EQ(response.status, 200U);
  EXPECT_EQ(crypto::parse_timestamp_response(as_bytes(response.body))->failure, crypto::TimestampFailure::bad_data_format);
}

TEST_F(TimeStampSurface, IsThereOnlyWithItsRole) {
  auto config = pki.service_config();
  config.time_stamping.reset();
  auto plain = std::move(*Service::open(std::move(config), *pki.issuing, pki.ocsp_key, pki.environment()));
  EXPECT_EQ(plain->public_handler()(stamp_request("application/timestamp-query")).status, 404U);
}

TEST_F(TimeStampSurface, TakesNoKeyThatSignsSomethingElse) {
  auto config = pki.service_config();
  config.time_stamping->signer = pki.ocsp_key;
  EXPECT_EQ(refused(config), ErrorCode::configuration);
}

TEST_F(TimeStampSurface, ClaimsNoQualificationThatTheAuthorityLacks) {
  auto config = pki.service_config();
  config.time_stamping->policy.qualified = true;
  EXPECT_EQ(refused(config), ErrorCode::configuration);
}

}  // namespace
}  // namespace intaglio::pki
