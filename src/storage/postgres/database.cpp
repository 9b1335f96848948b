#include "storage/group_writer.h"
#include "storage/migrations.h"
#include "storage/node.h"
#include "storage/postgres/connection.h"
#include "storage/readers.h"

namespace intaglio::storage {

namespace {

Connect connect_to(const PostgresqlAddress& address, postgres::Role role, std::string_view node, std::chrono::milliseconds patience) {
  return [address, role, node = std::string(node), patience] { return postgres::Connection::open(address, role, node, patience); };
}

class PostgresqlDatabase final : public Database {
 public:
  PostgresqlDatabase(const PostgresqlAddress& address, std::string_view node, std::chrono::milliseconds patience,
                     std::unique_ptr<Connection> connection)
      : writer_(address.name, connect_to(address, postgres::Role::owner, node, patience), std::move(connection)),
        readers_(connect_to(address, postgres::Role::reader, node, patience)) {}

  Status write(const std::function<Status(Transaction&)>& work) override { return writer_.write(work); }
  Status read(const std::function<Status(Reader&)>& work) override { return readers_.read(work); }
  void on_commit(std::function<Status()> hook) override { writer_.on_commit(std::move(hook)); }
  Status migrate(const std::vector<Migration>& migrations) override { return storage::migrate(*this, migrations, Dialect::postgresql); }

 private:
  GroupWriter writer_;
  Readers readers_;
};

class ReadOnlyPostgresql final : public Database {
 public:
  ReadOnlyPostgresql(const PostgresqlAddress& address, std::string_view node)
      : readers_(connect_to(address, postgres::Role::reader, node, turn_patience)) {}

  Status write(const std::function<Status(Transaction&)>&) override { return refusal(); }
  Status read(const std::function<Status(Reader&)>& work) override { return readers_.read(work); }
  void on_commit(std::function<Status()>) override {}
  Status migrate(const std::vector<Migration>&) override { return refusal(); }

 private:
  static Error refusal() { return {ErrorCode::unsupported, "storage: the database is open for reading only"}; }
  Readers readers_;
};

}  // namespace

Result<std::unique_ptr<Database>> open_postgresql_node(const PostgresqlAddress& address, std::string_view node,
                                                       std::chrono::milliseconds patience) {
  auto connection = postgres::Connection::open(address, postgres::Role::owner, node, patience);
  if (!connection) return connection.error();
  return std::unique_ptr<Database>(std::make_unique<PostgresqlDatabase>(address, node, patience, std::move(*connection)));
}

Result<std::unique_ptr<Database>> open_postgresql(const PostgresqlAddress& address) { return open_postgresql_node(address, {}); }

std::unique_ptr<Database> open_postgresql_read_only(const PostgresqlAddress& address, std::string_view node) {
  return std::make_unique<ReadOnlyPostgresql>(address, node);
}

}  // namespace intaglio::storage
