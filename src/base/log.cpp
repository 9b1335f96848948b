#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <cstdio>
#include <vector>

namespace intaglio::log {
namespace {

std::string process_name = "intaglio";

spdlog::logger& logger() {
  static const auto instance = [] {
    auto made = spdlog::stderr_logger_mt("intaglio");
    // spdlog does not escape: the line is JSON already, made here.
    made->set_pattern("%v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *instance;
}

/// Length of a valid UTF-8 sequence at `at`, or 0 (RFC 3629: no surrogates, no overlong forms).
std::size_t utf8_length(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) { return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if (first == 0xe0 && byte(1) < 0xa0) return 0;
    if (first == 0xed && byte(1) > 0x9f) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if (first == 0xf0 && byte(1) < 0x90) return 0;
    if (first == 0xf4 && byte(1) > 0x8f) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

void write(spdlog::level::level_enum level, std::string_view event, std::initializer_list<Field> fields, const Error* error) {
  if (!logger().should_log(level)) return;
  std::string line = R"({"time":")";
  char stamp[40];
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  ::gmtime_r(&now.tv_sec, &utc);
  const auto length = std::strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
  std::snprintf(stamp + length, sizeof stamp - length, ".%03ldZ", now.tv_nsec / 1000000);
  line += stamp;
  line += R"(","level":")";
  line += std::string_view(spdlog::level::to_string_view(level).data(), spdlog::level::to_string_view(level).size());
  line += R"(","process":)" + json_quoted(process_name) + R"(,"event":)" + json_quoted(event);
  if (error != nullptr) line += R"(,"code":)" + json_quoted(name_of(error->code)) + R"(,"detail":)" + json_quoted(error->detail);
  for (const auto& [name, value] : fields) line += "," + json_quoted(name) + ":" + json_quoted(value);
  line += "}";
  logger().log(level, spdlog::string_view_t(line.data(), line.size()));
}

}  // namespace

void open(std::string_view process, std::string_view level) {
  process_name = process;
  logger().set_level(spdlog::level::from_str(std::string(level)));
}

void debug(std::string_view event, std::initializer_list<Field> fields) { write(spdlog::level::debug, event, fields, nullptr); }
void info(std::string_view event, std::initializer_list<Field> fields) { write(spdlog::level::info, event, fields, nullptr); }
void warn(std::string_view event, std::initializer_list<Field> fields) { write(spdlog::level::warn, event, fields, nullptr); }
void error(std::string_view event, std::initializer_list<Field> fields) { write(spdlog::level::err, event, fields, nullptr); }
void refusal(std::string_view event, const Error& error, std::initializer_list<Field> fields) {
  write(spdlog::level::warn, event, fields, &error);
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const auto length = utf8_length(text, at);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      ++at;
      continue;
    }
    const char c = text[at];
    if (length == 1 && (static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\' || c == 0x7f)) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      out += escaped;
    } else {
      out += text.substr(at, length);
    }
    at += length;
  }
  return out + "\"";
}

}  // namespace intaglio::log
