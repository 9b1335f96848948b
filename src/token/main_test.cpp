#include <dlfcn.h>
#include <gtest/gtest.h>
#include <spawn.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <thread>

#include "base/file.h"
#include "base/log.h"
#include "crypto/random.h"
#include "token/detail/slot.h"
#include "token/detail/test_support.h"
#include "token/softhsm.h"

extern char** environ;

namespace intaglio::token::testing {
namespace {

Place the_place;

Place make_place(const std::filesystem::path& base, const char* label) {
  std::string root = (base / "intaglio-token-XXXXXX").string();
  if (::mkdtemp(root.data()) == nullptr) panic("no folder for the test");
  Place made{root};
  const auto pin = crypto::random_bytes(16);
  const auto text = encode_hex(*pin);
  if (!write_file_durably(made.pin_file(), as_bytes(text), 0600)) panic("no PIN file");
  if (!write_softhsm_configuration(made.configuration(), made.directory())) panic("no SoftHSM configuration");
  ::setenv("SOFTHSM2_CONF", made.configuration().c_str(), 1);
  auto initialised = initialise_token(module_path(), label, Secret(as_bytes("87654321-unit")), Secret(as_bytes(text)));
  if (!initialised) {
    std::fprintf(stderr, "%s\n", initialised.error().detail.c_str());
    panic("no token");
  }
  return made;
}

TokenConfig config_at(const Place& where, std::string_view label) {
  return {module_path(), std::string(label), where.pin_file(), 4, where.directory()};
}

class WholeRun : public ::testing::Environment {
 public:
  void SetUp() override {
    const bool in_memory = ::access("/dev/shm", W_OK) == 0;
    the_place = make_place(in_memory ? "/dev/shm" : std::filesystem::temp_directory_path(), "unit");
  }
  void TearDown() override { std::filesystem::remove_all(the_place.root); }
};

/// Opens and closes the token until it is killed; says once that it began.
int open_without_end(const std::filesystem::path& root) {
  const auto config = config_at(Place{root}, "victim");
  for (bool first = true;; first = false) {
    if (auto token = Token::open(config); !token) {
      std::fprintf(stderr, "child: %s\n", token.error().detail.c_str());
      return 1;
    }
    if (first && ::write(STDOUT_FILENO, "b", 1) != 1) return 1;
  }
}

/// Ends by exit() while other threads sign with a token that nobody closes.
int exit_while_signing(const std::filesystem::path& root) {
  auto token = Token::open(config_at(Place{root}, "victim"));
  if (!token) return 2;
  auto key = (*token)->generate_signer_key(crypto::KeyAlgorithm::p256, as_bytes("exit"), "exit");
  if (!key) return 3;
  auto* const kept = new std::shared_ptr<Token>(*token);
  for (int number = 0; number < 4; ++number) {
    std::thread([kept, key = *key] {
      for (;;) (void)(*kept)->sign_for_activation(key, crypto::SignatureSuite::ecdsa_sha256, sample_digest(32));
    }).detach();
  }
  while ((*kept)->signer_signatures() < 20) std::this_thread::yield();
  if (::write(STDOUT_FILENO, "b", 1) != 1) return 4;
  std::exit(0);
}

}  // namespace

const Place& place() { return the_place; }

Victim::Victim() : place_(make_place(std::filesystem::temp_directory_path(), "victim")) {}
Victim::~Victim() {
  std::filesystem::remove_all(place_.root);
  ::setenv("SOFTHSM2_CONF", the_place.configuration().c_str(), 1);
}
TokenConfig Victim::config() const { return config_at(place_, "victim"); }
std::filesystem::path Victim::object() const {
  for (const auto& entry : std::filesystem::directory_iterator(place_.directory())) {
    if (std::filesystem::exists(entry.path() / "token.object")) return entry.path() / "token.object";
  }
  return {};
}

std::filesystem::path module_path() {
  for (const char* path : {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"}) {
    if (std::filesystem::exists(path)) return path;
  }
  panic("SoftHSM2 is not installed");
}

TokenConfig config_of(std::string_view label) { return config_at(the_place, label); }

std::shared_ptr<Token> open_token() {
  auto token = Token::open(config_of());
  if (!token) {
    std::fprintf(stderr, "%s\n", token.error().detail.c_str());
    panic("the token of the test does not open");
  }
  return *token;
}

Bytes fresh_id() {
  static std::atomic<unsigned> next{0};
  return to_bytes("unit-" + std::to_string(++next));
}

Bytes sample_digest(std::size_t length) {
  Bytes digest(length);
  for (std::size_t at = 0; at < length; ++at) digest[at] = static_cast<std::uint8_t>(at * 7 + 1);
  return digest;
}

std::uint64_t count_of(const Token& token, std::string_view function, std::string_view result) {
  std::uint64_t count = 0;
  for (const auto& line : token.call_counts()) {
    if (line.function == function && (result.empty() || line.result == result)) count += line.count;
  }
  return count;
}

const CK_FUNCTION_LIST& raw_module() {
  void* library = ::dlopen(module_path().c_str(), RTLD_NOW);
  const auto entry = reinterpret_cast<CK_C_GetFunctionList>(::dlsym(library, "C_GetFunctionList"));
  CK_FUNCTION_LIST* functions = nullptr;
  if (entry(&functions) != CKR_OK) panic("the module has no functions");
  return *functions;
}

CK_SLOT_ID raw_slot(std::string_view label) {
  detail::CallCounters counters;
  auto slot = detail::find_slot(raw_module(), counters, label);
  if (!slot) panic("the module does not show the slot");
  return slot->id;
}

CK_OBJECT_HANDLE raw_find(CK_SESSION_HANDLE session, CK_OBJECT_CLASS object_class, ByteView id) {
  CK_ATTRIBUTE wanted[] = {{CKA_CLASS, &object_class, sizeof object_class},
                           {CKA_ID, const_cast<std::uint8_t*>(id.data()), static_cast<CK_ULONG>(id.size())}};
  CK_OBJECT_HANDLE found = CK_INVALID_HANDLE;
  CK_ULONG count = 0;
  raw_module().C_FindObjectsInit(session, wanted, 2);
  raw_module().C_FindObjects(session, &found, 1, &count);
  raw_module().C_FindObjectsFinal(session);
  return count == 1 ? found : CK_INVALID_HANDLE;
}

RawSession::RawSession() { raw_module().C_OpenSession(raw_slot(), CKF_SERIAL_SESSION | CKF_RW_SESSION, nullptr, nullptr, &handle_); }
RawSession::~RawSession() { raw_module().C_CloseSession(handle_); }

pid_t start_child(const Victim& victim, std::string mode) {
  int ends[2];
  if (::pipe(ends) != 0) panic("no pipe");
  std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  std::string root = victim.place().root.string();
  char* arguments[] = {self.data(), mode.data(), root.data(), nullptr};
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  pid_t child = -1;
  if (::posix_spawn(&child, self.c_str(), &actions, nullptr, arguments, environ) != 0) panic("no child");
  posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  char begun = 0;
  if (::read(ends[0], &begun, 1) != 1) panic("the child did not begin");
  ::close(ends[0]);
  return child;
}

}  // namespace intaglio::token::testing

int main(int argc, char** argv) {
  using namespace intaglio::token::testing;
  if (argc == 3 && std::string_view(argv[1]) == "--open-without-end") return open_without_end(argv[2]);
  if (argc == 3 && std::string_view(argv[1]) == "--exit-while-signing") return exit_while_signing(argv[2]);
  if (argc > 5 && std::string_view(argv[1]) == "--module") return try_module({argv + 2, argv + argc});
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new WholeRun);
  intaglio::log::open("unit_token", "error");
  return RUN_ALL_TESTS();
}
