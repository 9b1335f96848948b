#include "registration/recorder.h"

#include "base/check.h"
#include "base/log.h"

namespace intaglio::registration {
namespace {

constexpr std::size_t max_word = 64;

/// Words of the operator's payload that stand in the audit event too. The SAM or the PKI has verified the request by now.
std::vector<std::pair<std::string, std::string>> words_of(const OperatorRequest& asked, std::initializer_list<std::string_view> names) {
  std::vector<std::pair<std::string, std::string>> words;
  for (const auto name : names) {
    if (const auto text = json::text_member(asked.payload, name, max_word); text && !text->empty()) words.emplace_back(name, *text);
  }
  return words;
}

}  // namespace

void Recorder::signer_enrolled(const SignerId& signer, const OperatorRequest& asked) const {
  record({signer, std::nullopt, EnrolmentState::code_sent, asked.operator_id, words_of(asked, {"level"}), asked.operator_id});
  const auto lines = enrolments_->find(signer);
  if (!lines) return log::refusal("registration.register_behind", lines.error(), {{"signer", signer.text()}});
  for (const auto& line : *lines) {
    const auto key = KeyId::parse(line.credential);
    if (!key || !may_follow(line.state, EnrolmentState::ended)) continue;
    record({signer, *key, EnrolmentState::ended, asked.operator_id});
  }
}

void Recorder::device_registered(const SignerId& signer) const {
  record({signer, std::nullopt, EnrolmentState::device_registered, "signer:" + signer.text()});
}

void Recorder::key_made(const SignerId& signer, const KeyId& key) const {
  record({signer, key, EnrolmentState::key_made, "signer:" + signer.text()});
}

void Recorder::key_stopped_by_signer(const SignerId& signer, const KeyId& key, EnrolmentState to) const {
  record({signer, key, to, "signer:" + signer.text()});
}

void Recorder::key_changed(const KeyId& key, EnrolmentState to, const OperatorRequest* asked, std::optional<UnixTime> ends) const {
  const auto signer = signer_of(key);
  if (!signer) return log::refusal("registration.register_behind", signer.error(), {{"credential", key.text()}});
  if (asked == nullptr) return record({*signer, key, to, "ssa"});
  record({*signer, key, to, asked->operator_id, words_of(*asked, {"channel", "reason", "urgency"}), {}, ends});
}

Status Recorder::may_go_on(const KeyId& key) const {
  const auto signer = signer_of(key);
  // A key that nobody knows here has no request of its signer either.
  if (!signer) return signer.error().code == ErrorCode::not_found ? Status() : Status(signer.error());
  for (const auto& line : {std::optional<KeyId>(), std::optional<KeyId>(key)}) {
    const auto state = enrolments_->state_of(*signer, line);
    if (!state) return state.error();
    if (refused_by("registration.stopped", *state == EnrolmentState::revocation_requested)) {
      return Error{ErrorCode::conflict, "the signer asked for a revocation"};
    }
  }
  return {};
}

Result<std::string> Recorder::enrolled_by(const KeyId& key) const {
  const auto signer = signer_of(key);
  if (!signer) return signer.error().code == ErrorCode::not_found ? Result<std::string>(std::string()) : signer.error();
  const auto lines = enrolments_->find(*signer);
  if (!lines) return lines.error();
  // The signer's line comes first: its credential is empty.
  return lines->empty() ? std::string() : lines->front().enrolled_by;
}

Result<SignerId> Recorder::signer_of(const KeyId& key) const {
  const auto line = enrolments_->find_key(key);
  if (!line) return line.error();
  if (*line) return SignerId::parse((*line)->signer);
  const auto request = requests_->find(key);
  if (!request) return request.error();
  return request->signer;
}

void Recorder::record(const EnrolmentChange& change) const {
  if (const auto changed = enrolments_->change(change); !changed) {
    log::refusal("registration.register_behind", changed.error(),
                 {{"signer", change.signer.text()}, {"credential", change.key ? change.key->text() : std::string()}});
  }
}

Result<RevocationManner> parse_manner(const json::Value& payload) {
  RevocationManner manner;
  if (json::member(payload, "urgency") != nullptr) {
    const auto urgency = json::text_member(payload, "urgency", max_word);
    if (!urgency || (*urgency != "standard" && *urgency != "emergency")) {
      return Error{ErrorCode::invalid_request, "urgency is standard or emergency"};
    }
    manner.emergency = *urgency == "emergency";
  }
  if (json::member(payload, "channel") != nullptr) {
    const auto channel = json::text_member(payload, "channel", max_word);
    if (!channel || (*channel != "operator" && *channel != "hotline")) {
      return Error{ErrorCode::invalid_request, "channel is operator or hotline"};
    }
    manner.channel = *channel;
  }
  return manner;
}

}  // namespace intaglio::registration
