#include "base/check.h"
#include "base/file.h"
#include "crypto/certificate.h"
#include "manage/commands.h"
#include "problem.h"
#include "sign/sap_session.h"
#include "sign/transaction_check.h"

namespace intaglio::cli {

Status new_key(const NewKeyOptions& options, const Clock& clock) {
  const Progress progress;
  auto algorithm = crypto::parse_key_algorithm(options.algorithm);
  if (!algorithm) return because(algorithm.error(), "--algorithm", "give rsa3072, rsa4096, p256, p384 or p521");
  auto settings = load_client_settings(options.client_file);
  if (!settings) return settings.error();
  auto service = Service::sign_in(*settings, clock);
  if (!service) return service.error();
  const json::Value request{{"signerID", options.signer}, {"algorithm", options.algorithm}, {"profile", options.profile}};
  auto opened = open_transaction(*service, *settings, "/sic/v1/keys", request, clock.now());
  if (!opened) return because(opened.error(), "a new key for " + options.signer, "check signer, --algorithm and --profile");
  const AskedKey asked{options.signer, *algorithm, options.profile, settings->client_id};
  if (auto checked = check_transaction(opened->transaction, asked, clock.now()); !checked) return checked;
  progress.step("key generation opened; the SAM is the pinned one");

  const bool script = options.yes || options.factors.from_files();
  if (auto agreed = ask_to_agree(*settings, script); !agreed) return agreed;
  const auto act = act_of(script);
  auto factors = collect_factors(options.factors, binding_of(*opened, settings->terms, act), clock, progress);
  if (!factors) return factors.error();
  auto message = make_sap_message(*opened, settings->terms, act, factors->shown());
  if (!message) return message.error();
  auto answer = service->post("/sic/v1/messages", {{"message", message->compact}});
  if (!answer) return because(answer.error(), "the new key", "check PIN and one-time code; three failures lock the signer for 15 minutes");
  auto credential = json::text_member(*answer, "credentialID", 64);
  auto csr_text = json::text_member(*answer, "csr", 64 * 1024);
  if (!credential || !csr_text)
    return problem(ErrorCode::internal, "the service's answer is incomplete", "check that base_url is the SSA's");
  if (refused_by("signer.key.credential", *credential != opened->transaction.key)) {
    return problem(ErrorCode::binding_mismatch, "the key that came back is not the one that was approved",
                   "do not have it certified; tell the operator of the service");
  }
  auto csr = parse_base64(*csr_text);
  auto parsed = csr ? crypto::parse_csr(*csr) : Result<crypto::CertificateRequest>(csr.error());
  if (!parsed || parsed->key.algorithm() != *algorithm) {
    return problem(ErrorCode::binding_mismatch, "the certificate request is not one for such a key",
                   "do not have it certified; tell the operator of the service");
  }
  progress.step("key generated in the SAM's token, proof of possession verified");
  if (options.csr_out) {
    auto written = write_file_durably(*options.csr_out, *csr, 0644);
    if (!written) return because(written.error(), "--csr-out", "the service keeps the request: the registration authority can go on");
  }
  say(json::encode({{"credentialID", *credential},
                    {"signerID", options.signer},
                    {"algorithm", options.algorithm},
                    {"spki_sha256", encode_hex(parsed->key.thumbprint())}}));
  return {};
}

}  // namespace intaglio::cli
