#include "ssa/signer/document_signing.h"

#include <gtest/gtest.h>

#include "ssa/test_support.h"

namespace intaglio::ssa::signer {
namespace {

using oauth::test::must;
using test::digest_of;
using test::World;

class DocumentSigningTest : public testing::Test {
 protected:
  [[nodiscard]] http::Response post(const std::string& path, const json::Value& body, const std::string& bearer) const {
    return world.send("POST", "/sic/v1/documents" + path, json::encode(body), bearer.empty() ? "" : "Bearer " + bearer);
  }
  [[nodiscard]] static json::Value body_of(const http::Response& answer) {
    EXPECT_EQ(answer.status, 200U) << answer.body;
    return must(json::parse(answer.body));
  }
  [[nodiscard]] static std::string description(const http::Response& answer) {
    return must(json::parse(answer.body)).at("error_description").get<std::string>();
  }
  [[nodiscard]] std::string handle(const std::string& credential = "alice-rsa") const {
    const auto page = body_of(post("", {{"credentialID", credential}}, world.token("any"))).at("page").get<std::string>();
    return page.substr(page.find('#') + 1);
  }
  [[nodiscard]] json::Value exchange(const std::string& handle) const { return body_of(post("/handles", {{"handle", handle}}, "")); }
  [[nodiscard]] static std::string bearer_of(const json::Value& body) { return body.at("bearer").get<std::string>(); }
  [[nodiscard]] static json::Value document(const std::string& text) {
    return {{"hash", encode_base64url(digest_of(text))}, {"label", "Contract.pdf"}};
  }
  [[nodiscard]] json::Value opened(const std::string& text = "one") const {
    return body_of(post("/openings", document(text), bearer_of(exchange(handle()))));
  }
  [[nodiscard]] static Bytes nonce_of(const json::Value& opened) {
    return must(protocol::parse_transaction(must(parse_base64url(opened.at("transaction").get<std::string>())))).nonce;
  }
  [[nodiscard]] json::Value message(const Bytes& nonce) const { return {{"message", world.message(nonce)}}; }
  World world;
};

TEST_F(DocumentSigningTest, ThePageGetsTheSignatureOverTheDigestThatItTold) {
  const auto page = body_of(post("", {{"credentialID", "alice-rsa"}}, world.token("any")));
  EXPECT_EQ(page.at("expires_in"), 300);
  EXPECT_NE(page.at("page").get<std::string>().find("/sign#"), std::string::npos);
  const auto begun = exchange(page.at("page").get<std::string>().substr(page.at("page").get<std::string>().find('#') + 1));
  EXPECT_EQ(begun.at("credentialID"), "alice-rsa");
  EXPECT_FALSE(begun.at("certificates").empty());
  const auto open = body_of(post("/openings", document("one"), bearer_of(begun)));
  const auto transaction = must(protocol::parse_transaction(must(parse_base64url(open.at("transaction").get<std::string>()))));
  ASSERT_EQ(transaction.documents.size(), 1U);
  EXPECT_EQ(transaction.documents.front().digest, digest_of("one"));
  EXPECT_EQ(transaction.documents.front().label, "Contract.pdf");
  const auto signature = body_of(post("/messages", message(transaction.nonce), bearer_of(open)));
  EXPECT_FALSE(signature.at("signature").get<std::string>().empty());
  EXPECT_EQ(signature.at("auditReceipts").size(), 1U);
  EXPECT_EQ(world.sam->signs, 1U);
  EXPECT_EQ(world.sam->last_sign->client_id, "any");
  EXPECT_EQ(post("/messages", message(transaction.nonce), bearer_of(open)).status, 401U) << "the link is used up";
}

TEST_F(DocumentSigningTest, AnApplicationBeginsForItsOwnSignersAlone) {
  for (const auto& [body, told] : std::vector<std::pair<json::Value, std::string>>{
           {json::Value::object(), "Missing (or invalid type) string parameter credentialID"},
           {{{"credentialID", 7}}, "Missing (or invalid type) string parameter credentialID"},
           {{{"credentialID", "a b"}}, "Invalid parameter credentialID"},
           {{{"credentialID", "nobody"}}, "Invalid parameter credentialID"},
       }) {
    const auto answer = post("", body, world.token("any"));
    EXPECT_EQ(answer.status, 400U) << answer.body;
    EXPECT_EQ(description(answer), told);
  }
  EXPECT_EQ(post("", {{"credentialID", "alice-rsa"}}, "x").status, 401U);
  EXPECT_EQ(post("", {{"credentialID", "bob-ec"}}, world.token("only-alice")).status, 400U);
  world.sam->credentials.front().state = protocol::KeyState::suspended;
  EXPECT_EQ(post("", {{"credentialID", "alice-rsa"}}, world.token("any")).status, 400U);
}

TEST_F(DocumentSigningTest, AHandleIsExchangedOnceAndWithinFiveMinutes) {
  const auto once = handle();
  const auto late = handle();
  EXPECT_FALSE(exchange(once).empty());
  EXPECT_EQ(description(post("/handles", {{"handle", once}}, "")), "Invalid parameter handle");
  EXPECT_EQ(description(post("/handles", {{"handle", "x"}}, "")), "Invalid parameter handle");
  EXPECT_EQ(post("/handles", json::Value::object(), "").status, 400U);
  world.clock->advance(std::chrono::seconds{301});
  EXPECT_EQ(description(post("/handles", {{"handle", late}}, "")), "Invalid parameter handle");
}

TEST_F(DocumentSigningTest, WhatThePageTellsIsRefusedWhenItIsNoDocument) {
  const auto bearer = bearer_of(exchange(handle()));
  const std::string hash = document("one").at("hash");
  for (const auto& [body, told] : std::vector<std::pair<json::Value, std::string>>{
           {json::Value::object(), "Missing (or invalid type) string parameter hash"},
           {{{"hash", 1}, {"label", "a"}}, "Missing (or invalid type) string parameter hash"},
           {{{"hash", hash}}, "Missing (or invalid type) string parameter label"},
           {{{"hash", ""}, {"label", "a"}}, "Invalid parameter hash"},
           {{{"hash", hash + "AAAA"}, {"label", "a"}}, "Invalid parameter hash"},
           {{{"hash", hash.substr(4)}, {"label", "a"}}, "Invalid parameter hash"},
           {{{"hash", "*" + hash.substr(1)}, {"label", "a"}}, "Invalid parameter hash"},
           {{{"hash", hash}, {"label", std::string(300, 'a')}}, "Invalid parameter label"},
           {{{"hash", hash}, {"label", "a\nb"}}, "Invalid parameter label"},
           {{{"hash", hash},
             {"label",
              "a\u202e"
              "b"}},
            "Invalid parameter label"},
       }) {
    const auto answer = post("/openings", body, bearer);
    EXPECT_EQ(answer.status, 400U) << answer.body;
    EXPECT_EQ(description(answer), told);
  }
  EXPECT_EQ(post("/openings", document("one"), "").status, 400U);
  EXPECT_EQ(post("/openings", document("one"), world.token("any")).status, 401U);
  EXPECT_EQ(post("/openings", document("one"), bearer).status, 200U) << "a refusal costs no link";
}

TEST_F(DocumentSigningTest, ALinkIsForOneDocument) {
  const auto first = bearer_of(exchange(handle()));
  const auto open = body_of(post("/openings", document("one"), first));
  EXPECT_EQ(post("/openings", document("two"), first).status, 401U);
  EXPECT_EQ(post("/messages", message(nonce_of(open)), first).status, 401U);
  EXPECT_EQ(post("/openings", document("two"), bearer_of(open)).status, 401U) << "opened once";
  EXPECT_EQ(world.sam->messages, 0U);
}

TEST_F(DocumentSigningTest, OnlyTheMessageOfThisTransactionSigns) {
  const auto one = opened("one");
  const auto two = opened("two");
  EXPECT_EQ(description(post("/messages", message(nonce_of(two)), bearer_of(one))), "Invalid parameter message");
  EXPECT_EQ(description(post("/messages", {{"message", "x"}}, bearer_of(one))), "Invalid parameter message");
  EXPECT_EQ(post("/messages", json::Value::object(), bearer_of(one)).status, 400U);
  EXPECT_EQ(world.sam->messages, 0U);
  world.sam->failure = Error{ErrorCode::authentication_failed, "wrong PIN"};
  EXPECT_EQ(post("/messages", message(nonce_of(one)), bearer_of(one)).status, 400U);
  world.sam->failure.reset();
  EXPECT_EQ(post("/messages", message(nonce_of(one)), bearer_of(one)).status, 200U) << "a wrong PIN costs no link";
}

TEST_F(DocumentSigningTest, ADocumentOfThePageMakesNoCodeForAnApplication) {
  const auto open = opened();
  const auto body = json::encode(message(nonce_of(open)));
  EXPECT_EQ(world.send("POST", "/sic/v1/approvals/messages", body, "Bearer " + bearer_of(open)).status, 401U);
  EXPECT_EQ(world.send("POST", "/sic/v1/approvals/refusals", "{}", "Bearer " + bearer_of(open)).status, 401U);
  EXPECT_EQ(world.sam->messages, 0U);
}

TEST(DocumentsOfThePage, AreNamedByWhatNoAuthorizationRequestHolds) {
  EXPECT_TRUE(DocumentSigning::holds({"any", "document_signing=k ecdsa-sha256 ", {}, {}, {}, {}, {}}));
  EXPECT_FALSE(DocumentSigning::holds({"any", "device_approval=k", {}, {}, {}, {}, {}}));
  EXPECT_FALSE(DocumentSigning::holds({"any", "client_id=any&document_signing=k", {}, {}, {}, {}, {}}));
}

}  // namespace
}  // namespace intaglio::ssa::signer
