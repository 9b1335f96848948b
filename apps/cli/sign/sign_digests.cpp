#include "problem.h"
#include "sign/commands.h"

namespace intaglio::cli {

Status sign_digests(const SignDigestsOptions& options, const Clock& clock) {
  const Progress progress;
  auto settings = load_client_settings(options.signing.client_file);
  if (!settings) return settings.error();
  auto service = Service::sign_in(*settings, clock);
  if (!service) return service.error();
  auto credential = find_credential(*service, options.signing, clock);
  if (!credential) return credential.error();
  const auto length = crypto::digest_length(crypto::hash_of(credential->suite));
  std::vector<protocol::DocumentDigest> digests;
  for (const auto& text : options.digests) {
    auto digest = parse_hex(text);
    if (!digest || digest->size() != length) {
      return problem(ErrorCode::digest_length, "a digest is not " + std::to_string(length) + " bytes in hexadecimal: " + printable(text),
                     "digest with " + std::string(crypto::name_of(crypto::hash_of(credential->suite))) + ", or choose another --suite");
    }
    digests.push_back({std::move(*digest), "digest " + std::to_string(digests.size() + 1)});
  }
  auto made = sign_remotely(*service, *settings, *credential, digests, options.signing, clock, progress);
  if (!made) return made.error();
  for (std::size_t i = 0; i < digests.size(); ++i) {
    json::Value line{{"digest", encode_hex(digests[i].digest)},
                     {"suite", crypto::name_of(credential->suite)},
                     {"signature", encode_base64(made->signatures[i])}};
    if (i < made->references.size()) {
      line["log"] = made->references[i].log;
      line["index"] = made->references[i].index;
      line["leaf"] = made->references[i].leaf;
    }
    say(json::encode(line));
  }
  return {};
}

}  // namespace intaglio::cli
