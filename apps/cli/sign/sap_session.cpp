#include "sign/sap_session.h"

#include "base/check.h"
#include "console.h"
#include "crypto/jose/jwe.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "evidence/device_key.h"
#include "problem.h"

namespace intaglio::cli {
namespace {

constexpr std::string_view statement_typ = "intaglio-sap-key+jwt";
/// SAP keys live 24 hours at most (trust-core, 2); one minute for clocks that differ.
constexpr std::int64_t longest_statement = 24 * 3600 + 60;
constexpr std::int64_t clock_skew = 60;
constexpr std::size_t coordinate_bytes = 32;  // P-256

Error distrust(std::string_view what) {
  return problem(ErrorCode::not_authorised, "the service does not show the SAM that the configuration pins: " + std::string(what),
                 "do not enter PIN or code; compare the identity of the SAM in it with what the provider publishes");
}

/// The SAM's identity key as the service tells it, when it is the pinned one.
Result<crypto::PublicKey> pinned_identity(const Service& service, const ClientSettings& settings) {
  auto keys = service.get("/sic/v1/sam");
  if (!keys) return keys.error();
  const auto* jwk = json::member(*keys, "identity");
  if (jwk == nullptr) return distrust("no identity key");
  auto identity = crypto::parse_jwk(jwk->is_string() ? jwk->get<std::string>() : json::encode(*jwk));
  if (!identity) return distrust("an identity key that is not P-256");
  auto thumbprint = crypto::jwk_thumbprint(*identity);
  if (!thumbprint) return thumbprint.error();
  if (refused_by("signer.sam.identity", *thumbprint != settings.sam_thumbprint)) return distrust("another identity key");
  return identity;
}

struct Statement {
  std::string kid;
  crypto::PublicKey key;
};

Result<Statement> verify_statement(std::string_view compact, const crypto::PublicKey& identity, UnixTime now) {
  auto payload = crypto::verify_jws(compact, statement_typ, identity);
  if (refused_by("signer.statement.signature", !payload)) return distrust("a statement that its identity key did not sign");
  if (!payload) return payload.error();
  auto claims = json::parse(*payload);
  if (!claims) return distrust("an unreadable statement");
  auto kid = json::text_member(*claims, "kid", 128);
  auto begin = json::integer_member(*claims, "iat");
  auto end = json::integer_member(*claims, "exp");
  const auto* jwk = json::member(*claims, "jwk");
  if (!kid || !begin || !end || jwk == nullptr) return distrust("an incomplete statement");
  const auto seconds = unix_seconds(now);
  const bool outside = *begin > seconds + clock_skew || *end <= seconds || *end - *begin > longest_statement;
  if (refused_by("signer.statement.time", outside)) return distrust("a statement that is not valid now (check this machine's clock)");
  auto key = crypto::parse_jwk(jwk->is_string() ? jwk->get<std::string>() : json::encode(*jwk));
  if (!key) return distrust("a SAP key that is not P-256");
  return Statement{std::move(*kid), std::move(*key)};
}

bool is_printable(ByteView value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](std::uint8_t c) { return c >= 0x20 && c <= 0x7e; });
}
/// What may not stand between quotes of JSON as it is (RFC 8259, 7), of what is printable.
constexpr bool is_escaped(std::uint8_t c) noexcept { return c == '"' || c == '\\'; }

/// What a device answers, or registers itself with (api/sap, 12), as the object that stands among the factors.
Result<std::string> device_factor(const Factor& factor, std::string_view message_id, ByteView binding) {
  namespace device_key = evidence::device_key;
  const auto& spki = factor.key->public_key().spki();
  const auto name = device_key::name_of(spki);
  const bool registers = factor.type == "new-device";
  const auto input =
      registers ? device_key::possession_input(spki, message_id, binding) : device_key::approval_input(name, message_id, binding);
  const auto signature = factor.key->sign(crypto::SignatureSuite::ecdsa_sha256, input);
  if (!signature) return signature.error();
  const auto raw = crypto::ecdsa_to_raw(*signature, coordinate_bytes);
  if (!raw) return raw.error();
  json::Value object{{"type", factor.type}, {"signature", encode_base64url(*raw)}};
  object[registers ? "key" : "id"] = encode_base64url(registers ? ByteView(spki) : ByteView(name));
  return json::encode(object);
}

/// The payload with its secrets, in memory of the pool alone. `devices`: the objects of the factors that have a key, in their order.
Result<Secret> payload_of(const std::string& without_factors, const std::vector<Factor>& factors, const std::vector<std::string>& devices) {
  std::size_t length = without_factors.size() + 16;
  for (const auto& device : devices) length += device.size() + 1;
  for (const auto& factor : factors) {
    if (factor.key != nullptr) continue;
    if (!is_printable(factor.value->reveal())) {
      return problem(ErrorCode::invalid_request, "the " + std::string(factor.type) + " may hold letters, digits and signs of ASCII only",
                     "enter it again");
    }
    length += factor.type.size() + 2 * factor.value->size() + 32;
  }
  auto payload = Secret::of_size(length);
  std::size_t used = 0;
  const auto put = [&](ByteView bytes) {
    std::copy(bytes.begin(), bytes.end(), payload.writable().begin() + static_cast<std::ptrdiff_t>(used));
    used += bytes.size();
  };
  // An object without its last brace takes one member more.
  put(as_bytes(without_factors).first(without_factors.size() - 1));
  put(as_bytes(",\"factors\":["));
  bool first = true;
  auto device = devices.begin();
  for (const auto& factor : factors) {
    if (factor.key != nullptr) {
      put(as_bytes(first ? "" : ","));
      put(as_bytes(*device++));
      first = false;
      continue;
    }
    put(as_bytes(std::string(first ? "" : ",") + "{\"type\":\"" + std::string(factor.type) + "\",\"value\":\""));
    for (const auto& c : factor.value->reveal()) {
      if (is_escaped(c)) put(as_bytes("\\"));
      put(ByteView(&c, 1));
    }
    put(as_bytes("\"}"));
    first = false;
  }
  put(as_bytes("]}"));
  return Secret(payload.reveal().first(used));
}

}  // namespace

Result<OpenedTransaction> open_transaction(const Service& service, const ClientSettings& settings, std::string_view path,
                                           const json::Value& request, UnixTime now) {
  auto identity = pinned_identity(service, settings);
  if (!identity) return identity.error();
  auto answer = service.post(path, request);
  if (!answer) return answer.error();
  return read_opened(*answer, *identity, now);
}

Result<OpenedTransaction> read_opened(const json::Value& answer, const crypto::PublicKey& identity, UnixTime now) {
  auto ticket = json::text_member(answer, "ticket", 2 * protocol::max_message_bytes);
  auto encoded = json::base64url_member(answer, "transaction", 1024 * 1024);
  auto compact = json::text_member(answer, "sapStatement", protocol::max_message_bytes);
  if (!ticket || !encoded || !compact)
    return problem(ErrorCode::internal, "the service's answer is incomplete", "check that base_url is the SSA's");
  auto transaction = protocol::parse_transaction(*encoded);
  if (!transaction)
    return because(transaction.error(), "the transaction that the service opened", "do not go on; tell the operator of the service");
  auto statement = verify_statement(*compact, identity, now);
  if (!statement) return statement.error();
  return OpenedTransaction{std::move(*ticket), std::move(*encoded), std::move(*transaction), std::move(statement->kid),
                           std::move(statement->key)};
}

std::string_view act_of(bool script) { return script ? "script-confirmed" : "typed-yes"; }

Status ask_to_agree(const SignerSide& side, bool script) {
  say("Terms " + printable(side.terms.id) + ", version " + printable(side.terms.version) + ": " + printable(side.terms_text));
  if (script) return {};
  auto answer = ask_line("Type yes to agree, anything else to leave:");
  if (!answer)
    return because(answer.error(), "the approval", "run the command in a terminal; a script that acts for the signer gives --yes");
  if (*answer != "yes")
    return problem(ErrorCode::not_authorised, "nothing was done: you did not type yes", "run the command again when you agree");
  return {};
}

crypto::Sha256Digest binding_of(const OpenedTransaction& opened, const protocol::Terms& terms, std::string_view act) {
  return protocol::binding_digest(opened.encoded, protocol::consent_digest(opened.encoded, terms, act));
}

Result<SapMessage> make_sap_message(const OpenedTransaction& opened, const protocol::Terms& terms, std::string_view act,
                                    const std::vector<Factor>& factors, const Wishes& wishes) {
  auto answer_key = crypto::SoftwareKey::generate();
  if (!answer_key) return answer_key.error();
  auto epk = crypto::encode_jwk((*answer_key)->public_key());
  auto id = crypto::random_id();
  if (!epk) return epk.error();
  if (!id) return id.error();
  auto epk_value = json::parse(*epk);
  if (!epk_value) return epk_value.error();
  const auto consent = protocol::consent_digest(opened.encoded, terms, act);
  const auto binding = binding_of(opened, terms, act);
  json::Value open{{"id", *id},
                   {"ticket", opened.ticket},
                   {"terms", {{"id", terms.id}, {"version", terms.version}, {"language", terms.language}}},
                   {"act", act},
                   {"consent", encode_base64url(consent)},
                   {"binding", encode_base64url(binding)},
                   {"epk", *epk_value}};
  if (wishes.new_seed) open["new_seed"] = true;
  if (wishes.drop_devices) open["drop_devices"] = true;
  std::vector<std::string> devices;
  for (const auto& factor : factors) {
    if (factor.key == nullptr) continue;
    auto object = device_factor(factor, *id, binding);
    if (!object) return object.error();
    devices.push_back(std::move(*object));
  }
  auto payload = payload_of(json::encode(open), factors, devices);
  if (!payload) return payload.error();
  const crypto::JweHeader header{.typ = "intaglio-sap-" + std::string(protocol::name_of(opened.transaction.purpose)) + "+jwe",
                                 .kid = opened.sap_kid,
                                 .apu = opened.transaction.nonce,
                                 .apv = to_bytes(opened.sap_kid)};
  auto compact = crypto::make_jwe(opened.sap_key, header, payload->reveal());
  if (!compact) return because(compact.error(), "sealing the approval", "sign fewer documents at once");
  return SapMessage{std::move(*compact), std::move(*answer_key)};
}

}  // namespace intaglio::cli
