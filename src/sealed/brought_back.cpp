#include "sealed/brought_back.h"

namespace intaglio::sealed {

std::vector<const Survey::Row*> Survey::behind() const {
  std::vector<const Row*> found;
  for (const auto& row : rows) {
    if (row.version < row.reached) found.push_back(&row);
  }
  return found;
}

namespace {

std::vector<Versions::Record> records_of(const Survey& survey) {
  std::vector<Versions::Record> records;
  records.reserve(survey.rows.size());
  for (const auto& row : survey.rows) records.push_back({row.table, as_bytes(row.id)});
  return records;
}

}  // namespace

Result<Survey> survey(storage::Reader& reader, const Versions& versions, std::span<const std::string_view> tables) {
  Survey found{.rows = {}, .absent = 0, .digest = {}};
  Bytes listed;
  for (const auto table : tables) {
    auto read = reader.query("SELECT id, version FROM " + std::string(table) + " ORDER BY id", {}, [&](const storage::Row& row) {
      auto id = row.text(0);
      const auto reached = versions.reached(table, as_bytes(id));
      found.rows.push_back({table, std::move(id), static_cast<std::uint64_t>(row.integer(1)), reached});
      return true;
    });
    if (!read) return read.error();
  }
  for (const auto& row : found.rows) {
    append_field(listed, row.table);
    append_field(listed, row.id);
    append_field(listed, row.version);
  }
  found.digest = crypto::sha256(listed);
  found.absent = versions.count_absent(records_of(found));
  return found;
}

Status bring_forward(storage::Transaction& transaction, const Sealer& sealer, const Survey& survey) {
  for (const auto* row : survey.behind()) {
    const auto id = as_bytes(row->id);
    auto found = transaction.query_one<Bytes>("SELECT record FROM " + std::string(row->table) + " WHERE id = ?1",
                                              {std::string_view(row->id)}, [](const storage::Row& one) { return one.bytes(0); });
    if (!found) return found.error();
    if (!*found) return Error{ErrorCode::conflict, "a record of " + std::string(row->table) + " went meanwhile"};
    // Only what this SAM sealed, for this place, is brought forward.
    auto content = sealer.open_record(row->table, id, row->version, **found);
    if (!content) return content.error();
    const auto next = row->reached + 1;
    auto sealed = sealer.seal(row->table, id, next, content->reveal());
    if (!sealed) return sealed.error();
    auto changed = transaction.execute(
        "UPDATE " + std::string(row->table) + " SET version = ?3, record = ?4 WHERE id = ?1 AND version = ?2",
        {std::string_view(row->id), static_cast<std::int64_t>(row->version), static_cast<std::int64_t>(next), ByteView(*sealed)});
    if (!changed) return changed.error();
    if (*changed != 1) return Error{ErrorCode::conflict, "a record of " + std::string(row->table) + " changed meanwhile"};
    sealer.versions().note(transaction, row->table, id, next);
  }
  sealer.versions().give_up(transaction, records_of(survey));
  return {};
}

void tell_versions(storage::Transaction& transaction, const Sealer& sealer, const Survey& survey) {
  for (const auto& row : survey.rows) {
    if (row.version > row.reached) sealer.versions().note(transaction, row.table, as_bytes(row.id), row.version);
  }
  sealer.versions().give_up(transaction, records_of(survey));
}

}  // namespace intaglio::sealed
