#include "tokens.h"

#include <cstdio>

#include "base/check.h"
#include "json/json.h"
#include "token/hsm_profile.h"
#include "wrapped_custody.h"

namespace intaglio::apps::sam {
namespace {

constexpr std::string_view own_keys = "the SAM's own keys";
constexpr std::string_view signers_keys = "signers' keys";

std::string cannot_hold(std::string_view keys) { return "it cannot hold " + std::string(keys); }

Status check_token(token::Token& token, std::string_view keys) {
  auto lines = token::probe(token, /*quick=*/true);
  if (!lines) return lines.error();
  for (const auto& line : *lines) {
    // A test that could not be prepared is a test that was not passed.
    const bool untested = !line.passed && line.name.ends_with("to try refusals");
    if (refused_by("sam.token-negative-tests", (line.negative && !line.passed) || untested)) {
      return Error{ErrorCode::unsupported,
                   "the token failed the self-test \"" + line.name + "\" (" + line.detail + "); " + cannot_hold(keys)};
    }
  }
  return {};
}

json::Value facts_of(token::Token& token) {
  auto calls = json::Value::array();
  for (const auto& count : token.call_counts())
    calls.push_back({{"function", count.function}, {"object", count.object}, {"result", count.result}, {"count", count.count}});
  json::Value facts = {{"description", token.description()},
                       {"calls", std::move(calls)},
                       {"signer_signatures", token.signer_signatures()},
                       {"hanging_calls", token.hanging_calls()}};
  if (auto objects = token.object_count()) facts["objects"] = *objects;
  return facts;
}

void print(std::string_view verdict, std::string_view what, std::string_view detail) {
  std::printf("  %-8s %-60s %s\n", std::string(verdict).c_str(), std::string(what).c_str(), std::string(detail).c_str());
}

Status probe_one(const token::TokenConfig& config, bool quick, std::string_view keys) {
  auto token = token::Token::open(config);
  if (!token) return token.error();
  auto lines = token::probe(**token, quick);
  if (!lines) return lines.error();
  std::printf("%s\n", (*token)->description().c_str());
  std::string failed;
  for (const auto& line : *lines) {
    print(line.passed ? "yes" : line.negative ? "BROKEN" : "no", line.name, line.detail);
    if (line.negative && !line.passed && failed.empty()) failed = line.name;
  }
  const auto& hsm = config.profile;
  print("emulated", "per-key authorisation (TC-6)",
        hsm && hsm->key_authorisation != "none" ? "not used: " + hsm->key_authorisation + "; the SAM alone guards resident keys"
                                                : "the module has none: the SAM alone guards resident keys");
  if (hsm) print("profile", hsm->name, hsm->was_run ? "" : "never run: written from documents");
  if (failed.empty()) return {};
  return Error{ErrorCode::unsupported,
               "the token does what it must refuse: it failed the self-test \"" + failed + "\"; " + cannot_hold(keys)};
}

}  // namespace

Result<Tokens> with_key_token(const std::shared_ptr<token::Token>& own, const std::optional<token::TokenConfig>& key_token) {
  Tokens tokens{.own = own, .signers = own};
  if (!key_token) return tokens;
  auto signers = token::Token::open(*key_token);
  if (!signers) return Error{signers.error().code, "[key_token]: " + signers.error().detail};
  tokens.signers = *std::move(signers);
  return tokens;
}

Status check_tokens(const Tokens& tokens) {
  if (!tokens.apart()) return check_token(*tokens.own, signers_keys);
  if (auto checked = check_token(*tokens.own, own_keys); !checked) return checked;
  return check_token(*tokens.signers, signers_keys);
}

Status check_algorithms(const Tokens& tokens, const intaglio::sam::Policy& policy) {
  for (const auto& profile : policy.profiles()) {
    // Wrapped custody makes and uses its keys where its master keys are.
    token::Token& token = profile.custody == custody::Mode::wrapped ? *tokens.own : *tokens.signers;
    for (const auto algorithm : profile.key_algorithms) {
      auto served = token.check_algorithm(algorithm);
      if (refused_by("sam.policy-algorithm-served", !served)) {
        return Error{ErrorCode::configuration, "the policy's profile " + profile.name + " names " + std::string(name_of(algorithm)) +
                                                   ", which the token does not serve: " + served.error().detail};
      }
    }
  }
  return {};
}

std::string token_facts(const Tokens& tokens) {
  auto facts = facts_of(*tokens.own);
  if (tokens.apart()) facts["key_token"] = facts_of(*tokens.signers);
  return json::encode(facts);
}

std::uint64_t signer_signatures(const Tokens& tokens) {
  return tokens.own->signer_signatures() + (tokens.apart() ? tokens.signers->signer_signatures() : 0);
}

Status print_probe(Settings settings, bool quick) {
  settings.token.alone = true;
  auto own = probe_one(settings.token, quick, settings.key_token ? own_keys : signers_keys);
  if (!own && own.error().code != ErrorCode::unsupported) return own;
  Status signers;
  if (settings.key_token) {
    settings.key_token->alone = true;
    std::printf("[key_token] ");
    signers = probe_one(*settings.key_token, quick, signers_keys);
    if (!signers && signers.error().code != ErrorCode::unsupported) return signers;
  }
  auto search = describe_search();
  if (!search) return search.error();
  print("emulated", "the signer's secret, to whoever has database and login (TC-6)", *search);
  return own ? signers : own;
}

}  // namespace intaglio::apps::sam
