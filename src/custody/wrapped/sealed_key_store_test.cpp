#include <gtest/gtest.h>

#include <filesystem>

#include "crypto/random.h"
#include "custody/mode.h"
#include "custody/test_support.h"
#include "custody/wrapped/sealed_key_store.h"
#include "sealed/testing.h"
#include "storage/test_support.h"

namespace intaglio::custody {
namespace {

using testing::code_of;

class SealedKeys : public ::testing::Test {
 protected:
  void SetUp() override {
    folder = std::filesystem::temp_directory_path() / ("intaglio-sealed-keys-" + *crypto::random_id());
    std::filesystem::create_directories(folder);
    database = *storage::test::open_database(folder / "sam.db");
    ASSERT_TRUE(database->migrate({{1, sealed::Sealer::migrations().at(0).sql}, {2, SealedKeyStore::migrations().at(0).sql}}));
    auto clock = std::make_shared<ManualClock>(*parse_utc("2026-11-20T12:00:00Z"));
    sealer = *sealed::open_testing_sealer(*database, Bytes(32, 7), clock, folder / "versions");
    store.emplace(sealer);
  }
  void TearDown() override {
    store.reset();
    sealer.reset();
    database.reset();
    std::filesystem::remove_all(folder);
  }
  /// How a transaction with the store ended.
  std::optional<ErrorCode> tried(const std::function<Status(storage::Transaction&)>& work) {
    auto done = database->write(work);
    return done ? std::nullopt : std::optional(done.error().code);
  }
  std::optional<StoredSealedKey> found() {
    std::optional<StoredSealedKey> latest;
    EXPECT_EQ(tried([&](storage::Transaction& transaction) -> Status {
                auto stored = store->find(transaction, key);
                if (!stored) return stored.error();
                latest = *std::move(stored);
                return {};
              }),
              std::nullopt);
    return latest;
  }

  const KeyId key = *KeyId::parse("key-a");
  const SealedKeyRow row{"pkcs11-wrap", 7, {Bytes(96, 1), Bytes(72, 2)}};
  std::filesystem::path folder;
  std::unique_ptr<storage::Database> database;
  std::shared_ptr<sealed::Sealer> sealer;
  std::optional<SealedKeyStore> store;
};

TEST_F(SealedKeys, AreFoundAsTheyWereSealedAndOnceForAKey) {
  EXPECT_FALSE(found());
  ASSERT_EQ(tried([&](auto& transaction) { return store->insert(transaction, key, row); }), std::nullopt);
  const auto kept = found();
  ASSERT_TRUE(kept);
  EXPECT_EQ(kept->row.provider, "pkcs11-wrap");
  EXPECT_EQ(kept->row.policy_version, 7U);
  EXPECT_EQ(kept->row.sealed.blob, row.sealed.blob);
  EXPECT_EQ(kept->row.sealed.locked, row.sealed.locked);
  EXPECT_EQ(tried([&](auto& transaction) { return store->insert(transaction, key, row); }), ErrorCode::conflict);
}

TEST_F(SealedKeys, AreReplacedByWhoeverSawTheLatestAlone) {
  ASSERT_EQ(tried([&](auto& transaction) { return store->insert(transaction, key, row); }), std::nullopt);
  const SealedKeyRow next{"pkcs11-wrap", 8, {Bytes(96, 3), Bytes(72, 4)}};
  ASSERT_EQ(tried([&](auto& transaction) { return store->replace(transaction, key, 1, next); }), std::nullopt);
  EXPECT_EQ(found()->row.sealed.blob, next.sealed.blob);
  EXPECT_TRUE(tried([&](auto& transaction) { return store->replace(transaction, key, 1, row); }));
  EXPECT_EQ(found()->row.sealed.blob, next.sealed.blob);
}

TEST_F(SealedKeys, LeaveATombstoneThatNothingReplaces) {
  ASSERT_EQ(tried([&](auto& transaction) { return store->insert(transaction, key, row); }), std::nullopt);
  ASSERT_EQ(tried([&](auto& transaction) { return store->destroy(transaction, key); }), std::nullopt);
  EXPECT_FALSE(found());
  EXPECT_EQ(tried([&](auto& transaction) { return store->destroy(transaction, key); }), std::nullopt) << "twice is once";
  EXPECT_EQ(tried([&](auto& transaction) { return store->insert(transaction, key, row); }), ErrorCode::conflict);
  EXPECT_EQ(tried([&](auto& transaction) { return store->replace(transaction, key, 1, row); }), ErrorCode::storage_unavailable);
  // Without its tombstone the key has been there all the same.
  ASSERT_EQ(tried([&](storage::Transaction& transaction) -> Status {
              auto gone = transaction.execute("DELETE FROM wrapped_keys", {});
              return gone ? Status() : Status(gone.error());
            }),
            std::nullopt);
  EXPECT_EQ(tried([&](auto& transaction) { return store->insert(transaction, key, row); }), ErrorCode::storage_unavailable);
}

TEST(CustodyMode, HasAName) {
  for (const auto mode : {Mode::resident, Mode::wrapped, Mode::one_time}) EXPECT_EQ(*parse_mode(name_of(mode)), mode);
  for (const auto* name : {"", "Resident", "one_time"}) EXPECT_EQ(code_of(parse_mode(name)), ErrorCode::invalid_request);
}

}  // namespace
}  // namespace intaglio::custody
