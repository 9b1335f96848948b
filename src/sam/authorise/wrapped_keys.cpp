#include "sam/authorise/wrapped_keys.h"

#include "base/check.h"

namespace intaglio::sam {
namespace {

/// Policy names PIN or signerpass in every combination of a profile with wrapped custody; without one nothing opens.
Error without_pin() { return {ErrorCode::authentication_failed, "wrapped custody needs PIN or signerpass"}; }
Error without_vault() { return {ErrorCode::unsupported, "no token of this SAM serves wrapped custody"}; }

/// A key in wrapped custody with its record.
struct WrappedKey {
  custody::KeyRecord record;
  custody::StoredSealedKey stored;
};
Result<std::vector<WrappedKey>> wrapped_keys_of(const Core& core, storage::Transaction& transaction, const SignerId& signer) {
  auto keys = core.keys.of_owner(transaction, signer);
  if (!keys) return keys.error();
  std::vector<WrappedKey> found;
  for (auto& key : *keys) {
    if (key.record.state == custody::KeyState::destroyed) continue;
    auto row = core.sealed_keys.find(transaction, key.record.id);
    if (!row) return row.error();
    if (*row) found.push_back({std::move(key.record), **std::move(row)});
  }
  return found;
}

}  // namespace

custody::KeyBinding binding_of(const custody::KeyRecord& record, std::uint64_t policy_version) {
  return {record.id, record.owner, record.holder, record.profile, policy_version};
}

Result<MadeKey> make_key(Core& core, const Profile& profile, const FactorsProven& proven, const KeyId& key, crypto::KeyAlgorithm algorithm,
                         ByteView subject) {
  const auto& signer = proven.signer();
  if (profile.custody == custody::Mode::resident) {
    auto public_key = core.vault.generate(key, algorithm);
    if (!public_key) return public_key.error();
    fault_point("sam.key.generated");
    auto csr = core.vault.make_certificate_request(key, signer.id, subject);
    if (!csr) return csr.error();
    return MadeKey{*std::move(public_key), *std::move(csr), std::nullopt};
  }
  if (core.locked_vault == nullptr) return without_vault();
  if (!proven.pin()) return without_pin();
  const custody::KeyBinding binding{key, signer.id, signer.incarnation, profile.name, core.policy.epoch()};
  const auto lock = core.factors.make_lock(signer.id, key, *proven.pin());
  if (!lock) return lock.error();
  auto pair = core.locked_vault->generate(binding, algorithm, *lock);
  if (!pair) return pair.error();
  fault_point("sam.key.generated");
  auto csr = core.locked_vault->make_certificate_request(binding, pair->public_key, pair->sealed, *lock, subject);
  if (!csr) return csr.error();
  return MadeKey{std::move(pair->public_key), *std::move(csr),
                 custody::SealedKeyRow{std::string(core.locked_vault->provider()), binding.policy_version, std::move(pair->sealed)}};
}

Result<LockShares> split_lock_for(Core& core, const FactorsProven& proven, const std::string& key) {
  auto id = KeyId::parse(key);
  if (!id) return id.error();
  if (!proven.pin()) return without_pin();
  const auto lock = core.factors.make_lock(proven.signer().id, *id, *proven.pin());
  if (!lock) return lock.error();
  return split_lock(*lock);
}

Result<std::vector<ResealedKey>> reseal_keys(Core& core, const FactorsProven& proven, const NewPin& pin) {
  const auto& signer = proven.signer().id;
  std::vector<WrappedKey> keys;
  // A transaction that writes nothing: rows that were put back are refused here as everywhere (TC-8).
  auto loaded = core.database.write([&](storage::Transaction& transaction) -> Status {
    auto found = wrapped_keys_of(core, transaction, signer);
    if (!found) return found.error();
    keys = *std::move(found);
    return {};
  });
  if (!loaded) return loaded.error();
  std::vector<ResealedKey> resealed;
  for (const auto& [record, stored] : keys) {
    if (core.locked_vault == nullptr) return without_vault();
    if (!proven.pin()) return without_pin();
    // A key must not come under a secret that is easier to search than its profile allows.
    const auto* const profile = core.policy.profile(record.profile);
    const auto takes = [&](FactorSet combination) { return combination.has(pin.verifier.kind); };
    const bool taken = profile == nullptr || std::any_of(profile->factors.begin(), profile->factors.end(), takes);
    if (refused_by("sam.change.key-takes-secret", !taken))
      return Error{ErrorCode::invalid_request, "the profile of one of the signer's keys takes no such secret"};
    auto expected = crypto::PublicKey::parse_spki(record.spki);
    if (!expected) return expected.error();
    const auto old_lock = core.factors.make_lock(signer, record.id, *proven.pin());
    if (!old_lock) return old_lock.error();
    const auto new_lock = core.factors.make_lock(signer, record.id, pin.stretched);
    if (!new_lock) return new_lock.error();
    const auto new_binding = binding_of(record, core.policy.epoch());
    auto sealed = core.locked_vault->change_lock(binding_of(record, stored.row.policy_version), new_binding, *expected, stored.row.sealed,
                                                 *old_lock, *new_lock);
    if (!sealed) return sealed.error();
    resealed.push_back({record.id, stored.version, {stored.row.provider, new_binding.policy_version, *std::move(sealed)}});
  }
  return resealed;
}

Status put_resealed(Core& core, storage::Transaction& transaction, const SignerId& signer, const std::vector<ResealedKey>& resealed) {
  auto keys = wrapped_keys_of(core, transaction, signer);
  if (!keys) return keys.error();
  // A key that was made meanwhile has a lock of the PIN that goes: it would never open again.
  if (refused_by("sam.change.all-resealed", keys->size() != resealed.size()))
    return Error{ErrorCode::conflict, "the signer's keys changed meanwhile"};
  for (const auto& key : resealed) {
    if (auto replaced = core.sealed_keys.replace(transaction, key.key, key.version, key.row); !replaced) return replaced;
  }
  return {};
}

}  // namespace intaglio::sam
