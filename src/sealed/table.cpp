#include "sealed/table.h"

namespace intaglio::sealed {

Table::Table(std::shared_ptr<const Sealer> sealer, std::string_view name, Rollback rollback)
    : sealer_(std::move(sealer)),
      name_(name),
      rollback_(rollback),
      select_("SELECT version, record FROM " + std::string(name) + " WHERE id = ?1"),
      select_version_("SELECT version FROM " + std::string(name) + " WHERE id = ?1"),
      insert_("INSERT INTO " + std::string(name) + " (id, version, record) VALUES (?1, ?2, ?3)"),
      update_("UPDATE " + std::string(name) + " SET version = ?3, record = ?4 WHERE id = ?1 AND version = ?2") {}

Result<std::optional<Record>> Table::find_in_snapshot(storage::Reader& reader, std::string_view id) const {
  struct Row {
    std::int64_t version;
    Bytes sealed;
  };
  auto row = reader.query_one<Row>(select_, {id}, [](const storage::Row& found) { return Row{found.integer(0), found.bytes(1)}; });
  if (!row) return row.error();
  if (!*row) return std::optional<Record>();
  const auto version = static_cast<std::uint64_t>((*row)->version);
  auto content = sealer_->open_record(name_, as_bytes(id), version, (*row)->sealed);
  if (!content) return content.error();
  return std::optional<Record>(Record{version, std::move(*content)});
}

Result<std::optional<Record>> Table::find(storage::Transaction& transaction, std::string_view id) const {
  auto found = find_in_snapshot(transaction, id);
  if (!found) return found;
  if (auto latest = meet(transaction, id, *found ? (*found)->version : 0); !latest) return latest.error();
  return found;
}

Result<std::uint64_t> Table::latest_version(storage::Transaction& transaction, std::string_view id) const {
  auto found = transaction.query_one<std::int64_t>(select_version_, {id}, [](const storage::Row& row) { return row.integer(0); });
  if (!found) return found.error();
  const auto version = static_cast<std::uint64_t>(found->value_or(0));
  if (auto latest = meet(transaction, id, version); !latest) return latest.error();
  return version;
}

Status Table::meet(storage::Transaction& transaction, std::string_view id, std::uint64_t version) const {
  return rollback_ == Rollback::tolerated ? Status() : sealer_->versions().meet(transaction, name_, as_bytes(id), version);
}

Status Table::check_latest(std::string_view id, std::uint64_t version) const {
  return rollback_ == Rollback::tolerated ? Status() : sealer_->versions().check(name_, as_bytes(id), version);
}

Status Table::insert(storage::Transaction& transaction, std::string_view id, ByteView content) const {
  // A record that was removed behind our back does not begin anew; the same id twice is the statement's conflict.
  if (auto read = find(transaction, id); !read) return read.error();
  const auto first = rollback_ == Rollback::refused ? sealer_->versions().first_version(name_, as_bytes(id)) : 1;
  auto sealed = sealer_->seal(name_, as_bytes(id), first, content);
  if (!sealed) return sealed.error();
  auto changed = transaction.execute(insert_, {id, static_cast<std::int64_t>(first), ByteView(*sealed)});
  if (!changed) return changed.error();
  if (rollback_ == Rollback::refused) sealer_->versions().note(transaction, name_, as_bytes(id), first);
  return {};
}

Status Table::update(storage::Transaction& transaction, std::string_view id, std::uint64_t version, ByteView content) const {
  // Else an earlier row, updated often enough, would overtake the version that is remembered.
  if (auto latest = check_latest(id, version); !latest) return latest;
  auto sealed = sealer_->seal(name_, as_bytes(id), version + 1, content);
  if (!sealed) return sealed.error();
  auto changed =
      transaction.execute(update_, {id, static_cast<std::int64_t>(version), static_cast<std::int64_t>(version + 1), ByteView(*sealed)});
  if (!changed) return changed.error();
  if (*changed != 1) return Error{ErrorCode::conflict, "a record of " + std::string(name_) + " changed meanwhile"};
  if (rollback_ == Rollback::refused) sealer_->versions().note(transaction, name_, as_bytes(id), version + 1);
  return {};
}

}  // namespace intaglio::sealed
