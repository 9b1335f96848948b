#include "registration/cmp_issuance.h"

#include "base/check.h"
#include "base/log.h"

namespace intaglio::registration {
namespace {

constexpr std::size_t settled_at_once = 1000;
constexpr auto settle_time = std::chrono::seconds(60);
/// A request that waits is taken up every few minutes, which renews it.
constexpr auto longest_turn = std::chrono::hours(1);

Error still_waiting(std::chrono::seconds left) {
  return {ErrorCode::busy, "the CA is still waiting; ask again in " + std::to_string(left.count()) + " s"};
}

}  // namespace

CmpIssuance::CmpIssuance(crypto::CmpClient client, std::shared_ptr<KeyRequests> requests, std::shared_ptr<UnsettledCertificates> unsettled,
                         std::shared_ptr<storage::Leases> leases, std::shared_ptr<const Clock> clock, std::size_t max_waiting)
    : client_(std::move(client)),
      requests_(std::move(requests)),
      unsettled_(std::move(unsettled)),
      clock_(std::move(clock)),
      turns_(std::move(leases), "cmp", longest_turn),
      max_waiting_(max_waiting) {}

Result<std::vector<Bytes>> CmpIssuance::certify(const KeyRequest& request) {
  OneAtATime::Turn turn(turns_, request.key.text());
  if (!turn) return Error{ErrorCode::busy, "a certificate for this key is being asked for"};
  // Looked at in the turn: what was issued meanwhile is the key's.
  const auto current = requests_->find(request.key);
  if (!current) return current.error();
  if (!current->certificates.empty()) return current->certificates;
  auto path = certify_in_turn(*current);
  if (waits(request.key)) turn.keep_for_this_node();
  return path;
}

Result<std::vector<Bytes>> CmpIssuance::certify_in_turn(const KeyRequest& request) {
  if (const auto ended = end_unkept(request); !ended) return ended.error();
  const auto open = unsettled_->find(request.key);
  if (!open) return open.error();
  if (*open) {
    auto path = settle_one(request, **open);
    if (!path) return path.error();
    if (*path) return std::move(**path);
  }
  auto waiting = take_or_begin(request);
  if (!waiting) return waiting.error();
  if (const auto left = waiting->not_before - clock_->now(); left > std::chrono::seconds(0)) {
    put_aside(request.key, std::move(*waiting));
    return still_waiting(left);
  }
  auto path = waiting->request.proceed();
  if (path && *path) {
    if (auto kept = requests_->issued(request.key, **path); !kept) return kept.error();
    return std::move(**path);
  }
  if (path || waiting->request.open()) {
    const auto pause = waiting->request.check_after();
    waiting->not_before = clock_->now() + pause;
    put_aside(request.key, std::move(*waiting));
    return path ? still_waiting(pause) : path.error();
  }
  // What was refused and is in force there all the same (implicitConfirm, or the CA did not hear it) is revoked; what may be ours stays.
  if (auto issued = waiting->request.left_in_force()) {
    {
      const std::lock_guard lock(mutex_);
      unkept_.insert_or_assign(request.key.text(), std::move(*issued));
    }
    if (!end_unkept(request)) return path.error();
  }
  const auto left = unsettled_->find(request.key);
  if (left && *left && !(*left)->taken) {
    if (const auto ended = settle_one(request, **left); !ended)
      log::refusal("registration.certificate_not_ended", ended.error(), {{"credential", request.key.text()}});
  }
  return path.error();
}

Result<std::optional<std::vector<Bytes>>> CmpIssuance::settle_one(const KeyRequest& request, const crypto::CmpIssued& issued) {
  if (issued.taken) {
    auto path = client_.judge(issued.certificates, request.csr);
    const auto said = path ? confirmation_of(issued) : Result<crypto::CmpConfirmation>(crypto::CmpConfirmation::unknown);
    if (!said) return said.error();
    if (path && *said == crypto::CmpConfirmation::confirmed) {
      if (auto kept = requests_->issued(request.key, *path); !kept) return kept.error();
      return std::optional(std::move(*path));
    }
  }
  if (auto ended = withdraw(request, issued); !ended) return ended.error();
  if (auto forgotten = unsettled_->forget(request.key); !forgotten) return forgotten.error();
  return std::optional<std::vector<Bytes>>();
}

Result<crypto::CmpConfirmation> CmpIssuance::confirmation_of(const crypto::CmpIssued& issued) const {
  if (issued.implicit) return crypto::CmpConfirmation::confirmed;
  // A crash between the certificate and certConf: the CA was told nothing, and its transaction cannot be taken up.
  if (issued.confirmation.empty()) return crypto::CmpConfirmation::unknown;
  return client_.confirm_again(issued.confirmation);
}

Status CmpIssuance::withdraw(const KeyRequest& request, const crypto::CmpIssued& issued) {
  const auto leaf = crypto::Certificate::parse_der(issued.certificates.front());
  const auto certified = leaf ? leaf->public_key() : Result<crypto::PublicKey>(leaf.error());
  const auto asked = crypto::parse_csr(request.csr);
  // It may be somebody else's, in force: no word of a CA that mixes certificates up ends it.
  if (refused_by("cmp_issuance.withdraw.key", !certified || !asked || certified->spki() != asked->key.spki())) {
    log::warn("registration.foreign_certificate",
              {{"credential", request.key.text()}, {"serial", leaf ? leaf->serial_hex() : "unreadable"}});
    return {};
  }
  if (!leaf) return leaf.error();
  if (auto ended = client_.withdraw(*leaf); !ended) return ended;
  log::warn("registration.certificate_withdrawn", {{"credential", request.key.text()}, {"serial", leaf->serial_hex()}});
  return {};
}

Status CmpIssuance::end_unkept(const KeyRequest& request) {
  std::optional<crypto::CmpIssued> issued;
  {
    const std::lock_guard lock(mutex_);
    if (const auto at = unkept_.find(request.key.text()); at != unkept_.end()) issued = at->second;
  }
  if (!issued) return {};
  // A database that refuses may have kept it: what stands there is settled from there.
  const auto row = unsettled_->find(request.key);
  Status ended;
  if (!row) ended = row.error();
  if (row && !*row) ended = withdraw(request, *issued);
  if (!ended) {
    // The CA's record and this line are all that there is of it where this process ends now.
    const auto leaf = crypto::Certificate::parse_der(issued->certificates.front());
    log::error("registration.certificate_unkept", {{"credential", request.key.text()},
                                                   {"serial", leaf ? leaf->serial_hex() : "unreadable"},
                                                   {"code", std::string(name_of(ended.error().code))},
                                                   {"detail", ended.error().detail}});
    return ended;
  }
  const std::lock_guard lock(mutex_);
  unkept_.erase(request.key.text());
  return {};
}

Result<CmpIssuance::Waiting> CmpIssuance::take_or_begin(const KeyRequest& request) {
  {
    const std::lock_guard lock(mutex_);
    if (auto node = waiting_.extract(request.key.text()); node) return std::move(node.mapped());
    if (refused_by("cmp_issuance.waiting", waiting_.size() >= max_waiting_))
      return Error{ErrorCode::busy, "too many requests wait for the CA; ask again later"};
  }
  auto begun =
      client_.begin(request.csr, {[this, key = request.key](const crypto::CmpIssued& issued) { return unsettled_->keep(key, issued); },
                                  [this, key = request.key] {
                                    if (const auto done = unsettled_->forget(key); !done)
                                      log::refusal("registration.refused_certificate", done.error(), {{"credential", key.text()}});
                                  }});
  if (!begun) return begun.error();
  return Waiting{std::move(*begun), clock_->now()};
}

void CmpIssuance::put_aside(const KeyId& key, Waiting waiting) {
  const std::lock_guard lock(mutex_);
  waiting_.insert_or_assign(key.text(), std::move(waiting));
}

std::vector<KeyId> CmpIssuance::due_keys() {
  const std::lock_guard lock(mutex_);
  std::vector<KeyId> due;
  for (const auto& [text, waiting] : waiting_) {
    auto key = KeyId::parse(text);
    if (key && waiting.not_before <= clock_->now()) due.push_back(std::move(*key));
  }
  for (const auto& [text, issued] : unkept_) {
    if (auto key = KeyId::parse(text)) due.push_back(std::move(*key));
  }
  return due;
}

void CmpIssuance::settle() {
  // What a wrong time makes of a certificate is no reason to revoke it.
  if (const auto trusted = clock_->synchronised(); !trusted) return log::refusal("registration.not_settled", trusted.error());
  auto keys = unsettled_->keys(settled_until_, settled_at_once);
  if (!keys) return log::refusal("registration.not_settled", keys.error());
  if (keys->empty()) settled_until_.clear();
  const auto ends = clock_->now() + settle_time;
  const auto settle_key = [&](const KeyId& key) {
    if (const auto done = take_up(key); !done) log::refusal("registration.not_settled", done.error(), {{"credential", key.text()}});
  };
  for (const auto& key : *keys) {
    if (clock_->now() >= ends) return;
    settled_until_ = key.text();
    settle_key(key);
  }
  // What is known in memory alone has no place among the rows: it would set the next pass back, before a row that is stuck, each time.
  for (const auto& key : due_keys()) {
    if (clock_->now() >= ends) return;
    settle_key(key);
  }
}

Status CmpIssuance::take_up(const KeyId& key) {
  OneAtATime::Turn turn(turns_, key.text());
  if (!turn) return {};
  const auto request = requests_->find(key);
  if (!request) return request.error();
  if (auto ended = end_unkept(*request); !ended) return ended;
  const auto open = unsettled_->find(key);
  if (!open) return open.error();
  if (*open) {
    const auto settled = settle_one(*request, **open);
    return settled ? Status{} : settled.error();
  }
  // No new request without an operator's word: only one that waits goes on.
  if (!waits(key)) return {};
  const auto path = certify_in_turn(*request);
  if (waits(key)) turn.keep_for_this_node();
  return path ? Status{} : path.error();
}

bool CmpIssuance::waits(const KeyId& key) {
  const std::lock_guard lock(mutex_);
  return waiting_.contains(key.text());
}

}  // namespace intaglio::registration
