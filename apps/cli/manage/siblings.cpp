#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "config/document.h"
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
  pointers.reserve(texts.size() + 1);
  for (auto& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  ::execv(path.c_str(), pointers.data());
  return problem(ErrorCode::not_found, path + ": " + std::strerror(errno), "build or install " + program + " beside " + self.string());
}

Status probe_token(const std::filesystem::path& sam_config) {
  if (::secure_getenv("SOFTHSM2_CONF") == nullptr) {
    auto document = config::Document::open(sam_config, "intaglio");
    if (!document) return because(document.error(), "the SAM's configuration", "give the file with which intaglio-sam runs");
    auto token = document->section("token", "the SAM's token");
    const auto folder = token.optional_path("softhsm_directory", "SoftHSM's folder");
    const auto made = folder ? folder->string() + ".conf" : std::string();
    if (folder && std::filesystem::exists(made)) ::setenv("SOFTHSM2_CONF", made.c_str(), 0);
  }
  return run_sibling("intaglio-sam", {"--probe", "--config", sam_config.string()});
}

}  // namespace intaglio::cli
