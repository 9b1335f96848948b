#pragma once

#include <variant>

#include "ssa/csc/authorised_signing.h"
#include "ssa/csc/credentials.h"
#include "ssa/csc/kept_answers.h"
#include "ssa/csc/refusal.h"

namespace intaglio::ssa::csc {

/// A signDoc request whose form was checked: digests of documents, not yet of what is signed.
struct SignDocInput {
  std::string sad;                       ///< empty with SadSource::token
  KeyId credential;
  crypto::SignatureSuite suite;          ///< one for all: an authorisation has one hash
  std::vector<Bytes> document_digests;   ///< SDR: of the byte range of a PDF, each of the length of the suite's hash
  Delivery delivery{};
};
/// Body to request value, refusals in the order of the table (CSC API v2, 11.11; csc-api 9.2). Offered is PAdES B-B over
/// documentDigests. Whole documents are refused: what is signed must stand in the approval, and its digest is not known before the
/// document is prepared.
[[nodiscard]] std::variant<SignDocInput, Refusal> parse_sign_doc(const http::Request& request, std::size_t max_hashes, SadSource source);

/// POST signatures/signDoc. The CMS of each document is composed here by the one template of crypto/cms.h, which depends on the digest
/// and the certificate alone: what is signed is known when the signer approves, and the SAM signs nothing else.
class SignDoc {
 public:
  /// `credentials` outlives this object.
  SignDoc(const Credentials& credentials, std::shared_ptr<const AuthorisedSigning> signing, std::shared_ptr<const KeptAnswers> kept,
          std::size_t max_hashes);
  [[nodiscard]] http::Response answer(const http::Request& request, const http::Principal& caller) const;

 private:
  [[nodiscard]] http::Response refuse_documents(const http::Request& request, const KeyId& credential, const Error& error,
                                                SadSource source) const;

  const Credentials& credentials_;
  std::shared_ptr<const AuthorisedSigning> signing_;
  std::shared_ptr<const KeptAnswers> kept_;
  std::size_t max_hashes_;
};

}  // namespace intaglio::ssa::csc
