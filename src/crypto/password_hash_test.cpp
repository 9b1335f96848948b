#include "crypto/password_hash.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "crypto/detail/argon2.h"

namespace intaglio::crypto {
namespace {

TEST(Argon2id, AgreesWithRfc9106) {
  const Bytes password(32, 1), salt(16, 2), secret(8, 3), associated(12, 4);
  std::array<std::uint8_t, 32> tag{};
  ASSERT_TRUE(detail::run_argon2id({password, salt, secret, associated, 32, 3, 4}, tag));
  EXPECT_EQ(encode_hex(tag), "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659");
}

TEST(Argon2id, CountsItsEvaluationsAndLeavesItsMemoryWiped) {
  const auto before = argon2_evaluations();
  const Secret pin(as_bytes("482913"));
  const auto first = argon2id(pin, Bytes(16, 9), {});
  const auto second = argon2id(pin, Bytes(16, 9), {});
  const auto other = argon2id(pin, Bytes(16, 8), {});
  ASSERT_TRUE(first && second && other);
  EXPECT_EQ(argon2_evaluations(), before + 3);
  EXPECT_TRUE(same_secret(first->reveal(), second->reveal()));
  EXPECT_FALSE(same_secret(first->reveal(), other->reveal()));
  EXPECT_TRUE(detail::argon2_arena_is_wiped());
}

TEST(Argon2id, GivesTheSameWhenManyThreadsWaitForOnePlace) {
  set_argon2_parallelism(1);
  const Secret pin(as_bytes("482913"));
  const Argon2Cost small{.memory_kib = 256, .passes = 1};
  const auto expected = argon2id(pin, Bytes(16, 9), small);
  std::atomic<int> same{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto mine = argon2id(pin, Bytes(16, 9), small);
      if (mine && same_secret(mine->reveal(), expected->reveal())) ++same;
    });
  }
  for (auto& thread : threads) thread.join();
  set_argon2_parallelism(2);
  EXPECT_EQ(same, 8);
}

TEST(Argon2id, RefusesASaltThatIsTooShort) { EXPECT_FALSE(argon2id(Secret(as_bytes("482913")), Bytes(4, 9), {})); }

TEST(Totp, AgreesWithRfc6238) {
  const Secret seed(as_bytes("12345678901234567890"));
  // The RFC prints eight digits; six are their end.
  const std::array<std::pair<std::uint64_t, std::string_view>, 6> vectors{{{59, "287082"},
                                                                           {1111111109, "081804"},
                                                                           {1111111111, "050471"},
                                                                           {1234567890, "005924"},
                                                                           {2000000000, "279037"},
                                                                           {20000000000, "353130"}}};
  for (const auto& [time, code] : vectors) {
    const Secret made = totp_code(seed, time / 30);
    EXPECT_EQ(as_text(made.reveal()), code);
  }
}

}  // namespace
}  // namespace intaglio::crypto
