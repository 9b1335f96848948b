#include "sam/sap/message.h"

#include "base/check.h"
#include "crypto/jose/jwe.h"
#include "crypto/jose/jws.h"
#include "crypto/symmetric.h"
#include "json/json.h"
#include "sam/sap/device_members.h"
#include "sam/sap/passkey_members.h"

namespace intaglio::sam {
namespace {

constexpr std::string_view ticket_key_purpose = "ticket/1";
constexpr std::size_t max_ticket_bytes = 4 * 1024 * 1024;
constexpr std::size_t max_factors = 6;
constexpr std::size_t max_id_token = 16 * 1024;

Bytes ticket_context(protocol::Purpose purpose, std::uint64_t epoch, std::uint64_t key_id) {
  Bytes context;
  append_field(context, std::string_view("intaglio/ticket/1"));
  append_field(context, name_of(purpose));
  append_field(context, epoch);
  append_field(context, key_id);
  return context;
}

Error not_ours(std::string detail) { return {ErrorCode::ticket_invalid, std::move(detail)}; }
Error malformed(std::string detail) { return {ErrorCode::invalid_request, "SAP message: " + std::move(detail)}; }

/// A text member as a Secret; the document is wiped as a whole.
Result<Secret> take_secret(const json::Value& object, std::string_view name, std::size_t most) {
  const auto* found = json::member(object, name);
  if (found == nullptr || !found->is_string()) return malformed(std::string(name) + " must be a text");
  const auto& text = found->get_ref<const std::string&>();
  if (text.empty() || text.size() > most) return malformed(std::string(name) + " is empty or too long");
  return Secret(as_bytes(text));
}

/// An ID token as it came; the verifier reads it.
Result<std::string> parse_token(const json::Value& factor) {
  auto token = json::text_member(factor, "value", max_id_token);
  if (!token || token->empty()) return malformed("value must be a text of 1 to 16384 bytes");
  return token;
}

/// A factor into its place, which must be empty.
template <typename Place, typename Parsed>
Status put_factor(Place& place, Parsed parsed, bool taken) {
  if (!parsed) return parsed.error();
  if (taken) return malformed("a factor stands twice");
  place = std::move(*parsed);
  return {};
}

Status take_factor(const json::Value& factor, std::string_view type, SapPayload& message) {
  if (type == "passkey") return put_factor(message.passkey, parse_assertion(factor), message.passkey.has_value());
  if (type == "new-passkey") return put_factor(message.new_passkey, parse_registration(factor), message.new_passkey.has_value());
  if (type == "device") return put_factor(message.device, parse_device_answer(factor), message.device.has_value());
  if (type == "new-device") return put_factor(message.new_device, parse_device_registration(factor), message.new_device.has_value());
  if (type == "id-token") return put_factor(message.id_token, parse_token(factor), message.id_token.has_value());
  if (type == "new-id-token") return put_factor(message.new_id_token, parse_token(factor), message.new_id_token.has_value());
  Secret* place = type == "pin" || type == "signerpass"           ? &message.pin
                  : type == "totp"                                ? &message.totp
                  : type == "activation-code"                     ? &message.activation_code
                  : type == "new-pin" || type == "new-signerpass" ? &message.new_pin
                                                                  : nullptr;
  if (place == nullptr) return malformed("a factor of unknown type");
  if (type == "signerpass") message.secret_kind = Factor::signerpass;
  if (type == "new-signerpass") message.new_secret_kind = Factor::signerpass;
  return put_factor(*place, take_secret(factor, "value", 256), !place->empty());
}

Status take_factors(const json::Value& payload, SapPayload& message) {
  const auto* factors = json::member(payload, "factors");
  if (factors == nullptr || !factors->is_array() || factors->size() > max_factors)
    return malformed("factors must be a list of at most " + std::to_string(max_factors));
  for (const auto& factor : *factors) {
    auto type = json::text_member(factor, "type", 32);
    if (!type) return malformed("a factor needs a type");
    if (auto taken = take_factor(factor, *type, message); !taken) return taken;
  }
  return {};
}

/// False when it is absent.
Result<bool> flag_member(const json::Value& object, std::string_view name) {
  const auto* flag = json::member(object, name);
  if (flag == nullptr) return false;
  if (!flag->is_boolean()) return malformed(std::string(name) + " is true or false");
  return flag->get<bool>();
}

Result<crypto::Sha256Digest> digest_member(const json::Value& object, std::string_view name) {
  auto bytes = json::base64url_member(object, name, 32);
  if (!bytes || bytes->size() != 32) return malformed(std::string(name) + " must be 32 bytes in base64url");
  crypto::Sha256Digest digest{};
  std::copy(bytes->begin(), bytes->end(), digest.begin());
  return digest;
}

}  // namespace

std::string message_typ(protocol::Purpose purpose) { return "intaglio-sap-" + std::string(name_of(purpose)) + "+jwe"; }

Result<std::string> seal_ticket(const Core& core, const protocol::Transaction& transaction) {
  const auto key_id = core.sealer->current_key_id();
  auto key = core.sealer->derive(ticket_key_purpose, key_id);
  if (!key) return key.error();
  auto sealed =
      crypto::gcm_seal(key->reveal(), protocol::encode(transaction), ticket_context(transaction.purpose, transaction.epoch, key_id));
  if (!sealed) return sealed.error();
  Bytes ticket;
  append_field(ticket, key_id);
  append(ticket, *sealed);
  return encode_base64url(ticket);
}

Result<protocol::Transaction> open_ticket(const Core& core, protocol::Purpose purpose, std::string_view ticket) {
  if (ticket.size() > max_ticket_bytes) return not_ours("the ticket is too long");
  auto bytes = parse_base64url(ticket);
  if (!bytes || bytes->size() < 12) return not_ours("the ticket is not base64url");
  const ByteView view(*bytes);
  auto key_id = FieldReader(view.first(12)).number();
  if (!key_id) return not_ours("the ticket names no key");
  auto key = core.sealer->derive(ticket_key_purpose, *key_id);
  if (!key) return not_ours("the ticket names an unknown key");
  // The epoch of this SAM is part of what authenticates: a ticket of before a restore opens nothing.
  auto content = crypto::gcm_open(key->reveal(), view.subspan(12), ticket_context(purpose, core.epoch(), *key_id));
  if (!content) return not_ours("the ticket is not authentic for this purpose and epoch");
  auto transaction = protocol::parse_transaction(content->reveal());
  if (!transaction) return not_ours("the ticket holds no transaction");
  if (refused_by("sam.ticket.expired", core.clock->now() >= transaction->expires))
    return Error{ErrorCode::ticket_expired, "the ticket is over"};
  return std::move(*transaction);
}

Result<protocol::Opened> open_transaction(Core& core, const protocol::Transaction& transaction) {
  auto ticket = seal_ticket(core, transaction);
  if (!ticket) return ticket.error();
  auto statement = core.sap_keys.statement();
  if (!statement) return statement.error();
  return protocol::Opened{.ticket = std::move(*ticket),
                          .transaction = protocol::encode(transaction),
                          .sap_statement = std::move(*statement),
                          .expires = transaction.expires};
}

Result<SapPayload> parse_payload(ByteView plaintext) {
  auto parsed = json::parse(as_text(plaintext), {.max_bytes = protocol::max_message_bytes, .max_depth = 6, .max_members = 64});
  if (!parsed) return malformed(parsed.error().detail);
  auto& object = *parsed;
  const json::WipeAtExit wiped(object);
  if (!object.is_object()) return malformed("the payload is not an object");
  SapPayload payload{.id = {},
                     .ticket = {},
                     .act = {},
                     .terms = {},
                     .told_consent = {},
                     .told_binding = {},
                     .pin = {},
                     .totp = {},
                     .activation_code = {},
                     .new_pin = {},
                     .passkey = {},
                     .new_passkey = {},
                     .device = {},
                     .new_device = {},
                     .id_token = {},
                     .new_id_token = {},
                     .secret_kind = Factor::pin,
                     .new_secret_kind = Factor::pin,
                     .new_seed = false,
                     .drop_passkeys = false,
                     .drop_devices = false,
                     .answer_key = {}};
  if (auto taken = take_factors(object, payload); !taken) return taken.error();

  auto id = json::text_member(object, "id", 64);
  auto ticket = json::text_member(object, "ticket", max_ticket_bytes);
  auto act = json::text_member(object, "act", 64);
  const auto* terms = json::member(object, "terms");
  if (!id || id->size() < 16) return malformed("id must be a text of 16 to 64 characters");
  if (!ticket || !act || terms == nullptr || !terms->is_object()) return malformed("ticket, act and terms are needed");
  auto terms_id = json::text_member(*terms, "id", 64);
  auto terms_version = json::text_member(*terms, "version", 64);
  auto terms_language = json::text_member(*terms, "language", 16);
  if (!terms_id || !terms_version || !terms_language) return malformed("terms need id, version and language");
  auto consent = digest_member(object, "consent");
  if (!consent) return consent.error();
  auto binding = digest_member(object, "binding");
  if (!binding) return binding.error();
  if (const auto* epk = json::member(object, "epk"); epk != nullptr) {
    auto answer_key = crypto::parse_jwk(json::encode(*epk));
    if (!answer_key) return malformed("epk is not a P-256 JWK");
    payload.answer_key = std::move(*answer_key);
  }
  auto new_seed = flag_member(object, "new_seed");
  if (!new_seed) return new_seed.error();
  auto drop_passkeys = flag_member(object, "drop_passkeys");
  if (!drop_passkeys) return drop_passkeys.error();
  auto drop_devices = flag_member(object, "drop_devices");
  if (!drop_devices) return drop_devices.error();
  payload.new_seed = *new_seed;
  payload.drop_passkeys = *drop_passkeys;
  payload.drop_devices = *drop_devices;
  payload.id = std::move(*id);
  payload.ticket = std::move(*ticket);
  payload.act = std::move(*act);
  payload.terms = {std::move(*terms_id), std::move(*terms_version), std::move(*terms_language)};
  payload.told_consent = *consent;
  payload.told_binding = *binding;
  return payload;
}

namespace {

Result<SapMessage> read_message(Core& core, protocol::Purpose purpose, std::string_view compact) {
  auto header = crypto::peek_jwe_header(compact);
  if (!header) return header.error();
  auto key = core.sap_keys.find(header->kid);
  if (!key) return key.error();
  if (refused_by("sam.message.party", to_bytes(header->kid) != header->apv)) return malformed("apv is not the kid");
  auto plaintext = crypto::open_jwe(**key, message_typ(purpose), compact);
  if (!plaintext) return plaintext.error();
  auto payload = parse_payload(plaintext->reveal());
  if (!payload) return payload.error();
  auto transaction = open_ticket(core, purpose, payload->ticket);
  if (!transaction) return transaction.error();

  if (refused_by("sam.message.nonce", header->apu != transaction->nonce))
    return Error{ErrorCode::binding_mismatch, "apu is not the nonce of the ticket"};
  if (refused_by("sam.message.terms", !core.policy.accepts(payload->terms)))
    return Error{ErrorCode::binding_mismatch, "the terms are not in force"};
  if (refused_by("sam.message.act", !core.policy.accepts_act(payload->act)))
    return Error{ErrorCode::binding_mismatch, "the act is not an explicit act that policy knows"};
  // What the signer saw is what is recomputed here, from the sealed T: a page that was shown something else differs (TC-3).
  const auto encoded = protocol::encode(*transaction);
  const auto consent = protocol::consent_digest(encoded, payload->terms, payload->act);
  if (refused_by("sam.message.consent", payload->told_consent != consent)) return Error{ErrorCode::binding_mismatch, "the consent differs"};
  const auto binding = protocol::binding_digest(encoded, consent);
  if (refused_by("sam.message.binding", payload->told_binding != binding)) {
    return Error{ErrorCode::binding_mismatch, "the binding differs"};
  }
  return SapMessage{.transaction = std::move(*transaction),
                    .consent = consent,
                    .binding = binding,
                    .terms = std::move(payload->terms),
                    .act = std::move(payload->act),
                    .id = std::move(payload->id),
                    .pin = std::move(payload->pin),
                    .totp = std::move(payload->totp),
                    .activation_code = std::move(payload->activation_code),
                    .new_pin = std::move(payload->new_pin),
                    .passkey = std::move(payload->passkey),
                    .new_passkey = std::move(payload->new_passkey),
                    .device = std::move(payload->device),
                    .new_device = std::move(payload->new_device),
                    .id_token = std::move(payload->id_token),
                    .new_id_token = std::move(payload->new_id_token),
                    .secret_kind = payload->secret_kind,
                    .new_secret_kind = payload->new_secret_kind,
                    .new_seed = payload->new_seed,
                    .drop_passkeys = payload->drop_passkeys,
                    .drop_devices = payload->drop_devices,
                    .answer_key = std::move(payload->answer_key)};
}

}  // namespace

Result<SapMessage> open_message(Core& core, protocol::Purpose purpose, std::string_view compact) {
  try {
    return read_message(core, purpose, compact);
  } catch (const SecretsExhausted& full) {
    return Error{ErrorCode::busy, full.what()};
  }
}

}  // namespace intaglio::sam
