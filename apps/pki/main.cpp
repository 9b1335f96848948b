// intaglio-pki: wires the certification authority to its token, its database and its listeners. What it decides stands in src/pki.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "ceremony.h"
#include "crypto/jose/jws.h"
#include "keys.h"
#include "pki/state.h"

namespace intaglio::apps::pki {
namespace {

namespace ca = intaglio::pki;

constexpr std::size_t secret_pool_bytes = std::size_t{1} << 20U;
constexpr std::size_t max_file_bytes = 256 * 1024;
constexpr std::chrono::seconds grace{5};
constexpr std::string_view version = "0.1.0";

struct Arguments {
  Ceremony ceremony;
  bool check_config = false, describe_config = false;
};

Result<crypto::Certificate> read_certificate(const std::filesystem::path& path) {
  auto der = read_file(path, max_file_bytes);
  if (!der) return der.error();
  return crypto::Certificate::parse_der(*der);
}

Result<ca::AuthorityConfig> read_authority_config(const Settings& settings) {
  auto profiles = ca::load_profiles(settings.profiles, settings.qualified);
  if (!profiles) return profiles.error();
  auto policy_text = read_file(settings.algorithm_policy, max_file_bytes);
  if (!policy_text) return policy_text.error();
  auto policy = crypto::AlgorithmPolicy::parse(as_text(*policy_text));
  if (!policy) return policy.error();
  auto identity_text = read_file(settings.sam_identity, max_file_bytes);
  if (!identity_text) return identity_text.error();
  auto identity = crypto::parse_jwk(as_text(*identity_text));
  if (!identity) return Error{ErrorCode::configuration, "authority.sam_identity: " + identity.error().detail};
  return ca::AuthorityConfig{std::move(*profiles), std::move(*policy), std::move(*identity),        settings.assertion_max_age,
                             settings.public_url,  settings.qualified, settings.responder_validity, settings.publisher.freshest};
}

Result<ca::Service::Config> read_service_config(const Settings& settings, const crypto::Certificate& root,
                                                const crypto::Certificate& issuing, const Clock& clock) {
  auto authority = read_authority_config(settings);
  if (!authority) return authority.error();
  if (auto path = crypto::verify_chain(issuing, {}, {root}, clock.now()); !path) return path.error();
  auto root_list = read_file(settings.root_list, crypto::max_crl_bytes);
  if (!root_list) return root_list.error();
  if (auto verified = crypto::verify_crl(*root_list, root); !verified) return verified.error();
  ca::Operators operators;
  for (const auto& [id, key] : settings.operators) operators.emplace(id, key);
  return ca::Service::Config{std::move(*authority),
                             std::move(operators),
                             settings.request_max_age,
                             settings.publisher,
                             settings.responder,
                             settings.ocsp_cache,
                             {root.der(), std::move(*root_list)},
                             std::nullopt};
}

Status make_folders(const Settings& settings) {
  for (const auto& folder : {settings.database.parent_path(), settings.audit.directory, settings.audit.anchor.parent_path()}) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed) return Error{ErrorCode::configuration, "cannot make the folder " + folder.string() + ": " + failed.message()};
  }
  return {};
}

Status record(audit::Log& log, const Settings& settings, audit::EventType type, std::vector<std::pair<std::string, std::string>> fields) {
  auto entry = log.record({type, "pki:" + settings.name, settings.name, audit::Outcome::success, std::move(fields)});
  return entry ? Status() : Status(entry.error());
}

/// What this process shows of itself on the listener of its figures.
struct Watch {
  Watch(const Settings& settings, const ca::Service& service, const ca::Environment& environment, UnixTime root_list_end)
      : state(service, environment, root_list_end) {
    metrics.add(metrics::process_figures("intaglio-pki", std::string(version)));
    metrics.add(metrics::certificate_figures("internal", settings.internal_listener.certificate_chain_file));
    metrics.add([this] { return state.figures(); });
    metrics.add_routes(router);
    state.add_routes(router);
  }
  ca::State state;
  metrics::Metrics metrics;
  http::Router router;
};

Status serve(const Settings& settings) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  const auto clock = make_system_clock(settings.clock);
  auto root = read_certificate(settings.root_certificate);
  if (!root) return root.error();
  auto issuing = read_certificate(settings.issuing_certificate);
  if (!issuing) return issuing.error();
  auto config = read_service_config(settings, *root, *issuing, *clock);
  if (!config) return config.error();

  auto token = open_token(settings.token, SoftHsmConf::environment_first);
  if (!token) return token.error();
  auto issuing_signer = find_signer(*token, settings.issuing_key);
  if (!issuing_signer) return issuing_signer.error();
  auto ocsp_signer = find_signer(*token, settings.ocsp_key);
  if (!ocsp_signer) return ocsp_signer.error();
  auto checkpoint_signer = find_signer(*token, settings.checkpoint_key);
  if (!checkpoint_signer) return checkpoint_signer.error();
  auto issuer = ca::Issuer::make(*issuing, *issuing_signer);
  if (!issuer) return issuer.error();
  if (settings.time_stamping) {
    auto signer = find_signer(*token, settings.time_stamping->key);
    if (!signer) return signer.error();
    config->time_stamping = ca::TimeStampingRole{settings.time_stamping->unit, settings.time_stamping->policy, *signer};
  }

  if (auto made = make_folders(settings); !made) return made;
  auto database = storage::open_sqlite(settings.database);
  if (!database) return database.error();
  if (auto migrated = (*database)->migrate(audit::Log::migrations()); !migrated) return migrated;
  if (auto migrated = (*database)->migrate(ca::migrations()); !migrated) return migrated;
  auto log = audit::Log::open(settings.audit, **database, *checkpoint_signer, clock);
  if (!log) return log.error();
  if (auto done = record(**log, settings, audit::EventType::process_started,
                         {{"configuration", encode_base64url(crypto::sha256(as_bytes(settings.effective)))},
                          {"clock", settings.clock == ClockSource::kernel ? "kernel" : "declared"},
                          {"synchronised", clock->synchronised() ? "yes" : "no"},
                          {"flavour", testing_build ? "testing" : "release"}});
      !done) {
    return done;
  }
  const auto root_list = crypto::parse_crl(config->publications.root_list);
  if (!root_list) return root_list.error();
  const ca::Environment environment{**database, **log, clock};
  auto service = ca::Service::open(std::move(*config), std::move(*issuer), *ocsp_signer, environment);
  if (!service) return service.error();
  Watch watch(settings, **service, environment, root_list->next_update);
  (*service)->observe_with(watch.metrics.observer("internal"), watch.metrics.observer("public"));
  auto internal = http::Server::start(settings.internal_listener, (*service)->internal_handler());
  if (!internal) return internal.error();
  auto open = http::Server::start(settings.public_listener, (*service)->public_handler());
  if (!open) return open.error();
  std::unique_ptr<http::Server> figures;
  if (settings.metrics_listener) {
    auto listening = http::Server::start(*settings.metrics_listener, watch.router.handler());
    if (!listening) return listening.error();
    figures = *std::move(listening);
  }
  log::info("ready", {{"internal_port", std::to_string((*internal)->port())},
                      {"public_port", std::to_string((*open)->port())},
                      {"metrics_port", figures ? std::to_string(figures->port()) : "none"},
                      {"issuer", issuing->subject()},
                      {"token", (*token)->description()}});

  int number = 0;
  while (sigwait(&signals, &number) != 0) {}
  log::info("stopping");
  (*internal)->stop(grace);
  (*open)->stop(grace);
  if (figures) figures->stop(grace);
  service->reset();
  if (auto done = record(**log, settings, audit::EventType::process_stopped, {}); !done) return done;
  auto checkpoint = (*log)->checkpoint_now();
  return checkpoint ? Status() : Status(checkpoint.error());
}

Status run(const Arguments& arguments) {
  if (arguments.describe_config) {
    std::printf("%s", describe_settings().c_str());
    return {};
  }
  if (auto hardened = harden_process(); !hardened) return hardened;
  open_secret_pool(secret_pool_bytes);
  log::open("intaglio-pki", "info");
  if (!arguments.ceremony.act.empty()) return perform(arguments.ceremony);
  auto settings = load_settings(arguments.ceremony.config);
  if (!settings) return settings.error();
  log::open("intaglio-pki", settings->log_level);
  if (!arguments.check_config) return serve(*settings);
  std::printf("%s: good\n", arguments.ceremony.config.c_str());
  return {};
}

}  // namespace
}  // namespace intaglio::apps::pki

int main(int argc, char** argv) {
  intaglio::apps::pki::Arguments arguments;
  auto& ceremony = arguments.ceremony;
  CLI::App app{"intaglio-pki: the certification authority, its revocation list, its OCSP responder and its time-stamping authority."};
  app.set_version_flag("--version", "intaglio-pki " + std::string(intaglio::apps::pki::version));
  app.add_option("--config", ceremony.config, "configuration file (deploy/examples/pki.toml)");
  app.add_flag("--check-config", arguments.check_config, "read the configuration, say what is wrong, and end");
  app.add_flag("--describe-config", arguments.describe_config, "print every configuration key with its meaning");
  app.add_option("--ceremony", ceremony.act,
                 "one act of the key ceremony, then end: root, request, certify, issuing (request and certify), tsa (a time-stamping key), "
                 "list (the "
                 "root's next list), revoke (an issuing CA, on the root's list), or cross (certify another root)")
      ->check(CLI::IsMember({"root", "request", "certify", "issuing", "tsa", "list", "revoke", "cross"}));
  app.add_option("--root-config", ceremony.root_config, "configuration of the root (deploy/examples/pki-root.toml); ceremonies only");
  app.add_option("--request", ceremony.request, "ceremony: the issuing CA's request, DER");
  app.add_option("--certificate", ceremony.certificate,
                 "ceremony certify and cross: where the new certificate is written, DER; revoke: the certificate to revoke");
  app.add_option("--other", ceremony.other, "ceremony cross: the other root's certificate, DER");
  app.add_option("--reason", ceremony.reason, "ceremony revoke: reason of RFC 5280, for example cACompromise");
  CLI11_PARSE(app, argc, argv);
  if (!arguments.describe_config && ceremony.act.empty() && ceremony.config.empty()) {
    std::fprintf(stderr, "intaglio-pki: --config FILE is needed; see --help\n");
    return 2;
  }
  const auto done = intaglio::apps::pki::run(arguments);
  if (!done) {
    std::fprintf(stderr, "intaglio-pki: %s\n", done.error().detail.c_str());
    intaglio::log::refusal("ended", done.error());
  }
  std::fflush(nullptr);
  // PKCS#11 modules and OpenSSL disagree about who is torn down first at exit (openssl issue 22508); nothing is left to do.
  ::_exit(done ? 0 : 1);
}
