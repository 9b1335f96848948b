#include "sam/authority/revocations.h"

#include <algorithm>
#include <functional>
#include <mutex>

#include "base/check.h"
#include "crypto/digest.h"

namespace intaglio::sam {
namespace {

constexpr std::size_t max_serial_octets = 32;  // RFC 5280 allows 20; what parses is kept

sealed::Table state_table(const std::shared_ptr<const sealed::Sealer>& sealer) { return {sealer, "sam_state", sealed::Rollback::refused}; }
std::string record_name(ByteView issuer_der) { return "crl-" + encode_base64url(crypto::sha256(issuer_der)); }

Status append_serials(Bytes& out, const std::vector<std::string>& serials) {
  append_field(out, std::uint64_t{serials.size()});
  for (const auto& serial : serials) {
    const auto octets = parse_hex(serial);
    if (!octets || octets->size() > max_serial_octets) return Error{ErrorCode::invalid_request, "a serial number of no length that can be"};
    append_field(out, *octets);
  }
  return {};
}

/// In order, each once, as `append_serials` was given them.
std::optional<std::vector<std::string>> read_serials(FieldReader& in) {
  const auto count = in.number();
  if (!count) return std::nullopt;
  std::vector<std::string> serials;
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto octets = in.bytes(max_serial_octets);
    if (!octets) return std::nullopt;
    auto serial = encode_hex(*octets);
    if (!serials.empty() && serial <= serials.back()) return std::nullopt;
    serials.push_back(std::move(serial));
  }
  return serials;
}

bool is_among(const std::vector<std::string>& serials, std::string_view serial) {
  return std::binary_search(serials.begin(), serials.end(), serial, std::less<>());
}

void put_in_order(std::vector<std::string>& serials) {
  std::sort(serials.begin(), serials.end());
  serials.erase(std::unique(serials.begin(), serials.end()), serials.end());
}

}  // namespace

Result<Bytes> Revocations::encode(const Known& known) {
  Bytes out;
  append_field(out, known.number);
  append_field(out, known.next_update);
  if (auto appended = append_serials(out, known.serials); !appended) return appended.error();
  if (known.holds) {
    if (auto appended = append_serials(out, *known.holds); !appended) return appended.error();
  }
  return out;
}

Result<Revocations::Known> Revocations::parse(ByteView encoded) {
  const Error malformed{ErrorCode::storage_unavailable, "the record of a revocation list is malformed"};
  FieldReader in(encoded);
  const auto number = in.number();
  const auto next_update = in.number();
  if (!number || !next_update) return malformed;
  Known known{*number, *next_update, {}, std::nullopt};
  // A record of before serials, or holds, were kept ends here: the next list fills it.
  if (in.end()) return known;
  auto serials = read_serials(in);
  if (!serials) return malformed;
  known.serials = *std::move(serials);
  if (in.end()) return known;
  known.holds = read_serials(in);
  if (!known.holds || !in.end()) return malformed;
  return known;
}

Status Revocations::load(storage::Database& database, const std::shared_ptr<const sealed::Sealer>& sealer, const Policy& policy) {
  const auto begun = steady_();
  // In a transaction, which sees the latest list and refuses an earlier one.
  auto loaded = database.write([&](storage::Transaction& transaction) -> Status {
    for (const auto& anchor : policy.ca_anchors()) {
      const auto issuer = anchor.subject_der();
      {
        const std::unique_lock lock(mutex_);
        const auto [begin, end] = anchors_.equal_range(issuer);
        const Anchor taken{anchor.issuer_der(), anchor.serial_hex()};
        const bool known = std::any_of(begin, end, [&](const auto& one) {
          return one.second.issuer_der == taken.issuer_der && one.second.serial_hex == taken.serial_hex;
        });
        if (!known) anchors_.emplace(issuer, taken);
      }
      if (auto done = read(transaction, sealer, issuer); !done) return done;
    }
    return {};
  });
  failed_ = !loaded;
  if (loaded) loaded_ = begun;
  return loaded;
}

Status Revocations::current() const {
  if (failed_) return Error{ErrorCode::storage_unavailable, "the revocation lists that are known to the other nodes could not be read"};
  const auto loaded = loaded_.load();
  const bool old = loaded == SteadyTime::min() || steady_() - loaded > longest_unread;
  if (refused_by("sam.crl.age", old))
    return Error{ErrorCode::storage_unavailable, "the revocation lists that are known to the other nodes were not read for too long"};
  return {};
}

bool Revocations::due() const {
  const auto loaded = loaded_.load();
  return failed_ || loaded == SteadyTime::min() || steady_() - loaded >= reading_interval;
}

bool Revocations::knows_issuer(const crypto::Certificate& certificate) const {
  const std::shared_lock lock(mutex_);
  return anchors_.contains(certificate.issuer_der());
}

std::set<Bytes> Revocations::issuers_above(const Bytes& issuer_der) const {
  std::set<Bytes> issuers;
  std::vector<Bytes> left{issuer_der};
  while (!left.empty()) {
    const auto issuer = std::move(left.back());
    left.pop_back();
    if (!issuers.insert(issuer).second) continue;
    const auto [begin, end] = anchors_.equal_range(issuer);
    for (auto anchor = begin; anchor != end; ++anchor) left.push_back(anchor->second.issuer_der);
  }
  return issuers;
}

Status Revocations::read(storage::Transaction& transaction, const std::shared_ptr<const sealed::Sealer>& sealer, const Bytes& issuer_der) {
  const auto state = state_table(sealer);
  const auto name = record_name(issuer_der);
  const auto version = state.latest_version(transaction, name);
  if (!version) return version.error();
  if (*version == 0) return {};
  {
    const std::shared_lock lock(mutex_);
    const auto before = lists_.find(issuer_der);
    if (before != lists_.end() && before->second.version == *version) return {};
  }
  const auto record = state.find(transaction, name);
  if (!record) return record.error();
  if (!*record) return Error{ErrorCode::storage_unavailable, "the record of a revocation list went within a transaction"};
  auto known = parse((*record)->content.reveal());
  if (!known) return known.error();
  const std::unique_lock lock(mutex_);
  const auto before = lists_.find(issuer_der);
  const bool overtaken = before != lists_.end() && known->number < before->second.number;
  if (refused_by("sam.crl.overtaken", overtaken)) return {};
  lists_.insert_or_assign(issuer_der, List{known->number, from_unix_seconds(static_cast<std::int64_t>(known->next_update)),
                                           std::move(known->serials), (*record)->version});
  return {};
}

Status Revocations::refresh(storage::Transaction& transaction, const std::shared_ptr<const sealed::Sealer>& sealer,
                            const Bytes& issuer_der) {
  const auto issuers = [&] {
    const std::shared_lock lock(mutex_);
    return issuers_above(issuer_der);
  }();
  for (const auto& issuer : issuers) {
    if (auto done = read(transaction, sealer, issuer); refused_by("sam.crl.fresh", !done)) return done;
  }
  return {};
}

Result<std::vector<crypto::RevokedCertificate>> Revocations::take(storage::Transaction& transaction,
                                                                  const std::shared_ptr<const sealed::Sealer>& sealer,
                                                                  const crypto::RevocationList& list) {
  const auto state = state_table(sealer);
  const auto name = record_name(list.issuer_der);
  Known known{list.number, static_cast<std::uint64_t>(unix_seconds(list.next_update)), {}, Serials()};
  known.serials.reserve(list.revoked.size());
  for (const auto& revoked : list.revoked) {
    known.serials.push_back(revoked.serial_hex);
    if (revoked.reason == crypto::RevocationReason::certificate_hold) known.holds->push_back(revoked.serial_hex);
  }
  put_in_order(known.serials);
  put_in_order(*known.holds);
  const auto encoded = encode(known);
  if (!encoded) return encoded.error();
  const auto earlier = state.find(transaction, name);
  if (!earlier) return earlier.error();
  Known before{0, 0, {}, Serials()};
  if (*earlier) {
    auto parsed = parse((*earlier)->content.reveal());
    if (!parsed) return parsed.error();
    before = *std::move(parsed);
    if (refused_by("sam.crl.number", known.number < before.number)) return Error{ErrorCode::replayed, "a newer list is known"};
  }
  {
    // Whether this transaction commits is not known yet: the version is learnt with the next look.
    const std::unique_lock lock(mutex_);
    lists_.insert_or_assign(list.issuer_der, List{known.number, list.next_update, std::move(known.serials), 0});
  }
  std::vector<crypto::RevokedCertificate> news;
  // The SSA repeats the list in force: the same again costs no write.
  if (*earlier && as_text((*earlier)->content.reveal()) == as_text(*encoded)) return news;
  auto kept = *earlier ? state.update(transaction, name, (*earlier)->version, *encoded) : state.insert(transaction, name, *encoded);
  if (!kept) return kept.error();
  for (const auto& revoked : list.revoked) {
    const bool held = revoked.reason == crypto::RevocationReason::certificate_hold;
    const bool known_as_this =
        is_among(before.serials, revoked.serial_hex) && before.holds && is_among(*before.holds, revoked.serial_hex) == held;
    if (!known_as_this) news.push_back(revoked);
  }
  return news;
}

bool Revocations::names(ByteView issuer_der, std::string_view serial_hex) const {
  const auto found = lists_.find(to_bytes(issuer_der));
  return found != lists_.end() && is_among(found->second.serials, serial_hex);
}

bool Revocations::contains(ByteView issuer_der, std::string_view serial_hex) const {
  const std::shared_lock lock(mutex_);
  if (names(issuer_der, serial_hex)) return true;
  const auto above = issuers_above(to_bytes(issuer_der));
  const bool of_a_revoked_issuer = std::any_of(anchors_.begin(), anchors_.end(), [&](const auto& anchor) {
    return above.contains(anchor.first) && names(anchor.second.issuer_der, anchor.second.serial_hex);
  });
  return refused_by("sam.crl.issuer", of_a_revoked_issuer);
}

Status Revocations::in_force(const Bytes& issuer_der, UnixTime now) const {
  const std::shared_lock lock(mutex_);
  for (const auto& issuer : issuers_above(issuer_der)) {
    // Of an authority that is no anchor itself no list is taken.
    if (!anchors_.contains(issuer)) continue;
    const auto list = lists_.find(issuer);
    if (list == lists_.end() || now >= list->second.next_update)
      return Error{ErrorCode::storage_unavailable, "the revocation list of an authority is missing or past its nextUpdate"};
  }
  return {};
}

bool Revocations::clears(const crypto::Certificate& certificate) const {
  const bool known = [&] {
    const std::shared_lock lock(mutex_);
    return lists_.contains(certificate.issuer_der());
  }();
  return known && !contains(certificate);
}

}  // namespace intaglio::sam
