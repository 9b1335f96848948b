#include "sam/records.h"

#include "base/fields.h"

namespace intaglio::sam {
namespace {

Error malformed(std::string_view what) { return {ErrorCode::storage_unavailable, "a record is malformed: " + std::string(what)}; }

constexpr std::size_t max_list = 8 * 1024 * 1024;

constexpr std::string_view signer_form = "signer/2", earlier_signer_form = "signer/1";

/// How the kind of a verifier stands in a record.
constexpr std::uint64_t pin_kind = 1, signerpass_kind = 2;

}  // namespace

bool is_enrolled(const SignerRecord& record) noexcept { return record.activation_digest.empty(); }

Secret encode(const SignerRecord& record) {
  Bytes out;
  // The seed is the one secret part: room is reserved so that the buffer never moves, and it is wiped at the end.
  out.reserve(1024 + record.identity.size());
  append_field(out, signer_form);
  append_field(out, record.id.text());
  append_field(out, record.incarnation);
  append_field(out, record.identity);
  append_field(out, record.created_by);
  append_field(out, static_cast<std::uint64_t>(unix_seconds(record.created)));
  append_field(out, record.activation_salt);
  append_field(out, record.activation_digest);
  append_field(out, static_cast<std::uint64_t>(unix_seconds(record.activation_ends)));
  append_field(out, record.activation_tries_left);
  append_field(out, std::uint64_t{record.pin.has_value()});
  append_field(out, record.pin ? record.pin->version : 0);
  append_field(out, record.pin ? ByteView(record.pin->salt) : ByteView());
  append_field(out, record.pin ? ByteView(record.pin->verifier) : ByteView());
  append_field(out, record.totp_seed.reveal());
  append_field(out, record.pin && record.pin->kind == Factor::signerpass ? signerpass_kind : pin_kind);
  append_field(out, std::uint64_t{record.pin ? record.pin->cost.memory_kib : 0});
  append_field(out, std::uint64_t{record.pin ? record.pin->cost.passes : 0});
  Secret sealed_form(out);
  wipe(out);
  return sealed_form;
}

Result<SignerRecord> parse_signer(ByteView encoded) {
  Fields in(encoded);
  const auto form = in.text(32);
  // Records of before signerpasses hold PINs only, and no cost.
  const bool earlier = form == earlier_signer_form;
  auto id = SignerId::parse(in.text(64));
  auto incarnation = in.bytes(16);
  auto identity = in.text(16 * 1024);
  auto created_by = in.text(64);
  const auto created = in.seconds();
  auto activation_salt = in.bytes(64);
  auto activation_digest = in.bytes(64);
  const auto activation_ends = in.seconds();
  const auto tries = in.number();
  const auto has_pin = in.number();
  const auto pin_version = in.number();
  auto salt = in.bytes(64);
  auto verifier = in.bytes(64);
  auto seed = in.bytes(64);
  Secret kept(seed);
  wipe(seed);
  const auto kind = earlier ? pin_kind : in.number();
  const auto memory_kib = earlier ? 0 : in.number();
  const auto passes = earlier ? 0 : in.number();
  constexpr std::uint64_t most_memory = 1024 * 1024, most_passes = 10;
  const bool known = (earlier || form == signer_form) && (kind == pin_kind || kind == signerpass_kind);
  if (!in.finished() || !known || !id || has_pin > 1 || memory_kib > most_memory || passes > most_passes) return malformed("signer");
  std::optional<PinVerifier> pin;
  if (has_pin == 1) {
    pin = PinVerifier{.kind = kind == pin_kind ? Factor::pin : Factor::signerpass,
                      .cost = {static_cast<std::uint32_t>(memory_kib), static_cast<std::uint32_t>(passes)},
                      .version = pin_version,
                      .salt = std::move(salt),
                      .verifier = std::move(verifier)};
  }
  return SignerRecord{.id = std::move(*id),
                      .incarnation = std::move(incarnation),
                      .identity = std::move(identity),
                      .created_by = std::move(created_by),
                      .created = from_unix_seconds(created),
                      .activation_salt = std::move(activation_salt),
                      .activation_digest = std::move(activation_digest),
                      .activation_ends = from_unix_seconds(activation_ends),
                      .activation_tries_left = tries,
                      .pin = std::move(pin),
                      .totp_seed = std::move(kept)};
}

Bytes encode(const FactorState& state) {
  Bytes out;
  append_field(out, std::string_view("factors/1"));
  for (const auto number :
       {state.failures, static_cast<std::uint64_t>(state.locked_until), state.wide_failures,
        static_cast<std::uint64_t>(state.wide_locked_until), state.totp_last_step, std::uint64_t{state.counts.size()}}) {
    append_field(out, number);
  }
  for (const auto& count : state.counts) {
    append_field(out, static_cast<std::uint64_t>(count.at));
    append_field(out, count.documents);
  }
  return out;
}

Result<FactorState> parse_factor_state(ByteView encoded) {
  Fields in(encoded);
  in.expect("factors/1");
  FactorState state;
  state.failures = in.number();
  state.locked_until = in.seconds();
  state.wide_failures = in.number();
  state.wide_locked_until = in.seconds();
  state.totp_last_step = in.number();
  const auto count = in.number();
  for (std::uint64_t i = 0; i < count && in.good(); ++i) {
    const auto at = in.seconds();
    state.counts.push_back({at, in.number()});
  }
  if (!in.finished()) return malformed("factor state");
  return state;
}

Bytes encode(const Authorisation& authorisation) {
  Bytes out;
  append_field(out, std::string_view("authorisation/1"));
  append_field(out, authorisation.nonce);
  append_field(out, protocol::encode(authorisation.transaction));
  append_field(out, ByteView(authorisation.consent));
  append_field(out, authorisation.terms.id);
  append_field(out, authorisation.terms.version);
  append_field(out, authorisation.terms.language);
  append_field(out, authorisation.act);
  append_field(out, ByteView(authorisation.sad));
  append_field(out, static_cast<std::uint64_t>(unix_seconds(authorisation.issued)));
  append_field(out, static_cast<std::uint64_t>(unix_seconds(authorisation.expires)));
  return out;
}

Result<Authorisation> parse_authorisation(ByteView encoded) {
  Fields in(encoded);
  in.expect("authorisation/1");
  auto nonce = in.bytes(16);
  auto transaction = protocol::parse_transaction(in.bytes(max_list));
  const auto consent = in.bytes(32);
  protocol::Terms terms{in.text(64), in.text(64), in.text(64)};
  auto act = in.text(64);
  const auto sad = in.bytes(32);
  const auto issued = in.seconds();
  const auto expires = in.seconds();
  if (!in.finished() || !transaction || consent.size() != 32 || sad.size() != 32) return malformed("authorisation");
  Authorisation authorisation{.nonce = std::move(nonce),
                              .transaction = std::move(*transaction),
                              .consent = {},
                              .terms = std::move(terms),
                              .act = std::move(act),
                              .sad = {},
                              .issued = from_unix_seconds(issued),
                              .expires = from_unix_seconds(expires)};
  std::copy(consent.begin(), consent.end(), authorisation.consent.begin());
  std::copy(sad.begin(), sad.end(), authorisation.sad.begin());
  return authorisation;
}

Bytes encode(const Occurrence& occurrence) {
  Bytes out;
  append_field(out, std::uint64_t{static_cast<std::uint8_t>(occurrence.state)});
  append_field(out, occurrence.owner);
  append_field(out, occurrence.suite);
  append_field(out, occurrence.signature);
  append_field(out, occurrence.audit_index);
  return out;
}

Result<Occurrence> parse_occurrence(ByteView encoded) {
  Fields in(encoded);
  const auto state = in.number();
  Occurrence occurrence{.state = OccurrenceState::burned, .owner = in.text(256), .suite = 0, .signature = {}, .audit_index = 0};
  occurrence.suite = in.number();
  occurrence.signature = in.bytes(4096);
  occurrence.audit_index = in.number();
  if (!in.finished() || state < 1 || state > 4) return malformed("occurrence");
  occurrence.state = static_cast<OccurrenceState>(state);
  return occurrence;
}

}  // namespace intaglio::sam
