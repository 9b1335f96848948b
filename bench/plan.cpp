#include "plan.h"

#include <iterator>

#include "json/json.h"
#include "load.h"

namespace intaglio::bench {
namespace {

crypto::Sha256Digest digest_of_hex(const std::string& text) {
  const auto bytes = must("pin", parse_hex(text));
  crypto::Sha256Digest digest{};
  if (bytes.size() != digest.size()) fail("plan: a pin has 32 bytes");
  std::copy(bytes.begin(), bytes.end(), digest.begin());
  return digest;
}

}  // namespace

Plan Plan::read(const std::filesystem::path& file) {
  std::ifstream stream(file);
  const std::string text((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  const auto object = must("plan", json::parse(text, {.max_bytes = 64U << 20U, .max_depth = 8, .max_members = 10'000'000}));
  Plan plan;
  plan.https_port = object.value("httpsPort", std::uint16_t{0});
  plan.ca_file = object.value("caFile", "");
  plan.certificate_file = object.value("certificateFile", "");
  plan.key_file = object.value("keyFile", "");
  plan.access_token = object.value("accessToken", "");
  plan.client_id = object.value("clientId", "");
  plan.sign_algo = object.value("signAlgo", "");
  plan.sign_algo_params = object.value("signAlgoParams", "");
  plan.suite = must("suite", crypto::parse_suite(object.value("suite", "")));
  plan.sam.port = object.value("samPort", std::uint16_t{0});
  plan.sam.identity = {object.value("samCertificate", ""), object.value("samKey", "")};
  plan.sam.pinned_peer = digest_of_hex(object.value("samPin", ""));
  for (const auto& one : object.at("authorisations")) {
    std::vector<Bytes> digests;
    for (const auto& digest : one.at("digests")) digests.push_back(must("digest", parse_base64(digest.get<std::string>())));
    auto key = must("key", crypto::PublicKey::parse_spki(must("key", parse_base64(one.value("spki", "")))));
    plan.authorisations.push_back({one.value("credential", ""), one.value("sad", ""), std::move(digests), std::move(key)});
  }
  plan.path = object.value("path", "");
  for (const auto& list : object.at("bodies")) plan.bodies.push_back(list.get<std::vector<std::string>>());
  return plan;
}

std::optional<Portion> Plan::next(std::size_t count) {
  if (authorisations.empty()) return std::nullopt;
  const auto turn = given_->fetch_add(1, std::memory_order_relaxed);
  const auto& authorisation = authorisations[turn % authorisations.size()];
  const auto from = turn / authorisations.size() * count;
  if (from + count > authorisation.digests.size()) return std::nullopt;
  return Portion{&authorisation, std::span(authorisation.digests).subspan(from, count)};
}

}  // namespace intaglio::bench
