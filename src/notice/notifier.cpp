#include "notice/notifier.h"

#include "base/check.h"
#include "crypto/symmetric.h"
#include "json/json.h"

namespace intaglio::notice {
namespace {

/// Of HMAC-SHA-256: RFC 2104, 3.
constexpr std::size_t least_secret = 32;

class MailNotifier final : public Notifier {
 public:
  MailNotifier(outbound::SmtpClient client, std::string from, std::shared_ptr<const Clock> clock)
      : client_(std::move(client)), from_(std::move(from)), clock_(std::move(clock)) {}
  Status deliver(const Message& message) override {
    return client_.send({message.id, from_, message.to, message.subject, message.text, clock_->now()});
  }

 private:
  outbound::SmtpClient client_;
  std::string from_;
  std::shared_ptr<const Clock> clock_;
};

class WebhookNotifier final : public Notifier {
 public:
  WebhookNotifier(outbound::HttpClient client, std::string url, Secret secret, std::shared_ptr<const Clock> clock)
      : client_(std::move(client)), url_(std::move(url)), secret_(std::move(secret)), clock_(std::move(clock)) {}
  Status deliver(const Message& message) override {
    const auto body = json::encode({{"id", message.id},
                                    {"kind", name_of(message.kind)},
                                    {"to", message.to},
                                    {"language", message.language},
                                    {"subject", message.subject},
                                    {"text", message.text}});
    const auto timestamp = std::to_string(unix_seconds(clock_->now()));
    const auto signature = crypto::hmac_sha256(secret_.reveal(), as_bytes(timestamp + "." + body));
    const auto answer =
        client_.post_json(url_, body, {{"Intaglio-Timestamp", timestamp}, {"Intaglio-Signature", "v1=" + encode_hex(ByteView(signature))}});
    if (!answer) return answer.error();
    if (answer->status >= 200 && answer->status < 300) return {};
    const auto why = "status " + std::to_string(answer->status);
    // RFC 9110, 15.5: the request is at fault, but for what names a moment or our signature, which an operator mends.
    const bool passes = answer->status == 401 || answer->status == 403 || answer->status == 404 || answer->status == 408 ||
                        answer->status == 425 || answer->status == 429;
    if (answer->status >= 400 && answer->status < 500 && !passes) return Error{ErrorCode::not_authorised, "webhook: refused: " + why};
    return Error{ErrorCode::busy, "webhook: not taken: " + why};
  }

 private:
  outbound::HttpClient client_;
  std::string url_;
  Secret secret_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace

Result<std::shared_ptr<Notifier>> make_mail_notifier(outbound::SmtpClient client, std::string from, std::shared_ptr<const Clock> clock) {
  if (!outbound::check_mail_address(from)) return Error{ErrorCode::configuration, "the sender is not an address of e-mail"};
  return std::shared_ptr<Notifier>(std::make_shared<MailNotifier>(std::move(client), std::move(from), std::move(clock)));
}

Result<std::shared_ptr<Notifier>> make_webhook_notifier(outbound::HttpClient client, std::string url, Secret secret,
                                                        std::shared_ptr<const Clock> clock) {
  if (refused_by("notice.webhook.secret", secret.size() < least_secret))
    return Error{ErrorCode::configuration, "the webhook's secret has fewer than 32 octets"};
  if (auto reachable = client.check(url); !reachable) return reachable.error();
  return std::shared_ptr<Notifier>(
      std::make_shared<WebhookNotifier>(std::move(client), std::move(url), std::move(secret), std::move(clock)));
}

}  // namespace intaglio::notice
