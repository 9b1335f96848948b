#include "registration/enrolment_state.h"

#include <algorithm>
#include <array>

#include "base/panic.h"

namespace intaglio::registration {
namespace {

using enum EnrolmentState;

struct Line {
  EnrolmentState state;
  std::string_view name;
  std::string_view next;
};
constexpr std::array<Line, enrolment_states> lines{{
    {none, "none", "create the signer"},
    {code_sent, "code_sent", "the person enrols a device with the activation code, within 7 days"},
    {device_registered, "device_registered", "the person makes a key"},
    {key_made, "key_made", "certify the key"},
    {key_certified, "key_certified", "none: the key signs"},
    {suspended, "suspended", "resume the key, or revoke its certificate"},
    {revocation_requested, "revocation_requested", "revoke the certificate now: the person asked for it"},
    {revoked, "revoked", "none: the certificate is revoked"},
    {expired, "expired", "none: the certificate ended; who goes on signing makes another key"},
    {ended, "ended", "revoke the certificate of the destroyed key"},
}};

struct Pair {
  EnrolmentState from, to;
};
/// What was there before the register comes in at whatever state it has.
constexpr std::array transitions{
    Pair{none, code_sent},
    Pair{none, device_registered},
    Pair{none, key_made},
    Pair{none, key_certified},
    Pair{none, suspended},
    Pair{none, revocation_requested},
    Pair{none, revoked},
    Pair{none, expired},
    Pair{none, ended},
    Pair{code_sent, code_sent},
    Pair{code_sent, device_registered},
    Pair{code_sent, revocation_requested},
    Pair{device_registered, code_sent},
    Pair{device_registered, revocation_requested},
    Pair{key_made, key_certified},
    Pair{key_made, suspended},
    Pair{key_made, revocation_requested},
    Pair{key_made, revoked},
    Pair{key_made, ended},
    Pair{key_certified, suspended},
    Pair{key_certified, revocation_requested},
    Pair{key_certified, revoked},
    Pair{key_certified, expired},
    Pair{key_certified, ended},
    Pair{suspended, key_certified},
    Pair{suspended, revocation_requested},
    Pair{suspended, revoked},
    Pair{suspended, expired},
    Pair{suspended, ended},
    Pair{revocation_requested, code_sent},
    Pair{revocation_requested, revoked},
    Pair{revocation_requested, expired},
    Pair{expired, revoked},
    Pair{expired, ended},
    Pair{ended, revoked},
    Pair{ended, expired},
};

}  // namespace

std::string_view name_of(EnrolmentState state) noexcept {
  const auto found = std::find_if(lines.begin(), lines.end(), [state](const Line& line) { return line.state == state; });
  if (found == lines.end()) panic("an enrolment state outside its set");
  return found->name;
}

std::optional<EnrolmentState> parse_enrolment_state(std::string_view name) noexcept {
  const auto found = std::find_if(lines.begin(), lines.end(), [name](const Line& line) { return line.name == name; });
  if (found == lines.end()) return std::nullopt;
  return found->state;
}

std::string_view next_step_of(EnrolmentState state) noexcept {
  const auto found = std::find_if(lines.begin(), lines.end(), [state](const Line& line) { return line.state == state; });
  if (found == lines.end()) panic("an enrolment state outside its set");
  return found->next;
}

bool may_follow(EnrolmentState from, EnrolmentState to) noexcept {
  return std::any_of(transitions.begin(), transitions.end(), [&](const Pair& pair) { return pair.from == from && pair.to == to; });
}

}  // namespace intaglio::registration
