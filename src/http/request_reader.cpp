#include "http/request_reader.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

namespace intaglio::http {
namespace {

namespace beast = boost::beast;
using beast::error_code;
using beast::string_view;

/// Of what the parser holds back while it waits for the rest of a chunk's head or of the trailer; it sets no bound itself.
constexpr std::size_t max_held_back_bytes = 256;
/// The shortest end of a chunked body, "0\r\n\r\n": with fewer bytes at hand nothing can end, and Beast 1.81 asserts that nobody tries.
constexpr std::size_t least_chunked_bytes = 5;

std::string lower(string_view text) {
  std::string result(text.size(), '\0');
  std::transform(text.begin(), text.end(), result.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return result;
}

bool all_of(string_view text, bool (*allowed)(char)) { return std::all_of(text.begin(), text.end(), allowed); }
bool is_decimal(char c) { return c >= '0' && c <= '9'; }
bool is_host_character(char c) {
  return is_decimal(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == '-' || c == '_' || c == ':' || c == '[' ||
         c == ']';
}
/// RFC 3986: no fragment, nothing that needs an escape.
bool is_target_character(char c) {
  return c > ' ' && c <= '~' && c != '#' && c != '"' && c != '<' && c != '>' && c != '\\' && c != '^' && c != '`' && c != '{' && c != '|' &&
         c != '}';
}

}  // namespace

class RequestReader::Parser final : public beast::http::basic_parser<true> {
 public:
  explicit Parser(const RequestLimits& limits) : limits_(limits) {
    header_limit(static_cast<std::uint32_t>(limits.max_header_bytes));
    body_limit(limits.max_body_bytes);
    eager(true);
  }

  /// What the library found wrong, in our words; ours are said already.
  void refuse(const error_code& failed) {
    using beast::http::error;
    if (status_ != 0) return;
    if (failed == error::header_limit) return say(431, "The header is too large");
    if (failed == error::body_limit || failed == error::buffer_overflow) return say(413, "The body is too large");
    if (failed == error::bad_version) return say(505, "Only HTTP/1.1 is spoken here");
    say(400, "Malformed request");
  }
  void refuse(unsigned status, std::string_view reason) {
    if (status_ == 0) say(status, reason);
  }

  [[nodiscard]] std::size_t least_useful_bytes() const { return header_done_ && chunked() ? least_chunked_bytes : 1; }

  Request request_;
  unsigned status_ = 0;
  std::string_view reason_;
  bool expects_continue_ = false;
  bool header_done_ = false;
  bool old_ = false;  ///< HTTP/1.0

 private:
  void say(unsigned status, std::string_view reason) {
    status_ = status;
    reason_ = reason;
  }
  /// Stops the parser; the code itself tells nothing, status_ and reason_ do.
  void stop(unsigned status, std::string_view reason, error_code& ec) {
    say(status, reason);
    ec = make_error_code(beast::http::error::bad_value);
  }

  void on_request_impl(beast::http::verb, string_view method, string_view target, int version, error_code& ec) override {
    if (version != 11 && !(version == 10 && limits_.http_1_0)) return stop(505, "Only HTTP/1.1 is spoken here", ec);
    old_ = version == 10;
    if (target.empty() || target[0] != '/' || !all_of(target, is_target_character)) return stop(400, "Malformed request target", ec);
    const auto question = target.find('?');
    request_.method.assign(method.data(), method.size());
    request_.path = std::string(target.substr(0, question));
    if (question != string_view::npos) request_.query = std::string(target.substr(question + 1));
  }
  void on_response_impl(int, string_view, int, error_code& ec) override { stop(400, "Malformed request", ec); }

  void on_field_impl(beast::http::field, string_view name, string_view value, error_code& ec) override {
    if (header_done_) return stop(400, "Trailers are not accepted", ec);
    if (request_.headers.size() >= limits_.max_headers) return stop(431, "Too many headers", ec);
    const auto [position, added] = request_.headers.emplace(lower(name), std::string(value));
    if (!added) return stop(400, "A header came twice", ec);
    check(position->first, value, ec);
  }
  void check(std::string_view name, string_view value, error_code& ec) {
    if (name == "host" && (value.empty() || !all_of(value, is_host_character))) return stop(400, "Malformed Host header", ec);
    if (name == "content-length" && (value.empty() || !all_of(value, is_decimal))) return stop(400, "Malformed Content-Length header", ec);
    // RFC 9112, 6.1 and RFC 9110, 10.1.1: HTTP/1.0 knows neither.
    if (old_ && (name == "transfer-encoding" || name == "expect")) return stop(400, "Not part of HTTP/1.0", ec);
    if (name == "transfer-encoding" && lower(value) != "chunked") return stop(501, "No transfer coding but chunked is known here", ec);
    if (name != "expect") return;
    if (lower(value) != "100-continue") return stop(417, "No expectation but 100-continue is known here", ec);
    expects_continue_ = true;
  }

  void on_header_impl(error_code& ec) override {
    header_done_ = true;
    if (!request_.headers.contains("host")) return stop(400, "The Host header is missing", ec);
    if (request_.headers.contains("content-length") && request_.headers.contains("transfer-encoding")) {
      return stop(400, "Content-Length and Transfer-Encoding contradict each other", ec);
    }
  }

  void on_body_init_impl(const boost::optional<std::uint64_t>& length, error_code&) override {
    if (length) request_.body.reserve(static_cast<std::size_t>(std::min<std::uint64_t>(*length, limits_.max_body_bytes)));
  }
  std::size_t on_body_impl(string_view body, error_code& ec) override {
    if (request_.body.size() + body.size() > limits_.max_body_bytes) {
      stop(413, "The body is too large", ec);
      return 0;
    }
    request_.body.append(body.data(), body.size());
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t, string_view extensions, error_code& ec) override {
    if (!extensions.empty()) stop(400, "Chunk extensions are not accepted", ec);
  }
  std::size_t on_chunk_body_impl(std::uint64_t, string_view body, error_code& ec) override { return on_body_impl(body, ec); }
  void on_finish_impl(error_code&) override {}

  const RequestLimits limits_;
};

RequestReader::RequestReader(const RequestLimits& limits) : parser_(std::make_unique<Parser>(limits)) {}
RequestReader::~RequestReader() = default;

RequestReader::State RequestReader::feed(std::string_view bytes) {
  std::string_view input = bytes;
  if (!pending_.empty()) {
    pending_.append(bytes);
    input = pending_;
  }
  error_code failed;
  while (!failed && parser_->status_ == 0 && !parser_->is_done() && input.size() >= parser_->least_useful_bytes()) {
    const auto used = parser_->put(boost::asio::const_buffer(input.data(), input.size()), failed);
    input.remove_prefix(used);
  }
  if (failed == beast::http::error::need_more) failed = {};
  if (failed) parser_->refuse(failed);
  if (parser_->header_done_ && !parser_->is_done() && input.size() > max_held_back_bytes) parser_->refuse(400, "Malformed chunk");
  pending_ = std::string(input);
  if (parser_->status_ != 0) return State::refused;
  return parser_->is_done() ? State::complete : State::reading;
}

bool RequestReader::wants_continue() {
  const bool waits = parser_->header_done_ && !parser_->is_done() && pending_.empty() && parser_->request_.body.empty();
  return waits && std::exchange(parser_->expects_continue_, false);
}

Request RequestReader::take_request() { return std::move(parser_->request_); }
bool RequestReader::keep_alive() const { return parser_->status_ == 0 && parser_->is_done() && !parser_->old_ && parser_->keep_alive(); }
std::string RequestReader::take_rest() { return std::move(pending_); }
unsigned RequestReader::refusal_status() const { return parser_->status_; }
std::string_view RequestReader::refusal_reason() const { return parser_->reason_; }

}  // namespace intaglio::http
