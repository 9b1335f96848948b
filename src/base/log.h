#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "base/error.h"

/// The operational log: one JSON object a line on standard error. Not evidence: that is the audit log. Never a secret: a
/// Secret does not convert to any argument here, and tests plant canaries.
namespace intaglio::log {

using Field = std::pair<std::string_view, std::string>;

/// Once, before the first line: the process name that every line carries, and the lowest level (debug, info, warn, error).
void open(std::string_view process, std::string_view level);

void debug(std::string_view event, std::initializer_list<Field> fields = {});
void info(std::string_view event, std::initializer_list<Field> fields = {});
void warn(std::string_view event, std::initializer_list<Field> fields = {});
void error(std::string_view event, std::initializer_list<Field> fields = {});
/// The refusal with its code and its detail for operators.
void refusal(std::string_view event, const Error& error, std::initializer_list<Field> fields = {});

/// The JSON string literal of a text, quotes included; invalid UTF-8 becomes U+FFFD.
[[nodiscard]] std::string json_quoted(std::string_view text);

}  // namespace intaglio::log
