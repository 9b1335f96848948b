#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"

/// A closed-loop load generator: each client is a thread that begins its next call when the last one was answered.
namespace intaglio::bench {

/// Ends the program with these words: a benchmark that went wrong has no result.
[[noreturn]] void fail(std::string_view what);
[[noreturn]] void fail(std::string_view what, const Error& error);

/// The value, or the end of the program.
template <typename T>
T must(std::string_view what, Result<T> result) {
  if (!result) fail(what, result.error());
  return *std::move(result);
}
inline void must(std::string_view what, const Status& status) {
  if (!status) fail(what, status.error());
}

/// One call; gives how many signatures it made, 0 when nothing is left to do.
using Call = std::function<unsigned()>;
/// Makes the call of a client, on the thread of that client, before the time begins: connections, sessions, contexts.
using MakeCall = std::function<Call(unsigned client)>;

struct Load {
  std::string name;
  unsigned clients;
  double seconds;
};

/// Runs a load and prints one JSON line: name, clients, calls, ops (signatures), seconds (wall), cpu (seconds that this process
/// used meanwhile), and the percentiles p50, p95, p99 of a call in microseconds.
void measure(const Load& load, const MakeCall& make);

}  // namespace intaglio::bench
