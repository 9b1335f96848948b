#include "outbound/detail/curl.h"

#include <time.h>

namespace intaglio::outbound::detail {

bool library_ready() {
  static const bool ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return ready;
}

std::string part_of(CURLU* url, CURLUPart part, unsigned flags) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

bool is_loopback(std::string_view host) { return host == "127.0.0.1" || host == "[::1]" || host == "localhost"; }

WithoutSigpipe::WithoutSigpipe() {
  sigemptyset(&pipe_);
  sigaddset(&pipe_, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
}

WithoutSigpipe::~WithoutSigpipe() {
  const timespec now{};
  if (sigismember(&before_, SIGPIPE) == 0) {
    while (sigtimedwait(&pipe_, nullptr, &now) > 0) continue;
  }
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace intaglio::outbound::detail
