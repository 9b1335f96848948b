#include "pki/state.h"

#include "json/json.h"
#include "metrics/health.h"

namespace intaglio::pki {

using metrics::Figure;
using metrics::Kind;

struct State::Seen {
  Service::Standing standing;
  bool clock, audit, list, responder;
  [[nodiscard]] bool serving() const { return clock && audit && list && responder; }
};

State::Seen State::look() const {
  const auto now = environment_.clock->now();
  Seen seen{service_.standing(), static_cast<bool>(environment_.clock->synchronised()), static_cast<bool>(environment_.audit.healthy()),
            false, false};
  seen.list = seen.standing.list && now < seen.standing.list->next_update;
  seen.responder = now < seen.standing.responder_end;
  return seen;
}

std::vector<Figure> State::figures() const {
  const auto seen = look();
  const auto flag = [](bool value) { return value ? 1.0 : 0.0; };
  const auto moment = [](UnixTime at) { return static_cast<double>(unix_seconds(at)); };
  std::vector<Figure> figures = {
      {"intaglio_serving", "1 while this process issues certificates and tells their status", Kind::gauge, flag(seen.serving())},
      {"intaglio_clock_synchronised", "1 while the clock of this process is synchronised", Kind::gauge, flag(seen.clock)},
      {"intaglio_audit_healthy", "1 while the audit log of this process takes entries", Kind::gauge, flag(seen.audit)},
      {"intaglio_audit_entries", "Entries of the audit log of this process", Kind::gauge, static_cast<double>(environment_.audit.size())},
      {"intaglio_pki_preproduced_answers", "OCSP answers that are signed and wait to be asked for", Kind::gauge,
       static_cast<double>(seen.standing.preproduced)}};
  const auto add_end = [&](std::string name, std::string help, std::string label, std::string value, UnixTime end) {
    figures.push_back({std::move(name), std::move(help), Kind::gauge, moment(end), {{std::move(label), std::move(value)}}});
  };
  const auto add_list = [&](std::string list, UnixTime end) {
    add_end("intaglio_pki_revocation_list_end_seconds", "When the revocation list in force ends", "list", std::move(list), end);
  };
  const auto add_certificate = [&](std::string certificate, UnixTime end) {
    add_end("intaglio_pki_certificate_end_seconds", "When a certificate of this authority ends", "certificate", std::move(certificate),
            end);
  };
  add_list("root", root_list_end_);
  if (const auto& list = seen.standing.list) {
    add_list("issuing", list->next_update);
    figures.push_back(
        {"intaglio_pki_revocation_list_number", "Number of the revocation list in force", Kind::gauge, static_cast<double>(list->number)});
  }
  add_certificate("issuing", seen.standing.issuing_end);
  add_certificate("responder", seen.standing.responder_end);
  if (seen.standing.time_stamping_end) add_certificate("time_stamping", *seen.standing.time_stamping_end);
  return figures;
}

std::string State::json() const {
  const auto seen = look();
  return json::encode({{"state", seen.serving() ? "serving" : "refusing"},
                       {"clock", seen.clock},
                       {"audit", seen.audit},
                       {"list", seen.list},
                       {"responder", seen.responder}});
}

void State::add_routes(http::Router& router) const {
  metrics::add_health_routes(router, {[this] { return look().serving(); }, [this] { return json(); }});
}

}  // namespace intaglio::pki
