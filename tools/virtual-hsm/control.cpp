#include "control.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>

namespace intaglio::virtual_hsm {
namespace {

constexpr std::size_t max_file = 65537;

class Descriptor {
 public:
  explicit Descriptor(const std::string& file) : value_(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  [[nodiscard]] int get() const noexcept { return value_; }

 private:
  int value_;
};

}  // namespace

Control::Identity Control::identity_of(const struct stat& status) noexcept {
  return {status.st_ino, status.st_size, std::int64_t{status.st_ctim.tv_sec} * 1'000'000'000 + status.st_ctim.tv_nsec};
}

std::shared_ptr<Standing> Control::standing() {
  const std::lock_guard lock(mutex_);
  struct stat status {};
  const auto now = ::lstat(file_.c_str(), &status) == 0 ? identity_of(status) : Identity{};
  if (seen_ == now) return standing_;
  seen_ = now;
  standing_ = std::make_shared<Standing>(read());
  return standing_;
}

std::optional<Plan> Control::read() {
  const auto refused = [&](std::string_view reason) {
    journal_.note(std::string("plan refused: ").append(reason));
    return std::nullopt;
  };
  const Descriptor file(file_);
  struct stat status {};
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) return refused("the file cannot be opened");
  if (!S_ISREG(status.st_mode) || (status.st_mode & 07777) != 0600 || status.st_uid != ::geteuid())
    return refused("no regular file of this user with mode 0600");
  std::string text;
  std::array<char, 4096> piece;
  for (;;) {
    const auto got = ::read(file.get(), piece.data(), piece.size());
    if (got < 0) return refused("the file cannot be read");
    if (got == 0) break;
    text.append(piece.data(), static_cast<std::size_t>(got));
    if (text.size() > max_file) break;
  }
  auto parsed = parse_plan(text);
  if (const auto* error = std::get_if<PlanError>(&parsed)) return refused("line " + std::to_string(error->line) + ": " + error->reason);
  auto plan = std::get<Plan>(std::move(parsed));
  const auto& condition = plan.condition;
  const int conditions =
      (condition.absent ? 1 : 0) + (condition.pin_locked ? 1 : 0) + (condition.tampered ? 1 : 0) + (condition.zeroised ? 1 : 0);
  journal_.note("plan " + std::to_string(plan.rules.size()) + " rules " + std::to_string(conditions) + " conditions");
  return plan;
}

}  // namespace intaglio::virtual_hsm
