#include "http/answer.h"

#include <algorithm>
#include <array>
#include <chrono>

#include "base/clock.h"
#include "base/log.h"
#include "http/routes.h"

namespace intaglio::http {
namespace {

constexpr auto reasons = std::to_array<std::pair<unsigned, std::string_view>>({
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
});

std::string_view reason_of(unsigned status) {
  const auto* found = std::find_if(reasons.begin(), reasons.end(), [=](const auto& row) { return row.first == status; });
  return found == reasons.end() ? "Status" : found->second;
}

bool is_clean(std::string_view text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

bool is_sound(const Response& response) {
  const bool headers = std::all_of(response.headers.begin(), response.headers.end(), [](const auto& header) {
    return !header.first.empty() && is_clean(header.first) && is_clean(header.second) && header.first.find(':') == std::string::npos;
  });
  return headers && is_clean(response.content_type) && response.status >= 200 && response.status < 600;
}

void line(std::string& out, std::string_view name, std::string_view value) { out.append(name).append(": ").append(value).append("\r\n"); }

bool same_name(std::string_view left, std::string_view right) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(left.begin(), left.end(), right.begin(), right.end(), [&](char a, char b) { return lower(a) == lower(b); });
}

bool says(const Response& response, std::string_view name) {
  return std::any_of(response.headers.begin(), response.headers.end(), [&](const auto& header) { return same_name(header.first, name); });
}

}  // namespace

std::string encode_answer(const Response& response, const AnswerFrame& frame) {
  if (!is_sound(response)) {
    log::error("http.unsound_answer", {{"request_id", std::string(frame.request_id)}});
    return encode_answer(error_answer(500, "server_error", "Internal error"), frame);
  }
  const bool bodiless = response.status == 204 || response.status == 304;
  std::string out;
  out.reserve(512 + response.body.size());
  out.append("HTTP/1.1 ").append(std::to_string(response.status)).append(" ").append(reason_of(response.status)).append("\r\n");
  line(out, "Date", frame.date);
  if (!bodiless) {
    if (!response.content_type.empty()) line(out, "Content-Type", response.content_type);
    line(out, "Content-Length", std::to_string(response.body.size()));
  }
  for (const auto& [name, value] : response.headers) line(out, name, value);
  if (!says(response, "Cache-Control")) line(out, "Cache-Control", "no-store");
  line(out, "X-Content-Type-Options", "nosniff");
  if (frame.tls) line(out, "Strict-Transport-Security", "max-age=63072000");
  line(out, "X-Request-Id", frame.request_id);
  if (frame.close) line(out, "Connection", "close");
  out.append("\r\n");
  if (!bodiless && !frame.head) out.append(response.body);
  return out;
}

std::string http_date(std::int64_t unix_seconds) {
  using namespace std::chrono;
  static constexpr std::array<std::string_view, 7> weekdays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                              "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto time = from_unix_seconds(unix_seconds);
  const auto day = floor<days>(time);
  const year_month_day date(day);
  const hh_mm_ss clock(time - day);
  std::array<char, 48> text{};
  std::snprintf(text.data(), text.size(), "%s, %02u %s %04d %02d:%02d:%02d GMT", weekdays.at(weekday(day).c_encoding()).data(),
                unsigned{date.day()}, months.at(unsigned{date.month()} - 1).data(), int{date.year()},
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()));
  return text.data();
}

}  // namespace intaglio::http
