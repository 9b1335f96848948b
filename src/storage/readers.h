#pragma once

#include <condition_variable>
#include <mutex>

#include "storage/connection.h"

namespace intaglio::storage {

/// A bounded pool of read-only connections; each read sees one snapshot.
class Readers {
 public:
  explicit Readers(Connect connect) : connect_(std::move(connect)) {}
  Status read(const std::function<Status(Reader&)>& work);

 private:
  [[nodiscard]] Result<std::unique_ptr<Connection>> borrow();
  void give_back(std::unique_ptr<Connection> connection);

  const Connect connect_;
  std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Connection>> idle_;
  std::size_t lent_ = 0;
};

}  // namespace intaglio::storage
