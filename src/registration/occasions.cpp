#include "registration/occasions.h"

#include "base/log.h"

namespace intaglio::registration {
namespace {

using notice::Kind;

/// Of an activation code (trust-core, 6).
constexpr auto code_life = std::chrono::hours(24 * 7);
constexpr std::size_t day_length = 10;

void tell(const Result<std::size_t>& put, const std::string& signer) {
  if (!put) log::refusal("registration.notice_lost", put.error(), {{"signer", signer}});
}

}  // namespace

void Occasions::changed(storage::Transaction& transaction, const Enrolment& line, EnrolmentState from) const {
  const auto signer = SignerId::parse(line.signer);
  if (!signer) return;
  const auto put = [&](Kind kind, notice::Values facts, std::string once = {}) {
    tell(outbox_->put(transaction, {kind, *signer, std::move(facts), std::move(once)}), line.signer);
  };
  const auto now = format_utc(clock_->now());
  switch (line.state) {
    case EnrolmentState::code_sent:
      put(Kind::enrolment_link, {{"until", format_utc(clock_->now() + code_life)}});
      put(Kind::activation_code, {{"until", format_utc(clock_->now() + code_life)}});
      return;
    case EnrolmentState::key_certified:
      // What was suspended is certified still.
      if (from != EnrolmentState::suspended && line.ends) {
        const auto ends = format_utc(*line.ends);
        put(Kind::certificate_issued, {{"credential", line.credential}, {"ends", ends}}, line.credential + "/" + ends);
      }
      return;
    case EnrolmentState::suspended: put(Kind::suspended, {{"credential", line.credential}, {"at", now}}); return;
    case EnrolmentState::revoked: put(Kind::revoked, {{"credential", line.credential}, {"at", now}}); return;
    default: return;
  }
}

void Occasions::secret_changed(const SignerId& signer) const {
  tell(outbox_->put({Kind::secret_changed, signer, {{"at", format_utc(clock_->now())}}, {}}), signer.text());
}

void Occasions::secret_locked(const SignerId& signer) const {
  const auto now = format_utc(clock_->now());
  tell(outbox_->put({Kind::secret_locked, signer, {{"at", now}}, now.substr(0, day_length)}), signer.text());
}

}  // namespace intaglio::registration
