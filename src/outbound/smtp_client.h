#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"
#include "outbound/mail.h"

namespace intaglio::outbound {

/// Which mail server takes our messages, and how it is spoken to.
struct SmtpConfig {
  std::string server;  ///< "smtps://host:465" (TLS from the first octet) or "smtp://host:587" (STARTTLS, without which nothing is sent)
  std::filesystem::path ca_file;  ///< PEM; the only roots that count. Required unless the connection is plain
  std::string user;  ///< empty: no authentication
  std::filesystem::path password_file;  ///< mode 0600, one line; goes with `user`
  bool plain_loopback = false;  ///< without TLS, to 127.0.0.1, ::1 or localhost alone
  std::chrono::milliseconds connect_timeout{5000};
  std::chrono::milliseconds timeout{30000};  ///< for the whole exchange
};

/// Hands messages to one mail server (RFC 5321) over a connection of their own each. Thread-safe and cheap to copy.
class SmtpClient {
 public:
  /// Refused (`configuration`): a server in the clear that is not this machine, a URL of another form, files that are missing or
  /// readable by others.
  [[nodiscard]] static Result<SmtpClient> create(SmtpConfig config);
  /// Success: the server has the message. Refused: `not_authorised` (it refuses this message or address for good, RFC 5321, 4.2.1: 550 to 556
  /// to RCPT or to the message itself),
  /// `configuration` (our credentials or its certificate), `invalid_request` (see encode_mail), `busy` (everything that may pass).
  [[nodiscard]] Status send(const Mail& mail) const;

 private:
  struct State;
  explicit SmtpClient(std::shared_ptr<const State> state);
  std::shared_ptr<const State> state_;
};

}  // namespace intaglio::outbound
