#pragma once

#include <algorithm>
#include <string>
#include <string_view>

namespace intaglio::apps::ssa {

/// host:port of an http or https address, in lower case, as outbound::HttpClientConfig has it.
[[nodiscard]] inline std::string host_of(std::string_view url) {
  const bool plain = url.starts_with("http://");
  const auto begin = url.find("://");
  auto host = begin == std::string_view::npos ? std::string() : std::string(url.substr(begin + 3));
  host = host.substr(0, host.find('/'));
  std::transform(host.begin(), host.end(), host.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (host.find(':', host.starts_with('[') ? host.find(']') : 0) == std::string::npos) host += plain ? ":80" : ":443";
  return host;
}

}  // namespace intaglio::apps::ssa
