#include "registration/enrolment_view.h"

#include <charconv>

#include "json/json.h"
#include "registration/refusal.h"

namespace intaglio::registration {
namespace {

using http::Request;
using http::Response;

constexpr std::size_t max_page = 100;
constexpr std::size_t max_days = 3660;

json::Value line_of(const Enrolment& line) {
  json::Value shown{{"state", name_of(line.state)}, {"since", format_utc(line.since)}, {"next", next_step_of(line.state)}};
  if (!line.credential.empty()) shown["credentialID"] = line.credential;
  if (!line.enrolled_by.empty()) shown["enrolledBy"] = line.enrolled_by;
  if (!line.level.empty()) shown["level"] = line.level;
  if (line.ends) shown["certificateEnds"] = format_utc(*line.ends);
  return shown;
}

/// The parameter of a query; nothing when it is not there.
Result<std::optional<std::string>> parameter(std::string_view query, std::string_view name) {
  const std::string mark = std::string(name) + "=";
  if (!query.starts_with(mark) && query.find("&" + mark) == std::string_view::npos) return std::optional<std::string>();
  auto value = http::form_value(query, name);
  if (!value) return value.error();
  return std::optional<std::string>(std::move(*value));
}

/// A decimal number from 1 on.
Result<std::size_t> number_of(const std::string& text, std::size_t most) {
  std::size_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number == 0 || number > most) {
    return Error{ErrorCode::invalid_request, "a number of the query is not from 1 to " + std::to_string(most)};
  }
  return number;
}

/// `signer` or `signer.credential`, as `next` gave it.
Status read_cursor(const std::string& text, Enrolments::Page& page) {
  const auto point = text.find('.');
  const auto signer = SignerId::parse(text.substr(0, point));
  if (!signer) return Error{ErrorCode::invalid_request, "after is no line of the register"};
  page.after_signer = signer->text();
  if (point == std::string::npos) return {};
  const auto credential = KeyId::parse(text.substr(point + 1));
  if (!credential) return Error{ErrorCode::invalid_request, "after is no line of the register"};
  page.after_credential = credential->text();
  return {};
}

Result<Enrolments::Page> page_of(const Request& request, UnixTime now) {
  Enrolments::Page page;
  const auto state = parameter(request.query, "state");
  if (!state) return state.error();
  if (*state) {
    page.state = parse_enrolment_state(**state);
    if (!page.state || *page.state == EnrolmentState::none) return Error{ErrorCode::invalid_request, "state is none of the register's"};
  }
  const auto ending = parameter(request.query, "ending");
  if (!ending) return ending.error();
  if (*ending) {
    const auto days = number_of(**ending, max_days);
    if (!days) return days.error();
    page.ending_before = now + std::chrono::hours(24 * static_cast<std::int64_t>(*days));
  }
  const auto after = parameter(request.query, "after");
  if (!after) return after.error();
  if (*after) {
    if (auto read = read_cursor(**after, page); !read) return read.error();
  }
  const auto limit = parameter(request.query, "limit");
  if (!limit) return limit.error();
  if (*limit) {
    const auto number = number_of(**limit, max_page);
    if (!number) return number.error();
    page.limit = *number;
  }
  return page;
}

}  // namespace

Response list_enrolments(Enrolments& enrolments, const Request& request, UnixTime now) {
  auto page = page_of(request, now);
  if (!page) return refuse(request, page.error());
  const auto wanted = page->limit;
  // One more says whether there is a next page.
  page->limit = wanted + 1;
  const auto lines = enrolments.list(*page);
  if (!lines) return refuse(request, lines.error());
  json::Value body = json::Value::object();
  auto shown = json::Value::array();
  for (const auto& line : *lines) {
    if (shown.size() == wanted) {
      const auto& last = (*lines)[wanted - 1];
      body["next"] = last.credential.empty() ? last.signer : last.signer + "." + last.credential;
      break;
    }
    auto entry = line_of(line);
    entry["signerID"] = line.signer;
    shown.push_back(std::move(entry));
  }
  body["enrolments"] = std::move(shown);
  return http::json_answer(json::encode(body));
}

Response show_enrolment(Enrolments& enrolments, const Request& request, std::string_view signer) {
  const auto id = SignerId::parse(signer);
  if (!id) return refuse(request, {ErrorCode::not_found, "not a signer's id"});
  const auto lines = enrolments.find(*id);
  if (!lines) return refuse(request, lines.error());
  if (lines->empty()) return refuse(request, {ErrorCode::not_found, "not in the register"});
  json::Value body = json::Value::object();
  auto keys = json::Value::array();
  for (const auto& line : *lines) {
    if (line.credential.empty()) {
      body = line_of(line);
    } else {
      keys.push_back(line_of(line));
    }
  }
  body["signerID"] = id->text();
  body["keys"] = std::move(keys);
  return http::json_answer(json::encode(body));
}

}  // namespace intaglio::registration
