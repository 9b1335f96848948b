#pragma once

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

  /// Makes the database unless it is there.
  PostgresqlAddress database(const std::string& name) {
    if (!answers(name)) run(as_owner() + tool("createdb") + " -h " + folder_ + " -U postgres " + name);
    return {.hosts = folder_,
            .ports = {},
            .name = name,
            .user = "postgres",
            .passfile = {},
            .tls_root = {},
            .tls_certificate = {},
            .tls_key = {}};
  }
  PostgresqlAddress fresh_database() { return database("fresh" + std::to_string(++made_)); }
  /// What an administrator does behind the owner's back; true when psql says so.
  bool administer(const std::string& name, const std::string& sql) const {
    return std::system((as_owner() + tool("psql") + " -h " + folder_ + " -U postgres -q -v ON_ERROR_STOP=1 -c \"" + sql + "\" " + name +
                        " >/dev/null 2>&1")
                           .c_str()) == 0;
  }
  /// SIGQUIT, as a lost machine: nothing is flushed or told. Then it is there again, with these settings.
  void crash_and_start(const std::string& settings = {}) {
    end(SIGQUIT);
    start(settings);
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
    run(as_owner() + tool("initdb") + " -D " + folder_ + "/data -U postgres -A trust -E UTF8 --locale=C --no-sync");
    start({});
  }
  ~PostgresqlServer() {
    end(SIGQUIT);
    std::filesystem::remove_all(folder_);
  }

  static std::string tool(const std::string& name) { return "/usr/lib/postgresql/15/bin/" + name; }
  /// The server refuses to run as root.
  static std::string as_owner(const std::string& more = {}) {
    return "cd / && exec setpriv " + std::string(::geteuid() == 0 ? "--reuid=postgres --regid=postgres --clear-groups " : "") + more;
  }
  static void run(const std::string& command) {
    if (std::system((command + " >/dev/null 2>&1").c_str()) != 0) panic(("failed: " + command).c_str());
  }
  [[nodiscard]] bool answers(const std::string& name) const { return administer(name, "SELECT 1"); }

  void start(const std::string& settings) {
    // The server ends with this process, however that ends.
    const std::string command = as_owner("--pdeathsig=QUIT ") + tool("postgres") + " -D " + folder_ + "/data -k " + folder_ +
                                " -c listen_addresses='' -c max_connections=200 -c shared_buffers=32MB " + settings + " >>" + folder_ +
                                "/log 2>&1";
    child_ = ::fork();
    if (child_ == 0) {
      ::execl("/bin/sh", "sh", "-c", command.c_str(), nullptr);
      ::_exit(127);
    }
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
/// database of the test process's own server, so that the same tests hold on both.
inline Result<std::unique_ptr<Database>> open_database(const std::filesystem::path& path) {
  const char* kind = std::getenv("INTAGLIO_TEST_DATABASE");
  if (kind == nullptr || std::string_view(kind) != "postgresql") return open_sqlite(path);
  return open_postgresql(PostgresqlServer::instance().database("t" + std::to_string(std::hash<std::string>{}(path.string()))));
}

}  // namespace intaglio::storage::test
