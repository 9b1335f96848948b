#include "oauth/token_keys.h"

#include <algorithm>
#include <optional>

#include "base/check.h"
#include "crypto/jose/jws.h"

namespace intaglio::oauth {
namespace {

Status read_keys(storage::Reader& reader, std::vector<KeptTokenKey>& keys) {
  return reader.query("SELECT id, kid, signs_from FROM oauth_token_keys ORDER BY number", {}, [&](const storage::Row& row) {
    keys.push_back({row.text(0), row.text(1), from_unix_seconds(row.integer(2))});
    return true;
  });
}

Result<std::int64_t> highest_number(storage::Reader& reader) {
  const auto highest = reader.query_one<std::int64_t>("SELECT number FROM oauth_token_keys ORDER BY number DESC LIMIT 1", {},
                                                      [](const storage::Row& row) { return row.integer(0); });
  if (!highest) return highest.error();
  return highest->value_or(0);
}

Status may_announce(storage::Reader& reader, UnixTime signs_from, UnixTime now) {
  std::vector<KeptTokenKey> keys;
  if (auto read = read_keys(reader, keys); !read) return read;
  if (refused_by("oauth.key.past", signs_from < now)) {
    return Error{ErrorCode::invalid_request, "a key does not sign before it is announced"};
  }
  if (refused_by("oauth.key.announced", !keys.empty() && keys.back().signs_from > now)) {
    return Error{ErrorCode::conflict, "the key " + keys.back().id + " is announced already and does not sign yet"};
  }
  return {};
}

Status insert(storage::Transaction& transaction, const KeptTokenKey& key, std::int64_t number) {
  auto inserted = transaction.execute("INSERT INTO oauth_token_keys (number, id, kid, signs_from) VALUES (?1, ?2, ?3, ?4)",
                                      {number, std::string_view(key.id), std::string_view(key.kid), unix_seconds(key.signs_from)});
  return inserted ? Status() : Status(inserted.error());
}

}  // namespace

Result<TokenKeys> TokenKeys::make(const std::vector<Given>& given) {
  std::vector<Key> keys;
  for (const auto& [signer, signs_from] : given) {
    auto kid = crypto::jwk_thumbprint(signer->public_key());
    if (!kid) return kid.error();
    if (!keys.empty()) {
      if (signs_from < keys.back().signs_from) return Error{ErrorCode::configuration, "the keys of access tokens are out of order"};
      keys.back().ends = signs_from + max_access_token_life;
    }
    keys.push_back({signer, std::move(*kid), signs_from, UnixTime::max()});
  }
  if (keys.empty()) return Error{ErrorCode::configuration, "there is no key for access tokens"};
  return TokenKeys(std::move(keys));
}

Result<TokenKeys> TokenKeys::make(std::shared_ptr<const crypto::Signer> signer) {
  return make(std::vector<Given>{{std::move(signer), UnixTime{}}});
}

const TokenKeys::Key& TokenKeys::current(UnixTime now) const {
  const auto next = std::find_if(keys_.begin() + 1, keys_.end(), [&](const Key& key) { return key.signs_from > now; });
  return *(next - 1);
}

const TokenKeys::Key* TokenKeys::believed(std::string_view kid, UnixTime now) const {
  const auto found = std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) { return key.kid == kid; });
  if (found == keys_.end()) return nullptr;
  if (refused_by("oauth.key.early", found->signs_from > now)) return nullptr;
  if (refused_by("oauth.key.ended", found->ends <= now)) return nullptr;
  return &*found;
}

std::vector<const TokenKeys::Key*> TokenKeys::shown(UnixTime now) const {
  std::vector<const Key*> shown;
  for (const auto& key : keys_) {
    if (key.ends > now) shown.push_back(&key);
  }
  return shown;
}

TokenKeyRegister::TokenKeyRegister(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock)
    : database_(std::move(database)), clock_(std::move(clock)) {}

Result<std::vector<KeptTokenKey>> TokenKeyRegister::keys() const {
  std::vector<KeptTokenKey> keys;
  if (auto read = database_->read([&](storage::Reader& reader) { return read_keys(reader, keys); }); !read) return read.error();
  return keys;
}

Status TokenKeyRegister::begin(const std::function<Result<KeptTokenKey>()>& make) const {
  return database_->write([&](storage::Transaction& transaction) -> Status {
    std::vector<KeptTokenKey> keys;
    if (auto read = read_keys(transaction, keys); !read) return read;
    if (!keys.empty()) return {};
    const auto made = make();
    return made ? insert(transaction, *made, 1) : Status(made.error());
  });
}

Result<std::string> TokenKeyRegister::next_id(std::string_view first) const {
  std::optional<std::int64_t> highest;
  const auto read = database_->read([&](storage::Reader& reader) -> Status {
    auto found = highest_number(reader);
    if (found) highest = *found;
    return found ? Status() : Status(found.error());
  });
  if (!read) return read.error();
  return std::string(first) + "." + std::to_string(highest.value_or(0) + 1);
}

Status TokenKeyRegister::check_announcement(UnixTime signs_from) const {
  return database_->read([&](storage::Reader& reader) { return may_announce(reader, signs_from, clock_->now()); });
}

Status TokenKeyRegister::announce(const KeptTokenKey& key) const {
  return database_->write([&](storage::Transaction& transaction) -> Status {
    if (auto open = may_announce(transaction, key.signs_from, clock_->now()); !open) return open;
    const auto highest = highest_number(transaction);
    if (!highest) return highest.error();
    return insert(transaction, key, *highest + 1);
  });
}

Result<std::vector<KeptTokenKey>> TokenKeyRegister::ended() const {
  auto all = keys();
  if (!all) return all.error();
  const auto now = clock_->now();
  std::vector<KeptTokenKey> ended;
  for (std::size_t i = 0; i + 1 < all->size(); ++i) {
    if ((*all)[i + 1].signs_from + max_access_token_life <= now) ended.push_back((*all)[i]);
  }
  return ended;
}

Status TokenKeyRegister::forget(const KeptTokenKey& key) const {
  return database_->write([&](storage::Transaction& transaction) -> Status {
    auto deleted = transaction.execute("DELETE FROM oauth_token_keys WHERE id = ?1 AND kid = ?2",
                                       {std::string_view(key.id), std::string_view(key.kid)});
    return deleted ? Status() : Status(deleted.error());
  });
}

}  // namespace intaglio::oauth
