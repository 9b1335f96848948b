#pragma once

#include <string>
#include <string_view>

namespace intaglio::bench {

/// One kept plain HTTP connection to the loopback. Whatever goes wrong ends the program.
class PlainConnection {
 public:
  explicit PlainConnection(std::uint16_t port);
  ~PlainConnection();
  PlainConnection(const PlainConnection&) = delete;
  PlainConnection& operator=(const PlainConnection&) = delete;

  /// The body of a 200; the view holds until the next call.
  std::string_view exchange(std::string_view request);

 private:
  int descriptor_;
  std::string answer_;
};

/// A POST of these bytes.
[[nodiscard]] std::string frame_post(std::string_view path, std::string_view type, std::string_view body);

}  // namespace intaglio::bench
