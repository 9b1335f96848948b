// intaglio-ssa: wires the rooms of the public door together. It holds no signer's key and reads no signer's secret.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <cstdlib>

#include "access_token_keys.h"
#include "base/check.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "http/routes.h"
#include "metrics/metrics.h"
#include "oauth/authorization_endpoint.h"
#include "oauth/migrations.h"
#include "oauth/token_endpoint.h"
#include "registration/endpoints.h"
#include "registration/jobs.h"
#include "registration/occasions.h"
#include "registration/signer_revocation.h"
#include "settings.h"
#include "ssa/lying_sam.h"
#include "ssa/node_state.h"
#include "ssa/service.h"
#include "ssa/signer/page_origin.h"
#include "ssa/signer/pages.h"
#include "storage/node.h"

namespace intaglio::apps::ssa {
namespace {

constexpr std::string_view version = "0.1.0";
constexpr std::size_t secret_pool_bytes = std::size_t{1} << 20U;
constexpr auto upkeep_interval = std::chrono::minutes(5);
/// For how long one node alone has the upkeep that is for all: it takes it anew each time, another one once it is gone.
constexpr auto upkeep_lease = 3 * upkeep_interval;
constexpr std::string_view upkeep_name = "upkeep";
constexpr auto stop_grace = std::chrono::seconds(10);

struct Arguments {
  std::string config;
  bool check_config = false, describe_config = false, new_client_secret = false, next_token_key = false;
};

/// What serving needs, in the order in which it is opened; it ends in the reverse order.
struct Opened {
  std::shared_ptr<const Clock> clock;
  std::shared_ptr<token::Token> token;
  std::shared_ptr<crypto::Signer> checkpoint_key;
  std::shared_ptr<storage::Database> database;
  std::shared_ptr<storage::Leases> leases;
  std::optional<oauth::TokenKeys> access_token_keys;
  std::unique_ptr<audit::Log> log;
  std::shared_ptr<protocol::wire::SamNodes> sam_nodes;
  std::shared_ptr<protocol::SamService> sam;
  std::shared_ptr<registration::CertificationAuthority> authority;
  std::shared_ptr<notice::Outbox> outbox;  ///< none: signers are told nothing
};

Status open_token(const Settings& settings, Opened& opened) {
  if (!settings.softhsm_conf.empty())
    ::setenv("SOFTHSM2_CONF", settings.softhsm_conf.c_str(), /*overwrite=*/0);  // NOLINT(concurrency-mt-unsafe)
  auto token = token::Token::open(settings.token);
  if (!token) return token.error();
  opened.token = std::move(*token);
  auto entropy = opened.token->random(32);
  if (!entropy) return entropy.error();
  crypto::add_entropy(*entropy);
  return {};
}

Status open_database(const Settings& settings, Opened& opened) {
  const auto& server = settings.postgresql;
  for (const auto& folder : {server ? std::filesystem::path(".") : settings.database.parent_path(), settings.audit.directory,
                             settings.audit.anchor.parent_path()}) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed) return Error{ErrorCode::configuration, "cannot make the folder " + folder.string() + ": " + failed.message()};
  }
  auto database = server ? storage::open_postgresql_node(*server, settings.name) : storage::open_sqlite(settings.database);
  if (!database) return database.error();
  opened.database = std::move(*database);
  for (const auto* series : {&storage::Leases::migrations(), &oauth::migrations(), &intaglio::ssa::migrations(),
                             &registration::migrations(), &audit::Log::migrations()}) {
    if (auto migrated = opened.database->migrate(*series); !migrated) return migrated;
  }
  opened.leases = std::make_shared<storage::Leases>(opened.database, opened.clock, settings.name);
  return {};
}

Status open_stores(const Settings& settings, Opened& opened) {
  if (auto database = open_database(settings, opened); !database) return database;
  auto checkpoint = find_or_make(*opened.token, token::KeyPurpose::service_signature, settings.checkpoint_key, *opened.database);
  if (!checkpoint) return checkpoint.error();
  auto checkpoint_signer = token::make_signer(opened.token, std::move(*checkpoint));
  if (!checkpoint_signer) return checkpoint_signer.error();
  opened.checkpoint_key = std::move(*checkpoint_signer);
  auto keys = open_token_keys(opened.token, settings.access_token_key, {opened.database, opened.clock});
  if (!keys) return keys.error();
  opened.access_token_keys = std::move(*keys);
  auto log = audit::Log::open(settings.audit, *opened.database, opened.checkpoint_key, opened.clock);
  if (!log) return log.error();
  opened.log = std::move(*log);
  return {};
}

Result<Opened> open_all(const Settings& settings) {
  Opened opened;
  opened.clock = make_system_clock(settings.clock);
  if (auto token = open_token(settings, opened); !token) return token.error();
  if (auto stores = open_stores(settings, opened); !stores) return stores.error();
  if (settings.notices) {
    auto outbox = open_notices(*settings.notices, opened.token, opened.database, *opened.log, opened.clock);
    if (!outbox) return outbox.error();
    opened.outbox = std::move(*outbox);
  }
  auto sam = protocol::wire::connect(settings.sam);
  if (!sam) return sam.error();
  opened.sam_nodes = *std::move(sam);
  opened.sam = intaglio::ssa::perhaps_lying(opened.sam_nodes);
  if (settings.external_ca) {
    auto authority = open_external_ca(*settings.external_ca, opened.database, opened.leases, opened.clock);
    if (!authority) return authority.error();
    opened.authority = std::move(*authority);
    return opened;
  }
  auto pki = outbound::HttpClient::create(settings.pki);
  if (!pki) return pki.error();
  opened.authority = registration::make_pki_client(std::move(*pki), settings.pki_base_url);
  return opened;
}

/// What this process says of its start and end in its own log; the subject is this run of it.
class RunRecord {
 public:
  RunRecord(Opened& opened, const Settings& settings, const std::string& run)
      : opened_(opened), actor_("ssa:" + settings.name), subject_(settings.name + "/" + run) {}

  Status started(const Settings& settings) {
    return record(audit::EventType::process_started, {{"configuration", encode_base64url(crypto::sha256(as_bytes(settings.effective)))},
                                                      {"clock", settings.clock == ClockSource::kernel ? "kernel" : "declared"},
                                                      {"synchronised", opened_.clock->synchronised() ? "yes" : "no"},
                                                      {"flavour", testing_build ? "testing" : "release"},
                                                      {"version", std::string(version)}});
  }
  Status stopped() {
    if (auto recorded = record(audit::EventType::process_stopped, {}); !recorded) return recorded;
    auto checkpoint = opened_.log->checkpoint_now();
    return checkpoint ? Status() : Status(checkpoint.error());
  }

 private:
  Status record(audit::EventType type, std::vector<std::pair<std::string, std::string>> fields) {
    auto recorded = opened_.log->record({type, actor_, subject_, audit::Outcome::success, std::move(fields)});
    return recorded ? Status() : Status(recorded.error());
  }
  Opened& opened_;
  std::string actor_, subject_;
};

/// RFC 3161, 3.4. Empty where no authority is configured.
Result<intaglio::ssa::csc::AskTimestampAuthority> timestamp_authority(const Settings& settings) {
  if (settings.timestamp_url.empty()) return intaglio::ssa::csc::AskTimestampAuthority();
  auto client = outbound::HttpClient::create(settings.timestamp);
  if (!client) return client.error();
  return intaglio::ssa::csc::AskTimestampAuthority(
      [client = std::move(*client), url = settings.timestamp_url](ByteView request) -> Result<Bytes> {
        const auto answer = client.post(url, "application/timestamp-query", as_text(request));
        if (!answer) return answer.error();
        if (answer->status != 200) return Error{ErrorCode::busy, "status " + std::to_string(answer->status)};
        return to_bytes(answer->body);
      });
}

/// What the node shows of itself on the listener of its figures.
struct Watch {
  Watch(const Settings& settings, const Opened& opened)
      : state({[sam = opened.sam_nodes] { return sam->report(); }, opened.clock, [&log = *opened.log] { return log.healthy(); },
               [&log = *opened.log] { return log.size(); }}) {
    metrics.add(metrics::process_figures("intaglio-ssa", std::string(version)));
    metrics.add(metrics::certificate_figures("public", settings.public_listener.certificate_chain_file));
    metrics.add(metrics::certificate_figures("registration", settings.registration_listener.certificate_chain_file));
    if (settings.mutual_tls_listener) {
      metrics.add(metrics::certificate_figures("mutual_tls", settings.mutual_tls_listener->certificate_chain_file));
    }
    metrics.add(metrics::certificate_figures("sam", settings.sam.front().identity.certificate_file));
    metrics.add([this] { return state.figures(); });
    if (opened.outbox) metrics.add(notice_figures(opened.outbox));
    metrics.add_routes(router);
    state.add_routes(router);
  }
  intaglio::ssa::NodeState state;
  metrics::Metrics metrics;
  http::Router router;
};

/// What a signer does himself stands in the registration authority's register too.
intaglio::ssa::signer::SignerNews news_for(const std::shared_ptr<const registration::Recorder>& recorder,
                                           const std::shared_ptr<const registration::Occasions>& occasions) {
  return {[recorder](const SignerId& signer) { recorder->device_registered(signer); },
          [recorder](const SignerId& signer, const KeyId& key, protocol::KeyState state) {
            const bool suspended = state == protocol::KeyState::suspended;
            recorder->key_stopped_by_signer(signer, key,
                                            suspended ? registration::EnrolmentState::suspended : registration::EnrolmentState::ended);
          },
          [occasions](const SignerId& signer) {
            if (occasions) occasions->secret_changed(signer);
          },
          [occasions](const SignerId& signer) {
            if (occasions) occasions->secret_locked(signer);
          }};
}

/// The keys that another node announced since.
void look_for_token_keys(const Settings& settings, const Opened& opened, oauth::AccessTokens& tokens) {
  auto keys = open_token_keys(opened.token, settings.access_token_key, {opened.database, opened.clock});
  if (!keys) return log::refusal("token_key.not_read", keys.error());
  tokens.take_keys(std::move(*keys));
}

/// Revocations reach the SAM with the request that makes them; this repeats the lists in force, for what was missed, and brings what the root
/// revoked.
void push_revocation_data(const Opened& opened) {
  for (const auto& crl : {opened.authority->root_crl(), opened.authority->current_crl()}) {
    if (!crl) {
      if (crl.error().code != ErrorCode::unsupported) log::refusal("revocation.not_fetched", crl.error());
    } else if (const auto told = opened.sam->put_revocation_data(*crl); !told) {
      log::refusal("revocation.not_taken", told.error());
    }
  }
}

Status serve(Settings settings) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto clients = oauth::Clients::make(std::move(settings.clients));
  if (!clients) return clients.error();
  auto opened = open_all(settings);
  if (!opened) return opened.error();
  const auto run = crypto::random_id();
  if (!run) return run.error();
  RunRecord run_record(*opened, settings, *run);
  if (auto recorded = run_record.started(settings); !recorded) return recorded;

  const auto registered = std::make_shared<const oauth::Clients>(std::move(*clients));
  const auto& issuer = settings.service.description.base_url;
  const auto grants = std::make_shared<oauth::Grants>(opened->database, opened->clock);
  auto tokens =
      oauth::AccessTokens::make({issuer, settings.access_token_life}, *opened->access_token_keys, registered, grants, opened->clock);
  if (!tokens) return tokens.error();
  const std::shared_ptr<oauth::AccessTokens> access_tokens = std::move(*tokens);
  std::vector<std::string> audiences{issuer};
  for (const auto& base : {issuer, settings.service.mutual_tls_url}) {
    if (base.empty()) continue;
    for (const auto* endpoint : {"token", "revoke", "pushed_authorize"}) audiences.push_back(base + "/csc/v2/oauth2/" + endpoint);
  }
  const auto limits = std::make_shared<intaglio::ssa::Limits>(settings.limits, opened->clock);
  const auto authentication =
      std::make_shared<oauth::ClientAuthentication>(oauth::ClientAuthenticationConfig{std::move(audiences), settings.max_assertion_life,
                                                                                      settings.client_authorities, limits->token_clients()},
                                                    registered, opened->database, opened->clock);
  const auto token_endpoint = std::make_shared<oauth::TokenEndpoint>(issuer, authentication, access_tokens, grants, opened->clock);
  std::shared_ptr<oauth::AuthorizationEndpoint> authorization;
  if (!settings.approval_page.empty()) {
    authorization = std::make_shared<oauth::AuthorizationEndpoint>(
        oauth::AuthorizationConfig{issuer, settings.approval_page}, registered, authentication,
        std::make_shared<oauth::PendingRequests>(opened->database, opened->clock), grants, opened->database);
  }
  const auto requests = std::make_shared<registration::KeyRequests>(opened->database, opened->clock);
  const auto enrolments = std::make_shared<registration::Enrolments>(opened->database, opened->clock, *opened->log);
  std::shared_ptr<const registration::Occasions> occasions;
  if (opened->outbox) {
    occasions = std::make_shared<const registration::Occasions>(opened->outbox, opened->clock);
    enrolments->follow_with([occasions](storage::Transaction& transaction, const registration::Enrolment& line,
                                        registration::EnrolmentState from) { occasions->changed(transaction, line, from); });
  }
  const auto codes = std::make_shared<registration::RevocationCodes>(opened->database, opened->clock, *opened->log);
  const auto recorder = std::make_shared<const registration::Recorder>(enrolments, requests);
  const auto ask_timestamp = timestamp_authority(settings);
  if (!ask_timestamp) return ask_timestamp.error();
  std::shared_ptr<const intaglio::ssa::signer::IdentityProvider> identity_provider;
  if (settings.identity_provider) {
    auto provider = open_identity_provider(*settings.identity_provider, opened->clock);
    if (!provider) return provider.error();
    identity_provider = std::move(*provider);
  }
  intaglio::ssa::Service service(
      settings.service,
      {opened->sam, opened->database, opened->clock, registered, access_tokens, token_endpoint,
       [requests, recorder](const protocol::KeyGenerated& key, const SignerId& signer) {
         auto kept = requests->keep(key, signer);
         if (kept) recorder->key_made(signer, key.key);
         return kept;
       },
       [authority = opened->authority](std::string_view assertion, ByteView csr) { return authority->issue_short_term(assertion, csr); },
       grants, authorization, *ask_timestamp, news_for(recorder, occasions), identity_provider, limits});
  const auto credential_changed = [&service](const KeyId& key) { service.credential_changed(key); };
  registration::Endpoints endpoints({opened->sam, requests, opened->authority, credential_changed, enrolments, codes, recorder,
                                     opened->clock, opened->leases, settings.second_person, opened->outbox});
  registration::SignerRevocation signer_revocation({opened->sam, enrolments, codes, opened->clock, credential_changed}, {});
  Watch watch(settings, *opened);
  watch.metrics.add([limits] { return limits->figures(); });
  http::Router public_router;
  service.add_routes(public_router);
  signer_revocation.add_routes(public_router);
  public_router.observe_with(watch.metrics.observer("public"));
  http::Router registration_router;
  endpoints.add_routes(registration_router);
  std::unique_ptr<registration::Jobs> jobs;
  if (opened->outbox) {
    jobs = std::make_unique<registration::Jobs>(opened->database, opened->clock, *opened->log, enrolments, opened->outbox);
    jobs->add_routes(registration_router);
  }
  registration_router.observe_with(watch.metrics.observer("registration"));

  http::Router pages_router;
  std::unique_ptr<http::Server> pages_server;
  std::string pages_digest = "none";
  if (settings.pages_listener) {
    const auto pages = intaglio::ssa::signer::Pages::load(settings.pages);
    if (!pages) return pages.error();
    pages->add_routes(pages_router);
    pages_digest = pages->digest();
    auto started = http::Server::start(*settings.pages_listener, pages_router.handler());
    if (!started) return started.error();
    pages_server = std::move(*started);
  }

  auto public_server = http::Server::start(
      settings.public_listener,
      settings.approval_page.empty()
          ? public_router.handler()
          : intaglio::ssa::signer::with_page_origin(public_router.handler(), intaglio::ssa::signer::origin_of(settings.approval_page)));
  if (!public_server) return public_server.error();
  auto registration_server = http::Server::start(settings.registration_listener, registration_router.handler());
  if (!registration_server) return registration_server.error();
  std::unique_ptr<http::Server> mutual_tls_server;
  if (settings.mutual_tls_listener) {
    auto listening = http::Server::start(*settings.mutual_tls_listener, public_router.handler());
    if (!listening) return listening.error();
    mutual_tls_server = *std::move(listening);
  }
  std::unique_ptr<http::Server> metrics_server;
  if (settings.metrics_listener) {
    auto listening = http::Server::start(*settings.metrics_listener, watch.router.handler());
    if (!listening) return listening.error();
    metrics_server = *std::move(listening);
  }
  log::info("ready", {{"public_port", std::to_string((*public_server)->port())},
                      {"registration_port", std::to_string((*registration_server)->port())},
                      {"metrics_port", metrics_server ? std::to_string(metrics_server->port()) : "none"},
                      {"mutual_tls_port", mutual_tls_server ? std::to_string(mutual_tls_server->port()) : "none"},
                      {"pages_port", pages_server ? std::to_string(pages_server->port()) : "none"},
                      {"pages_sha256", pages_digest},
                      {"clock", settings.clock == ClockSource::kernel ? "kernel" : "declared"},
                      {"token", opened->token->description()}});

  std::unique_ptr<notice::Courier> courier;
  if (opened->outbox) courier = std::make_unique<notice::Courier>(opened->outbox);
  const timespec interval{std::chrono::seconds(upkeep_interval).count(), 0};
  do {
    // Of this node alone.
    look_for_token_keys(settings, *opened, *access_tokens);
    service.retry_reports();
    opened->authority->settle();
    // For all nodes, by one of them.
    const auto ours = opened->leases->take(upkeep_name, upkeep_lease);
    if (!ours) log::refusal("upkeep", ours.error());
    if (!ours || !*ours) continue;
    push_revocation_data(*opened);
    if (const auto done = enrolments->expire_certificates(); !done) log::refusal("registration.expiry", done.error());
    if (const auto done = jobs ? jobs->run_due() : Status(); !done) log::refusal("registration.jobs", done.error());
    if (const auto done = opened->outbox ? opened->outbox->forget_old() : Status(); !done) log::refusal("notice.forget", done.error());
  } while (sigtimedwait(&signals, nullptr, &interval) < 0);
  log::info("stopping");
  courier.reset();
  if (pages_server) pages_server->stop(stop_grace);
  (*public_server)->stop(stop_grace);
  if (mutual_tls_server) mutual_tls_server->stop(stop_grace);
  (*registration_server)->stop(stop_grace);
  if (metrics_server) metrics_server->stop(stop_grace);
  if (const auto given = opened->leases->give_back(upkeep_name); !given) log::refusal("upkeep", given.error());
  return run_record.stopped();
}

Status print_client_secret() {
  auto made = oauth::make_client_secret();
  if (!made) return made.error();
  const auto secret = as_text(made->secret.reveal());
  std::printf("client_secret, shown this once: %.*s\nsecret_hash for ssa.toml: %s\n", static_cast<int>(secret.size()), secret.data(),
              made->hash.text().c_str());
  return {};
}

/// Makes the key that signs access tokens next, while this node is stopped, whose name and log it takes the place of.
Status announce_token_key(const Settings& settings) {
  Opened opened;
  opened.clock = make_system_clock(settings.clock);
  if (auto token = open_token(settings, opened); !token) return token;
  if (auto database = open_database(settings, opened); !database) return database;
  const auto signs_from = opened.clock->now() + settings.next_token_key;
  const auto next = announce_next_token_key(opened.token, settings.access_token_key, {opened.database, opened.clock}, signs_from);
  if (!next) return next.error();
  std::printf("next key of access tokens: %s\nkid: %s\nshown when the service runs again, signs from %lld (seconds since 1970)\n",
              next->id.c_str(), next->kid.c_str(), static_cast<long long>(unix_seconds(next->signs_from)));
  log::info("token_key.announced", {{"key", next->id}, {"kid", next->kid}, {"signs_from", std::to_string(unix_seconds(next->signs_from))}});
  return {};
}

Status run(const Arguments& arguments) {
  if (arguments.describe_config) {
    std::printf("%s", describe_settings().c_str());
    return {};
  }
  if (auto hardened = harden_process(); !hardened) return hardened;
  open_secret_pool(secret_pool_bytes);
  if (arguments.new_client_secret) return print_client_secret();
  auto settings = load_settings(arguments.config);
  if (!settings) return settings.error();
  log::open("intaglio-ssa", settings->log_level);
  if (arguments.check_config) {
    if (auto clients = oauth::Clients::make(std::move(settings->clients)); !clients) return clients.error();
    std::printf("%s: good\n", arguments.config.c_str());
    return {};
  }
  if (arguments.next_token_key) return announce_token_key(*settings);
  return serve(std::move(*settings));
}

}  // namespace
}  // namespace intaglio::apps::ssa

int main(int argc, char** argv) {
  intaglio::apps::ssa::Arguments arguments;
  CLI::App app{"intaglio-ssa: the server signing application. It speaks CSC to the world and relays to the SAM what it cannot read."};
  app.set_version_flag("--version", "intaglio-ssa " + std::string(intaglio::apps::ssa::version));
  auto* config = app.add_option("--config", arguments.config, "configuration file (deploy/examples/ssa.toml)");
  app.add_flag("--check-config", arguments.check_config, "read the configuration, say what is wrong, and end");
  app.add_flag("--describe-config", arguments.describe_config, "print every configuration key with its meaning");
  app.add_flag("--new-client-secret", arguments.new_client_secret, "print a new client secret and the hash of it for ssa.toml");
  app.add_flag("--next-token-key", arguments.next_token_key,
               "make the key that signs access tokens next, while the service is stopped, and end");
  CLI11_PARSE(app, argc, argv);
  if (!arguments.describe_config && !arguments.new_client_secret && config->count() == 0) {
    std::fprintf(stderr, "intaglio-ssa: --config FILE is needed; see --help\n");
    return 2;
  }
  const auto done = intaglio::apps::ssa::run(arguments);
  if (!done) {
    std::fprintf(stderr, "intaglio-ssa: %s\n", done.error().detail.c_str());
    intaglio::log::refusal("ended", done.error());
  }
  std::fflush(nullptr);
  // PKCS#11 modules and OpenSSL disagree about who is torn down first at exit (openssl issue 22508); nothing is left to do.
  ::_exit(done ? 0 : 1);
}
