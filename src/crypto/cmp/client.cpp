#include "crypto/cmp/client.h"

#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/cmp/transaction.h"
#include "crypto/detail/asn1_read.h"
#include "crypto/detail/x509.h"

namespace intaglio::crypto {
namespace {

using Request = std::unique_ptr<X509_REQ, detail::Freed<X509_REQ_free>>;

Result<std::shared_ptr<EVP_PKEY>> read_key(const CmpSignatureProtection& protection) {
  const auto pem = protection.private_key.reveal();
  const detail::BioHandle input(BIO_new_mem_buf(detail::data_or_empty(pem), detail::int_size(pem.size())));
  std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(input.get(), nullptr, nullptr, nullptr), detail::Freed<EVP_PKEY_free>());
  if (!key) return detail::refusal(ErrorCode::configuration, "the CMP key is no private key in PEM");
  if (X509_check_private_key(protection.certificate.native(), key.get()) != 1)
    return detail::refusal(ErrorCode::configuration, "the CMP key is not the one of its certificate");
  return key;
}

/// What an authority may say of the time until it is asked again; OpenSSL takes 68 years of it.
constexpr std::chrono::seconds shortest_pause{1}, longest_pause = std::chrono::hours(24);

/// One rr; what the transaction says of it afterwards is the caller's to read.
Result<std::unique_ptr<detail::CmpTransaction>> prepare_revocation(const std::shared_ptr<const detail::CmpParty>& party,
                                                                   const Certificate& certificate, RevocationReason reason) {
  auto transaction = detail::open_cmp_transaction(party);
  if (!transaction) return transaction.error();
  auto* const context = (*transaction)->context.get();
  if (OSSL_CMP_CTX_set1_oldCert(context, certificate.native()) != 1 ||
      OSSL_CMP_CTX_set_option(context, OSSL_CMP_OPT_REVOCATION_REASON, static_cast<int>(reason)) != 1)
    return detail::refusal(ErrorCode::internal, "the certificate does not enter a CMP transaction");
  return transaction;
}

}  // namespace

CmpRequest::CmpRequest(std::unique_ptr<detail::CmpTransaction> transaction) : transaction_(std::move(transaction)) {}
CmpRequest::CmpRequest(CmpRequest&&) noexcept = default;
CmpRequest& CmpRequest::operator=(CmpRequest&&) noexcept = default;
CmpRequest::~CmpRequest() = default;

Result<std::optional<std::vector<Bytes>>> CmpRequest::proceed() {
  auto& transaction = *transaction_;
  auto* const context = transaction.context.get();
  transaction.begin_call();
  const bool polling = transaction.waiting;
  transaction.waiting = false;
  if (refused_by("cmp.polls", polling && transaction.polls >= transaction.party->config.max_polls)) {
    // RFC 4210, 5.3.21: the authority need not keep what nobody will fetch. Its answer changes nothing here.
    static_cast<void>(OSSL_CMP_try_certreq(context, -1, nullptr, nullptr));
    ERR_clear_error();
    return Error{ErrorCode::busy, "the CA was asked often enough and is still waiting; the request is given up"};
  }
  int check_after = 0;
  const int outcome = OSSL_CMP_try_certreq(context, OSSL_CMP_P10CR, nullptr, &check_after);
  // OpenSSL asks once each time, the first time as well.
  ++transaction.polls;
  // A certificate counts only when it was judged: OpenSSL asks for that each time, and nothing is kept that it did not ask about.
  if (outcome == 1 && !transaction.verdict && !transaction.kept.empty()) {
    ERR_clear_error();
    return std::optional(transaction.kept);
  }
  if (outcome >= 0) {
    transaction.waiting = polling && transaction.exchange_failure && transaction.issued.certificates.empty();
    return transaction.failure();
  }
  ERR_clear_error();
  transaction.waiting = true;
  transaction.check_after = std::clamp(std::chrono::seconds(check_after), shortest_pause, longest_pause);
  return std::optional<std::vector<Bytes>>();
}

bool CmpRequest::open() const noexcept { return transaction_->waiting; }
std::optional<CmpIssued> CmpRequest::left_in_force() const {
  const auto& issued = transaction_->issued;
  if (issued.certificates.empty() || issued.taken || transaction_->refusal_heard) return std::nullopt;
  return issued;
}
std::chrono::seconds CmpRequest::check_after() const noexcept { return transaction_->check_after; }

Result<CmpClient> CmpClient::make(CmpConfig config, CmpExchange exchange, std::shared_ptr<const Clock> clock) {
  if (config.signature.has_value() == config.secret.has_value())
    return Error{ErrorCode::configuration, "CMP messages are protected by a certificate or by a secret, by one of them"};
  if (config.rules.issuers.empty() || config.rules.anchors.empty())
    return Error{ErrorCode::configuration, "a CMP client without an issuer or an anchor would take nothing"};
  if (config.secret && (config.secret->secret.empty() || config.secret->reference.empty()))
    return Error{ErrorCode::configuration, "an empty CMP secret, or no reference to it"};
  std::shared_ptr<EVP_PKEY> key;
  if (config.signature) {
    auto read = read_key(*config.signature);
    if (!read) return read.error();
    key = std::move(*read);
  }
  return CmpClient(
      std::make_shared<const detail::CmpParty>(detail::CmpParty{std::move(config), std::move(key), std::move(exchange), std::move(clock)}));
}

Result<CmpRequest> CmpClient::begin(ByteView csr, CmpJournal journal) const {
  auto asked = parse_csr(csr);
  if (!asked) return asked.error();
  const unsigned char* at = csr.data();
  const Request request(d2i_X509_REQ(nullptr, &at, static_cast<long>(csr.size())));
  auto transaction = detail::open_cmp_transaction(party_);
  if (!transaction) return transaction.error();
  if (!request || OSSL_CMP_CTX_set1_p10CSR((*transaction)->context.get(), request.get()) != 1)
    return detail::refusal(ErrorCode::internal, "the request does not enter a CMP transaction");
  (*transaction)->asked = std::move(*asked);
  (*transaction)->journal = std::move(journal);
  return CmpRequest(std::move(*transaction));
}

Result<std::vector<Bytes>> CmpClient::judge(const std::vector<Bytes>& certificates, ByteView csr) const {
  const auto asked = parse_csr(csr);
  if (!asked) return asked.error();
  return check_issued_chain(certificates, *asked, party_->config.rules, party_->clock->now());
}

Result<CmpConfirmation> CmpClient::confirm_again(ByteView confirmation) const {
  const unsigned char* at = confirmation.data();
  const detail::CmpMessage ours(confirmation.empty() ? nullptr : d2i_OSSL_CMP_MSG(nullptr, &at, static_cast<long>(confirmation.size())));
  if (!ours) return detail::refusal(ErrorCode::internal, "the kept confirmation does not parse");
  const auto transaction = detail::open_cmp_transaction(party_);
  if (!transaction) return transaction.error();
  const auto answer = party_->exchange(confirmation);
  if (!answer) return answer.error();
  const auto parsed = detail::parse_cmp_answer(*answer, party_->config.secret.has_value());
  if (!parsed) return parsed.error();
  auto said = detail::read_cmp_confirmation((*transaction)->context.get(), ours.get(), parsed->get());
  ERR_clear_error();
  return said;
}

Status CmpClient::revoke(const Certificate& certificate, RevocationReason reason) const {
  const auto transaction = prepare_revocation(party_, certificate, reason);
  if (!transaction) return transaction.error();
  if (OSSL_CMP_exec_RR_ses((*transaction)->context.get()) != 1) return (*transaction)->failure();
  ERR_clear_error();
  return {};
}

Status CmpClient::withdraw(const Certificate& certificate) const {
  const auto transaction = prepare_revocation(party_, certificate, RevocationReason::cessation_of_operation);
  if (!transaction) return transaction.error();
  auto* const context = (*transaction)->context.get();
  if (OSSL_CMP_exec_RR_ses(context) != 1) {
    auto failure = (*transaction)->failure();
    const int said = OSSL_CMP_CTX_get_failInfoCode(context);
    const bool revoked = failure.code == ErrorCode::not_authorised && said >= 0 && (said & (1 << OSSL_CMP_PKIFAILUREINFO_certRevoked)) != 0;
    if (!revoked) return failure;
  }
  ERR_clear_error();
  return {};
}

}  // namespace intaglio::crypto
