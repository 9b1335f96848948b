#pragma once

#include <fcntl.h>
#include <pwd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "base/panic.h"
#include "storage/database.h"

/// Databases for unit tests; no part of any process.
namespace intaglio::storage::test {

/// A PostgreSQL server of the test process's own, on a socket in a folder that goes with it. Started when it is first asked for.
class PostgresqlServer {
 public:
  static PostgresqlServer& instance() {
    static PostgresqlServer server;
    return server;
  }
  PostgresqlServer(const PostgresqlServer&) = delete;
  PostgresqlServer& operator=(const PostgresqlServer&) = delete;

  /// A schema of its own for a user of this name, which costs less than a database; made unless it is there.
  PostgresqlAddress schema(const std::string& user) {
    if (!answers("tests")) create_database("tests");
    if (!administer("tests", "SET ROLE " + user) &&
        !administer("tests", "CREATE ROLE " + user + " LOGIN; CREATE SCHEMA " + user + " AUTHORIZATION " + user))
      panic("no schema for a test");
    return address("tests", user);
  }
  PostgresqlAddress fresh_database() {
    const auto name = "fresh" + std::to_string(++made_);
    create_database(name);
    return address(name, "postgres");
  }
  /// What an administrator does behind the owner's back; true when psql says so.
  bool administer(const std::string& name, const std::string& sql) const {
    return succeeds(command("psql", {"-h", folder_, "-U", "postgres", "-q", "-v", "ON_ERROR_STOP=1", "-c", sql, name}));
  }
  /// SIGQUIT, as a lost machine: nothing is flushed or told. Then it is there again, with this setting ("fsync=off").
  void crash_and_start(const std::string& setting = {}) {
    end(SIGQUIT);
    start(setting);
  }
  [[nodiscard]] const std::string& folder() const { return folder_; }

 private:
  PostgresqlServer() {
    std::string name = std::filesystem::temp_directory_path() / "intaglio-postgres-XXXXXX";
    if (mkdtemp(name.data()) == nullptr) panic("no folder for a PostgreSQL server");
    folder_ = name;
    if (::geteuid() == 0) {
      const auto* user = ::getpwnam("postgres");
      if (user == nullptr || ::chown(folder_.c_str(), user->pw_uid, user->pw_gid) != 0) panic("no user postgres; install postgresql-15");
    }
    if (!succeeds(command("initdb", {"-D", folder_ + "/data", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"})))
      panic("initdb failed");
    start({});
  }
  ~PostgresqlServer() {
    end(SIGQUIT);
    std::filesystem::remove_all(folder_);
    std::filesystem::remove(folder_ + ".log");
  }

  using Words = std::vector<std::string>;

  /// The server refuses to run as root.
  static Words command(const std::string& tool, const Words& more, const Words& how = {}) {
    Words words = {"setpriv"};
    if (::geteuid() == 0) words.insert(words.end(), {"--reuid=postgres", "--regid=postgres", "--clear-groups"});
    words.insert(words.end(), how.begin(), how.end());
    words.push_back("/usr/lib/postgresql/15/bin/" + tool);
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  /// Its output goes to a file of the folder, where it is looked for when something fails.
  [[nodiscard]] pid_t spawn(const Words& words) const {
    const std::string log = folder_ + ".log";
    const pid_t child = ::fork();
    if (child != 0) return child;
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (out < 0 || ::dup2(out, STDOUT_FILENO) < 0 || ::dup2(out, STDERR_FILENO) < 0 || ::chdir("/") != 0) ::_exit(126);
    std::vector<char*> arguments;
    for (const auto& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    ::execvp(arguments.front(), arguments.data());
    ::_exit(127);
  }
  [[nodiscard]] bool succeeds(const Words& words) const {
    int status = -1;
    const pid_t child = spawn(words);
    return child > 0 && ::waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  [[nodiscard]] PostgresqlAddress address(const std::string& name, const std::string& user) const {
    return {
        .hosts = folder_, .ports = {}, .name = name, .user = user, .passfile = {}, .tls_root = {}, .tls_certificate = {}, .tls_key = {}};
  }
  void create_database(const std::string& name) const {
    if (!succeeds(command("createdb", {"-h", folder_, "-U", "postgres", name}))) panic("createdb failed");
  }
  [[nodiscard]] bool answers(const std::string& name) const { return administer(name, "SELECT 1"); }

  void start(const std::string& setting) {
    Words more = {"-D", folder_ + "/data", "-k", folder_};
    for (const std::string& each :
         {std::string("listen_addresses="), std::string("max_connections=200"), std::string("shared_buffers=32MB"), setting}) {
      if (!each.empty()) more.insert(more.end(), {"-c", each});
    }
    // The server ends with this process, however that ends.
    child_ = spawn(command("postgres", more, {"--pdeathsig=QUIT"}));
    for (int tries = 0; tries < 600; ++tries) {
      if (answers("postgres")) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
    panic("the PostgreSQL server does not answer");
  }
  void end(int signal) {
    if (child_ <= 0) return;
    ::kill(child_, signal);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }

  std::string folder_;
  pid_t child_ = -1;
  int made_ = 0;
};

/// The database of a test at this path, new or again: a file of SQLite; with INTAGLIO_TEST_DATABASE=postgresql in the environment a
/// schema on the test process's own server, so that the same tests hold on both.
inline Result<std::unique_ptr<Database>> open_database(const std::filesystem::path& path) {
  const char* kind = std::getenv("INTAGLIO_TEST_DATABASE");
  if (kind == nullptr || std::string_view(kind) != "postgresql") return open_sqlite(path);
  return open_postgresql(PostgresqlServer::instance().schema("t" + std::to_string(std::hash<std::string>{}(path.string()))));
}

}  // namespace intaglio::storage::test
