#include "custody/key_store.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <variant>

#include "crypto/cmp/test_responder.h"
#include "crypto/random.h"
#include "sealed/testing.h"
#include "storage/test_support.h"

namespace intaglio::custody {
namespace {

class KeyRecords : public ::testing::Test {
 protected:
  void SetUp() override {
    folder = std::filesystem::temp_directory_path() / ("intaglio-key-records-" + *crypto::random_id());
    std::filesystem::create_directories(folder);
    database = *storage::test::open_database(folder / "sam.db");
    ASSERT_TRUE(database->migrate({{1, sealed::Sealer::migrations().at(0).sql}, {2, KeyStore::migrations().at(0).sql}}));
    auto clock = std::make_shared<ManualClock>(*parse_utc("2026-11-20T12:00:00Z"));
    sealer = *sealed::open_testing_sealer(*database, Bytes(32, 7), clock, folder / "versions");
    store.emplace(sealer);
    ASSERT_TRUE(database->write([&](storage::Transaction& transaction) { return store->insert(transaction, record); }));
  }
  void TearDown() override {
    store.reset();
    sealer.reset();
    database.reset();
    std::filesystem::remove_all(folder);
  }

  /// What a transaction finds under the key, or the code of its refusal.
  std::variant<StoredKey, ErrorCode> found() {
    std::optional<StoredKey> latest;
    const auto read = database->write([&](storage::Transaction& transaction) -> Status {
      auto stored = store->find(transaction, record.id);
      if (!stored) return stored.error();
      latest = *std::move(stored);
      return {};
    });
    if (!read) return read.error().code;
    return *std::move(latest);
  }
  /// The state that the key is found in; fails the test where it is refused.
  KeyState state() {
    const auto latest = found();
    if (const auto* stored = std::get_if<StoredKey>(&latest)) return stored->record.state;
    ADD_FAILURE() << "refused";
    return KeyState::destroyed;
  }
  bool refused() {
    const auto latest = found();
    const auto* code = std::get_if<ErrorCode>(&latest);
    return code != nullptr && *code == ErrorCode::storage_unavailable;
  }
  struct Row {
    std::int64_t version;
    Bytes sealed;
  };
  Row row() {
    std::optional<Row> read;
    EXPECT_TRUE(database->read([&](storage::Reader& reader) -> Status {
      read = **reader.query_one<Row>("SELECT version, record FROM keys", {}, [](const storage::Row& columns) {
        return Row{columns.integer(0), columns.bytes(1)};
      });
      return {};
    }));
    return *read;
  }
  void put(const Row& edited) {
    ASSERT_TRUE(database->write([&](storage::Transaction& transaction) -> Status {
      auto done = transaction.execute("UPDATE keys SET version = ?1, record = ?2", {edited.version, ByteView(edited.sealed)});
      return done ? Status() : Status(done.error());
    }));
  }

  const KeyRecord record{.id = *KeyId::parse("key-a"),
                         .owner = *SignerId::parse("alice"),
                         .holder = Bytes(16, 1),
                         .state = KeyState::generated,
                         .algorithm = crypto::KeyAlgorithm::p256,
                         .spki = Bytes(91, 2),
                         .profile = "ades",
                         .created = *parse_utc("2026-11-20T12:00:00Z"),
                         .certificates = {},
                         .revoked = false,
                         .suspended_because = {}};
  std::filesystem::path folder;
  std::unique_ptr<storage::Database> database;
  std::shared_ptr<sealed::Sealer> sealer;
  std::optional<KeyStore> store;
};

TEST_F(KeyRecords, AreFoundAsTheyStandHoweverOftenTheyWereOpenedBefore) {
  EXPECT_EQ(state(), KeyState::generated);
  EXPECT_EQ(state(), KeyState::generated);
  auto changed = std::get<StoredKey>(found());
  changed.record.state = KeyState::assigned;
  ASSERT_TRUE(database->write([&](storage::Transaction& transaction) { return store->update(transaction, changed); }));
  EXPECT_EQ(state(), KeyState::assigned);
  const auto latest = std::get<StoredKey>(found());
  EXPECT_EQ(latest.version, 2U);
  EXPECT_EQ(latest.record.owner, record.owner);
  EXPECT_EQ(latest.record.spki, record.spki);
}

TEST_F(KeyRecords, AreRefusedWhenOneOctetWasEditedAfterTheyWereOpened) {
  EXPECT_EQ(state(), KeyState::generated);
  const auto untouched = row();
  for (const std::size_t at : {std::size_t{0}, untouched.sealed.size() / 2, untouched.sealed.size() - 1}) {
    auto edited = untouched;
    edited.sealed[at] ^= 1U;
    put(edited);
    EXPECT_TRUE(refused()) << at;
  }
  auto longer = untouched;
  longer.sealed.push_back(0);
  put(longer);
  EXPECT_TRUE(refused());
  auto shorter = untouched;
  shorter.sealed.pop_back();
  put(shorter);
  EXPECT_TRUE(refused());
  put(untouched);
  EXPECT_EQ(state(), KeyState::generated);
}

TEST_F(KeyRecords, AreRefusedUnderAnotherVersionAndWhenPutBackThoughTheyWereOpenedBefore) {
  EXPECT_EQ(state(), KeyState::generated);
  const auto earlier = row();
  auto renumbered = earlier;
  renumbered.version = 2;
  put(renumbered);
  EXPECT_TRUE(refused());
  put(earlier);
  auto changed = std::get<StoredKey>(found());
  changed.record.state = KeyState::assigned;
  ASSERT_TRUE(database->write([&](storage::Transaction& transaction) { return store->update(transaction, changed); }));
  EXPECT_EQ(state(), KeyState::assigned);
  put(earlier);
  EXPECT_TRUE(refused());
}

/// Keys whose certificates a list may name.
class ListedKeys : public KeyRecords {
 protected:
  void add(const std::string& id, const std::string& issuer, const Bytes& serial, KeyState state, bool revoked) {
    crypto::testing::CertificateDraft draft;
    draft.issuer = issuer;
    draft.subject = id;
    draft.serial = serial;
    const auto certificate = crypto::testing::make_certificate(draft, key_->public_key().spki(), *key_);
    KeyRecord added = record;
    added.id = *KeyId::parse(id);
    added.spki = to_bytes(as_bytes(id));
    ASSERT_TRUE(database->write([&](storage::Transaction& transaction) -> Status {
      if (auto done = store->insert(transaction, added); !done) return done;
      auto stored = store->find(transaction, added.id);
      if (!stored) return stored.error();
      (*stored)->record.certificates = {certificate.der()};
      (*stored)->record.state = state;
      (*stored)->record.revoked = revoked;
      return store->update(transaction, **stored);
    }));
    issuer_der = certificate.issuer_der();
  }
  [[nodiscard]] bool is_found(const Bytes& serial) {
    bool is = false;
    EXPECT_TRUE(database->read([&](storage::Reader& reader) -> Status {
      const auto stored = store->with_certificate(reader, issuer_der, encode_hex(serial));
      if (!stored) return stored.error();
      is = stored->has_value();
      return {};
    }));
    return is;
  }
  std::shared_ptr<crypto::SoftwareKey> key_ = *crypto::SoftwareKey::generate();
  Bytes issuer_der;
};

TEST_F(ListedKeys, AreFoundUntilTheyAreRevokedAndEnded) {
  for (const auto state : {KeyState::assigned, KeyState::suspended, KeyState::destroyed, KeyState::inactive}) {
    for (const bool revoked : {false, true}) {
      const bool over = revoked && (state == KeyState::destroyed || state == KeyState::inactive);
      const auto number = static_cast<std::uint8_t>(0x51 + 2 * static_cast<int>(state) + (revoked ? 1 : 0));
      add("key-" + std::to_string(number), "A CA", Bytes{number}, state, revoked);
      EXPECT_EQ(is_found(Bytes{number}), !over) << static_cast<int>(state) << revoked;
    }
  }
}

}  // namespace
}  // namespace intaglio::custody
