#pragma once

#include <memory>

#include "http/routes.h"
#include "oauth/authorization_endpoint.h"
#include "ssa/csc/authorised_signing.h"
#include "ssa/signer/interaction.h"

namespace intaglio::ssa::signer {

/// A document that its signer signs on the page (api/sic/README.md): the page keeps the document, prepares it, and tells the digest
/// of what is signed and a name. Nothing of the document comes here and nothing of it comes from here: of this service the page takes a
/// certificate, which the transaction must name, and a signature, which the certificate must verify. Thread-safe.
class DocumentSigning {
 public:
  /// `interaction` outlives this object.
  DocumentSigning(std::shared_ptr<oauth::AuthorizationEndpoint> authorization, const Interaction& interaction,
                  std::shared_ptr<const csc::AuthorisedSigning> signing, Rooms rooms)
      : authorization_(std::move(authorization)), interaction_(interaction), signing_(std::move(signing)), rooms_(std::move(rooms)) {}

  /// From an application: the address of the page for one credential, with a handle that is good once and for 5 minutes.
  [[nodiscard]] http::Response begin(const http::Request& request, const http::Principal& caller) const;
  /// From the page: the handle for a bearer, and with which certificates and suite will be signed.
  [[nodiscard]] http::Response exchange(const http::Request& request) const;
  /// From the page, once for a link: the digest of what is to be signed. Opens the transaction; its bearer takes the place of the first.
  [[nodiscard]] http::Response open(const http::Request& request, const http::Principal& caller) const;
  /// From the page: the SAP message for that transaction; answers with the signature.
  [[nodiscard]] http::Response sign(const http::Request& request, const http::Principal& caller) const;

  /// Whether what waits under a bearer is a document of these pages, and no authorization request of an application.
  [[nodiscard]] static bool holds(const oauth::PendingApproval& pending);

 private:
  [[nodiscard]] Result<std::shared_ptr<const Credential>> usable(const KeyId& key, std::string_view client) const;

  std::shared_ptr<oauth::AuthorizationEndpoint> authorization_;
  const Interaction& interaction_;
  std::shared_ptr<const csc::AuthorisedSigning> signing_;
  Rooms rooms_;
};

}  // namespace intaglio::ssa::signer
