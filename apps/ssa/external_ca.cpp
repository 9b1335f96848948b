#include "external_ca.h"

#include <optional>

#include "address.h"
#include "base/file.h"
#include "base/ids.h"
#include "crypto/jose/jws.h"
#include "registration/external_ca.h"

namespace intaglio::apps::ssa {
namespace {

using config::Section;

constexpr std::size_t max_file_bytes = std::size_t{256} * 1024;
constexpr std::size_t max_secret_bytes = 4096;
constexpr std::size_t max_certificates = 16;
constexpr std::int64_t day_seconds = 86400;

std::string read_address(Section& section, std::string_view key, std::string address, bool plain) {
  const bool loopback =
      address.starts_with("http://127.0.0.1:") || address.starts_with("http://localhost:") || address.starts_with("http://[::1]:");
  if (!address.starts_with("https://") && !(plain && loopback))
    section.refuse(key, "must be an https address, or http on this host where allow_loopback_http says so");
  return address;
}

void read_transport(Section& section, ExternalCaSettings& settings) {
  const bool plain =
      section.boolean("allow_loopback_http", "Takes http addresses of this host, for a proxy of the CA's vendor or a test.", false);
  settings.url = read_address(section, "url", section.text("url", "Where CMP messages are posted (RFC 6712): https."), plain);
  settings.crl_url = read_address(
      section, "crl_url", section.text("crl_url", "The issuing CA's complete revocation list, DER, as it is published: https."), plain);
  settings.root_crl_url = section.text(
      "root_crl_url",
      "The root's revocation list, DER; empty: the issuing CA is itself the anchor, or its own revocation is not looked at.", "");
  if (!settings.root_crl_url.empty()) settings.root_crl_url = read_address(section, "root_crl_url", settings.root_crl_url, plain);
  auto& transport = settings.transport;
  transport.ca_file =
      section.optional_path("ca_file", "Authorities of the TLS certificates of these addresses, PEM; no other is trusted.").value_or("");
  if (transport.ca_file.empty() && settings.url.starts_with("https://")) section.refuse("ca_file", "is needed for https");
  transport.certificate_file =
      section.optional_path("tls_certificate", "Our TLS client certificate, where the CA asks for one, PEM.").value_or("");
  transport.private_key_file = section.optional_path("tls_private_key", "Its private key, PEM, mode 0600.").value_or("");
  transport.timeout = section.seconds("timeout_seconds", "How long one message and its answer may take.", {1, 300}, 10);
  transport.allow_plain_loopback = plain;
  transport.allowed = {host_of(settings.url), host_of(settings.crl_url)};
  if (!settings.root_crl_url.empty()) transport.allowed.push_back(host_of(settings.root_crl_url));
  // What is sent twice would be asked for twice.
  transport.keep_connections = false;
}

void read_protection(Section& section, ExternalCaSettings& settings) {
  settings.by_secret =
      section.choice("protection", "signature (our certificate and key, the CA's certificate pinned) or secret (PasswordBasedMac).",
                     {"signature", "secret"}, "signature") == "secret";
  settings.certificate =
      section.optional_path("certificate", "Our certificate at the CA, PEM, its chain behind it: what messages are signed with.")
          .value_or("");
  settings.private_key = section.optional_path("private_key", "Its private key, PEM (PKCS#8), mode 0600.").value_or("");
  settings.authority_certificate =
      section.optional_path("authority_certificate", "The certificate that protects the CA's messages, PEM: pinned, no other is believed.")
          .value_or("");
  settings.reference = section.text("reference", "With secret: the name that the CA knows the secret by.", "");
  settings.secret_file = section.optional_path("secret_file", "With secret: the file of it, mode 0600, one line.").value_or("");
  const auto check = [&](std::string_view key, bool present, bool wanted) {
    if (present != wanted) section.refuse(key, wanted ? "is needed for this protection" : "is not used with this protection");
  };
  check("certificate", !settings.certificate.empty(), !settings.by_secret);
  check("private_key", !settings.private_key.empty(), !settings.by_secret);
  check("authority_certificate", !settings.authority_certificate.empty(), !settings.by_secret);
  check("reference", !settings.reference.empty(), settings.by_secret);
  check("secret_file", !settings.secret_file.empty(), settings.by_secret);
}

void read_rules(Section& section, ExternalCaSettings& settings) {
  settings.issuers =
      section.path("issuers", "Who may sign signers' certificates: certificates of issuing CAs, PEM, one or several in the file.");
  settings.anchors = section.path("anchors", "Where a path ends, PEM; the SAM's policy names the same anchors.");
  settings.longest_validity =
      std::chrono::days(section.integer("longest_validity_days", "A certificate that is valid longer is refused.", {1, 3650}, 1096));
  settings.allow_modifications =
      section.boolean("allow_modifications",
                      "Takes certificates that the CA grants with modifications, when key, subject and all else are as asked.", false);
  settings.extended_key_usages =
      section.texts("extended_key_usages", "Purposes (dotted) that a certificate may name in extendedKeyUsage; no other is taken.", {});
  settings.max_polls =
      static_cast<std::size_t>(section.integer("max_polls", "How often a CA that lets us wait is asked again.", {1, 1000}, 20));
  settings.deadline =
      section.seconds("deadline_seconds",
                      "Longest that a request waits for the CA's messages; below the time that the operators' clients wait.", {1, 600}, 15);
  settings.max_waiting = static_cast<std::size_t>(
      section.integer("max_waiting", "How many keys may wait for a CA that lets us wait, at a time.", {1, 100000}, 1000));
}

void read_operators(Section& section, ExternalCaSettings& settings) {
  settings.sam_identity = section.path("sam_identity", "The SAM's identity key, a public JWK in a file: it alone vouches for keys.");
  settings.request_max_age = section.seconds("request_max_age_seconds", "Oldest operator's request that is taken.", {10, day_seconds}, 300);
  settings.assertion_max_age =
      section.seconds("assertion_max_age_seconds", "Oldest key assertion of the SAM that is taken.", {60, 30 * day_seconds}, day_seconds);
  for (auto& each : section.sections("operators", "The registration authority's operators, whose requests are believed.")) {
    const auto id = each.text("id", "Identifier: the kid of the operator's requests.");
    const auto spki = parse_base64(each.text("spki", "SubjectPublicKeyInfo of the operator's P-256 key, DER in base64."));
    const auto key = spki ? crypto::PublicKey::parse_spki(*spki) : Result<crypto::PublicKey>(spki.error());
    if (!OperatorId::parse(id)) each.refuse("id", "must be 1 to 64 characters of A-Z a-z 0-9 - _");
    if (!key || key->algorithm() != crypto::KeyAlgorithm::p256) {
      each.refuse("spki", "must be a P-256 SubjectPublicKeyInfo, DER in base64");
    } else if (!settings.operators.emplace(id, *key).second) {
      each.refuse("id", "stands twice");
    }
  }
}

Error wrong(const std::filesystem::path& path, const Error& error) {
  return {ErrorCode::configuration, "external_ca: " + path.string() + ": " + error.detail};
}

/// The certificates of a PEM file, in its order; at least one.
Result<std::vector<crypto::Certificate>> read_certificates(const std::filesystem::path& path) {
  constexpr std::string_view begin = "-----BEGIN CERTIFICATE-----";
  const auto content = read_file(path, max_file_bytes);
  if (!content) return wrong(path, content.error());
  const auto text = as_text(*content);
  std::vector<crypto::Certificate> certificates;
  for (auto at = text.find(begin); at != std::string_view::npos && certificates.size() < max_certificates;) {
    const auto next = text.find(begin, at + begin.size());
    auto certificate = crypto::Certificate::parse_pem(text.substr(at, next == std::string_view::npos ? next : next - at));
    if (!certificate) return wrong(path, certificate.error());
    certificates.push_back(std::move(*certificate));
    at = next;
  }
  if (certificates.empty()) return wrong(path, {ErrorCode::configuration, "no certificate in PEM"});
  return certificates;
}

Status load_protection(const ExternalCaSettings& settings, crypto::CmpConfig& cmp) {
  const auto& secret_path = settings.by_secret ? settings.secret_file : settings.private_key;
  auto secret = read_secret_file(secret_path, settings.by_secret ? max_secret_bytes : max_file_bytes);
  if (!secret) return wrong(secret_path, secret.error());
  if (settings.by_secret) {
    cmp.secret.emplace(crypto::CmpSecretProtection{settings.reference, std::move(*secret)});
    return {};
  }
  auto own = read_certificates(settings.certificate);
  if (!own) return own.error();
  const auto authority = read_certificates(settings.authority_certificate);
  if (!authority) return authority.error();
  if (authority->size() != 1) return wrong(settings.authority_certificate, {ErrorCode::configuration, "one certificate is pinned"});
  auto leaf = own->front();
  own->erase(own->begin());
  cmp.signature.emplace(crypto::CmpSignatureProtection{std::move(leaf), std::move(*own), std::move(*secret), authority->front()});
  return {};
}

}  // namespace

ExternalCaSettings read_external_ca(config::Document& document) {
  ExternalCaSettings settings;
  auto section = document.section(
      "external_ca",
      "Somebody else's CA, asked by CMP (RFC 9483), in place of [pki]: leave one of the two tables out. No time-stamps then.");
  read_transport(section, settings);
  read_protection(section, settings);
  read_rules(section, settings);
  read_operators(section, settings);
  return settings;
}

Result<std::shared_ptr<registration::CertificationAuthority>> open_external_ca(const ExternalCaSettings& settings,
                                                                               const std::shared_ptr<storage::Database>& database,
                                                                               std::shared_ptr<storage::Leases> leases,
                                                                               std::shared_ptr<const Clock> clock) {
  crypto::CmpConfig cmp;
  auto issuers = read_certificates(settings.issuers);
  if (!issuers) return issuers.error();
  auto anchors = read_certificates(settings.anchors);
  if (!anchors) return anchors.error();
  cmp.rules = {std::move(*issuers), std::move(*anchors), settings.longest_validity, settings.extended_key_usages};
  cmp.allow_modifications = settings.allow_modifications;
  cmp.max_polls = settings.max_polls;
  cmp.deadline = settings.deadline;
  if (auto loaded = load_protection(settings, cmp); !loaded) return loaded.error();

  const auto identity_text = read_file(settings.sam_identity, max_file_bytes);
  if (!identity_text) return wrong(settings.sam_identity, identity_text.error());
  auto identity = crypto::parse_jwk(as_text(*identity_text));
  if (!identity) return wrong(settings.sam_identity, identity.error());

  auto bounded = settings.transport;
  bounded.max_response_bytes = crypto::max_cmp_message_bytes;
  auto messages = outbound::HttpClient::create(bounded);
  if (!messages) return messages.error();
  bounded.max_response_bytes = crypto::max_crl_bytes;
  auto lists = outbound::HttpClient::create(bounded);
  if (!lists) return lists.error();
  auto gate = std::make_shared<registration::OperatorGate>(settings.operators, settings.request_max_age, database, clock);
  auto requests = std::make_shared<registration::KeyRequests>(database, clock);
  return registration::make_external_ca(
      {settings.url, settings.crl_url, settings.root_crl_url, std::move(*identity), settings.assertion_max_age, settings.max_waiting},
      std::move(cmp),
      {std::move(gate), std::move(requests), std::make_shared<registration::UnsettledCertificates>(database), std::move(leases),
       std::move(*messages), std::move(*lists), std::move(clock)});
}

}  // namespace intaglio::apps::ssa
