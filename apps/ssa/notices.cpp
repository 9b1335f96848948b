#include "notices.h"

#include "access_token_keys.h"
#include "address.h"
#include "base/file.h"
#include "base/log.h"
#include "sealed/sealer.h"
#include "sealed/versions.h"

namespace intaglio::apps::ssa {
namespace {

using config::Section;

constexpr std::size_t max_secret = 1024;
constexpr std::string_view plain_about = "Without TLS, to a server of this machine alone: for a relay beside this process, or a test.";
constexpr std::string_view roots_about = "Authorities of its certificate, PEM; no other is trusted. Needed for TLS.";

void read_mail(Section& section, NoticeSettings& settings) {
  auto& mail = settings.mail.emplace();
  mail.server = section.text("server", "smtps://host:465 (TLS at once) or smtp://host:587 (STARTTLS, without which nothing is sent).");
  settings.from = section.text("from", "The sender's address.");
  if (!outbound::check_mail_address(settings.from)) section.refuse("from", "must be an address of e-mail");
  mail.user = section.text("user", "Who we are there; empty: nobody is asked.", "");
  mail.password_file = section.optional_path("password_file", "File of that user's password, mode 0600, one line.").value_or("");
  mail.ca_file = section.optional_path("ca_file", roots_about).value_or("");
  mail.plain_loopback = section.boolean("plain_loopback", plain_about, false);
}

void read_webhook(Section& section, NoticeSettings& settings) {
  auto& webhook = settings.webhook.emplace();
  settings.webhook_url = section.text("url", "Where notices are posted, signed: https.");
  settings.webhook_secret =
      section.path("secret_file", "File of the secret that signs them, mode 0600, one line of 32 to 1024 characters.");
  webhook.ca_file = section.optional_path("ca_file", roots_about).value_or("");
  webhook.allow_plain_loopback = section.boolean("plain_loopback", plain_about, false);
  webhook.allowed = {host_of(settings.webhook_url)};
  // What is sent twice would be told twice.
  webhook.keep_connections = false;
  if (!webhook.allow_plain_loopback && !settings.webhook_url.starts_with("https://")) section.refuse("url", "must be an https address");
  if (!webhook.allow_plain_loopback && webhook.ca_file.empty()) section.refuse("ca_file", "is needed for https");
}

}  // namespace

NoticeSettings read_notices(config::Document& document, const std::string& service, bool described) {
  auto section = document.section(
      "notices", "What signers are told of their certificates and factors (docs/operate/notices.md); leave it out: nothing.");
  NoticeSettings settings;
  settings.templates = section.path("templates", "Folder of the texts, one file for each occasion and language (deploy/notices).");
  settings.deployment.emplace("service", service);
  settings.deployment.emplace("contact",
                              section.text("contact", "How a signer reaches you, as the texts say it: a telephone number, an address."));
  settings.deployment.emplace("link", section.text("enrolment_link", "Where a person enrols a device, as the texts say it: https."));
  if (!settings.deployment.at("link").starts_with("https://")) section.refuse("enrolment_link", "must be an https address");
  settings.sealing_key = section.text(
      "sealing_key", "CKA_ID, as text, of the key on the token that seals addresses; AES-256, made at the first start.", "contacts");
  settings.versions = section.path("versions", "File of the data keys' versions; on another disk than the database.");
  const bool mail = section.has("mail"), webhook = section.has("webhook");
  if (!described && !mail && !webhook) section.refuse("templates", "needs [notices.mail] or [notices.webhook] beside it");
  if (mail || described) {
    auto table = section.section("mail", "E-mail, by one mail server.");
    read_mail(table, settings);
  }
  if (webhook || described) {
    auto table = section.section("webhook", "A gateway, for example of text messages.");
    read_webhook(table, settings);
  }
  return settings;
}

Result<std::shared_ptr<notice::Outbox>> open_notices(const NoticeSettings& settings, const std::shared_ptr<token::Token>& token,
                                                     const std::shared_ptr<storage::Database>& database, audit::Log& log,
                                                     const std::shared_ptr<const Clock>& clock) {
  auto templates = notice::Templates::load(settings.templates);
  if (!templates) return templates.error();
  std::map<notice::Channel, std::shared_ptr<notice::Notifier>> notifiers;
  if (settings.mail) {
    auto client = outbound::SmtpClient::create(*settings.mail);
    if (!client) return client.error();
    auto notifier = notice::make_mail_notifier(std::move(*client), settings.from, clock);
    if (!notifier) return notifier.error();
    notifiers.emplace(notice::Channel::mail, std::move(*notifier));
  }
  if (settings.webhook) {
    auto client = outbound::HttpClient::create(*settings.webhook);
    if (!client) return client.error();
    auto secret = read_secret_file(settings.webhook_secret, max_secret);
    if (!secret) return secret.error();
    auto notifier = notice::make_webhook_notifier(std::move(*client), settings.webhook_url, std::move(*secret), clock);
    if (!notifier) return notifier.error();
    notifiers.emplace(notice::Channel::webhook, std::move(*notifier));
  }
  auto key = find_or_make(*token, token::KeyPurpose::data_encryption, settings.sealing_key, *database);
  if (!key) return key.error();
  for (const auto* series : {&sealed::Sealer::migrations(), &notice::migrations()}) {
    if (auto migrated = database->migrate(*series); !migrated) return migrated.error();
  }
  // A node whose log is empty has never met a record, though others may have kept some.
  if (log.size() == 0) {
    if (auto made = sealed::Versions::make(settings.versions); !made) return made.error();
  }
  auto sealer = sealed::Sealer::open(*database, token, std::move(*key), clock, settings.versions);
  if (!sealer) return sealer.error();
  return std::make_shared<notice::Outbox>(notice::Outbox::Parts{database, clock, log,
                                                                std::make_shared<const notice::Contacts>(std::move(*sealer)),
                                                                std::move(*templates), settings.deployment, std::move(notifiers)});
}

metrics::Source notice_figures(const std::shared_ptr<notice::Outbox>& outbox) {
  return [outbox] {
    std::vector<metrics::Figure> figures;
    const auto counts = outbox->counts();
    // A database that does not answer is told by the figures of the node's state.
    if (!counts) return figures;
    for (const std::string_view state : {"waiting", "delivered", "given_up"}) {
      for (const auto channel : notice::all_channels) {
        metrics::Figure figure{"intaglio_notices",
                               "Notices to signers by where they stand, of the last 400 days.",
                               metrics::Kind::gauge,
                               0,
                               {{"state", std::string(state)}, {"channel", std::string(notice::name_of(channel))}}};
        for (const auto& count : *counts) {
          if (count.state == state && count.channel == notice::name_of(channel)) figure.value = static_cast<double>(count.number);
        }
        figures.push_back(std::move(figure));
      }
    }
    return figures;
  };
}

}  // namespace intaglio::apps::ssa
