// intaglio-sam: wires the rooms of the trusted core together. What it decides stands in src/sam.
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <condition_variable>
#include <cstdio>
#include <functional>
#include <mutex>
#include <thread>

#include "audit/node_logs.h"
#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "custody/resident/vault.h"
#include "json/json.h"
#include "one_time_custody.h"
#include "protocol/wire.h"
#include "sam/authorise/kept_approval.h"
#include "sam/management/management.h"
#include "sam/restore/restore.h"
#include "sam/service.h"
#include "settings.h"
#include "storage/node.h"
#include "token_keys.h"
#include "tokens.h"
#include "wrapped_custody.h"

namespace intaglio::apps::sam {
namespace {

constexpr std::size_t secret_pool_bytes = std::size_t{4} << 20U;
constexpr std::size_t max_policy_bytes = std::size_t{1} << 20U;
constexpr std::string_view policy_record = "policy";
constexpr auto maintenance_interval = std::chrono::seconds(30);
constexpr auto catching_up_interval = std::chrono::seconds(1);
constexpr auto stop_patience = std::chrono::seconds(12);

struct Arguments {
  std::string config;
  bool check_config = false, describe_config = false, initialise = false, join = false, probe = false, quick = false;
  std::string policy, privileged_users, public_keys_file;
  std::string approval, approval_file;
  std::string backup, restore_statement, restore, restore_policy;
  std::vector<std::string> restore_approvals;
};

/// What every mode but the description needs, in the order in which it may be opened.
struct Opened {
  Settings settings;
  std::shared_ptr<const Clock> clock;
  std::shared_ptr<token::Token> token;  ///< of the SAM's own keys
  std::unique_ptr<storage::Database> database;
  std::optional<ServiceKeys> keys;
  std::shared_ptr<sealed::Sealer> sealer;
  std::unique_ptr<audit::Log> log;
};

/// What a start may make: nothing, the service keys of a new SAM, or what a further node has of its own. A restore opens no log: the
/// database contradicts it.
enum class Make { nothing, sam, node, restored };

/// Before the node has anything: its versions begin empty, and one that has lived would forget what it knows.
Status check_node_is_new(storage::Database& database) {
  bool lived = false;
  auto read = database.read([&](storage::Reader& reader) {
    return reader.query("SELECT idx FROM audit_entries LIMIT 1", {}, [&](const storage::Row&) {
      lived = true;
      return false;
    });
  });
  if (!read) return read;
  if (refused_by("sam.join-once", lived)) return Error{ErrorCode::conflict, "this node has joined already: its log is in the database"};
  return {};
}

/// A node that joins changes no schema: the entries of before nodes had names are taken for those of the node that migrates.
Status check_is_current(storage::Database& database) {
  const auto& migrations = intaglio::sam::database_migrations();
  auto applied = std::size_t{0};
  auto read = database.read([&](storage::Reader& reader) {
    return reader.query("SELECT version FROM schema_migrations WHERE series = ?1", {migrations.front().sql}, [&](const storage::Row&) {
      ++applied;
      return true;
    });
  });
  if (!read)
    return Error{ErrorCode::configuration, "there is no SAM in this database yet, which a node could join: " + read.error().detail};
  if (applied != migrations.size())
    return Error{ErrorCode::configuration, "the database is of another version: start the node that it belongs to with this program first"};
  return {};
}

Result<Opened> open_all(Settings settings, Make make) {
  Opened opened{.settings = std::move(settings), .clock = {}, .token = {}, .database = {}, .keys = {}, .sealer = {}, .log = {}};
  opened.clock = make_system_clock(opened.settings.clock);
  auto token = token::Token::open(opened.settings.token);
  if (!token) return token.error();
  opened.token = std::move(*token);
  auto entropy = opened.token->random(32);
  if (!entropy) return entropy.error();
  crypto::add_entropy(*entropy);
  auto keys = open_service_keys(opened.token, make == Make::sam);
  if (!keys) return keys.error();
  opened.keys = std::move(*keys);

  const auto& server = opened.settings.postgresql;
  for (const auto& folder : {server ? std::filesystem::path(".") : opened.settings.database.parent_path(), opened.settings.audit.directory,
                             opened.settings.audit.anchor.parent_path()}) {
    std::error_code failed;
    std::filesystem::create_directories(folder, failed);
    if (failed) return Error{ErrorCode::configuration, "cannot make the folder " + folder.string() + ": " + failed.message()};
  }
  auto database = server ? storage::open_postgresql_node(*server, opened.settings.node) : storage::open_sqlite(opened.settings.database);
  if (!database) return database.error();
  opened.database = std::move(*database);
  if (make == Make::node) {
    if (auto current = check_is_current(*opened.database); !current) return current.error();
  }
  if (auto migrated = opened.database->migrate(intaglio::sam::database_migrations()); !migrated) return migrated.error();
  const auto versions = opened.settings.audit.anchor.parent_path() / "versions";
  if (make == Make::node) {
    if (auto fresh = check_node_is_new(*opened.database); !fresh) return fresh.error();
    if (auto made = sealed::Versions::make(versions); !made) return made.error();
  }
  auto sealer = sealed::Sealer::open(*opened.database, opened.token, opened.keys->sealing, opened.clock, versions);
  if (!sealer) return sealer.error();
  opened.sealer = std::move(*sealer);
  opened.settings.audit.entry_mac = [sealer = opened.sealer.get()](ByteView running) {
    return sealer->blind_index("audit_entries", "running", running);
  };
  if (make == Make::restored) return opened;
  auto log = audit::Log::open(opened.settings.audit, *opened.database, opened.keys->checkpoint, opened.clock);
  if (!log) return log.error();
  opened.log = std::move(*log);
  return opened;
}

Result<std::string> public_keys_of(const Opened& opened) {
  json::Value keys = {{"sam", opened.settings.name}, {"log", opened.settings.audit.origin}};
  for (const auto& [name, key] : {std::pair<const char*, const crypto::Signer*>{"identity", opened.keys->identity.get()},
                                  {"sad", opened.keys->sad.get()},
                                  {"checkpoint", opened.keys->checkpoint.get()}}) {
    auto jwk = crypto::encode_jwk(key->public_key());
    if (!jwk) return jwk.error();
    auto value = json::parse(*jwk);
    if (!value) return value.error();
    keys[name] = std::move(*value);
  }
  return json::encode(keys);
}

/// The first privileged users: the ceremony of initialisation stands for the quorum that there cannot be yet.
Status install_users(storage::Transaction& transaction, const Opened& opened, const intaglio::sam::PrivilegedUsers& users) {
  if (auto installed = intaglio::sam::UserRegistry(opened.sealer).install(transaction, users); !installed) return installed;
  for (const auto& user : users.all()) {
    auto event = intaglio::sam::user_added(user, "operator of the host", "initialisation");
    if (!event) return event.error();
    if (auto appended = opened.log->append(transaction, *event); !appended) return appended.error();
  }
  return {};
}

/// Locks, ends of approvals and of certificates hang on the time: only a demonstration may take it from whoever sets it.
Status check_clock(ClockSource clock, const intaglio::sam::Policy& policy) {
  if (refused_by("sam.clock-vouched", clock != ClockSource::kernel && !policy.demo()))
    return Error{ErrorCode::configuration,
                 "clock = \"declared\" is for demonstrations, and the policy says demo: false; use clock = \"kernel\""};
  return {};
}

/// Puts the policy into sealed state, once; a later change is a matter of the quorum on the management listener.
Status initialise(const Arguments& arguments, Settings settings) {
  auto document = read_file(arguments.policy, max_policy_bytes);
  if (!document) return document.error();
  auto policy = intaglio::sam::Policy::parse(as_text(*document));
  if (!policy) return policy.error();
  if (auto checked = check_clock(settings.clock, *policy); !checked) return checked;
  std::optional<intaglio::sam::PrivilegedUsers> users;
  if (!arguments.privileged_users.empty()) {
    auto list = read_file(arguments.privileged_users, max_policy_bytes);
    if (!list) return list.error();
    auto parsed = intaglio::sam::PrivilegedUsers::parse_first(as_text(*list), make_system_clock(settings.clock)->now());
    if (!parsed) return parsed.error();
    users = std::move(*parsed);
  }
  auto opened = open_all(std::move(settings), Make::sam);
  if (!opened) return opened.error();
  if (needs_wrapped_custody(*policy)) {
    auto wrapped = open_wrapped_custody(opened->token, /*make=*/true);
    if (!wrapped) return wrapped.error();
    if (auto checked = check_wrapped_custody(*wrapped->vault, *policy); !checked) return checked;
  }
  // A log with entries belongs to a SAM that has lived: deleting its policy row must not let anyone install another.
  if (refused_by("sam.initialise-once", opened->log->size() != 0)) {
    return Error{ErrorCode::conflict, "this SAM is initialised already; its policy changes only by quorum"};
  }
  const sealed::Table state(opened->sealer, "sam_state", sealed::Rollback::refused);
  auto written = opened->database->write([&](storage::Transaction& transaction) -> Status {
    if (auto inserted = state.insert(transaction, policy_record, *document); !inserted) {
      if (inserted.error().code != ErrorCode::conflict) return inserted;
      return Error{ErrorCode::conflict, "this SAM is initialised already; its policy changes only by quorum"};
    }
    if (users) {
      if (auto installed = install_users(transaction, *opened, *users); !installed) return installed;
    }
    auto appended =
        opened->log->append(transaction, audit::Event{.type = audit::EventType::policy_installed,
                                                      .actor = "operator of the host",
                                                      .subject = policy->id(),
                                                      .outcome = audit::Outcome::success,
                                                      .fields = {{"policy_digest", encode_base64url(crypto::sha256(*document))}}});
    return appended ? Status() : Status(appended.error());
  });
  if (!written) return written;
  if (auto checkpoint = opened->log->checkpoint_now(); !checkpoint) return checkpoint.error();
  auto keys = public_keys_of(*opened);
  if (!keys) return keys.error();
  if (!arguments.public_keys_file.empty()) return write_file_durably(arguments.public_keys_file, as_bytes(*keys), 0644);
  std::printf("%s\n", keys->c_str());
  return {};
}

/// A further node on the database of a SAM that lives: a log of its own, which begins with the policy that it found, and versions of its
/// own. What it finds it believes this once, as the ceremony's witnesses do.
Status join(Settings settings) {
  if (refused_by("sam.join-shared", !settings.postgresql))
    return Error{ErrorCode::configuration, "a further node needs a database that nodes can share: [postgresql] (docs/operate/nodes.md)"};
  auto opened = open_all(std::move(settings), Make::node);
  if (!opened) return opened.error();
  const sealed::Table state(opened->sealer, "sam_state", sealed::Rollback::refused);
  auto written = opened->database->write([&](storage::Transaction& transaction) -> Status {
    auto found = state.find(transaction, policy_record);
    if (!found) return found.error();
    if (!*found) return Error{ErrorCode::configuration, "no policy is installed: the first node is made with --initialise"};
    const auto document = (*found)->content.reveal();
    auto policy = intaglio::sam::Policy::parse(as_text(document));
    if (!policy) return policy.error();
    auto appended =
        opened->log->append(transaction, audit::Event{.type = audit::EventType::policy_installed,
                                                      .actor = "operator of the host",
                                                      .subject = policy->id(),
                                                      .outcome = audit::Outcome::success,
                                                      .fields = {{"policy_digest", encode_base64url(crypto::sha256(document))}}});
    return appended ? Status() : Status(appended.error());
  });
  if (!written) return written;
  if (auto checkpoint = opened->log->checkpoint_now(); !checkpoint) return checkpoint.error();
  auto keys = public_keys_of(*opened);
  if (!keys) return keys.error();
  std::printf("%s\n", keys->c_str());
  return {};
}

/// What a passkey signed or an identity provider confirmed, out of sealed state, for whoever must be shown what was approved; with an entry in the log.
Status export_approval(const Arguments& arguments, Settings settings) {
  settings.token.alone = true;
  auto opened = open_all(std::move(settings), Make::nothing);
  if (!opened) return opened.error();
  const auto approvals = intaglio::sam::kept_approvals(opened->sealer);
  std::optional<sealed::Record> approval;
  auto written = opened->database->write([&](storage::Transaction& transaction) -> Status {
    auto found = approvals.find(transaction, arguments.approval);
    if (!found) return found.error();
    if (!*found)
      return Error{ErrorCode::not_found, "neither passkey, device nor identity approved the authorisation " + arguments.approval};
    approval = std::move(*found);
    auto appended = opened->log->append(
        transaction, audit::Event{.type = audit::EventType::approval_exported,
                                  .actor = "operator of the host",
                                  .subject = arguments.approval,
                                  .outcome = audit::Outcome::success,
                                  .fields = {{"evidence", encode_base64url(crypto::sha256(approval->content.reveal()))}}});
    return appended ? Status() : Status(appended.error());
  });
  if (!written) return written;
  if (auto checkpoint = opened->log->checkpoint_now(); !checkpoint) return checkpoint.error();
  return write_file_durably(arguments.approval_file, approval->content.reveal(), 0600);
}

constexpr std::size_t max_statement_bytes = std::size_t{64} << 10U;
constexpr std::size_t max_approval_bytes = std::size_t{8} << 10U;

/// A copy of the database beside a SAM that serves. It says nothing that the database does not: what is secret in it is sealed.
Status back_up(const Arguments& arguments, const Settings& settings) {
  if (settings.postgresql)
    return Error{ErrorCode::unsupported, "the database stands on PostgreSQL: its own tools make the copy (docs/operate/backup.md)"};
  if (auto copied = storage::back_up_sqlite(settings.database, arguments.backup); !copied) return copied;
  auto copy = storage::open_sqlite_read_only(arguments.backup);
  if (!copy) return copy.error();
  std::int64_t entries = 0;
  auto counted = (*copy)->read([&](storage::Reader& reader) {
    return reader.query("SELECT idx FROM audit_entries ORDER BY idx DESC LIMIT 1", {}, [&](const storage::Row& row) {
      entries = row.integer(0) + 1;
      return false;
    });
  });
  if (!counted) return counted;
  std::printf("%s\n", json::encode({{"backup", arguments.backup}, {"entries", entries}}).c_str());
  return {};
}

Result<intaglio::sam::Restore> read_restore(const Arguments& arguments, const Opened& opened) {
  if (opened.settings.postgresql) {
    auto nodes = audit::nodes_with_a_log(*opened.database);
    if (!nodes) return nodes.error();
    // What one node alone knew of the others' records would come back: their versions stand beside their own anchors.
    if (refused_by("sam.restore.one-node", nodes->size() > 1))
      return Error{
          ErrorCode::unsupported,
          "several nodes share this database; it is brought back with its write-ahead log, up to its end (docs/operate/backup.md)"};
  }
  std::optional<Bytes> policy;
  if (!arguments.restore_policy.empty()) {
    auto document = read_file(arguments.restore_policy, max_policy_bytes);
    if (!document) return document.error();
    policy = std::move(*document);
  }
  auto log = opened.settings.audit;
  return intaglio::sam::Restore::read({.node = opened.settings.node,
                                       .name = opened.settings.name,
                                       .clock = opened.clock,
                                       .database = *opened.database,
                                       .sealer = opened.sealer,
                                       .log = std::move(log),
                                       .checkpoint_key = opened.keys->checkpoint},
                                      policy);
}

/// What two persons have to approve before a database that was brought back is served from.
Status write_restore_statement(const Arguments& arguments, Settings settings) {
  settings.token.alone = true;
  auto opened = open_all(std::move(settings), Make::restored);
  if (!opened) return opened.error();
  auto restore = read_restore(arguments, *opened);
  if (!restore) return restore.error();
  auto finished = restore->finish_what_was_begun();
  if (!finished) return finished.error();
  if (*finished) {
    std::printf("a restore that was cut off is finished: start the SAM\n");
    return {};
  }
  auto statement = restore->make_statement();
  if (!statement) return statement.error();
  return write_file_durably(arguments.restore_statement, as_bytes(*statement), 0644);
}

Status restore_database(const Arguments& arguments, Settings settings) {
  auto statement = read_file(arguments.restore, max_statement_bytes);
  if (!statement) return statement.error();
  std::vector<std::string> approvals;
  approvals.reserve(arguments.restore_approvals.size());
  for (const auto& path : arguments.restore_approvals) {
    auto approval = read_file(path, max_approval_bytes);
    if (!approval) return approval.error();
    std::string text(as_text(*approval));
    while (!text.empty() && text.back() == '\n') text.pop_back();
    approvals.push_back(std::move(text));
  }
  settings.token.alone = true;
  auto opened = open_all(std::move(settings), Make::restored);
  if (!opened) return opened.error();
  auto restore = read_restore(arguments, *opened);
  if (!restore) return restore.error();
  if (auto done = restore->perform(as_text(*statement), approvals); !done) return done;
  std::printf("restored: start the SAM\n");
  return {};
}

/// Does something from time to time on a thread of its own: a token that hangs must keep neither the main thread from its signals nor the
/// reading of revocation lists from its time.
class Regularly {
 public:
  Regularly(std::chrono::seconds interval, std::function<void()> work)
      : thread_([this, interval, work = std::move(work)] {
          std::unique_lock lock(mutex_);
          while (!changed_.wait_for(lock, interval, [this] { return ending_; })) {
            lock.unlock();
            work();
            lock.lock();
          }
        }) {}
  ~Regularly() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Regularly(const Regularly&) = delete;
  Regularly& operator=(const Regularly&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool ending_ = false;
  std::thread thread_;
};

/// An orderly stop waits for calls; one that hangs in the token is not waited for. What it left open is burned at the next start.
void end_at_the_latest_in(std::chrono::seconds patience) {
  std::thread([patience] {
    std::this_thread::sleep_for(patience);
    log::error("stop.forced", {{"after_seconds", std::to_string(patience.count())}});
    ::_exit(1);
  }).detach();
}

/// The modes of custody that the policy asks for, apart from resident. Refused when the tokens do not serve the policy.
Result<std::optional<WrappedCustody>> open_custody(const Tokens& tokens, const intaglio::sam::Policy& policy) {
  if (auto checked = check_algorithms(tokens, policy); !checked) return checked.error();
  if (auto checked = check_one_time_custody(tokens.signers, policy); !checked) return checked.error();
  if (!needs_wrapped_custody(policy)) return std::optional<WrappedCustody>();
  auto custody = open_wrapped_custody(tokens.own, /*make=*/false);
  if (!custody) return custody.error();
  if (auto checked = check_wrapped_custody(*custody->vault, policy); !checked) return checked.error();
  return std::optional<WrappedCustody>(*std::move(custody));
}

Status serve(Settings settings) {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGTERM, SIGINT}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  auto opened = open_all(std::move(settings), Make::nothing);
  if (!opened) return opened.error();
  auto tokens = with_key_token(opened->token, opened->settings.key_token);
  if (!tokens) return tokens.error();
  if (auto checked = check_tokens(*tokens); !checked) return checked;
  const sealed::Table state(opened->sealer, "sam_state", sealed::Rollback::refused);
  std::optional<sealed::Record> policy_document;
  intaglio::sam::Restored restored;
  auto loaded = opened->database->write([&](storage::Transaction& transaction) -> Status {
    auto record = state.find(transaction, policy_record);
    if (!record) return record.error();
    policy_document = std::move(*record);
    auto last = intaglio::sam::load_restored(state, transaction);
    if (!last) return last.error();
    restored = std::move(*last);
    return {};
  });
  if (!loaded) return loaded;
  if (!policy_document)
    return Error{ErrorCode::configuration, "no policy is installed; run: intaglio-sam --config FILE --initialise --policy POLICY.json"};
  auto policy = intaglio::sam::Policy::parse(as_text(policy_document->content.reveal()));
  if (!policy) return policy.error();
  if (auto checked = check_clock(opened->settings.clock, *policy); !checked) return checked;
  auto served = open_custody(*tokens, *policy);
  // Another policy is the quorum's to install, which needs the management listener: without one there is nothing to wait for.
  if (!served && !opened->settings.management) return served.error();
  if (!served) log::refusal("policy.not_served", served.error(), {{"signing", "refused until another policy is installed"}});
  const std::optional<Error> not_served = served ? std::nullopt : std::optional(served.error());
  const auto wrapped = served ? *std::move(served) : std::nullopt;

  auto start_id = crypto::random_id();
  if (!start_id) return start_id.error();
  TokenAgreementKeys agreement_keys(opened->token);
  const TokenPepper pepper(opened->token, opened->keys->pepper, wrapped ? std::optional(wrapped->lock_pepper) : std::nullopt);
  custody::ResidentVault vault(tokens->signers);
  std::optional<custody::OneTimeVault> one_time_vault;
  if (!not_served && needs_one_time_custody(*policy)) one_time_vault.emplace(tokens->signers, most_one_time_keys);
  intaglio::sam::Factors factors(*policy, *opened->database, *opened->log, opened->sealer, pepper, opened->clock);
  intaglio::sam::SapKeys sap_keys(opened->settings.name, *opened->database, opened->sealer, agreement_keys, opened->keys->identity,
                                  opened->clock);
  const intaglio::sam::Core core{.node = opened->settings.node,
                                 .incarnation = opened->settings.node + "/" + *start_id,
                                 .name = opened->settings.name,
                                 .clock = opened->clock,
                                 .database = *opened->database,
                                 .sealer = opened->sealer,
                                 .log = *opened->log,
                                 .vault = vault,
                                 .locked_vault = wrapped ? wrapped->vault.get() : nullptr,
                                 .keys = custody::KeyStore(opened->sealer),
                                 .sealed_keys = custody::SealedKeyStore(opened->sealer),
                                 .policy = *policy,
                                 .factors = factors,
                                 .sap_keys = sap_keys,
                                 .identity_key = opened->keys->identity,
                                 .sad_key = opened->keys->sad,
                                 .one_time_vault = one_time_vault ? &*one_time_vault : nullptr,
                                 .restored = std::move(restored)};
  auto sam = std::make_shared<intaglio::sam::Sam>(
      core, intaglio::sam::Surroundings{.token_facts = [tokens = *tokens] { return token_facts(tokens); },
                                        .token_signer_signatures = [tokens = *tokens] { return signer_signatures(tokens); },
                                        .checkpoint_key = opened->keys->checkpoint,
                                        .log_origin = opened->settings.audit.origin,
                                        .configuration_digest = encode_base64url(crypto::sha256(as_bytes(opened->settings.effective)))});
  if (auto started = sam->start(); !started) return started;
  std::unique_ptr<protocol::wire::Server> server, management;
  if (!not_served) {
    auto listening = protocol::wire::Server::start(opened->settings.listener, sam);
    if (!listening) return listening.error();
    server = std::move(*listening);
  }
  if (opened->settings.management) {
    const auto status = [sam, not_served]() -> Result<std::string> { return not_served ? *not_served : sam->status(); };
    const auto serves = [tokens = *tokens, clock = opened->settings.clock](const intaglio::sam::Policy& other) -> Status {
      if (auto checked = check_clock(clock, other); !checked) return checked;
      auto custody = open_custody(tokens, other);
      return custody ? Status() : Status(custody.error());
    };
    auto listening = protocol::wire::Server::start(
        *opened->settings.management,
        std::make_shared<intaglio::sam::Management>(core, intaglio::sam::Management::Questions{.status = status, .serves_policy = serves}));
    if (!listening) return listening.error();
    management = std::move(*listening);
    log::info("management", {{"port", std::to_string(management->port())}});
  }
  log::info("ready", {{"port", server ? std::to_string(server->port()) : "none"},
                      {"policy", policy->id()},
                      {"token", opened->token->description()},
                      {"key_token", tokens->signers->description()},
                      {"key_authorisation", vault.key_authorisation()},
                      {"clock", opened->settings.clock == ClockSource::kernel ? "kernel" : "declared"},
                      {"secrets_locked", secret_pool_state() == PoolState::locked ? "yes" : "no"}});

  std::optional<Regularly> reading_lists(std::in_place, catching_up_interval, [&sam] { sam->catch_up(); });
  std::optional<Regularly> maintenance(std::in_place, maintenance_interval, [&sam] { sam->maintain(); });
  int number = 0;
  while (sigwait(&signals, &number) != 0) {}
  log::info("stopping");
  end_at_the_latest_in(stop_patience);
  if (management) management->stop();
  if (server) server->stop();
  maintenance.reset();
  reading_lists.reset();
  sam->stop();
  return {};
}

Status run(const Arguments& arguments) {
  if (arguments.describe_config) {
    std::printf("%s", describe_settings().c_str());
    return {};
  }
  if (auto hardened = harden_process(); !hardened) return hardened;
  open_secret_pool(secret_pool_bytes);
  auto settings = load_settings(arguments.config);
  if (!settings) return settings.error();
  log::open("intaglio-sam", settings->log_level);
  if (arguments.check_config) {
    std::printf("%s: good\n", arguments.config.c_str());
    return {};
  }
  if (arguments.initialise) return initialise(arguments, std::move(*settings));
  if (arguments.join) return join(std::move(*settings));
  if (arguments.probe) return print_probe(std::move(*settings), arguments.quick);
  if (!arguments.approval.empty()) return export_approval(arguments, std::move(*settings));
  if (!arguments.backup.empty()) return back_up(arguments, *settings);
  if (!arguments.restore_statement.empty()) return write_restore_statement(arguments, std::move(*settings));
  if (!arguments.restore.empty()) return restore_database(arguments, std::move(*settings));
  return serve(std::move(*settings));
}

}  // namespace
}  // namespace intaglio::apps::sam

int main(int argc, char** argv) {
  intaglio::apps::sam::Arguments arguments;
  CLI::App app{"intaglio-sam: the signature activation module. It verifies what signers approved and drives the token."};
  app.set_version_flag("--version", "intaglio-sam 0.1.0");
  auto* config = app.add_option("--config", arguments.config, "configuration file (deploy/examples/sam.toml)");
  app.add_flag("--check-config", arguments.check_config, "read the configuration, say what is wrong, and end");
  app.add_flag("--describe-config", arguments.describe_config, "print every configuration key with its meaning");
  auto* initialise = app.add_flag("--initialise", arguments.initialise, "make the service keys and install the policy; once");
  app.add_option("--policy", arguments.policy, "policy document to install (deploy/examples/policy.json)")->needs(initialise);
  app.add_option("--privileged-users", arguments.privileged_users,
                 "the first privileged users, JSON (docs/operate/management.md); without them nothing can be changed later")
      ->needs(initialise);
  app.add_option("--public-keys", arguments.public_keys_file, "where --initialise writes the SAM's public keys; standard output by default")
      ->needs(initialise);
  app.add_flag("--join", arguments.join, "make what this node has of its own, beside nodes that serve the same database; once")
      ->excludes(initialise);
  auto* probe = app.add_flag("--probe", arguments.probe, "print what the token can do and what it refuses");
  app.add_flag("--quick", arguments.quick, "with --probe: leave the slow key generations out")->needs(probe);
  auto* approval = app.add_option("--export-approval", arguments.approval,
                                  "authorisation, as the audit log names it: write what a passkey signed or an identity provider confirmed "
                                  "for it; while the SAM does not run");
  auto* approval_file = app.add_option("--approval-file", arguments.approval_file, "where --export-approval writes it")->needs(approval);
  approval->needs(approval_file);
  app.add_option("--backup", arguments.backup, "write a copy of the database to this new file, while the SAM serves (SQLite)");
  auto* statement =
      app.add_option("--restore-statement", arguments.restore_statement,
                     "after the database was brought back from a backup: write what is to be approved to this file, or finish a "
                     "restore that was cut off (docs/operate/backup.md)");
  auto* restore = app.add_option("--restore", arguments.restore, "statement that two persons approved: let the SAM serve from the backup");
  restore->excludes(statement);
  auto* approvals = app.add_option("--restore-approvals", arguments.restore_approvals,
                                   "with --restore: what `intaglio admin approve-restore` wrote for each of the two")
                        ->needs(restore);
  restore->needs(approvals);
  app.add_option("--restore-policy", arguments.restore_policy,
                 "with either: the policy document in force, where another one was installed after the backup");
  CLI11_PARSE(app, argc, argv);
  if (!arguments.describe_config && config->count() == 0) {
    std::fprintf(stderr, "intaglio-sam: --config FILE is needed; see --help\n");
    return 2;
  }
  if (arguments.initialise && arguments.policy.empty()) {
    std::fprintf(stderr, "intaglio-sam: --initialise needs --policy FILE\n");
    return 2;
  }
  const auto done = intaglio::apps::sam::run(arguments);
  if (!done) {
    std::fprintf(stderr, "intaglio-sam: %s\n", done.error().detail.c_str());
    intaglio::log::refusal("ended", done.error());
  }
  std::fflush(nullptr);
  // PKCS#11 modules and OpenSSL disagree about who is torn down first at exit (openssl issue 22508); nothing is left to do.
  ::_exit(done ? 0 : 1);
}
