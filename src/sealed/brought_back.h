#pragma once

#include <string>
#include <vector>

#include "crypto/digest.h"
#include "sealed/sealer.h"
#include "storage/database.h"

namespace intaglio::sealed {

/// What a database that was brought back from a backup lacks, as far as the versions outside it know: which rows are older than they
/// were, and how many are gone. Rows that nobody changed since the backup are in neither.
struct Survey {
  struct Row {
    std::string_view table;
    std::string id;
    std::uint64_t version;  ///< that it has
    std::uint64_t reached;  ///< that it had
  };
  std::vector<Row> rows;        ///< all that there are, of all tables, by table and id
  std::size_t absent;           ///< records that are known and have no row
  crypto::Sha256Digest digest;  ///< over table, id and version of each row

  [[nodiscard]] std::vector<const Row*> behind() const;
};
/// `tables`: those of sealed::Table and its kind (id, version, record) whose rows are compared; names of static lifetime.
[[nodiscard]] Result<Survey> survey(storage::Reader& reader, const Versions& versions, std::span<const std::string_view> tables);

/// Each row that is behind becomes a later version than its record ever had, with the content of the backup; what has no row is given up
/// (Versions::give_up). What the contents may still be believed for is the caller's to decide, in the same transaction.
Status bring_forward(storage::Transaction& transaction, const Sealer& sealer, const Survey& survey);

/// Of a database that was brought forward already, by a process that ended before its versions were written: they learn what is there,
/// and what is gone is given up.
void tell_versions(storage::Transaction& transaction, const Sealer& sealer, const Survey& survey);

}  // namespace intaglio::sealed
