#include "audit/detail/anchor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "audit/detail/tiles.h"
#include "base/check.h"
#include "base/file.h"

namespace intaglio::audit::detail {

namespace {

constexpr std::string_view magic = "intaglio-anchor1";
constexpr std::size_t record_size = 16 + 8 + 32 + 32;
/// A block each, so that no write touches both.
constexpr std::size_t place_size = 4096;

Error failed(const char* what, const std::filesystem::path& path) {
  return {ErrorCode::audit_unavailable, std::string("audit: ") + what + ' ' + path.string() + ": " + std::strerror(errno)};
}

Bytes encode(const Head& head) {
  Bytes record = to_bytes(magic);
  for (unsigned shift = 64; shift > 0; shift -= 8) record.push_back(static_cast<std::uint8_t>(head.size >> (shift - 8)));
  append(record, head.running);
  append(record, crypto::sha256(record));
  return record;
}

std::optional<Head> parse(ByteView record) {
  if (record.size() < record_size || as_text(record.first(magic.size())) != magic) return std::nullopt;
  const auto check = crypto::sha256(record.first(record_size - 32));
  if (!std::equal(check.begin(), check.end(), record.begin() + (record_size - 32))) return std::nullopt;
  Head head{0, {}};
  for (std::size_t at = 0; at < 8; ++at) head.size = head.size << 8U | record[magic.size() + at];
  std::copy_n(record.begin() + static_cast<std::ptrdiff_t>(magic.size() + 8), head.running.size(), head.running.begin());
  return head;
}

struct Found {
  Head head;
  unsigned place;
};

std::optional<Found> find_newest(ByteView content) {
  std::optional<Found> newest;
  for (const unsigned place : {0U, 1U}) {
    if (content.size() < place * place_size + record_size) continue;
    const auto head = parse(content.subspan(place * place_size, record_size));
    if (head && (!newest || head->size > newest->head.size)) newest = Found{*head, place};
  }
  return newest;
}

}  // namespace

Hash next_running(const Hash& running, const Hash& leaf) {
  std::array<std::uint8_t, 64> input{};
  std::copy(running.begin(), running.end(), input.begin());
  std::copy(leaf.begin(), leaf.end(), input.begin() + 32);
  return crypto::sha256(input);
}

Head empty_head(std::string_view origin) { return {0, crypto::sha256(as_bytes(origin))}; }

Result<std::unique_ptr<Anchor>> Anchor::open(const std::filesystem::path& path, const std::optional<Head>& first) {
  auto content = read_file(path, 2 * place_size);
  if (!content && content.error().code == ErrorCode::not_found && first) {
    Bytes fresh = encode(*first);
    fresh.resize(2 * place_size);
    if (auto made = make_folder_durably(path.parent_path()); !made) return made.error();
    if (auto written = write_file_durably(path, fresh, 0600); !written) return written.error();
    content = std::move(fresh);
  }
  if (!content)
    return Error{ErrorCode::audit_unavailable, "audit: the anchor " + path.string() + " is not there: " + content.error().detail};
  const auto found = find_newest(*content);
  if (!found) return Error{ErrorCode::audit_unavailable, "audit: the anchor " + path.string() + " is damaged"};
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor < 0) return failed("cannot open", path);
  return std::unique_ptr<Anchor>(new Anchor(descriptor, found->head, found->place));
}

Anchor::~Anchor() { ::close(descriptor_); }

Head Anchor::head() const {
  const std::lock_guard lock(mutex_);
  return head_;
}

Status Anchor::store(const Head& head) {
  const std::lock_guard lock(mutex_);
  if (head.size <= head_.size) return {};
  const unsigned place = 1 - place_;
  const auto record = encode(head);
  const auto written = ::pwrite(descriptor_, record.data(), record.size(), static_cast<off_t>(place * place_size));
  if (written != static_cast<ssize_t>(record.size()) || ::fdatasync(descriptor_) != 0) return failed("cannot write", "the anchor");
  head_ = head;
  place_ = place;
  return {};
}

Result<Head> Anchor::read(const std::filesystem::path& path) {
  auto content = read_file(path, 2 * place_size);
  if (!content) return content.error();
  const auto found = find_newest(*content);
  if (!found) return Error{ErrorCode::audit_unavailable, "audit: the anchor " + path.string() + " is damaged"};
  return found->head;
}

}  // namespace intaglio::audit::detail
