#include "sealed/sealer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <utility>

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
/// The next key is made this much earlier, so that a token that is away for a while stops nothing.
constexpr auto early_age = std::chrono::days(1);
constexpr std::uint64_t early_records = std::uint64_t{1} << 24U;
constexpr auto watch_interval = std::chrono::seconds(1);
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
  KeyId id;
  Secret key;
  UnixTime created;
  std::atomic<std::uint64_t> records;  ///< sealed with it, all in all
};

bool is_old(const DataKey& key, UnixTime now) { return now - key.created >= max_key_age; }
bool is_used_up(const DataKey& key) { return key.records.load() >= max_key_records; }
bool ends_soon(const DataKey& key, UnixTime now) {
  return now - key.created >= max_key_age - early_age || key.records.load() >= max_key_records - early_records;
}

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

Bytes index_of(const Secret& index_key, std::string_view table, std::string_view column, ByteView value) {
  Bytes message;
  append_field(message, std::string_view("intaglio/index/1"));
  append_field(message, table);
  append_field(message, column);
  append_field(message, value);
  const auto digest = crypto::hmac_sha256(index_key.reveal(), message);
  wipe(message);
  return to_bytes(ByteView(digest));
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
  std::shared_ptr<const Clock> clock;

  mutable std::shared_mutex ring_mutex;
  std::map<KeyId, std::shared_ptr<DataKey>> keys;  ///< a key never leaves: what it sealed must open
  std::shared_ptr<DataKey> current;
  std::atomic<bool> overdue = false;  ///< the current key has ended and there is no next one
  Secret index_key;
  std::shared_ptr<Versions> versions;

  std::mutex rotation;
  mutable std::mutex mutex;
  mutable std::condition_variable changed;
  std::uint64_t reserved = 0;  ///< stored as the count of the current key
  bool stopping = false;
  std::thread keeper;

  State(storage::Database& owner, std::shared_ptr<token::Token> wrapper, token::ServiceKey key, std::shared_ptr<const Clock> time)
      : database(owner), token(std::move(wrapper)), sealing_key(std::move(key)), clock(std::move(time)) {}

  [[nodiscard]] std::shared_ptr<DataKey> current_key() const;
  [[nodiscard]] std::shared_ptr<DataKey> find(KeyId id) const;
  Status load(const StoredKey& stored);
  [[nodiscard]] Result<Secret> unwrap(const StoredKey& stored) const;
  void keep_key(const StoredKey& stored, Secret key);
  [[nodiscard]] std::shared_ptr<DataKey> youngest(UnixTime now) const;
  Status adopt();
  Status make(std::string_view kind, UnixTime now);
  Status choose_current(UnixTime now);
  Status reserve(DataKey& key, std::uint64_t count);
  void give_back(const DataKey& key);
  Status rotate_if_due();
  void keep();
  void stop();
};

std::shared_ptr<DataKey> Sealer::State::current_key() const {
  const std::shared_lock lock(ring_mutex);
  return current;
}

std::shared_ptr<DataKey> Sealer::State::find(KeyId id) const {
  const std::shared_lock lock(ring_mutex);
  const auto found = keys.find(id);
  return found == keys.end() ? nullptr : found->second;
}

Result<Secret> Sealer::State::unwrap(const StoredKey& stored) const {
  auto key = token->decrypt(sealing_key, stored.wrapped, wrapping_context(stored.id, stored.kind, stored.created));
  if (!key) return key.error();
  if (key->size() != key_size) return Error{ErrorCode::storage_unavailable, "sealed: a data key of another length"};
  return key;
}

void Sealer::State::keep_key(const StoredKey& stored, Secret key) {
  if (stored.kind == index_kind) {
    index_key = std::move(key);
  } else {
    auto loaded = std::make_shared<DataKey>(stored.id, std::move(key), stored.created, stored.records);
    const std::unique_lock lock(ring_mutex);
    // Two threads may have read the same row: the count of the object that is in use goes on.
    keys.try_emplace(stored.id, std::move(loaded));
  }
}

Status Sealer::State::load(const StoredKey& stored) {
  auto key = unwrap(stored);
  if (!key) return key.error();
  keep_key(stored, std::move(*key));
  return {};
}

Status Sealer::State::make(std::string_view kind, UnixTime now) {
  auto id = random_key_id();
  if (!id) return id.error();
  auto key = crypto::random_secret(key_size);
  if (!key) return key.error();
  auto wrapped = token->encrypt(sealing_key, key->reveal(), wrapping_context(*id, kind, now));
  if (!wrapped) return wrapped.error();
  // What is used is what the token gives back: a key that it would not unwrap later is noticed before its row stands.
  const StoredKey stored{*id, std::string(kind), std::move(*wrapped), now, 0};
  auto unwrapped = unwrap(stored);
  if (!unwrapped) return unwrapped.error();
  auto written = database.write([&](storage::Transaction& transaction) -> Status {
    auto done =
        transaction.execute("INSERT INTO sealed_data_keys (id, kind, wrapped, created, records) VALUES (?1, ?2, ?3, ?4, 0)",
                            {static_cast<std::int64_t>(stored.id), kind, ByteView(stored.wrapped), std::int64_t{unix_seconds(now)}});
    if (!done) return done.error();
    return {};
  });
  if (!written) return written;
  keep_key(stored, std::move(*unwrapped));
  log::info("sealed.data_key_made", {{"kind", std::string(kind)}, {"id", std::to_string(stored.id)}});
  return {};
}

/// Record keys whose rows stand and that are not known here: of a commit whose success was never told, or of another node.
Status Sealer::State::adopt() {
  auto stored = read_keys(database);
  if (!stored) return stored.error();
  for (const auto& key : *stored) {
    if (key.kind != record_kind || find(key.id)) continue;
    if (auto loaded = load(key); !loaded) return loaded;
  }
  return {};
}

std::shared_ptr<DataKey> Sealer::State::youngest(UnixTime now) const {
  const std::shared_lock lock(ring_mutex);
  std::shared_ptr<DataKey> best;
  // Of two that are equally old the less used one is the successor.
  const auto rank = [](const DataKey& one) { return std::pair(one.created, ~one.records.load()); };
  for (const auto& [id, key] : keys) {
    if (refused_by("sealed.data_key_ended", is_old(*key, now) || is_used_up(*key))) continue;
    if (!best || rank(*best) < rank(*key)) best = key;
  }
  return best;
}

Status Sealer::State::choose_current(UnixTime now) {
  auto chosen = youngest(now);
  if (!chosen) {
    if (auto made = make(record_kind, now); !made) return made;
    chosen = youngest(now);
  }
  // Before the first record under it, so that the stored count is never behind.
  if (auto counted = reserve(*chosen, reserved_records); !counted) return counted;
  const std::unique_lock lock(ring_mutex);
  current = std::move(chosen);
  return {};
}

/// Adds `count` records to those that may be sealed with this key before the next time. Several nodes may count with one key: what is
/// stored is the sum of what each has taken, so what another took meanwhile is counted as used.
Status Sealer::State::reserve(DataKey& key, std::uint64_t count) {
  std::uint64_t stored = 0;
  auto written = database.write([&](storage::Transaction& transaction) -> Status {
    auto read =
        transaction.query_one<std::int64_t>("SELECT records FROM sealed_data_keys WHERE id = ?1", {static_cast<std::int64_t>(key.id)},
                                            [](const storage::Row& row) { return row.integer(0); });
    if (!read) return read.error();
    if (!*read) return Error{ErrorCode::storage_unavailable, "sealed: somebody removed a data key from the database"};
    stored = static_cast<std::uint64_t>(**read);
    auto done = transaction.execute("UPDATE sealed_data_keys SET records = ?2 WHERE id = ?1",
                                    {static_cast<std::int64_t>(key.id), static_cast<std::int64_t>(stored + count)});
    return done ? Status() : Status(done.error());
  });
  if (!written) return written;
  const std::lock_guard lock(mutex);
  if (stored != reserved) {
    for (auto used = key.records.load(); used < stored && !key.records.compare_exchange_weak(used, stored);) {}
  }
  reserved = stored + count;
  return {};
}

/// The true count again, instead of the one that was reserved, unless another node has counted on from there.
void Sealer::State::give_back(const DataKey& key) {
  auto done = database.write([&](storage::Transaction& transaction) -> Status {
    auto set = transaction.execute(
        "UPDATE sealed_data_keys SET records = ?2 WHERE id = ?1 AND records = ?3",
        {static_cast<std::int64_t>(key.id), static_cast<std::int64_t>(key.records.load()), static_cast<std::int64_t>(reserved)});
    return set ? Status() : Status(set.error());
  });
  if (!done) log::refusal("sealed.data_key_not_kept", done.error());
}

/// Makes the next data key when the current one is near its end. Records go on being sealed meanwhile; what is sealed opens as before.
Status Sealer::State::rotate_if_due() {
  const std::lock_guard only(rotation);
  const auto now = clock->now();
  const auto ending = current_key();
  if (!ends_soon(*ending, now)) return {};
  auto made = adopt();
  // A successor that stands already is taken, so that failures do not pile keys up.
  if (made && youngest(now).get() == ending.get()) made = make(record_kind, now);
  if (made) made = choose_current(now);
  if (!made) {
    overdue = is_old(*ending, now) || is_used_up(*ending);
    return made;
  }
  overdue = false;
  log::info("sealed.data_key_rotated", {{"ended", std::to_string(ending->id)}, {"current", std::to_string(current_key()->id)}});
  return {};
}

/// Keeps the stored count ahead and the current key young. On a thread of its own, because records are sealed inside transactions.
void Sealer::State::keep() {
  std::unique_lock lock(mutex);
  while (!stopping) {
    lock.unlock();
    auto kept = rotate_if_due();
    const auto key = current_key();
    const auto count = key->records.load();
    lock.lock();
    if (count + reserved_records / 2 > reserved) {
      lock.unlock();
      if (auto counted = reserve(*key, reserved_records); !counted && kept) kept = counted;
      lock.lock();
    }
    if (!kept) log::refusal("sealed.data_key_not_kept", kept.error());
    if (!stopping) changed.wait_for(lock, watch_interval);
  }
}

void Sealer::State::stop() {
  {
    const std::lock_guard lock(mutex);
    stopping = true;
  }
  changed.notify_all();
  if (!keeper.joinable()) return;
  keeper.join();
  give_back(*current_key());
}

Result<std::shared_ptr<Sealer>> Sealer::open(storage::Database& database, std::shared_ptr<token::Token> token,
                                             token::ServiceKey sealing_key, std::shared_ptr<const Clock> clock,
                                             const std::filesystem::path& versions) {
  auto stored = read_keys(database);
  if (!stored) return stored.error();
  if (stored->empty()) {
    if (auto made = Versions::make(versions); !made) return made.error();
  }
  auto state = std::make_unique<State>(database, std::move(token), std::move(sealing_key), std::move(clock));
  for (const auto& key : *stored) {
    if (auto loaded = state->load(key); !loaded) {
      return Error{loaded.error().code, "sealed: data key " + std::to_string(key.id) + " does not open: " + loaded.error().detail};
    }
  }
  const bool partial = !stored->empty() && (state->keys.empty() || state->index_key.empty());
  if (refused_by("sealed.keys_complete", partial)) {
    return Error{ErrorCode::storage_unavailable, "sealed: somebody removed data keys from the database"};
  }
  const auto now = state->clock->now();
  if (state->index_key.empty()) {
    if (auto made = state->make(index_kind, now); !made) return made.error();
  }
  if (auto chosen = state->choose_current(now); !chosen) return chosen.error();
  auto* raw = state.get();
  auto opened = Versions::open(versions, database, [key = std::make_shared<Secret>(raw->index_key.clone())](ByteView message) {
    return index_of(*key, "versions", "entry", message);
  });
  if (!opened) return opened.error();
  state->versions = std::move(*opened);
  state->keeper = std::thread([raw] { raw->keep(); });
  return std::shared_ptr<Sealer>(new Sealer(std::move(state)));
}

Sealer::Sealer(std::unique_ptr<State> state) : state_(std::move(state)) {}

Sealer::~Sealer() { state_->stop(); }

Result<Bytes> Sealer::seal(std::string_view table, ByteView id, std::uint64_t version, ByteView plaintext) const {
  const auto data_key = state_->current_key();
  const auto count = data_key->records.fetch_add(1, std::memory_order_relaxed) + 1;
  const Error ended{ErrorCode::storage_unavailable,
                    "sealed: the data key has ended, and the next one could not be made: see sealed.data_key_not_kept"};
  if (refused_by("sealed.data_key_used_up", count > max_key_records)) return ended;
  if (refused_by("sealed.data_key_overdue", state_->overdue)) return ended;
  if (count % (reserved_records / 4) == 0) state_->changed.notify_one();
  const auto context = record_context(table, id, version);
  const auto key = crypto::hkdf_sha256(data_key->key.reveal(), {}, context, key_size);
  auto ciphertext = crypto::gcm_seal(key.reveal(), plaintext, context);
  if (!ciphertext) return ciphertext.error();
  std::array<std::uint8_t, key_id_size> prefix{};
  put_key_id(data_key->id, prefix);
  ciphertext->insert(ciphertext->begin(), prefix.begin(), prefix.end());
  return ciphertext;
}

Result<Secret> Sealer::open_record(std::string_view table, ByteView id, std::uint64_t version, ByteView sealed) const {
  const auto refused = [&](std::string_view why) {
    return Error{ErrorCode::storage_unavailable, "sealed record refused: table " + std::string(table) + ": " + std::string(why)};
  };
  if (sealed.size() < key_id_size) return refused("too short");
  auto data_key = state_->find(get_key_id(sealed));
  // Another node may have made it since.
  if (!data_key && state_->adopt()) data_key = state_->find(get_key_id(sealed));
  if (!data_key) return refused("unknown data key");
  const auto context = record_context(table, id, version);
  const auto key = crypto::hkdf_sha256(data_key->key.reveal(), {}, context, key_size);
  auto plaintext = crypto::gcm_open(key.reveal(), sealed.subspan(key_id_size), context);
  if (!plaintext) return refused("edited, moved, or of another version");
  return plaintext;
}

Bytes Sealer::blind_index(std::string_view table, std::string_view column, ByteView value) const {
  return index_of(state_->index_key, table, column, value);
}

Versions& Sealer::versions() const noexcept { return *state_->versions; }

Result<Secret> Sealer::derive(std::string_view purpose, std::uint64_t data_key_id) const {
  auto data_key = state_->find(data_key_id);
  if (!data_key && state_->adopt()) data_key = state_->find(data_key_id);
  if (!data_key) return Error{ErrorCode::not_found, "sealed: no data key of this id"};
  Bytes context;
  append_field(context, std::string_view("intaglio/derived/1"));
  append_field(context, purpose);
  return crypto::hkdf_sha256(data_key->key.reveal(), {}, context, key_size);
}

std::uint64_t Sealer::current_key_id() const { return state_->current_key()->id; }

Status Sealer::rotate_if_due() { return state_->rotate_if_due(); }

const std::vector<storage::Migration>& Sealer::migrations() {
  static const std::vector<storage::Migration> migrations = {
      {1,
       "CREATE TABLE sealed_data_keys ("
       "id INTEGER PRIMARY KEY, kind TEXT NOT NULL, wrapped BLOB NOT NULL, created INTEGER NOT NULL, records INTEGER NOT NULL)"},
  };
  return migrations;
}

}  // namespace intaglio::sealed
