#include "http/routes.h"

#include <algorithm>

#include "base/log.h"

namespace intaglio::http {
namespace {

constexpr auto known_methods = std::to_array<std::string_view>({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"});

std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  while (!path.empty()) {
    path.remove_prefix(1);
    const auto slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    path.remove_prefix(std::min(slash, path.size()));
  }
  return segments;
}

bool is_parameter(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }
bool is_rest(std::string_view segment) { return is_parameter(segment) && segment.ends_with("...}"); }
std::string_view name_in(std::string_view segment) { return segment.substr(1, segment.size() - (is_rest(segment) ? 5 : 2)); }

/// True when the pattern fits the whole path; fills the parameters on the way.
bool fits(const std::vector<std::string>& pattern, const std::vector<std::string_view>& path, PathParameters& parameters) {
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    if (i >= path.size() || path[i].empty() != pattern[i].empty()) return false;
    if (is_rest(pattern[i])) {
      const char* end = path.back().data() + path.back().size();
      parameters.add(name_in(pattern[i]), std::string_view(path[i].data(), static_cast<std::size_t>(end - path[i].data())));
      return true;
    }
    if (is_parameter(pattern[i])) {
      parameters.add(name_in(pattern[i]), path[i]);
    } else if (pattern[i] != path[i]) {
      return false;
    }
  }
  return pattern.size() == path.size();
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> decode_form(std::string_view text) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded.push_back(' ');
    } else if (text[i] != '%') {
      decoded.push_back(text[i]);
    } else {
      const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return Error{ErrorCode::invalid_request, "form: malformed escape"};
      decoded.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    }
  }
  return decoded;
}

}  // namespace

const std::string& PathParameters::operator[](std::string_view name) const {
  for (const auto& [known, value] : values_) {
    if (known == name) return value;
  }
  panic("a path parameter that the pattern does not have");
}

void Router::add(std::string_view method, std::string_view pattern, Access access, RouteHandler handler) {
  add(method, pattern, access,
      PrincipalHandler([handler = std::move(handler)](const Request& request, const PathParameters& parameters, const Principal&) {
        return handler(request, parameters);
      }));
}

void Router::add(std::string_view method, std::string_view pattern, Access access, PrincipalHandler handler) {
  if (!pattern.starts_with('/')) panic("a pattern starts with a slash");
  std::vector<std::string> segments;
  for (const auto segment : split(pattern)) segments.emplace_back(segment);
  routes_.push_back({std::string(method), std::string(pattern), std::move(segments), access, std::move(handler)});
}

void Router::add_unsupported(std::string_view method, std::string_view pattern) {
  add(method, pattern, Access::anonymous, PrincipalHandler{});
}

void Router::authorise_with(Access access, Authorise authorise, RefusalAnswer refusal) {
  guards_.at(static_cast<std::size_t>(access)) = {std::move(authorise), std::move(refusal)};
}

void Router::answer_unknown(std::string_view prefix, Response answer) { unknown_.emplace_back(prefix, std::move(answer)); }

Response Router::unknown(std::string_view path) const {
  for (const auto& [prefix, answer] : unknown_) {
    if (path.starts_with(prefix)) return answer;
  }
  return error_answer(404, "not_found", "There is nothing at this path");
}

Response Router::serve(const Route& route, const Request& request, const PathParameters& parameters) const {
  if (!route.handler) return error_answer(501, "not_implemented", "This method is not offered");
  if (route.access == Access::anonymous) return pass(route, request, parameters, nullptr);
  const auto& guard = guards_.at(static_cast<std::size_t>(route.access));
  if (!guard.authorise) {
    log::error("http.route_without_guard", {{"path", request.path}});
    return error_answer(500, "server_error", "Internal error");
  }
  const auto principal = guard.authorise(request);
  if (principal) return pass(route, request, parameters, &*principal);
  log::refusal("http.not_authorised", principal.error(), {{"request_id", request.request_id}, {"peer", request.peer_address}});
  return guard.refusal ? guard.refusal(request, principal.error()) : error_answer(principal.error());
}

Response Router::pass(const Route& route, const Request& request, const PathParameters& parameters, const Principal* caller) const {
  if (gate_) {
    if (auto answer = gate_(request, route.pattern, caller)) return *std::move(answer);
  }
  return route.handler(request, parameters, caller == nullptr ? Principal{} : *caller);
}

Response Router::dispatch(const Request& request) const {
  const auto begun = std::chrono::steady_clock::now();
  std::string_view pattern;
  auto given = answer(request, pattern);
  if (observer_) observer_(pattern, given.status, std::chrono::steady_clock::now() - begun);
  return given;
}

Response Router::answer(const Request& request, std::string_view& pattern) const {
  if (std::find(known_methods.begin(), known_methods.end(), request.method) == known_methods.end()) {
    return error_answer(501, "not_implemented", "This HTTP method is not known here");
  }
  const auto path = split(request.path);
  const std::string_view wanted = request.method == "HEAD" ? "GET" : std::string_view(request.method);
  std::string allowed;
  for (const auto& route : routes_) {
    PathParameters parameters;
    if (!fits(route.segments, path, parameters)) continue;
    pattern = route.pattern;
    if (route.method == wanted) return serve(route, request, parameters);
    allowed += (allowed.empty() ? "" : ", ") + route.method;
  }
  if (allowed.empty()) return unknown(request.path);
  auto answer = error_answer(405, "method_not_allowed", "This path knows other methods");
  answer.headers.emplace_back("Allow", allowed);
  return answer;
}

Handler Router::handler() const {
  return [this](const Request& request) { return dispatch(request); };
}

Response error_answer(unsigned status, std::string_view error, std::string_view description) {
  return json_answer("{\"error\":" + log::json_quoted(error) + ",\"error_description\":" + log::json_quoted(description) + "}", status);
}

Response error_answer(const Error& error) { return error_answer(http_status(error.code), name_of(error.code), "The request was refused"); }

Response json_answer(std::string body, unsigned status) {
  Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

Result<std::string> form_value(std::string_view form, std::string_view name) {
  auto found = Result<std::string>(Error{ErrorCode::not_found, "form: parameter is missing: " + std::string(name)});
  while (!form.empty()) {
    const auto pair = form.substr(0, form.find('&'));
    form.remove_prefix(std::min(pair.size() + 1, form.size()));
    const auto equals = pair.find('=');
    const auto key = decode_form(pair.substr(0, equals));
    if (!key) return key.error();
    if (*key != name) continue;
    if (found) return Error{ErrorCode::invalid_request, "form: parameter twice: " + std::string(name)};
    found = decode_form(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1));
    if (!found) return found;
  }
  return found;
}

}  // namespace intaglio::http
