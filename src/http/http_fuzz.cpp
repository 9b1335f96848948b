#include "base/panic.h"
#include "http/request_reader.h"
#include "http/routes.h"

namespace {

using namespace intaglio::http;

void check(const Request& request, const RequestLimits& limits) {
  const bool bounded = request.body.size() <= limits.max_body_bytes && request.headers.size() <= limits.max_headers;
  if (!bounded || !request.headers.contains("host") || request.path.empty() || request.path[0] != '/') {
    intaglio::panic("a request that breaks its limits was accepted");
  }
  static_cast<void>(form_value(request.query, "code"));
  static_cast<void>(form_value(request.body, "grant_type"));
}

}  // namespace

/// The first byte says in how large pieces the rest arrives: the outcome must not depend on it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string text(data + 1, data + size);
  const std::size_t piece = std::size_t{data[0]} + 1;
  const RequestLimits limits{.max_header_bytes = 512, .max_body_bytes = 128, .max_headers = 8};
  RequestReader whole(limits);
  RequestReader pieces(limits);
  const auto at_once = whole.feed(text);
  auto in_pieces = RequestReader::State::reading;
  for (std::size_t at = 0; at < text.size() && in_pieces == RequestReader::State::reading; at += piece) {
    in_pieces = pieces.feed(std::string_view(text).substr(at, piece));
    static_cast<void>(pieces.wants_continue());
  }
  if (at_once == RequestReader::State::complete) {
    const auto request = whole.take_request();
    check(request, limits);
    if (in_pieces != RequestReader::State::complete) intaglio::panic("accepted at once, but not in pieces");
    const auto same = pieces.take_request();
    if (same.body != request.body || same.headers != request.headers || same.path != request.path)
      intaglio::panic("another request in pieces");
  } else if (in_pieces == RequestReader::State::complete) {
    intaglio::panic("accepted in pieces, but not at once");
  }
  return 0;
}
