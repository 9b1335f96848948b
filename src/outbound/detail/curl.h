#pragma once

#include <curl/curl.h>
#include <signal.h>

#include <memory>
#include <string>
#include <string_view>

/// What both clients need of libcurl.
namespace intaglio::outbound::detail {

struct FreeEasy {
  void operator()(CURL* easy) const noexcept { curl_easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, FreeEasy>;
struct FreeList {
  void operator()(curl_slist* list) const noexcept { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;
struct FreeUrl {
  void operator()(CURLU* url) const noexcept { curl_url_cleanup(url); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

[[nodiscard]] bool library_ready();
/// A part of a parsed URL; empty when it has none.
[[nodiscard]] std::string part_of(CURLU* url, CURLUPart part, unsigned flags = 0);
/// By its name, in lower case: 127.0.0.1, [::1] or localhost.
[[nodiscard]] bool is_loopback(std::string_view host);

/// A peer that went away must not end the process: SIGPIPE stays blocked in this thread while libcurl works.
class WithoutSigpipe {
 public:
  WithoutSigpipe();
  ~WithoutSigpipe();
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sigset_t pipe_{};
  sigset_t before_{};
};

}  // namespace intaglio::outbound::detail
