#pragma once

#include <condition_variable>
#include <mutex>

#include "storage/sqlite/connection.h"

namespace intaglio::storage::sqlite {

/// A bounded pool of read-only connections; each read sees one snapshot.
class Readers {
 public:
  Readers(std::filesystem::path path, Access access) : path_(std::move(path)), access_(access) {}
  Status read(const std::function<Status(Reader&)>& work);

 private:
  [[nodiscard]] Result<std::unique_ptr<Connection>> borrow();
  void give_back(std::unique_ptr<Connection> connection);

  const std::filesystem::path path_;
  const Access access_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::size_t lent_ = 0;
};

}  // namespace intaglio::storage::sqlite
