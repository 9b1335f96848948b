#include "sam/sign/occurrences.h"

namespace intaglio::sam {
namespace {

std::string occurrence_id(const std::string& authorisation, std::size_t position) { return authorisation + ":" + std::to_string(position); }

}  // namespace

Result<FoundOccurrence> find_occurrence(const Core& core, storage::Reader& reader, const std::string& authorisation, std::size_t position) {
  struct Row {
    std::uint64_t version;
    Bytes sealed;
  };
  auto row = reader.query_one<Row>("SELECT version, record FROM occurrences WHERE authorisation = ?1 AND position = ?2",
                                   {std::string_view(authorisation), static_cast<std::int64_t>(position)}, [](const storage::Row& columns) {
                                     return Row{static_cast<std::uint64_t>(columns.integer(0)), columns.bytes(1)};
                                   });
  if (!row) return row.error();
  if (!*row) return Error{ErrorCode::not_found, "an occurrence is gone"};
  auto content = core.sealer->open_record("occurrences", as_bytes(occurrence_id(authorisation, position)), (*row)->version, (*row)->sealed);
  if (!content) return content.error();
  auto occurrence = parse_occurrence(content->reveal());
  if (!occurrence) return occurrence.error();
  return FoundOccurrence{(*row)->version, std::move(*occurrence)};
}

Status update_occurrence(const Core& core, storage::Transaction& transaction, const std::string& authorisation, std::size_t position,
                         std::uint64_t version, const Occurrence& occurrence) {
  auto sealed = core.sealer->seal("occurrences", as_bytes(occurrence_id(authorisation, position)), version + 1, encode(occurrence));
  if (!sealed) return sealed.error();
  auto changed =
      transaction.execute("UPDATE occurrences SET version = ?4, record = ?5 WHERE authorisation = ?1 AND position = ?2 AND version = ?3",
                          {std::string_view(authorisation), static_cast<std::int64_t>(position), static_cast<std::int64_t>(version),
                           static_cast<std::int64_t>(version + 1), ByteView(*sealed)});
  if (!changed) return changed.error();
  if (*changed != 1) return Error{ErrorCode::conflict, "an occurrence changed meanwhile"};
  return {};
}

}  // namespace intaglio::sam
