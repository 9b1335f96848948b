#include "sealed/sealer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "base/check.h"
#include "base/log.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"

namespace intaglio::sealed {

namespace {

using KeyId = std::uint64_t;
constexpr std::size_t key_id_size = 8;
constexpr std::size_t key_size = 32;

/// TC-8: a data key is ended after 90 days or 2^31 records.
constexpr auto max_key_age = std::chrono::days(90);
constexpr std::uint64_t max_key_records = std::uint64_t{1} << 31U;
/// The count in the database runs ahead of the true one by up to this many, so that a crash never makes it too small.
constexpr std::uint64_t reserved_records = std::uint64_t{1} << 21U;

constexpr std::string_view record_kind = "record";
constexpr std::string_view index_kind = "index";

struct StoredKey {
  KeyId id;
  std::string kind;
  Bytes wrapped;
  UnixTime created;
  std::uint64_t records;
};

struct DataKey {
  Secret key;
  UnixTime created;
  std::uint64_t records;
};

/// What a wrapped key is bound to: its row cannot be made younger, nor serve as the other kind.
Bytes wrapping_context(KeyId id, std::string_view kind, UnixTime created) {
  Bytes context;
  append_field(context, std::string_view("intaglio/data-key/1"));
  append_field(context, id);
  append_field(context, kind);
  append_field(context, static_cast<std::uint64_t>(unix_seconds(created)));
  return context;
}

Bytes record_context(std::string_view table, ByteView id, std::uint64_t version) {
  Bytes context;
  context.reserve(64 + table.size() + id.size());
  append_field(context, std::string_view("intaglio/sealed/1"));
  append_field(context, table);
  append_field(context, id);
  append_field(context, version);
  return context;
}

void put_key_id(KeyId id, std::span<std::uint8_t> out) {
  for (std::size_t at = 0; at < key_id_size; ++at) out[at] = static_cast<std::uint8_t>(id >> (8U * (key_id_size - 1 - at)));
}

KeyId get_key_id(ByteView bytes) {
  KeyId id = 0;
  for (std::size_t at = 0; at < key_id_size; ++at) id = id << 8U | bytes[at];
  return id;
}

/// Random, so that a key which somebody deleted is never mistaken for a later one; positive, because SQL integers are signed.
Result<KeyId> random_key_id() {
  auto bytes = crypto::random_bytes(key_id_size);
  if (!bytes) return bytes.error();
  return (get_key_id(*bytes) >> 1U) | 1U;
}

Result<std::vector<StoredKey>> read_keys(storage::Database& database) {
  std::vector<StoredKey> keys;
  auto read = database.read([&](storage::Reader& reader) {
    return reader.query("SELECT id, kind, wrapped, created, records FROM sealed_data_keys ORDER BY created, id", {},
                        [&](const storage::Row& row) {
                          keys.push_back({static_cast<KeyId>(row.integer(0)), row.text(1), row.bytes(2), from_unix_seconds(row.integer(3)),
                                          static_cast<std::uint64_t>(row.integer(4))});
                          return true;
                        });
  });
  if (!read) return read.error();
  return keys;
}

}  // namespace

struct Sealer::State {
  storage::Database& database;
  std::shared_ptr<token::Token> token;
  token::ServiceKey sealing_key;

  std::map<KeyId, DataKey> keys;
  Secret index_key;
  KeyId current = 0;

  mutable std::atomic<std::uint64_t> records = 0;  ///< sealed with the current key, all in all
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::uint64_t reserved = 0;
  bool stopping = false;
  std::thread counter;

  State(storage::Database& owner, std::shared_ptr<token::Token> wrapper, token::ServiceKey key)
      : database(owner), token(std::move(wrapper)), sealing_key(std::move(key)) {}

  Status load(const StoredKey& stored);
  Status make(std::string_view kind, UnixTime now);
  Status choose_current(UnixTime now);
  Status reserve(std::uint64_t count);
  void keep_count();
  void stop();
};

Status Sealer::State::load(const StoredKey& stored) {
  auto key = token->decrypt(sealing_key, stored.wrapped, wrapping_context(stored.id, stored.kind, stored.created));
  if (!key) return key.error();
  if (key->size() != key_size) return Error{ErrorCode::storage_unavailable, "sealed: a data key of another length"};
  if (stored.kind == index_kind) {
    index_key = std::move(*key);
  } else {
    keys.insert_or_assign(stored.id, DataKey{std::move(*key), stored.created, stored.records});
  }
  return {};
}

Status Sealer::State::make(std::string_view kind, UnixTime now) {
  auto id = random_key_id();
  if (!id) return id.error();
  auto key = crypto::random_secret(key_size);
  if (!key) return key.error();
  auto wrapped = token->encrypt(sealing_key, key->reveal(), wrapping_context(*id, kind, now));
  if (!wrapped) return wrapped.error();
  auto written = database.write([&](storage::Transaction& transaction) -> Status {
    auto done = transaction.execute("INSERT INTO sealed_data_keys (id, kind, wrapped, created, records) VALUES (?1, ?2, ?3, ?4, 0)",
                                    {static_cast<std::int64_t>(*id), kind, ByteView(*wrapped), std::int64_t{unix_seconds(now)}});
    if (!done) return done.error();
    return {};
  });
  if (!written) return written;
  log::info("sealed.data_key_made", {{"kind", std::string(kind)}, {"id", std::to_string(*id)}});
  // What is used is what the token gives back, so that a key that could not be unwrapped later is noticed now.
  return load({*id, std::string(kind), std::move(*wrapped), now, 0});
}

Status Sealer::State::choose_current(UnixTime now) {
  const auto choose = [&] {
    current = 0;
    for (const auto& [id, key] : keys) {
      const bool ended = now - key.created >= max_key_age || key.records >= max_key_records;
      if (refused_by("sealed.data_key_ended", ended)) continue;
      if (current == 0 || keys.at(current).created < key.created) current = id;
    }
  };
  choose();
  if (current == 0) {
    if (auto made = make(record_kind, now); !made) return made;
    choose();
  }
  records = keys.at(current).records;
  return reserve(records + reserved_records);
}

Status Sealer::State::reserve(std::uint64_t count) {
  auto written = database.write([&](storage::Transaction& transaction) -> Status {
    auto done = transaction.execute("UPDATE sealed_data_keys SET records = ?2 WHERE id = ?1",
                                    {static_cast<std::int64_t>(current), static_cast<std::int64_t>(count)});
    if (!done) return done.error();
    return {};
  });
  if (!written) return written;
  const std::lock_guard lock(mutex);
  reserved = count;
  return {};
}

/// Keeps the stored count ahead. On a thread of its own, because records are sealed inside transactions.
void Sealer::State::keep_count() {
  std::unique_lock lock(mutex);
  const auto due = [this] { return records.load() + reserved_records / 2 > reserved; };
  for (;;) {
    changed.wait(lock, [&] { return stopping || due(); });
    if (stopping) return;
    const auto next = records.load() + reserved_records;
    lock.unlock();
    auto done = reserve(next);
    lock.lock();
    if (done) continue;
    log::refusal("sealed.count_failed", done.error());
    changed.wait_for(lock, std::chrono::seconds(1), [this] { return stopping; });
  }
}

void Sealer::State::stop() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  changed.notify_all();
  if (!counter.joinable()) return;
  counter.join();
  // The true count again, instead of the one that was reserved.
  if (auto done = reserve(records.load()); !done) log::refusal("sealed.count_failed", done.error());
}

Result<std::shared_ptr<Sealer>> Sealer::open(storage::Database& database, std::shared_ptr<token::Token> token,
                                             token::ServiceKey sealing_key, std::shared_ptr<const Clock> clock) {
  auto stored = read_keys(database);
  if (!stored) return stored.error();
  auto state = std::make_unique<State>(database, std::move(token), std::move(sealing_key));
  for (const auto& key : *stored) {
    if (auto loaded = state->load(key); !loaded) {
      return Error{loaded.error().code, "sealed: data key " + std::to_string(key.id) + " does not open: " + loaded.error().detail};
    }
  }
  const bool partial = !stored->empty() && (state->keys.empty() || state->index_key.empty());
  if (refused_by("sealed.keys_complete", partial)) {
    return Error{ErrorCode::storage_unavailable, "sealed: somebody removed data keys from the database"};
  }
  const auto now = clock->now();
  if (state->index_key.empty()) {
    if (auto made = state->make(index_kind, now); !made) return made.error();
  }
  if (auto chosen = state->choose_current(now); !chosen) return chosen.error();
  auto* raw = state.get();
  state->counter = std::thread([raw] { raw->keep_count(); });
  return std::shared_ptr<Sealer>(new Sealer(std::move(state)));
}

Sealer::Sealer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Sealer::~Sealer() { state_->stop(); }

Result<Bytes> Sealer::seal(std::string_view table, ByteView id, std::uint64_t version, ByteView plaintext) const {
  const auto count = state_->records.fetch_add(1, std::memory_order_relaxed) + 1;
  if (refused_by("sealed.data_key_used_up", count > max_key_records)) {
    return Error{ErrorCode::storage_unavailable, "sealed: the data key is used up; a restart makes the next one"};
  }
  if (count % (reserved_records / 4) == 0) state_->changed.notify_one();
  const auto context = record_context(table, id, version);
  const auto key = crypto::hkdf_sha256(state_->keys.at(state_->current).key.reveal(), {}, context, key_size);
  auto ciphertext = crypto::gcm_seal(key.reveal(), plaintext, context);
  if (!ciphertext) return ciphertext.error();
  std::array<std::uint8_t, key_id_size> prefix{};
  put_key_id(state_->current, prefix);
  ciphertext->insert(ciphertext->begin(), prefix.begin(), prefix.end());
  return ciphertext;
}

Result<Secret> Sealer::open_record(std::string_view table, ByteView id, std::uint64_t version, ByteView sealed) const {
  const auto refused = [&](std::string_view why) {
    return Error{ErrorCode::storage_unavailable, "sealed record refused: table " + std::string(table) + ": " + std::string(why)};
  };
  if (sealed.size() < key_id_size) return refused("too short");
  const auto found = state_->keys.find(get_key_id(sealed));
  if (found == state_->keys.end()) return refused("unknown data key");
  const auto context = record_context(table, id, version);
  const auto key = crypto::hkdf_sha256(found->second.key.reveal(), {}, context, key_size);
  auto plaintext = crypto::gcm_open(key.reveal(), sealed.subspan(key_id_size), context);
  if (!plaintext) return refused("edited, moved, or of another version");
  return plaintext;
}

Bytes Sealer::blind_index(std::string_view table, std::string_view column, ByteView value) const {
  Bytes message;
  append_field(message, std::string_view("intaglio/index/1"));
  append_field(message, table);
  append_field(message, column);
  append_field(message, value);
  const auto digest = crypto::hmac_sha256(state_->index_key.reveal(), message);
  wipe(message);
  return to_bytes(ByteView(digest));
}

Result<Secret> Sealer::derive(std::string_view purpose, std::uint64_t data_key_id) const {
  const auto found = state_->keys.find(data_key_id);
  if (found == state_->keys.end()) return Error{ErrorCode::not_found, "sealed: no data key of this id"};
  Bytes context;
  append_field(context, std::string_view("intaglio/derived/1"));
  append_field(context, purpose);
  return crypto::hkdf_sha256(found->second.key.reveal(), {}, context, key_size);
}

std::uint64_t Sealer::current_key_id() const noexcept { return state_->current; }

const std::vector<storage::Migration>& Sealer::migrations() {
  static const std::vector<storage::Migration> migrations = {
      {1,
       "CREATE TABLE sealed_data_keys ("
       "id INTEGER PRIMARY KEY, kind TEXT NOT NULL, wrapped BLOB NOT NULL, created INTEGER NOT NULL, records INTEGER NOT NULL)"},
  };
  return migrations;
}

}  // namespace intaglio::sealed
