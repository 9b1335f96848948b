#include <gtest/gtest.h>

#include "ssa/test_support.h"

namespace intaglio::ssa::csc {
namespace {

using test::must;

constexpr const char* malformed_header = "Malformed authorization header.";
constexpr const char* malformed_body = "The body of the request is not a JSON object, or a member came twice";
constexpr const char* sha256_oid = "2.16.840.1.101.3.4.2.1";

/// One wrong request against a service where the right one succeeds.
struct Case {
  std::string name;
  std::string path;
  std::string change;  ///< JSON merge patch (RFC 7396) of a right body; null takes a member away
  unsigned status;
  std::string error;
  std::string description;
};

class BadInput : public testing::Test {
 protected:
  BadInput() {
    right_["/csc/v2/info"] = json::Value::object();
    right_["/csc/v2/credentials/list"] = {{"userID", "alice"}};
    right_["/csc/v2/credentials/info"] = {{"credentialID", "alice-rsa"}};
    right_["/csc/v2/credentials/authorize"] = {{"credentialID", "alice-rsa"},
                                               {"numSignatures", 1},
                                               {"hashes", {encode_base64(test::digest_of("one"))}},
                                               {"hashAlgorithmOID", sha256_oid}};
    right_["/csc/v2/signatures/signHash"] = test::World::sign_body("alice-rsa", world_.sad("alice-rsa", {"one", "two"}), {"one"});
    right_["/sic/v1/transactions"] = {{"credentialID", "alice-rsa"}, {"hashAlgorithmOID", sha256_oid}, {"documents", {document("one")}}};
    right_["/sic/v1/enrolments"] = {{"signerID", "alice"}};
    right_["/sic/v1/keys"] = {{"signerID", "alice"}, {"algorithm", "rsa3072"}, {"profile", "direct-resident"}};
    right_["/sic/v1/messages"] = json::Value::object();
    right_["/sic/v1/messages"]["message"] = world_.message(world_.open("alice-rsa", {"one"}).nonce);
  }
  static json::Value document(const std::string& text) { return {{"hash", encode_base64(test::digest_of(text))}, {"label", text}}; }
  void expect_refused(const http::Response& answer, unsigned status, const std::string& error, const std::string& description) {
    EXPECT_EQ(answer.status, status) << answer.body;
    EXPECT_EQ(answer.content_type, "application/json;charset=UTF-8");
    const auto body = json::parse(answer.body);
    ASSERT_TRUE(body) << answer.body;
    EXPECT_EQ(body->at("error"), error);
    EXPECT_EQ(body->at("error_description"), description);
  }

  test::World world_;
  std::map<std::string, json::Value> right_;
};

/// Who asks rightly: credentials/authorize is for clients without an address for redirects.
std::string_view client_for(std::string_view path) { return path == "/csc/v2/credentials/authorize" ? "only-alice" : "any"; }

const std::string list = "/csc/v2/credentials/list";
const std::string info = "/csc/v2/credentials/info";
const std::string authorize = "/csc/v2/credentials/authorize";
const std::string sign = "/csc/v2/signatures/signHash";
const std::string open = "/sic/v1/transactions";
const std::string enrol = "/sic/v1/enrolments";
const std::string keys = "/sic/v1/keys";
const std::string messages = "/sic/v1/messages";

std::string missing(std::string_view name) { return "Missing (or invalid type) string parameter " + std::string(name); }
std::string invalid(std::string_view name) { return "Invalid parameter " + std::string(name); }

const std::string digest43 = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU";  // SHA-256 of nothing, without padding

std::vector<Case> cases() {
  const auto bad = [](std::string name, const std::string& path, std::string change, std::string description) {
    return Case{std::move(name), path, std::move(change), 400, "invalid_request", std::move(description)};
  };
  return {
      bad("lang is no text", "/csc/v2/info", R"({"lang":5})", invalid("lang")),

      bad("userID missing", list, R"({"userID":null})", invalid("userID")),
      bad("userID is a number", list, R"({"userID":7})", invalid("userID")),
      bad("userID is no identifier", list, R"({"userID":"../alice"})", invalid("userID")),
      bad("userID is empty", list, R"({"userID":""})", invalid("userID")),
      bad("userID is oversized", list, R"({"userID":")" + std::string(65, 'a') + R"("})", invalid("userID")),
      bad("userID is unknown", list, R"({"userID":"nobody"})", invalid("userID")),
      bad("certificates of list is no word of the table", list, R"({"certificates":"all"})", invalid("certificates")),
      bad("certificates of list is a flag", list, R"({"certificates":true})", invalid("certificates")),
      bad("credentialInfo is a number", list, R"({"credentialInfo":1})", invalid("credentialInfo")),
      bad("certInfo is another word", list, R"({"certInfo":"yes"})", invalid("certInfo")),
      bad("authInfo is an object", list, R"({"authInfo":{}})", invalid("authInfo")),
      bad("onlyValid is an array", list, R"({"onlyValid":[]})", invalid("onlyValid")),
      bad("clientData of list is an object", list, R"({"clientData":{}})", invalid("clientData")),

      bad("credentialID of info missing", info, R"({"credentialID":null})", missing("credentialID")),
      bad("credentialID of info is a number", info, R"({"credentialID":5})", missing("credentialID")),
      bad("credentialID of info is unknown", info, R"({"credentialID":"nobody-1"})", invalid("credentialID")),
      bad("credentialID of info is no identifier", info, R"({"credentialID":"a b"})", invalid("credentialID")),
      bad("credentialID of info is oversized", info, R"({"credentialID":")" + std::string(500, 'k') + R"("})", invalid("credentialID")),
      bad("certificates of info is no word of the table", info, R"({"certificates":"full"})", invalid("certificates")),
      bad("clientData of info is a number", info, R"({"clientData":1})", invalid("clientData")),

      bad("credentialID of authorize missing", authorize, R"({"credentialID":null})", missing("credentialID")),
      bad("credentialID of authorize is unknown", authorize, R"({"credentialID":"nobody-1"})", invalid("credentialID")),
      bad("numSignatures missing", authorize, R"({"numSignatures":null})", "Missing (or invalid type) integer parameter numSignatures"),
      bad("numSignatures is a text", authorize, R"({"numSignatures":"1"})", "Missing (or invalid type) integer parameter numSignatures"),
      bad("numSignatures is a fraction", authorize, R"({"numSignatures":1.5})",
          "Missing (or invalid type) integer parameter numSignatures"),
      bad("numSignatures is zero", authorize, R"({"numSignatures":0})", "Invalid value for parameter numSignatures"),
      bad("numSignatures is negative", authorize, R"({"numSignatures":-1})", "Invalid value for parameter numSignatures"),
      bad("numSignatures is too high", authorize, R"({"numSignatures":101})", "Numbers of signatures is too high"),
      bad("a PIN for a SCAL2 credential", authorize, R"({"PIN":"123456"})", invalid("PIN")),
      bad("an OTP that is a number", authorize, R"({"OTP":5})", invalid("OTP")),
      bad("hashes of authorize missing", authorize, R"({"hashes":null})", "Missing (or invalid type) array parameter hashes"),

      bad("SAD missing", sign, R"({"SAD":null})", missing("SAD")),
      bad("SAD is an object", sign, R"({"SAD":{}})", missing("SAD")),
      bad("SAD is empty", sign, R"({"SAD":""})", invalid("SAD")),
      bad("SAD is no JWS", sign, R"({"SAD":"secret"})", invalid("SAD")),
      bad("SAD is oversized", sign, R"({"SAD":")" + std::string(70000, 'a') + R"("})", invalid("SAD")),
      bad("credentialID of signHash missing", sign, R"({"credentialID":null})", missing("credentialID")),
      bad("credentialID of signHash is an array", sign, R"({"credentialID":["alice-rsa"]})", missing("credentialID")),
      bad("credentialID of signHash is no identifier", sign, R"({"credentialID":"alice rsa"})", invalid("credentialID")),
      bad("credential of another signer", sign, R"({"credentialID":"bob-ec"})", invalid("credentialID")),
      bad("hashes missing", sign, R"({"hashes":null})", "Missing (or invalid type) array parameter hash"),
      bad("hashes is a text", sign, R"({"hashes":")" + digest43 + R"(="})", "Missing (or invalid type) array parameter hash"),
      bad("hashes holds a number", sign, R"({"hashes":[5]})", "Missing (or invalid type) array parameter hash"),
      bad("hashes is empty", sign, R"({"hashes":[]})", "Empty hash array"),
      bad("a digest that is too short for any algorithm", sign, R"({"hashes":["AAAA"]})", "Invalid digest value length"),
      bad("a short digest that is no base64 either", sign, R"({"hashes":["!!"]})", "Invalid digest value length"),
      bad("a digest without padding", sign, R"({"hashes":[")" + digest43 + R"("]})", "Invalid Base64 hash string parameter"),
      bad("a digest with a line break", sign, R"({"hashes":[")" + digest43.substr(0, 20) + R"(\n)" + digest43.substr(20) + R"(="]})",
          "Invalid Base64 hash string parameter"),
      bad("a digest in base64url", sign, R"({"hashes":["47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU="]})",
          "Invalid Base64 hash string parameter"),
      bad("a digest of another algorithm", sign, R"({"hashes":[")" + encode_base64(Bytes(48)) + R"("]})", "Invalid digest value length"),
      bad("a digest that is base64 of base64", sign, R"({"hashes":[")" + encode_base64(as_bytes(digest43 + "=")) + R"("]})",
          "Invalid digest value length"),
      bad("a digest that was not approved", sign, R"({"hashes":[")" + digest43 + R"(="]})", "Hash is not authorized by the SAD."),
      bad("signAlgo missing", sign, R"({"signAlgo":null})", missing("signAlgo")),
      bad("signAlgo is a number", sign, R"({"signAlgo":1})", missing("signAlgo")),
      bad("signAlgo is unknown", sign, R"({"signAlgo":"1.2.3"})", invalid("signAlgo")),
      bad("signAlgo is SHA-1", sign, R"({"signAlgo":"1.2.840.113549.1.1.5"})", invalid("signAlgo")),
      bad("signAlgo of another kind of key", sign, R"({"signAlgo":"1.2.840.10045.4.3.2"})", invalid("signAlgo")),
      bad("PSS without parameters", sign, R"({"signAlgo":"1.2.840.113549.1.1.10"})", missing("signAlgoParams")),
      bad("PSS with rubbish for parameters", sign, R"({"signAlgo":"1.2.840.113549.1.1.10","signAlgoParams":"AQID"})",
          invalid("signAlgoParams")),
      bad("signAlgoParams is an object", sign, R"({"signAlgoParams":{}})", invalid("signAlgoParams")),
      bad("bare RSA without a hash", sign, R"({"signAlgo":"1.2.840.113549.1.1.1"})", missing("hashAlgorithmOID")),
      bad("hashAlgorithmOID is unknown", sign, R"({"hashAlgorithmOID":"1.2.3"})", invalid("hashAlgorithmOID")),
      bad("hashAlgorithmOID is a name", sign, R"({"hashAlgorithmOID":"SHA256"})", invalid("hashAlgorithmOID")),
      bad("hashAlgorithmOID contradicts", sign, R"({"hashAlgorithmOID":"2.16.840.1.101.3.4.2.3"})", invalid("hashAlgorithmOID")),
      bad("operationMode is another", sign, R"({"operationMode":"B"})", invalid("operationMode")),
      bad("an address for the answer", sign, R"({"operationMode":"A","response_uri":"https://client.example"})", invalid("response_uri")),
      bad("operationMode is a flag", sign, R"({"operationMode":false})", invalid("operationMode")),
      bad("clientData of signHash is an array", sign, R"({"clientData":[]})", invalid("clientData")),

      bad("credentialID of a transaction missing", open, R"({"credentialID":null})", missing("credentialID")),
      bad("credentialID of a transaction is unknown", open, R"({"credentialID":"nobody-1"})", invalid("credentialID")),
      bad("hashAlgorithmOID of a transaction missing", open, R"({"hashAlgorithmOID":null})", missing("hashAlgorithmOID")),
      bad("hashAlgorithmOID of a transaction is SHA-1", open, R"({"hashAlgorithmOID":"1.3.14.3.2.26"})", invalid("hashAlgorithmOID")),
      bad("documents missing", open, R"({"documents":null})", "Missing (or invalid type) array parameter documents"),
      bad("documents is an object", open, R"({"documents":{}})", "Missing (or invalid type) array parameter documents"),
      bad("documents is empty", open, R"({"documents":[]})", "Empty documents array"),
      bad("a document is a text", open, R"({"documents":["one"]})",
          "Missing (or invalid type) string parameter hash or label of a document"),
      bad("a document without a label", open, R"({"documents":[{"hash":")" + digest43 + R"(="}]})",
          "Missing (or invalid type) string parameter hash or label of a document"),
      bad("a document with a short digest", open, R"({"documents":[{"hash":"AAAA","label":"x"}]})", "Invalid digest value length"),
      bad("a document with a wrong encoding", open, R"({"documents":[{"hash":")" + digest43 + R"(","label":"x"}]})",
          "Invalid Base64 hash string parameter"),
      bad("a label that is empty", open, R"({"documents":[{"hash":")" + digest43 + R"(=","label":""}]})", invalid("label")),
      bad("a label that is oversized", open,
          R"({"documents":[{"hash":")" + digest43 + R"(=","label":")" + std::string(257, 'x') + R"("}]})", invalid("label")),
      bad("a label with a control character", open, R"({"documents":[{"hash":")" + digest43 + R"(=","label":"a\u0007b"}]})",
          invalid("label")),
      bad("suites is a text", open, R"({"suites":"rsa-pss-sha256"})", invalid("suites")),
      bad("suites names an unknown suite", open, R"({"suites":["rsa-md5"]})", invalid("suites")),
      bad("suites names another hash", open, R"({"suites":["rsa-pss-sha512"]})", invalid("suites")),
      bad("suites names one twice", open, R"({"suites":["rsa-pss-sha256","rsa-pss-sha256"]})", invalid("suites")),

      bad("signerID of an enrolment missing", enrol, R"({"signerID":null})", missing("signerID")),
      bad("signerID of an enrolment is no identifier", enrol, R"({"signerID":"a/b"})", invalid("signerID")),
      bad("signerID of a key missing", keys, R"({"signerID":null})", missing("signerID")),
      bad("algorithm of a key is unknown", keys, R"({"algorithm":"rsa1024"})", invalid("algorithm")),
      bad("algorithm of a key is a number", keys, R"({"algorithm":3072})", missing("algorithm")),
      bad("profile of a key is empty", keys, R"({"profile":""})", invalid("profile")),

      bad("message missing", messages, R"({"message":null})", missing("message")),
      bad("message is an object", messages, R"({"message":{}})", missing("message")),
      bad("message is no JWE", messages, R"({"message":"a.b.c.d.e"})", invalid("message")),
      bad("message is oversized", messages, R"({"message":")" + std::string(70000, 'a') + R"("})", invalid("message")),
  };
}

TEST_F(BadInput, EveryCaseHasItsStatusErrorAndText) {
  const auto table = cases();
  EXPECT_GE(table.size(), 60U);
  for (const auto& one : table) {
    SCOPED_TRACE(one.path + ": " + one.name);
    auto body = right_.at(one.path);
    body.merge_patch(must(json::parse(one.change, {.max_bytes = 128 * 1024})));
    expect_refused(world_.post(one.path, body, client_for(one.path)), one.status, one.error, one.description);
  }
  EXPECT_EQ(world_.sam->signs, 0U);
  EXPECT_EQ(world_.post(sign, right_.at(sign)).status, 200U) << "the body that every case changes is right";
}

TEST_F(BadInput, TheRightBodiesAreRight) {
  for (const auto& [path, body] : right_) {
    const auto answer = world_.post(path, body, client_for(path));
    EXPECT_EQ(answer.status, path == authorize ? 202U : 200U) << path << ": " << answer.body;
  }
}

TEST_F(BadInput, EveryProtectedEndpointAsksForAToken) {
  const auto other_issuer = must(crypto::make_jws(*world_.token_key, "at+jwt", must(crypto::jwk_thumbprint(world_.token_key->public_key())),
                                                  R"({"iss":"x","aud":"x","client_id":"any","scope":"service","exp":9999999999})"));
  for (const auto& path :
       {list, info, authorize, std::string("/csc/v2/credentials/authorizeCheck"), std::string("/csc/v2/credentials/getChallenge"),
        std::string("/csc/v2/signatures/signDoc"), std::string("/csc/v2/signatures/signPolling"), sign, open, enrol, keys, messages}) {
    SCOPED_TRACE(path);
    const auto body = right_.contains(path) ? json::encode(right_.at(path)) : std::string("{}");
    expect_refused(world_.send("POST", path, body, ""), 400, "invalid_request", malformed_header);
    expect_refused(world_.send("POST", path, body, "Basic YTpi"), 400, "invalid_request", malformed_header);
    expect_refused(world_.send("POST", path, body, "Bearer"), 400, "invalid_request", malformed_header);
    expect_refused(world_.send("POST", path, body, "Bearer rubbish"), 401, "invalid_token",
                   "The token provided is not a valid OAuth access or refresh token");
    expect_refused(world_.send("POST", path, body, "Bearer " + other_issuer), 401, "invalid_token",
                   "The token provided is not a valid OAuth access or refresh token");
    expect_refused(world_.send("POST", path, body, "Bearer " + world_.token("any", "another")), 401, "invalid_token",
                   "The token provided is not a valid OAuth access or refresh token");
  }
  for (const auto* path : {"/sic/v1/sam", "/sic/v1/receipts/1"})
    expect_refused(world_.send("GET", path, "", ""), 400, "invalid_request", malformed_header);
  const auto token = world_.token();
  world_.clock->advance(std::chrono::hours{2});
  expect_refused(world_.send("POST", list, "{}", "Bearer " + token), 401, "expired_token",
                 "The access or refresh token is expired or has been revoked");
}

TEST_F(BadInput, EveryEndpointRefusesBodiesThatAreNoObject) {
  for (const auto& path : {std::string("/csc/v2/info"), list, info, authorize, std::string("/csc/v2/credentials/authorizeCheck"),
                           std::string("/csc/v2/credentials/getChallenge"), std::string("/csc/v2/signatures/signDoc"),
                           std::string("/csc/v2/signatures/signPolling"), sign, open, enrol, keys, messages}) {
    for (const std::string body : {"[]", "5", "\"x\"", "{", "{\"a\":1}x", "{\"a\":1,\"a\":2}", "{\"a\":\"\xff\"}"}) {
      SCOPED_TRACE(path + " " + body);
      expect_refused(world_.send("POST", path, body, "Bearer " + world_.token()), 400, "invalid_request", malformed_body);
    }
    std::string deep;
    for (int i = 0; i < 100; ++i) deep += "{\"a\":";
    expect_refused(world_.send("POST", path, deep, "Bearer " + world_.token()), 400, "invalid_request", malformed_body);
  }
}

TEST_F(BadInput, NullIsTheSameAsAbsentAndUnknownMembersAreIgnored) {
  auto body = right_.at(sign);
  for (const auto* name : {"lang", "clientData", "signAlgoParams", "hashAlgorithmOID", "operationMode"}) body[name] = nullptr;
  body["client_Data"] = 5;
  body["validity_period"] = "ignored unless asynchronous";
  EXPECT_EQ(world_.post(sign, body).status, 200U);
  EXPECT_EQ(world_.post(list, {{"userID", "alice"}, {"credentialInfo", "true"}, {"only_valid", 1}}).status, 200U);
}

TEST_F(BadInput, MethodsThatAreNotImplementedSaySo) {
  for (const auto* path : {"/csc/v2/signatures/timestamp", "/csc/v2/credentials/create", "/csc/v2/credentials/delete", "/csc/v2/nothing"}) {
    SCOPED_TRACE(path);
    expect_refused(world_.send("POST", path, "{}", ""), 501, "not_implemented", "The method is not implemented");
  }
}

TEST_F(BadInput, ReceiptsAreAskedByNumberAndLeaf) {
  const auto leaf_of = [](const std::string& index) { return "?leaf=" + encode_base64url(crypto::sha256(as_bytes("entry " + index))); };
  EXPECT_EQ(world_.get("/sic/v1/receipts/7" + leaf_of("7")).status, 200U);
  for (const auto* index : {"x", "-1", "1x", "99999999999999999999999"}) {
    expect_refused(world_.get(std::string("/sic/v1/receipts/") + index + leaf_of("7")), 400, "invalid_request", invalid("index"));
  }
  for (const auto* query : {"", "?", "?leaf=", "?leaf=AAAA", "?leaf=%zz", "?leaves=AAAA"}) {
    expect_refused(world_.get(std::string("/sic/v1/receipts/7") + query), 400, "invalid_request", invalid("leaf"));
  }
  expect_refused(world_.get("/sic/v1/receipts/7" + leaf_of("8")), 404, "not_found", "There is no such object");
  expect_refused(world_.get("/sic/v1/receipts/11" + leaf_of("11")), 404, "not_found", "There is no such object");
}

TEST_F(BadInput, APinInTheBodyIsNeitherAcceptedNorEchoed) {
  testing::internal::CaptureStderr();
  auto with_pin = right_.at(authorize);
  with_pin["PIN"] = "CANARY-135790";
  for (const auto* client : {"any", "only-alice"}) {
    const auto answer = world_.post(authorize, with_pin, client);
    EXPECT_EQ(answer.status, 400U);
    EXPECT_EQ(answer.body.find("CANARY"), std::string::npos);
  }
  auto wrong = with_pin;
  wrong["credentialID"] = 5;
  EXPECT_EQ(world_.post(authorize, wrong).body.find("CANARY"), std::string::npos);
  EXPECT_EQ(testing::internal::GetCapturedStderr().find("CANARY"), std::string::npos);
  EXPECT_EQ(world_.sam->messages, 1U) << "the approval of the fixture alone";
}

}  // namespace
}  // namespace intaglio::ssa::csc
