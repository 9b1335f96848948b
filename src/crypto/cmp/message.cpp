#include "crypto/cmp/message.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/cmp/client.h"
#include "crypto/detail/asn1_read.h"

namespace intaglio::crypto::detail {
namespace {

constexpr std::string_view password_based_mac = "1.2.840.113533.7.66.13";  // RFC 4210, 5.1.3.1
constexpr std::string_view implicit_confirm = "1.3.6.1.5.5.7.4.13";        // RFC 4210, 5.1.1.1
constexpr std::ptrdiff_t header_fixed = 3;                                 // pvno, sender, recipient: the last two may be of any tag
constexpr std::uint32_t failure_bits = 27;                                 // RFC 4210, 5.2.3: 0 to 26

constexpr std::uint8_t explicit_tag(unsigned number) { return static_cast<std::uint8_t>(0xA0 + number); }

/// What an element with an explicit tag holds.
Result<Bytes> content_of(ByteView element) {
  const unsigned char* at = element.data();
  long length = 0;
  int tag = 0;
  int tag_class = 0;
  // 0x80: an error; 0x01: an indefinite length, whose end is not known here.
  const int kind = element.empty() ? 0x80 : ASN1_get_object(&at, &length, &tag, &tag_class, static_cast<long>(element.size()));
  if ((kind & 0x81) != 0) return Error{ErrorCode::invalid_request, "an element does not parse"};
  return to_bytes(ByteView(at, static_cast<std::size_t>(length)));
}

/// The element with this tag among the members from `from` on; nothing where there is none.
std::optional<Bytes> tagged_member(const std::vector<Bytes>& members, std::ptrdiff_t from, unsigned number) {
  const auto found = std::find_if(members.begin() + std::min(from, std::ssize(members)), members.end(),
                                  [&](const Bytes& member) { return member.front() == explicit_tag(number); });
  if (found == members.end()) return std::nullopt;
  auto content = content_of(*found);
  return content ? std::optional<Bytes>(std::move(*content)) : std::nullopt;
}

/// How many certificates a PKIMessage brings along outside its body.
Result<std::size_t> count_extra_certificates(ByteView message) {
  const auto members = read_sequence(message);
  if (!members) return members.error();
  // Header and body come first, and the body may have the same tag.
  const auto found = std::find_if(members->begin() + std::min<std::ptrdiff_t>(2, std::ssize(*members)), members->end(),
                                  [](const Bytes& member) { return member.front() == explicit_tag(1); });
  if (found == members->end()) return std::size_t{0};
  const auto content = content_of(*found);
  if (!content) return Error{ErrorCode::invalid_request, "extraCerts does not parse"};
  const auto certificates = read_sequence(*content);
  if (!certificates) return certificates.error();
  return certificates->size();
}

/// An octet string with an explicit tag.
Bytes octets_of(const std::vector<Bytes>& header, unsigned number) {
  const auto element = tagged_member(header, header_fixed, number);
  const auto content = element ? content_of(*element) : Result<Bytes>(Bytes{});
  return content ? *content : Bytes{};
}

bool says_implicit_confirm(const std::vector<Bytes>& header) {
  const auto general_info = tagged_member(header, header_fixed, 8);
  const auto values = general_info ? read_sequence(*general_info) : Result<std::vector<Bytes>>(std::vector<Bytes>{});
  return values && std::ranges::any_of(*values, [](const Bytes& value) {
           const auto members = read_sequence(value);
           if (!members || members->empty()) return false;
           const auto type = read_oid_element(members->front());
           return type && *type == implicit_confirm;
         });
}

/// The one kind of protection that the configuration has a key for. What OpenSSL makes of another one is not relied on.
bool is_agreed(const std::string& protection, bool by_secret) {
  if (by_secret) return protection == password_based_mac;
  return OBJ_find_sigid_algs(OBJ_txt2nid(protection.c_str()), nullptr, nullptr) == 1;
}

}  // namespace

Result<CmpMessage> parse_cmp_answer(ByteView answer, bool by_secret) {
  if (refused_by("cmp.answer.size", answer.size() > max_cmp_message_bytes))
    return Error{ErrorCode::too_large, "the CA's message has more than 64 KiB"};
  const unsigned char* at = answer.data();
  CmpMessage message(answer.empty() ? nullptr : d2i_OSSL_CMP_MSG(nullptr, &at, static_cast<long>(answer.size())));
  if (!message) return refusal(ErrorCode::internal, "the CA's answer is no CMP message");
  if (refused_by("cmp.answer.trailing_bytes", at != answer.data() + answer.size()))
    return Error{ErrorCode::internal, "bytes after the CA's message"};
  const auto count = count_extra_certificates(answer);
  if (!count) return Error{ErrorCode::internal, "the CA's message: " + count.error().detail};
  if (refused_by("cmp.answer.extra_certificates", *count > max_cmp_extra_certificates))
    return Error{ErrorCode::too_large, "the CA's message brings more than 8 certificates along"};
  const auto header = read_cmp_header(message.get());
  if (!header) return Error{ErrorCode::internal, "the CA's message: " + header.error().detail};
  if (refused_by("cmp.answer.protection", !is_agreed(header->protection, by_secret)))
    return Error{ErrorCode::internal, std::string("the CA's answer is not believed: it is not protected by ") +
                                          (by_secret ? "the shared secret" : "a signature")};
  return message;
}

Result<CmpHeader> read_cmp_header(const OSSL_CMP_MSG* message) {
  // Encoded again, as a message may come in BER.
  const auto members = read_sequence(encode_with(message, i2d_OSSL_CMP_MSG));
  if (!members) return members.error();
  const auto header = members->empty() ? Result<std::vector<Bytes>>(std::vector<Bytes>{}) : read_sequence(members->front());
  if (!header) return header.error();
  CmpHeader read;
  if (const auto algorithm = tagged_member(*header, header_fixed, 1)) {
    const auto parts = read_sequence(*algorithm);
    const auto oid = parts && !parts->empty() ? read_oid_element(parts->front()) : Result<std::string>(std::string());
    if (oid) read.protection = *oid;
  }
  read.transaction_id = octets_of(*header, 4);
  read.sender_nonce = octets_of(*header, 5);
  read.recipient_nonce = octets_of(*header, 6);
  read.implicit_confirm = says_implicit_confirm(*header);
  return read;
}

std::uint32_t read_cmp_failure(const OSSL_CMP_MSG* message) {
  if (OSSL_CMP_MSG_get_bodytype(message) != cmp_body_error) return 0;
  const auto members = read_sequence(encode_with(message, i2d_OSSL_CMP_MSG));
  const auto body = members && members->size() > 1 ? content_of((*members)[1]) : Result<Bytes>(Bytes{});
  const auto content = body ? read_sequence(*body) : Result<std::vector<Bytes>>(std::vector<Bytes>{});
  const auto status = content && !content->empty() ? read_sequence(content->front()) : Result<std::vector<Bytes>>(std::vector<Bytes>{});
  if (!status) return 0;
  const auto found = std::ranges::find_if(*status, [](const Bytes& member) { return member.front() == V_ASN1_BIT_STRING; });
  const auto bits = found == status->end() ? Result<Bytes>(Bytes{}) : content_of(*found);
  std::uint32_t failure = 0;
  // The first octet says how many bits of the last one are unused; those are zero.
  for (std::uint32_t bit = 0; bits && bit < failure_bits && bit / 8 + 1 < bits->size(); ++bit) {
    if (((*bits)[bit / 8 + 1] & (0x80U >> (bit % 8))) != 0) failure |= 1U << bit;
  }
  return failure;
}

}  // namespace intaglio::crypto::detail
