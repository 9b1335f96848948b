#include "crypto/revocation.h"

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/detail/asn1_read.h"
#include "crypto/detail/openssl.h"

namespace intaglio::crypto {

namespace {

using detail::Freed;
using detail::refusal;

using CrlHandle = std::unique_ptr<X509_CRL, Freed<X509_CRL_free>>;
using IntegerHandle = std::unique_ptr<ASN1_INTEGER, Freed<ASN1_INTEGER_free>>;
using EnumeratedHandle = std::unique_ptr<ASN1_ENUMERATED, Freed<ASN1_ENUMERATED_free>>;
using RequestHandle = std::unique_ptr<OCSP_REQUEST, Freed<OCSP_REQUEST_free>>;
using ResponseHandle = std::unique_ptr<OCSP_RESPONSE, Freed<OCSP_RESPONSE_free>>;
using BasicHandle = std::unique_ptr<OCSP_BASICRESP, Freed<OCSP_BASICRESP_free>>;
using CertificateIdHandle = std::unique_ptr<OCSP_CERTID, Freed<OCSP_CERTID_free>>;
using GeneralizedTimeHandle = std::unique_ptr<ASN1_GENERALIZEDTIME, Freed<ASN1_GENERALIZEDTIME_free>>;
using StoreHandle = std::unique_ptr<X509_STORE, Freed<X509_STORE_free>>;
using ChainHandle = std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * chain) { sk_X509_free(chain); })>;

struct ReasonName {
  RevocationReason reason;
  std::string_view name;
};
constexpr std::array<ReasonName, 10> reason_names = {{
    {RevocationReason::unspecified, "unspecified"},
    {RevocationReason::key_compromise, "keyCompromise"},
    {RevocationReason::ca_compromise, "cACompromise"},
    {RevocationReason::affiliation_changed, "affiliationChanged"},
    {RevocationReason::superseded, "superseded"},
    {RevocationReason::cessation_of_operation, "cessationOfOperation"},
    {RevocationReason::certificate_hold, "certificateHold"},
    {RevocationReason::remove_from_crl, "removeFromCRL"},
    {RevocationReason::privilege_withdrawn, "privilegeWithdrawn"},
    {RevocationReason::aa_compromise, "aACompromise"},
}};

Result<RevocationReason> reason_from(long number) {
  for (const ReasonName& each : reason_names) {
    if (static_cast<long>(each.reason) == number) return each.reason;
  }
  return Error{ErrorCode::invalid_request, "an unknown revocation reason: " + std::to_string(number)};
}

Result<CrlHandle> parse_native_crl(ByteView der) {
  if (der.empty() || der.size() > max_crl_bytes) return Error{ErrorCode::too_large, "a revocation list is empty or longer than 16 MiB"};
  const unsigned char* at = der.data();
  CrlHandle crl(d2i_X509_CRL(nullptr, &at, static_cast<long>(der.size())));
  if (!crl) return refusal(ErrorCode::invalid_request, "a revocation list does not parse");
  if (at != der.data() + der.size()) return Error{ErrorCode::invalid_request, "bytes after a revocation list"};
  return crl;
}

/// RFC 5280 section 5.2: a list with a critical extension that is not processed must not be used.
template <typename Holder, typename Count, typename Get>
Status refuse_critical(const Holder* holder, Count count, Get get, std::string_view what, int processed = NID_undef) {
  for (int index = 0; index < count(holder); ++index) {
    X509_EXTENSION* extension = get(holder, index);
    const bool is_processed = processed != NID_undef && OBJ_obj2nid(X509_EXTENSION_get_object(extension)) == processed;
    if (X509_EXTENSION_get_critical(extension) == 1 && !is_processed) {
      return Error{ErrorCode::unsupported, "a critical extension in " + std::string(what)};
    }
  }
  return {};
}

Result<RevokedCertificate> read_entry(const X509_REVOKED* entry) {
  if (auto done = refuse_critical(entry, X509_REVOKED_get_ext_count, X509_REVOKED_get_ext, "an entry of a revocation list"); !done)
    return done.error();
  auto at = detail::read_time(X509_REVOKED_get0_revocationDate(entry));
  if (!at) return at.error();
  int found = 0;
  const EnumeratedHandle reason(static_cast<ASN1_ENUMERATED*>(X509_REVOKED_get_ext_d2i(entry, NID_crl_reason, &found, nullptr)));
  if (!reason && found != -1) return refusal(ErrorCode::invalid_request, "a reason code does not parse");
  auto code = reason ? reason_from(ASN1_ENUMERATED_get(reason.get())) : Result<RevocationReason>(RevocationReason::unspecified);
  if (!code) return code.error();
  return RevokedCertificate{detail::read_serial(X509_REVOKED_get0_serialNumber(entry)), *at, *code};
}

Result<std::uint64_t> read_crl_number(const X509_CRL* crl, int nid, std::string_view what) {
  const IntegerHandle number(static_cast<ASN1_INTEGER*>(X509_CRL_get_ext_d2i(crl, nid, nullptr, nullptr)));
  std::uint64_t value = 0;
  if (!number || ASN1_INTEGER_get_uint64(&value, number.get()) != 1) {
    return refusal(ErrorCode::invalid_request, "a revocation list without " + std::string(what) + ", or with one beyond 64 bits");
  }
  return value;
}

/// `processed`: the one critical extension that may stand in it.
Result<RevocationList> read_list(X509_CRL* native, int processed) {
  if (auto done = refuse_critical(native, X509_CRL_get_ext_count, X509_CRL_get_ext, "a revocation list", processed); !done)
    return done.error();
  auto this_update = detail::read_time(X509_CRL_get0_lastUpdate(native));
  auto next_update = detail::read_time(X509_CRL_get0_nextUpdate(native));
  auto number = read_crl_number(native, NID_crl_number, "cRLNumber");
  if (!this_update) return this_update.error();
  if (!next_update) return next_update.error();
  if (!number) return number.error();
  RevocationList list{detail::encode_with(X509_CRL_get_issuer(native), i2d_X509_NAME), *this_update, *next_update, *number, {}};
  STACK_OF(X509_REVOKED)* entries = X509_CRL_get_REVOKED(native);
  for (int index = 0; index < sk_X509_REVOKED_num(entries); ++index) {
    auto entry = read_entry(sk_X509_REVOKED_value(entries, index));
    if (!entry) return entry.error();
    list.revoked.push_back(std::move(*entry));
  }
  return list;
}

OcspCertificateId read_certificate_id(OCSP_CERTID* id) {
  ASN1_OCTET_STRING* name_hash = nullptr;
  ASN1_OCTET_STRING* key_hash = nullptr;
  ASN1_OBJECT* algorithm = nullptr;
  ASN1_INTEGER* serial = nullptr;
  OCSP_id_get0_info(&name_hash, &algorithm, &key_hash, &serial, id);
  return {detail::encode_with(id, i2d_OCSP_CERTID), detail::read_oid(algorithm), detail::read_string(name_hash),
          detail::read_string(key_hash), detail::read_serial(serial)};
}

/// Nonce ::= OCTET STRING (SIZE(1..128)) (RFC 9654 section 2.1).
Result<Bytes> read_nonce(X509_EXTENSION* extension) {
  const ASN1_OCTET_STRING* content = X509_EXTENSION_get_data(extension);
  const unsigned char* at = ASN1_STRING_get0_data(content);
  const unsigned char* end = at + ASN1_STRING_length(content);
  const std::unique_ptr<ASN1_OCTET_STRING, Freed<ASN1_OCTET_STRING_free>> nonce(d2i_ASN1_OCTET_STRING(nullptr, &at, end - at));
  if (!nonce || at != end) return refusal(ErrorCode::invalid_request, "an OCSP nonce does not parse");
  Bytes bytes = detail::read_string(nonce.get());
  if (bytes.empty() || bytes.size() > 128) return Error{ErrorCode::invalid_request, "an OCSP nonce has 1 to 128 bytes"};
  return bytes;
}

Result<Bytes> read_request_extensions(OCSP_REQUEST* request) {
  Bytes nonce;
  for (int index = 0; index < OCSP_REQUEST_get_ext_count(request); ++index) {
    X509_EXTENSION* extension = OCSP_REQUEST_get_ext(request, index);
    if (OBJ_obj2nid(X509_EXTENSION_get_object(extension)) == NID_id_pkix_OCSP_Nonce) {
      if (!nonce.empty()) return Error{ErrorCode::invalid_request, "two nonces in an OCSP request"};
      auto read = read_nonce(extension);
      if (!read) return read.error();
      nonce = std::move(*read);
    } else if (X509_EXTENSION_get_critical(extension) == 1) {
      return Error{ErrorCode::invalid_request, "a critical extension in an OCSP request"};
    }
  }
  return nonce;
}

Result<BasicHandle> parse_basic(ByteView der) {
  const unsigned char* at = der.data();
  const ResponseHandle response(der.empty() ? nullptr : d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size())));
  if (!response || at != der.data() + der.size()) return refusal(ErrorCode::invalid_request, "an OCSP response does not parse");
  if (OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
    return Error{ErrorCode::invalid_request, "the OCSP responder refused: " + std::to_string(OCSP_response_status(response.get()))};
  }
  BasicHandle basic(OCSP_response_get1_basic(response.get()));
  if (!basic) return refusal(ErrorCode::invalid_request, "an OCSP response without a basic response");
  return basic;
}

Result<OcspSingleAnswer> read_single(OCSP_SINGLERESP* single) {
  int reason = -1;
  ASN1_GENERALIZEDTIME* revoked_at = nullptr;
  ASN1_GENERALIZEDTIME* this_update = nullptr;
  ASN1_GENERALIZEDTIME* next_update = nullptr;
  const int status = OCSP_single_get0_status(single, &reason, &revoked_at, &this_update, &next_update);
  if (status < 0 || status > 2) return Error{ErrorCode::invalid_request, "an OCSP answer of unknown status"};
  auto begins = detail::read_time(this_update);
  if (!begins) return begins.error();
  OcspSingleAnswer answer{read_certificate_id(const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single))),
                          static_cast<CertificateStatus>(status),
                          std::nullopt,
                          std::nullopt,
                          *begins,
                          std::nullopt,
                          std::nullopt};
  if (next_update != nullptr) {
    auto ends = detail::read_time(next_update);
    if (!ends) return ends.error();
    answer.next_update = *ends;
  }
  int found = 0;
  const GeneralizedTimeHandle cutoff(
      static_cast<ASN1_GENERALIZEDTIME*>(OCSP_SINGLERESP_get1_ext_d2i(single, NID_id_pkix_OCSP_archiveCutoff, &found, nullptr)));
  if (!cutoff && found != -1) return refusal(ErrorCode::invalid_request, "an archive cutoff does not parse");
  if (cutoff) {
    auto since = detail::read_time(cutoff.get());
    if (!since) return since.error();
    answer.archive_cutoff = *since;
  }
  if (answer.status != CertificateStatus::revoked) return answer;
  auto at = detail::read_time(revoked_at);
  if (!at) return at.error();
  answer.revoked_at = *at;
  auto code = reason < 0 ? Result<RevocationReason>(RevocationReason::unspecified) : reason_from(reason);
  if (!code) return code.error();
  answer.reason = *code;
  return answer;
}

}  // namespace

std::string_view name_of(RevocationReason reason) noexcept {
  for (const ReasonName& each : reason_names) {
    if (each.reason == reason) return each.name;
  }
  panic("a revocation reason outside its enumeration");
}

Result<RevocationReason> parse_revocation_reason(std::string_view name) {
  for (const ReasonName& each : reason_names) {
    if (each.name == name) return each.reason;
  }
  return Error{ErrorCode::invalid_request, "an unknown revocation reason"};
}

const RevokedCertificate* RevocationList::find(std::string_view serial_hex) const noexcept {
  const auto found =
      std::find_if(revoked.begin(), revoked.end(), [&](const RevokedCertificate& each) { return each.serial_hex == serial_hex; });
  return found == revoked.end() ? nullptr : &*found;
}

Result<RevocationList> parse_crl(ByteView der) {
  auto crl = parse_native_crl(der);
  if (!crl) return crl.error();
  // Critical by its definition; written otherwise it would make changes look like the whole.
  if (refused_by("crl.delta", X509_CRL_get_ext_by_NID(crl->get(), NID_delta_crl, -1) >= 0))
    return Error{ErrorCode::unsupported, "a delta list where a complete one is asked for"};
  return read_list(crl->get(), NID_undef);
}

Result<DeltaRevocationList> parse_delta_crl(ByteView der) {
  auto crl = parse_native_crl(der);
  if (!crl) return crl.error();
  auto base = read_crl_number(crl->get(), NID_delta_crl, "deltaCRLIndicator");
  if (!base) return base.error();
  auto changes = read_list(crl->get(), NID_delta_crl);
  if (!changes) return changes.error();
  if (refused_by("crl.delta.base", *base >= changes->number))
    return Error{ErrorCode::invalid_request, "a delta list that is not later than its base"};
  return DeltaRevocationList{std::move(*changes), *base};
}

namespace {

bool is_sha2(int digest) noexcept { return digest == NID_sha256 || digest == NID_sha384 || digest == NID_sha512; }

/// One hash for the message and for MGF1, and a salt as long as the hash (TS 119 312, 7.3).
bool is_allowed_pss(const X509_ALGOR& algorithm) {
  const auto parameters_of = [](const X509_ALGOR& of, const ASN1_ITEM* item) {
    return of.parameter == nullptr ? nullptr : ASN1_TYPE_unpack_sequence(item, of.parameter);
  };
  using Parameters = std::unique_ptr<RSA_PSS_PARAMS, detail::Freed<RSA_PSS_PARAMS_free>>;
  using Algorithm = std::unique_ptr<X509_ALGOR, detail::Freed<X509_ALGOR_free>>;
  const Parameters pss(static_cast<RSA_PSS_PARAMS*>(parameters_of(algorithm, ASN1_ITEM_rptr(RSA_PSS_PARAMS))));
  // What is left out has SHA-1 for its default (RFC 4055, 3.1).
  if (!pss || pss->hashAlgorithm == nullptr || pss->maskGenAlgorithm == nullptr || pss->saltLength == nullptr) return false;
  const int digest = OBJ_obj2nid(pss->hashAlgorithm->algorithm);
  if (!is_sha2(digest) || OBJ_obj2nid(pss->maskGenAlgorithm->algorithm) != NID_mgf1) return false;
  const Algorithm mask(static_cast<X509_ALGOR*>(parameters_of(*pss->maskGenAlgorithm, ASN1_ITEM_rptr(X509_ALGOR))));
  return mask && OBJ_obj2nid(mask->algorithm) == digest &&
         ASN1_INTEGER_get(pss->saltLength) == EVP_MD_get_size(EVP_get_digestbynid(digest));
}

bool is_allowed(const X509_CRL* list) {
  const X509_ALGOR* algorithm = nullptr;
  X509_CRL_get0_signature(list, nullptr, &algorithm);
  if (algorithm == nullptr) return false;
  const int signature = OBJ_obj2nid(algorithm->algorithm);
  if (signature == NID_rsassaPss) return is_allowed_pss(*algorithm);
  int digest = NID_undef;
  return OBJ_find_sigid_algs(signature, &digest, nullptr) == 1 && is_sha2(digest);
}

}  // namespace

Status verify_crl(ByteView der, const Certificate& issuer) {
  auto crl = parse_native_crl(der);
  if (!crl) return crl.error();
  X509_CRL* native = crl->get();
  X509* signer = issuer.native();
  if (refused_by("crl.issuer", X509_NAME_cmp(X509_CRL_get_issuer(native), X509_get_subject_name(signer)) != 0)) {
    return Error{ErrorCode::not_authorised, "the revocation list is of another issuer"};
  }
  if (refused_by("crl.key_usage", (X509_get_key_usage(signer) & KU_CRL_SIGN) == 0)) {
    return Error{ErrorCode::not_authorised, "the issuer's certificate does not allow cRLSign"};
  }
  if (refused_by("crl.algorithm", !is_allowed(native))) {
    return Error{ErrorCode::algorithm_refused, "the revocation list is signed with an algorithm that is not allowed"};
  }
  const bool verifies = X509_CRL_verify(native, X509_get0_pubkey(signer)) == 1;
  if (refused_by("crl.signature", !verifies)) return refusal(ErrorCode::not_authorised, "the revocation list's signature does not verify");
  return {};
}

bool OcspCertificateId::is_of(const Certificate& issuer) const {
  const EVP_MD* hash = EVP_get_digestbynid(OBJ_txt2nid(hash_oid.c_str()));
  if (hash == nullptr) return false;
  const unsigned char* at = der.data();
  const CertificateIdHandle asked(d2i_OCSP_CERTID(nullptr, &at, static_cast<long>(der.size())));
  const CertificateIdHandle ours(OCSP_cert_to_id(hash, nullptr, issuer.native()));
  return asked && ours && OCSP_id_issuer_cmp(asked.get(), ours.get()) == 0;
}

Result<Bytes> ocsp_issuer_part(const Certificate& issuer, std::string_view hash_oid) {
  const EVP_MD* hash = EVP_get_digestbynid(OBJ_txt2nid(std::string(hash_oid).c_str()));
  if (hash == nullptr) return Error{ErrorCode::unsupported, "a hash that OpenSSL does not know"};
  const IntegerHandle serial(ASN1_INTEGER_new());
  const X509_NAME* name = X509_get_subject_name(issuer.native());
  const ASN1_BIT_STRING* key = X509_get0_pubkey_bitstr(issuer.native());
  if (!serial || key == nullptr || ASN1_INTEGER_set(serial.get(), 1) != 1) return refusal(ErrorCode::internal, "making a CertID");
  const CertificateIdHandle id(OCSP_cert_id_new(hash, name, key, serial.get()));
  if (!id) return refusal(ErrorCode::internal, "making a CertID");
  auto members = detail::read_sequence(detail::encode_with(id.get(), i2d_OCSP_CERTID));
  if (!members) return members.error();
  if (members->size() != 4) return Error{ErrorCode::internal, "a CertID has four members"};
  members->pop_back();
  Bytes part;
  for (const Bytes& member : *members) part.insert(part.end(), member.begin(), member.end());
  return part;
}

Result<OcspRequest> parse_ocsp_request(ByteView der) {
  if (der.empty() || der.size() > max_ocsp_request_bytes) return Error{ErrorCode::too_large, "an OCSP request is empty or too long"};
  const unsigned char* at = der.data();
  const RequestHandle request(d2i_OCSP_REQUEST(nullptr, &at, static_cast<long>(der.size())));
  if (!request || at != der.data() + der.size()) return refusal(ErrorCode::invalid_request, "an OCSP request does not parse");
  const int count = OCSP_request_onereq_count(request.get());
  if (count < 1 || static_cast<std::size_t>(count) > max_ocsp_certificates) {
    return Error{ErrorCode::invalid_request, "an OCSP request asks for one certificate at least and 32 at most"};
  }
  auto nonce = read_request_extensions(request.get());
  if (!nonce) return nonce.error();
  OcspRequest parsed{{}, std::move(*nonce)};
  for (int index = 0; index < count; ++index) {
    OCSP_ONEREQ* one = OCSP_request_onereq_get0(request.get(), index);
    for (int each = 0; each < OCSP_ONEREQ_get_ext_count(one); ++each) {
      if (X509_EXTENSION_get_critical(OCSP_ONEREQ_get_ext(one, each)) == 1)
        return Error{ErrorCode::invalid_request, "a critical extension in an OCSP request"};
    }
    parsed.certificates.push_back(read_certificate_id(OCSP_onereq_get0_id(one)));
  }
  return parsed;
}

Result<Bytes> make_ocsp_request(const Certificate& certificate, const Certificate& issuer, HashAlgorithm hash, ByteView nonce) {
  const RequestHandle request(OCSP_REQUEST_new());
  CertificateIdHandle id(OCSP_cert_to_id(detail::message_digest(hash), certificate.native(), issuer.native()));
  if (!request || !id || OCSP_request_add0_id(request.get(), id.get()) == nullptr)
    return refusal(ErrorCode::internal, "making an OCSP request");
  static_cast<void>(id.release());
  if (!nonce.empty()) {
    Bytes copy = to_bytes(nonce);
    if (OCSP_request_add1_nonce(request.get(), copy.data(), detail::int_size(copy.size())) != 1)
      return refusal(ErrorCode::internal, "adding an OCSP nonce");
  }
  return detail::encode_with(request.get(), i2d_OCSP_REQUEST);
}

Result<OcspAnswer> parse_ocsp_response(ByteView der) {
  auto basic = parse_basic(der);
  if (!basic) return basic.error();
  auto produced = detail::read_time(OCSP_resp_get0_produced_at(basic->get()));
  if (!produced) return produced.error();
  OcspAnswer answer{*produced, {}, {}};
  for (int index = 0; index < OCSP_resp_count(basic->get()); ++index) {
    auto single = read_single(OCSP_resp_get0(basic->get(), index));
    if (!single) return single.error();
    answer.certificates.push_back(std::move(*single));
  }
  if (const int index = OCSP_BASICRESP_get_ext_by_NID(basic->get(), NID_id_pkix_OCSP_Nonce, -1); index >= 0) {
    auto nonce = read_nonce(OCSP_BASICRESP_get_ext(basic->get(), index));
    if (!nonce) return nonce.error();
    answer.nonce = std::move(*nonce);
  }
  return answer;
}

Status verify_ocsp_response(ByteView der, const Certificate& issuer, UnixTime at) {
  auto basic = parse_basic(der);
  if (!basic) return basic.error();
  const StoreHandle store(X509_STORE_new());
  if (!store || X509_STORE_add_cert(store.get(), issuer.native()) != 1) return refusal(ErrorCode::internal, "making a certificate store");
  X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store.get()), static_cast<time_t>(unix_seconds(at)));
  X509_VERIFY_PARAM_set_flags(X509_STORE_get0_param(store.get()), X509_V_FLAG_PARTIAL_CHAIN);
  const ChainHandle chain(sk_X509_new_null());
  if (!chain || sk_X509_push(chain.get(), issuer.native()) <= 0) return refusal(ErrorCode::internal, "making a chain of certificates");
  if (OCSP_basic_verify(basic->get(), chain.get(), store.get(), 0) != 1)
    return refusal(ErrorCode::not_authorised, "the OCSP response is not the issuer's");
  return {};
}

}  // namespace intaglio::crypto
