#include "json/json.h"

#include <gtest/gtest.h>

namespace intaglio::json {
namespace {

ErrorCode refusal_of(std::string_view text, const Bounds& bounds = {}) {
  const auto parsed = parse(text, bounds);
  EXPECT_FALSE(parsed) << text;
  return parsed ? ErrorCode::internal : parsed.error().code;
}

TEST(Json, IsReadAndWrittenWithSortedMembers) {
  const auto value = parse(R"( {"b": [1, -2, 2.5, true, null, "\u00e4"], "a": {"c": {}}} )");
  ASSERT_TRUE(value);
  EXPECT_EQ(encode(*value), "{\"a\":{\"c\":{}},\"b\":[1,-2,2.5,true,null,\"\xc3\xa4\"]}");
}

TEST(Json, RefusesAMemberThatStandsTwiceAtAnyDepth) {
  EXPECT_EQ(refusal_of(R"({"alg":"none","alg":"ES256"})"), ErrorCode::invalid_request);
  EXPECT_EQ(refusal_of(R"({"a":[{"b":1,"b":1}]})"), ErrorCode::invalid_request);
  EXPECT_EQ(refusal_of(R"({"a":1,"\u0061":2})"), ErrorCode::invalid_request);
  EXPECT_TRUE(parse(R"({"a":{"a":1},"b":{"a":1}})"));
}

TEST(Json, SaysWhichMemberStandsTwice) { EXPECT_NE(parse(R"({"x":1,"alg":2,"alg":3})").error().detail.find("alg"), std::string::npos); }

TEST(Json, RefusesDepthBeyondItsBound) {
  EXPECT_TRUE(parse(std::string(32, '[') + std::string(32, ']')));
  EXPECT_EQ(refusal_of(std::string(33, '[') + std::string(33, ']')), ErrorCode::invalid_request);
  EXPECT_EQ(refusal_of(std::string(60000, '[')), ErrorCode::invalid_request);
}

TEST(Json, RefusesMoreMembersThanAllowed) {
  EXPECT_TRUE(parse("[1,2,3]", {.max_members = 4}));
  EXPECT_EQ(refusal_of("[1,2,3]", {.max_members = 3}), ErrorCode::invalid_request);
}

TEST(Json, RefusesMoreBytesThanAllowed) {
  EXPECT_EQ(refusal_of("[1,2,3]", {.max_bytes = 6}), ErrorCode::too_large);
  EXPECT_TRUE(parse("[1,2,3]", {.max_bytes = 7}));
}

TEST(Json, RefusesWhatIsNotJson) {
  for (const std::string_view text : {"", " ", "{", "[1,]", "{'a':1}", "NaN", "[Infinity]", "1e999", "[1] x", "[1][2]", "// c\n1",
                                      "\"\x01\"", "\"\xff\"", "\"\xc0\xaf\"", "\"\\ud800\"", "\xef\xbb\xbf{}", "01", "+1", "tru"}) {
    EXPECT_EQ(refusal_of(text), ErrorCode::invalid_request);
  }
}

TEST(Json, RefusesANulByteAndWhateverHidesBehindIt) {
  EXPECT_EQ(refusal_of(std::string_view("{}\0", 3)), ErrorCode::invalid_request);
  EXPECT_EQ(refusal_of(std::string_view("{}\0{\"a\":1}", 10)), ErrorCode::invalid_request);
}

TEST(JsonMember, IsAbsentWhenItIsNull) {
  const auto value = *parse(R"({"a":null,"b":0})");
  EXPECT_EQ(member(value, "a"), nullptr);
  EXPECT_NE(member(value, "b"), nullptr);
  EXPECT_EQ(member(value, "c"), nullptr);
  EXPECT_EQ(member(*parse("[]"), "a"), nullptr);
}

TEST(JsonMember, IsReadWithItsTypeAndBounds) {
  const auto value = *parse(R"({"t":"text","n":-5,"big":18446744073709551615,"f":1.0,"b":"AQI","pad":"AQI="})");
  EXPECT_EQ(*text_member(value, "t"), "text");
  EXPECT_FALSE(text_member(value, "t", 3));
  EXPECT_FALSE(text_member(value, "n"));
  EXPECT_EQ(*integer_member(value, "n"), -5);
  EXPECT_FALSE(integer_member(value, "big"));
  EXPECT_FALSE(integer_member(value, "f"));
  EXPECT_FALSE(integer_member(value, "t"));
  EXPECT_EQ(*base64url_member(value, "b"), (Bytes{1, 2}));
  EXPECT_FALSE(base64url_member(value, "b", 1));
  EXPECT_FALSE(base64url_member(value, "pad"));
  EXPECT_NE(text_member(value, "absent").error().detail.find("\"absent\""), std::string::npos);
}

}  // namespace
}  // namespace intaglio::json
