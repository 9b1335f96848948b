#include "pki/crl/publisher.h"

#include "base/check.h"
#include "pki/crl/revocation_list.h"

namespace intaglio::pki {

CurrentList::CurrentList(StoredList stored)
    : StoredList(std::move(stored)),
      tag(encode_hex(crypto::sha256(der))),
      delta_tag(delta.empty() ? std::string() : encode_hex(crypto::sha256(delta))) {}

Result<std::unique_ptr<Publisher>> Publisher::open(PublisherConfig config, const Issuer& issuer, Environment environment) {
  std::unique_ptr<Publisher> publisher(new Publisher(std::move(config), issuer, std::move(environment)));
  std::optional<StoredList> current;
  auto read = publisher->environment_.database.read([&](storage::Reader& reader) -> Status {
    auto latest = latest_list(reader);
    if (!latest) return latest.error();
    current = std::move(*latest);
    return {};
  });
  if (!read) return read.error();
  // After a change of the issuing key the old list is not the new authority's.
  if (!current || !crypto::verify_crl(current->der, issuer.certificate)) return publisher;
  if (!publisher->makes_deltas()) current->delta.clear();
  publisher->current_ = std::make_shared<const CurrentList>(*std::move(current));
  return publisher;
}

Result<std::optional<StoredList>> Publisher::base_of(storage::Reader& reader, const StoredList& list) const {
  auto oldest = oldest_list_in_force(reader, list.this_update);
  if (!oldest) return oldest.error();
  // A list of an earlier issuing key is no base of ours: there is a delta list when one of our own is older than this one.
  if (*oldest && !crypto::verify_crl((*oldest)->der, issuer_.certificate)) oldest->reset();
  return oldest;
}

Result<Bytes> Publisher::make_complete(storage::Transaction& transaction, StoredList& list, std::size_t& entries) const {
  // RFC 5280, 3.3: an entry stays until a list that was issued on time, after the certificate's end, has shown it. Such a list is
  // followed by another one within the interval.
  UnixTime ended_before{};
  if (!config_.keep_expired) {
    auto oldest = base_of(transaction, list);
    if (!oldest) return oldest.error();
    if (*oldest && (*oldest)->this_update + config_.interval <= list.this_update) ended_before = (*oldest)->this_update;
  }
  auto revoked = revocations(transaction, ended_before);
  if (!revoked) return revoked.error();
  entries = revoked->size();
  return sign_list(
      {list.number, list.this_update, list.next_update, std::move(*revoked), std::nullopt,
       makes_deltas() ? config_.freshest : std::string(), config_.keep_expired ? std::optional(issuer_.facts.not_before) : std::nullopt},
      issuer_);
}

Result<Bytes> Publisher::issue() {
  if (auto trusted = environment_.clock->synchronised(); !trusted) return trusted.error();
  const UnixTime now = environment_.clock->now();
  StoredList list{0, now, std::min<UnixTime>(now + config_.validity, issuer_.facts.not_after), {}};
  auto stored = environment_.database.write([&](storage::Transaction& transaction) -> Status {
    auto latest = latest_list(transaction);
    if (!latest) return latest.error();
    auto change = latest_change(transaction);
    if (!change) return change.error();
    list.number = *latest ? (*latest)->number + 1 : 1;
    list.change = *change;
    std::size_t entries = 0;
    auto complete = make_complete(transaction, list, entries);
    if (!complete) return complete.error();
    list.der = std::move(*complete);
    list.delta.clear();
    std::vector<std::pair<std::string, std::string>> fields = {{"number", std::to_string(list.number)},
                                                               {"entries", std::to_string(entries)},
                                                               {"crl_sha256", encode_base64url(crypto::sha256(list.der))},
                                                               {"next_update", format_utc(list.next_update)}};
    if (makes_deltas()) {
      auto base = base_of(transaction, list);
      if (!base) return base.error();
      // The first list of all is its own base: its delta list would have none.
      if (*base) {
        auto changes = changes_after(transaction, (*base)->change);
        if (!changes) return changes.error();
        auto delta = sign_list({list.number,
                                now,
                                std::min<UnixTime>(now + config_.delta_validity, issuer_.facts.not_after),
                                std::move(*changes),
                                (*base)->number,
                                {},
                                std::nullopt},
                               issuer_);
        if (!delta) return delta.error();
        list.delta = std::move(*delta);
        fields.emplace_back("delta_sha256", encode_base64url(crypto::sha256(list.delta)));
        fields.emplace_back("base", std::to_string((*base)->number));
      }
    }
    if (auto inserted = insert_list(transaction, list); !inserted) return inserted;
    if (auto forgotten = forget_lists(transaction, now); !forgotten) return forgotten;
    auto entry = environment_.audit.append(
        transaction, {audit::EventType::crl_issued, "pki", issuer_.certificate.subject(), audit::Outcome::success, std::move(fields)});
    if (!entry) return entry.error();
    fault_point("pki.crl.stored");
    return {};
  });
  if (!stored) return stored.error();
  auto made = std::make_shared<const CurrentList>(std::move(list));
  const std::lock_guard lock(mutex_);
  // Of two lists made at the same time the later number stays.
  if (!current_ || current_->number < made->number) current_ = made;
  return made->der;
}

Status Publisher::refresh() {
  std::int64_t change = 0;
  auto read = environment_.database.read([&](storage::Reader& reader) -> Status {
    auto latest = latest_change(reader);
    if (!latest) return latest.error();
    change = *latest;
    return {};
  });
  if (!read) return read;
  const auto due = [&] {
    const std::lock_guard lock(mutex_);
    return !current_ || change > current_->change || environment_.clock->now() >= current_->this_update + config_.interval ||
           (makes_deltas() && current_->delta.empty());
  };
  // Twice: the first list of all has no list to continue, the next one has.
  for (int round = 0; round < 2 && due(); ++round) {
    auto issued = issue();
    if (!issued) return issued.error();
  }
  return {};
}

Result<std::shared_ptr<const CurrentList>> Publisher::current() const {
  const std::lock_guard lock(mutex_);
  if (!current_) return Error{ErrorCode::not_found, "no revocation list was issued yet"};
  return current_;
}

}  // namespace intaglio::pki
