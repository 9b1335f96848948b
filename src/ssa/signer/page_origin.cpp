#include "ssa/signer/page_origin.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/log.h"
#include "http/routes.h"

namespace intaglio::ssa::signer {
namespace {

constexpr std::string_view scheme = "https://";
constexpr std::string_view usual_port = ":443";
constexpr auto paths_of_pages = std::to_array<std::string_view>({"/sic/v1/approvals", "/sic/v1/documents"});

bool is_for_pages(std::string_view path) {
  return std::any_of(paths_of_pages.begin(), paths_of_pages.end(),
                     [&](std::string_view of) { return path == of || (path.starts_with(of) && path[of.size()] == '/'); });
}

http::Response preflight() {
  http::Response answer;
  answer.status = 204;
  answer.headers = {{"Access-Control-Allow-Methods", "POST"},
                    {"Access-Control-Allow-Headers", "authorization, content-type"},
                    {"Access-Control-Max-Age", "300"}};
  return answer;
}

}  // namespace

std::string origin_of(std::string_view address) {
  std::string origin(address.substr(0, address.find_first_of("/?", scheme.size())));
  std::transform(origin.begin(), origin.end(), origin.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (origin.ends_with(usual_port)) origin.resize(origin.size() - usual_port.size());
  return origin;
}

http::Handler with_page_origin(http::Handler inner, std::string page) {
  return [inner = std::move(inner), page = std::move(page)](const http::Request& request) {
    const auto origin = request.headers.find("origin");
    if (!is_for_pages(request.path) || origin == request.headers.end()) return inner(request);
    if (refused_by("ssa.page.origin", origin->second != page)) {
      log::info("page.another_origin", {{"request", request.request_id}, {"path", request.path}});
      return http::error_answer(403, "access_denied", "This origin may not call this path");
    }
    const bool asks_first = request.method == "OPTIONS" && request.headers.contains("access-control-request-method");
    auto answer = asks_first ? preflight() : inner(request);
    answer.headers.emplace_back("Access-Control-Allow-Origin", page);
    answer.headers.emplace_back("Vary", "Origin");
    return answer;
  };
}

}  // namespace intaglio::ssa::signer
