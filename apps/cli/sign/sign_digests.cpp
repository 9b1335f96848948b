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
  auto digests = digests_in_hex(options.digests, credential->suite);
  if (!digests) return digests.error();
  auto made = sign_remotely(*service, *settings, *credential, *digests, options.signing, clock, progress);
  if (!made) return made.error();
  say_signatures(*digests, credential->suite, *made);
  return {};
}

}  // namespace intaglio::cli
