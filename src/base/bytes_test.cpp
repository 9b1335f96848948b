#include "base/bytes.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace intaglio {
namespace {

// RFC 4648 section 10.
TEST(Base64, MatchesTheVectorsOfRfc4648) {
  EXPECT_EQ(encode_base64(as_bytes("foob")), "Zm9vYg==");
  EXPECT_EQ(encode_base64(as_bytes("fooba")), "Zm9vYmE=");
  EXPECT_EQ(encode_base64(as_bytes("foobar")), "Zm9vYmFy");
  EXPECT_EQ(encode_base32(as_bytes("foobar")), "MZXW6YTBOI");
}

TEST(Base64, RefusesTextsThatWouldMeanTheSameBytes) {
  EXPECT_FALSE(parse_base64("Zm9vYh=="));
  EXPECT_FALSE(parse_base64("Zm9vYg"));
  EXPECT_FALSE(parse_base64("Zm9v\nYg=="));
  EXPECT_FALSE(parse_base64("Zg==Zg=="));
  EXPECT_FALSE(parse_base64url("Zm9vYg=="));
  EXPECT_FALSE(parse_base64url("Zm9vYh"));
  EXPECT_FALSE(parse_base64("===="));
}

RC_GTEST_PROP(Encodings, EveryEncodingReturnsWhatItWasGiven, (const std::vector<std::uint8_t>& bytes)) {
  RC_ASSERT(*parse_base64(encode_base64(bytes)) == bytes);
  RC_ASSERT(*parse_base64url(encode_base64url(bytes)) == bytes);
  RC_ASSERT(*parse_base32(encode_base32(bytes)) == bytes);
  RC_ASSERT(*parse_hex(encode_hex(bytes)) == bytes);
}

TEST(Fields, AreReadBackAndNothingMayBeLeftOver) {
  Bytes out;
  append_field(out, std::string_view("abc"));
  append_field(out, std::uint64_t{7});
  FieldReader reader(out);
  EXPECT_EQ(*reader.text(3), "abc");
  EXPECT_FALSE(reader.end());
  EXPECT_EQ(*reader.number(), 7U);
  EXPECT_TRUE(reader.end());
  FieldReader short_bound(out);
  EXPECT_FALSE(short_bound.text(2));
}

}  // namespace
}  // namespace intaglio
