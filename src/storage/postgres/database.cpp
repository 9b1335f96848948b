#include "storage/group_writer.h"
#include "storage/migrations.h"
#include "storage/postgres/connection.h"
#include "storage/readers.h"

namespace intaglio::storage {

namespace {

Connect connect_to(const PostgresqlAddress& address, postgres::Role role) {
  return [address, role] { return postgres::Connection::open(address, role); };
}

class PostgresqlDatabase final : public Database {
 public:
  PostgresqlDatabase(const PostgresqlAddress& address, std::unique_ptr<Connection> connection)
      : writer_(address.name, connect_to(address, postgres::Role::owner), std::move(connection)),
        readers_(connect_to(address, postgres::Role::reader)) {}

  Status write(const std::function<Status(Transaction&)>& work) override { return writer_.write(work); }
  Status read(const std::function<Status(Reader&)>& work) override { return readers_.read(work); }
  void on_commit(std::function<Status()> hook) override { writer_.on_commit(std::move(hook)); }
  Status migrate(const std::vector<Migration>& migrations) override { return storage::migrate(*this, migrations, Dialect::postgresql); }

 private:
  GroupWriter writer_;
  Readers readers_;
};

}  // namespace

Result<std::unique_ptr<Database>> open_postgresql(const PostgresqlAddress& address) {
  auto connection = postgres::Connection::open(address, postgres::Role::owner);
  if (!connection) return connection.error();
  return std::unique_ptr<Database>(std::make_unique<PostgresqlDatabase>(address, std::move(*connection)));
}

}  // namespace intaglio::storage
