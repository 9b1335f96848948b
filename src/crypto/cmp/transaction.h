#pragma once

#include <openssl/cmp.h>

#include <memory>
#include <optional>

#include "crypto/cmp/client.h"
#include "crypto/cmp/message.h"

/// A CMP transaction over OpenSSL's client. Private to the room.
namespace intaglio::crypto::detail {

/// What a client has: the same for all of its transactions.
struct CmpParty {
  CmpConfig config;
  std::shared_ptr<EVP_PKEY> private_key;
  CmpExchange exchange;
  std::shared_ptr<const Clock> clock;
};

/// What OpenSSL's callbacks reach through the context; stays where it is while the context lives.
struct CmpTransaction {
  explicit CmpTransaction(std::shared_ptr<const CmpParty> of);

  /// The time of one call begins, and what the last one left is forgotten.
  void begin_call();
  [[nodiscard]] std::chrono::seconds left() const;
  /// One message out and its answer in.
  [[nodiscard]] Result<CmpMessage> carry(const OSSL_CMP_MSG* message);
  /// Whether the certificate may be taken; empty where it may. Nothing is taken that the journal does not keep.
  [[nodiscard]] std::optional<Error> judge(const X509* issued);
  /// Why OpenSSL gave up: our own reasons first, as they are the ones that it does not know.
  [[nodiscard]] Error failure() const;

  std::shared_ptr<const CmpParty> party;
  UnixTime ends{};
  std::optional<CertificateRequest> asked{};
  CmpJournal journal{};
  std::optional<Error> exchange_failure{}, verdict{};
  CmpIssued issued{};
  std::vector<Bytes> kept{};
  bool refusal_heard = false;  ///< the authority ended what was issued
  bool implicit = false;  ///< the last answer waits for no confirmation
  bool waiting = false;
  std::size_t polls = 0;
  std::chrono::seconds check_after{};
  std::unique_ptr<OSSL_CMP_CTX, Freed<OSSL_CMP_CTX_free>> context{};
};

/// Refused (`configuration`) when the pinned certificate is not valid now.
[[nodiscard]] Result<std::unique_ptr<CmpTransaction>> open_cmp_transaction(const std::shared_ptr<const CmpParty>& party);
/// What an authority's answer to certConf says; refused where it is no answer of this authority to that message.
[[nodiscard]] Result<CmpConfirmation> read_cmp_confirmation(OSSL_CMP_CTX* context, const OSSL_CMP_MSG* confirmation,
                                                            const OSSL_CMP_MSG* answer);

}  // namespace intaglio::crypto::detail
