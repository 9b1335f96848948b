#include "crypto/cmp/transaction.h"

#include <openssl/err.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "crypto/detail/asn1_read.h"
#include "crypto/detail/x509.h"

namespace intaglio::crypto::detail {
namespace {

struct FreeOwned {
  void operator()(STACK_OF(X509) * stack) const noexcept { sk_X509_pop_free(stack, X509_free); }
};
using OwnedStack = std::unique_ptr<STACK_OF(X509), FreeOwned>;

constexpr std::size_t max_told = 300;  // of what the authority says in its own words
constexpr std::uint32_t says_confirmed = 1U << OSSL_CMP_PKIFAILUREINFO_certConfirmed;

/// Printable ASCII alone, and not much of it: these words are a stranger's and go to a log.
std::string tamed(std::string_view text) {
  std::string result(text.substr(0, max_told));
  std::ranges::replace_if(
      result, [](char c) { return c < ' ' || c > '~'; }, '?');
  return result;
}

/// Everything that OpenSSL noted, oldest first, each thing once; empties its queue.
std::string reasons() {
  std::string text;
  const char* data = nullptr;
  int flags = 0;
  while (const unsigned long code = ERR_get_error_all(nullptr, nullptr, nullptr, &data, &flags)) {
    const char* const reason = ERR_reason_error_string(code);
    const std::string said = (reason == nullptr ? std::string("?") : std::string(reason)) +
                             ((flags & ERR_TXT_STRING) != 0 && *data != '\0' ? ": " + std::string(data) : std::string());
    if (text.find(said) == std::string::npos) text += (text.empty() ? "" : "; ") + said;
  }
  return tamed(text);
}

int keep_quiet(const char*, const char*, int, OSSL_CMP_severity, const char*) { return 1; }

/// No exception passes through OpenSSL's frames.
OSSL_CMP_MSG* transfer(OSSL_CMP_CTX* context, const OSSL_CMP_MSG* message) noexcept {
  auto& transaction = *static_cast<CmpTransaction*>(OSSL_CMP_CTX_get_transfer_cb_arg(context));
  try {
    auto answer = transaction.carry(message);
    if (answer) return answer->release();
    transaction.exchange_failure = answer.error();
  } catch (const std::exception&) {
    transaction.exchange_failure = Error{ErrorCode::internal, "no memory for the CA's message"};
  }
  return nullptr;
}

/// What comes back from here goes into certConf (RFC 4210, 5.3.18): 0 confirms, a bit of PKIFailureInfo refuses. OpenSSL's own opinion of
/// the key is not asked for: ours is stricter and is the one that the tests know.
int confirm(OSSL_CMP_CTX* context, X509* issued, int /*opinion*/, const char** text) noexcept {
  auto& transaction = *static_cast<CmpTransaction*>(OSSL_CMP_CTX_get_certConf_cb_arg(context));
  try {
    transaction.verdict = transaction.judge(issued);
  } catch (const std::exception&) {
    transaction.verdict = Error{ErrorCode::internal, "no memory for the CA's certificate"};
  }
  *text = transaction.verdict ? "refused by the registration authority" : nullptr;
  return transaction.verdict ? 1 << OSSL_CMP_PKIFAILUREINFO_badCertTemplate : 0;
}

bool set_signature(OSSL_CMP_CTX* context, const CmpSignatureProtection& protection, EVP_PKEY* key) {
  const auto chain = stack_of(protection.chain);
  return OSSL_CMP_CTX_set1_cert(context, protection.certificate.native()) == 1 && OSSL_CMP_CTX_set1_pkey(context, key) == 1 &&
         OSSL_CMP_CTX_set1_extraCertsOut(context, chain.get()) == 1 &&
         OSSL_CMP_CTX_set1_srvCert(context, protection.authority.native()) == 1 &&
         OSSL_CMP_CTX_set_option(context, OSSL_CMP_OPT_DIGEST_ALGNID, NID_sha256) == 1;
}

bool set_secret(OSSL_CMP_CTX* context, const CmpSecretProtection& protection) {
  const auto reference = as_bytes(protection.reference);
  const auto secret = protection.secret.reveal();
  return OSSL_CMP_CTX_set1_referenceValue(context, reference.data(), int_size(reference.size())) == 1 &&
         OSSL_CMP_CTX_set1_secretValue(context, secret.data(), int_size(secret.size())) == 1 &&
         OSSL_CMP_CTX_set_option(context, OSSL_CMP_OPT_OWF_ALGNID, NID_sha256) == 1 &&
         OSSL_CMP_CTX_set_option(context, OSSL_CMP_OPT_MAC_ALGNID, NID_hmacWithSHA256) == 1;
}

}  // namespace

CmpTransaction::CmpTransaction(std::shared_ptr<const CmpParty> of) : party(std::move(of)) { begin_call(); }

void CmpTransaction::begin_call() {
  ERR_clear_error();
  exchange_failure.reset();
  ends = party->clock->now() + party->config.deadline;
}

std::chrono::seconds CmpTransaction::left() const { return ends - party->clock->now(); }

Result<CmpMessage> CmpTransaction::carry(const OSSL_CMP_MSG* message) {
  if (refused_by("cmp.deadline", left() <= std::chrono::seconds(0)))
    return Error{ErrorCode::busy, "the CA has not finished before the deadline"};
  const Bytes encoded = encode_with(message, i2d_OSSL_CMP_MSG);
  const bool confirmation = OSSL_CMP_MSG_get_bodytype(message) == cmp_body_cert_conf;
  if (confirmation) {
    issued.confirmation = encoded;
    const auto noted = journal.keep(issued);
    // A refusal goes out whether or not it is noted.
    if (!noted && issued.taken) return noted.error();
  }
  const auto answer = party->exchange(encoded);
  auto parsed = answer ? parse_cmp_answer(*answer, party->config.secret.has_value()) : Result<CmpMessage>(answer.error());
  if (!parsed) return parsed.error();
  const auto header = read_cmp_header(parsed->get());
  implicit = header && header->implicit_confirm;
  if (confirmation && !issued.taken) {
    const auto said = read_cmp_confirmation(context.get(), message, parsed->get());
    // `certConfirmed`, said of a certificate that was just refused, means that it is in force there: it stays open, and is revoked.
    const bool in_force = refused_by("cmp.confirmation.refusal", OSSL_CMP_MSG_get_bodytype(parsed->get()) != cmp_body_pki_conf);
    if (said && *said == CmpConfirmation::confirmed && !in_force) {
      refusal_heard = true;
      journal.refused();
    }
  }
  return parsed;
}

std::optional<Error> CmpTransaction::judge(const X509* certificate) {
  const OwnedStack extra(OSSL_CMP_CTX_get1_extraCertsIn(context.get()));
  issued = {.certificates = {encode_with(certificate, i2d_X509)}, .taken = false, .implicit = implicit};
  for (int index = 0; index < sk_X509_num(extra.get()); ++index)
    issued.certificates.push_back(encode_with(sk_X509_value(extra.get(), index), i2d_X509));
  const int status = OSSL_CMP_CTX_get_status(context.get());
  const bool granted =
      status == OSSL_CMP_PKISTATUS_accepted || (status == OSSL_CMP_PKISTATUS_grantedWithMods && party->config.allow_modifications);
  auto path = refused_by("cmp.issued.modified", !granted)
                  ? Result<std::vector<Bytes>>(Error{ErrorCode::certificate_invalid, status == OSSL_CMP_PKISTATUS_grantedWithMods
                                                                                         ? "the CA granted the request with modifications"
                                                                                         : "the CA gave the certificate with a warning"})
                  : check_issued_chain(issued.certificates, *asked, party->config.rules, party->clock->now());
  issued.taken = static_cast<bool>(path);
  // Refused or not: where this is lost, the certificate stands in nobody's record but the authority's.
  const auto noted = journal.keep(issued);
  if (refused_by("cmp.issued.kept", path && !noted)) {
    issued.taken = false;
    return noted.error();
  }
  if (!path) return path.error();
  kept = std::move(*path);
  return std::nullopt;
}

Error CmpTransaction::failure() const {
  const std::string noted = reasons();
  if (verdict) return *verdict;
  if (exchange_failure) return *exchange_failure;
  if (OSSL_CMP_CTX_get_status(context.get()) == OSSL_CMP_PKISTATUS_rejection) {
    std::array<char, OSSL_CMP_PKISI_BUFLEN> text{};
    const char* const said = OSSL_CMP_CTX_snprint_PKIStatus(context.get(), text.data(), text.size());
    return {ErrorCode::not_authorised, "the CA refused: " + tamed(said == nullptr ? "" : said)};
  }
  return {ErrorCode::internal, "the CA's answer is not believed: " + noted};
}

Result<std::unique_ptr<CmpTransaction>> open_cmp_transaction(const std::shared_ptr<const CmpParty>& party) {
  const auto& config = party->config;
  const auto now = party->clock->now();
  if (config.signature) {
    const auto& pinned = config.signature->authority;
    // OpenSSL takes the signature of a pinned certificate whatever its age is.
    if (refused_by("cmp.authority.validity", now < pinned.not_before() || now > pinned.not_after()))
      return Error{ErrorCode::configuration, "the pinned certificate of the CA's protection is not valid now"};
  }
  auto transaction = std::make_unique<CmpTransaction>(party);
  transaction->context.reset(OSSL_CMP_CTX_new(nullptr, nullptr));
  auto* const raw = transaction->context.get();
  const bool made = raw != nullptr && OSSL_CMP_CTX_set_log_cb(raw, keep_quiet) == 1 && OSSL_CMP_CTX_set_transfer_cb(raw, transfer) == 1 &&
                    OSSL_CMP_CTX_set_transfer_cb_arg(raw, transaction.get()) == 1 && OSSL_CMP_CTX_set_certConf_cb(raw, confirm) == 1 &&
                    OSSL_CMP_CTX_set_certConf_cb_arg(raw, transaction.get()) == 1 &&
                    OSSL_CMP_CTX_set_option(raw, OSSL_CMP_OPT_UNPROTECTED_ERRORS, 0) == 1 &&
                    OSSL_CMP_CTX_set_option(raw, OSSL_CMP_OPT_IGNORE_KEYUSAGE, 0) == 1 &&
                    (config.signature ? set_signature(raw, *config.signature, party->private_key.get()) : set_secret(raw, *config.secret));
  if (!made) return refusal(ErrorCode::internal, "a CMP transaction does not start");
  return transaction;
}

Result<CmpConfirmation> read_cmp_confirmation(OSSL_CMP_CTX* context, const OSSL_CMP_MSG* confirmation, const OSSL_CMP_MSG* answer) {
  const auto not_believed = [](std::string_view why) {
    return Error{ErrorCode::internal, "the CA's answer is not believed: " + std::string(why)};
  };
  if (refused_by("cmp.confirmation.protection", OSSL_CMP_validate_msg(context, answer) != 1)) return not_believed(reasons());
  const auto ours = read_cmp_header(confirmation);
  const auto theirs = read_cmp_header(answer);
  if (!ours || !theirs) return not_believed("its header does not parse");
  if (refused_by("cmp.confirmation.transaction", ours->transaction_id.empty() || ours->transaction_id != theirs->transaction_id))
    return not_believed("another transaction");
  if (refused_by("cmp.confirmation.nonce", ours->sender_nonce.empty() || ours->sender_nonce != theirs->recipient_nonce))
    return not_believed("another message is answered");
  const int type = OSSL_CMP_MSG_get_bodytype(answer);
  if (type == cmp_body_pki_conf || (read_cmp_failure(answer) & says_confirmed) != 0) return CmpConfirmation::confirmed;
  if (type == cmp_body_error) return CmpConfirmation::unknown;
  return not_believed("neither a confirmation nor an error");
}

}  // namespace intaglio::crypto::detail
