#include "wrapped_custody.h"

#include <time.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include "base/check.h"
#include "crypto/password_hash.h"
#include "custody/wrapped/pkcs11_wrap.h"

namespace intaglio::apps::sam {
namespace {

constexpr std::string_view lock_pepper_name = "pepper-lock";
custody::MasterKeyIds master_keys() { return {to_bytes("custody-wrap"), to_bytes("custody-seal")}; }

/// One algorithm of each kind: what a token wraps of one curve or size, it wraps of the others.
std::vector<crypto::KeyAlgorithm> tested(const std::vector<crypto::KeyAlgorithm>& algorithms) {
  std::vector<crypto::KeyAlgorithm> chosen;
  for (const bool rsa : {false, true}) {
    const auto found = std::find_if(algorithms.begin(), algorithms.end(), [&](auto algorithm) { return crypto::is_rsa(algorithm) == rsa; });
    if (found != algorithms.end()) chosen.push_back(*found);
  }
  return chosen;
}

}  // namespace

bool needs_wrapped_custody(const intaglio::sam::Policy& policy) {
  const auto& profiles = policy.profiles();
  return std::any_of(profiles.begin(), profiles.end(), [](const auto& profile) { return profile.custody == custody::Mode::wrapped; });
}

Result<WrappedCustody> open_wrapped_custody(const std::shared_ptr<token::Token>& token, bool make) {
  auto provider = custody::Pkcs11Wrap::open(token, master_keys());
  if (!provider && provider.error().code == ErrorCode::not_found) {
    if (!make)
      return Error{ErrorCode::configuration, "the token holds no master keys of wrapped custody; run intaglio-sam --initialise first"};
    if (auto made = custody::Pkcs11Wrap::make_master_keys(*token, master_keys()); !made) {
      return Error{ErrorCode::unsupported, "the token cannot hold the master keys of wrapped custody: " + made.error().detail};
    }
    provider = custody::Pkcs11Wrap::open(token, master_keys());
  }
  if (!provider) return provider.error();
  auto pepper = token->find_service_key(token::KeyPurpose::hmac, as_bytes(lock_pepper_name));
  if (!pepper && pepper.error().code == ErrorCode::not_found && make) {
    pepper = token->generate_service_key(token::KeyPurpose::hmac, as_bytes(lock_pepper_name), "intaglio pepper-lock");
  }
  if (!pepper) return pepper.error();
  return WrappedCustody{*std::move(pepper), std::make_unique<custody::WrappedVault>(token, *std::move(provider))};
}

Status check_wrapped_custody(custody::WrappedVault& vault, const intaglio::sam::Policy& policy) {
  for (const auto& profile : policy.profiles()) {
    if (profile.custody != custody::Mode::wrapped) continue;
    for (const auto algorithm : tested(profile.key_algorithms)) {
      auto served = vault.check(algorithm);
      if (refused_by("sam.wrapped-custody-served", !served)) {
        return Error{ErrorCode::configuration,
                     "the policy's profile " + profile.name + " asks for wrapped custody: " + served.error().detail};
      }
    }
  }
  return {};
}

Result<std::string> describe_search() {
  constexpr int rounds = 4;
  constexpr crypto::Argon2Cost least{64 * 1024, 3};  // that a policy may ask for where custody is wrapped
  const Secret guess(as_bytes("482915"));
  const Bytes salt(16, 0);
  // Of the processor, whatever else it does: a thief has machines of his own.
  const auto processor_seconds = [] {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
  };
  const double begin = processor_seconds();
  for (int round = 0; round < rounds; ++round) {
    if (auto stretched = crypto::argon2id(guess, salt, least); !stretched) return stretched.error();
  }
  const double seconds = (processor_seconds() - begin) / rounds;
  constexpr double hour = 3600, year = 365.25 * 24 * hour;
  std::array<char, 256> words{};
  std::snprintf(words.data(), words.size(),
                "%.1f ms a guess and core, of the least Argon2id: a PIN of 6 digits %.1f h, of 8 %.0f h, of 12 %.0f years; a signerpass of "
                "60 bits %.1e "
                "years",
                seconds * 1e3, seconds * 1e6 / hour, seconds * 1e8 / hour, seconds * 1e12 / year, seconds * std::exp2(60) / year);
  return std::string(words.data());
}

}  // namespace intaglio::apps::sam
