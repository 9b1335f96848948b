#include "storage/readers.h"

namespace intaglio::storage {

namespace {

constexpr std::size_t max_readers = 32;
/// A read within a read may need a second one: where all wait for each other, some give up.
constexpr std::chrono::seconds patience{5};

class SnapshotReader final : public Reader {
 public:
  explicit SnapshotReader(Connection& connection) : connection_(connection) {}
  Status query(std::string_view sql, Parameters parameters, const std::function<bool(const Row&)>& each) override {
    return connection_.query(sql, parameters, each);
  }

 private:
  Connection& connection_;
};

Status read_begun(Connection& connection, const std::function<Status(Reader&)>& work) {
  SnapshotReader reader(connection);
  Status status;
  try {
    status = work(reader);
  } catch (const std::exception& exception) {
    status = Error{ErrorCode::internal, std::string("storage: an exception left a reader: ") + exception.what()};
  }
  if (auto ended = connection.roll_back(); !ended && status) return ended.error();
  return status;
}

}  // namespace

Status Readers::read(const std::function<Status(Reader&)>& work) {
  auto connection = borrow();
  if (!connection && connection.error().code == ErrorCode::busy) return connection.error();
  if (connection) {
    // One that was lost while nobody used it is made anew.
    if (auto begun = (*connection)->begin_snapshot(); !begun) {
      connection = connect_();
      if (connection) begun = (*connection)->begin_snapshot();
      if (connection && !begun) connection = begun.error();
    }
  }
  if (!connection) {
    give_back(nullptr);
    return connection.error();
  }
  auto status = read_begun(**connection, work);
  const bool usable = !(*connection)->failure() && (*connection)->is_idle();
  give_back(usable ? std::move(*connection) : nullptr);
  return status;
}

Result<std::unique_ptr<Connection>> Readers::borrow() {
  {
    std::unique_lock lock(mutex_);
    if (!returned_.wait_for(lock, patience, [this] { return lent_ < max_readers; }))
      return Error{ErrorCode::busy, "storage: too many readers at work"};
    ++lent_;
    if (!idle_.empty()) {
      auto connection = std::move(idle_.back());
      idle_.pop_back();
      return connection;
    }
  }
  return connect_();
}

void Readers::give_back(std::unique_ptr<Connection> connection) {
  {
    const std::lock_guard lock(mutex_);
    --lent_;
    if (connection) idle_.push_back(std::move(connection));
  }
  returned_.notify_one();
}

}  // namespace intaglio::storage
