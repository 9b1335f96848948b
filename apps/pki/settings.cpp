#include "settings.h"

#include "metrics/metrics.h"
#include "pki/ca/extensions.h"

namespace intaglio::apps::pki {
namespace {

using config::Section;

constexpr std::int64_t day_seconds = 86400;

ClockSource read_clock(Section& section) {
  const auto word = section.choice("clock", "Who vouches for the time: kernel (adjtimex) or declared (demo and tests only).",
                                   {"kernel", "declared"}, "kernel");
  return word == "kernel" ? ClockSource::kernel : ClockSource::declared;
}

std::string read_log_level(Section& section) {
  return section.choice("log_level", "Lowest level that is logged.", {"debug", "info", "warn", "error"}, "info");
}

TokenSettings read_token(config::Document& document) {
  auto section = document.section("token", "The PKCS#11 token of this process's keys.");
  TokenSettings settings;
  settings.config.module = section.path("module", "PKCS#11 library.");
  settings.config.label = section.text("label", "Token label; exactly one slot carries it.");
  settings.config.pin_file = section.path("pin_file", "File of the user PIN, mode 0600, one line.");
  settings.config.sessions = static_cast<unsigned>(section.integer("sessions", "Bound of the session pool.", {1, 1024}, 8));
  if (auto folder = section.optional_path("softhsm_directory", "SoftHSM only: the guarded token folder; leave it out for a real HSM.")) {
    settings.config.softhsm_directory = *folder;
  }
  settings.softhsm_conf = section.optional_path("softhsm_conf", "SoftHSM only: SOFTHSM2_CONF for this process.");
  return settings;
}

/// What an authority's key may be (TS 119 312, 8.4): RSA-2048 does not last as long as certificates do.
const std::vector<std::string> authority_keys = {"p256", "p384", "p521", "rsa3072", "rsa4096"};
/// Of answers and time-stamps: widespread verifiers read PSS in certificates and lists, and not there (docs/operate/ca-rollover.md).
const std::vector<std::string> answering_keys = {"p256", "p384", "p521"};

crypto::KeyAlgorithm read_algorithm(Section& section, std::string_view key, std::string_view about, const std::vector<std::string>& kinds) {
  const auto name = section.choice(key, about, kinds, "p256");
  const auto algorithm = crypto::parse_key_algorithm(name);
  return algorithm ? *algorithm : crypto::KeyAlgorithm::p256;
}

intaglio::pki::AuthorityName read_name(Section& section) {
  return {section.text("country", "countryName of the authority: two capital letters."),
          section.text("organisation", "organizationName of the authority."), section.text("common_name", "commonName of the authority.")};
}

std::string read_public_url(Section& section) {
  auto url =
      section.text("public_url", "Where relying parties reach the public listener; http, no slash at the end. Stands in certificates.");
  // Plain HTTP by design: fetching revocation data over TLS would need the answer to be trusted (RFC 5280, section 8).
  if (!url.starts_with("http://") || url.ends_with("/")) section.refuse("public_url", "must start with http:// and end without a slash");
  return url;
}

http::ListenerConfig read_listener(config::Document& document, std::string_view name, std::string_view about, std::uint16_t port,
                                   bool tls) {
  auto section = document.section(name, about);
  http::ListenerConfig listener;
  listener.address = section.text("address", "Address to listen on.", "127.0.0.1");
  listener.port = section.port("port", "Port; 0 lets the system choose.", port);
  listener.tls = tls;
  listener.workers = static_cast<unsigned>(section.integer("workers", "Requests that run at the same time.", {1, 1024}, 16));
  listener.max_connections = static_cast<unsigned>(section.integer("max_connections", "Bound of open connections.", {1, 100000}, 4096));
  // Relying parties' tools are old: the openssl command line asks in HTTP/1.0.
  listener.http_1_0 = !tls;
  if (!tls) return listener;
  listener.certificate_chain_file = section.path("certificate_chain", "Certificate and chain, PEM.").string();
  listener.private_key_file = section.path("private_key", "Its private key, PEM, mode 0600.").string();
  listener.client_ca_file = section.path("client_ca", "Authority of the clients' certificates, PEM.").string();
  return listener;
}

void read_operators(config::Document& document, Settings& settings) {
  for (Section& section : document.sections("operators", "The registration authority's operators, whose requests are believed.")) {
    const auto id = section.text("id", "Identifier: the kid of the operator's requests.");
    const auto spki = parse_base64(section.text("spki", "SubjectPublicKeyInfo of the operator's P-256 key, DER in base64."));
    auto key = spki ? crypto::PublicKey::parse_spki(*spki) : Result<crypto::PublicKey>(spki.error());
    const bool fits = key && key->algorithm() == crypto::KeyAlgorithm::p256;
    if (!fits) section.refuse("spki", "must be a P-256 key: openssl pkey -in operator.key.pem -pubout -outform DER | base64 -w0");
    const bool twice =
        std::any_of(settings.operators.begin(), settings.operators.end(), [&](const auto& each) { return each.first == id; });
    if (twice) section.refuse("id", "stands twice");
    if (fits && !twice) settings.operators.emplace_back(id, *key);
  }
}

void read_authority(config::Document& document, Settings& settings) {
  auto keys = document.section("keys", "CKA_ID (as text) of each key on the token.");
  settings.issuing_key.id = keys.text("issuing", "Signs certificates and revocation lists.");
  settings.issuing_key.algorithm =
      read_algorithm(keys, "issuing_algorithm", "What that key is; an RSA key signs with PSS.", authority_keys);
  settings.ocsp_key.id = keys.text("ocsp", "Signs OCSP answers.");
  settings.ocsp_key.algorithm = read_algorithm(keys, "ocsp_algorithm", "What that key is.", answering_keys);
  settings.checkpoint_key.id = keys.text("checkpoint", "Signs the audit log's checkpoints; P-256.");
  auto ca = document.section("ca", "The authority: its certificates, name and rules.");
  settings.root_certificate = ca.path("root_certificate", "The root's certificate, DER.");
  settings.issuing_certificate = ca.path("issuing_certificate", "The issuing CA's certificate, DER.");
  settings.root_list = ca.path("root_crl", "The root's revocation list, DER.");
  settings.authority_name = read_name(ca);
  settings.qualified = ca.boolean("qualified", "Whether profiles may state QcCompliance and QcSSCD.", false);
  if (settings.qualified && settings.clock != ClockSource::kernel) ca.refuse("qualified", "needs clock = \"kernel\"");
  settings.profiles = ca.path("profiles", "Folder of certificate profiles, *.json.");
  settings.algorithm_policy = ca.path("algorithm_policy", "The dated algorithm policy, JSON.");
  settings.public_url = read_public_url(ca);
  auto authority = document.section("authority", "Who is believed.");
  settings.sam_identity = authority.path("sam_identity", "The SAM's identity key, a public JWK in a file.");
  settings.request_max_age =
      authority.seconds("request_max_age_seconds", "Oldest operator's request that is taken.", {10, day_seconds}, 300);
  settings.assertion_max_age =
      authority.seconds("assertion_max_age_seconds", "Oldest key assertion of the SAM that is taken.", {60, 30 * day_seconds}, day_seconds);
}

std::string read_oid(Section& section, std::string_view key, std::string_view about, std::string_view fallback) {
  auto oid = section.text(key, about, fallback);
  if (!oid.empty() && !intaglio::pki::is_oid(oid)) section.refuse(key, "is not an object identifier");
  return oid;
}

void read_time_stamping(config::Document& document, Settings& settings) {
  auto tsa = document.section("tsa", "The time-stamping authority (RFC 3161), on the public listener under /tsa.");
  const bool enabled = tsa.boolean("enabled", "Whether this process has the role.", false);
  Settings::TimeStamping role;
  role.unit.key_id = tsa.text("key", "CKA_ID (as text) of the unit's key: it signs time-stamps and nothing else.", "");
  role.key = {role.unit.key_id, read_algorithm(tsa, "key_algorithm", "What that key is.", answering_keys)};
  role.unit.common_name = tsa.text("common_name", "commonName of the unit; country and organisation are the authority's.", "");
  role.unit.certificate_policies = tsa.texts("certificate_policies", "Policies of the unit's certificate, dotted.", {});
  for (const std::string& oid : role.unit.certificate_policies) {
    if (!intaglio::pki::is_oid(oid)) tsa.refuse("certificate_policies", oid + " is not an object identifier");
  }
  role.unit.validity = std::chrono::days(tsa.integer("validity_days", "Validity of the unit's certificate.", {1, 7300}, 1825));
  role.unit.key_usage = std::chrono::days(tsa.integer("key_usage_days", "How long its key signs.", {1, 7300}, 365));
  if (role.unit.key_usage > role.unit.validity) tsa.refuse("key_usage_days", "must not exceed the validity");
  role.policy.oid = read_oid(tsa, "policy", "The time-stamp policy that tokens state, dotted.", "");
  for (const std::string& name : tsa.texts("hashes", "Hashes of clients' data that are accepted.", {"sha256", "sha384", "sha512"})) {
    using Hash = crypto::HashAlgorithm;
    const auto known = {Hash::sha256, Hash::sha384, Hash::sha512};
    const auto* found = std::find_if(known.begin(), known.end(), [&](Hash each) { return crypto::name_of(each) == name; });
    if (found == known.end()) tsa.refuse("hashes", name + " is not served");
    if (found != known.end()) role.policy.hashes.push_back(*found);
  }
  if (role.policy.hashes.empty()) tsa.refuse("hashes", "is empty");
  role.policy.accuracy = std::chrono::milliseconds(
      tsa.integer("accuracy_milliseconds", "What tokens state; the clock must be known to be better.", {10, 1000}, 1000));
  role.policy.qualified = tsa.boolean("qualified", "Whether tokens state to be qualified; needs ca.qualified.", false);
  if (role.policy.qualified && !settings.qualified) tsa.refuse("qualified", "needs ca.qualified");
  if (role.policy.qualified && settings.clock != ClockSource::kernel) tsa.refuse("qualified", "needs clock = \"kernel\"");
  if (!enabled) return;
  if (role.unit.common_name.empty()) tsa.refuse("common_name", "is needed");
  if (role.policy.oid.empty()) tsa.refuse("policy", "is needed");
  const auto others = {settings.issuing_key.id, settings.ocsp_key.id, settings.checkpoint_key.id};
  if (role.unit.key_id.empty() || std::find(others.begin(), others.end(), role.unit.key_id) != others.end())
    tsa.refuse("key", "must be a key of its own");
  settings.time_stamping = std::move(role);
}

Settings read(config::Document& document) {
  Settings settings{};
  auto root = document.root();
  settings.name = root.text("name", "Name of this node in logs.");
  settings.log_level = read_log_level(root);
  settings.clock = read_clock(root);
  settings.database = document.section("database", "The PKI's own database.").path("path", "SQLite file, mode 0600.");
  auto audit = document.section("audit", "The append-only log.");
  settings.audit.origin = audit.text("origin", "Origin of this node's log: the first line of each checkpoint.");
  settings.audit.directory = audit.path("directory", "Tiles and checkpoints (C2SP tlog-tiles).");
  settings.audit.anchor = audit.path("anchor", "Size and running hash of the log; on another disk than the database.");
  settings.token = read_token(document);
  read_authority(document, settings);
  read_operators(document, settings);
  auto list = document.section("crl", "Revocation lists.");
  settings.publisher.validity = std::chrono::hours(list.integer("validity_hours", "nextUpdate after thisUpdate.", {1, 8760}, 24));
  settings.publisher.interval =
      std::chrono::minutes(list.integer("interval_minutes", "A new list at the latest after so long.", {1, 525600}, 60));
  if (settings.publisher.interval >= settings.publisher.validity) list.refuse("interval_minutes", "must be less than the validity");
  settings.publisher.delta_validity = std::chrono::minutes(
      list.integer("delta_validity_minutes", "The same of delta lists, which certificates name then; 0: none are made.", {0, 525600}, 0));
  if (settings.publisher.delta_validity.count() != 0) {
    if (settings.publisher.delta_validity <= settings.publisher.interval || settings.publisher.delta_validity > settings.publisher.validity)
      list.refuse("delta_validity_minutes", "must be more than the interval and at most the validity");
    settings.publisher.freshest = settings.public_url + "/crl/issuing-delta.crl";
  }
  settings.publisher.keep_expired =
      list.boolean("keep_expired", "Whether what is revoked stays on the list after its certificate's end.", true);
  auto ocsp = document.section("ocsp", "OCSP answers.");
  settings.responder.validity = std::chrono::minutes(ocsp.integer("validity_minutes", "nextUpdate after thisUpdate.", {1, 10080}, 60));
  settings.responder.preproduced = static_cast<std::size_t>(
      ocsp.integer("preproduced", "Answers that are signed before they are asked for, at most; 0: none.", {0, 10'000'000}, 100'000));
  settings.responder.archive = ocsp.boolean("archive", "Whether answers state that ended certificates are answered for.", true);
  settings.responder_validity = std::chrono::days(
      ocsp.integer("certificate_days", "Validity of the responder's certificate, which cannot be revoked: short.", {1, 397}, 30));
  settings.ocsp_cache =
      ocsp.seconds("cache_seconds", "How long caches may keep the answer to a GET without nonce; 0: not at all.", {0, 86400}, 60);
  read_time_stamping(document, settings);
  settings.internal_listener =
      read_listener(document, "internal", "/pki/v1/*: mutual TLS 1.3, for the registration authority.", 8445, true);
  settings.public_listener = read_listener(document, "public", "CRL, CA certificates, OCSP and time-stamps: plain HTTP.", 8446, false);
  settings.metrics_listener = metrics::read_listener(document, 9465);
  return settings;
}

RootSettings read_root(config::Document& document) {
  RootSettings settings{};
  auto top = document.root();
  settings.log_level = read_log_level(top);
  settings.clock = read_clock(top);
  settings.token = read_token(document);
  auto root = document.section("root", "The root: its key, its certificate, its name.");
  settings.key.id = root.text("key", "CKA_ID (as text) of the root key.");
  settings.key.algorithm = read_algorithm(root, "key_algorithm", "What that key is; an RSA key signs with PSS.", authority_keys);
  settings.certificate = root.path("certificate", "The self-signed certificate, DER: written by the ceremony.");
  settings.list = root.path("crl", "The root's revocation list, DER: written by the ceremony.");
  settings.name = read_name(root);
  settings.validity = std::chrono::days(root.integer("validity_days", "Validity of the root.", {1, 10950}, 7300));
  settings.issuing_validity = std::chrono::days(root.integer("issuing_validity_days", "Validity of the issuing CA.", {1, 7300}, 3650));
  settings.list_validity = std::chrono::days(root.integer("crl_validity_days", "Validity of the root's list.", {1, 1095}, 365));
  settings.public_url = read_public_url(root);
  return settings;
}

}  // namespace

Result<Settings> load_settings(const std::filesystem::path& path) {
  auto document = config::Document::open(path, "intaglio-pki");
  if (!document) return document.error();
  auto settings = read(*document);
  if (auto finished = document->finish(); !finished) return finished.error();
  settings.effective = document->effective();
  return settings;
}

Result<RootSettings> load_root_settings(const std::filesystem::path& path) {
  auto document = config::Document::open(path, "intaglio-pki");
  if (!document) return document.error();
  auto settings = read_root(*document);
  if (auto finished = document->finish(); !finished) return finished.error();
  return settings;
}

std::string describe_settings() {
  auto document = config::Document::blank("intaglio-pki");
  const auto settings = read(document);
  return document.describe();
}

}  // namespace intaglio::apps::pki
