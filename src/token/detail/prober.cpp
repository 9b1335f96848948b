#include "token/detail/prober.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <tuple>

#include "token/detail/sign_mechanism.h"
#include "token/detail/throw_away.h"

namespace intaglio::token::detail {
namespace {

using crypto::KeyAlgorithm;
using crypto::SignatureSuite;

constexpr std::array suites = {SignatureSuite::rsa_pss_sha256,   SignatureSuite::rsa_pss_sha384,   SignatureSuite::rsa_pss_sha512,
                               SignatureSuite::rsa_pkcs1_sha256, SignatureSuite::rsa_pkcs1_sha384, SignatureSuite::rsa_pkcs1_sha512,
                               SignatureSuite::ecdsa_sha256,     SignatureSuite::ecdsa_sha384,     SignatureSuite::ecdsa_sha512};
constexpr std::array<std::uint8_t, 64> sample_digest = {0x69, 0x6e, 0x74, 0x61, 0x67, 0x6c, 0x69, 0x6f};
constexpr std::array<std::uint8_t, 12> sample_nonce = {0x01};
const auto probe_id = as_bytes("intaglio-probe");

CK_BYTE* writable(ByteView bytes) noexcept { return const_cast<CK_BYTE*>(bytes.data()); }

CK_GCM_PARAMS sample_gcm() noexcept {
  CK_GCM_PARAMS parameters{};
  parameters.iv_ptr = writable(sample_nonce);
  parameters.iv_len = sample_nonce.size();
  parameters.iv_bits = sample_nonce.size() * 8;
  parameters.tag_bits = 128;
  return parameters;
}

/// The same key, but one that may be changed and copied: the token's own rules are tried, not these two attributes.
Template changeable(const KeyProfile& profile, bool stored) {
  auto attributes = key_template(profile, probe_id, "probe", stored);
  attributes.drop(CKA_MODIFIABLE).drop(CKA_COPYABLE).flag(CKA_MODIFIABLE, true).flag(CKA_COPYABLE, true);
  return attributes;
}

}  // namespace

void Prober::works(std::string name, CK_RV result, std::string detail) {
  if (result != CKR_OK) detail = describe(result).name;
  lines_.push_back({std::move(name), false, result == CKR_OK, std::move(detail)});
}

void Prober::must_refuse(std::string name, CK_RV result) {
  lines_.push_back({"refuses to " + std::move(name), true, result != CKR_OK, std::string(describe(result).name)});
}

void Prober::measured(std::string name, unsigned rounds, const Step& step) {
  std::vector<std::int64_t> times;
  for (unsigned round = 0; round < rounds; ++round) {
    const auto start = std::chrono::steady_clock::now();
    if (const auto result = step(); result != CKR_OK) return works(std::move(name), result);
    times.push_back(std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  works(std::move(name), CKR_OK, std::to_string(times[times.size() / 2]) + " us");
}

Prober::Prober(Connection& connection, OwnSession session) : connection_(connection), session_(std::move(session)) {
  if (stored()) (void)destroy_stored(connection_, probe_id);
}

std::vector<ProbeLine> Prober::finish() {
  if (stored()) {
    const auto left = destroy_stored(connection_, probe_id);
    lines_.push_back({"destroys the throw-away keys of this probe", false, left == 0,
                      left == 0 ? "" : std::to_string(left) + " or more stay, with CKA_ID " + std::string(as_text(probe_id))});
  }
  return std::move(lines_);
}

CK_RV Prober::make_pair(const KeyProfile& profile, KeyAlgorithm algorithm, Template own, Pair& pair) {
  auto other = public_template(profile, algorithm, probe_id, "probe", stored());
  adapt(own, connection_.profile());
  adapt_public(other, connection_.profile());
  CK_MECHANISM mechanism{profile.generation, nullptr, 0};
  return count(Function::generate_key_pair, functions().C_GenerateKeyPair(session_.handle(), &mechanism, other.data(), other.size(),
                                                                          own.data(), own.size(), &pair.other, &pair.own));
}

CK_RV Prober::make_secret(CK_MECHANISM_TYPE generation, Template attributes, CK_OBJECT_HANDLE& key) {
  adapt(attributes, connection_.profile());
  CK_MECHANISM mechanism{generation, nullptr, 0};
  return count(Function::generate_key,
               functions().C_GenerateKey(session_.handle(), &mechanism, attributes.data(), attributes.size(), &key));
}

CK_RV Prober::sign(CK_OBJECT_HANDLE key, CK_MECHANISM& mechanism, ByteView input, Bytes& out) {
  if (const auto begun = count(Function::sign_init, functions().C_SignInit(session_.handle(), &mechanism, key)); begun != CKR_OK)
    return begun;
  out.resize(max_signature);
  CK_ULONG length = out.size();
  const auto result = count(Function::sign, functions().C_Sign(session_.handle(), writable(input), input.size(), out.data(), &length));
  out.resize(std::min<std::size_t>(length, out.size()));
  return result;
}

CK_RV Prober::encrypt(CK_OBJECT_HANDLE key, CK_MECHANISM& mechanism, ByteView plaintext, Bytes& out) {
  const auto begun = count(Function::encrypt_init, functions().C_EncryptInit(session_.handle(), &mechanism, key));
  if (begun != CKR_OK) return begun;
  out.resize(plaintext.size() + 512);
  CK_ULONG length = out.size();
  const auto result =
      count(Function::encrypt, functions().C_Encrypt(session_.handle(), writable(plaintext), plaintext.size(), out.data(), &length));
  out.resize(std::min<std::size_t>(length, out.size()));
  return result;
}

CK_RV Prober::decrypt(CK_OBJECT_HANDLE key, CK_MECHANISM& mechanism, ByteView sealed, Bytes& out) {
  const auto begun = count(Function::decrypt_init, functions().C_DecryptInit(session_.handle(), &mechanism, key));
  if (begun != CKR_OK) return begun;
  out.resize(sealed.size() + 512);
  CK_ULONG length = out.size();
  const auto result =
      count(Function::decrypt, functions().C_Decrypt(session_.handle(), writable(sealed), sealed.size(), out.data(), &length));
  if (result != CKR_OK && stored()) {
    // tpm2-pkcs11 goes on with a decryption that it refused, even without its session, and destroys no key that is in use.
    Bytes rest(512);
    CK_ULONG rest_length = rest.size();
    functions().C_DecryptFinal(session_.handle(), rest.data(), &rest_length);
    wipe(rest);
  }
  out.resize(std::min<std::size_t>(length, out.size()));
  return result;
}

CK_RV Prober::derive(CK_OBJECT_HANDLE key, ByteView point, CK_OBJECT_HANDLE& secret) {
  CK_ECDH1_DERIVE_PARAMS parameters{CKD_NULL, 0, nullptr, point.size(), writable(point)};
  CK_MECHANISM mechanism{CKM_ECDH1_DERIVE, &parameters, sizeof parameters};
  Template attributes;
  attributes.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_GENERIC_SECRET).number(CKA_VALUE_LEN, 32);
  attributes.flag(CKA_TOKEN, stored()).flag(CKA_PRIVATE, true).flag(CKA_SENSITIVE, true).flag(CKA_EXTRACTABLE, false);
  if (stored()) attributes.bytes(CKA_ID, probe_id);
  return count(Function::derive_key,
               functions().C_DeriveKey(session_.handle(), &mechanism, key, attributes.data(), attributes.size(), &secret));
}

CK_RV Prober::wrap(CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key) {
  CK_RV refusal = CKR_MECHANISM_INVALID;
  for (const CK_MECHANISM_TYPE type : {CKM_AES_KEY_WRAP, CKM_AES_KEY_WRAP_PAD, CKM_AES_CBC_PAD}) {
    std::array<std::uint8_t, 16> start{};
    CK_MECHANISM mechanism{type, nullptr, 0};
    if (type == CKM_AES_CBC_PAD) mechanism = {type, start.data(), start.size()};
    Bytes wrapped(4096);
    CK_ULONG length = wrapped.size();
    const auto result =
        count(Function::wrap_key, functions().C_WrapKey(session_.handle(), &mechanism, wrapping, key, wrapped.data(), &length));
    wipe(wrapped);
    if (result == CKR_OK) return result;
    // That a token does not know a mechanism says nothing of the key.
    if (result != CKR_MECHANISM_INVALID) refusal = result;
  }
  return refusal;
}

CK_RV Prober::set_flag(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool value) {
  Template change;
  change.flag(type, value);
  return count(Function::set_attribute_value, functions().C_SetAttributeValue(session_.handle(), object, change.data(), change.size()));
}

CK_RV Prober::copy_with(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool value) {
  Template change;
  change.flag(type, value);
  CK_OBJECT_HANDLE copy = CK_INVALID_HANDLE;
  const auto result =
      count(Function::copy_object, functions().C_CopyObject(session_.handle(), object, change.data(), change.size(), &copy));
  // A token may answer OK and keep the attribute as it was: then nothing was given.
  return result == CKR_OK && read_flag(view(copy), type) != value ? CKR_ATTRIBUTE_READ_ONLY : result;
}

CK_RV Prober::read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) {
  Bytes value(1024);
  CK_ULONG length = 0;
  const auto result = read_into(view(object), type, value, length);
  wipe(value);
  return result;
}

void Prober::try_signatures(KeyAlgorithm algorithm, unsigned rounds) {
  const auto profile = profile_of(KeyPurpose::signer, algorithm);
  const std::string key_name(crypto::name_of(algorithm));
  Pair pair{};
  const auto start = std::chrono::steady_clock::now();
  const auto made = make_pair(profile, algorithm, key_template(profile, probe_id, "probe", stored()), pair);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start);
  works("generate " + key_name, made, std::to_string(took.count()) + " ms");
  if (made != CKR_OK) return;
  const auto verified = verify_attributes(view(pair.own), profile, stored());
  lines_.push_back({"keeps the attributes of " + key_name, false, static_cast<bool>(verified), verified ? "" : verified.error().detail});
  auto key = read_public_key(view(pair.other), connection_.profile().ec_point);
  if (!key) return lines_.push_back({"read the public key of " + key_name, false, false, key.error().detail});
  for (const auto suite : suites) {
    if (!crypto::fits(algorithm, suite) || !connection_.profile().signs_by(mechanism_of(suite))) continue;
    const auto digest = ByteView(sample_digest).first(crypto::digest_length(crypto::hash_of(suite)));
    measured("sign " + std::string(crypto::name_of(suite)) + " " + key_name, rounds, [&]() -> CK_RV {
      SignMechanism prepared(suite, digest);
      Bytes raw;
      const auto result = sign(pair.own, *prepared.mechanism(), {prepared.input(), prepared.input_length()}, raw);
      if (result != CKR_OK) return result;
      auto released = released_form(algorithm, raw);
      return released && key->verify_digest(suite, digest, *released) ? CKR_OK : CKR_SIGNATURE_INVALID;
    });
  }
}

void Prober::try_service_keys(unsigned rounds) {
  const auto hmac = profile_of(KeyPurpose::hmac);
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  auto made = make_secret(hmac.generation, key_template(hmac, probe_id, "probe", stored()), key);
  works("generate hmac key", made);
  if (made == CKR_OK) {
    measured("hmac-sha256", rounds, [&] {
      CK_MECHANISM mechanism{CKM_SHA256_HMAC, nullptr, 0};
      Bytes code;
      return sign(key, mechanism, sample_digest, code);
    });
  }
  const auto aes = profile_of(KeyPurpose::data_encryption);
  made = make_secret(aes.generation, key_template(aes, probe_id, "probe", stored()), key);
  works("generate aes-256 key", made);
  if (made == CKR_OK) {
    measured("aes-256-gcm seal and open", rounds, [&]() -> CK_RV {
      auto parameters = sample_gcm();
      CK_MECHANISM mechanism{CKM_AES_GCM, &parameters, sizeof parameters};
      Bytes sealed;
      Bytes opened;
      if (const auto result = encrypt(key, mechanism, sample_digest, sealed); result != CKR_OK) return result;
      if (const auto result = decrypt(key, mechanism, sealed, opened); result != CKR_OK) return result;
      return std::ranges::equal(opened, sample_digest) ? CKR_OK : CKR_ENCRYPTED_DATA_INVALID;
    });
  }
  try_derivation(rounds);
}

void Prober::try_derivation(unsigned rounds) {
  const auto agreement = profile_of(KeyPurpose::key_agreement);
  Pair pair{};
  const auto made = make_pair(agreement, KeyAlgorithm::p256, key_template(agreement, probe_id, "probe", stored()), pair);
  works("generate p256 key for agreement", made);
  if (made != CKR_OK) return;
  auto key = read_public_key(view(pair.other));
  if (!key) return;
  auto point = key->ec_point();
  if (!point) return;
  CK_OBJECT_HANDLE secret = CK_INVALID_HANDLE;
  measured("ecdh p256", rounds, [&]() -> CK_RV {
    if (const auto result = derive(pair.own, *point, secret); result != CKR_OK) return result;
    return count(Function::destroy_object, functions().C_DestroyObject(session_.handle(), secret));
  });
  auto off_curve = *point;
  off_curve.back() ^= 0x01;
  must_refuse("derive with a point off the curve", derive(pair.own, off_curve, secret));
  CK_MECHANISM ecdsa{CKM_ECDSA, nullptr, 0};
  Bytes signature;
  must_refuse("sign with a key for agreement", sign(pair.own, ecdsa, ByteView(sample_digest).first(32), signature));
}

CK_RV Prober::read_secrets(CK_OBJECT_HANDLE object, KeyAlgorithm algorithm) {
  if (!crypto::is_rsa(algorithm)) return read(object, CKA_VALUE);
  // Each of these alone gives an RSA key away.
  CK_RV last = CKR_OK;
  for (const auto secret : {CKA_PRIVATE_EXPONENT, CKA_PRIME_1, CKA_PRIME_2, CKA_EXPONENT_1, CKA_EXPONENT_2, CKA_COEFFICIENT}) {
    last = read(object, secret);
    if (last == CKR_OK) break;
  }
  return last;
}

void Prober::try_random(unsigned rounds) {
  Bytes last;
  measured("random 32 bytes", rounds, [&]() -> CK_RV {
    Bytes drawn(32);
    const auto result = count(Function::generate_random, functions().C_GenerateRandom(session_.handle(), drawn.data(), drawn.size()));
    if (result == CKR_OK && drawn == last) return CKR_RANDOM_NO_RNG;
    last = std::move(drawn);
    return result;
  });
}

void Prober::try_refusals_of_pair(KeyAlgorithm algorithm) {
  const auto profile = profile_of(KeyPurpose::signer, algorithm);
  const std::string name(crypto::name_of(algorithm));
  Pair pair{};
  if (const auto made = make_pair(profile, algorithm, changeable(profile, stored()), pair); made != CKR_OK)
    return works("generate " + name + " to try refusals", made);
  must_refuse("show the private key of " + name, read_secrets(pair.own, algorithm));
  must_refuse("copy " + name + " as extractable", copy_with(pair.own, CKA_EXTRACTABLE, true));
  must_refuse("copy " + name + " as not sensitive", copy_with(pair.own, CKA_SENSITIVE, false));
  if (connection_.profile().flags_bind)
    try_flags(name, profile, algorithm, pair.own);
  else
    try_ways_out(name, algorithm, pair);
  if (crypto::is_rsa(algorithm)) {
    CK_MECHANISM mechanism{CKM_RSA_PKCS, nullptr, 0};
    Bytes opened;
    must_refuse("decrypt with a signing key", decrypt(pair.own, mechanism, Bytes(crypto::bits_of(algorithm) / 8, 0x01), opened));
  } else {
    CK_OBJECT_HANDLE secret = CK_INVALID_HANDLE;
    auto key = read_public_key(view(pair.other));
    auto point = key ? key->ec_point() : Result<Bytes>(Bytes());
    if (point) must_refuse("derive with a signing key", derive(pair.own, *point, secret));
  }
  try_wrapping(name, pair.own);
}

void Prober::try_flags(const std::string& name, const KeyProfile& profile, KeyAlgorithm algorithm, CK_OBJECT_HANDLE closed) {
  must_refuse("make " + name + " extractable", set_flag(closed, CKA_EXTRACTABLE, true));
  must_refuse("make " + name + " not sensitive", set_flag(closed, CKA_SENSITIVE, false));
  Pair fixed{};
  if (make_pair(profile, algorithm, key_template(profile, probe_id, "probe", stored()), fixed) == CKR_OK) {
    // Without CKA_COPYABLE no key can be kept from being copied; the tests above say that a copy is as closed as the key.
    if (connection_.profile().knows(CKA_COPYABLE))
      must_refuse("copy " + name + " that may not be copied", copy_with(fixed.own, CKA_TOKEN, false));
    must_refuse("change " + name + " that may not be changed", set_flag(fixed.own, CKA_DERIVE, true));
  }
}

void Prober::try_ways_out(const std::string& name, KeyAlgorithm algorithm, const Pair& pair) {
  // Whether these are refused or not is no matter here: what counts is what the key does afterwards. It stays loosened for the tests
  // that follow.
  std::string loosened;
  for (const auto& [flag, value, said] :
       {std::tuple{CKA_SENSITIVE, false, "CKA_SENSITIVE"}, std::tuple{CKA_EXTRACTABLE, true, "CKA_EXTRACTABLE"},
        std::tuple{CKA_DECRYPT, true, "CKA_DECRYPT"}, std::tuple{CKA_UNWRAP, true, "CKA_UNWRAP"},
        std::tuple{CKA_DERIVE, true, "CKA_DERIVE"}}) {
    if (set_flag(pair.own, flag, value) == CKR_OK && read_flag(view(pair.own), flag) == value) loosened.append(" ").append(said);
  }
  (void)set_flag(pair.other, CKA_WRAP, true);
  lines_.push_back({"keeps the flags of " + name, false, loosened.empty(),
                    loosened.empty() ? "" : "a login may change" + loosened + ": the key is kept by having no way out"});
  must_refuse("show the private key of " + name + " though its flags were loosened", read_secrets(pair.own, algorithm));
  CK_MECHANISM mechanism{CKM_RSA_PKCS, nullptr, 0};
  Bytes wrapped(4096);
  CK_ULONG length = wrapped.size();
  const auto result =
      count(Function::wrap_key, functions().C_WrapKey(session_.handle(), &mechanism, pair.other, pair.own, wrapped.data(), &length));
  wipe(wrapped);
  // Any other refusal could be one of these arguments alone.
  lines_.push_back({"refuses to wrap any key at all", true, result == CKR_FUNCTION_NOT_SUPPORTED, std::string(describe(result).name)});
}

void Prober::try_wrapping(const std::string& name, CK_OBJECT_HANDLE closed) {
  const auto wrapping = [this] {
    Template attributes;
    attributes.number(CKA_CLASS, CKO_SECRET_KEY).number(CKA_KEY_TYPE, CKK_AES).flag(CKA_TOKEN, stored()).flag(CKA_PRIVATE, true);
    if (stored()) attributes.bytes(CKA_ID, probe_id);
    attributes.flag(CKA_SENSITIVE, true).flag(CKA_EXTRACTABLE, false).flag(CKA_WRAP, true).flag(CKA_UNWRAP, false);
    for (const auto use : {CKA_SIGN, CKA_VERIFY, CKA_ENCRYPT, CKA_DECRYPT, CKA_DERIVE}) attributes.flag(use, false);
    return attributes;
  };
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  auto generated = wrapping();
  auto made = make_secret(CKM_AES_KEY_GEN, std::move(generated.number(CKA_VALUE_LEN, 32)), key);
  if (made != CKR_OK) {
    // A key that whoever has the login brings along is as good to wrap with.
    auto brought = wrapping();
    brought.bytes(CKA_VALUE, ByteView(sample_digest).first(32));
    made = functions().C_CreateObject(session_.handle(), brought.data(), brought.size(), &key);
  }
  if (made != CKR_OK)
    return lines_.push_back({"refuses to hold an AES key that could wrap " + name, true, true, std::string(describe(made).name)});
  must_refuse("wrap a non-extractable " + name, wrap(key, closed));
}

void Prober::try_refusals_of_secrets() {
  const auto aes = profile_of(KeyPurpose::data_encryption);
  CK_OBJECT_HANDLE key = CK_INVALID_HANDLE;
  if (const auto made = make_secret(aes.generation, changeable(aes, stored()), key); made != CKR_OK)
    return works("generate aes-256 to try refusals", made);
  must_refuse("show a secret key", read(key, CKA_VALUE));
  must_refuse("make a secret key extractable", set_flag(key, CKA_EXTRACTABLE, true));
  must_refuse("copy a secret key as extractable", copy_with(key, CKA_EXTRACTABLE, true));
  Bytes out;
  CK_MECHANISM ecb{CKM_AES_ECB, nullptr, 0};
  must_refuse("use a mechanism that the key does not allow", encrypt(key, ecb, sample_digest, out));
  CK_MECHANISM hmac{CKM_SHA256_HMAC, nullptr, 0};
  must_refuse("sign with a key for encryption", sign(key, hmac, sample_digest, out));
  must_refuse("wrap with a key for encryption", wrap(key, key));

  auto parameters = sample_gcm();
  CK_MECHANISM gcm{CKM_AES_GCM, &parameters, sizeof parameters};
  Bytes sealed;
  if (encrypt(key, gcm, sample_digest, sealed) == CKR_OK) {
    sealed.back() ^= 0x01;
    must_refuse("open sealed data that was changed", decrypt(key, gcm, sealed, out));
  }
  auto short_key = key_template(aes, probe_id, "probe", stored());
  short_key.drop(CKA_VALUE_LEN).number(CKA_VALUE_LEN, 7);
  must_refuse("make an AES key of 56 bits", make_secret(aes.generation, std::move(short_key), key));
  auto other_class = key_template(aes, probe_id, "probe", stored());
  other_class.drop(CKA_CLASS).number(CKA_CLASS, CKO_PUBLIC_KEY);
  must_refuse("make a secret key of another class", make_secret(aes.generation, std::move(other_class), key));
}

}  // namespace intaglio::token::detail
