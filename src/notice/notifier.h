#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "notice/kind.h"
#include "outbound/http_client.h"
#include "outbound/smtp_client.h"

namespace intaglio::notice {

/// A notice as one receiver gets it.
struct Message {
  std::string id;  ///< the same at each try
  Kind kind;
  std::string to;  ///< an address of the channel
  std::string language, subject, text;
};

/// A way to people.
class Notifier {
 public:
  virtual ~Notifier() = default;
  /// Success: it is in the receiver's hands, who may have got it before. Refused: `not_authorised` and `invalid_request` for good; every
  /// other code may pass.
  virtual Status deliver(const Message& message) = 0;
};

/// By e-mail, from this address. Refused (`configuration`): what is no address.
[[nodiscard]] Result<std::shared_ptr<Notifier>> make_mail_notifier(outbound::SmtpClient client, std::string from,
                                                                   std::shared_ptr<const Clock> clock);

/// To a gateway, by POST of `{"id", "kind", "to", "language", "subject", "text"}`, signed: `Intaglio-Timestamp` is unix seconds,
/// `Intaglio-Signature` is `v1=` and hex HMAC-SHA-256 under the shared secret over timestamp, `.` and body (docs/operate/notices.md). The gateway
/// takes no message that is older than it cares for, and none twice by its id. `secret`: at least 32 octets, else refused (`configuration`).
/// Refused too (`configuration`): a `url` that this client would never post to.
[[nodiscard]] Result<std::shared_ptr<Notifier>> make_webhook_notifier(outbound::HttpClient client, std::string url, Secret secret,
                                                                      std::shared_ptr<const Clock> clock);

}  // namespace intaglio::notice
