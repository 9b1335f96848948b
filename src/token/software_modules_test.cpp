// Real modules other than SoftHSM, each started in a folder of its own by a script of tests/tokens, used by a program of its own:
// this one, with --module.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <algorithm>
#include <cstdio>

#include "token/detail/test_support.h"
#include "token/hsm_profile.h"

namespace intaglio::token::testing {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;

const std::filesystem::path source = INTAGLIO_SOURCE_DIR;

constexpr std::array suites = {SignatureSuite::rsa_pss_sha256, SignatureSuite::rsa_pss_sha512, SignatureSuite::rsa_pkcs1_sha256,
                               SignatureSuite::rsa_pkcs1_sha384, SignatureSuite::ecdsa_sha256};

int failed(std::string_view what, const std::string& why = {}) {
  std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(what.size()), what.data(), why.c_str());
  return 1;
}

unsigned long mechanism_of(SignatureSuite suite) {
  if (suite == SignatureSuite::ecdsa_sha256) return CKM_ECDSA;
  return crypto::name_of(suite).starts_with("rsa-pss") ? CKM_RSA_PKCS_PSS : CKM_RSA_PKCS;
}

int round_trip(Token& token, const HsmProfile& profile, KeyAlgorithm algorithm) {
  const auto id = fresh_id();
  const std::string name(crypto::name_of(algorithm));
  auto made = token.generate_signer_key(algorithm, id, "round trip");
  if (!made) return failed("generate " + name, made.error().detail);
  auto found = token.find_signer_key(id);
  if (!found) return failed("find " + name, found.error().detail);
  unsigned signatures = 0;
  for (const auto suite : suites) {
    if (!crypto::fits(algorithm, suite)) continue;
    const auto digest = sample_digest(crypto::digest_length(crypto::hash_of(suite)));
    const auto outcome = token.sign_for_activation(*found, suite, digest);
    if (!profile.signs_by(mechanism_of(suite))) {
      if (!outcome.refusal || !outcome.refusal->definite || outcome.refusal->error.code != ErrorCode::algorithm_refused)
        return failed("a suite beyond the profile is not refused");
      continue;
    }
    if (!outcome.signature) return failed("sign " + name, outcome.refusal->error.detail);
    if (!made->public_key().verify_digest(suite, digest, *outcome.signature)) return failed("a signature of " + name + " is wrong");
    ++signatures;
  }
  if (signatures == 0) return failed("nothing was signed with " + name);
  if (auto gone = token.destroy(*found); !gone) return failed("destroy " + name, gone.error().detail);
  if (code_of(token.find_signer_key(id)) != ErrorCode::not_found) return failed("a destroyed key is still there: " + name);
  return 0;
}

int serves_signers_keys(Token& token, const HsmProfile& profile, const std::vector<KeyAlgorithm>& algorithms) {
  const auto before = token.object_count();
  if (!before) return failed("count", before.error().detail);
  for (const auto algorithm : algorithms) {
    if (auto served = token.check_algorithm(algorithm); !served) return failed("offered", served.error().detail);
    if (const int ended = round_trip(token, profile, algorithm); ended != 0) return ended;
  }
  for (const auto algorithm : {KeyAlgorithm::p256, KeyAlgorithm::p521}) {
    if (profile.serves(algorithm)) continue;
    if (code_of(token.generate_signer_key(algorithm, fresh_id(), "beyond")) != ErrorCode::unsupported)
      return failed("makes a key that the profile has not");
  }
  if (code_of(token.generate_service_key(KeyPurpose::hmac, fresh_id(), "beyond")) != ErrorCode::unsupported)
    return failed("makes a service key");
  if (auto well = token.check_health(); !well) return failed("health", well.error().detail);
  auto lines = probe(token, true);
  if (!lines) return failed("probe", lines.error().detail);
  if (std::count_if(lines->begin(), lines->end(), [](const ProbeLine& line) { return line.negative; }) < 6)
    return failed("the probe tried too few refusals");
  for (const auto& line : *lines) {
    // Said as it is, and no reason to refuse: the lines about the ways out, which are negative, count.
    const bool told = !profile.flags_bind && !line.negative && line.name.starts_with("keeps the flags of ");
    if (line.passed == told) return failed(line.name, line.detail);
  }
  const auto after = token.object_count();
  return after && *after == *before ? 0 : failed("objects are left behind");
}

int is_found_out(Token& token) {
  if (code_of(token.generate_signer_key(KeyAlgorithm::p256, fresh_id(), "refused")) != ErrorCode::token_unavailable)
    return failed("makes a signer's key that looks right");
  auto lines = probe(token, true);
  if (!lines) return failed("probe", lines.error().detail);
  for (const char* const name : {"refuses to wrap a non-extractable p256", "refuses to wrap a non-extractable rsa2048",
                                 "refuses to copy p256 as extractable", "refuses to use a mechanism that the key does not allow"}) {
    const auto line = std::find_if(lines->begin(), lines->end(), [&](const ProbeLine& each) { return each.name == name; });
    if (line == lines->end() || !line->negative || line->passed) return failed("not found out", name);
  }
  return 0;
}

/// Runs this program beside the module, in a new folder.
int beside(const char* script, std::string_view module, std::string_view label, std::string_view algorithms) {
  std::string folder = (std::filesystem::temp_directory_path() / "intaglio-module-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) panic("no folder for the test");
  const auto self = std::filesystem::read_symlink("/proc/self/exe").string();
  // What a module keeps until its process ends is no leak of ours.
  std::string command =
      "ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 " + (source / "tests/tokens" / script).string() + " " + folder + " " + self + " --module ";
  command.append(module).append(" ").append(folder).append(" '").append(label).append("' ").append(script).append(" ").append(algorithms);
  const int ended = std::system(command.c_str());
  std::filesystem::remove_all(folder);
  return ended;
}

}  // namespace

int try_module(const std::vector<std::string>& words) {
  auto profile = load_hsm_profile(source / "deploy/hsm-profiles" / (words[3] + ".json"));
  if (!profile) return failed("profile", profile.error().detail);
  TokenConfig config{words[0], words[2], std::filesystem::path(words[1]) / "pin", 4, {}};
  config.profile = *profile;
  if ((*profile)->name == "nss") config.nss_parameters = "configdir='sql:" + words[1] + "/db'";
  auto token = Token::open(config);
  if (!token) return failed("open", token.error().detail);
  if ((*profile)->name == "nss") return is_found_out(**token);
  std::vector<KeyAlgorithm> algorithms;
  for (auto word = words.begin() + 4; word != words.end(); ++word) {
    auto algorithm = crypto::parse_key_algorithm(*word);
    if (!algorithm) return failed("algorithm", algorithm.error().detail);
    algorithms.push_back(*algorithm);
  }
  return serves_signers_keys(**token, **profile, algorithms);
}

TEST(SoftwareModule, OpenCryptokiHoldsRsaKeysOfSignersAndNothingElse) {
  EXPECT_EQ(beside("opencryptoki", "/usr/lib/x86_64-linux-gnu/pkcs11/libopencryptoki.so", "unit", "rsa2048 rsa3072"), 0);
}

TEST(SoftwareModule, ATpmHoldsP256AndRsa2048KeysOfSignersAndNoKeyOfTheProbe) {
  EXPECT_EQ(beside("tpm2-pkcs11", "/usr/lib/x86_64-linux-gnu/pkcs11/libtpm2_pkcs11.so", "unit", "p256 rsa2048"), 0);
}

TEST(SoftwareModule, NssIsFoundOutByTheSelfTests) {
  EXPECT_EQ(beside("nss", "/usr/lib/x86_64-linux-gnu/libsoftokn3.so", "NSS Certificate DB", ""), 0);
}

}  // namespace intaglio::token::testing
