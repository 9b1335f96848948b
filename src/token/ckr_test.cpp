#include "token/detail/ckr.h"

#include <gtest/gtest.h>

#include <set>

namespace intaglio::token::detail {
namespace {

TEST(CkrTable, HoldsEveryCodeOnceAndByItsName) {
  std::set<CK_RV> values;
  std::set<std::string_view> names;
  for (const auto& row : ckr_table()) {
    EXPECT_TRUE(values.insert(row.value).second) << row.name;
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
    EXPECT_EQ(&describe(row.value), &row);
  }
  EXPECT_EQ(ckr_table().size(), 95U);
  EXPECT_EQ(index_of(CKR_OK), 0U);
}

TEST(CkrTable, SaysOfNoCodeThatItDoesNotKnowThatItIsDefinite) {
  EXPECT_FALSE(describe(CKR_VENDOR_DEFINED + 17).definite);
  EXPECT_FALSE(describe(0x4242).definite);
  EXPECT_FALSE(describe(CKR_OK).definite);
  EXPECT_EQ(class_of(0x4242), CkrClass::general);
  EXPECT_TRUE(describe(CKR_KEY_FUNCTION_NOT_PERMITTED).definite);
}

TEST(CkrTable, GivesTheErrorThatItsClassMeans) {
  EXPECT_EQ(error_of("C_Sign", CKR_DEVICE_REMOVED).code, ErrorCode::token_unavailable);
  EXPECT_EQ(error_of("C_Sign", CKR_DEVICE_REMOVED).detail, "C_Sign: CKR_DEVICE_REMOVED");
  EXPECT_EQ(error_of("C_Login", CKR_PIN_INCORRECT).code, ErrorCode::configuration);
  EXPECT_EQ(error_of("C_OpenSession", CKR_SESSION_COUNT).code, ErrorCode::busy);
  EXPECT_EQ(error_of("C_SignInit", CKR_MECHANISM_INVALID).code, ErrorCode::unsupported);
  EXPECT_EQ(error_of("C_SignInit", 0x80000001).detail, "C_SignInit: CKR_VENDOR_DEFINED (2147483649)");
}

}  // namespace
}  // namespace intaglio::token::detail
