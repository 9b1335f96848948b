#include "evidence/identity_approval.h"

#include "base/check.h"
#include "base/fields.h"

namespace intaglio::evidence {
namespace {

using id_token::Algorithm;
using id_token::IssuerPolicy;
using id_token::PinnedAuthority;
using id_token::PinnedKey;

constexpr std::string_view version = "intaglio/identity-approval/1", keys_kind = "keys", authority_kind = "authority";
constexpr std::size_t max_bytes = 128 * 1024, max_transaction = 64 * 1024, max_token = 16 * 1024, max_certificate = 16 * 1024;
constexpr std::size_t max_text = 1024, max_spki = 1024, salt_bytes = 16;
constexpr std::uint64_t max_keys = 8, max_anchors = 4, max_levels = 8, max_seconds = 86'400;

Error malformed() { return {ErrorCode::invalid_request, "approval: not of this form"}; }
Error refuse(const std::string& why) { return {ErrorCode::authentication_failed, "approval: " + why}; }

Algorithm read_algorithm(Fields& in) {
  const auto read = id_token::parse_algorithm(in.text(max_text));
  if (!read) in.fail();
  return read.value_or(Algorithm::es256);
}

void append_trust(Bytes& out, const std::vector<PinnedKey>& keys) {
  append_field(out, keys_kind);
  append_field(out, std::uint64_t{keys.size()});
  for (const auto& key : keys) {
    append_field(out, key.kid);
    append_field(out, name_of(key.algorithm));
    append_field(out, key.key.spki());
  }
}
void append_trust(Bytes& out, const PinnedAuthority& authority) {
  append_field(out, authority_kind);
  append_field(out, authority.subject);
  append_field(out, name_of(authority.algorithm));
  append_field(out, std::uint64_t{authority.anchors.size()});
  for (const auto& anchor : authority.anchors) append_field(out, anchor.der());
}

std::vector<PinnedKey> read_keys(Fields& in) {
  std::vector<PinnedKey> keys;
  const auto count = in.number(max_keys);
  for (std::uint64_t at = 0; at < count && in.good(); ++at) {
    auto kid = in.text(max_text);
    const auto algorithm = read_algorithm(in);
    const auto spki = in.bytes(max_spki);
    auto key = crypto::PublicKey::parse_spki(spki);
    // One encoding: what the parser reads otherwise than it writes is another.
    if (!key || key->spki() != spki) {
      in.fail();
      break;
    }
    keys.push_back({std::move(kid), algorithm, std::move(*key)});
  }
  return keys;
}
PinnedAuthority read_authority(Fields& in) {
  PinnedAuthority authority{.anchors = {}, .subject = in.text(max_text), .algorithm = read_algorithm(in)};
  const auto count = in.number(max_anchors);
  for (std::uint64_t at = 0; at < count && in.good(); ++at) {
    const auto der = in.bytes(max_certificate);
    auto anchor = crypto::Certificate::parse_der(der);
    if (!anchor || anchor->der() != der) {
      in.fail();
      break;
    }
    authority.anchors.push_back(std::move(*anchor));
  }
  return authority;
}

IssuerPolicy read_provider(Fields& in) {
  IssuerPolicy provider{.issuer = in.text(max_text),
                        .client_id = in.text(max_text),
                        .trust = std::vector<PinnedKey>(),
                        .acr = {},
                        .max_authentication_age = std::nullopt,
                        .max_skew = std::chrono::seconds(0)};
  const auto levels = in.number(max_levels);
  for (std::uint64_t at = 0; at < levels && in.good(); ++at) provider.acr.push_back(in.text(max_text));
  const auto bounded = in.number(1);
  const auto age = in.number(max_seconds);
  if (bounded == 1) provider.max_authentication_age = std::chrono::seconds(age);
  if (bounded == 0 && age != 0) in.fail();
  provider.max_skew = std::chrono::seconds(in.number(max_seconds));
  const auto kind = in.text(max_text);
  if (kind == keys_kind) {
    provider.trust = read_keys(in);
  } else if (kind == authority_kind) {
    provider.trust = read_authority(in);
  } else {
    in.fail();
  }
  return provider;
}

}  // namespace

Bytes encode(const IdentityApproval& approval) {
  const auto& provider = approval.provider;
  Bytes out;
  append_field(out, version);
  append_field(out, approval.transaction);
  for (const auto* text :
       {&approval.terms.id, &approval.terms.version, &approval.terms.language, &approval.act, &provider.issuer, &provider.client_id})
    append_field(out, *text);
  append_field(out, std::uint64_t{provider.acr.size()});
  for (const auto& level : provider.acr) append_field(out, level);
  const auto age = provider.max_authentication_age.value_or(std::chrono::seconds(0));
  append_field(out, std::uint64_t{provider.max_authentication_age.has_value()});
  append_field(out, static_cast<std::uint64_t>(age.count()));
  append_field(out, static_cast<std::uint64_t>(provider.max_skew.count()));
  std::visit([&](const auto& trust) { append_trust(out, trust); }, provider.trust);
  append_field(out, approval.salt);
  append_field(out, approval.subject);
  append_field(out, static_cast<std::uint64_t>(unix_seconds(approval.taken)));
  append_field(out, approval.token);
  return out;
}

bool is_identity_approval(ByteView encoded) { return Fields(encoded).text(max_text) == version; }

Result<IdentityApproval> parse_identity_approval(ByteView encoded) {
  if (encoded.size() > max_bytes) return malformed();
  Fields in(encoded);
  if (in.text(max_text) != version) return malformed();
  auto transaction = in.bytes(max_transaction);
  protocol::Terms terms{in.text(max_text), in.text(max_text), in.text(max_text)};
  auto act = in.text(max_text);
  auto provider = read_provider(in);
  auto salt = in.bytes(salt_bytes);
  auto subject = in.text(max_text);
  constexpr std::uint64_t end_of_time = 253'402'300'799;  // 9999-12-31T23:59:59Z
  const auto taken = in.number(end_of_time);
  auto token = in.text(max_token);
  if (!in.finished()) return malformed();
  return IdentityApproval{.transaction = std::move(transaction),
                          .terms = std::move(terms),
                          .act = std::move(act),
                          .provider = std::move(provider),
                          .salt = std::move(salt),
                          .subject = std::move(subject),
                          .taken = from_unix_seconds(static_cast<std::int64_t>(taken)),
                          .token = std::move(token)};
}

Result<protocol::Transaction> verify_approval(const IdentityApproval& approval) {
  auto transaction = protocol::parse_transaction(approval.transaction);
  if (!transaction) return refuse("T cannot be read");
  const bool begins_session = transaction->purpose == protocol::Purpose::one_time;
  if (refused_by("identity-approval.purpose", transaction->purpose != protocol::Purpose::sign && !begins_session))
    return refuse("T approves no documents");
  const auto consent = protocol::consent_digest(approval.transaction, approval.terms, approval.act);
  const auto binding = begins_session ? protocol::session_digest(*transaction, approval.terms, approval.act)
                                      : protocol::binding_digest(approval.transaction, consent);
  const auto verified =
      id_token::verify_approval(approval.provider, {approval.provider.issuer, approval.subject}, binding, approval.token, approval.taken);
  if (refused_by("identity-approval.token", !verified)) return refuse(verified.error().detail);
  return std::move(*transaction);
}

crypto::Sha256Digest identity_digest(ByteView salt, std::string_view issuer, std::string_view subject) {
  Bytes input;
  append_field(input, std::string_view("intaglio/identity/1"));
  append_field(input, salt);
  append_field(input, issuer);
  append_field(input, subject);
  return crypto::sha256(input);
}

}  // namespace intaglio::evidence
