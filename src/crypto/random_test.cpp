// The random method of OpenSSL 1.1 is deprecated, and still the only way to make the generator fail on purpose.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "crypto/random.h"

#include <gtest/gtest.h>
#include <openssl/rand.h>

#include "crypto/symmetric.h"

namespace intaglio::crypto {
namespace {

TEST(Random, RefusesInsteadOfGivingWeakerBytesWhenTheGeneratorFails) {
  RAND_METHOD failing{};
  failing.bytes = [](unsigned char*, int) { return 0; };
  ASSERT_EQ(RAND_set_rand_method(&failing), 1);
  const auto bytes = random_bytes(16);
  const auto secret = random_secret(16);
  const auto id = random_id();
  const auto sealed = gcm_seal(Bytes(32, 7), {}, {});
  RAND_set_rand_method(nullptr);
  ASSERT_FALSE(bytes);
  EXPECT_EQ(bytes.error().code, ErrorCode::internal);
  EXPECT_FALSE(secret);
  EXPECT_FALSE(id);
  EXPECT_FALSE(sealed);
  EXPECT_TRUE(random_bytes(16));
}

}  // namespace
}  // namespace intaglio::crypto
