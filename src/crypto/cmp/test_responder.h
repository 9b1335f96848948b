#pragma once

#include <openssl/cmp.h>
#include <openssl/pem.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "crypto/cmp/client.h"
#include "crypto/cmp/message.h"
#include "crypto/detail/asn1_read.h"
#include "crypto/detail/openssl.h"
#include "crypto/detail/x509.h"
#include "crypto/test_support.h"

/// A certification authority that speaks CMP by OpenSSL's server API and really issues, with keys that end with the test. No product code
/// includes it.
namespace intaglio::crypto::testing {

/// What a certificate says; a test spoils one member.
struct CertificateDraft {
  std::string issuer, subject;  ///< commonName; ignored where subject_der is set
  Bytes subject_der;
  bool ca = false;
  Bytes usage = der::bit_string(Bytes{0x40}, 6);  ///< nonRepudiation
  Bytes serial{0x5A, 1, 2, 3};
  std::int64_t not_before = 1767225600;  ///< 2026-01-01
  std::int64_t not_after = 1830297600;   ///< 2028-01-01
  std::vector<Bytes> more{};             ///< extensions
};

/// extendedKeyUsage with one purpose.
inline Bytes purpose_extension(std::string_view oid) {
  return der::sequence({der::oid("2.5.29.37"), der::octet_string(der::sequence({der::oid(oid)}))});
}

inline Bytes name_of_common(const std::string& text) { return *encode_name({{"2.5.4.6", "DE"}, {"2.5.4.3", text}}); }

inline Certificate make_certificate(const CertificateDraft& draft, ByteView spki, const Signer& signer) {
  const auto extension = [](std::string_view oid, ByteView value) {
    return der::sequence({der::oid(oid), der::boolean(true), der::octet_string(value)});
  };
  const Bytes constraints = draft.ca ? der::sequence({der::boolean(true)}) : der::sequence(std::initializer_list<ByteView>{});
  std::vector<Bytes> members{extension("2.5.29.19", constraints), extension("2.5.29.15", draft.usage)};
  members.insert(members.end(), draft.more.begin(), draft.more.end());
  const Bytes extensions = der::sequence(members);
  const Bytes validity = der::sequence({der::time(from_unix_seconds(draft.not_before)), der::time(from_unix_seconds(draft.not_after))});
  const Bytes subject = draft.subject_der.empty() ? name_of_common(draft.subject) : draft.subject_der;
  const Bytes tbs = der::sequence({der::explicit_tag(0, der::integer(2)), der::tagged(0x02, draft.serial),
                                   algorithm_identifier(SignatureSuite::ecdsa_sha256), name_of_common(draft.issuer), validity, subject,
                                   spki, der::explicit_tag(3, extensions)});
  const auto signature = signer.sign(SignatureSuite::ecdsa_sha256, tbs);
  return *Certificate::parse_der(assemble_signed(tbs, SignatureSuite::ecdsa_sha256, *signature));
}

inline Bytes request_of(const std::string& subject, const Signer& key) {
  const Bytes info = *encode_csr_info(name_of_common(subject), key.public_key());
  return *assemble_csr(info, SignatureSuite::ecdsa_sha256, *key.sign(SignatureSuite::ecdsa_sha256, info));
}

struct CmpIdentity {
  std::shared_ptr<SoftwareKey> key;
  Certificate certificate;
};

class CmpResponder {
 public:
  struct FreeMessage {
    void operator()(OSSL_CMP_MSG* message) const noexcept { OSSL_CMP_MSG_free(message); }
  };
  using Message = std::unique_ptr<OSSL_CMP_MSG, FreeMessage>;
  static constexpr std::int64_t start = 1795171200;  ///< 2026-11-20

  CmpResponder() {
    OSSL_CMP_SRV_CTX* const raw = context_.get();
    if (raw == nullptr || OSSL_CMP_SRV_CTX_init(raw, this, on_request, on_revocation, nullptr, on_error, on_confirmation, on_poll) != 1)
      panic("no CMP server");
    OSSL_CMP_CTX_set_log_cb(server(), [](const char*, const char*, int, OSSL_CMP_severity, const char*) { return 1; });
    protect_with(protection);
    OSSL_CMP_CTX_set0_trustedStore(server(), detail::store_of({root.certificate}, from_unix_seconds(start)).release());
  }
  CmpResponder(const CmpResponder&) = delete;
  CmpResponder& operator=(const CmpResponder&) = delete;

  /// A client's configuration that fits.
  [[nodiscard]] CmpConfig client_config() const {
    CmpConfig config;
    config.signature.emplace(CmpSignatureProtection{client.certificate, {}, *client.key->encode_pem(), protection.certificate});
    config.rules = {{issuing.certificate}, {root.certificate}, std::chrono::hours(24 * 365 * 3)};
    return config;
  }
  /// The same by a shared secret.
  [[nodiscard]] CmpConfig secret_config(std::string_view ours, std::string_view theirs) const {
    const auto secret = as_bytes(theirs);
    OSSL_CMP_CTX_set1_secretValue(server(), secret.data(), static_cast<int>(secret.size()));
    auto config = client_config();
    config.signature.reset();
    config.secret.emplace(CmpSecretProtection{"ra", Secret(as_bytes(ours))});
    return config;
  }
  void protect_with(const CmpIdentity& identity) const {
    const auto pem = *identity.key->encode_pem();
    const detail::BioHandle input(BIO_new_mem_buf(pem.reveal().data(), static_cast<int>(pem.size())));
    const detail::KeyHandle key(PEM_read_bio_PrivateKey(input.get(), nullptr, nullptr, nullptr));
    if (OSSL_CMP_CTX_set1_cert(server(), identity.certificate.native()) != 1 || OSSL_CMP_CTX_set1_pkey(server(), key.get()) != 1)
      panic("no protection for the CMP server");
  }
  /// From here on its words are protected by this secret and by nothing else.
  void protect_by_secret(std::string_view text) const {
    const auto secret = as_bytes(text);
    if (OSSL_CMP_CTX_set1_secretValue(server(), secret.data(), static_cast<int>(secret.size())) != 1) panic("no secret");
  }
  void protect_by_signature() const {
    // OpenSSL protects by a secret where it has one.
    if (OSSL_CMP_CTX_set1_secretValue(server(), nullptr, 0) != 1) panic("the secret stays");
  }
  /// In place of the answer: an error of this number (PKIFailureInfo) in the request's transaction.
  void answer_with_failure(Message& reply, const OSSL_CMP_MSG* request, unsigned failure, const Bytes& nonce = {}) const {
    const auto header = *detail::read_sequence(detail::encode_with(OSSL_CMP_MSG_get0_header(reply.get()), i2d_OSSL_CMP_PKIHEADER));
    const auto asked_with = *detail::read_cmp_header(request);
    std::vector<Bytes> members;
    for (const auto& member : header) {
      if (members.size() < 3 || member.front() < 0xA4) members.push_back(member);
    }
    members.push_back(der::explicit_tag(4, der::octet_string(asked_with.transaction_id)));
    members.push_back(der::explicit_tag(5, der::octet_string(Bytes(16, 0x17))));
    members.push_back(der::explicit_tag(6, der::octet_string(nonce.empty() ? asked_with.sender_nonce : nonce)));
    Bytes bits(failure / 8 + 1);
    bits.back() = static_cast<std::uint8_t>(0x80U >> (failure % 8));
    const Bytes said = der::sequence({der::integer(std::uint64_t{OSSL_CMP_PKISTATUS_rejection}), der::bit_string(bits, 7 - failure % 8)});
    reply = parse(der::sequence({der::sequence(members), der::explicit_tag(23, der::sequence({said}))}));
    protect_anew(reply, asked_with.transaction_id);
  }
  /// generalInfo says that no confirmation is waited for (RFC 4210, 5.1.1.1); OpenSSL's server does so only for who asks for it.
  void add_implicit_confirm(Message& reply) const {
    const auto members = *detail::read_sequence(detail::encode_with(reply.get(), i2d_OSSL_CMP_MSG));
    auto header = *detail::read_sequence(members.front());
    const auto transaction = detail::read_cmp_header(reply.get())->transaction_id;
    header.push_back(der::explicit_tag(8, der::sequence({der::sequence({der::oid("1.3.6.1.5.5.7.4.13"), der::null()})})));
    std::vector<Bytes> changed{der::sequence(header), members[1]};
    if (members.back().front() == 0xA1) changed.push_back(members.back());
    reply = parse(der::sequence(changed));
    protect_anew(reply, transaction);
  }
  void protect_anew(Message& reply, const Bytes& transaction_id) const {
    const std::unique_ptr<ASN1_OCTET_STRING, detail::Freed<ASN1_OCTET_STRING_free>> transaction(ASN1_OCTET_STRING_new());
    ASN1_OCTET_STRING_set(transaction.get(), transaction_id.data(), static_cast<int>(transaction_id.size()));
    if (!reply || OSSL_CMP_CTX_set1_transactionID(server(), transaction.get()) != 1 ||
        OSSL_CMP_MSG_update_transactionID(server(), reply.get()) != 1)
      panic("a message is not protected anew");
  }
  [[nodiscard]] OSSL_CMP_CTX* server() const { return OSSL_CMP_SRV_CTX_get0_cmp_ctx(context_.get()); }
  [[nodiscard]] OSSL_CMP_SRV_CTX* service() const { return context_.get(); }

  /// One message in, one out.
  [[nodiscard]] Result<Bytes> answer(ByteView message) {
    const Message request = parse(message);
    if (!request) return Error{ErrorCode::internal, "the client sent no CMP message"};
    asked.push_back(OSSL_CMP_MSG_get_bodytype(request.get()));
    last_request = to_bytes(message);
    Message reply(OSSL_CMP_SRV_process_request(context_.get(), request.get()));
    if (!reply) return Error{ErrorCode::busy, "the CMP server gave no answer"};
    if (grant_implicit_confirm && OSSL_CMP_MSG_get_bodytype(reply.get()) == 3) add_implicit_confirm(reply);  // cp
    if (change) change(reply, request.get());
    if (!reply) return Error{ErrorCode::busy, "the answer was lost"};
    Bytes encoded = detail::encode_with(reply.get(), i2d_OSSL_CMP_MSG);
    return spoil ? spoil(std::move(encoded)) : encoded;
  }
  static Message parse(ByteView message) {
    const unsigned char* at = message.data();
    return Message(d2i_OSSL_CMP_MSG(nullptr, &at, static_cast<long>(message.size())));
  }

  static CmpIdentity make_authority(const std::string& name, const CmpIdentity* by, std::uint8_t serial) {
    const auto key = *SoftwareKey::generate();
    CertificateDraft content;
    content.issuer = by == nullptr ? name : *by->certificate.subject_attribute("2.5.4.3");
    content.subject = name;
    content.ca = true;
    content.usage = der::bit_string(Bytes{0x06}, 1);
    content.serial = {0x11, serial};
    return {key, make_certificate(content, key->public_key().spki(), by == nullptr ? *key : *by->key)};
  }
  static CmpIdentity make_party(const std::string& name, const CmpIdentity& by, std::uint8_t serial) {
    const auto key = *SoftwareKey::generate();
    CertificateDraft content;
    content.issuer = *by.certificate.subject_attribute("2.5.4.3");
    content.subject = name;
    content.usage = der::bit_string(Bytes{0x80}, 7);
    content.serial = {0x22, serial};
    return {key, make_certificate(content, key->public_key().spki(), *by.key)};
  }

  CmpIdentity root = make_authority("Test Root", nullptr, 1);
  CmpIdentity issuing = make_authority("Test Issuing", &root, 2);
  CmpIdentity stranger = make_authority("Test Other", &root, 3);  ///< under the same root, and in no client's configuration
  CmpIdentity protection = make_party("Test CMP", root, 4);
  CmpIdentity client = make_party("Test RA", root, 5);

  std::function<void(CertificateDraft&)> draft;                        ///< spoils what is certified
  std::function<void(Message& reply, const OSSL_CMP_MSG* request)> change;  ///< spoils the answer
  std::function<Bytes(Bytes)> spoil;                                   ///< spoils the answer's octets
  std::shared_ptr<SoftwareKey> certify_instead;                        ///< another key than the request's
  const CmpIdentity* issue_by = &issuing;
  std::vector<Certificate> sent_along{};
  int status = OSSL_CMP_PKISTATUS_accepted;  ///< of what is asked for
  int revocation_failure = OSSL_CMP_PKIFAILUREINFO_certRevoked;  ///< of a revocation that is refused
  bool grant_implicit_confirm = false;
  int waits = 0;                             ///< how often the client is told to come back
  std::int64_t check_after = 1;

  std::vector<int> asked;          ///< body types of what the client sent
  Bytes last_request;
  std::vector<std::string> confirmed;  ///< each certConf, in OpenSSL's words
  std::vector<std::string> revoked;    ///< serial numbers

 private:
  struct FreeService {
    void operator()(OSSL_CMP_SRV_CTX* context) const noexcept { OSSL_CMP_SRV_CTX_free(context); }
  };
  static CmpResponder& self(OSSL_CMP_SRV_CTX* context) { return *static_cast<CmpResponder*>(OSSL_CMP_SRV_CTX_get0_custom_ctx(context)); }

  static OSSL_CMP_PKISI* on_request(OSSL_CMP_SRV_CTX* context, const OSSL_CMP_MSG* request, int, const OSSL_CRMF_MSG*, const X509_REQ* csr,
                                    X509** certificate, STACK_OF(X509) * *chain, STACK_OF(X509) **) {
    auto& me = self(context);
    if (me.waits > 0) {
      me.parked_.reset(OSSL_CMP_MSG_dup(request));
      return OSSL_CMP_STATUSINFO_new(OSSL_CMP_PKISTATUS_waiting, 0, nullptr);
    }
    if (me.status == OSSL_CMP_PKISTATUS_rejection)
      return OSSL_CMP_STATUSINFO_new(me.status, 1 << OSSL_CMP_PKIFAILUREINFO_badCertTemplate, "not this person");
    const auto asked_for = parse_csr(detail::encode_with(csr, i2d_X509_REQ));
    if (!asked_for) return nullptr;
    CertificateDraft content;
    content.issuer = *me.issue_by->certificate.subject_attribute("2.5.4.3");
    content.subject_der = asked_for->subject_der;
    if (me.draft) me.draft(content);
    const auto& spki = me.certify_instead ? me.certify_instead->public_key().spki() : asked_for->key.spki();
    const auto made = make_certificate(content, spki, *me.issue_by->key);
    *certificate = X509_dup(made.native());
    *chain = X509_chain_up_ref(detail::stack_of(me.sent_along).get());
    return OSSL_CMP_STATUSINFO_new(me.status, 0, nullptr);
  }
  static OSSL_CMP_PKISI* on_revocation(OSSL_CMP_SRV_CTX* context, const OSSL_CMP_MSG*, const X509_NAME*, const ASN1_INTEGER* serial) {
    auto& me = self(context);
    if (me.status == OSSL_CMP_PKISTATUS_rejection) return OSSL_CMP_STATUSINFO_new(me.status, 1 << me.revocation_failure, "revoked before");
    me.revoked.push_back(detail::read_serial(serial));
    return OSSL_CMP_STATUSINFO_new(OSSL_CMP_PKISTATUS_accepted, 0, nullptr);
  }
  static void on_error(OSSL_CMP_SRV_CTX*, const OSSL_CMP_MSG*, const OSSL_CMP_PKISI*, const ASN1_INTEGER*, const OSSL_CMP_PKIFREETEXT*) {}
  static int on_confirmation(OSSL_CMP_SRV_CTX* context, const OSSL_CMP_MSG*, int, const ASN1_OCTET_STRING*, const OSSL_CMP_PKISI* said) {
    std::array<char, OSSL_CMP_PKISI_BUFLEN> text{};
    const char* const words = said == nullptr ? nullptr : OSSL_CMP_snprint_PKIStatusInfo(said, text.data(), text.size());
    self(context).confirmed.emplace_back(words == nullptr ? "" : words);
    return 1;
  }
  static int on_poll(OSSL_CMP_SRV_CTX* context, const OSSL_CMP_MSG*, int, OSSL_CMP_MSG** request, std::int64_t* check_after) {
    auto& me = self(context);
    *request = nullptr;
    *check_after = me.check_after;
    if (--me.waits > 0) return 1;
    *request = me.parked_.release();
    *check_after = 0;
    return 1;
  }

  std::unique_ptr<OSSL_CMP_SRV_CTX, FreeService> context_{OSSL_CMP_SRV_CTX_new(nullptr, nullptr)};
  Message parked_;
};

}  // namespace intaglio::crypto::testing
