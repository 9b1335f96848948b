#include "crypto/timestamp.h"

#include <openssl/ts.h>

#include <algorithm>

#include "base/check.h"
#include "crypto/der.h"
#include "crypto/detail/asn1_read.h"
#include "crypto/detail/x509.h"

namespace intaglio::crypto {
namespace {

using detail::Freed;
using detail::refusal;

using RequestHandle = std::unique_ptr<TS_REQ, Freed<TS_REQ_free>>;
using ResponseHandle = std::unique_ptr<TS_RESP, Freed<TS_RESP_free>>;
using VerifyHandle = std::unique_ptr<TS_VERIFY_CTX, Freed<TS_VERIFY_CTX_free>>;

constexpr std::string_view id_signed_data = "1.2.840.113549.1.7.2", id_tst_info = "1.2.840.113549.1.9.16.1.4";
constexpr std::string_view content_type = "1.2.840.113549.1.9.3", message_digest = "1.2.840.113549.1.9.4";
constexpr std::string_view signing_certificate_v2 = "1.2.840.113549.1.9.16.2.47";
constexpr std::string_view oid_qc_statements = "1.3.6.1.5.5.7.1.3", oid_qualified_timestamp = "0.4.0.19422.1.1";
constexpr std::uint64_t status_granted = 0, status_rejection = 2;

struct FailureName {
  TimestampFailure failure;
  std::string_view name;
};
constexpr std::array<FailureName, 7> failure_names = {{
    {TimestampFailure::bad_algorithm, "badAlg"},
    {TimestampFailure::bad_request, "badRequest"},
    {TimestampFailure::bad_data_format, "badDataFormat"},
    {TimestampFailure::time_not_available, "timeNotAvailable"},
    {TimestampFailure::unaccepted_policy, "unacceptedPolicy"},
    {TimestampFailure::unaccepted_extension, "unacceptedExtension"},
    {TimestampFailure::system_failure, "systemFailure"},
}};

Error malformed(std::string_view what) { return refusal(ErrorCode::invalid_request, what); }

Result<RequestHandle> parse_native_request(ByteView der) {
  if (refused_by("timestamp.size", der.empty() || der.size() > max_timestamp_request_bytes)) {
    return Error{ErrorCode::too_large, "a time-stamp request is empty or longer than 4 KiB"};
  }
  const unsigned char* at = der.data();
  RequestHandle request(d2i_TS_REQ(nullptr, &at, static_cast<long>(der.size())));
  if (!request) return malformed("a time-stamp request does not parse");
  if (refused_by("timestamp.trailing", at != der.data() + der.size())) return malformed("bytes after a time-stamp request");
  // OpenSSL reads BER; one content has one encoding here.
  const Bytes again = detail::encode_with(request.get(), i2d_TS_REQ);
  const ByteView read = der.first(static_cast<std::size_t>(at - der.data()));
  if (refused_by("timestamp.der", !std::ranges::equal(again, read))) return malformed("a time-stamp request that is not DER");
  return request;
}

Result<ResponseHandle> parse_native_response(ByteView der) {
  if (der.empty() || der.size() > max_timestamp_response_bytes)
    return Error{ErrorCode::too_large, "a time-stamp response is empty or longer than 64 KiB"};
  const unsigned char* at = der.data();
  ResponseHandle response(d2i_TS_RESP(nullptr, &at, static_cast<long>(der.size())));
  if (!response || at != der.data() + der.size()) return malformed("a time-stamp response does not parse");
  return response;
}

Bytes encode_integer(const ASN1_INTEGER* number) { return number == nullptr ? Bytes{} : detail::encode_with(number, i2d_ASN1_INTEGER); }

bool is_plain(const X509_ALGOR* algorithm) {
  int type = V_ASN1_UNDEF;
  X509_ALGOR_get0(nullptr, &type, nullptr, algorithm);
  return type == V_ASN1_UNDEF || type == V_ASN1_NULL;
}

Bytes attribute(std::string_view type, ByteView value) { return der::sequence({der::oid(type), der::set_of({to_bytes(value)})}); }

/// GeneralizedTime with the fraction that it needs and no more (RFC 3161, 2.4.2: no trailing zeros, no lone point).
Bytes encode_time(std::chrono::milliseconds since_epoch) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(since_epoch);
  const auto fraction = (since_epoch - whole).count();
  Bytes plain = der::generalized_time(UnixTime(whole));
  if (fraction == 0) return plain;
  // The content without the identifier, the length and the Z.
  std::string text(as_text(ByteView(plain).subspan(2, plain.size() - 3)));
  std::string digits = std::to_string(1000 + fraction).substr(1);
  while (digits.back() == '0') digits.pop_back();
  return der::tagged(0x18, as_bytes(text + "." + digits + "Z"));
}

Bytes encode_accuracy(std::chrono::milliseconds accuracy) {
  const auto count = static_cast<std::uint64_t>(accuracy.count());
  if (count == 0 || count > 1000) panic("a time-stamp of an accuracy outside 1 to 1000 milliseconds");
  if (count == 1000) return der::sequence({der::integer(1)});
  return der::sequence({der::implicit_tag(0, der::integer(count))});
}

std::chrono::milliseconds read_accuracy(const TS_ACCURACY* accuracy) {
  if (accuracy == nullptr) return std::chrono::milliseconds(0);
  const auto number = [](const ASN1_INTEGER* part) { return part == nullptr ? 0L : ASN1_INTEGER_get(part); };
  return std::chrono::seconds(number(TS_ACCURACY_get_seconds(accuracy))) +
         std::chrono::milliseconds(number(TS_ACCURACY_get_millis(accuracy)));
}

Result<TimestampFailure> read_failure(const TS_STATUS_INFO* status) {
  const ASN1_BIT_STRING* bits = TS_STATUS_INFO_get0_failure_info(status);
  for (const FailureName& each : failure_names) {
    if (bits != nullptr && ASN1_BIT_STRING_get_bit(bits, static_cast<int>(each.failure)) == 1) return each.failure;
  }
  return malformed("a time-stamp refused without a reason that the standard names");
}

Result<TimestampAnswer> read_granted(TS_RESP* response) {
  TS_TST_INFO* info = TS_RESP_get_tst_info(response);
  PKCS7* token = TS_RESP_get_token(response);
  if (info == nullptr || token == nullptr || PKCS7_type_is_signed(token) != 1) return malformed("a granted time-stamp without a token");
  const ASN1_GENERALIZEDTIME* time = TS_TST_INFO_get_time(info);
  auto generated_at = detail::read_time(time);
  if (!generated_at) return generated_at.error();
  const STACK_OF(X509)* certificates = token->d.sign->cert;
  TimestampAnswer answer{};
  answer.policy = detail::read_oid(TS_TST_INFO_get_policy_id(info));
  answer.serial_hex = detail::read_serial(TS_TST_INFO_get_serial(info));
  answer.generated_at = *generated_at;
  answer.generated_text = std::string(as_text(detail::read_string(time)));
  answer.accuracy = read_accuracy(TS_TST_INFO_get_accuracy(info));
  answer.imprint_der = detail::encode_with(TS_TST_INFO_get_msg_imprint(info), i2d_TS_MSG_IMPRINT);
  answer.nonce_der = encode_integer(TS_TST_INFO_get_nonce(info));
  answer.token = detail::encode_with(token, i2d_PKCS7);
  answer.certificates = certificates == nullptr ? 0 : static_cast<std::size_t>(sk_X509_num(certificates));
  answer.extensions = static_cast<std::size_t>(std::max(0, TS_TST_INFO_get_ext_count(info)));
  return answer;
}

}  // namespace

std::string_view name_of(TimestampFailure failure) noexcept {
  for (const FailureName& each : failure_names) {
    if (each.failure == failure) return each.name;
  }
  panic("a time-stamping failure outside its enumeration");
}

Result<TimestampRequest> parse_timestamp_request(ByteView der) {
  auto request = parse_native_request(der);
  if (!request) return request.error();
  TS_REQ* native = request->get();
  TS_MSG_IMPRINT* imprint = TS_REQ_get_msg_imprint(native);
  const ASN1_OBJECT* hash = nullptr;
  X509_ALGOR_get0(&hash, nullptr, nullptr, TS_MSG_IMPRINT_get_algo(imprint));
  const ASN1_OBJECT* policy = TS_REQ_get_policy_id(native);
  return TimestampRequest{TS_REQ_get_version(native),
                          detail::encode_with(imprint, i2d_TS_MSG_IMPRINT),
                          detail::read_oid(hash),
                          is_plain(TS_MSG_IMPRINT_get_algo(imprint)),
                          detail::read_string(TS_MSG_IMPRINT_get_msg(imprint)),
                          policy == nullptr ? std::nullopt : std::optional(detail::read_oid(policy)),
                          encode_integer(TS_REQ_get_nonce(native)),
                          TS_REQ_get_cert_req(native) != 0,
                          static_cast<std::size_t>(std::max(0, TS_REQ_get_ext_count(native)))};
}

Result<Bytes> make_timestamp_request(HashAlgorithm hash, ByteView digest, std::string_view policy, ByteView nonce, bool with_certificate) {
  if (digest.size() != digest_length(hash)) return Error{ErrorCode::digest_length, "a digest of another length than its algorithm's"};
  const Bytes imprint = der::sequence({digest_identifier(hash), der::octet_string(digest)});
  Bytes request = der::sequence({der::integer(1), imprint, policy.empty() ? Bytes{} : der::oid(policy),
                                 nonce.empty() ? Bytes{} : der::integer(nonce), with_certificate ? der::boolean(true) : Bytes{}});
  if (auto parsed = parse_timestamp_request(request); !parsed) return parsed.error();
  return request;
}

Bytes encode_timestamp_info(const TimestampInfo& info) {
  // Extensions are never critical (EN 319 422, 5.2.2).
  const Bytes statement = der::sequence({der::sequence({der::oid(oid_qualified_timestamp)})});
  const Bytes extension = der::sequence({der::oid(oid_qc_statements), der::octet_string(statement)});
  return der::sequence({der::integer(1), der::oid(info.policy), info.imprint_der, der::integer(info.serial), encode_time(info.generated_at),
                        encode_accuracy(info.accuracy), info.nonce_der,
                        info.qualified ? der::implicit_tag(1, der::sequence({extension})) : Bytes{}});
}

Bytes timestamp_attributes(ByteView info_der, HashAlgorithm hash, const Certificate& unit) {
  // ESSCertIDv2 without hashAlgorithm, whose default is SHA-256.
  const Bytes certificate_id = der::sequence({der::octet_string(unit.fingerprint())});
  const Bytes signing_certificate = der::sequence({der::sequence({certificate_id})});
  return der::set_of({attribute(content_type, der::oid(id_tst_info)), attribute(message_digest, der::octet_string(digest(hash, info_der))),
                      attribute(signing_certificate_v2, signing_certificate)});
}

Bytes timestamp_granted(ByteView info_der, ByteView attributes, SignatureSuite suite, ByteView signature, const Certificate& unit,
                        const std::vector<Certificate>& certificates) {
  const Bytes hash = digest_identifier(hash_of(suite));
  std::vector<Bytes> carried;
  carried.reserve(certificates.size());
  for (const Certificate& each : certificates) carried.push_back(each.der());
  const Bytes signer_info = der::sequence({der::integer(1), der::sequence({unit.issuer_der(), unit.serial_der()}), hash,
                                           der::implicit_tag(0, attributes), algorithm_identifier(suite), der::octet_string(signature)});
  const Bytes content = der::sequence({der::oid(id_tst_info), der::explicit_tag(0, der::octet_string(info_der))});
  // Version 3: the content is not id-data (RFC 5652, 5.1).
  const Bytes signed_data =
      der::sequence({der::integer(3), der::set_of({hash}), content,
                     carried.empty() ? Bytes{} : der::implicit_tag(0, der::set_of(std::move(carried))), der::set_of({signer_info})});
  const Bytes token = der::sequence({der::oid(id_signed_data), der::explicit_tag(0, signed_data)});
  return der::sequence({der::sequence({der::integer(status_granted)}), token});
}

Bytes timestamp_rejection(TimestampFailure failure, std::string_view text) {
  const auto bit = static_cast<unsigned>(failure);
  Bytes octets(bit / 8 + 1);
  octets.back() = static_cast<std::uint8_t>(0x80U >> (bit % 8));
  return der::sequence(
      {der::sequence({der::integer(status_rejection), der::sequence({der::utf8(text)}), der::bit_string(octets, 7 - bit % 8)})});
}

Result<TimestampAnswer> parse_timestamp_response(ByteView der) {
  auto response = parse_native_response(der);
  if (!response) return response.error();
  const TS_STATUS_INFO* status = TS_RESP_get_status_info(response->get());
  const auto number = static_cast<std::uint64_t>(ASN1_INTEGER_get(TS_STATUS_INFO_get0_status(status)));
  if (number == status_granted) return read_granted(response->get());
  if (number != status_rejection) return malformed("a time-stamp response of an unknown status");
  auto failure = read_failure(status);
  if (!failure) return failure.error();
  TimestampAnswer answer{};
  answer.failure = *failure;
  const STACK_OF(ASN1_UTF8STRING)* texts = TS_STATUS_INFO_get0_text(status);
  if (texts != nullptr && sk_ASN1_UTF8STRING_num(texts) > 0)
    answer.text = std::string(as_text(detail::read_string(sk_ASN1_UTF8STRING_value(texts, 0))));
  return answer;
}

Status verify_timestamp_response(ByteView response_der, ByteView request_der, const std::vector<Certificate>& known,
                                 const std::vector<Certificate>& anchors, UnixTime at) {
  auto request = parse_native_request(request_der);
  if (!request) return request.error();
  auto response = parse_native_response(response_der);
  if (!response) return response.error();
  // Version, imprint, policy and nonce as the request asks; signature and path besides.
  const VerifyHandle context(TS_REQ_to_TS_VERIFY_CTX(request->get(), nullptr));
  auto store = detail::store_of(anchors, at);
  auto owned = detail::stack_of(known);
  if (!context || !store || !owned) return refusal(ErrorCode::internal, "making the context of a time-stamp's verification");
  for (const Certificate& each : known) X509_up_ref(each.native());
  TS_VERIFY_CTX_add_flags(context.get(), TS_VFY_SIGNATURE);
  TS_VERIFY_CTX_set_store(context.get(), store.release());
  TS_VERIFY_CTX_set_certs(context.get(), owned.release());
  if (TS_RESP_verify_response(context.get(), response->get()) != 1)
    return refusal(ErrorCode::not_authorised, "the time-stamp does not verify");
  return {};
}

}  // namespace intaglio::crypto
