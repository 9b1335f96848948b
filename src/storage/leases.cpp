#include "storage/leases.h"

#include "base/check.h"

namespace intaglio::storage {

const std::vector<Migration>& Leases::migrations() {
  static const std::vector<Migration> series{{1, R"sql(
CREATE TABLE storage_leases (
  name TEXT PRIMARY KEY,
  node TEXT NOT NULL,
  ends INTEGER NOT NULL
);
CREATE INDEX storage_leases_by_end ON storage_leases (ends);
)sql"}};
  return series;
}

Result<bool> Leases::take(std::string_view name, std::chrono::seconds length) {
  bool mine = false;
  const auto done = database_->write([&](Transaction& transaction) -> Status {
    mine = false;
    const auto now = clock_->now();
    auto ended = transaction.execute("DELETE FROM storage_leases WHERE ends <= ?1", {unix_seconds(now)});
    if (!ended) return ended.error();
    const auto holder = transaction.query_one<std::string>("SELECT node FROM storage_leases WHERE name = ?1", {name},
                                                           [](const Row& row) { return row.text(0); });
    if (!holder) return holder.error();
    if (refused_by("storage.lease", *holder && **holder != node_)) return {};
    auto taken = transaction.execute(
        "INSERT INTO storage_leases (name, node, ends) VALUES (?1, ?2, ?3) ON CONFLICT (name) DO UPDATE SET node = ?2, ends = ?3",
        {name, std::string_view(node_), unix_seconds(now + length)});
    if (!taken) return taken.error();
    mine = true;
    return {};
  });
  if (!done) return done.error();
  return mine;
}

Status Leases::give_back(std::string_view name) {
  return database_->write([&](Transaction& transaction) -> Status {
    auto given = transaction.execute("DELETE FROM storage_leases WHERE name = ?1 AND node = ?2", {name, std::string_view(node_)});
    return given ? Status() : Status(given.error());
  });
}

}  // namespace intaglio::storage
