#include "token/detail/keys.h"

#include "base/check.h"
#include "base/log.h"
#include "token/detail/own_session.h"

namespace intaglio::token::detail {
namespace {

constexpr std::chrono::seconds creation_patience{60};

Status check_id(ByteView id) {
  if (id.empty() || id.size() > 64) return Error{ErrorCode::invalid_request, "a CKA_ID has 1 to 64 bytes"};
  return {};
}

Status check_purpose(const HsmProfile& hsm, KeyPurpose purpose) {
  if (refused_by("token.profile_service_keys", purpose != KeyPurpose::signer && !hsm.service_keys))
    return Error{ErrorCode::unsupported, "a token of the HSM profile " + hsm.name + " holds signers' keys only, never the SAM's own"};
  return {};
}

Status check_served(const HsmProfile& hsm, KeyPurpose purpose, crypto::KeyAlgorithm algorithm) {
  if (auto held = check_purpose(hsm, purpose); !held) return held;
  const bool matters = purpose == KeyPurpose::signer || algorithm != crypto::KeyAlgorithm::p256;
  if (refused_by("token.profile_algorithm", matters && !hsm.serves(algorithm))) {
    return Error{ErrorCode::unsupported, "the HSM profile " + hsm.name + " has no " + std::string(crypto::name_of(algorithm))};
  }
  return {};
}

bool other_public_key(const KeyEntry& old, const KeyEntry& found) {
  if (old.public_key.has_value() != found.public_key.has_value()) return true;
  return old.public_key && old.public_key->spki() != found.public_key->spki();
}

}  // namespace

ObjectView Keys::view(CK_SESSION_HANDLE session, CK_OBJECT_HANDLE object, KeyPurpose purpose) {
  return {connection_.functions(), connection_.counters(), session, object, kind_of(purpose)};
}

Result<std::vector<CK_OBJECT_HANDLE>> Keys::search(CK_SESSION_HANDLE session, Template attributes, std::size_t most) {
  const auto& functions = connection_.functions();
  auto& counters = connection_.counters();
  auto result = functions.C_FindObjectsInit(session, attributes.data(), attributes.size());
  if (result != CKR_OK) {
    return error_of("C_FindObjectsInit", counters.record(Function::find_objects, ObjectKind::none, result));
  }
  std::vector<CK_OBJECT_HANDLE> found;
  std::array<CK_OBJECT_HANDLE, 256> page{};
  CK_ULONG count = 0;
  do {
    result = counters.record(Function::find_objects, ObjectKind::none, functions.C_FindObjects(session, page.data(), page.size(), &count));
    if (result != CKR_OK) break;
    found.insert(found.end(), page.begin(), page.begin() + static_cast<std::ptrdiff_t>(count));
  } while (count != 0 && found.size() < most);
  const auto ended = functions.C_FindObjectsFinal(session);
  if (result != CKR_OK || ended != CKR_OK) return error_of("C_FindObjects", result != CKR_OK ? result : ended);
  return found;
}

Result<std::vector<CK_OBJECT_HANDLE>> Keys::search_purpose(CK_SESSION_HANDLE session, const KeyProfile& profile,
                                                           CK_OBJECT_CLASS object_class, ByteView id) {
  Template wanted;
  wanted.number(CKA_CLASS, object_class).flag(CKA_TOKEN, true).bytes(CKA_ID, id);
  auto found = search(session, std::move(wanted), 64);
  if (!found) return found;
  std::vector<CK_OBJECT_HANDLE> of_purpose;
  for (const auto object : *found) {
    auto label = read_bytes(view(session, object, profile.purpose), CKA_LABEL);
    // A label that cannot be read for any other reason than having none must not turn into "no such key".
    if (!label && label.error().code != ErrorCode::unsupported) return label.error();
    if (label && as_text(*label).starts_with(profile.prefix)) of_purpose.push_back(object);
  }
  return of_purpose;
}

Result<KeyEntry> Keys::find_entry(CK_SESSION_HANDLE session, KeyPurpose purpose, ByteView id) {
  auto profile = profile_of(purpose);
  auto found = search_purpose(session, profile, profile.object_class, id);
  if (!found) return found.error();
  if (found->empty()) return Error{ErrorCode::not_found, "the token holds no such key: " + encode_hex(id)};
  if (refused_by("token.one_key_per_id", found->size() != 1))
    return Error{ErrorCode::conflict, "the token holds more than one key " + encode_hex(id)};
  KeyEntry entry{purpose, to_bytes(id), found->front(), CK_INVALID_HANDLE, std::nullopt};
  if (is_pair(profile)) {
    auto halves = search_purpose(session, profile, CKO_PUBLIC_KEY, id);
    if (!halves) return halves.error();
    if (halves->size() != 1) return Error{ErrorCode::conflict, "the public half of key " + encode_hex(id) + " is not there exactly once"};
    auto key = read_public_key(view(session, halves->front(), purpose), connection_.profile().ec_point);
    if (!key) return key.error();
    entry.pair = halves->front();
    profile = profile_of(purpose, key->algorithm());
    entry.public_key = *std::move(key);
  }
  if (auto verified = verify_attributes(view(session, entry.handle, purpose), profile, true); !verified) return verified.error();
  return entry;
}

Result<unsigned long> Keys::find(KeyPurpose purpose, ByteView id) {
  if (auto checked = check_id(id); !checked) return checked.error();
  if (auto served = check_purpose(connection_.profile(), purpose); !served) return served.error();
  if (auto ready = connection_.ensure_login(); !ready) return ready.error();
  const std::lock_guard lock(connection_.objects());
  auto session = OwnSession::open(connection_, OwnSession::Access::read_only);
  if (!session) return session.error();
  auto entry = find_entry(session->handle(), purpose, id);
  if (!entry) return entry.error();
  return table_.add(*std::move(entry));
}

Result<unsigned long> Keys::generate(KeyPurpose purpose, crypto::KeyAlgorithm algorithm, ByteView id, std::string_view label) {
  if (auto checked = check_id(id); !checked) return checked.error();
  if (label.size() > 128) return Error{ErrorCode::invalid_request, "a key label has at most 128 characters"};
  if (auto served = check_served(connection_.profile(), purpose, algorithm); !served) return served.error();
  if (auto ready = connection_.ensure_login(); !ready) return ready.error();
  const auto profile = profile_of(purpose, algorithm);
  const std::lock_guard lock(connection_.objects());
  auto directory = connection_.lock_directory(creation_patience);
  if (!directory) return directory.error();
  auto session = OwnSession::open(connection_, OwnSession::Access::read_write);
  if (!session) return session.error();
  auto same = search_purpose(session->handle(), profile, profile.object_class, id);
  if (!same) return same.error();
  if (refused_by("token.id_is_free", !same->empty()))
    return Error{ErrorCode::conflict, "the token holds a key " + encode_hex(id) + " already"};
  if (auto settled = settle(session->handle()); !settled) return settled.error();
  auto entry = make_entry(session->handle(), profile, algorithm, id, label);
  if (!entry) return entry.error();
  return table_.add(*std::move(entry));
}

Result<KeyEntry> Keys::make_entry(CK_SESSION_HANDLE session, const KeyProfile& profile, crypto::KeyAlgorithm algorithm, ByteView id,
                                  std::string_view label) {
  const auto& functions = connection_.functions();
  auto& counters = connection_.counters();
  const auto kind = kind_of(profile.purpose);
  KeyEntry entry{profile.purpose, to_bytes(id), CK_INVALID_HANDLE, CK_INVALID_HANDLE, std::nullopt};
  auto own = key_template(profile, id, label, true);
  auto other = public_template(profile, algorithm, id, label, true);
  adapt(own, connection_.profile());
  adapt_public(other, connection_.profile());
  CK_MECHANISM mechanism{profile.generation, nullptr, 0};
  const auto make = [&] {
    if (!is_pair(profile)) {
      return counters.record(Function::generate_key, kind,
                             functions.C_GenerateKey(session, &mechanism, own.data(), own.size(), &entry.handle));
    }
    return counters.record(
        Function::generate_key_pair, kind,
        functions.C_GenerateKeyPair(session, &mechanism, other.data(), other.size(), own.data(), own.size(), &entry.pair, &entry.handle));
  };
  auto result = make();
  if (result == CKR_ATTRIBUTE_TYPE_INVALID) {
    for (const auto type : optional_attributes()) {
      own.drop(type);
      other.drop(type);
    }
    result = make();
  }
  if (result != CKR_OK) {
    connection_.ended_badly(result);
    return error_of(is_pair(profile) ? "C_GenerateKeyPair" : "C_GenerateKey", result);
  }

  auto verified = verify_attributes(view(session, entry.handle, profile.purpose), profile, true);
  if (verified && is_pair(profile)) {
    auto key = read_public_key(view(session, entry.pair, profile.purpose), connection_.profile().ec_point);
    if (!key) {
      verified = key.error();
    } else if (key->algorithm() != algorithm) {
      verified = Error{ErrorCode::token_unavailable, "the token made a key of another algorithm"};
    } else {
      entry.public_key = *std::move(key);
    }
  }
  if (verified) return entry;
  if (auto gone = destroy_objects(session, kind, entry.handle, entry.pair); !gone) log::refusal("refused key not destroyed", gone.error());
  return verified.error();
}

// In a folder that processes share, any thread that signs may find that another process has changed it and read it anew; SoftHSM
// 2.6.1 does that without a lock against a creation. While we hold the folder nobody else changes it, so one read with no
// other thread inside leaves nothing to be read anew until we are done.
Status Keys::settle(CK_SESSION_HANDLE session) {
  if (!connection_.shares_directory()) return {};
  const auto numbers = table_.numbers();
  if (numbers.empty()) return {};
  const auto entry = table_.entry(numbers.front());
  if (!entry) return {};
  return connection_.pool().alone([&]() -> Status {
    (void)read_number(view(session, entry->handle, entry->purpose), CKA_CLASS);
    return {};
  });
}

Status Keys::destroy_objects(CK_SESSION_HANDLE session, ObjectKind kind, CK_OBJECT_HANDLE handle, CK_OBJECT_HANDLE pair) {
  CK_RV result = CKR_OK;
  for (const auto object : {handle, pair}) {
    if (object == CK_INVALID_HANDLE) continue;
    const auto one =
        connection_.counters().record(Function::destroy_object, kind, connection_.functions().C_DestroyObject(session, object));
    if (one != CKR_OK && result == CKR_OK) result = one;
  }
  return result == CKR_OK ? Status() : error_of("C_DestroyObject", result);
}

Status Keys::destroy(unsigned long number) {
  if (auto ready = connection_.ensure_login(); !ready) return ready;
  const std::lock_guard lock(connection_.objects());
  auto directory = connection_.lock_directory(creation_patience);
  if (!directory) return directory.error();
  const auto entry = table_.entry(number);
  if (!entry || entry->handle == CK_INVALID_HANDLE) return Error{ErrorCode::not_found, "the key is not in the token"};
  auto session = OwnSession::open(connection_, OwnSession::Access::read_write);
  if (!session) return session.error();
  // No signature runs meanwhile: SoftHSM frees what another thread may be reading.
  auto gone =
      connection_.pool().alone([&] { return destroy_objects(session->handle(), kind_of(entry->purpose), entry->handle, entry->pair); });
  if (gone) table_.remove(number);
  return gone;
}

Result<std::size_t> Keys::count(bool stored) {
  if (auto ready = connection_.ensure_login(); !ready) return ready.error();
  const std::lock_guard lock(connection_.objects());
  auto session = OwnSession::open(connection_, OwnSession::Access::read_only);
  if (!session) return session.error();
  Template wanted;
  wanted.flag(CKA_TOKEN, stored);
  auto found = search(session->handle(), std::move(wanted), SIZE_MAX);
  if (!found) return found.error();
  return found->size();
}

Result<std::size_t> Keys::count_with_id(ByteView id) {
  if (auto ready = connection_.ensure_login(); !ready) return ready.error();
  const std::lock_guard lock(connection_.objects());
  auto session = OwnSession::open(connection_, OwnSession::Access::read_only);
  if (!session) return session.error();
  Template wanted;
  wanted.bytes(CKA_ID, id);
  auto found = search(session->handle(), std::move(wanted), SIZE_MAX);
  if (!found) return found.error();
  return found->size();
}

Status Keys::rebind_all() {
  for (const auto number : table_.numbers()) {
    const auto old = table_.entry(number);
    if (!old) continue;
    auto entry = find_entry(connection_.keeper(), old->purpose, old->id);
    // A token that could not be asked said nothing about the key.
    if (!entry && (entry.error().code == ErrorCode::token_unavailable || entry.error().code == ErrorCode::busy)) return entry.error();
    if (!entry || refused_by("token.same_key_after_login", other_public_key(*old, *entry))) {
      table_.rebind(number, CK_INVALID_HANDLE, CK_INVALID_HANDLE);
      log::error("key not found again", {{"id", encode_hex(old->id)}});
      continue;
    }
    table_.rebind(number, entry->handle, entry->pair);
  }
  return {};
}

}  // namespace intaglio::token::detail
