#include "pki/crl/publisher.h"

#include "pki/crl/revocation_list.h"

namespace intaglio::pki {

Result<std::unique_ptr<Publisher>> Publisher::open(PublisherConfig config, const Issuer& issuer, Environment environment) {
  std::unique_ptr<Publisher> publisher(new Publisher(config, issuer, std::move(environment)));
  auto read = publisher->environment_.database.read([&](storage::Reader& reader) -> Status {
    auto latest = latest_list(reader);
    if (!latest) return latest.error();
    publisher->current_ = std::move(*latest);
    return {};
  });
  if (!read) return read.error();
  if (!publisher->current_) return publisher;
  auto parsed = crypto::parse_crl(publisher->current_->der);
  if (!parsed) return parsed.error();
  // After a change of the issuing key the old list is not the new authority's.
  if (!crypto::verify_crl(publisher->current_->der, issuer.certificate)) publisher->current_.reset();
  publisher->listed_ = parsed->revoked.size();
  return publisher;
}

Result<Bytes> Publisher::issue() {
  if (auto trusted = environment_.clock->synchronised(); !trusted) return trusted.error();
  const UnixTime now = environment_.clock->now();
  StoredList list{0, now, std::min<UnixTime>(now + config_.validity, issuer_.facts.not_after), {}};
  std::size_t listed = 0;
  auto stored = environment_.database.write([&](storage::Transaction& transaction) -> Status {
    auto latest = latest_list(transaction);
    if (!latest) return latest.error();
    auto revoked = all_revocations(transaction);
    if (!revoked) return revoked.error();
    list.number = *latest ? (*latest)->number + 1 : 1;
    listed = revoked->size();
    auto der = sign_list({list.number, list.this_update, list.next_update, std::move(*revoked)}, issuer_);
    if (!der) return der.error();
    list.der = std::move(*der);
    if (auto inserted = insert_list(transaction, list); !inserted) return inserted;
    auto entry = environment_.audit.append(transaction, {audit::EventType::crl_issued,
                                                         "pki",
                                                         issuer_.certificate.subject(),
                                                         audit::Outcome::success,
                                                         {{"number", std::to_string(list.number)},
                                                          {"entries", std::to_string(listed)},
                                                          {"crl_sha256", encode_base64url(crypto::sha256(list.der))},
                                                          {"next_update", format_utc(list.next_update)}}});
    if (!entry) return entry.error();
    return {};
  });
  if (!stored) return stored.error();
  Bytes der = list.der;
  const std::lock_guard lock(mutex_);
  // Of two lists made at the same time the later number stays.
  if (!current_ || current_->number < list.number) {
    current_ = std::move(list);
    listed_ = listed;
  }
  return der;
}

Status Publisher::refresh() {
  std::size_t revoked = 0;
  auto read = environment_.database.read([&](storage::Reader& reader) -> Status {
    auto all = all_revocations(reader);
    if (!all) return all.error();
    revoked = all->size();
    return {};
  });
  if (!read) return read;
  {
    const std::lock_guard lock(mutex_);
    if (current_ && revoked == listed_ && environment_.clock->now() < current_->this_update + config_.interval) return {};
  }
  auto issued = issue();
  if (!issued) return issued.error();
  return {};
}

Result<StoredList> Publisher::current() const {
  const std::lock_guard lock(mutex_);
  if (!current_) return Error{ErrorCode::not_found, "no revocation list was issued yet"};
  return *current_;
}

}  // namespace intaglio::pki
