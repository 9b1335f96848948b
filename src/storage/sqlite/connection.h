#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "storage/database.h"

struct sqlite3;
struct sqlite3_stmt;

namespace intaglio::storage::sqlite {

/// What a connection may do. `immutable` reads a file that nobody writes, from a folder that cannot be written either.
enum class Access { read_write, read_only, immutable };

/// One SQLite connection with its prepared statements. One thread at a time.
class Connection {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Connection>> open(const std::filesystem::path& path, Access access);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  [[nodiscard]] Result<std::int64_t> execute(std::string_view sql, Parameters parameters);
  Status query(std::string_view sql, Parameters parameters, const std::function<bool(const Row&)>& each);

  /// True outside a transaction; also after SQLite itself rolled one back.
  [[nodiscard]] bool is_idle() const noexcept;
  /// Whether a statement failed since clear_failure() in a way that makes the whole transaction worthless: disk full, I/O
  /// error, read-only, damaged. The detail is the failure's.
  [[nodiscard]] const std::optional<Error>& failure() const noexcept { return failure_; }
  void clear_failure() noexcept { failure_.reset(); }

  /// Frames in the write-ahead log after the last commit.
  [[nodiscard]] int log_frames() const noexcept { return log_frames_; }
  /// Copies the write-ahead log into the database as far as readers allow.
  Status checkpoint();

 private:
  struct Statement {
    std::string sql;
    sqlite3_stmt* handle = nullptr;
    bool in_use = false;
  };
  struct Shortcut {
    const char* text = nullptr;
    Statement* statement = nullptr;
  };
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>{}(text); }
  };
  class Use;

  explicit Connection(sqlite3* handle) : handle_(handle) {}
  [[nodiscard]] Statement* find_kept(std::string_view sql) noexcept;
  [[nodiscard]] Result<sqlite3_stmt*> prepare(std::string_view sql, bool keep);
  [[nodiscard]] Error error_of(int code);

  sqlite3* handle_;
  std::optional<Error> failure_;
  int log_frames_ = 0;
  std::unordered_map<std::string, std::unique_ptr<Statement>, TextHash, std::equal_to<>> statements_;
  std::array<Shortcut, 256> shortcuts_{};
};

/// Whether the text ends a statement, and not only a part of a trigger, string or comment.
[[nodiscard]] bool is_complete(const std::string& sql) noexcept;

}  // namespace intaglio::storage::sqlite
