#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "manage/commands.h"
#include "problem.h"

namespace intaglio::cli {

Status run_sibling(const std::string& program, const std::vector<std::string>& arguments) {
  std::error_code failed;
  const auto self = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (failed) return problem(ErrorCode::internal, "this program does not find its own place", "start " + program + " by its full path");
  const auto path = (self.parent_path() / program).string();
  std::vector<std::string> texts{path};
  texts.insert(texts.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  ::execv(path.c_str(), pointers.data());
  return problem(ErrorCode::not_found, path + ": " + std::strerror(errno), "build or install " + program + " beside " + self.string());
}

}  // namespace intaglio::cli
