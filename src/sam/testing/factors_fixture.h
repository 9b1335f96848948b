#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>

#include "crypto/jose/jws.h"
#include "crypto/password_hash.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"
#include "evidence/test_identity.h"
#include "evidence/test_support.h"
#include "sam/core.h"
#include "sam/factors/factors.h"
#include "sealed/testing.h"
#include "storage/test_support.h"

/// For the unit tests of factors.
namespace intaglio::sam::testing {

using evidence::test::SoftDevice;
using evidence::test::SoftPasskey;
using evidence::test::SoftProvider;
using json::Value;

class CountingPepper final : public Pepper {
 public:
  Result<Secret> mac(ByteView data) const override {
    ++evaluations;
    return Secret(crypto::hmac_sha256(as_bytes("pepper"), data));
  }
  Result<Secret> lock_mac(ByteView) const override { return Error{ErrorCode::unsupported, "no wrapped custody here"}; }
  mutable std::atomic<int> evaluations{0};
};

template <typename R>
void expect_refused(const R& result, ErrorCode expected) {
  ASSERT_FALSE(result) << "was not refused";
  EXPECT_EQ(name_of(result.error().code), name_of(expected)) << result.error().detail;
}

/// Factors over one SQLite file, with a signer who has a PIN and a passkey, and a policy that knows an identity provider.
class FactorsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / ("intaglio-factors-test-" + *crypto::random_id());
    std::filesystem::create_directories(folder_);
    use_profiles(both_);
    database_ = *storage::test::open_database(folder_ / "sam.db");
    ASSERT_TRUE(database_->migrate(database_migrations()));
    sealer_ = *sealed::open_testing_sealer(*database_, Bytes(32, 7), clock_, folder_ / "versions");
    log_ = *audit::Log::open({.origin = "intaglio/sam/test", .directory = folder_ / "audit", .anchor = folder_ / "anchor"}, *database_,
                             checkpoint_, clock_);
    open();
    enrol(alice_, /*pin=*/true, /*seed=*/false, passkey_);
  }
  void TearDown() override {
    factors_.reset();
    log_.reset();
    sealer_.reset();
    database_.reset();
    std::filesystem::remove_all(folder_);
  }
  void open() { factors_ = std::make_unique<Factors>(*policy_, *database_, *log_, sealer_, pepper_, clock_); }

  void use_rules(const Value& rules) {
    passkey_rules_ = rules;
    use_profiles(both_);
  }
  static Value profile(const std::string& name, const Value& factors) {
    return {{"name", name},       {"custody", "resident"},  {"factors", factors},    {"key_algorithms", Value::array({"p256"})},
            {"max_documents", 1}, {"sad_seconds", 60},      {"ticket_seconds", 300}, {"per_minute", 10},
            {"per_day", 100},     {"keys_per_signer", 100}, {"keys_per_day", 100},   {"qualified", false}};
  }
  void use_profiles(const Value& profiles) {
    auto policy = Policy::parse(json::encode(policy_document(profiles)));
    ASSERT_TRUE(policy) << policy.error().detail;
    policy_.emplace(std::move(*policy));
    if (database_) open();
  }
  [[nodiscard]] Value policy_document(const Value& profiles) const {
    const Value suites = Value::array({{{"suite", "ecdsa-sha256"}, {"sign_until", "2030-12-31T23:59:59Z"}}});
    const Value keys = Value::array({{{"algorithm", "p256"},
                                      {"generate_until", "2030-12-31T23:59:59Z"},
                                      {"certify_until", "2030-12-31T23:59:59Z"},
                                      {"sign_until", "2030-12-31T23:59:59Z"}}});
    return {{"id", "test"},
            {"demo", true},
            {"epoch", 1},
            {"algorithms", {{"id", "test"}, {"keys", keys}, {"suites", suites}}},
            {"profiles", profiles},
            {"terms", Value::array({{{"id", "terms"}, {"version", "1"}, {"languages", Value::array({"en"})}}})},
            {"acts", Value::array({"typed-yes"})},
            {"lock", {{"failures", 3}, {"minutes", 15}, {"wide_failures", 30}}},
            {"activation", {{"tries", 5}, {"days", 7}}},
            {"totp_issuer", "Test"},
            {"argon2", argon2_},
            {"signerpass", {{"least_bits", 60}}},
            {"passkeys", passkey_rules_},
            {"devices", {{"per_signer", devices_per_signer_}}},
            {"identity_providers", Value::array({provider_.document()})},
            {"operators", Value::array({{{"id", "ra-1"}, {"jwk", *json::parse(*crypto::encode_jwk(checkpoint_->public_key()))}}})},
            {"ca_anchors", Value::array({encode_base64(certificate_)})}};
  }

  /// A record as an enrolment leaves it.
  void enrol(const SignerId& id, bool pin, bool seed, const std::optional<SoftPasskey>& passkey, std::uint8_t incarnation = 1) {
    std::optional<PinVerifier> verifier;
    if (pin) verifier = *factors_->make_verifier(id, secret_kind_, Secret(as_bytes(pin_)), 1);
    SignerRecord record{.id = id,
                        .incarnation = Bytes(16, incarnation),
                        .identity = "{}",
                        .created_by = "ra-1",
                        .created = clock_->now(),
                        .activation_salt = {},
                        .activation_digest = {},
                        .activation_ends = clock_->now(),
                        .activation_tries_left = 0,
                        .pin = std::move(verifier),
                        .totp_seed = seed ? Secret(Bytes(20, 0x33)) : Secret()};
    const auto done = database_->write([&](storage::Transaction& write) -> Status {
      const auto encoded = encode(record);
      auto earlier = factors_->signers().find(write, id.text());
      if (!earlier) return earlier.error();
      auto put = *earlier ? factors_->signers().update(write, id.text(), (*earlier)->version, encoded.reveal())
                          : factors_->signers().insert(write, id.text(), encoded.reveal());
      if (!put) return put;
      if (!*earlier) put = factors_->states().insert(write, id.text(), encode(FactorState{}));
      if (!put || !passkey) return put;
      return factors_->passkeys().put(write, record, registered(*passkey), /*alone=*/false);
    });
    ASSERT_TRUE(done) << done.error().detail;
    records_.insert_or_assign(id, std::move(record));
  }
  std::optional<Passkey> registered(const SoftPasskey& passkey) {
    auto verified = factors_->passkeys().verify_new(passkey.registration(binding_), binding_);
    EXPECT_TRUE(verified) << verified.error().detail;
    return *verified;
  }
  Status put(const SoftPasskey& passkey, bool alone = false) {
    return database_->write(
        [&](storage::Transaction& write) { return factors_->passkeys().put(write, records_.at(alice_), registered(passkey), alone); });
  }

  Result<FactorsProven> attempt(const SignerId& id, const std::string& pin, std::optional<evidence::webauthn::AssertionResponse> passkey,
                                const std::string& totp = {}, const std::optional<Demand>& demand = {}) {
    return factors_->verify(id, *crypto::random_id(), clock_->now() + std::chrono::minutes(5),
                            ShownFactors{.pin = pin.empty() ? Secret() : Secret(as_bytes(pin)),
                                         .secret_kind = secret_kind_,
                                         .totp = totp.empty() ? Secret() : Secret(as_bytes(totp)),
                                         .passkey = std::move(passkey),
                                         .device = std::nullopt,
                                         .id_token = std::nullopt,
                                         .binding = binding_},
                            demand.value_or(Demand{&policy_->profiles().front()}));
  }
  /// A new transaction: another binding, which the passkey signs.
  evidence::webauthn::AssertionResponse answer() {
    binding_ = crypto::sha256(binding_);
    return passkey_.answer(binding_);
  }
  /// What find_current() refuses with; nothing when it does not.
  std::optional<ErrorCode> current(const FactorsProven& proven) {
    std::optional<ErrorCode> refused;
    EXPECT_TRUE(database_->write([&](storage::Transaction& write) -> Status {
      const auto found = factors_->find_current(write, proven);
      if (!found) refused = found.error().code;
      return {};
    }));
    return refused;
  }
  void succeed(const FactorsProven& proven) {
    ASSERT_TRUE(
        database_->write([&](storage::Transaction& write) { return factors_->give_back(write, proven, 0, policy_->profiles().front()); }));
  }
  /// The code of a seed of twenty zeros, which a signer without one-time passwords must not be taken to have.
  std::string zero_code(std::uint8_t fill = 0) {
    clock_->advance(std::chrono::seconds(30));
    const auto code = crypto::totp_code(Secret(Bytes(20, fill)), static_cast<std::uint64_t>(unix_seconds(clock_->now()) / 30));
    return std::string(as_text(code.reveal()));
  }
  std::vector<std::string> events(const std::string& type) {
    std::vector<std::string> found;
    EXPECT_TRUE(database_->read([&](storage::Reader& reader) {
      return reader.query("SELECT event FROM audit_entries ORDER BY idx", {}, [&](const storage::Row& row) {
        const auto event = row.bytes(0);
        if (as_text(event).find(type) != std::string_view::npos) found.emplace_back(as_text(event));
        return true;
      });
    }));
    return found;
  }

  const Value both_ = Value::array({profile("both", Value::array({Value::array({"pin", "passkey"}), Value::array({"pin", "totp"})}))});
  Value passkey_rules_ = {
      {"rp_id", evidence::test::rp_id}, {"origins", Value::array({evidence::test::origin})}, {"backup_eligible", false}};
  int devices_per_signer_ = 2;
  Value argon2_ = {{"memory_kib", 19 * 1024}, {"passes", 2}};
  const SignerId alice_ = *SignerId::parse("alice");
  std::string pin_ = "493817";
  Factor secret_kind_ = Factor::pin;  ///< what `pin_` is enrolled and shown as
  std::filesystem::path folder_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(*parse_utc("2026-11-20T12:00:00Z"));
  std::shared_ptr<crypto::SoftwareKey> checkpoint_ = *crypto::SoftwareKey::generate();
  Bytes certificate_ = evidence::test::self_signed(*checkpoint_, clock_->now());
  std::optional<Policy> policy_;
  CountingPepper pepper_;
  std::unique_ptr<storage::Database> database_;
  std::shared_ptr<sealed::Sealer> sealer_;
  std::unique_ptr<audit::Log> log_;
  std::unique_ptr<Factors> factors_;
  std::map<SignerId, SignerRecord> records_;
  crypto::Sha256Digest binding_ = crypto::sha256(as_bytes("an enrolment"));
  SoftPasskey passkey_;
  SoftProvider provider_;
};

}  // namespace intaglio::sam::testing
