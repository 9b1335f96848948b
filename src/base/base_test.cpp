#include <gtest/gtest.h>

#include <filesystem>

#include "base/clock.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/log.h"
#include "base/sanitized.h"
#include "base/secret.h"

namespace intaglio {
namespace {

static_assert(!std::is_copy_constructible_v<Secret>);

TEST(ErrorTable, GivesEveryCodeItsOwnWireNumberAndBack) {
  for (unsigned code = 0; code <= static_cast<unsigned>(ErrorCode::internal); ++code) {
    EXPECT_EQ(from_wire_number(wire_number(static_cast<ErrorCode>(code))), static_cast<ErrorCode>(code));
  }
  EXPECT_EQ(from_wire_number(9999), ErrorCode::internal);
}

TEST(Secret, RefusesWhatDoesNotFitAndKeepsRoomForSmallOnes) {
  std::vector<Secret> large;
  EXPECT_THROW(
      {
        for (;;) large.push_back(Secret::of_size(60'000));
      },
      SecretsExhausted);
  EXPECT_THROW((void)Secret::of_size(std::size_t{1} << 40U), SecretsExhausted);
  EXPECT_GE(large.size(), 8U);
  std::vector<Secret> small;
  for (int at = 0; at < 200; ++at) small.push_back(Secret::of_size(256));
  small.clear();
  large.pop_back();
  EXPECT_EQ(Secret::of_size(60'000).size(), 60'000U) << "what was given back is given again";
}

#ifndef INTAGLIO_SANITIZED
TEST(Heap, ABlockIsWipedWhenItIsFreed) {
  // The allocator keeps blocks of this size for the next that asks.
  constexpr std::size_t size = 1000;
  auto* const block = static_cast<std::uint8_t*>(::operator new(size));
  std::memset(block, 0x5a, size);
  const auto address = reinterpret_cast<std::uintptr_t>(block);
  ::operator delete(block);
  auto* const again = static_cast<const volatile std::uint8_t*>(std::malloc(size));
  ASSERT_EQ(reinterpret_cast<std::uintptr_t>(again), address) << "the allocator gives the block again";
  std::size_t left = 0;
  for (std::size_t at = 0; at < size; ++at) left += again[at] == 0x5a ? 1U : 0U;
  std::free(const_cast<std::uint8_t*>(again));
  EXPECT_LT(left, 4U);
}
#endif

TEST(Secret, MovesAndLeavesNothingBehind) {
  Secret first(as_bytes("1234"));
  const Secret second(std::move(first));
  EXPECT_TRUE(first.empty());  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(same_secret(second.reveal(), as_bytes("1234")));
  EXPECT_FALSE(same_secret(second.reveal(), as_bytes("1235")));
}

TEST(Time, IsWrittenAndReadInOneForm) {
  EXPECT_EQ(format_utc(from_unix_seconds(1795171020)), "2026-11-20T10:37:00Z");
  EXPECT_EQ(unix_seconds(*parse_utc("2026-11-20T10:37:00Z")), 1795171020);
  EXPECT_FALSE(parse_utc("2026-02-30T10:37:00Z"));
  EXPECT_FALSE(parse_utc("2026-11-20T10:37:00+"));
}

TEST(Ids, RefuseWhatIsNotAnIdentifier) {
  EXPECT_TRUE(SignerId::parse("alice-1"));
  EXPECT_FALSE(SignerId::parse(""));
  EXPECT_FALSE(SignerId::parse("a b"));
  EXPECT_FALSE(SignerId::parse(std::string(65, 'a')));
}

TEST(Log, QuotesWhateverItIsGiven) { EXPECT_EQ(log::json_quoted("a\"\n\xff"), "\"a\\u0022\\u000a\xef\xbf\xbd\""); }

TEST(SecretFile, IsRefusedWhenOthersMayReadIt) {
  const auto path = std::filesystem::temp_directory_path() / "intaglio-secret-file-test";
  ASSERT_TRUE(write_file_durably(path, as_bytes("1234\n"), 0640));
  EXPECT_EQ(read_secret_file(path, 100).error().code, ErrorCode::configuration);
  ASSERT_TRUE(write_file_durably(path, as_bytes("1234\n"), 0600));
  EXPECT_TRUE(same_secret(read_secret_file(path, 100)->reveal(), as_bytes("1234")));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace intaglio
