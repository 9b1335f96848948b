#include "run_folder.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "base/bytes.h"
#include "base/file.h"
#include "json/json.h"

namespace intaglio::up {
namespace {

constexpr int layout_version = 1;
constexpr std::string_view state_file = "up.json";
constexpr std::array<std::string_view, 12> folders{"tokens", "secrets", "tls",    "config",  "sam",       "sam/anchor",
                                                   "ssa",    "pki",     "pki/ca", "clients", "operators", "logs"};
constexpr Ports usual{.sam = 8447,
                      .ssa_public = 8443,
                      .ssa_registration = 8444,
                      .pki_internal = 8445,
                      .pki_public = 8446,
                      .sam_management = 8448,
                      .ssa_pages = 8449,
                      .application = 8450};

/// A bound socket on the loopback address holds its port until it ends, so that no port is chosen twice.
class HeldPort {
 public:
  explicit HeldPort(std::uint16_t wanted) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(wanted);
    const int reuse = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
    socklen_t length = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (socket_ >= 0 && ::bind(socket_, plain, length) == 0 && ::getsockname(socket_, plain, &length) == 0)
      number_ = ntohs(address.sin_port);
  }
  ~HeldPort() { ::close(socket_); }
  HeldPort(const HeldPort&) = delete;
  HeldPort& operator=(const HeldPort&) = delete;
  [[nodiscard]] std::uint16_t number() const noexcept { return number_; }  ///< 0 when it is taken

 private:
  int socket_;
  std::uint16_t number_ = 0;
};

Result<Ports> hold(const Ports& wanted) {
  const HeldPort sam(wanted.sam), ssa_public(wanted.ssa_public), ssa_registration(wanted.ssa_registration);
  const HeldPort pki_internal(wanted.pki_internal), pki_public(wanted.pki_public), sam_management(wanted.sam_management);
  const HeldPort ssa_pages(wanted.ssa_pages), application(wanted.application);
  const Ports held{sam.number(),        ssa_public.number(),     ssa_registration.number(), pki_internal.number(),
                   pki_public.number(), sam_management.number(), ssa_pages.number(),        application.number()};
  if (held.sam == 0 || held.ssa_public == 0 || held.ssa_registration == 0 || held.pki_internal == 0 || held.pki_public == 0 ||
      held.sam_management == 0 || held.ssa_pages == 0 || held.application == 0) {
    return Error{ErrorCode::configuration, "a port is taken"};
  }
  return held;
}

}  // namespace

RunFolder::RunFolder(const std::filesystem::path& root) : root_(std::filesystem::absolute(root).lexically_normal()) {}

RunFolder::~RunFolder() {
  if (lock_ >= 0) ::close(lock_);
}

Status RunFolder::lock() {
  std::error_code error;
  std::filesystem::create_directories(root_, error);
  lock_ = ::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0) return Error{ErrorCode::configuration, "cannot open the folder " + root_.string()};
  if (::flock(lock_, LOCK_EX | LOCK_NB) != 0) return Error{ErrorCode::conflict, "another intaglio-up uses " + root_.string()};
  return {};
}

Result<std::optional<Ports>> RunFolder::prepared() const {
  if (!std::filesystem::exists(at(state_file))) {
    std::error_code error;
    const bool empty = std::filesystem::is_empty(root_, error);
    if (!empty && !std::filesystem::exists(at("secrets"))) {
      return Error{ErrorCode::configuration, root_.string() + " holds files that are not ours: choose another folder"};
    }
    return std::optional<Ports>();
  }
  const auto text = read_file(at(state_file), 4096);
  if (!text) return text.error();
  const auto state = json::parse(as_text(*text));
  if (!state || !state->is_object() || state->value("layout", 0) != layout_version || !state->contains("ports")) {
    return Error{ErrorCode::configuration, root_.string() + " was made by another version: remove it (make clean)"};
  }
  const auto& ports = state->at("ports");
  const auto port = [&](const char* name) { return static_cast<std::uint16_t>(ports.value(name, 0)); };
  return std::optional(Ports{port("sam"), port("ssa_public"), port("ssa_registration"), port("pki_internal"), port("pki_public"),
                             port("sam_management"), port("ssa_pages"), port("application")});
}

Status RunFolder::start_over() const {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(root_, error)) std::filesystem::remove_all(entry.path(), error);
  ::chmod(root_.c_str(), 0700);
  for (const auto folder : folders) {
    std::filesystem::create_directories(at(folder), error);
    if (error) return Error{ErrorCode::configuration, "cannot make " + at(folder).string() + ": " + error.message()};
    ::chmod(at(folder).c_str(), 0700);
  }
  return {};
}

Status RunFolder::mark_prepared(const Ports& ports) const {
  const json::Value state = {{"layout", layout_version},
                             {"ports",
                              {{"sam", ports.sam},
                               {"ssa_public", ports.ssa_public},
                               {"ssa_registration", ports.ssa_registration},
                               {"pki_internal", ports.pki_internal},
                               {"pki_public", ports.pki_public},
                               {"sam_management", ports.sam_management},
                               {"ssa_pages", ports.ssa_pages},
                               {"application", ports.application}}}};
  return write_file_durably(at(state_file), as_bytes(json::encode(state) + "\n"), 0644);
}

Result<Ports> choose_ports(std::optional<std::uint16_t> first) {
  if (first) {
    const auto port = [&](int offset) { return static_cast<std::uint16_t>(*first + offset); };
    return hold({.sam = port(0),
                 .ssa_public = port(1),
                 .ssa_registration = port(2),
                 .pki_internal = port(3),
                 .pki_public = port(4),
                 .sam_management = port(5),
                 .ssa_pages = port(6),
                 .application = port(7)});
  }
  if (auto ports = hold(usual)) return ports;
  return hold({});
}

}  // namespace intaglio::up
