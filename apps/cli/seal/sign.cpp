#include "base/file.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "problem.h"
#include "seal/commands.h"

namespace intaglio::cli {
namespace {

constexpr std::size_t max_digests_file = 256 * 1024;

Result<std::vector<std::string>> digests_of(const SealSignOptions& options) {
  auto digests = options.digests;
  if (options.digests_file) {
    auto content = read_file(*options.digests_file, max_digests_file);
    if (!content) return because(content.error(), "--digests " + options.digests_file->string(), "one digest in hexadecimal on each line");
    std::string_view rest = as_text(*content);
    while (!rest.empty()) {
      const auto end = rest.find('\n');
      if (end != 0) digests.emplace_back(rest.substr(0, end));
      rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    }
  }
  if (digests.empty()) return problem(ErrorCode::invalid_request, "there is nothing to seal", "give --digest or --digests");
  return digests;
}

}  // namespace

Status sign_under_grant(const SealSignOptions& options, const Clock& clock) {
  const Progress progress;
  auto texts = digests_of(options);
  if (!texts) return texts.error();
  auto settings = load_client_settings(options.signing.client_file);
  if (!settings) return settings.error();
  auto key = load_private_key(options.key_file);
  if (!key) return key.error();
  auto service = Service::sign_in(*settings, clock);
  if (!service) return service.error();
  auto credential = find_credential(*service, options.signing, clock);
  if (!credential) return credential.error();
  auto documents = digests_in_hex(*texts, credential->suite);
  if (!documents) return documents.error();

  Bytes joined;
  for (const auto& document : *documents) append(joined, document.digest);
  auto id = crypto::random_id();
  if (!id) return id.error();
  auto kid = crypto::jwk_thumbprint((*key)->public_key());
  if (!kid) return kid.error();
  const json::Value claims{
      {"grant", options.grant}, {"rid", *id}, {"suite", crypto::name_of(credential->suite)}, {"dig", encode_base64url(joined)}};
  auto request = crypto::make_jws(**key, "intaglio-seal+jwt", *kid, json::encode(claims));
  if (!request) return because(request.error(), "the request", "seal fewer digests at once");
  auto made = request_signatures(*service, *credential, *request, *documents);
  if (!made)
    return because(made.error(), "the seals",
                   "check that the grant is in force and has as many hashes left; it ends when its signer changes a factor");
  progress.step(std::to_string(documents->size()) + " seals received and verified");
  say_signatures(*documents, credential->suite, *made);
  return {};
}

}  // namespace intaglio::cli
