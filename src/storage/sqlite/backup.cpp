#include <fcntl.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "storage/database.h"
#include "storage/sqlite/owner_lock.h"

namespace intaglio::storage {
namespace {

constexpr int busy_milliseconds = 5000;

struct Close {
  void operator()(sqlite3* handle) const noexcept { sqlite3_close(handle); }
};
using Handle = std::unique_ptr<sqlite3, Close>;

Error failed(const char* what, const std::filesystem::path& path, const char* why) {
  return {ErrorCode::storage_unavailable, std::string("storage: ") + what + ' ' + path.string() + ": " + why};
}

Result<Handle> open(const std::filesystem::path& path, int flags) {
  sqlite3* raw = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &raw, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  Handle handle(raw);
  if (code != SQLITE_OK) return failed("cannot open", path, raw == nullptr ? "out of memory" : sqlite3_errmsg(raw));
  sqlite3_busy_timeout(raw, busy_milliseconds);
  return handle;
}

/// All pages in one step: under the write-ahead log that is one snapshot, and the owner goes on writing meanwhile.
Status copy_pages(sqlite3* source, sqlite3* copy, const std::filesystem::path& path) {
  sqlite3_backup* backup = sqlite3_backup_init(copy, "main", source, "main");
  if (backup == nullptr) return failed("cannot copy to", path, sqlite3_errmsg(copy));
  const int stepped = sqlite3_backup_step(backup, -1);
  const int finished = sqlite3_backup_finish(backup);
  if (stepped != SQLITE_DONE || finished != SQLITE_OK)
    return failed("cannot copy to", path, sqlite3_errstr(stepped == SQLITE_DONE ? finished : stepped));
  return {};
}

/// What is written down as a backup can be read back.
Status check_pages(sqlite3* copy, const std::filesystem::path& path) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(copy, "PRAGMA integrity_check(1)", -1, &raw, nullptr) != SQLITE_OK)
    return failed("cannot check", path, sqlite3_errmsg(copy));
  const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement(raw, sqlite3_finalize);
  const bool read = sqlite3_step(raw) == SQLITE_ROW;
  const auto* said = read ? reinterpret_cast<const char*>(sqlite3_column_text(raw, 0)) : nullptr;
  if (said == nullptr || std::strcmp(said, "ok") != 0) return failed("is no sound copy:", path, said == nullptr ? "unreadable" : said);
  return {};
}

Status flush(const std::filesystem::path& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  const bool flushed = file >= 0 && ::fsync(file) == 0;
  const int because = errno;
  if (file >= 0) ::close(file);
  return flushed ? Status() : failed("cannot flush", path, std::strerror(because));
}

/// A file that is removed unless it was kept.
class Draft {
 public:
  explicit Draft(std::filesystem::path path) : path_(std::move(path)) {}
  ~Draft() {
    std::error_code ignored;
    std::filesystem::remove(path_, ignored);
  }
  Draft(const Draft&) = delete;
  Draft& operator=(const Draft&) = delete;
  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

Status back_up_sqlite(const std::filesystem::path& database, const std::filesystem::path& copy) {
  const Draft draft(copy.string() + ".part");
  std::error_code ignored;
  std::filesystem::remove(draft.path(), ignored);
  if (auto made = sqlite::make_private_file(draft.path()); !made) return made;
  {
    auto source = open(database, SQLITE_OPEN_READONLY);
    if (!source) return source.error();
    auto target = open(draft.path(), SQLITE_OPEN_READWRITE);
    if (!target) return target.error();
    if (auto copied = copy_pages(source->get(), target->get(), draft.path()); !copied) return copied;
    if (auto sound = check_pages(target->get(), draft.path()); !sound) return sound;
  }
  if (auto flushed = flush(draft.path(), O_RDONLY); !flushed) return flushed;
  // A link, not a renaming: an earlier backup is never replaced.
  if (::link(draft.path().c_str(), copy.c_str()) != 0)
    return errno == EEXIST ? Error{ErrorCode::conflict, "there is a file " + copy.string() + " already"}
                           : failed("cannot name the copy", copy, std::strerror(errno));
  return flush(copy.has_parent_path() ? copy.parent_path() : std::filesystem::path("."), O_RDONLY | O_DIRECTORY);
}

}  // namespace intaglio::storage
