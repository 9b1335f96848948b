#include <gtest/gtest.h>

#include "base/file.h"
#include "base/log.h"
#include "crypto/random.h"
#include "custody/test_support.h"
#include "token/hsm_profile.h"
#include "token/softhsm.h"

namespace intaglio::custody::testing {
namespace {

std::filesystem::path the_place;

std::filesystem::path module_path() {
  for (const char* path : {"/usr/lib/softhsm/libsofthsm2.so", "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so"}) {
    if (std::filesystem::exists(path)) return path;
  }
  panic("SoftHSM2 is not installed");
}

class WholeRun : public ::testing::Environment {
 public:
  void SetUp() override {
    const bool in_memory = ::access("/dev/shm", W_OK) == 0;
    const std::filesystem::path base = in_memory ? "/dev/shm" : std::filesystem::temp_directory_path();
    std::string root = (base / "intaglio-custody-XXXXXX").string();
    if (::mkdtemp(root.data()) == nullptr) panic("no folder for the test");
    the_place = root;
    const auto pin = encode_hex(*crypto::random_bytes(16));
    ASSERT_TRUE(write_file_durably(the_place / "pin", as_bytes(pin), 0600));
    ASSERT_TRUE(token::write_softhsm_configuration(the_place / "softhsm2.conf", the_place / "tokens"));
    ::setenv("SOFTHSM2_CONF", (the_place / "softhsm2.conf").c_str(), 1);
    ASSERT_TRUE(token::initialise_token(module_path(), "unit", Secret(as_bytes("87654321-unit")), Secret(as_bytes(pin))));
  }
  void TearDown() override { std::filesystem::remove_all(the_place); }
};

}  // namespace

std::shared_ptr<token::Token> open_token() {
  auto token = token::Token::open({module_path(), "unit", the_place / "pin", 4, the_place / "tokens"});
  if (!token) panic("the token of the test does not open");
  return *token;
}

std::shared_ptr<token::Token> open_resident_token() {
  const char* const module = ::getenv("INTAGLIO_TEST_MODULE");
  if (module == nullptr) return open_token();
  auto profile = token::load_hsm_profile(::getenv("INTAGLIO_TEST_PROFILE"));
  if (!profile) panic(("no HSM profile: " + profile.error().detail).c_str());
  token::TokenConfig config{module, "unit", ::getenv("INTAGLIO_TEST_PIN"), 4, {}};
  config.profile = *std::move(profile);
  auto token = token::Token::open(config);
  if (!token) panic(("the token of the test does not open: " + token.error().detail).c_str());
  return *token;
}

}  // namespace intaglio::custody::testing

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  ::testing::AddGlobalTestEnvironment(new intaglio::custody::testing::WholeRun);
  intaglio::log::open("unit_custody", "error");
  return RUN_ALL_TESTS();
}
