#include "sam/sap/keys.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "json/json.h"

namespace intaglio::sam {
namespace {

constexpr std::chrono::hours lifetime{24};
constexpr std::chrono::minutes overlap{10};

}  // namespace

SapKeys::SapKeys(std::string sam_name, storage::Database& database, std::shared_ptr<const sealed::Sealer> sealer, AgreementKeys& keys,
                 std::shared_ptr<const crypto::Signer> identity, std::shared_ptr<const Clock> clock, Steady steady)
    : sam_name_(std::move(sam_name)),
      database_(database),
      table_(std::move(sealer), table, sealed::Rollback::tolerated),
      keys_(keys),
      identity_(std::move(identity)),
      clock_(std::move(clock)),
      steady_(std::move(steady)) {}

Result<SapKeys::Held> SapKeys::hold(std::string name, UnixTime created, std::shared_ptr<const crypto::KeyAgreement> key) const {
  auto kid = crypto::jwk_thumbprint(key->public_key());
  if (!kid) return kid.error();
  auto jwk = crypto::encode_jwk(key->public_key());
  if (!jwk) return jwk.error();
  auto jwk_value = json::parse(*jwk);
  if (!jwk_value) return jwk_value.error();
  const auto ends = created + lifetime;
  const json::Value payload = {
      {"kid", *kid}, {"jwk", *jwk_value}, {"iat", unix_seconds(created)}, {"exp", unix_seconds(ends)}, {"sam", sam_name_}};
  auto identity_kid = crypto::jwk_thumbprint(identity_->public_key());
  if (!identity_kid) return identity_kid.error();
  auto statement = crypto::make_jws(*identity_, "intaglio-sap-key+jwt", *identity_kid, json::encode(payload));
  if (!statement) return statement.error();
  return Held{.kid = *kid, .name = std::move(name), .created = created, .ends = ends, .key = std::move(key), .statement = *statement};
}

Status SapKeys::refresh() {
  const std::lock_guard lock(refreshing_);
  return refresh_alone();
}

Status SapKeys::refresh_alone() {
  const auto now = clock_->now();
  struct Found {
    std::string name;
    UnixTime created;
  };
  std::vector<Found> found;
  auto loaded = database_.read([&](storage::Reader& reader) -> Status {
    std::vector<std::string> names;
    auto done = reader.query("SELECT id FROM sap_keys ORDER BY id", {}, [&](const storage::Row& row) {
      names.push_back(row.text(0));
      return true;
    });
    if (!done) return done;
    for (const auto& name : names) {
      auto record = table_.find_in_snapshot(reader, name);
      if (!record) return record.error();
      if (!*record) continue;
      FieldReader in((*record)->content.reveal());
      auto created = in.number();
      if (!created || !in.end()) return Error{ErrorCode::storage_unavailable, "a SAP key record is malformed"};
      found.push_back({name, from_unix_seconds(static_cast<std::int64_t>(*created))});
    }
    return {};
  });
  if (!loaded) return loaded;
  std::sort(found.begin(), found.end(), [](const Found& left, const Found& right) { return left.created < right.created; });

  std::vector<Held> held;
  for (const auto& row : found) {
    if (now >= row.created + lifetime) {
      if (auto destroyed = keys_.destroy(row.name); !destroyed && destroyed.error().code != ErrorCode::not_found) {
        log::refusal("sap_key.not_destroyed", destroyed.error());
        continue;
      }
      auto removed = database_.write([&](storage::Transaction& transaction) -> Status {
        auto changed = transaction.execute("DELETE FROM sap_keys WHERE id = ?1", {std::string_view(row.name)});
        return changed ? Status() : Status(changed.error());
      });
      if (!removed) return removed;
      log::info("sap_key.destroyed", {{"name", row.name}});
      continue;
    }
    auto key = keys_.find(row.name);
    if (!key) return key.error();
    auto one = hold(row.name, row.created, std::move(*key));
    if (!one) return one.error();
    held.push_back(std::move(*one));
  }

  // A key of the future (a clock that was set back) is as unfit as one that is about to end.
  std::stable_partition(held.begin(), held.end(), [&](const Held& one) { return one.created > now; });
  const bool fresh = !held.empty() && held.back().created <= now && now < held.back().ends - overlap;
  if (!fresh) {
    auto suffix = crypto::random_id();
    if (!suffix) return suffix.error();
    const std::string name = "sap-" + *suffix;
    auto key = keys_.generate(name);
    if (!key) return key.error();
    auto written = database_.write([&](storage::Transaction& transaction) {
      Bytes record;
      append_field(record, static_cast<std::uint64_t>(unix_seconds(now)));
      return table_.insert(transaction, name, record);
    });
    if (!written) {
      if (auto destroyed = keys_.destroy(name); !destroyed) log::refusal("sap_key.not_destroyed", destroyed.error());
      return written;
    }
    auto one = hold(name, now, std::move(*key));
    if (!one) return one.error();
    log::info("sap_key.generated", {{"kid", one->kid}});
    held.push_back(std::move(*one));
  }
  const std::lock_guard lock(mutex_);
  held_ = std::move(held);
  return {};
}

std::optional<std::string> SapKeys::current(std::chrono::minutes margin) const {
  const std::lock_guard lock(mutex_);
  const auto now = clock_->now();
  if (held_.empty() || now >= held_.back().ends - margin || now < held_.back().created) return std::nullopt;
  return held_.back().statement;
}

Result<std::string> SapKeys::statement() {
  if (auto fresh = current(overlap)) return *std::move(fresh);
  std::unique_lock refreshing(refreshing_, std::try_to_lock);
  if (!refreshing) {
    // Another thread makes the next key; what still lives serves until then, with time enough for a ticket.
    if (auto old = current(overlap / 2)) return *std::move(old);
    refreshing.lock();
  }
  if (auto fresh = current(overlap)) return *std::move(fresh);
  if (auto refreshed = refresh_alone(); !refreshed) return refreshed.error();
  if (auto fresh = current(overlap)) return *std::move(fresh);
  return Error{ErrorCode::token_unavailable, "no SAP key could be made"};
}

std::shared_ptr<const crypto::KeyAgreement> SapKeys::held(std::string_view kid) const {
  const std::lock_guard lock(mutex_);
  const auto now = clock_->now();
  for (const auto& one : held_) {
    if (one.kid == kid && now < one.ends) return one.key;
  }
  return nullptr;
}

Result<std::shared_ptr<const crypto::KeyAgreement>> SapKeys::find(std::string_view kid) {
  if (auto key = held(kid)) return key;
  // Another node may have made it since. Who comes while one looks waits for what it finds.
  const std::lock_guard looking(looking_);
  if (auto key = held(kid)) return key;
  const auto now = steady_();
  if (refused_by("sam.sap-key.look", last_look_ && now - *last_look_ < look_interval))
    return Error{ErrorCode::busy, "the SAP keys of other nodes were looked for a moment ago"};
  last_look_ = now;
  auto found = look(kid);
  // Those who waited meanwhile do not look again one after another, however long this look took.
  last_look_ = steady_();
  return found;
}

Result<std::shared_ptr<const crypto::KeyAgreement>> SapKeys::look(std::string_view kid) {
  // The token is asked only when there is a key that is not held.
  bool all_held = true;
  auto listed = database_.read([&](storage::Reader& reader) {
    return reader.query("SELECT id FROM sap_keys", {}, [&](const storage::Row& row) {
      const std::lock_guard lock(mutex_);
      const auto name = row.text(0);
      all_held = std::any_of(held_.begin(), held_.end(), [&](const Held& one) { return one.name == name; });
      return all_held;
    });
  });
  if (!listed) return listed.error();
  if (!all_held) {
    if (auto refreshed = refresh(); !refreshed) return refreshed.error();
    if (auto key = held(kid)) return key;
  }
  return Error{ErrorCode::ticket_expired, "no SAP key of this kid lives"};
}

}  // namespace intaglio::sam
