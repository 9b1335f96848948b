#include "journal.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "ckr_names.h"

namespace intaglio::virtual_hsm {
namespace {

[[noreturn]] void give_up(const char* reason) {
  std::fprintf(stderr, "virtual-hsm: the journal cannot be %s\n", reason);
  std::abort();
}

std::string_view name_of_effect(Effect effect) noexcept {
  switch (effect) {
    case Effect::done: return "done";
    case Effect::refused: return "refused";
    case Effect::length: return "length";
    case Effect::none: break;
  }
  return "none";
}

}  // namespace

Journal::Journal(const std::string& file) : file_(::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600)) {
  if (file_ < 0) give_up("opened");
}

void Journal::call(std::string_view function, std::uint64_t call, CK_RV result, Effect effect, std::string_view key) {
  std::string rest(" ");
  rest.append(function).append(" ").append(std::to_string(call)).append(" ").append(name_of(result));
  rest.append(" ").append(name_of_effect(effect));
  if (!key.empty()) rest.append(" key=").append(key);
  const std::lock_guard lock(mutex_);
  write(std::to_string(++calls_) + rest);
}

void Journal::note(std::string_view text) {
  const std::lock_guard lock(mutex_);
  write(std::string(text));
}

void Journal::write(std::string line) {
  line.push_back('\n');
  if (::write(file_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) give_up("written");
}

}  // namespace intaglio::virtual_hsm
