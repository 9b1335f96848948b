#include "crypto/cmp/client.h"

#include <openssl/cmp.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "crypto/detail/asn1_read.h"
#include "crypto/detail/openssl.h"
#include "crypto/detail/x509.h"

namespace intaglio::crypto {
namespace {

using Context = std::unique_ptr<OSSL_CMP_CTX, detail::Freed<OSSL_CMP_CTX_free>>;
using Message = std::unique_ptr<OSSL_CMP_MSG, detail::Freed<OSSL_CMP_MSG_free>>;
using Request = std::unique_ptr<X509_REQ, detail::Freed<X509_REQ_free>>;
struct FreeOwned {
  void operator()(STACK_OF(X509) * stack) const noexcept { sk_X509_pop_free(stack, X509_free); }
};
using OwnedStack = std::unique_ptr<STACK_OF(X509), FreeOwned>;

constexpr std::size_t max_told = 300;  // of what the authority says in its own words
constexpr std::uint8_t extra_certificates_tag = 0xA1;  // extraCerts [1] of PKIMessage (RFC 4210, 5.1)

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

/// How many certificates a PKIMessage brings along outside its body.
Result<std::size_t> count_extra_certificates(ByteView message) {
  const auto members = detail::read_sequence(message);
  if (!members) return members.error();
  // Header and body come first, and the body may have the same tag.
  const auto found = std::find_if(members->begin() + std::min<std::ptrdiff_t>(2, std::ssize(*members)), members->end(),
                                  [](const Bytes& member) { return member.front() == extra_certificates_tag; });
  if (found == members->end()) return std::size_t{0};
  const unsigned char* at = found->data();
  long length = 0;
  int tag = 0;
  int tag_class = 0;
  if ((ASN1_get_object(&at, &length, &tag, &tag_class, static_cast<long>(found->size())) & 0x80) != 0)
    return Error{ErrorCode::invalid_request, "extraCerts does not parse"};
  const auto certificates = detail::read_sequence(ByteView(at, static_cast<std::size_t>(length)));
  if (!certificates) return certificates.error();
  return certificates->size();
}

Result<Message> parse_answer(ByteView answer) {
  if (refused_by("cmp.answer.size", answer.size() > max_cmp_message_bytes))
    return Error{ErrorCode::too_large, "the CA's message has more than 64 KiB"};
  const unsigned char* at = answer.data();
  Message message(answer.empty() ? nullptr : d2i_OSSL_CMP_MSG(nullptr, &at, static_cast<long>(answer.size())));
  if (!message) return detail::refusal(ErrorCode::internal, "the CA's answer is no CMP message");
  if (refused_by("cmp.answer.trailing_bytes", at != answer.data() + answer.size()))
    return Error{ErrorCode::internal, "bytes after the CA's message"};
  const auto count = count_extra_certificates(answer);
  if (!count) return Error{ErrorCode::internal, "the CA's message: " + count.error().detail};
  if (refused_by("cmp.answer.extra_certificates", *count > max_cmp_extra_certificates))
    return Error{ErrorCode::too_large, "the CA's message brings more than 8 certificates along"};
  return message;
}

Result<std::vector<Certificate>> certificates_of(const STACK_OF(X509) * stack) {
  std::vector<Certificate> certificates;
  for (int index = 0; index < sk_X509_num(stack); ++index) {
    auto certificate = Certificate::parse_der(detail::encode_with(sk_X509_value(stack, index), i2d_X509));
    if (!certificate) return certificate.error();
    certificates.push_back(std::move(*certificate));
  }
  return certificates;
}

int keep_quiet(const char*, const char*, int, OSSL_CMP_severity, const char*) { return 1; }

}  // namespace

struct CmpClient::State {
  CmpConfig config;
  std::shared_ptr<EVP_PKEY> private_key;
  CmpExchange exchange;
  CmpWait wait;
  std::shared_ptr<const Clock> clock;
};

namespace {

/// One transaction: what OpenSSL's callbacks reach through the context.
struct Transaction {
  const CmpConfig& config;
  const CmpExchange& exchange;
  const Clock& clock;
  UnixTime ends;
  std::optional<CertificateRequest> asked{};
  std::optional<Error> exchange_failure{}, verdict{};
  std::vector<Bytes> kept{};

  [[nodiscard]] std::chrono::seconds left() const { return ends - clock.now(); }
  [[nodiscard]] Result<Bytes> carry(const OSSL_CMP_MSG* message) const {
    if (refused_by("cmp.deadline", left() <= std::chrono::seconds(0)))
      return Error{ErrorCode::busy, "the CA has not finished before the deadline"};
    return exchange(detail::encode_with(message, i2d_OSSL_CMP_MSG));
  }
};

/// No exception passes through OpenSSL's frames.
OSSL_CMP_MSG* transfer(OSSL_CMP_CTX* context, const OSSL_CMP_MSG* message) noexcept {
  auto& transaction = *static_cast<Transaction*>(OSSL_CMP_CTX_get_transfer_cb_arg(context));
  try {
    const auto answer = transaction.carry(message);
    auto parsed = answer ? parse_answer(*answer) : Result<Message>(answer.error());
    if (parsed) return parsed->release();
    transaction.exchange_failure = parsed.error();
  } catch (const std::exception&) {
    transaction.exchange_failure = Error{ErrorCode::internal, "no memory for the CA's message"};
  }
  return nullptr;
}

Result<std::vector<Bytes>> judge(const Transaction& transaction, OSSL_CMP_CTX* context, const X509* issued) {
  const int status = OSSL_CMP_CTX_get_status(context);
  const bool granted =
      status == OSSL_CMP_PKISTATUS_accepted || (status == OSSL_CMP_PKISTATUS_grantedWithMods && transaction.config.allow_modifications);
  if (refused_by("cmp.issued.modified", !granted))
    return Error{ErrorCode::certificate_invalid, status == OSSL_CMP_PKISTATUS_grantedWithMods
                                                     ? "the CA granted the request with modifications"
                                                     : "the CA gave the certificate with a warning"};
  const OwnedStack extra(OSSL_CMP_CTX_get1_extraCertsIn(context));
  auto others = certificates_of(extra.get());
  if (!others) return others.error();
  auto certificate = Certificate::parse_der(detail::encode_with(issued, i2d_X509));
  if (!certificate) return certificate.error();
  return check_issued({std::move(*certificate), std::move(*others)}, *transaction.asked, transaction.config.rules, transaction.clock.now());
}

/// What comes back from here goes into certConf (RFC 4210, 5.3.18): 0 confirms, a bit of PKIFailureInfo refuses. OpenSSL's own opinion of
/// the key is not asked for: ours is stricter and is the one that the tests know.
int confirm(OSSL_CMP_CTX* context, X509* issued, int /*opinion*/, const char** text) noexcept {
  auto& transaction = *static_cast<Transaction*>(OSSL_CMP_CTX_get_certConf_cb_arg(context));
  try {
    auto kept = judge(transaction, context, issued);
    if (kept) {
      transaction.kept = std::move(*kept);
      *text = nullptr;
      return 0;
    }
    transaction.verdict = kept.error();
  } catch (const std::exception&) {
    transaction.verdict = Error{ErrorCode::internal, "no memory for the CA's certificate"};
  }
  *text = "refused by the registration authority";
  return 1 << OSSL_CMP_PKIFAILUREINFO_badCertTemplate;
}

bool set_signature(OSSL_CMP_CTX* context, const CmpSignatureProtection& protection, EVP_PKEY* key) {
  const auto chain = detail::stack_of(protection.chain);
  return OSSL_CMP_CTX_set1_cert(context, protection.certificate.native()) == 1 && OSSL_CMP_CTX_set1_pkey(context, key) == 1 &&
         OSSL_CMP_CTX_set1_extraCertsOut(context, chain.get()) == 1 &&
         OSSL_CMP_CTX_set1_srvCert(context, protection.authority.native()) == 1 &&
         OSSL_CMP_CTX_set_option(context, OSSL_CMP_OPT_DIGEST_ALGNID, NID_sha256) == 1;
}

bool set_secret(OSSL_CMP_CTX* context, const CmpSecretProtection& protection) {
  const auto reference = as_bytes(protection.reference);
  const auto secret = protection.secret.reveal();
  return OSSL_CMP_CTX_set1_referenceValue(context, reference.data(), detail::int_size(reference.size())) == 1 &&
         OSSL_CMP_CTX_set1_secretValue(context, secret.data(), detail::int_size(secret.size())) == 1 &&
         OSSL_CMP_CTX_set_option(context, OSSL_CMP_OPT_OWF_ALGNID, NID_sha256) == 1 &&
         OSSL_CMP_CTX_set_option(context, OSSL_CMP_OPT_MAC_ALGNID, NID_hmacWithSHA256) == 1;
}

Result<Context> open_context(const CmpConfig& config, EVP_PKEY* key, Transaction& transaction) {
  ERR_clear_error();
  const auto now = transaction.clock.now();
  if (config.signature) {
    const auto& pinned = config.signature->authority;
    // OpenSSL takes the signature of a pinned certificate whatever its age is.
    if (refused_by("cmp.authority.validity", now < pinned.not_before() || now > pinned.not_after()))
      return Error{ErrorCode::configuration, "the pinned certificate of the CA's protection is not valid now"};
  }
  Context context(OSSL_CMP_CTX_new(nullptr, nullptr));
  auto* const raw = context.get();
  const bool made = raw != nullptr && OSSL_CMP_CTX_set_log_cb(raw, keep_quiet) == 1 && OSSL_CMP_CTX_set_transfer_cb(raw, transfer) == 1 &&
                    OSSL_CMP_CTX_set_transfer_cb_arg(raw, &transaction) == 1 && OSSL_CMP_CTX_set_certConf_cb(raw, confirm) == 1 &&
                    OSSL_CMP_CTX_set_certConf_cb_arg(raw, &transaction) == 1 &&
                    OSSL_CMP_CTX_set_option(raw, OSSL_CMP_OPT_UNPROTECTED_ERRORS, 0) == 1 &&
                    OSSL_CMP_CTX_set_option(raw, OSSL_CMP_OPT_IGNORE_KEYUSAGE, 0) == 1 &&
                    (config.signature ? set_signature(raw, *config.signature, key) : set_secret(raw, *config.secret));
  if (!made) return detail::refusal(ErrorCode::internal, "a CMP transaction does not start");
  return context;
}

/// Why OpenSSL gave up: our own reasons first, as they are the ones that it does not know.
Error failure_of(const Transaction& transaction, const OSSL_CMP_CTX* context) {
  const std::string noted = reasons();
  if (transaction.verdict) return *transaction.verdict;
  if (transaction.exchange_failure) return *transaction.exchange_failure;
  if (OSSL_CMP_CTX_get_status(context) == OSSL_CMP_PKISTATUS_rejection) {
    std::array<char, OSSL_CMP_PKISI_BUFLEN> text{};
    const char* const said = OSSL_CMP_CTX_snprint_PKIStatus(context, text.data(), text.size());
    return {ErrorCode::not_authorised, "the CA refused: " + tamed(said == nullptr ? "" : said)};
  }
  return {ErrorCode::internal, "the CA's answer is not believed: " + noted};
}

}  // namespace

Result<CmpClient> CmpClient::make(CmpConfig config, CmpExchange exchange, CmpWait wait, std::shared_ptr<const Clock> clock) {
  if (config.signature.has_value() == config.secret.has_value())
    return Error{ErrorCode::configuration, "CMP messages are protected by a certificate or by a secret, by one of them"};
  if (config.rules.issuers.empty() || config.rules.anchors.empty())
    return Error{ErrorCode::configuration, "a CMP client without an issuer or an anchor would take nothing"};
  if (config.secret && (config.secret->secret.empty() || config.secret->reference.empty()))
    return Error{ErrorCode::configuration, "an empty CMP secret, or no reference to it"};
  std::shared_ptr<EVP_PKEY> key;
  if (config.signature) {
    const auto pem = config.signature->private_key.reveal();
    const detail::BioHandle input(BIO_new_mem_buf(detail::data_or_empty(pem), detail::int_size(pem.size())));
    key = {PEM_read_bio_PrivateKey(input.get(), nullptr, nullptr, nullptr), detail::Freed<EVP_PKEY_free>()};
    if (!key) return detail::refusal(ErrorCode::configuration, "the CMP key is no private key in PEM");
    if (X509_check_private_key(config.signature->certificate.native(), key.get()) != 1)
      return detail::refusal(ErrorCode::configuration, "the CMP key is not the one of its certificate");
  }
  return CmpClient(
      std::make_shared<const State>(State{std::move(config), std::move(key), std::move(exchange), std::move(wait), std::move(clock)}));
}

Result<std::vector<Bytes>> CmpClient::request(ByteView csr) const {
  auto asked = parse_csr(csr);
  if (!asked) return asked.error();
  const unsigned char* at = csr.data();
  const Request request(d2i_X509_REQ(nullptr, &at, static_cast<long>(csr.size())));
  Transaction transaction{state_->config, state_->exchange, *state_->clock, state_->clock->now() + state_->config.deadline};
  transaction.asked = std::move(*asked);
  const auto opened = open_context(state_->config, state_->private_key.get(), transaction);
  if (!opened) return opened.error();
  auto* const context = opened->get();
  if (!request || OSSL_CMP_CTX_set1_p10CSR(context, request.get()) != 1)
    return detail::refusal(ErrorCode::internal, "the request does not enter a CMP transaction");

  for (std::size_t polls = 0;; ++polls) {
    int check_after = 0;
    const int outcome = OSSL_CMP_try_certreq(context, OSSL_CMP_P10CR, nullptr, &check_after);
    // A certificate counts only when it was judged: OpenSSL asks for that each time, and nothing is kept that it did not ask about.
    if (outcome == 1 && !transaction.verdict && !transaction.kept.empty()) break;
    if (outcome >= 0) return failure_of(transaction, context);
    const std::chrono::seconds pause(std::max(check_after, 1));
    // Each try asks once.
    const bool enough = polls + 1 >= state_->config.max_polls || pause >= transaction.left();
    if (refused_by("cmp.polls", enough)) {
      // RFC 4210, 5.3.21: the authority need not keep what nobody will fetch. Its answer changes nothing here.
      static_cast<void>(OSSL_CMP_try_certreq(context, -1, nullptr, nullptr));
      ERR_clear_error();
      return Error{ErrorCode::busy, "the CA is still waiting; ask again later"};
    }
    state_->wait(pause);
  }
  ERR_clear_error();
  return std::move(transaction.kept);
}

Status CmpClient::revoke(const Certificate& certificate, RevocationReason reason) const {
  Transaction transaction{state_->config, state_->exchange, *state_->clock, state_->clock->now() + state_->config.deadline};
  const auto opened = open_context(state_->config, state_->private_key.get(), transaction);
  if (!opened) return opened.error();
  auto* const context = opened->get();
  if (OSSL_CMP_CTX_set1_oldCert(context, certificate.native()) != 1 ||
      OSSL_CMP_CTX_set_option(context, OSSL_CMP_OPT_REVOCATION_REASON, static_cast<int>(reason)) != 1)
    return detail::refusal(ErrorCode::internal, "the certificate does not enter a CMP transaction");
  if (OSSL_CMP_exec_RR_ses(context) != 1) return failure_of(transaction, context);
  ERR_clear_error();
  return {};
}

}  // namespace intaglio::crypto
