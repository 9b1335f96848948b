#include "sealed/versions.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <unordered_set>

#include "base/check.h"
#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"

namespace intaglio::sealed {
namespace {

constexpr std::string_view magic = "intaglio-versns1";
constexpr std::size_t name_size = 16, version_size = 8, mac_size = 16;
constexpr std::size_t entry_size = name_size + version_size + mac_size;
/// One flush writes less than this; a crash tears no more of the file's end.
constexpr std::size_t max_torn = std::size_t{1} << 16U;
constexpr std::size_t max_file = std::size_t{1} << 33U;
/// Beyond twice what is needed and this many entries the file is written anew.
constexpr std::size_t spare_entries = 65536;

Error failed(std::string_view what, const std::filesystem::path& path) {
  return {ErrorCode::storage_unavailable, "sealed: cannot " + std::string(what) + ' ' + path.string() + ": " + std::strerror(errno)};
}

/// The highest bit of an entry's version says that the record was given up.
constexpr std::uint64_t given_up_bit = std::uint64_t{1} << 63U;

std::uint64_t marked_version_of(ByteView entry) {
  std::uint64_t version = 0;
  for (std::size_t at = 0; at < version_size; ++at) version = version << 8U | entry[name_size + at];
  return version;
}

}  // namespace

std::size_t Versions::Hash::operator()(const Name& name) const noexcept {
  std::size_t hash = 0;
  std::memcpy(&hash, name.data(), sizeof hash);
  return hash;
}

Status Versions::make(const std::filesystem::path& path) {
  auto content = read_file(path, magic.size());
  if (content && as_text(*content) == magic) return {};
  const bool absent = !content && content.error().code == ErrorCode::not_found;
  if (refused_by("sealed.versions-fresh", !absent)) {
    return Error{ErrorCode::storage_unavailable, "sealed: the database has no records, but " + path.string() +
                                                     " knows some: bring the database back, or move both away to begin anew"};
  }
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  return write_file_durably(path, to_bytes(magic), 0600);
}

Result<std::shared_ptr<Versions>> Versions::open(const std::filesystem::path& path, storage::Database& database, Mac mac) {
  std::shared_ptr<Versions> versions(new Versions(path, std::move(mac)));
  if (auto loaded = versions->load(); !loaded) return loaded.error();
  database.on_commit([versions] { return versions->flush(); });
  return versions;
}

Versions::~Versions() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Versions::Name Versions::name_of(std::string_view table, ByteView id) const {
  Bytes message;
  append_field(message, std::string_view("record"));
  append_field(message, table);
  append_field(message, id);
  const auto digest = mac_(message);
  Name name{};
  std::copy_n(digest.begin(), name.size(), name.begin());
  return name;
}

void Versions::append_entry(Bytes& out, const Name& name, const Reached& reached) const {
  const auto version = reached.version | (reached.given_up ? given_up_bit : 0);
  Bytes content(name.begin(), name.end());
  for (unsigned shift = 64; shift > 0; shift -= 8) content.push_back(static_cast<std::uint8_t>(version >> (shift - 8)));
  Bytes message;
  append_field(message, std::string_view("entry"));
  append_field(message, content);
  const auto digest = mac_(message);
  append(out, content);
  append(out, ByteView(digest).first(mac_size));
}

Status Versions::load() {
  auto content = read_file(path_, max_file);
  if (!content) {
    return Error{ErrorCode::storage_unavailable, "sealed: the versions of the database's records, " + path_.string() +
                                                     ", cannot be read (" + content.error().detail +
                                                     "); bring that file back from where it was, the database alone cannot be believed; "
                                                     "a further node is made with --join"};
  }
  const Error damaged{ErrorCode::storage_unavailable,
                      "sealed: " + path_.string() + " is damaged; bring it back from a copy that is as new as the database"};
  if (content->size() < magic.size() || as_text(ByteView(*content).first(magic.size())) != magic) return damaged;
  std::size_t good = magic.size();
  for (; good + entry_size <= content->size(); good += entry_size) {
    const auto entry = ByteView(*content).subspan(good, entry_size);
    Name name{};
    std::copy_n(entry.begin(), name.size(), name.begin());
    const auto marked = marked_version_of(entry);
    const Reached told{marked & ~given_up_bit, (marked & given_up_bit) != 0};
    Bytes expected;
    append_entry(expected, name, told);
    if (refused_by("sealed.versions-entry", !same_secret(expected, entry))) break;
    auto& reached = reached_[name];
    reached = std::max(reached, told);
  }
  if (refused_by("sealed.versions-damaged", content->size() - good > max_torn)) return damaged;
  if (good != content->size())
    log::warn("sealed.versions_torn", {{"path", path_.string()}, {"octets", std::to_string(content->size() - good)}});
  length_ = content->size();
  // What is torn must not stand before what is written from now on.
  return good == content->size() ? reopen() : rewrite();
}

/// All or nothing: each record once, in a new file.
Status Versions::rewrite() {
  Bytes content = to_bytes(magic);
  content.reserve(magic.size() + reached_.size() * entry_size);
  for (const auto& [name, reached] : reached_) append_entry(content, name, reached);
  if (auto written = write_file_durably(path_, content, 0600); !written) return written;
  length_ = content.size();
  return reopen();
}

Status Versions::reopen() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor_ < 0) return failed("open", path_);
  return {};
}

Status Versions::check(std::string_view table, ByteView id, std::uint64_t version) const {
  const auto name = name_of(table, id);
  const std::lock_guard lock(mutex_);
  const auto found = reached_.find(name);
  if (found == reached_.end()) return {};
  const auto& reached = found->second;
  const auto refused = [&] {
    return Error{ErrorCode::storage_unavailable, "sealed record refused: table " + std::string(table) + ": " +
                                                     (version == 0 ? "removed" : "put back to version " + std::to_string(version)) +
                                                     ", it has been of version " + std::to_string(reached.version)};
  };
  if (reached.given_up) {
    if (refused_by("sealed.versions-given-up", version != 0 && version <= reached.version)) return refused();
    return {};
  }
  if (refused_by("sealed.versions-rollback", version < reached.version)) return refused();
  return {};
}

std::uint64_t Versions::reached(std::string_view table, ByteView id) const {
  const auto name = name_of(table, id);
  const std::lock_guard lock(mutex_);
  const auto found = reached_.find(name);
  return found == reached_.end() ? 0 : found->second.version;
}

std::uint64_t Versions::first_version(std::string_view table, ByteView id) const { return reached(table, id) + 1; }

std::vector<Versions::Name> Versions::absent(std::span<const Record> present) const {
  std::unordered_set<Name, Hash> there;
  for (const auto& record : present) there.insert(name_of(record.table, record.id));
  std::vector<Name> names;
  for (const auto& [name, reached] : reached_) {
    if (!reached.given_up && !there.contains(name)) names.push_back(name);
  }
  return names;
}

std::size_t Versions::count_absent(std::span<const Record> present) const {
  const std::lock_guard lock(mutex_);
  return absent(present).size();
}

void Versions::give_up(storage::Transaction& transaction, std::span<const Record> present) {
  const std::lock_guard lock(mutex_);
  auto lost = absent(present);
  for (const auto& name : lost) reached_[name].given_up = true;
  transaction.after_commit([this, names = std::move(lost)] {
    const std::lock_guard writing(mutex_);
    for (const auto& name : names) append_entry(pending_, name, {reached_[name].version, true});
  });
}

Status Versions::meet(storage::Transaction& transaction, std::string_view table, ByteView id, std::uint64_t version) {
  if (auto latest = check(table, id, version); !latest) return latest;
  const bool later = [&] {
    const auto name = name_of(table, id);
    const std::lock_guard lock(mutex_);
    const auto found = reached_.find(name);
    return version > (found == reached_.end() ? 0 : found->second.version);
  }();
  if (later) note(transaction, table, id, version);
  return {};
}

void Versions::note(storage::Transaction& transaction, std::string_view table, ByteView id, std::uint64_t version) {
  transaction.after_commit([this, name = name_of(table, id), version] {
    const std::lock_guard lock(mutex_);
    auto& reached = reached_[name];
    reached = std::max(reached, Reached{version});
    append_entry(pending_, name, Reached{version});
  });
}

std::size_t Versions::size() const {
  const std::lock_guard lock(mutex_);
  return reached_.size();
}

Status Versions::flush() {
  const std::lock_guard lock(mutex_);
  if (pending_.empty()) return {};
  fault_point("sealed.before_versions");
  const auto needed = magic.size() + entry_size * (2 * reached_.size() + spare_entries);
  if (descriptor_ < 0 || length_ > needed) {
    if (auto rewritten = rewrite(); !rewritten) return rewritten;
  } else {
    const auto written = ::write(descriptor_, pending_.data(), pending_.size());
    if (written != static_cast<ssize_t>(pending_.size()) || ::fdatasync(descriptor_) != 0) {
      const auto error = failed("write", path_);
      // Part of an entry may stand there: the next flush writes the file anew.
      ::close(descriptor_);
      descriptor_ = -1;
      return error;
    }
    length_ += pending_.size();
  }
  pending_.clear();
  return {};
}

}  // namespace intaglio::sealed
