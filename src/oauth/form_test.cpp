#include "oauth/form.h"

#include <gtest/gtest.h>

namespace intaglio::oauth {
namespace {

TEST(Form, ReadsNamesAndValuesWithEscapesAndPlus) {
  const auto form = Form::parse("grant_type=client_credentials&scope=a+b&x%5Fy=%41%2b%26");
  ASSERT_TRUE(form);
  EXPECT_EQ(*form->find("grant_type"), "client_credentials");
  EXPECT_EQ(*form->find("scope"), "a b");
  EXPECT_EQ(*form->find("x_y"), "A+&");
}

TEST(Form, TreatsAParameterWithoutAValueAsAbsent) {
  const auto form = Form::parse("client_id=&client_secret&a=1");
  ASSERT_TRUE(form);
  EXPECT_EQ(form->find("client_id"), nullptr);
  EXPECT_EQ(form->find("client_secret"), nullptr);
  EXPECT_NE(form->find("a"), nullptr);
}

TEST(Form, RefusesAParameterThatCameTwice) {
  EXPECT_FALSE(Form::parse("client_id=a&client_id=b"));
  EXPECT_FALSE(Form::parse("client_id=a&client%5fid=b"));
}

TEST(Form, RefusesBrokenPercentEscapes) {
  for (const auto* body : {"a=%", "a=%4", "a=%4g", "%zz=1", "a=b%"}) EXPECT_FALSE(Form::parse(body)) << body;
}

TEST(Form, RefusesMoreParametersThanAnyRequestHas) {
  std::string body;
  for (int i = 0; i < 65; ++i) body += "p" + std::to_string(i) + "=1&";
  EXPECT_FALSE(Form::parse(body));
}

}  // namespace
}  // namespace intaglio::oauth
