#include "settings.h"

#include "base/check.h"
#include "storage/postgresql_settings.h"
#include "token/hsm_profile.h"

namespace intaglio::apps::sam {
namespace {

token::TokenConfig read_token(config::Section& token) {
  token::TokenConfig config;
  config.module = token.path("module", "PKCS#11 library.");
  config.label = token.text("label", "Token label; exactly one slot carries it.");
  config.pin_file = token.path("pin_file", "File of the user PIN, mode 0600, one line.");
  config.sessions = static_cast<unsigned>(token.integer("sessions", "Bound of the session pool.", {1, 1024}, 16));
  config.call_timeout = token.seconds("call_seconds", "How long one signature may take before it is given up in doubt.", {1, 300}, 10);
  if (auto directory = token.optional_path("softhsm_directory", "SoftHSM only: the guarded token folder; leave it out for a real HSM.")) {
    config.softhsm_directory = *directory;
  }
  if (auto profile = token.optional_path("profile", "What is known of this kind of module: a file of deploy/hsm-profiles.")) {
    auto loaded = token::load_hsm_profile(*profile);
    if (loaded) {
      config.profile = *std::move(loaded);
    } else {
      token.refuse("profile", loaded.error().detail);
    }
  }
  config.nss_parameters = token.text("nss_parameters", "NSS only: configdir='sql:FOLDER' and the like, given to C_Initialize.", "");
  return config;
}

/// The configuration names a profile by its path; what it says belongs to the configuration as well.
std::string with_profile(std::string effective, std::string_view section, const token::TokenConfig& token) {
  if (token.profile) effective.append(section).append(".profile sha-256 ").append(token.profile->digest).append("\n");
  return effective;
}

Settings read(config::Document& document, bool described = false) {
  Settings settings;
  auto sam = document.section("sam", "This node of the SAM.");
  settings.node = sam.text("node", "Name of this node: part of the audit log's origin and of every reservation.");
  settings.name = sam.text("name", "Name of the SAM in statements and tokens, the same on all nodes.");
  settings.database = sam.path("database", "SQLite file, mode 0600; unused with [postgresql].");
  settings.clock = sam.choice("clock", "Who vouches for the time: kernel (adjtimex) or declared (demo and tests only).",
                              {"kernel", "declared"}, "kernel") == "kernel"
                       ? ClockSource::kernel
                       : ClockSource::declared;
  settings.log_level = sam.choice("log_level", "Lowest level that is logged.", {"debug", "info", "warn", "error"}, "info");

  auto token = document.section("token", "The PKCS#11 token of the SAM's own keys, and of the signers' keys unless [key_token] is there.");
  settings.token = read_token(token);
  const bool apart = document.root().has("key_token");
  auto key_token = document.section("key_token", "Another token for the signers' keys; leave the whole table out when [token] holds them.");
  if (apart || described) settings.key_token = read_token(key_token);
  const bool same = apart && settings.key_token->module == settings.token.module && settings.key_token->label == settings.token.label;
  if (refused_by("sam.key-token-is-another", same)) {
    key_token.refuse("label", "is the token of [token]: leave [key_token] out");
  }

  auto listener = document.section("listener", "Where the SSA connects: TLS 1.3, both sides pinned.");
  settings.listener.address = listener.text("address", "Address to listen on; never one of the Internet.", "127.0.0.1");
  settings.listener.port = listener.port("port", "Port; 0 lets the system choose.", 7401);
  settings.listener.identity.certificate_file = listener.path("certificate", "Certificate, PEM.").string();
  settings.listener.identity.private_key_file = listener.path("private_key", "Its private key, PEM, mode 0600.").string();
  settings.listener.workers = static_cast<unsigned>(listener.integer("workers", "Calls that run at the same time.", {1, 1024}, 32));
  settings.listener.max_connections =
      static_cast<unsigned>(listener.integer("max_connections", "Bound of open connections.", {1, 10000}, 256));
  for (const auto& pin : listener.texts("ssa_pins", "Hex SHA-256 of the SPKI of each SSA node's certificate.")) {
    const auto bytes = parse_hex(pin);
    if (!bytes || bytes->size() != 32) {
      listener.refuse("ssa_pins",
                      "must be 64 hex digits: openssl x509 -in ssa.pem -pubkey -noout | openssl pkey -pubin -outform DER | sha256sum");
      continue;
    }
    std::copy(bytes->begin(), bytes->end(), settings.listener.pinned_peers.emplace_back().begin());
  }

  auto management =
      document.section("management", "Where privileged users connect, with the TLS identity of [listener]; no port, no such listener.");
  const bool managed = management.has("port");
  protocol::wire::ServerConfig users;
  users.address = management.text("address", "Address to listen on: one of the management network.", "127.0.0.1");
  users.port = management.port("port", "Port; 0 lets the system choose.", 0);
  users.identity = settings.listener.identity;
  users.workers = 2;
  users.max_connections = 16;
  // No one user's connections keep the others out: a client of ours has one, for one request.
  users.max_connections_per_peer = 3;
  users.longest_rest = std::chrono::seconds(30);
  if (managed) settings.management = std::move(users);

  settings.postgresql = storage::read_postgresql(
      document.section("postgresql", "The database on a PostgreSQL server instead of a file; no hosts, no server."));
  auto audit = document.section("audit", "The append-only log.");
  settings.audit.directory = audit.path("directory", "Tiles and checkpoints (C2SP tlog-tiles).");
  settings.audit.anchor = audit.path("anchor", "Size and running hash of the log; on another disk than the database.");
  settings.audit.origin = "intaglio/sam/" + settings.node;
  return settings;
}

}  // namespace

Result<Settings> load_settings(const std::filesystem::path& path) {
  auto document = config::Document::open(path, "intaglio-sam");
  if (!document) return document.error();
  auto settings = read(*document);
  if (auto finished = document->finish(); !finished) return finished.error();
  settings.effective = with_profile(document->effective(), "token", settings.token);
  if (settings.key_token) settings.effective = with_profile(std::move(settings.effective), "key_token", *settings.key_token);
  return settings;
}

std::string describe_settings() {
  auto document = config::Document::blank("intaglio-sam");
  const auto settings = read(document, /*described=*/true);
  return document.describe();
}

}  // namespace intaglio::apps::sam
