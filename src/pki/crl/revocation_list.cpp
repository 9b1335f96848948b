#include "pki/crl/revocation_list.h"

#include "crypto/der.h"
#include "pki/ca/certificate_template.h"
#include "pki/ca/extensions.h"

namespace intaglio::pki {

namespace der = crypto::der;

namespace {

Result<Bytes> encode_entry(const crypto::RevokedCertificate& revoked) {
  auto serial = parse_hex(revoked.serial_hex);
  if (!serial) return serial.error();
  // RFC 5280, 5.3.1: unspecified is told by leaving the reason out.
  if (revoked.reason == crypto::RevocationReason::unspecified) return der::sequence({der::integer(*serial), der::time(revoked.at)});
  const crypto::ExtensionFacts reason{"2.5.29.21", false, der::enumerated(static_cast<std::uint8_t>(revoked.reason))};
  return der::sequence({der::integer(*serial), der::time(revoked.at), encode_extensions({reason})});
}

std::vector<crypto::ExtensionFacts> list_extensions(const ListContent& content, const Issuer& issuer) {
  std::vector<crypto::ExtensionFacts> extensions = {authority_key_identifier(*issuer.facts.subject_key_id),
                                                    {"2.5.29.20", false, der::integer(content.number)}};
  if (content.base) extensions.push_back({"2.5.29.27", true, der::integer(*content.base)});
  if (!content.freshest.empty()) extensions.push_back(freshest_crl(content.freshest));
  if (content.expired_since) extensions.push_back({"2.5.29.60", false, der::generalized_time(*content.expired_since)});
  return extensions;
}

/// The list says what it was written to say.
Status check_written(const ListContent& content, ByteView list) {
  auto delta = content.base ? crypto::parse_delta_crl(list) : Result<crypto::DeltaRevocationList>(Error{ErrorCode::internal, ""});
  if (content.base && !delta) return delta.error();
  auto parsed = content.base ? Result<crypto::RevocationList>(std::move(delta->changes)) : crypto::parse_crl(list);
  if (!parsed) return parsed.error();
  if (parsed->number != content.number || parsed->revoked.size() != content.revoked.size() || parsed->next_update != content.next_update ||
      (content.base && delta->base != *content.base)) {
    return Error{ErrorCode::internal, "a revocation list does not read back as it was written"};
  }
  return {};
}

}  // namespace

Result<Bytes> sign_list(const ListContent& content, const Issuer& issuer) {
  std::vector<Bytes> entries;
  entries.reserve(content.revoked.size());
  for (const crypto::RevokedCertificate& each : content.revoked) {
    auto entry = encode_entry(each);
    if (!entry) return entry.error();
    entries.push_back(std::move(*entry));
  }
  const auto suite = suite_of(issuer.signer->public_key());
  // RFC 5280, 5.1.2.6: without a revoked certificate the member is absent, not empty.
  const Bytes tbs =
      der::sequence({der::integer(std::uint64_t{1}), crypto::algorithm_identifier(suite), issuer.facts.subject_der,
                     der::time(content.this_update), der::time(content.next_update), entries.empty() ? Bytes{} : der::sequence(entries),
                     der::explicit_tag(0, encode_extensions(list_extensions(content, issuer)))});
  auto signature = issuer.signer->sign(suite, tbs);
  if (!signature) return signature.error();
  Bytes list = crypto::assemble_signed(tbs, suite, *signature);
  if (auto same = check_written(content, list); !same) return same.error();
  if (auto verified = crypto::verify_crl(list, issuer.certificate); !verified) return verified.error();
  return list;
}

}  // namespace intaglio::pki
