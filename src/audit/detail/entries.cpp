#include "audit/detail/entries.h"

#include "base/check.h"

namespace intaglio::audit::detail {

namespace {

Hash as_hash(const Bytes& bytes) {
  Hash hash{};
  if (bytes.size() == hash.size()) std::copy(bytes.begin(), bytes.end(), hash.begin());
  return hash;
}

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

Entry entry_of(const storage::Row& row) {
  return {static_cast<std::uint64_t>(row.integer(0)), row.bytes(1), as_hash(row.bytes(2)), as_hash(row.bytes(3)), row.bytes(4)};
}

}  // namespace

const std::vector<storage::Migration>& entry_migrations() {
  static const std::vector<storage::Migration> migrations = {
      {1,
       "CREATE TABLE audit_entries ("
       "idx INTEGER PRIMARY KEY, event BLOB NOT NULL, leaf BLOB NOT NULL, running BLOB NOT NULL, mac BLOB NOT NULL "
       "DEFAULT x'');"
       "CREATE TRIGGER audit_entries_no_update BEFORE UPDATE ON audit_entries BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); "
       "END;"
       "CREATE TRIGGER audit_entries_no_delete BEFORE DELETE ON audit_entries BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); "
       "END;"
       "CREATE TABLE audit_tree (id INTEGER PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL);"
       "CREATE TRIGGER audit_tree_no_delete BEFORE DELETE ON audit_tree BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;",
       "CREATE TABLE audit_entries ("
       "idx INTEGER PRIMARY KEY, event BLOB NOT NULL, leaf BLOB NOT NULL, running BLOB NOT NULL, mac BLOB NOT NULL DEFAULT '');"
       "CREATE TABLE audit_tree (id INTEGER PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL);"
       "CREATE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
       "'BEGIN RAISE EXCEPTION ''the audit log is append-only''; END';"
       "CREATE TRIGGER audit_entries_no_change BEFORE UPDATE OR DELETE ON audit_entries "
       "FOR EACH ROW EXECUTE FUNCTION audit_append_only();"
       "CREATE TRIGGER audit_entries_no_truncate BEFORE TRUNCATE ON audit_entries EXECUTE FUNCTION audit_append_only();"
       "CREATE TRIGGER audit_tree_no_delete BEFORE DELETE ON audit_tree FOR EACH ROW EXECUTE FUNCTION audit_append_only();"},
      // Where several nodes share a database, each has a log of its own: the views show a session the rows of its node.
      {2, "",
       "ALTER TABLE audit_entries RENAME TO audit_node_entries;"
       "ALTER TABLE audit_node_entries ADD COLUMN node TEXT NOT NULL DEFAULT current_setting('intaglio.node');"
       "ALTER TABLE audit_node_entries DROP CONSTRAINT audit_entries_pkey;"
       "ALTER TABLE audit_node_entries ADD PRIMARY KEY (node, idx);"
       "CREATE VIEW audit_entries AS SELECT idx, event, leaf, running, mac FROM audit_node_entries "
       "WHERE node = current_setting('intaglio.node');"
       "ALTER TABLE audit_tree RENAME TO audit_node_tree;"
       "ALTER TABLE audit_node_tree ADD COLUMN node TEXT NOT NULL DEFAULT current_setting('intaglio.node');"
       "ALTER TABLE audit_node_tree DROP CONSTRAINT audit_tree_pkey;"
       "ALTER TABLE audit_node_tree ADD PRIMARY KEY (node, id);"
       "CREATE VIEW audit_tree AS SELECT id, size, root FROM audit_node_tree WHERE node = current_setting('intaglio.node');"},
  };
  return migrations;
}

Result<Head> read_head(storage::Reader& reader, const Head& empty) {
  Head head = empty;
  auto read = reader.query("SELECT idx, running FROM audit_entries ORDER BY idx DESC LIMIT 1", {}, [&](const storage::Row& row) {
    head = {static_cast<std::uint64_t>(row.integer(0)) + 1, as_hash(row.bytes(1))};
    return false;
  });
  if (!read) return read.error();
  return head;
}

Result<std::optional<Hash>> read_running(storage::Reader& reader, std::uint64_t size, const Head& empty) {
  if (size == 0) return std::optional(empty.running);
  std::optional<Hash> running;
  auto read = reader.query("SELECT running FROM audit_entries WHERE idx = ?1", {number(size - 1)}, [&](const storage::Row& row) {
    running = as_hash(row.bytes(0));
    return false;
  });
  if (!read) return read.error();
  return running;
}

Result<std::optional<Entry>> read_entry(storage::Reader& reader, std::uint64_t index) {
  std::optional<Entry> entry;
  auto read = reader.query("SELECT idx, event, leaf, running, mac FROM audit_entries WHERE idx = ?1", {number(index)},
                           [&](const storage::Row& row) {
                             entry = entry_of(row);
                             return false;
                           });
  if (!read) return read.error();
  return entry;
}

Status insert_entry(storage::Transaction& transaction, const Entry& entry) {
  auto done =
      transaction.execute("INSERT INTO audit_entries (idx, event, leaf, running, mac) VALUES (?1, ?2, ?3, ?4, ?5)",
                          {number(entry.index), ByteView(entry.event), ByteView(entry.leaf), ByteView(entry.running), ByteView(entry.mac)});
  if (!done) return done.error();
  return {};
}

Status each_entry(storage::Reader& reader, std::uint64_t begin, std::uint64_t end, const std::function<bool(Entry)>& each) {
  return reader.query("SELECT idx, event, leaf, running, mac FROM audit_entries WHERE idx >= ?1 AND idx < ?2 ORDER BY idx",
                      {number(begin), number(end)}, [&](const storage::Row& row) { return each(entry_of(row)); });
}

Status verify_link(const Entry& entry, const Head& before) {
  const auto refused = [&](const char* why) {
    return Error{ErrorCode::audit_unavailable, "entry " + std::to_string(entry.index) + ' ' + why};
  };
  // Behind a gap the chain would break too; this names the entry.
  if (entry.index != before.size) return Error{ErrorCode::audit_unavailable, "entry " + std::to_string(before.size) + " is missing"};
  if (refused_by("audit.entry_edited", hash_of_leaf(entry.event) != entry.leaf)) return refused("was edited: its hash differs");
  if (refused_by("audit.chain_broken", next_running(before.running, entry.leaf) != entry.running))
    return refused("does not continue the chain");
  return {};
}

Result<TreeMark> read_tree_mark(storage::Reader& reader) {
  TreeMark mark{0, root_of({})};
  auto read = reader.query("SELECT size, root FROM audit_tree WHERE id = 1", {}, [&](const storage::Row& row) {
    mark = {static_cast<std::uint64_t>(row.integer(0)), as_hash(row.bytes(1))};
    return false;
  });
  if (!read) return read.error();
  return mark;
}

Status write_tree_mark(storage::Transaction& transaction, const TreeMark& mark) {
  // No INSERT that updates: a view of one node's rows has no key of its own to conflict with.
  auto changed = transaction.execute("UPDATE audit_tree SET size = ?1, root = ?2 WHERE id = 1", {number(mark.size), ByteView(mark.root)});
  if (!changed) return changed.error();
  if (*changed != 0) return {};
  auto done = transaction.execute("INSERT INTO audit_tree (id, size, root) VALUES (1, ?1, ?2)", {number(mark.size), ByteView(mark.root)});
  if (!done) return done.error();
  return {};
}

}  // namespace intaglio::audit::detail
