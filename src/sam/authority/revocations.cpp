#include "sam/authority/revocations.h"

#include <algorithm>
#include <mutex>

#include "base/check.h"
#include "crypto/digest.h"

namespace intaglio::sam {
namespace {

using Serials = std::set<std::string, std::less<>>;

constexpr std::size_t max_serial_octets = 32;  // RFC 5280 allows 20; what parses is kept

/// What is sealed of an issuer: number and end of its newest list, and what it names.
struct Known {
  std::uint64_t number;
  std::uint64_t next_update;
  Serials serials;
};

sealed::Table state_table(const std::shared_ptr<const sealed::Sealer>& sealer) { return {sealer, "sam_state", sealed::Rollback::refused}; }
std::string record_name(ByteView issuer_der) { return "crl-" + encode_base64url(crypto::sha256(issuer_der)); }

Result<Bytes> encode(const Known& known) {
  Bytes out;
  append_field(out, known.number);
  append_field(out, known.next_update);
  append_field(out, std::uint64_t{known.serials.size()});
  for (const auto& serial : known.serials) {
    auto octets = parse_hex(serial);
    if (!octets || octets->size() > max_serial_octets) return Error{ErrorCode::invalid_request, "a serial number of no length that can be"};
    append_field(out, *octets);
  }
  return out;
}

Result<Known> parse(ByteView encoded) {
  const Error malformed{ErrorCode::storage_unavailable, "the record of a revocation list is malformed"};
  FieldReader in(encoded);
  const auto number = in.number();
  const auto next_update = in.number();
  if (!number || !next_update) return malformed;
  Known known{*number, *next_update, {}};
  // A record of before serials were kept ends here: the next list fills it.
  if (in.end()) return known;
  const auto count = in.number();
  if (!count) return malformed;
  for (std::uint64_t i = 0; i < *count; ++i) {
    const auto serial = in.bytes(max_serial_octets);
    if (!serial) return malformed;
    known.serials.insert(known.serials.end(), encode_hex(*serial));
  }
  if (!in.end()) return malformed;
  return known;
}

}  // namespace

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
  auto record = state_table(sealer).find(transaction, record_name(issuer_der));
  if (!record) return record.error();
  if (!*record) return {};
  auto known = parse((*record)->content.reveal());
  if (!known) return known.error();
  const std::unique_lock lock(mutex_);
  const auto before = lists_.find(issuer_der);
  const bool overtaken = before == lists_.end() || known->number >= before->second.number;
  if (refused_by("sam.crl.overtaken", overtaken)) lists_.insert_or_assign(issuer_der, List{known->number, std::move(known->serials)});
  return {};
}

Status Revocations::refresh(storage::Transaction& transaction, const std::shared_ptr<const sealed::Sealer>& sealer,
                            const crypto::Certificate& certificate) {
  const auto issuers = [&] {
    const std::shared_lock lock(mutex_);
    return issuers_above(certificate.issuer_der());
  }();
  for (const auto& issuer : issuers) {
    if (auto done = read(transaction, sealer, issuer); refused_by("sam.crl.fresh", !done)) return done;
  }
  return {};
}

Result<bool> Revocations::take(storage::Transaction& transaction, const std::shared_ptr<const sealed::Sealer>& sealer,
                               const crypto::RevocationList& list) {
  const auto state = state_table(sealer);
  const auto name = record_name(list.issuer_der);
  Known known{list.number, static_cast<std::uint64_t>(unix_seconds(list.next_update)), {}};
  for (const auto& revoked : list.revoked) known.serials.insert(revoked.serial_hex);
  const auto encoded = encode(known);
  if (!encoded) return encoded.error();
  auto earlier = state.find(transaction, name);
  if (!earlier) return earlier.error();
  if (*earlier) {
    const auto before = parse((*earlier)->content.reveal());
    if (!before) return before.error();
    if (refused_by("sam.crl.number", known.number < before->number)) return Error{ErrorCode::replayed, "a newer list is known"};
  }
  {
    const std::unique_lock lock(mutex_);
    lists_.insert_or_assign(list.issuer_der, List{known.number, std::move(known.serials)});
  }
  // The SSA repeats the list in force: the same again costs no write.
  if (*earlier && as_text((*earlier)->content.reveal()) == as_text(*encoded)) return false;
  auto kept = *earlier ? state.update(transaction, name, (*earlier)->version, *encoded) : state.insert(transaction, name, *encoded);
  if (!kept) return kept.error();
  return true;
}

bool Revocations::names(ByteView issuer_der, std::string_view serial_hex) const {
  const auto found = lists_.find(to_bytes(issuer_der));
  return found != lists_.end() && found->second.serials.contains(serial_hex);
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

bool Revocations::clears(const crypto::Certificate& certificate) const {
  const bool known = [&] {
    const std::shared_lock lock(mutex_);
    return lists_.contains(certificate.issuer_der());
  }();
  return known && !contains(certificate);
}

}  // namespace intaglio::sam
