#include <signal.h>
#include <sys/prctl.h>
#include <CLI/CLI.hpp>

#include <chrono>
#include <cstdio>

#include "pages.h"
#include "supervisor.h"

namespace {

namespace up = intaglio::up;

std::filesystem::path own_path() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error);
}

/// deploy/ of the source tree that we were built in, or the package's.
std::filesystem::path find_deploy(const std::filesystem::path& binaries) {
  for (auto folder = binaries; folder.has_relative_path(); folder = folder.parent_path()) {
    if (std::filesystem::exists(folder / "deploy/examples/sam.toml")) return folder / "deploy";
  }
  return "/usr/share/intaglio/deploy";
}

int refused(const intaglio::Error& error) {
  std::fprintf(stderr, "intaglio-up: %s\n", error.detail.c_str());
  return 1;
}

}  // namespace

int main(int count, char** words) {
  CLI::App options("Prepares and runs the services of one instance on this machine: tokens, identities, configuration, start order.",
                   "intaglio-up");
  std::string run = "run", token_name;
  up::Places places{
      .binaries = own_path().parent_path(), .deploy = {}, .module = "/usr/lib/softhsm/libsofthsm2.so", .policy = {}, .pages = {}};
  bool init_only = false, with_parent = false;
  std::optional<std::uint16_t> first_port;
  options.add_option("--run", run, "The instance's folder; made when it is not there")->capture_default_str();
  options.add_flag("--init-only", init_only, "Prepare the folder and end");
  options.add_option("--first-port", first_port, "Eight ports from this one on, instead of 8443 to 8450")->check(CLI::Range(1024, 65528));
  options.add_flag("--with-parent", with_parent, "Stop when the process that started this one ends");
  options.add_option("--bin", places.binaries, "Folder of the services' programs");
  options.add_option("--deploy", places.deploy, "Folder of examples, profiles and policies");
  options.add_option("--policy", places.policy, "Policy document to complete, instead of the example");
  options.add_option("--pages", places.pages, "Bundle of the signer's pages (tools/ci/web --build), to be served and codes with it");
  options.add_option("--module", places.module, "SoftHSM's PKCS#11 library")->capture_default_str();
  options.add_option("--initialise-token", token_name, "Used by this program itself: one token, in a process of its own")->group("");
  options.set_version_flag("--version", "intaglio-up 0.1.0");
  CLI11_PARSE(options, count, words);

  if (with_parent) ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (places.deploy.empty()) places.deploy = find_deploy(places.binaries);
  places.deploy = std::filesystem::absolute(places.deploy);
  places.binaries = std::filesystem::absolute(places.binaries);
  if (!places.pages.empty()) places.pages = std::filesystem::absolute(places.pages);

  up::RunFolder folder(run);
  if (!token_name.empty()) {
    const auto made = initialise_token_of(folder, places, token_name);
    return made ? 0 : refused(made.error());
  }

  const auto start = std::chrono::steady_clock::now();
  const up::Progress progress = [start](std::string_view what) {
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("  %7.2f s  %.*s\n", seconds, static_cast<int>(what.size()), what.data());
    std::fflush(stdout);
  };
  if (auto locked = folder.lock(); !locked) return refused(locked.error());
  const auto prepared = folder.prepared();
  if (!prepared) return refused(prepared.error());
  if (*prepared) {
    progress("the instance in " + folder.root().string() + " is there already");
    const auto paged = places.pages.empty() ? intaglio::Result<bool>(true) : up::has_pages(folder);
    if (!paged) return refused(paged.error());
    if (!*paged) {
      if (auto added = up::add_pages(folder, **prepared, places); !added) return refused(added.error());
      progress("the signer's pages were added to it");
    }
  } else {
    const auto ports = up::choose_ports(first_port);
    if (!ports) return refused(ports.error());
    if (auto done = up::prepare(folder, *ports, places, progress); !done) return refused(done.error());
  }
  if (init_only) return 0;
  const auto served = up::supervise(folder, places, progress);
  return served ? 0 : refused(served.error());
}
