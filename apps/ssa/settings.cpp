#include "settings.h"

#include <algorithm>
#include <tuple>

#include "address.h"
#include "base/file.h"
#include "metrics/metrics.h"
#include "oauth/token_keys.h"
#include "storage/postgresql_settings.h"

namespace intaglio::apps::ssa {
namespace {

constexpr std::size_t max_public_body = 128 * 1024;
constexpr std::size_t max_registration_body = 128 * 1024;
constexpr std::size_t max_authority_bytes = 64 * 1024;

/// `https://host:port` without a path or a slash at the end.
std::string base_url(config::Section& section, std::string_view key, std::string_view about) {
  auto url = section.text(key, about);
  if (!url.starts_with("https://") || url.size() == 8 || url.find('/', 8) != std::string::npos) {
    section.refuse(key, "must be https://host or https://host:port, without a path");
  }
  return url;
}

void read_service(config::Document& document, Settings& settings) {
  auto service = document.section("service", "What /csc/v2/info says of the service.");
  auto& description = settings.service.description;
  description.name = service.text("name", "Name of the service, at most 255 characters.");
  description.region = service.text("region", "ISO 3166-1 alpha-2 country of the provider.");
  description.lang = service.text("lang", "BCP 47 language of the texts.", "en");
  description.description = service.text("description", "At most 255 characters.");
  description.base_url = base_url(service, "base_url",
                                  "Where clients reach the public listener, without a slash at the end; also the issuer of access tokens.");
  description.logo = service.text("logo", "Address of a logo, PNG or JPEG; empty: a plain seal that the service draws itself.", "");
  if (description.name.size() > 255) service.refuse("name", "must not be longer than 255 characters");
  if (description.description.size() > 255) service.refuse("description", "must not be longer than 255 characters");
  if (description.region.size() != 2) service.refuse("region", "must be a country of two letters");
}

void read_listeners(config::Document& document, Settings& settings) {
  auto open = document.section("public", "/csc/v2/*, /sic/v1/*, /health/*: TLS 1.3.");
  auto& listener = settings.public_listener;
  listener.address = open.text("address", "Address to listen on.", "127.0.0.1");
  listener.port = open.port("port", "Port; 0 lets the system choose.", 8443);
  listener.certificate_chain_file = open.path("certificate_chain", "Certificate chain, PEM.").string();
  listener.private_key_file = open.path("private_key", "Its private key, PEM, mode 0600.").string();
  listener.max_body_bytes = max_public_body;
  listener.max_connections = static_cast<unsigned>(open.integer("max_connections", "Bound of open connections.", {1, 100000}, 12000));
  listener.io_threads = static_cast<unsigned>(open.integer("io_threads", "Threads that read and write sockets.", {1, 64}, 1));
  listener.workers = static_cast<unsigned>(open.integer("workers", "Threads that run requests.", {1, 1024}, 32));

  auto closed = document.section("registration", "/ra/v1/*: mutual TLS 1.3, for the registration authority's operators only.");
  auto& registration = settings.registration_listener;
  registration.address = closed.text("address", "Address to listen on.", "127.0.0.1");
  registration.port = closed.port("port", "Port; 0 lets the system choose.", 8444);
  registration.certificate_chain_file = closed.path("certificate_chain", "Certificate chain, PEM.").string();
  registration.private_key_file = closed.path("private_key", "Its private key, PEM, mode 0600.").string();
  registration.client_ca_file = closed.path("client_ca", "Authority of the operators' TLS certificates, PEM.").string();
  registration.max_body_bytes = max_registration_body;
  registration.max_connections = 256;
  registration.workers = 4;
  for (const auto& operation : closed.texts(
           "second_person", "What the operator who enrolled a signer may not sign himself: certify, resume, revoke; empty: nothing.", {})) {
    bool* wanted = operation == "certify"  ? &settings.second_person.certify
                   : operation == "resume" ? &settings.second_person.resume
                   : operation == "revoke" ? &settings.second_person.revoke
                                           : nullptr;
    if (wanted == nullptr) {
      closed.refuse("second_person", "knows certify, resume and revoke only");
    } else {
      *wanted = true;
    }
  }

  settings.metrics_listener = metrics::read_listener(document, 9464);
}

/// After [service] and [sam], which the pages must agree with.
void read_pages(config::Document& document, Settings& settings, bool described) {
  const bool served = document.root().has("pages");
  auto section = document.section(
      "pages", "The signer's pages on an origin of their own: TLS 1.3; leave the whole table out when another host serves them.");
  if (!served && !described) return;
  auto& listener = settings.pages_listener.emplace();
  listener.address = section.text("address", "Address to listen on.", "127.0.0.1");
  listener.port = section.port("port", "Port; 0 lets the system choose.", 8449);
  listener.certificate_chain_file = section.path("certificate_chain", "Certificate chain, PEM.").string();
  listener.private_key_file = section.path("private_key", "Its private key, PEM, mode 0600.").string();
  listener.max_body_bytes = 1024;
  listener.max_connections = 1024;
  listener.workers = 4;
  auto& pages = settings.pages;
  pages.folder = section.path("folder", "The bundle that web/build.mjs made.");
  pages.site = section.path("site", "site.json of this deployment.");
  pages.bundle_sha256 = section.text("bundle_sha256", "Hex SHA-256 of the bundle's SHA256SUMS, as published; empty: any bundle.", "");
  pages.api = settings.service.description.base_url;
  pages.identity_thumbprint = settings.service.identity_thumbprint;
  const auto digest = parse_hex(pages.bundle_sha256);
  if (!pages.bundle_sha256.empty() && (!digest || encode_hex(*digest) != pages.bundle_sha256 || digest->size() != 32)) {
    section.refuse("bundle_sha256", "must be 64 hex digits in lower case");
  }
}

/// After [service].
void read_mutual_tls(config::Document& document, Settings& settings, bool described) {
  const bool served = document.root().has("mutual_tls");
  auto section =
      document.section("mutual_tls",
                       "The public listener's routes once more, for clients that show a certificate (RFC 8705): TLS 1.3, ended here "
                       "and by no proxy; leave the whole table out when no client does.");
  if (!served && !described) return;
  auto& listener = settings.mutual_tls_listener.emplace(settings.public_listener);
  listener.address = section.text("address", "Address to listen on.", "127.0.0.1");
  listener.port = section.port("port", "Port; 0 lets the system choose.", 8450);
  listener.certificate_chain_file = section.path("certificate_chain", "Certificate chain, PEM.").string();
  listener.private_key_file = section.path("private_key", "Its private key, PEM, mode 0600.").string();
  listener.any_client_certificate = true;
  settings.service.mutual_tls_url =
      base_url(section, "base_url", "Where clients reach this listener, without a slash at the end: mtls_endpoint_aliases.");
  for (const auto& file : section.paths("client_authorities",
                                        "PEM, one certificate a file: who issues, with no CA in between, the certificates of clients that "
                                        "are known by a name in them; empty: no client is.",
                                        {})) {
    const auto pem = read_file(file, max_authority_bytes);
    auto certificate = pem ? crypto::Certificate::parse_pem(as_text(*pem)) : Result<crypto::Certificate>(pem.error());
    if (certificate) {
      settings.client_authorities.push_back(std::move(*certificate));
    } else {
      section.refuse("client_authorities", "holds what is no certificate: " + file.string() + ": " + certificate.error().detail);
    }
  }
  settings.service.client_authorities = !settings.client_authorities.empty();
}

void read_stores(config::Document& document, Settings& settings) {
  settings.database = document.section("database", "The database of this process alone, unless there is [postgresql].")
                          .path("path", "SQLite file, mode 0600; unused with [postgresql].");
  settings.postgresql = storage::read_postgresql(
      document.section("postgresql", "The database on a PostgreSQL server, for one node or several; no hosts, no server."));
  auto audit = document.section("audit", "The append-only log of this node.");
  settings.audit.origin = audit.text("origin", "First line of each checkpoint.");
  settings.audit.directory = audit.path("directory", "Tiles and checkpoints (C2SP tlog-tiles).");
  settings.audit.anchor = audit.path("anchor", "Size and running hash of the log; on another disk than the database.");

  auto token = document.section("token", "The PKCS#11 token of this process's own keys; no signer's key is on it.");
  settings.token.module = token.path("module", "PKCS#11 library.");
  settings.token.label = token.text("label", "Token label; exactly one slot carries it.");
  settings.token.pin_file = token.path("pin_file", "File of the user PIN, mode 0600, one line.");
  settings.token.sessions = static_cast<unsigned>(token.integer("sessions", "Bound of the session pool.", {1, 1024}, 4));
  settings.token.softhsm_directory =
      token.optional_path("softhsm_directory", "SoftHSM only: the guarded token folder; leave it out for a real HSM.").value_or("");
  settings.softhsm_conf =
      token.optional_path("softhsm_conf", "SoftHSM only: SOFTHSM2_CONF for this process, when the environment sets none.").value_or("");
  auto keys = document.section("keys", "CKA_ID, as text, of each key on the token; made at the first start when it is not there.");
  settings.access_token_key =
      keys.text("access_token", "Signs access tokens; P-256. The first of all: --next-token-key makes those that follow, named after it.");
  settings.checkpoint_key = keys.text("checkpoint", "Signs the audit log's checkpoints; P-256.");
}

/// SHA-256 of a public key, or a refusal at `key`.
crypto::Sha256Digest read_pin(config::Section& section, std::string_view key, const std::string& text) {
  crypto::Sha256Digest pin{};
  const auto octets = parse_hex(text);
  if (octets && octets->size() == pin.size()) {
    std::copy(octets->begin(), octets->end(), pin.begin());
  } else {
    section.refuse(key, "must be 64 hex digits");
  }
  return pin;
}

void read_sam(config::Document& document, Settings& settings) {
  constexpr std::string_view pin_key = "pinned_spki_sha256";
  auto sam = document.section("sam", "The SAM: TLS 1.3, both sides pinned.");
  protocol::wire::ClientConfig first;
  first.address = sam.text("address", "Address of the SAM's listener.", "127.0.0.1");
  first.port = sam.port("port", "Port of the SAM's listener.", 7401);
  first.identity.certificate_file = sam.path("certificate", "Our certificate on that link, PEM.").string();
  first.identity.private_key_file = sam.path("private_key", "Its private key, PEM, mode 0600.").string();
  first.pinned_peer = read_pin(sam, pin_key, sam.text(pin_key, "Hex SHA-256 of the SPKI of the SAM's certificate on that link."));
  settings.service.identity_thumbprint =
      sam.text("identity_thumbprint", "RFC 7638 thumbprint (base64url) of the SAM's identity key: no SAD key of another SAM is believed.");
  const auto thumbprint = parse_base64url(settings.service.identity_thumbprint);
  if (!thumbprint || thumbprint->size() != 32) sam.refuse("identity_thumbprint", "must be 43 characters of base64url");
  first.connections = static_cast<unsigned>(sam.integer("connections", "Connections kept open to each node at most.", {1, 1024}, 32));
  first.timeout = sam.seconds("timeout_seconds", "How long one call may take, whatever nodes it is tried on.", {1, 300}, 20);
  settings.sam.push_back(first);
  for (auto& section : sam.sections("nodes", "Further nodes of the same SAM, on one database with the first (docs/operate/nodes.md).")) {
    auto node = first;
    node.address = section.text("address", "Address of this node's listener.");
    node.port = section.port("port", "Port of this node's listener.", 7401);
    node.pinned_peer =
        read_pin(section, pin_key, section.text(pin_key, "Hex SHA-256 of the SPKI of this node's certificate on that link."));
    const bool known = std::any_of(settings.sam.begin(), settings.sam.end(), [&](const protocol::wire::ClientConfig& other) {
      return other.address == node.address && other.port == node.port;
    });
    if (known) section.refuse("address", "and port are those of another node");
    settings.sam.push_back(node);
  }
  // Where another node is there, a host that answers nothing is not waited for.
  if (settings.sam.size() > 1) {
    for (auto& node : settings.sam) node.connect_timeout = std::chrono::seconds(2);
  }
}

void read_pki(config::Document& document, Settings& settings) {
  auto pki = document.section("pki", "The certification authority's internal listener; nothing else is called.");
  settings.pki_base_url = base_url(pki, "base_url", "Where it is; /pki/v1 is added by the program.");
  settings.pki.certificate_file = pki.path("certificate", "Our client certificate there, PEM.");
  settings.pki.private_key_file = pki.path("private_key", "Its private key, PEM, mode 0600.");
  settings.pki.ca_file = pki.path("ca_file", "Authority of that listener's certificate, PEM; no other is trusted.");
  settings.pki.timeout = pki.seconds("timeout_seconds", "How long one call may take.", {1, 300}, 20);
  settings.pki.allowed = {host_of(settings.pki_base_url)};
  settings.timestamp_url =
      pki.text("timestamp_url",
               "The time-stamping authority (RFC 3161) behind signatures/timestamp: https, its certificate of ca_file, or http "
               "on this machine; empty: not offered.",
               "");
  const auto& url = settings.timestamp_url;
  if (url.empty()) return;
  if (!url.starts_with("https://") && !url.starts_with("http://")) pki.refuse("timestamp_url", "must be an http or https address");
  settings.timestamp.ca_file = settings.pki.ca_file;
  settings.timestamp.allow_plain_loopback = true;
  settings.timestamp.timeout = settings.pki.timeout;
  settings.timestamp.allowed = {host_of(url)};
}

/// What a client's certificate is for (RFC 8705).
struct CertificateUse {
  std::optional<oauth::CertificateName> name;
  std::set<crypto::Sha256Digest> certificates;
  bool bound = false;
};

/// After [mutual_tls].
CertificateUse read_certificate_use(config::Section& section, const Settings& settings) {
  CertificateUse use;
  const auto take = [&](std::string_view key, const Result<oauth::CertificateName>& name) {
    if (!name) return section.refuse(key, name.error().detail);
    if (use.name) return section.refuse(key, "stands beside another name of the client's certificate");
    use.name = *name;
  };
  constexpr std::string_view subject = "tls_client_auth_subject_dn";
  if (const auto text = section.text(subject,
                                     "tls_client_auth (RFC 8705): subject of the client's certificate, RFC 4514 as openssl x509 "
                                     "-subject -nameopt RFC2253,-esc_msb prints it.",
                                     "");
      !text.empty()) {
    take(subject, oauth::CertificateName::subject(text));
  }
  using crypto::AlternativeName;
  for (const auto& [key, kind, about] :
       {std::tuple("tls_client_auth_san_dns", AlternativeName::dns, "The same by a host name in its subjectAltName."),
        std::tuple("tls_client_auth_san_uri", AlternativeName::uri, "The same by a URI."),
        std::tuple("tls_client_auth_san_ip", AlternativeName::ip, "The same by an IP address."),
        std::tuple("tls_client_auth_san_email", AlternativeName::email, "The same by an address of mail.")}) {
    if (const auto text = section.text(key, about, ""); !text.empty()) take(key, oauth::CertificateName::alternative(kind, text));
  }
  for (const auto& text :
       section.texts("certificate_sha256",
                     "self_signed_tls_client_auth (RFC 8705): hex SHA-256 of each certificate, DER, that the client may show.", {})) {
    const auto bytes = parse_hex(text);
    crypto::Sha256Digest digest{};
    if (!bytes || bytes->size() != digest.size()) {
      section.refuse("certificate_sha256", "must be 64 hex digits each");
      continue;
    }
    std::copy(bytes->begin(), bytes->end(), digest.begin());
    use.certificates.insert(digest);
  }
  use.bound = section.boolean("certificate_bound",
                              "Gives this client no access token that is not bound to its TLS certificate (RFC 8705, 3.4).", false);
  if ((use.bound || use.name || !use.certificates.empty()) && !settings.mutual_tls_listener) {
    section.refuse("id", "shows a certificate, and there is no [mutual_tls]");
  }
  if (use.name && settings.mutual_tls_listener && settings.client_authorities.empty()) {
    section.refuse("id", "is known by the name in its certificate, and [mutual_tls] has no client_authorities");
  }
  return use;
}

void read_clients(config::Document& document, Settings& settings) {
  for (auto& section : document.sections("clients", "Signature applications, one table each.")) {
    const auto id = ClientId::parse(section.text("id", "The client_id."));
    const auto name = section.text("name", "Shown to the signer as the application that asks.");
    const auto spki = section.text("spki", "private_key_jwt: SubjectPublicKeyInfo of the client's P-256 key, DER in base64.", "");
    const auto hash = section.text("secret_hash", "client_secret: what --new-client-secret prints beside the secret.", "");
    const auto redirects = section.texts("redirect_uris", "Where codes may be sent, compared octet by octet; empty: no codes.", {});
    const auto bound =
        section.boolean("dpop_bound", "Gives this client no access token that is not bound to a key by DPoP (RFC 9449, 5.2).", false);
    const auto signers = section.texts("signers", "Whose credentials this client may see and use; empty: any.", {});
    const auto compatibility = section.texts(
        "compatibility", "What this client may do that is forbidden today: any of no-pkce, auth-login, token-query; empty: nothing.", {});
    auto use = read_certificate_use(section, settings);
    if (!id) {
      section.refuse("id", "must be 1 to 64 characters of A-Z a-z 0-9 - _");
      continue;
    }
    oauth::Client client{*id, name, std::nullopt, std::nullopt, {}};
    if (!spki.empty()) {
      const auto der = parse_base64(spki);
      auto key = der ? crypto::PublicKey::parse_spki(*der) : Result<crypto::PublicKey>(der.error());
      if (key) {
        client.key = std::move(*key);
      } else {
        section.refuse("spki", "must be a P-256 SubjectPublicKeyInfo, DER in base64");
      }
    }
    if (!hash.empty()) {
      auto parsed = oauth::SecretHash::parse(hash);
      if (parsed) {
        client.secret = std::move(*parsed);
      } else {
        section.refuse("secret_hash", parsed.error().detail);
      }
    }
    for (const auto& signer : signers) {
      if (!SignerId::parse(signer)) section.refuse("signers", "holds what is no signer id");
      client.signers.insert(signer);
    }
    client.certificate_name = std::move(use.name);
    client.certificates = std::move(use.certificates);
    client.certificate_bound = use.bound;
    client.dpop_bound = bound;
    for (const auto& word : compatibility) {
      if (const auto one = oauth::parse_compatibility(word)) {
        client.compatibility.insert(*one);
      } else {
        section.refuse("compatibility", "knows no-pkce, auth-login and token-query only");
      }
    }
    client.redirect_uris.insert(redirects.begin(), redirects.end());
    if (name.empty() || name.size() > 128) section.refuse("name", "must have 1 to 128 characters");
    settings.clients.push_back(std::move(client));
  }
}

void read_limits(config::Document& document, intaglio::ssa::LimitsConfig& limits) {
  auto section = document.section("limits", "Requests a minute, and as many at once, of the public listener on this node; 0: no limit.");
  const auto figure = [](config::Section& of, std::string_view key, std::string_view about, std::int64_t fallback) {
    return static_cast<std::uint32_t>(of.integer(key, about, {0, http::Limiter::max_per_minute}, fallback));
  };
  auto reads = section.section("reads", "Whatever is none of the others.");
  limits.reads.address = figure(reads, "per_address", "Of one address, by those who have not shown who they are.", 600);
  limits.reads.client = figure(reads, "per_client", "Of one client.", 60000);
  limits.reads.account = figure(reads, "per_account", "In the name of one signer.", 600);
  auto tokens = section.section("tokens", "oauth2/token, revoke and pushed_authorize.");
  limits.tokens.address = figure(tokens, "per_address", "Of one address.", 600);
  limits.tokens.client = figure(tokens, "per_client", "Of one client, once it has authenticated.", 600);
  auto starts = section.section("starts", "What opens a transaction at the SAM.");
  limits.starts.address = figure(starts, "per_address", "Of one address, by those who have not shown who they are.", 60);
  limits.starts.anonymous = figure(starts, "anonymous", "Of all together who did not push their authorization request.", 600);
  limits.starts.client = figure(starts, "per_client", "Of one client.", 6000);
  limits.starts.account = figure(starts, "per_account", "For one signer: of his clients, and as many of strangers.", 60);
  auto signatures = section.section("signatures", "What asks the SAM to verify factors or to sign; the SAM has limits of its own.");
  limits.signatures.client = figure(signatures, "per_client", "Of one client.", 60000);
  limits.signatures.account = figure(signatures, "per_account", "In the name of one signer.", 600);
}

Settings read(config::Document& document, bool described) {
  Settings settings{};
  auto root = document.root();
  settings.name = root.text("name", "Name of this node in logs.");
  settings.log_level = root.choice("log_level", "Lowest level that is logged.", {"debug", "info", "warn", "error"}, "info");
  const auto clock = root.choice("clock", "Who vouches for the time: kernel (adjtimex) or declared (demo and tests only).",
                                 {"kernel", "declared"}, "kernel");
  settings.clock = clock == "kernel" ? ClockSource::kernel : ClockSource::declared;
  read_service(document, settings);
  read_listeners(document, settings);
  read_stores(document, settings);
  read_sam(document, settings);
  read_pages(document, settings, described);
  read_mutual_tls(document, settings, described);
  if (root.has("notices") || described) settings.notices = read_notices(document, settings.service.description.name, described);
  const bool external = root.has("external_ca");
  if (external && root.has("pki")) root.refuse("pki", "stands beside [external_ca]: certificates come from one of them");
  if (described || external) settings.external_ca = read_external_ca(document);
  if (described || !external) read_pki(document, settings);
  auto authorization = document.section("oauth", "The authorization server for signature applications.");
  settings.access_token_life =
      authorization.seconds("access_token_seconds", "Life of an access token.", {60, oauth::max_access_token_life.count()}, 3600);
  settings.next_token_key = authorization.seconds(
      "next_token_key_seconds", "How long the key that --next-token-key makes is shown before it signs.", {60, 30 * 86400}, 86400);
  // The other nodes look for it every five minutes.
  if (settings.postgresql && settings.next_token_key < std::chrono::minutes(10)) {
    authorization.refuse("next_token_key_seconds", "must be at least 600 with [postgresql], for the other nodes to know the key");
  }
  settings.max_assertion_life =
      authorization.seconds("max_assertion_seconds", "Longest life of a client assertion (RFC 7523).", {10, 3600}, 300);
  settings.approval_page = authorization.text(
      "approval_page",
      "Where a signer is sent to approve an authorization request: https, without a fragment; empty: no authorization codes.", "");
  const auto& page = settings.approval_page;
  if (!page.empty() && (!page.starts_with("https://") || page.size() == 8 || page.find_first_of("# \"\\") != std::string::npos)) {
    authorization.refuse("approval_page", "must be an https address without a fragment");
  }
  if (root.has("identity_provider") || described) {
    settings.identity_provider = read_identity_provider(document, page, described);
    settings.pages.identity_issuer = settings.identity_provider->provider.issuer;
    settings.pages.identity_address = settings.identity_provider->provider.authorization_endpoint;
  }
  settings.service.description.with_codes = !page.empty();
  settings.service.description.with_timestamps = !settings.timestamp_url.empty();
  auto csc = document.section("csc", "The CSC API.");
  settings.service.description.specs = csc.text("specs", "specs in /csc/v2/info.", "2.2.0.0");
  settings.service.credential_cache =
      csc.seconds("credential_cache_seconds", "How long what the SAM said of a credential is believed here.", {0, 300}, 5);
  settings.service.max_sad_age =
      csc.seconds("max_sad_seconds", "A SAD issued longer ago is refused before the SAM is called.", {10, 3600}, 300);
  // A device that waits holds a worker: three quarters of them serve everybody else.
  settings.service.device_waits = settings.public_listener.workers / 4;
  settings.service.max_hashes = static_cast<std::size_t>(csc.integer("max_hashes", "Digests in one request at most.", {1, 1000}, 1000));
  read_limits(document, settings.limits);
  read_clients(document, settings);
  settings.service.description.with_login = std::any_of(settings.clients.begin(), settings.clients.end(), [](const oauth::Client& client) {
    return client.allows(oauth::Compatibility::auth_login);
  });
  return settings;
}

}  // namespace

Result<Settings> load_settings(const std::filesystem::path& path) {
  auto document = config::Document::open(path, "intaglio-ssa");
  if (!document) return document.error();
  auto settings = read(*document, /*described=*/false);
  if (auto finished = document->finish(); !finished) return finished.error();
  settings.effective = document->effective();
  return settings;
}

std::string describe_settings() {
  auto document = config::Document::blank("intaglio-ssa");
  const auto settings = read(document, /*described=*/true);
  return document.describe();
}

}  // namespace intaglio::apps::ssa
