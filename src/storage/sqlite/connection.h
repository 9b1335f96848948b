#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "storage/connection.h"

struct sqlite3;
struct sqlite3_stmt;

namespace intaglio::storage::sqlite {

/// What a connection may do. `immutable` reads a file that nobody writes, from a folder that cannot be written either.
enum class Access { read_write, read_only, immutable };

/// One SQLite connection with its prepared statements. One thread at a time.
class Connection final : public storage::Connection {
 public:
  [[nodiscard]] static Result<std::unique_ptr<storage::Connection>> open(const std::filesystem::path& path, Access access);
  ~Connection() override;

  [[nodiscard]] Result<std::int64_t> execute(std::string_view sql, Parameters parameters) override;
  Status query(std::string_view sql, Parameters parameters, const std::function<bool(const Row&)>& each) override;
  [[nodiscard]] Status begin() override;
  [[nodiscard]] Status begin_snapshot() override;
  [[nodiscard]] Status commit() override;
  [[nodiscard]] Status roll_back() override;
  [[nodiscard]] bool is_idle() const noexcept override;
  /// Never: a failed statement of SQLite's is undone by itself.
  [[nodiscard]] bool is_aborted() const noexcept override { return false; }
  [[nodiscard]] const std::optional<Error>& failure() const noexcept override { return failure_; }
  void clear_failure() noexcept override { failure_.reset(); }
  /// The write-ahead log is long enough to be copied into the database, as far as readers allow.
  [[nodiscard]] bool upkeep_due() override;
  void upkeep() override;

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

  explicit Connection(sqlite3* handle);
  [[nodiscard]] Statement* find_kept(std::string_view sql) noexcept;
  [[nodiscard]] Result<sqlite3_stmt*> prepare(std::string_view sql, bool keep);
  [[nodiscard]] Error error_of(int code);
  [[nodiscard]] Status run(std::string_view sql);
  Status checkpoint();

  sqlite3* handle_;
  std::optional<Error> failure_;
  int log_frames_ = 0;  ///< in the write-ahead log after the last commit
  int last_frames_ = 0;
  int checkpoint_at_;
  std::unordered_map<std::string, std::unique_ptr<Statement>, TextHash, std::equal_to<>> statements_;
  std::array<Shortcut, 256> shortcuts_{};
};

/// Whether the text ends a statement, and not only a part of a trigger, string or comment.
[[nodiscard]] bool is_complete(const std::string& sql) noexcept;

}  // namespace intaglio::storage::sqlite
