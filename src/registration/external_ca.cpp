#include "registration/external_ca.h"

#include <algorithm>
#include <array>

#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/inspection.h"
#include "crypto/jose/jws.h"
#include "registration/cmp_issuance.h"

namespace intaglio::registration {
namespace {

using crypto::RevocationReason;

constexpr std::string_view message_type = "application/pkixcmp";  // RFC 6712, 3.4
constexpr std::int64_t tolerated_ahead = 60;

Error not_agreed(std::string detail) { return {ErrorCode::not_authorised, std::move(detail)}; }

/// The reasons that the operator may give, as at our own PKI (api/pki).
Result<RevocationReason> asked_reason(const json::Value& payload) {
  const auto name = json::text_member(payload, "reason", 64);
  if (!name) return name.error();
  auto reason = crypto::parse_revocation_reason(*name);
  if (!reason) return reason.error();
  constexpr std::array allowed = {
      RevocationReason::unspecified,     RevocationReason::key_compromise,         RevocationReason::affiliation_changed,
      RevocationReason::superseded,      RevocationReason::cessation_of_operation, RevocationReason::privilege_withdrawn,
      RevocationReason::certificate_hold};
  if (refused_by("external_ca.revoke.reason", std::ranges::find(allowed, *reason) == allowed.end()))
    return Error{ErrorCode::unsupported, "that reason is not for a signer's certificate"};
  return reason;
}

/// Each attribute that names the person is the recorded identity's.
bool names(ByteView subject_der, const json::Value& identity) {
  const auto subject = crypto::parse_name(subject_der);
  if (!subject) return false;
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> members = {
      {{"2.5.4.6", "country"}, {"2.5.4.42", "givenName"}, {"2.5.4.4", "surname"}, {"2.5.4.5", "serialNumber"}}};
  return std::ranges::all_of(members, [&](const auto& member) {
    const auto recorded = json::text_member(identity, member.second, 256);
    const auto is = [&](const crypto::NameAttribute& attribute) { return attribute.oid == member.first; };
    const auto stated = std::ranges::find_if(*subject, is);
    return recorded && stated != subject->end() && stated->value == *recorded && std::ranges::count_if(*subject, is) == 1;
  });
}

Result<Bytes> body_of(const Result<outbound::HttpAnswer>& answer, std::string_view what) {
  if (!answer) return answer.error();
  if (answer->status != 200) return Error{ErrorCode::busy, std::string(what) + " answered " + std::to_string(answer->status)};
  return to_bytes(answer->body);
}

class ExternalCa final : public CertificationAuthority {
 public:
  ExternalCa(ExternalCaConfig config, const crypto::CmpClient& client, ExternalCaParts parts)
      : config_(std::move(config)),
        client_(client),
        parts_(std::move(parts)),
        issuance_(client, parts_.requests, parts_.unsettled, parts_.leases, parts_.clock, config_.max_waiting) {}

  Result<std::vector<Bytes>> issue(std::string_view operator_request, std::string_view key_assertion, ByteView csr) override {
    const auto admitted = parts_.gate->admit(operator_request, "issue-certificate");
    if (!admitted) return admitted.error();
    const auto pending = request_of(admitted->payload);
    if (!pending) return pending.error();
    if (auto agreed = check_agreed(admitted->payload, key_assertion, csr); !agreed) return agreed.error();
    // What was kept for the key is what is certified; the CSR that was agreed on is that one.
    if (refused_by("external_ca.csr_kept", !std::ranges::equal(pending->csr, csr))) return not_agreed("another CSR is kept for this key");
    return issuance_.certify(*pending);
  }

  void settle() override { issuance_.settle(); }

  Result<std::vector<Bytes>> issue_short_term(std::string_view, ByteView) override {
    return Error{ErrorCode::unsupported, "one-time keys are not certified by an external CA"};
  }

  Result<std::optional<Bytes>> revoke(std::string_view operator_request) override {
    const auto admitted = parts_.gate->admit(operator_request, "revoke-certificate");
    if (!admitted) return admitted.error();
    const auto reason = asked_reason(admitted->payload);
    if (!reason) return reason.error();
    const auto path = issued_path(admitted->payload);
    if (!path) return path.error();
    if (auto revoked = client_.revoke(path->front(), *reason); !revoked) return revoked.error();
    auto list = current_crl();
    return list && listed(*list, *path).value_or(false) ? std::optional<Bytes>(std::move(*list)) : std::optional<Bytes>();
  }

  Result<Bytes> release(std::string_view operator_request) override {
    const auto admitted = parts_.gate->admit(operator_request, "release-certificate");
    if (!admitted) return admitted.error();
    const auto path = issued_path(admitted->payload);
    if (!path) return path.error();
    // RFC 9483, 4.2: a hold ends by a revocation request for the reason removeFromCRL.
    if (auto released = client_.revoke(path->front(), RevocationReason::remove_from_crl); !released) return released.error();
    auto list = current_crl();
    if (!list) return list.error();
    if (refused_by("external_ca.release.listed", listed(*list, *path).value_or(true)))
      return Error{ErrorCode::busy, "the CA's list still names the certificate"};
    return list;
  }

  Result<Bytes> current_crl() override { return body_of(parts_.lists.get(config_.crl_url), "the CA's list"); }

  Result<Bytes> root_crl() override {
    if (config_.root_crl_url.empty()) return Error{ErrorCode::unsupported, "no list of a root is configured"};
    return body_of(parts_.lists.get(config_.root_crl_url), "the root's list");
  }

 private:
  Result<KeyRequest> request_of(const json::Value& payload) {
    const auto text = json::text_member(payload, "key", 64);
    if (!text) return text.error();
    const auto key = KeyId::parse(*text);
    if (!key) return key.error();
    return parts_.requests->find(*key);
  }

  /// What the PKI would verify: operator, SAM and CSR speak of one key and one person.
  [[nodiscard]] Status check_agreed(const json::Value& payload, std::string_view assertion, ByteView csr) const {
    const auto digest = json::base64url_member(payload, "csr_sha256", 32);
    if (!digest) return digest.error();
    if (refused_by("external_ca.csr_digest", !std::ranges::equal(*digest, crypto::sha256(csr))))
      return not_agreed("the operator signed for another CSR");
    const auto request = crypto::parse_csr(csr);
    if (!request) return request.error();
    const auto* identity = json::member(payload, "identity");
    if (identity == nullptr || !identity->is_object()) return Error{ErrorCode::invalid_request, "identity is missing"};
    if (refused_by("external_ca.subject", !names(request->subject_der, *identity)))
      return not_agreed("the CSR's subject is not the identity that the operator recorded");
    return check_assertion(assertion, payload, *identity, request->key);
  }

  [[nodiscard]] Status check_assertion(std::string_view compact, const json::Value& payload, const json::Value& identity,
                                       const crypto::PublicKey& certified) const {
    const auto verified = crypto::verify_jws(compact, "intaglio-key+jwt", config_.sam_identity);
    if (!verified) return not_agreed("key assertion: " + verified.error().detail);
    const auto stated = json::parse(*verified);
    if (!stated) return stated.error();
    const auto same_text = [&](std::string_view name) {
      const auto one = json::text_member(payload, name, 64);
      const auto other = json::text_member(*stated, name, 64);
      return one && other && *one == *other;
    };
    const auto same_digest = [&](std::string_view name, const crypto::Sha256Digest& expected) {
      const auto digest = json::base64url_member(*stated, name, 32);
      return digest && std::ranges::equal(*digest, expected);
    };
    if (refused_by("external_ca.assertion.signer", !same_text("signer"))) return not_agreed("the SAM asserts the key of another signer");
    if (refused_by("external_ca.assertion.key", !same_text("key"))) return not_agreed("the SAM asserts another key");
    if (refused_by("external_ca.assertion.spki", !same_digest("spki_sha256", certified.thumbprint())))
      return not_agreed("the CSR's key is not the one that the SAM asserts");
    if (refused_by("external_ca.assertion.identity", !same_digest("identity_sha256", crypto::sha256(as_bytes(json::encode(identity))))))
      return not_agreed("the SAM holds another identity record than the operator's request");
    const auto iat = json::integer_member(*stated, "iat");
    if (!iat) return iat.error();
    const std::int64_t age = unix_seconds(parts_.clock->now()) - std::clamp<std::int64_t>(*iat, 0, std::int64_t{1} << 40);
    if (refused_by("external_ca.assertion.age", age > config_.assertion_max_age.count() || age < -tolerated_ahead))
      return not_agreed("the SAM's assertion is too old, or of the future");
    return {};
  }

  /// Certificate and issuer of the key that a request names, once the serial number is the certificate's.
  Result<std::vector<crypto::Certificate>> issued_path(const json::Value& payload) {
    const auto serial = json::text_member(payload, "serial", 64);
    if (!serial) return serial.error();
    const auto octets = parse_hex(*serial);
    if (!octets) return octets.error();
    const auto pending = request_of(payload);
    if (!pending) return pending.error();
    std::vector<crypto::Certificate> path;
    for (const auto& der : pending->certificates) {
      auto certificate = crypto::Certificate::parse_der(der);
      if (!certificate) return certificate.error();
      path.push_back(std::move(*certificate));
    }
    if (path.empty()) return Error{ErrorCode::not_found, "the key has no certificate of the external CA"};
    if (refused_by("external_ca.revoke.serial", path.front().serial_hex() != encode_hex(*octets)))
      return Error{ErrorCode::not_found, "the certificate of that key has another serial number"};
    return path;
  }

  /// Whether a list of the certificate's issuer names it; nothing when it is no such list.
  [[nodiscard]] static std::optional<bool> listed(ByteView der, const std::vector<crypto::Certificate>& path) {
    if (path.size() < 2 || !crypto::verify_crl(der, path[1])) return std::nullopt;
    const auto list = crypto::parse_crl(der);
    if (!list) return std::nullopt;
    return list->find(path.front().serial_hex()) != nullptr;
  }

  ExternalCaConfig config_;
  crypto::CmpClient client_;
  ExternalCaParts parts_;
  CmpIssuance issuance_;
};

}  // namespace

Result<std::shared_ptr<CertificationAuthority>> make_external_ca(ExternalCaConfig config, crypto::CmpConfig cmp, ExternalCaParts parts) {
  auto exchange = [client = parts.messages, url = config.url](ByteView message) -> Result<Bytes> {
    // Each message has a connection of its own, and a server that waits for more on it may take its end for the transaction's.
    const auto answer = client.post(url, message_type, as_text(message), {{"Connection", "close"}});
    auto body = body_of(answer, "the CA");
    if (!body) return body.error();
    const std::string_view type(answer->content_type);
    if (refused_by("external_ca.content_type", type.substr(0, type.find(';')) != message_type))
      return Error{ErrorCode::internal, "the CA's answer is not " + std::string(message_type)};
    return body;
  };
  auto client = crypto::CmpClient::make(std::move(cmp), std::move(exchange), parts.clock);
  if (!client) return client.error();
  return std::shared_ptr<CertificationAuthority>(std::make_shared<ExternalCa>(std::move(config), *client, std::move(parts)));
}

}  // namespace intaglio::registration
