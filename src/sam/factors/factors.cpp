#include "sam/factors/factors.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/password_hash.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"

namespace intaglio::sam {
namespace {

constexpr std::uint32_t node_cap_per_day = 100;  // 800-63B, 5.2.2
constexpr std::int64_t totp_period = 30;
constexpr std::size_t max_node_counts = 100000;
constexpr std::size_t lock_bytes = 32;

/// Salt for signers that do not exist: the work is the same, the outcome is failure.
constexpr std::array<std::uint8_t, 16> no_salt{};

struct Charged {
  std::optional<SignerRecord> signer;
  FactorSet held;  ///< what the signer has and could show
  bool totp_matched = false;
  std::optional<PasskeyProof> passkey;
  std::optional<DeviceProof> device;
  std::optional<IdentityProof> identity;
  bool possession_shown = false;  ///< a right one, or the word of the signer's identity provider, so that no stranger asks
};

/// An assertion by what its authenticator signed: ECDSA has more than one signature of the same.
std::string assertion_id(const evidence::webauthn::AssertionResponse& response) {
  Bytes input;
  append_field(input, response.credential_id);
  append_field(input, response.client_data);
  append_field(input, response.authenticator_data);
  return encode_base64url(crypto::sha256(input));
}

bool suffices(FactorSet shown, FactorSet held, const Demand& demand) {
  bool any = false;
  for (const auto* profile : demand) {
    if (!covers_any(held, profile->factors)) continue;
    if (!covers_any(shown, profile->factors)) return false;
    any = true;
  }
  return any;
}

/// The step within one of now that matches and was not used, compared in constant time over all of them.
std::optional<std::uint64_t> matching_step(const Secret& seed, const Secret& code, std::int64_t now, std::uint64_t last_used) {
  const auto current = static_cast<std::uint64_t>(now / totp_period);
  std::optional<std::uint64_t> match;
  for (std::uint64_t step = current - 1; step <= current + 1; ++step) {
    const auto expected = crypto::totp_code(seed, step);
    const bool equal = same_secret(expected.reveal(), code.reveal());
    if (equal && !refused_by("sam.factors.totp-step-once", step <= last_used)) match = step;
  }
  return match;
}

/// A lock that ended gives all attempts back.
void forget_ended_locks(FactorState& state, std::int64_t now) {
  if (state.locked_until != 0 && now >= state.locked_until) state.failures = 0, state.locked_until = 0;
  if (state.wide_locked_until != 0 && now >= state.wide_locked_until) state.wide_failures = 0, state.wide_locked_until = 0;
}

struct Velocity {
  std::uint64_t last_minute, last_day;
};

/// Adds the documents and returns the sums over sliding windows. What is older than a minute is kept by the hour, so that the
/// record stays small; an hour counts until its end has left the window.
Velocity count_documents(FactorState& state, std::int64_t now, std::uint64_t documents) {
  constexpr std::int64_t minute = 60, hour = 3600, day = 86400;
  if (documents > 0) state.counts.push_back({now, documents});
  std::map<std::int64_t, std::uint64_t> kept;
  Velocity sums{0, 0};
  for (const auto& count : state.counts) {
    if (count.at + day <= now) continue;
    sums.last_day += count.documents;
    const bool recent = count.at + minute > now;
    if (recent) sums.last_minute += count.documents;
    const auto end_of_hour = (count.at / hour + 1) * hour - 1;
    kept[recent || end_of_hour + minute > now ? count.at : end_of_hour] += count.documents;
  }
  state.counts.clear();
  for (const auto& [at, sum] : kept) state.counts.push_back({at, sum});
  return sums;
}

/// Repeats and short periods, runs, keypad walks and famous numbers: what is tried first (800-63B, 5.1.1.2).
bool is_well_known(ByteView digits) {
  bool known = false;
  // A period of up to half the length covers repeats (000000), pairs (121212) and triples (123123).
  for (std::size_t period = 1; period <= digits.size() / 2; ++period) {
    bool periodic = true;
    for (std::size_t i = period; i < digits.size(); ++i) periodic = periodic && digits[i] == digits[i - period];
    known = known || periodic;
  }
  for (const int step : {1, -1, 2, -2, 3, -3}) {
    bool run = true;
    for (std::size_t i = 1; i < digits.size(); ++i) run = run && (digits[i] - digits[i - 1] + 10) % 10 == (step + 10) % 10;
    known = known || run;
  }
  static constexpr std::array<std::string_view, 16> list = {"159753", "147258", "258369", "147852", "789456", "456123", "112233", "123321",
                                                            "696969", "131313", "520520", "314159", "271828", "102030", "123654", "142536"};
  for (const auto text : list) known = known || same_secret(digits, as_bytes(text));
  return known;
}

}  // namespace

Status check_new_pin(const Secret& pin) {
  const auto digits = pin.reveal();
  const Error form{ErrorCode::invalid_request, "a PIN has 6 to 12 digits"};
  if (refused_by("sam.pin.length", digits.size() < 6 || digits.size() > 12)) return form;
  for (const auto digit : digits) {
    if (digit < '0' || digit > '9') return form;
  }
  if (refused_by("sam.pin.blocklist", is_well_known(digits))) {
    return Error{ErrorCode::invalid_request, "this PIN is one of those that are tried first; choose another"};
  }
  return {};
}

FactorSet Factors::held_by(const SignerRecord& signer, const std::vector<Passkey>& passkeys, const std::vector<Device>& devices,
                           bool linked) const {
  FactorSet held;
  if (signer.pin) held.add(signer.pin->kind);
  if (!signer.totp_seed.empty()) held.add(Factor::totp);
  const bool usable = std::any_of(passkeys.begin(), passkeys.end(), [this](const Passkey& passkey) { return passkeys_.may_use(passkey); });
  if (usable) held.add(Factor::passkey);
  if (!devices.empty()) held.add(Factor::device);
  if (linked) held.add(Factor::id_token);
  return held;
}

Result<FactorSet> Factors::held_now(storage::Transaction& transaction, const SignerRecord& signer) const {
  auto passkeys = passkeys_.of(transaction, signer);
  if (!passkeys) return passkeys.error();
  auto devices = devices_.of(transaction, signer);
  if (!devices) return devices.error();
  auto link = identities_.of(transaction, signer);
  if (!link) return link.error();
  return held_by(signer, *passkeys, *devices, link->has_value());
}

bool reaches_a_profile(const Policy& policy, FactorSet factors) noexcept {
  const auto& profiles = policy.profiles();
  return std::any_of(profiles.begin(), profiles.end(), [&](const Profile& profile) { return covers_any(factors, profile.factors); });
}

FactorSet ShownFactors::kinds() const noexcept {
  FactorSet kinds;
  if (!pin.empty()) kinds.add(secret_kind);
  if (!totp.empty()) kinds.add(Factor::totp);
  if (passkey) kinds.add(Factor::passkey);
  if (device) kinds.add(Factor::device);
  if (id_token) kinds.add(Factor::id_token);
  return kinds;
}

Factors::Factors(const Policy& policy, storage::Database& database, audit::Log& log, const std::shared_ptr<const sealed::Sealer>& sealer,
                 const Pepper& pepper, std::shared_ptr<const Clock> clock)
    : policy_(policy),
      database_(database),
      sealer_(sealer),
      pepper_(pepper),
      clock_(std::move(clock)),
      signers_(sealer, "signers", sealed::Rollback::refused),
      states_(sealer, "factor_states", sealed::Rollback::refused),
      passkeys_(policy, log, sealer, clock_),
      devices_(policy, sealer, clock_),
      identities_(policy, sealer, clock_) {}

Status Factors::consume(storage::Transaction& transaction, std::string_view kind, std::string_view id, UnixTime ends) const {
  const auto index = sealer_->blind_index("used", kind, as_bytes(id));
  auto done = transaction.execute("INSERT INTO used (id, ends) VALUES (?1, ?2)", {ByteView(index), unix_seconds(ends)});
  if (done) return {};
  if (done.error().code != ErrorCode::conflict) return done.error();
  if (refused_by("sam.used-once", true)) return Error{ErrorCode::replayed, "a " + std::string(kind) + " was used before"};
  return {};
}

Result<Factors::EvaluatedPin> Factors::evaluate_pin(const SignerId& signer, std::uint64_t version, const Secret& pin, ByteView salt,
                                                    crypto::Argon2Cost cost) const {
  auto stretched = crypto::argon2id(pin, salt, cost);
  if (!stretched) return stretched.error();
  Bytes input;
  input.reserve(256);
  append_field(input, std::string_view("verify/1"));
  append_field(input, signer.text());
  append_field(input, version);
  append_field(input, stretched->reveal());
  const WipeAtExit wiped(input);
  auto mac = pepper_.mac(input);
  if (!mac) return mac.error();
  return EvaluatedPin{{version, *std::move(stretched)}, *std::move(mac)};
}

Result<NewPin> Factors::make_pin(const SignerId& signer, Factor kind, const Secret& pin, std::uint64_t version) const {
  auto salt = crypto::random_bytes(16);
  if (!salt) return salt.error();
  auto evaluated = evaluate_pin(signer, version, pin, *salt, policy_.argon2);
  if (!evaluated) return evaluated.error();
  return NewPin{
      {.kind = kind, .cost = policy_.argon2, .version = version, .salt = std::move(*salt), .verifier = to_bytes(evaluated->mac.reveal())},
      std::move(evaluated->stretched)};
}

Result<PinVerifier> Factors::make_verifier(const SignerId& signer, Factor kind, const Secret& pin, std::uint64_t version) const {
  auto made = make_pin(signer, kind, pin, version);
  if (!made) return made.error();
  return std::move(made->verifier);
}

Result<Secret> Factors::make_lock(const SignerId& signer, const KeyId& key, const StretchedPin& pin) const {
  Bytes input;
  input.reserve(256);
  append_field(input, std::string_view("lock/1"));
  append_field(input, signer.text());
  append_field(input, key.text());
  append_field(input, pin.version);
  append_field(input, pin.value.reveal());
  const WipeAtExit wiped(input);
  const auto mac = pepper_.lock_mac(input);
  if (!mac) return mac.error();
  return crypto::hkdf_sha256(mac->reveal(), {}, as_bytes("intaglio/lock/1"), lock_bytes);
}

bool Factors::over_node_cap(const SignerId& signer) {
  const std::lock_guard lock(mutex_);
  const auto day = unix_seconds(clock_->now()) / 86400;
  if (node_failures_.size() >= max_node_counts) std::erase_if(node_failures_, [&](const auto& row) { return row.second.day != day; });
  auto& count = node_failures_[signer];
  if (count.day != day) count = {day, 0};
  return ++count.failures > node_cap_per_day;
}

void Factors::forget_node_failure(const SignerId& signer, bool all) {
  const std::lock_guard lock(mutex_);
  const auto found = node_failures_.find(signer);
  if (found == node_failures_.end()) return;
  if (all || found->second.failures <= 1) {
    node_failures_.erase(found);
  } else {
    --found->second.failures;
  }
}

void Factors::uncharge(const SignerId& signer, bool possession_shown) {
  forget_node_failure(signer, /*all=*/false);
  auto undone = database_.write([&](storage::Transaction& transaction) -> Status {
    auto record = states_.find(transaction, signer.text());
    if (!record) return record.error();
    if (!*record) return {};
    auto state = parse_factor_state((*record)->content.reveal());
    if (!state) return state.error();
    auto& failures = possession_shown ? state->failures : state->wide_failures;
    auto& locked_until = possession_shown ? state->locked_until : state->wide_locked_until;
    if (failures > 0) --failures;
    const auto bound = possession_shown ? policy_.failures_before_lock : policy_.wide_failures_before_lock;
    if (failures < bound) locked_until = 0;
    return states_.update(transaction, signer.text(), (*record)->version, encode(*state));
  });
  if (!undone) log::refusal("factors.not_uncharged", undone.error());
}

Result<FactorsProven> Factors::verify(const SignerId& signer, std::string_view message_id, UnixTime message_ends, const ShownFactors& shown,
                                      const Demand& demand) {
  Charged charged;
  const auto charge = [&](storage::Transaction& transaction) -> Status {
    charged = {};
    if (auto consumed = consume(transaction, "message", message_id, message_ends); !consumed) return consumed;
    auto record = signers_.find(transaction, signer.text());
    if (!record) return record.error();
    auto state_record = states_.find(transaction, signer.text());
    if (!state_record) return state_record.error();

    const auto now = unix_seconds(clock_->now());
    FactorState state;
    Secret seed = Secret::of_size(20);
    if (*record && *state_record) {
      auto parsed = parse_signer((*record)->content.reveal());
      if (!parsed) return parsed.error();
      auto parsed_state = parse_factor_state((*state_record)->content.reveal());
      if (!parsed_state) return parsed_state.error();
      // After a reset there are no factors: until the next enrolment such a signer is as one who does not exist.
      if (is_enrolled(*parsed)) {
        state = *parsed_state;
        if (!parsed->totp_seed.empty()) seed = parsed->totp_seed.clone();
        charged.signer.emplace(std::move(*parsed));
      }
    }
    const auto* const found = charged.signer ? &*charged.signer : nullptr;
    auto passkey = passkeys_.evaluate(transaction, signer, found, shown.passkey ? &*shown.passkey : nullptr, shown.binding);
    if (!passkey) return passkey.error();
    auto device = devices_.evaluate(transaction, signer, found, shown.device ? &*shown.device : nullptr, message_id, shown.binding);
    if (!device) return device.error();
    auto identity = identities_.evaluate(transaction, signer, found, shown.id_token ? &*shown.id_token : nullptr, shown.binding);
    if (!identity) return identity.error();
    if (found != nullptr) charged.held = held_by(*found, passkey->record.passkeys, device->devices, identity->link.has_value());
    forget_ended_locks(state, now);
    const auto step = matching_step(seed, shown.totp, now, state.totp_last_step);
    // The seed of who has none is known to everyone.
    charged.totp_matched = step.has_value() && !refused_by("sam.factors.no-seed", !charged.held.has(Factor::totp)) && found != nullptr;
    charged.possession_shown = charged.totp_matched || passkey->answered || device->answered || identity->answered;
    charged.device = std::move(device->answered);
    bool copied = false;
    if (passkey->answered) {
      // Before its counter is looked at: the same assertion again is a copy of the message, not of the authenticator.
      if (auto once = consume(transaction, "assertion", assertion_id(*shown.passkey), message_ends);
          refused_by("sam.passkey.assertion-once", !once))
        return once.error();
      const auto advanced = passkeys_.advance(transaction, signer, *passkey);
      if (!advanced) return advanced.error();
      copied = !*advanced;
      if (!copied) charged.passkey = PasskeyProof{passkey->record.passkeys.at(*passkey->answered), *shown.passkey};
    }
    if (identity->answered) {
      const auto token = encode_base64url(identity->answered->said.digest);
      if (auto once = consume(transaction, "ID token", token, message_ends); refused_by("sam.identity.token-once", !once))
        return once.error();
      charged.identity = std::move(identity->answered);
    }
    // Only who shows the possession factor learns that the signer is locked; strangers see the same failure as for no signer.
    // A passkey that was suspended just now stays so: then nothing here refuses, and the attempt fails at its end.
    if (!copied && refused_by("sam.factors.locked", charged.possession_shown && now < state.locked_until)) {
      return Error{ErrorCode::credential_locked, "locked after failed attempts"};
    }
    if (!charged.possession_shown && refused_by("sam.factors.wide-locked", now < state.wide_locked_until)) return {};
    if (!copied && charged.possession_shown && refused_by("sam.factors.node-cap", over_node_cap(signer))) {
      return Error{ErrorCode::credential_locked, "this node's daily cap of attempts is reached"};
    }
    // The attempt is charged before its outcome is known, so that a crash or a race gives none away (TC-11).
    if (charged.possession_shown) {
      if (charged.totp_matched) state.totp_last_step = *step;
      if (++state.failures >= policy_.failures_before_lock) state.locked_until = now + std::chrono::seconds(policy_.lock_time).count();
    } else if (++state.wide_failures >= policy_.wide_failures_before_lock) {
      state.wide_locked_until = now + std::chrono::seconds(policy_.lock_time).count();
    }
    if (!charged.signer) return {};
    return states_.update(transaction, signer.text(), (*state_record)->version, encode(state));
  };
  if (auto done = database_.write(charge); !done) {
    // A locked signer's message is consumed all the same: it was an attempt.
    if (done.error().code == ErrorCode::credential_locked) {
      auto consumed =
          database_.write([&](storage::Transaction& transaction) { return consume(transaction, "message", message_id, message_ends); });
      if (!consumed) return consumed.error();
    }
    return done.error();
  }

  // From here the work is the same for everyone: one Argon2id, one HMAC in the token.
  const bool has_pin = charged.signer && charged.signer->pin;
  const ByteView salt = has_pin ? ByteView(charged.signer->pin->salt) : ByteView(no_salt);
  const bool own_cost = has_pin && charged.signer->pin->cost.memory_kib != 0;
  auto evaluated = evaluate_pin(signer, has_pin ? charged.signer->pin->version : 0, shown.pin, salt,
                                own_cost ? charged.signer->pin->cost : policy_.argon2);
  if (!evaluated) {
    // Our own failure is not the signer's: the attempt goes back.
    if (charged.signer) uncharge(signer, charged.possession_shown);
    return evaluated.error();
  }
  // A secret that is shown as what it is not would let its record say so of the approval.
  const bool other_kind = has_pin && refused_by("sam.factors.kind", charged.signer->pin->kind != shown.secret_kind);
  const bool pin_matched = has_pin && !other_kind && same_secret(evaluated->mac.reveal(), charged.signer->pin->verifier);

  const Error failed{ErrorCode::authentication_failed, "a factor is wrong, or there is no such signer"};
  if (!charged.signer) return failed;
  const auto kinds = shown.kinds();
  if (refused_by("sam.factors.totp", kinds.has(Factor::totp) && !charged.totp_matched)) return failed;
  if (refused_by("sam.factors.passkey", kinds.has(Factor::passkey) && !charged.passkey)) return failed;
  if (refused_by("sam.factors.device", kinds.has(Factor::device) && !charged.device)) return failed;
  if (refused_by("sam.factors.id-token", kinds.has(Factor::id_token) && !charged.identity)) return failed;
  if (refused_by("sam.factors.pin", kinds.has_knowledge() && !pin_matched)) return failed;
  if (refused_by("sam.factors.combination", !suffices(kinds, charged.held, demand))) return failed;
  forget_node_failure(signer, /*all=*/!has_pin || kinds.has_knowledge());
  return FactorsProven(std::move(*charged.signer), kinds, std::move(charged.passkey), std::move(charged.device),
                       std::move(charged.identity), kinds.has_knowledge() ? std::optional(std::move(evaluated->stretched)) : std::nullopt);
}

Result<CurrentSigner> Factors::find_current(storage::Transaction& transaction, const FactorsProven& proven) const {
  const auto& shown = proven.signer();
  auto row = signers_.find(transaction, shown.id.text());
  if (!row) return row.error();
  if (!*row) return Error{ErrorCode::authentication_failed, "the signer is gone"};
  auto signer = parse_signer((*row)->content.reveal());
  if (!signer) return signer.error();
  const Error changed{ErrorCode::conflict, "the factors changed meanwhile"};
  const auto pin_version = [](const SignerRecord& one) { return one.pin ? one.pin->version : 0; };
  const bool same = signer->incarnation == shown.incarnation && pin_version(*signer) == pin_version(shown) &&
                    same_secret(signer->totp_seed.reveal(), shown.totp_seed.reveal());
  if (refused_by("sam.factors.current", !same)) return changed;
  if (const auto& answered = proven.passkey()) {
    auto kept = passkeys_.of(transaction, *signer);
    if (!kept) return kept.error();
    // Its counter may have gone on: this assertion came before.
    const bool usable = std::any_of(kept->begin(), kept->end(), [&](const Passkey& passkey) {
      return passkey.id == answered->passkey.id && passkey.spki == answered->passkey.spki && passkeys_.may_use(passkey);
    });
    if (refused_by("sam.factors.current-passkey", !usable)) return changed;
  }
  if (const auto& answered = proven.device()) {
    auto kept = devices_.of(transaction, *signer);
    if (!kept) return kept.error();
    const bool registered =
        std::any_of(kept->begin(), kept->end(), [&](const Device& device) { return device.spki == answered->device.spki; });
    if (refused_by("sam.factors.current-device", !registered)) return changed;
  }
  if (const auto& answered = proven.identity()) {
    auto kept = identities_.of(transaction, *signer);
    if (!kept) return kept.error();
    // Each link has a salt of its own: the same person who was linked anew is not the one who answered.
    if (refused_by("sam.factors.current-identity", !*kept || (*kept)->salt != answered->link.salt)) return changed;
  }
  return CurrentSigner{(*row)->version, *std::move(signer)};
}

Status Factors::give_back(storage::Transaction& transaction, const FactorsProven& proven, std::uint32_t documents,
                          const Profile& profile) const {
  const auto& id = proven.signer().id.text();
  auto record = states_.find(transaction, id);
  if (!record) return record.error();
  if (!*record) return Error{ErrorCode::storage_unavailable, "the factor state of a signer is gone"};
  auto state = parse_factor_state((*record)->content.reveal());
  if (!state) return state.error();
  state->locked_until = 0;
  // A passkey alone gives its own attempt back and no more: it must not refill the guesses at a PIN that other profiles ask for.
  if (refused_by("sam.factors.refill", proven.signer().pin && !proven.shown().has_knowledge())) {
    if (state->failures > 0) --state->failures;
  } else {
    state->failures = 0;
    state->wide_failures = 0;
    state->wide_locked_until = 0;
  }

  if (auto within = count_within(*state, documents, profile); !within) return within;
  return states_.update(transaction, id, (*record)->version, encode(*state));
}

Status Factors::count_within(FactorState& state, std::uint32_t documents, const Profile& profile) const {
  const auto [last_minute, last_day] = count_documents(state, unix_seconds(clock_->now()), documents);
  if (refused_by("sam.limit.minute", profile.per_minute != 0 && last_minute > profile.per_minute)) {
    return Error{ErrorCode::limit_exceeded, "more signatures in a minute than the profile allows"};
  }
  if (refused_by("sam.limit.day", profile.per_day != 0 && last_day > profile.per_day)) {
    return Error{ErrorCode::limit_exceeded, "more signatures in a day than the profile allows"};
  }
  return {};
}

Status Factors::count_session(storage::Transaction& transaction, const SignerId& person, std::uint32_t documents,
                              const Profile& profile) const {
  auto record = states_.find(transaction, person.text());
  if (!record) return record.error();
  FactorState state;
  if (*record) {
    auto parsed = parse_factor_state((*record)->content.reveal());
    if (!parsed) return parsed.error();
    state = *std::move(parsed);
  }
  if (auto within = count_within(state, documents, profile); !within) return within;
  if (!*record) return states_.insert(transaction, person.text(), encode(state));
  return states_.update(transaction, person.text(), (*record)->version, encode(state));
}

}  // namespace intaglio::sam
