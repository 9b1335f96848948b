#include "token/detail/connection.h"

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "token/detail/slot.h"

namespace intaglio::token::detail {
namespace {

constexpr unsigned attempts = 3;
constexpr std::chrono::seconds login_patience{15};

Error does_not_answer() { return {ErrorCode::token_unavailable, "the token does not answer: a call hangs in it"}; }

Status check_config(const TokenConfig& config) {
  if (config.module.empty()) return Error{ErrorCode::configuration, "no PKCS#11 module is named"};
  if (config.label.empty() || config.label.size() > 32) return Error{ErrorCode::configuration, "a token label has 1 to 32 characters"};
  if (config.sessions == 0 || config.sessions > 1024) return Error{ErrorCode::configuration, "a token has 1 to 1024 sessions"};
  if (refused_by("token.profile_sessions", config.sessions > config.profile->max_sessions)) {
    return Error{ErrorCode::configuration, "the HSM profile " + config.profile->name + " allows " +
                                               std::to_string(config.profile->max_sessions) + " sessions, not " +
                                               std::to_string(config.sessions)};
  }
  if (refused_by("token.profile_patience", config.call_timeout < config.profile->call)) {
    return Error{ErrorCode::configuration, "a call may take " + std::to_string(config.profile->call.count()) +
                                               " seconds, says the HSM profile " + config.profile->name + ": wait as long"};
  }
  return {};
}

}  // namespace

Connection::Connection(TokenConfig config, Module& module)
    : config_(std::move(config)), module_(module), pool_(module.functions(), counters_, config_.sessions, config_.call_timeout) {
  module_.attach(&pool_);
}

Connection::~Connection() {
  pool_.close();
  module_.detach(&pool_);
  if (Module::forbidden()) return;
  close_keeper();
  if (entered_) module_.leave();
}

Result<std::unique_ptr<Connection>> Connection::open(const TokenConfig& stated) {
  auto config = stated;
  if (!config.profile) config.profile = std::make_shared<const HsmProfile>(any_hsm_profile());
  if (auto checked = check_config(config); !checked) return checked.error();
  auto module = Module::load(config.module, config.nss_parameters);
  if (!module) return module.error();
  std::unique_ptr<Connection> connection(new Connection(config, **module));
  if (connection->shares_directory()) {
    auto use = DirectoryUse::begin(config.softhsm_directory, config.alone ? DirectoryUse::Kind::alone : DirectoryUse::Kind::shared);
    if (!use) return use.error();
    connection->use_.emplace(*std::move(use));
  }
  const std::lock_guard lock(connection->login_mutex_);
  if (auto done = connection->log_in(); !done) return done.error();
  return connection;
}

Result<std::optional<DirectoryGuard>> Connection::lock_directory(std::chrono::milliseconds patience) const {
  if (!shares_directory()) return std::optional<DirectoryGuard>();
  auto guard = DirectoryGuard::acquire(config_.softhsm_directory, patience);
  if (!guard) return guard.error();
  return std::optional(*std::move(guard));
}

Status Connection::log_in() {
  // Each further attempt with a PIN that was wrong once brings the token nearer to its lock.
  if (refused_by("token.wrong_pin_is_final", pin_was_refused_)) {
    return Error{ErrorCode::configuration, "the token refused the PIN in " + config_.pin_file.string() + "; restart with the right one"};
  }
  auto pin = read_secret_file(config_.pin_file, 256);
  if (!pin) return pin.error();
  auto guard = lock_directory(login_patience);
  if (!guard) return guard.error();
  if (*guard) {
    if (auto done = (*guard)->protect(); !done) return done;
  }
  // Old sessions go before new ones are made: a module that starts again gives the same numbers again.
  pool_.close_idle();
  close_keeper();
  const auto initialised =
      counters_.record(Function::initialize, ObjectKind::none, entered_ ? module_.initialise_again() : module_.enter());
  if (initialised != CKR_OK) return error_of("C_Initialize", initialised);
  entered_ = true;

  auto slot = find_slot(functions(), counters_, config_.label);
  if (!slot) return slot.error();
  if (auto checked = check_pin_tries(slot->token.flags); !checked) return checked;
  slot_ = slot->id;
  if (description_.empty()) description_ = describe_token(slot->token);
  if (auto done = open_keeper(*pin); !done) return done;
  pool_.start_over(slot_);
  epoch_.fetch_add(1, std::memory_order_acq_rel);
  return {};
}

Status Connection::open_keeper(const Secret& pin) {
  CK_SESSION_HANDLE session = CK_INVALID_HANDLE;
  auto result = counters_.record(Function::open_session, ObjectKind::none,
                                 functions().C_OpenSession(slot_, CKF_SERIAL_SESSION, nullptr, nullptr, &session));
  if (result != CKR_OK) return error_of("C_OpenSession", result);
  const auto bytes = pin.reveal();
  result =
      counters_.record(Function::login, ObjectKind::none,
                       functions().C_Login(session, CKU_USER, const_cast<CK_UTF8CHAR*>(bytes.data()), static_cast<CK_ULONG>(bytes.size())));
  if (result != CKR_OK && result != CKR_USER_ALREADY_LOGGED_IN) {
    counters_.record(Function::close_session, ObjectKind::none, functions().C_CloseSession(session));
    pin_was_refused_ = class_of(result) == CkrClass::pin;
    return error_of("C_Login", result);
  }
  keeper_ = session;
  return {};
}

void Connection::close_keeper() {
  const auto old = keeper_.exchange(CK_INVALID_HANDLE);
  if (old != CK_INVALID_HANDLE) counters_.record(Function::close_session, ObjectKind::none, functions().C_CloseSession(old));
}

bool Connection::logged_in() {
  CK_SESSION_INFO info{};
  const auto result = counters_.record(Function::get_session_info, ObjectKind::none, functions().C_GetSessionInfo(keeper_, &info));
  return result == CKR_OK && (info.state == CKS_RO_USER_FUNCTIONS || info.state == CKS_RW_USER_FUNCTIONS);
}

Status Connection::ensure_login() {
  if (Module::forbidden()) return Error{ErrorCode::token_unavailable, "the process ends or was forked"};
  if (pool_.hanging() != 0) return does_not_answer();
  const auto seen = epoch();
  if (logged_in()) return {};
  return recover(seen);
}

Status Connection::recover(std::uint64_t seen) {
  const std::lock_guard lock(login_mutex_);
  if (epoch() != seen) return {};
  log::warn("token login lost", {{"label", config_.label}});
  const std::lock_guard objects_lock(objects());
  // With no other thread inside: sessions and objects of before may have the numbers of others afterwards.
  auto done = pool_.alone([&]() -> Status {
    if (auto in = log_in(); !in) return in;
    auto bound = rebind_ ? rebind_() : Status();
    // A login without its keys would look whole to whoever asks for it next: it ends, so that it is made again.
    if (!bound) close_keeper();
    return bound;
  });
  if (!done) {
    log::refusal("token login failed", done.error(), {{"label", config_.label}});
    return done;
  }
  log::info("token login restored", {{"label", config_.label}});
  return done;
}

Result<Lease> Connection::lease() {
  // Nor is a token asked by which way it could be made well.
  if (!breaker_.closed() && pool_.hanging() != 0) return does_not_answer();
  if (const auto answer = breaker_.admit(); answer != Breaker::Answer::go) {
    if (answer == Breaker::Answer::refused) {
      return Error{ErrorCode::token_unavailable,
                   breaker_.condemned() ? "the token is condemned until the next start" : "the token rests after failures"};
    }
    const auto seen = epoch();
    auto tried = logged_in() ? Status() : recover(seen);
    if (tried && check_) tried = check_();
    breaker_.tried(static_cast<bool>(tried));
    if (!tried) return tried.error();
  }
  const auto seen = epoch();
  auto leased = pool_.lease();
  if (leased || leased.error().code != ErrorCode::token_unavailable || Module::forbidden() || pool_.hanging() != 0 || logged_in())
    return leased;
  if (auto again = recover(seen); !again) {
    breaker_.failed();
    return again.error();
  }
  return pool_.lease();
}

bool Connection::repair(CK_RV result, unsigned attempt, std::uint64_t seen) {
  if (attempt + 1 >= attempts || Module::forbidden() || pool_.hanging() != 0) return false;
  const auto meaning = class_of(result);
  const bool handle_gone = result == CKR_KEY_HANDLE_INVALID || result == CKR_OBJECT_HANDLE_INVALID;
  if (meaning != CkrClass::session_lost && meaning != CkrClass::device_lost && !handle_gone) return false;
  if (logged_in()) return meaning != CkrClass::device_lost && !handle_gone;  // only the session was lost
  return static_cast<bool>(recover(seen));
}

void Connection::ended_badly(CK_RV result) {
  switch (class_of(result)) {
    case CkrClass::tamper: breaker_.condemn(); break;
    case CkrClass::session_lost:
    case CkrClass::device_lost:
    case CkrClass::general: breaker_.failed(); break;
    default: break;
  }
}

void Connection::wrong_signature() {
  pool_.start_over(slot_);
  if (wrong_signatures_.fetch_add(1) + 1 < 2) return;
  breaker_.condemn();
  log::error("token condemned", {{"label", config_.label}, {"reason", "two signatures did not verify"}});
}

}  // namespace intaglio::token::detail
