// intaglio-bench: the load generator behind `make bench`; bench/run.mjs says what is measured. It prints one JSON line a cell.
#include <charconv>

#include "base/log.h"
#include "load.h"
#include "stages.h"

using namespace intaglio;
using namespace intaglio::bench;

namespace {

constexpr std::string_view usage =
    "usage: intaglio-bench raw|token|wrapped module=FILE folder=DIRECTORY clients=1,8,32 seconds=N\n"
    "       intaglio-bench limits module=FILE folder=DIRECTORY seconds=N, then lines \"KEY CLIENTS\" on standard input\n"
    "       intaglio-bench tsa port=N root=FILE clients=1,8,32 seconds=N\n"
    "       intaglio-bench status port=N issuer=FILE certificate=FILE clients=1,8,32 seconds=N\n"
    "       intaglio-bench wire|https|posts name=NAME plan=FILE clients=N seconds=N batch=N";

class Arguments {
 public:
  explicit Arguments(std::span<char*> words) {
    for (const std::string_view word : words) {
      const auto equals = word.find('=');
      if (equals == std::string_view::npos) fail(usage);
      values_.emplace(word.substr(0, equals), word.substr(equals + 1));
    }
  }
  [[nodiscard]] const std::string& text(const std::string& name) const {
    const auto found = values_.find(name);
    if (found == values_.end()) fail(usage);
    return found->second;
  }
  template <typename Number>
  [[nodiscard]] Number number(const std::string& name) const {
    return parse<Number>(text(name));
  }
  [[nodiscard]] std::vector<unsigned> numbers(const std::string& name) const {
    std::vector<unsigned> list;
    std::string_view rest = text(name);
    while (!rest.empty()) {
      const auto comma = std::min(rest.find(','), rest.size());
      list.push_back(parse<unsigned>(rest.substr(0, comma)));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    return list;
  }

 private:
  template <typename Number>
  static Number parse(std::string_view text) {
    Number number{};
    const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (failed != std::errc() || end != text.data() + text.size() || number <= 0) fail(usage);
    return number;
  }
  std::map<std::string, std::string> values_;
};

}  // namespace

int main(int count, char** words) {
  if (count < 2) fail(usage);
  const std::string_view stage = words[1];
  const Arguments arguments(std::span(words, static_cast<std::size_t>(count)).subspan(2));
  if (stage == "raw" || stage == "token" || stage == "wrapped") {
    const LocalOptions options{arguments.text("module"), arguments.text("folder"), arguments.numbers("clients"),
                               arguments.number<double>("seconds")};
    stage == "raw" ? measure_raw(options) : stage == "token" ? measure_token(options) : measure_wrapped(options);
    return 0;
  }
  if (stage == "limits") {
    serve_limits({arguments.text("module"), arguments.text("folder"), {}, arguments.number<double>("seconds")});
    return 0;
  }
  if (stage == "tsa") {
    measure_timestamps({arguments.number<std::uint16_t>("port"), arguments.text("root"), arguments.numbers("clients"),
                        arguments.number<double>("seconds")});
    return 0;
  }
  if (stage == "status") {
    measure_status({arguments.number<std::uint16_t>("port"), arguments.text("issuer"), arguments.text("certificate"),
                    arguments.numbers("clients"), arguments.number<double>("seconds")});
    return 0;
  }
  const RemoteOptions options{arguments.text("name"), arguments.text("plan"), arguments.number<unsigned>("clients"),
                              arguments.number<double>("seconds"), arguments.number<unsigned>("batch")};
  if (stage == "wire") {
    measure_wire(options);
  } else if (stage == "https") {
    measure_https(options);
  } else if (stage == "posts") {
    measure_posts(options);
  } else {
    fail(usage);
  }
  return 0;
}
