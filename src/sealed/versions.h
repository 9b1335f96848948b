#pragma once

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "storage/database.h"

namespace intaglio::sealed {

/// Which version each rollback-sensitive record has reached (TC-8): failure counters, one-time code steps, keys and their tombstones,
/// the policy. Kept in a file outside the database, on another disk, so that whoever owns the database can neither put an earlier row
/// back nor remove one, whether the SAM serves or not. The file is written after each commit that changed such a record and before
/// any caller of that commit is released; after a crash the database may be ahead of it, never behind. Only a restore that two persons
/// approved (`give_up`) lets a record begin anew.
class Versions {
 public:
  /// Authenticates an entry, so that a damaged one is not believed. 32 bytes.
  using Mac = std::function<Bytes(ByteView)>;

  /// An empty file for a new database, before anything is sealed. Refused (`storage_unavailable`) when there is one that has entries:
  /// its database was removed.
  [[nodiscard]] static Status make(const std::filesystem::path& path);
  /// `storage_unavailable` when the file is not there or is damaged other than at its end, where a crash may leave a torn write.
  /// Registers a commit hook of the database, which keeps it alive.
  [[nodiscard]] static Result<std::shared_ptr<Versions>> open(const std::filesystem::path& path, storage::Database& database, Mac mac);
  ~Versions();
  Versions(const Versions&) = delete;
  Versions& operator=(const Versions&) = delete;

  /// Of what a transaction finds; 0: there is no row. Refused (`storage_unavailable`) when the record has been of a later version.
  [[nodiscard]] Status check(std::string_view table, ByteView id, std::uint64_t version) const;
  /// The same, and a later version than is known, as another node wrote it, is remembered once the transaction is durable: it is not put
  /// back behind this node's back either.
  [[nodiscard]] Status meet(storage::Transaction& transaction, std::string_view table, ByteView id, std::uint64_t version);
  /// The record is of this version once the transaction is durable.
  void note(storage::Transaction& transaction, std::string_view table, ByteView id, std::uint64_t version);
  [[nodiscard]] std::size_t size() const;

  /// Which version a record is known to have reached; 0: it is not known.
  [[nodiscard]] std::uint64_t reached(std::string_view table, ByteView id) const;
  /// The version of a row that is made now: 1, or the one after the last of a record that was given up.
  [[nodiscard]] std::uint64_t first_version(std::string_view table, ByteView id) const;

  struct Record {
    std::string_view table;
    ByteView id;
  };
  /// How many records are known that are none of these, and were not given up.
  [[nodiscard]] std::size_t count_absent(std::span<const Record> present) const;
  /// In a restore: what is known and is none of these has no row any more. It may be made anew, with a later version than it ever had;
  /// no row of before counts again. In force at once for what the transaction does, for good once it is durable: who is refused the
  /// commit must not go on with this object.
  void give_up(storage::Transaction& transaction, std::span<const Record> present);

 private:
  using Name = std::array<std::uint8_t, 16>;
  struct Reached {
    std::uint64_t version = 0;
    bool given_up = false;  ///< its row was lost; a later version begins anew
    auto operator<=>(const Reached&) const = default;
  };
  struct Hash {
    /// A name is the output of a MAC: any part of it is as good as a hash.
    std::size_t operator()(const Name& name) const noexcept;
  };
  Versions(std::filesystem::path path, Mac mac) : path_(std::move(path)), mac_(std::move(mac)) {}
  [[nodiscard]] Name name_of(std::string_view table, ByteView id) const;
  [[nodiscard]] std::vector<Name> absent(std::span<const Record> present) const;  ///< with the lock held
  void append_entry(Bytes& out, const Name& name, const Reached& reached) const;
  Status load();
  Status rewrite();
  Status reopen();
  Status flush();

  const std::filesystem::path path_;
  const Mac mac_;
  int descriptor_ = -1;
  mutable std::mutex mutex_;
  std::unordered_map<Name, Reached, Hash> reached_;
  Bytes pending_;             ///< entries of commits that the file does not have yet
  std::uint64_t length_ = 0;  ///< of the file
};

}  // namespace intaglio::sealed
