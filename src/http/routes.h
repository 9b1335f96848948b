#pragma once

#include <array>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/server.h"

namespace intaglio::http {

/// What a route asks of its caller; part of each line of the table, so that no route can be without one.
enum class Access {
  anonymous,
  bearer,             ///< an application by itself
  signer_bearer,      ///< an application, by itself or for a signer who let it
  credential_bearer,  ///< the same, or with an authorisation of this one credential
  approval_bearer,    ///< the page on which a signer decides about one request
  device_bearer,      ///< a registered device of a signer
  operator_certificate,
  peer_certificate,
};

/// Who calls, as the authorise callback of the route's access found it.
struct Principal {
  std::string id;                   ///< client, operator or peer; empty for anonymous
  std::string subject;              ///< signer for whom a token was issued, or empty
  std::vector<std::string> scopes;
  std::string grant{};              ///< what the signer granted, under which the token was issued, or empty
  std::string credential{};         ///< the one credential that the token is for, or empty
};

/// The {name} parts of a pattern, raw as they stood in the path.
class PathParameters {
 public:
  /// Asking for a name that the pattern does not have is a bug.
  [[nodiscard]] const std::string& operator[](std::string_view name) const;
  void add(std::string_view name, std::string_view value) { values_.emplace_back(name, value); }

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

using RouteHandler = std::function<Response(const Request&, const PathParameters&)>;
using PrincipalHandler = std::function<Response(const Request&, const PathParameters&, const Principal&)>;
using Authorise = std::function<Result<Principal>(const Request&)>;
/// Learns of each answer: the pattern of the route, empty when no route was there, and how long it took. Never the path: that is the caller's.
using Observer = std::function<void(std::string_view pattern, unsigned status, std::chrono::steady_clock::duration took)>;
/// Asked before a handler: on an anonymous route at once, with nobody; elsewhere when the caller is known. What it answers stands in the
/// place of the handler's answer.
using Gate = std::function<std::optional<Response>(const Request&, std::string_view pattern, const Principal* caller)>;
/// Turns what an authorise callback refused into an answer (CSC has its own words); error_answer(error) without one.
using RefusalAnswer = std::function<Response(const Request&, const Error&)>;

/// One table: method, path pattern, access policy, handler. Filled before the server starts, then read by many threads.
/// A pattern is plain ASCII: `/ra/v1/requests/{credentialID}`; `{rest...}` at the end takes the rest of the path, slashes too.
class Router {
 public:
  void add(std::string_view method, std::string_view pattern, Access access, RouteHandler handler);
  void add(std::string_view method, std::string_view pattern, Access access, PrincipalHandler handler);
  /// Known by its standard and not offered: 501.
  void add_unsupported(std::string_view method, std::string_view pattern);
  /// For all routes of this access. A route of an access without a callback refuses everybody.
  void authorise_with(Access access, Authorise authorise, RefusalAnswer refusal = {});
  /// The answer to paths that no line knows, below this prefix; elsewhere it is 404.
  void answer_unknown(std::string_view prefix, Response answer);
  /// One gate for all routes.
  void gate_with(Gate gate) { gate_ = std::move(gate); }
  void observe_with(Observer observer) { observer_ = std::move(observer); }

  /// HEAD is answered as GET; the server leaves the body out. Never throws.
  [[nodiscard]] Response dispatch(const Request& request) const;
  /// dispatch as a handler; the router must outlive the server.
  [[nodiscard]] Handler handler() const;

 private:
  struct Route {
    std::string method;
    std::string pattern;
    std::vector<std::string> segments;
    Access access;
    PrincipalHandler handler;  ///< empty: not offered
  };
  struct Guard {
    Authorise authorise;
    RefusalAnswer refusal;
  };
  [[nodiscard]] Response answer(const Request& request, std::string_view& pattern) const;
  [[nodiscard]] Response serve(const Route& route, const Request& request, const PathParameters& parameters) const;
  [[nodiscard]] Response pass(const Route& route, const Request& request, const PathParameters& parameters, const Principal* caller) const;
  [[nodiscard]] Response unknown(std::string_view path) const;
  std::vector<Route> routes_;
  std::array<Guard, static_cast<std::size_t>(Access::peer_certificate) + 1> guards_;
  std::vector<std::pair<std::string, Response>> unknown_;
  Observer observer_;
  Gate gate_;
};

/// {"error":…,"error_description":…} with this status.
[[nodiscard]] Response error_answer(unsigned status, std::string_view error, std::string_view description);
/// Status and name of the code; the detail stays inside.
[[nodiscard]] Response error_answer(const Error& error);
/// `body`: JSON text.
[[nodiscard]] Response json_answer(std::string body, unsigned status = 200);
/// The value of one parameter of a query or form, percent-decoded; refused when it is absent, malformed or there twice.
[[nodiscard]] Result<std::string> form_value(std::string_view form, std::string_view name);

}  // namespace intaglio::http
