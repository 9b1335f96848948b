#include "sam/restore/restored.h"

#include "base/fields.h"

namespace intaglio::sam {
namespace {

constexpr std::string_view form = "restored/1";

}  // namespace

bool Restored::may_be_of_before(UnixTime issued, std::chrono::seconds tolerance) const noexcept {
  return epochs != 0 && issued <= at + tolerance;
}

Result<Restored> load_restored(const sealed::Table& state, storage::Transaction& transaction) {
  auto found = state.find(transaction, restored_record);
  if (!found) return found.error();
  if (!*found) return Restored{};
  return parse_restored((*found)->content.reveal());
}

Bytes encode(const Restored& restored) {
  Bytes out;
  append_field(out, form);
  append_field(out, restored.epochs);
  append_field(out, static_cast<std::uint64_t>(unix_seconds(restored.at)));
  append_field(out, restored.statement);
  append_field(out, restored.anchored);
  append_field(out, restored.anchored_running);
  return out;
}

Result<Restored> parse_restored(ByteView encoded) {
  Fields in(encoded);
  in.expect(form);
  Restored restored;
  restored.epochs = in.number();
  restored.at = from_unix_seconds(in.seconds());
  restored.statement = in.bytes(32);
  restored.anchored = in.number();
  restored.anchored_running = in.bytes(32);
  if (!in.finished()) return Error{ErrorCode::storage_unavailable, "the record of a restore is malformed"};
  return restored;
}

}  // namespace intaglio::sam
