#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>
#include <utility>

#include "crypto/certificate.h"
#include "crypto/der.h"
#include "crypto/jose/jwe.h"
#include "crypto/jose/jws.h"
#include "crypto/password_hash.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"
#include "json/json.h"
#include "sam/service.h"
#include "sam/test_support.h"
#include "sealed/testing.h"
#include "storage/test_support.h"

namespace intaglio::sam {
namespace {

using json::Value;

template <typename R>
void expect_refused(const R& result, ErrorCode expected) {
  ASSERT_FALSE(result) << "was not refused";
  EXPECT_EQ(name_of(result.error().code), name_of(expected)) << result.error().detail;
}

/// Keys in memory; counts what was asked of it and misbehaves on command.
class MemoryVault final : public custody::KeyVault {
 public:
  Result<crypto::PublicKey> generate(const KeyId& key, crypto::KeyAlgorithm) override {
    auto made = crypto::SoftwareKey::generate();
    if (!made) return made.error();
    const std::lock_guard lock(mutex_);
    keys_[key] = *made;
    return (*made)->public_key();
  }
  Result<Bytes> make_certificate_request(const KeyId& key, const SignerId&, ByteView subject) override {
    const std::lock_guard lock(mutex_);
    auto info = crypto::encode_csr_info(subject, keys_.at(key)->public_key());
    if (!info) return info.error();
    auto signature = keys_.at(key)->sign(crypto::SignatureSuite::ecdsa_sha256, *info);
    if (!signature) return signature.error();
    return crypto::assemble_csr(*info, crypto::SignatureSuite::ecdsa_sha256, *signature);
  }
  custody::VaultOutcome sign(custody::Activation activation, const crypto::PublicKey&) override {
    const std::lock_guard lock(mutex_);
    if (refusals_left > 0 && --refusals_left >= 0) {
      return {.signature = std::nullopt,
              .refusal = custody::VaultRefusal{{ErrorCode::token_unavailable, "told to refuse"}, refusals_are_definite}};
    }
    ++signatures;
    last_digest = activation.digest();
    auto signature = keys_.at(activation.key())->sign_digest(activation.suite(), activation.digest());
    return {.signature = *signature, .refusal = std::nullopt};
  }
  Status destroy(const KeyId& key) override {
    const std::lock_guard lock(mutex_);
    if (destroys_nothing) return Error{ErrorCode::token_unavailable, "told to refuse"};
    keys_.erase(key);
    return {};
  }
  bool holds(const KeyId& key) {
    const std::lock_guard lock(mutex_);
    return keys_.contains(key);
  }
  std::string key_authorisation() const override { return "emulated"; }

  int signatures = 0;
  int refusals_left = 0;
  bool refusals_are_definite = true;
  bool destroys_nothing = false;
  Bytes last_digest;

 private:
  std::mutex mutex_;
  std::map<KeyId, std::shared_ptr<crypto::SoftwareKey>> keys_;
};

class MemoryPepper final : public Pepper {
 public:
  Result<Secret> mac(ByteView data) const override {
    ++evaluations;
    if (std::exchange(runs_before, runs_before - 1) == 1) before();
    const auto digest = crypto::hmac_sha256(as_bytes("pepper"), data);
    return Secret(digest);
  }
  Result<Secret> lock_mac(ByteView data) const override {
    const auto digest = crypto::hmac_sha256(as_bytes("lock pepper"), data);
    return Secret(digest);
  }
  mutable std::atomic<int> evaluations{0};
  mutable int runs_before = 0;  ///< at the evaluation of this number from now on, `before` runs first
  std::function<void()> before;
};

class MemoryAgreementKeys final : public AgreementKeys {
 public:
  Result<std::shared_ptr<const crypto::KeyAgreement>> generate(std::string_view name) override {
    keys_[std::string(name)] = *crypto::SoftwareKey::generate();
    return find(name);
  }
  Result<std::shared_ptr<const crypto::KeyAgreement>> find(std::string_view name) override {
    const auto found = keys_.find(std::string(name));
    if (found == keys_.end()) return Error{ErrorCode::not_found, "no such key"};
    return std::shared_ptr<const crypto::KeyAgreement>(found->second);
  }
  Status destroy(std::string_view name) override {
    keys_.erase(std::string(name));
    return {};
  }
  std::size_t count() const { return keys_.size(); }

 private:
  std::map<std::string, std::shared_ptr<crypto::SoftwareKey>> keys_;
};

/// The database of a node whose turn does not come, at one write and the next ones.
class BusyDatabase final : public storage::Database {
 public:
  explicit BusyDatabase(storage::Database& database) : database_(database) {}
  Status write(const std::function<Status(storage::Transaction&)>& work) override {
    if (writes_before_ > 0) {
      --writes_before_;
    } else if (busy_ > 0) {
      --busy_;
      return Error{ErrorCode::busy, "told to be"};
    }
    return database_.write(work);
  }
  Status read(const std::function<Status(storage::Reader&)>& work) override { return database_.read(work); }
  void on_commit(std::function<Status()> hook) override { database_.on_commit(std::move(hook)); }
  Status migrate(const std::vector<storage::Migration>& migrations) override { return database_.migrate(migrations); }
  /// After so many more writes, so many are refused.
  void refuse(int writes_before, int busy) {
    writes_before_ = writes_before;
    busy_ = busy;
  }

 private:
  storage::Database& database_;
  int writes_before_ = 0, busy_ = 0;
};

/// basicConstraints alone.
Bytes extensions_of_ca() {
  namespace der = crypto::der;
  const auto extension = der::sequence({der::oid("2.5.29.19"), der::boolean(true), der::octet_string(der::sequence({der::boolean(true)}))});
  return der::explicit_tag(3, der::sequence({extension}));
}

Bytes self_signed_ca(const crypto::SoftwareKey& key, UnixTime now) {
  namespace der = crypto::der;
  const auto name = *crypto::encode_name({{"2.5.4.3", "Test CA"}});
  const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
  const auto tbs = der::sequence({der::explicit_tag(0, der::integer(2)), der::integer(1), algorithm, name,
                                  der::sequence({der::time(now - std::chrono::hours(1)), der::time(now + std::chrono::hours(24 * 365))}),
                                  name, key.public_key().spki(), extensions_of_ca()});
  return crypto::assemble_signed(tbs, crypto::SignatureSuite::ecdsa_sha256, *key.sign(crypto::SignatureSuite::ecdsa_sha256, tbs));
}

Bytes issue_to(const crypto::SoftwareKey& ca, ByteView subject, ByteView spki, UnixTime from, UnixTime until, std::uint64_t serial,
               const std::string& issuer_name = "Test CA", ByteView extensions = {}) {
  namespace der = crypto::der;
  const auto issuer = *crypto::encode_name({{"2.5.4.3", issuer_name}});
  const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
  const auto tbs = der::sequence({der::explicit_tag(0, der::integer(2)), der::integer(serial), algorithm, issuer,
                                  der::sequence({der::time(from), der::time(until)}), subject, spki, extensions});
  return crypto::assemble_signed(tbs, crypto::SignatureSuite::ecdsa_sha256, *ca.sign(crypto::SignatureSuite::ecdsa_sha256, tbs));
}

Bytes issue(const crypto::SoftwareKey& ca, ByteView csr, UnixTime now, std::uint64_t serial, std::chrono::hours life) {
  const auto request = *crypto::parse_csr(csr);
  return issue_to(ca, request.subject_der, request.key.spki(), now - std::chrono::hours(1), now + life, serial);
}

/// A list of the test CA that names these serial numbers (RFC 5280, 5.1).
Bytes revocation_list(const crypto::SoftwareKey& ca, UnixTime now, std::uint64_t number, const std::vector<std::uint64_t>& serials,
                      std::optional<std::uint8_t> reason = std::nullopt) {
  namespace der = crypto::der;
  const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
  std::vector<Bytes> members{der::integer(1), algorithm, *crypto::encode_name({{"2.5.4.3", "Test CA"}}), der::time(now),
                             der::time(now + std::chrono::hours(24))};
  std::vector<Bytes> revoked;
  std::vector<Bytes> extensions;
  // CRLReason, an ENUMERATED (RFC 5280, 5.3.1).
  if (reason) extensions.push_back(der::sequence({der::oid("2.5.29.21"), der::octet_string(Bytes{0x0a, 0x01, *reason})}));
  for (const auto serial : serials) {
    std::vector<Bytes> entry{der::integer(serial), der::time(now)};
    if (!extensions.empty()) entry.push_back(der::sequence(extensions));
    revoked.push_back(der::sequence(entry));
  }
  if (!revoked.empty()) members.push_back(der::sequence(revoked));
  const auto extension = der::sequence({der::oid("2.5.29.20"), der::octet_string(der::integer(number))});
  members.push_back(der::explicit_tag(0, der::sequence({extension})));
  const auto tbs = der::sequence(members);
  return crypto::assemble_signed(tbs, crypto::SignatureSuite::ecdsa_sha256, *ca.sign(crypto::SignatureSuite::ecdsa_sha256, tbs));
}

struct Signer {
  SignerId id;
  std::string pin;
  Secret seed;
  KeyId key;
};

/// A SAM over memory and one SQLite file, with a signer's device, an operator and a CA around it.
class SamTest : public ::testing::Test {
 protected:
  void SetUp() override {
    crypto::set_argon2_parallelism(2);
    folder_ = std::filesystem::temp_directory_path() / ("intaglio-sam-test-" + *crypto::random_id());
    std::filesystem::create_directories(folder_);
    operator_key_ = *crypto::SoftwareKey::generate();
    ca_key_ = *crypto::SoftwareKey::generate();
    ca_ = self_signed_ca(*ca_key_, clock_->now());
    auto policy = Policy::parse(policy_document(/*max_documents=*/8, /*per_minute=*/10, /*per_day=*/100));
    ASSERT_TRUE(policy) << policy.error().detail;
    policy_.emplace(std::move(*policy));
    checkpoint_ = *crypto::SoftwareKey::generate();
    identity_ = *crypto::SoftwareKey::generate();
    sad_key_ = *crypto::SoftwareKey::generate();
    open();
  }
  void TearDown() override {
    close();
    std::filesystem::remove_all(folder_);
  }

  std::string policy_document(int max_documents, int per_minute, int per_day) {
    const Value suites = Value::array({{{"suite", "ecdsa-sha256"}, {"sign_until", "2030-12-31T23:59:59Z"}}});
    const Value keys = Value::array({{{"algorithm", "p256"},
                                      {"generate_until", "2030-12-31T23:59:59Z"},
                                      {"certify_until", "2030-12-31T23:59:59Z"},
                                      {"sign_until", "2030-12-31T23:59:59Z"}}});
    // What policy asks for where the secret opens a key, and else.
    const Value argon2 =
        custody_ == "wrapped" ? Value{{"memory_kib", 64 * 1024}, {"passes", 3}} : Value{{"memory_kib", 19 * 1024}, {"passes", 2}};
    return json::encode(
        {{"id", "test"},
         {"demo", true},
         {"argon2", argon2},
         {"epoch", 1},
         {"algorithms", {{"id", "test"}, {"keys", keys}, {"suites", suites}}},
         {"profiles", Value::array({{{"name", profile_},
                                     {"custody", custody_},
                                     {"factors", {"pin", "totp"}},
                                     {"key_algorithms", Value::array({"p256"})},
                                     {"max_documents", max_documents},
                                     {"sad_seconds", 60},
                                     {"ticket_seconds", 300},
                                     {"per_minute", per_minute},
                                     {"per_day", per_day},
                                     {"keys_per_signer", 6},
                                     {"keys_per_day", 4},
                                     {"qualified", false}}})},
         {"terms", Value::array({{{"id", "terms"}, {"version", "1"}, {"languages", Value::array({"en"})}}})},
         {"acts", Value::array({"typed-yes"})},
         {"lock", {{"failures", 3}, {"minutes", 15}, {"wide_failures", 30}}},
         {"activation", {{"tries", 5}, {"days", 7}}},
         {"totp_issuer", "Test"},
         {"operators", Value::array({{{"id", "ra-1"}, {"jwk", *json::parse(*crypto::encode_jwk(operator_key_->public_key()))}}})},
         {"ca_anchors", Value::array({encode_base64(ca_)})}});
  }

  void open() {
    database_ = *storage::test::open_database(folder_ / "sam.db");
    ASSERT_TRUE(database_->migrate(database_migrations()));
    sealer_ = *sealed::open_testing_sealer(*database_, wrapping_key_, clock_, folder_ / "versions");
    log_ = *audit::Log::open({.origin = "intaglio/sam/test", .directory = folder_ / "audit", .anchor = folder_ / "anchor"}, *database_,
                             checkpoint_, clock_);
    factors_ = std::make_unique<Factors>(*policy_, *database_, *log_, sealer_, pepper_, clock_);
    sap_keys_ = std::make_unique<SapKeys>("test", *database_, sealer_, agreement_keys_, identity_, clock_);
    sam_ = start_node("test");
  }
  /// One node; another one on the same database has seen of it what it read at its start.
  std::unique_ptr<Sam> start_node(const std::string& name, storage::Database* database = nullptr) {
    auto sam = std::make_unique<Sam>(Core{.node = name,
                                          .incarnation = name + "/" + *crypto::random_id(),
                                          .name = "test",
                                          .clock = clock_,
                                          .database = database != nullptr ? *database : *database_,
                                          .sealer = sealer_,
                                          .log = *log_,
                                          .vault = vault_,
                                          .locked_vault = &locked_vault_,
                                          .keys = custody::KeyStore(sealer_),
                                          .sealed_keys = custody::SealedKeyStore(sealer_),
                                          .policy = *policy_,
                                          .factors = *factors_,
                                          .sap_keys = *sap_keys_,
                                          .identity_key = identity_,
                                          .sad_key = sad_key_},
                                     Surroundings{.token_facts = [this] { return token_facts_; },
                                                  .token_signer_signatures = [] { return std::uint64_t{0}; },
                                                  .checkpoint_key = checkpoint_,
                                                  .log_origin = "intaglio/sam/test",
                                                  .configuration_digest = "test"});
    auto started = sam->start();
    EXPECT_TRUE(started) << started.error().detail;
    return sam;
  }
  void close() {
    sam_.reset();
    sap_keys_.reset();
    factors_.reset();
    log_.reset();
    sealer_.reset();
    database_.reset();
  }

  /// The same SAM with another policy document.
  void use_policy(const std::function<void(Value&)>& change) {
    auto document = *json::parse(policy_document(/*max_documents=*/8, /*per_minute=*/10, /*per_day=*/100));
    change(document);
    auto policy = Policy::parse(json::encode(document));
    ASSERT_TRUE(policy) << policy.error().detail;
    close();
    policy_.emplace(std::move(*policy));
    open();
  }

  std::string operator_request(Value body) {
    body["rid"] = *crypto::random_id();
    body["iat"] = unix_seconds(clock_->now());
    return *crypto::make_jws(*operator_key_, "intaglio-ra+jwt", "ra-1", json::encode(body));
  }

  struct Message {
    std::string pin{}, otp{}, activation_code{}, new_pin{};
    std::string_view pin_type = "pin", new_pin_type = "new-pin";  ///< or "signerpass", "new-signerpass"
    protocol::Terms terms{"terms", "1", "en"};
    std::string act = "typed-yes";
    std::string id = *crypto::random_id();
    const crypto::PublicKey* answer_key = nullptr;
    bool new_seed = false;
    std::function<void(Value&)> tamper{};
    std::function<void(crypto::JweHeader&)> header{};
    std::string typ{};
  };
  std::string sap_message(protocol::Purpose purpose, const protocol::Opened& opened, const Message& message) {
    const auto statement = *json::parse(*crypto::verify_jws(opened.sap_statement, "intaglio-sap-key+jwt", identity_->public_key()));
    const auto recipient = *crypto::parse_jwk(json::encode(statement.at("jwk")));
    const auto kid = statement.at("kid").get<std::string>();
    const auto consent = protocol::consent_digest(opened.transaction, message.terms, message.act);
    Value factors = Value::array();
    const auto add = [&](std::string_view type, const std::string& value) {
      if (!value.empty()) factors.push_back({{"type", type}, {"value", value}});
    };
    add(message.pin_type, message.pin);
    add("totp", message.otp);
    add("activation-code", message.activation_code);
    add(message.new_pin_type, message.new_pin);
    Value payload = {{"id", message.id},
                     {"ticket", opened.ticket},
                     {"terms", {{"id", message.terms.id}, {"version", message.terms.version}, {"language", message.terms.language}}},
                     {"act", message.act},
                     {"consent", encode_base64url(consent)},
                     {"binding", encode_base64url(protocol::binding_digest(opened.transaction, consent))},
                     {"factors", factors}};
    if (message.new_seed) payload["new_seed"] = true;
    if (message.answer_key != nullptr) payload["epk"] = *json::parse(*crypto::encode_jwk(*message.answer_key));
    if (message.tamper) message.tamper(payload);
    const auto transaction = *protocol::parse_transaction(opened.transaction);
    const auto typ = message.typ.empty() ? "intaglio-sap-" + std::string(name_of(purpose)) + "+jwe" : message.typ;
    crypto::JweHeader header{.typ = typ, .kid = kid, .apu = transaction.nonce, .apv = to_bytes(kid)};
    if (message.header) message.header(header);
    return *crypto::make_jwe(recipient, header, as_bytes(json::encode(payload)));
  }

  std::string otp(const Signer& signer) {
    // Each code works once: the next one needs the next step.
    clock_->advance(std::chrono::seconds(30));
    const auto code = crypto::totp_code(signer.seed, static_cast<std::uint64_t>(unix_seconds(clock_->now()) / 30));
    return std::string(as_text(code.reveal()));
  }

  static Value identity_of(const std::string& id, const std::string& surname = "Example") {
    return {{"givenName", "Alice"}, {"surname", surname}, {"country", "NO"}, {"serialNumber", "PNONO-" + id}};
  }
  std::string code_in(const crypto::SoftwareKey& printer, const protocol::SignerCreated& created) {
    const auto plaintext = *crypto::open_jwe(printer, "intaglio-activation+jwe", created.sealed_activation_code);
    return json::parse(as_text(plaintext.reveal()))->at("code").get<std::string>();
  }
  std::string registration(const crypto::SoftwareKey& printer, const std::string& op, const std::string& id, const Value& identity) {
    return operator_request(
        {{"op", op}, {"signer", id}, {"identity", identity}, {"deliver_to", *json::parse(*crypto::encode_jwk(printer.public_key()))}});
  }
  std::string create_signer(const std::string& id) {
    const auto printer = *crypto::SoftwareKey::generate();
    auto created = sam_->create_signer(registration(*printer, "create-signer", id, identity_of(id)));
    if (!created) ADD_FAILURE() << created.error().detail;
    return code_in(*printer, *created);
  }
  Result<std::string> reset(const std::string& id, const Value& identity) {
    const auto printer = *crypto::SoftwareKey::generate();
    auto done = sam_->reset_factors(registration(*printer, "reset-factors", id, identity));
    if (!done) return done.error();
    return code_in(*printer, *done);
  }
  std::int64_t rows_of(std::string_view table) {
    std::int64_t rows = -1;
    EXPECT_TRUE(database_->read([&](storage::Reader& reader) {
      return reader.query("SELECT count(*) FROM " + std::string(table), {}, [&](const storage::Row& row) {
        rows = row.integer(0);
        return true;
      });
    }));
    return rows;
  }
  /// Of this type, oldest first.
  std::vector<Value> events(std::string_view type) {
    std::vector<Value> found;
    EXPECT_TRUE(database_->read([&](storage::Reader& reader) {
      return reader.query("SELECT event FROM audit_entries ORDER BY idx", {}, [&](const storage::Row& row) {
        const auto event = row.bytes(0);
        auto parsed = *json::parse(as_text(event));
        if (parsed.at("type") == type) found.push_back(std::move(parsed));
        return true;
      });
    }));
    return found;
  }
  Result<protocol::Enrolled> change(const Signer& signer, Message message) {
    const auto opened = *sam_->open_factor_change({.signer = signer.id, .client_id = "sca", .client_name = "SCA"});
    return sam_->change_factors(sap_message(protocol::Purpose::factors, opened, message));
  }
  Result<protocol::Enrolled> change_pin(const Signer& signer, const std::string& pin) {
    const auto device = *crypto::SoftwareKey::generate();
    return change(signer, {.pin = signer.pin, .otp = otp(signer), .new_pin = pin, .answer_key = &device->public_key()});
  }
  Status change_key(const Signer& signer, protocol::KeyChange what, const std::string& pin) {
    auto opened = sam_->open_key_change({.key = signer.key, .change = what, .client_id = "sca", .client_name = "SCA"});
    if (!opened) return opened.error();
    const auto purpose = what == protocol::KeyChange::suspend ? protocol::Purpose::suspend : protocol::Purpose::destroy;
    return sam_->change_key(sap_message(purpose, *opened, {.pin = pin, .otp = otp(signer)}));
  }

  Result<protocol::Enrolled> enrol(const std::string& id, const std::string& code, const std::string& pin,
                                   const crypto::PublicKey& answer_key) {
    const auto opened = *sam_->open_enrolment({.signer = *SignerId::parse(id), .client_id = "sca", .client_name = "SCA"});
    return sam_->enrol_factors(
        sap_message(protocol::Purpose::enrol, opened, {.activation_code = code, .new_pin = pin, .answer_key = &answer_key}));
  }

  /// Opens the answer to an enrolment or to a change of factors.
  static Secret seed_of(const crypto::SoftwareKey& device, const protocol::Enrolled& enrolled,
                        std::string_view typ = "intaglio-enrol-answer+jwe") {
    const auto answer = *crypto::open_jwe(device, typ, enrolled.sealed_answer);
    return Secret(*parse_base32(json::parse(as_text(answer.reveal()))->at("totp_seed").get<std::string>()));
  }
  Signer enrolled_without_key(const std::string& id) {
    const auto code = create_signer(id);
    const auto device = *crypto::SoftwareKey::generate();
    const auto enrolled = enrol(id, code, "493817", device->public_key());
    if (!enrolled) ADD_FAILURE() << enrolled.error().detail;
    return {*SignerId::parse(id), "493817", seed_of(*device, *enrolled), *KeyId::parse("none")};
  }
  Result<protocol::KeyGenerated> new_key(const Signer& signer) {
    const auto opened = *sam_->open_key_generation(
        {.signer = signer.id, .algorithm = crypto::KeyAlgorithm::p256, .profile = profile_, .client_id = "sca", .client_name = "SCA"});
    return sam_->generate_key(sap_message(protocol::Purpose::key, opened, {.pin = signer.pin, .otp = otp(signer)}));
  }
  /// With the certificate that the operator approved, unless another one is named.
  /// `above`: certificates that go with it.
  Result<protocol::CredentialFacts> bind(const KeyId& key, const Bytes& certificate, const std::optional<Bytes>& approved = {},
                                         const std::vector<Bytes>& above = {}) {
    const auto digest = crypto::sha256(approved.value_or(certificate));
    std::vector<Bytes> certificates{certificate};
    certificates.insert(certificates.end(), above.begin(), above.end());
    return sam_->bind_certificate({.operator_request = operator_request(
                                       {{"op", "bind-certificate"}, {"key", key.text()}, {"certificate_sha256", encode_base64url(digest)}}),
                                   .certificates = certificates});
  }

  Signer enrolled_signer(const std::string& id, std::chrono::hours certificate_life = std::chrono::hours(1000)) {
    auto signer = enrolled_without_key(id);
    const auto generated = new_key(signer);
    if (!generated) ADD_FAILURE() << generated.error().detail;
    signer.key = generated->key;
    const auto bound = bind(signer.key, issue(*ca_key_, generated->csr, clock_->now(), ++serial_, certificate_life));
    if (!bound) ADD_FAILURE() << bound.error().detail;
    return signer;
  }

  /// Changes a key's record behind the SAM's back, sealed as the SAM seals it.
  void edit_key(const KeyId& key, const std::function<void(custody::KeyRecord&)>& edit) {
    const custody::KeyStore keys(sealer_);
    const auto edited = database_->write([&](storage::Transaction& transaction) -> Status {
      auto stored = keys.find(transaction, key);
      if (!stored) return stored.error();
      edit((*stored)->record);
      return keys.update(transaction, **stored);
    });
    ASSERT_TRUE(edited) << edited.error().detail;
  }
  /// The signer and what the database has of the factors are gone, and so is the file that remembers them; keys and the factors' seed
  /// stay with whoever has them.
  void forget_signers() {
    ASSERT_TRUE(database_->write([](storage::Transaction& transaction) -> Status {
      for (const std::string_view sql : {std::string_view("DELETE FROM signers"), std::string_view("DELETE FROM factor_states")}) {
        auto done = transaction.execute(sql, {});
        if (!done) return done.error();
      }
      return {};
    }));
    close();
    std::filesystem::remove(folder_ / "versions");
    ASSERT_TRUE(sealed::Versions::make(folder_ / "versions"));
    open();
  }
  /// Another certificate of the CA for the same key and person.
  Bytes renewed(const Signer& signer) {
    const auto leaf = *crypto::Certificate::parse_der(sam_->credential(signer.key)->certificates.front());
    return issue_to(*ca_key_, leaf.subject_der(), leaf.public_key()->spki(), clock_->now() - std::chrono::hours(1),
                    clock_->now() + std::chrono::hours(1000), ++serial_);
  }

  static Bytes digest_of(std::string_view text) {
    const auto digest = crypto::sha256(as_bytes(text));
    return to_bytes(ByteView(digest));
  }
  Result<protocol::Opened> open_for(const Signer& signer, const std::vector<std::string>& texts) {
    std::vector<protocol::DocumentDigest> documents;
    for (const auto& text : texts) documents.push_back({digest_of(text), text});
    return sam_->open_signing({.key = signer.key,
                               .hash = crypto::HashAlgorithm::sha256,
                               .suites = {},
                               .documents = documents,
                               .client_id = "sca",
                               .client_name = "SCA"});
  }
  Result<protocol::Authorised> approve(const Signer& signer, const std::vector<std::string>& texts) {
    auto opened = open_for(signer, texts);
    if (!opened) return opened.error();
    return sam_->authorise(sap_message(protocol::Purpose::sign, *opened, {.pin = signer.pin, .otp = otp(signer)}));
  }
  protocol::SignRequest request(const Signer& signer, const protocol::Authorised& authorised, const std::vector<std::string>& texts) {
    protocol::SignRequest made{.sad = authorised.sad,
                               .key = signer.key,
                               .suite = crypto::SignatureSuite::ecdsa_sha256,
                               .digests = {},
                               .client_id = "sca",
                               .client_address = "192.0.2.1"};
    for (const auto& text : texts) made.digests.push_back(digest_of(text));
    return made;
  }

  protocol::ExtendRequest extension(const Signer& signer, const protocol::Authorised& authorised,
                                    const std::vector<std::string>& texts = {}) {
    protocol::ExtendRequest made{
        .sad = authorised.sad, .key = signer.key, .digests = {}, .client_id = "sca", .client_address = "192.0.2.1"};
    for (const auto& text : texts) made.digests.push_back(digest_of(text));
    return made;
  }

  std::filesystem::path folder_;
  std::shared_ptr<ManualClock> clock_ = std::make_shared<ManualClock>(*parse_utc("2026-11-20T12:00:00Z"));
  std::shared_ptr<crypto::SoftwareKey> operator_key_, ca_key_, checkpoint_, identity_, sad_key_;
  Bytes ca_;
  std::uint64_t serial_ = 100;
  std::optional<Policy> policy_;
  std::string profile_ = "direct-resident", custody_ = "resident";
  MemoryVault vault_;
  testing::MemoryLockedVault locked_vault_;
  MemoryPepper pepper_;
  MemoryAgreementKeys agreement_keys_;
  std::unique_ptr<storage::Database> database_;
  std::shared_ptr<sealed::Sealer> sealer_;
  Bytes wrapping_key_ = Bytes(32, 7);
  std::unique_ptr<audit::Log> log_;
  std::unique_ptr<Factors> factors_;
  std::unique_ptr<SapKeys> sap_keys_;
  std::unique_ptr<Sam> sam_;
  std::string token_facts_ = "{}";
};

TEST_F(SamTest, SignsWhatWasApprovedAndTheSignatureVerifies) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = approve(alice, {"contract"});
  ASSERT_TRUE(authorised) << authorised.error().detail;
  const auto answer = sam_->sign(request(alice, *authorised, {"contract"}));
  ASSERT_TRUE(answer) << answer.error().detail;
  ASSERT_EQ(answer->signatures.size(), 1U);
  const auto facts = *sam_->credential(alice.key);
  const auto key = *crypto::Certificate::parse_der(facts.certificates.front())->public_key();
  EXPECT_TRUE(key.verify_digest(crypto::SignatureSuite::ecdsa_sha256, digest_of("contract"), answer->signatures[0].signature));
  EXPECT_EQ(answer->signatures[0].log, "intaglio/sam/test");
}

TEST_F(SamTest, TC2_RefusesAHashThatTheSignerDidNotApproveAndLeavesTheTokenUntouched) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"contract"});
  expect_refused(sam_->sign(request(alice, authorised, {"invoice"})), ErrorCode::hash_not_authorised);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(SamTest, TC3_RefusesAnotherKeySuiteOrClientThanTheAuthorised) {
  const auto alice = enrolled_signer("alice");
  const auto bob = enrolled_signer("bob");
  const auto authorised = *approve(alice, {"contract"});
  auto other_key = request(alice, authorised, {"contract"});
  other_key.key = bob.key;
  expect_refused(sam_->sign(other_key), ErrorCode::sad_invalid);
  auto other_client = request(alice, authorised, {"contract"});
  other_client.client_id = "other";
  expect_refused(sam_->sign(other_client), ErrorCode::sad_invalid);
  auto other_suite = request(alice, authorised, {"contract"});
  other_suite.suite = crypto::SignatureSuite::rsa_pkcs1_sha256;
  expect_refused(sam_->sign(other_suite), ErrorCode::algorithm_refused);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(SamTest, TC3_RefusesAMessageThatApprovesSomethingElseThanTheTicketHolds) {
  const auto alice = enrolled_signer("alice");
  const auto opened = *open_for(alice, {"contract"});
  auto shown_otherwise = opened;
  auto transaction = *protocol::parse_transaction(opened.transaction);
  transaction.documents[0].label = "a harmless note";
  shown_otherwise.transaction = protocol::encode(transaction);
  expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, shown_otherwise, {.pin = alice.pin, .otp = otp(alice)})),
                 ErrorCode::binding_mismatch);
  expect_refused(
      sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice), .terms = {"terms", "2", "en"}})),
      ErrorCode::binding_mismatch);
  expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice), .act = "ticked"})),
                 ErrorCode::binding_mismatch);
}

TEST_F(SamTest, TC4_OneTicketGivesOneAuthorisationAndOneMessageIsUsedOnce) {
  const auto alice = enrolled_signer("alice");
  const auto opened = *open_for(alice, {"contract"});
  const auto message = sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice)});
  ASSERT_TRUE(sam_->authorise(message));
  expect_refused(sam_->authorise(message), ErrorCode::replayed);
  expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice)})), ErrorCode::replayed);
}

TEST_F(SamTest, TC9_AMessageStaysUsedAcrossARestartAndAfterAWrongPin) {
  const auto alice = enrolled_signer("alice");
  const auto opened = *open_for(alice, {"contract"});
  const auto wrong = sap_message(protocol::Purpose::sign, opened, {.pin = "111222", .otp = otp(alice)});
  expect_refused(sam_->authorise(wrong), ErrorCode::authentication_failed);
  close();
  open();
  expect_refused(sam_->authorise(wrong), ErrorCode::replayed);
}

TEST_F(SamTest, TC4_ConcurrentUsesOfOneSadMakeOneSignature) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"contract"});
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::vector<Bytes> signatures;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      const auto answer = sam_->sign(request(alice, authorised, {"contract"}));
      const std::lock_guard lock(mutex);
      if (answer) signatures.push_back(answer->signatures.at(0).signature);
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(vault_.signatures, 1);
  for (const auto& signature : signatures) EXPECT_EQ(signature, signatures.front()) << "an answer differs from the one signature";
}

TEST_F(SamTest, TC5_AnOutcomeThatStandsButCouldNotBeReleasedIsRefusedAndThenRedelivered) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"contract"});
  // The second commit of a signature is its outcome: durable, but what vouches for it cannot be written.
  auto commits = std::make_shared<int>(0);
  database_->on_commit([commits]() -> Status {
    if (++*commits == 2) return Error{ErrorCode::audit_unavailable, "the anchor cannot be written"};
    return {};
  });
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::audit_unavailable);
  const auto again = sam_->sign(request(alice, authorised, {"contract"}));
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_TRUE(again->signatures[0].redelivered);
}

TEST_F(SamTest, TC5_AnAnswerThatWasLostIsGivenAgainAndMarked) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"contract"});
  const auto first = *sam_->sign(request(alice, authorised, {"contract"}));
  const auto again = *sam_->sign(request(alice, authorised, {"contract"}));
  EXPECT_EQ(first.signatures[0].signature, again.signatures[0].signature);
  EXPECT_FALSE(first.signatures[0].redelivered);
  EXPECT_TRUE(again.signatures[0].redelivered);
  EXPECT_EQ(vault_.signatures, 1);
}

TEST_F(SamTest, TC4_TheSameDigestTwiceNeedsTwoOccurrencesAndAnswersKeepTheOrder) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"a", "b", "a"});
  const auto answer = sam_->sign(request(alice, authorised, {"b", "a", "a"}));
  ASSERT_TRUE(answer) << answer.error().detail;
  const auto key = *crypto::Certificate::parse_der(sam_->credential(alice.key)->certificates.front())->public_key();
  EXPECT_TRUE(key.verify_digest(crypto::SignatureSuite::ecdsa_sha256, digest_of("b"), answer->signatures[0].signature));
  EXPECT_TRUE(key.verify_digest(crypto::SignatureSuite::ecdsa_sha256, digest_of("a"), answer->signatures[1].signature));
  expect_refused(sam_->sign(request(alice, authorised, {"a", "a", "a"})), ErrorCode::hash_not_authorised);
  EXPECT_EQ(vault_.signatures, 3);
}

TEST_F(SamTest, TC4_ADefiniteRefusalGivesTheOccurrenceBackAndADoubtBurnsIt) {
  const auto alice = enrolled_signer("alice");
  const auto first = *approve(alice, {"contract"});
  vault_.refusals_left = 1;
  const auto refused = *sam_->sign(request(alice, first, {"contract"}));
  EXPECT_TRUE(refused.signatures.empty());
  EXPECT_EQ(refused.stopped, ErrorCode::token_unavailable);
  const auto retried = sam_->sign(request(alice, first, {"contract"}));
  ASSERT_TRUE(retried);
  EXPECT_EQ(retried->signatures.size(), 1U);

  const auto second = *approve(alice, {"invoice"});
  vault_.refusals_left = 1;
  vault_.refusals_are_definite = false;
  EXPECT_TRUE(sam_->sign(request(alice, second, {"invoice"}))->stopped.has_value());
  expect_refused(sam_->sign(request(alice, second, {"invoice"})), ErrorCode::hash_not_authorised);
}

TEST_F(SamTest, TC4_AnOutcomeWhoseTurnDoesNotComeIsTriedOnceMoreAndNeverSaidToBeBusy) {
  BusyDatabase busy(*database_);
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"a", "b", "c"});
  const auto node = start_node("busy", &busy);
  // What was not begun is refused as what it is, and may be asked again.
  busy.refuse(0, 2);
  expect_refused(node->sign(request(alice, authorised, {"a"})), ErrorCode::busy);
  EXPECT_EQ(vault_.signatures, 0);
  // The first write reserves, the second one records what the token has made by then.
  busy.refuse(1, 1);
  const auto made = node->sign(request(alice, authorised, {"a"}));
  ASSERT_TRUE(made) << made.error().detail;
  EXPECT_EQ(vault_.signatures, 1);
  busy.refuse(1, 2);
  expect_refused(node->sign(request(alice, authorised, {"b"})), ErrorCode::storage_unavailable);
  EXPECT_EQ(vault_.signatures, 2);
  expect_refused(node->sign(request(alice, authorised, {"b"})), ErrorCode::hash_not_authorised);
  EXPECT_TRUE(node->sign(request(alice, authorised, {"c"})));
  EXPECT_EQ(vault_.signatures, 3);
}

TEST_F(SamTest, TC4_InABatchTheFirstDoubtStopsAndTheUntouchedStayFree) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"a", "b", "c"});
  ASSERT_TRUE(sam_->sign(request(alice, authorised, {"a"})));
  vault_.refusals_left = 1;
  vault_.refusals_are_definite = false;
  const auto batch = *sam_->sign(request(alice, authorised, {"b", "c"}));
  EXPECT_TRUE(batch.stopped);
  expect_refused(sam_->sign(request(alice, authorised, {"b"})), ErrorCode::hash_not_authorised);
  EXPECT_TRUE(sam_->sign(request(alice, authorised, {"c"})));
}

TEST_F(SamTest, TheSadEndsAfterSixtySecondsAndTheTicketAfterFiveMinutes) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"contract"});
  clock_->advance(std::chrono::seconds(60));
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::sad_expired);
  const auto opened = *open_for(alice, {"contract"});
  const auto code = otp(alice);
  clock_->advance(std::chrono::seconds(271));
  expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = code})), ErrorCode::ticket_expired);
}

TEST_F(SamTest, ANewAuthorisationVoidsTheEarlierOne) {
  const auto alice = enrolled_signer("alice");
  const auto earlier = *approve(alice, {"contract"});
  ASSERT_TRUE(approve(alice, {"invoice"}));
  expect_refused(sam_->sign(request(alice, earlier, {"contract"})), ErrorCode::sad_invalid);
}

TEST_F(SamTest, ASadIsFollowedByOneThatEndsLaterOverWhatIsLeft) {
  const auto alice = enrolled_signer("alice");
  const auto first = *approve(alice, {"a", "b", "c"});
  ASSERT_TRUE(sam_->sign(request(alice, first, {"a"})));
  clock_->advance(std::chrono::seconds(50));
  const auto second = sam_->extend(extension(alice, first, {"b"}));
  ASSERT_TRUE(second) << second.error().detail;
  EXPECT_EQ(second->expires_in, std::chrono::seconds(60));
  EXPECT_NE(second->sad, first.sad);
  clock_->advance(std::chrono::seconds(50));
  ASSERT_TRUE(sam_->sign(request(alice, *second, {"b"})));
  expect_refused(sam_->sign(request(alice, *second, {"d"})), ErrorCode::hash_not_authorised);
  const auto third = sam_->extend(extension(alice, *second));
  ASSERT_TRUE(third) << third.error().detail;
  ASSERT_TRUE(sam_->sign(request(alice, *third, {"c"})));
  EXPECT_EQ(vault_.signatures, 3);
  const auto extended = events("authorisation.extended");
  ASSERT_EQ(extended.size(), 2U);
  EXPECT_EQ(extended[0].at("fields").at("left"), "2");
  EXPECT_EQ(extended[0].at("fields").at("sad_before"), encode_base64url(crypto::sha256(as_bytes(first.sad))));
  EXPECT_EQ(extended[1].at("fields").at("left"), "1");
  EXPECT_EQ(extended[1].at("fields").at("sad"), encode_base64url(crypto::sha256(as_bytes(third->sad))));
}

TEST_F(SamTest, TC4_TheSadThatWasFollowedSignsNothingAndIsNotFollowedTwice) {
  const auto alice = enrolled_signer("alice");
  const auto first = *approve(alice, {"a", "b"});
  // The SAM holds it in memory from here on.
  ASSERT_TRUE(sam_->sign(request(alice, first, {"a"})));
  ASSERT_TRUE(sam_->extend(extension(alice, first)));
  expect_refused(sam_->sign(request(alice, first, {"b"})), ErrorCode::sad_invalid);
  expect_refused(sam_->extend(extension(alice, first)), ErrorCode::sad_invalid);
  EXPECT_EQ(vault_.signatures, 1);
}

TEST_F(SamTest, TC4_WhatWasSignedBeforeAnExtensionIsNotSignedAgain) {
  const auto alice = enrolled_signer("alice");
  const auto first = *approve(alice, {"a", "a", "b"});
  const auto made = *sam_->sign(request(alice, first, {"a"}));
  const auto second = *sam_->extend(extension(alice, first, {"a", "b"}));
  expect_refused(sam_->extend(extension(alice, second, {"a", "a"})), ErrorCode::hash_not_authorised);
  ASSERT_TRUE(sam_->sign(request(alice, second, {"a"})));
  EXPECT_EQ(vault_.signatures, 2);
  const auto again = *sam_->sign(request(alice, second, {"a"}));
  EXPECT_TRUE(again.signatures[0].redelivered);
  EXPECT_EQ(again.signatures[0].signature, made.signatures[0].signature);
  EXPECT_EQ(vault_.signatures, 2);
}

TEST_F(SamTest, ASadIsNotFollowedBeyondFiveMinutesAfterItsTicket) {
  const auto alice = enrolled_signer("alice");
  const auto opened = clock_->now();
  auto authorised = *approve(alice, {"a", "b"});
  const auto latest = opened + std::chrono::minutes(10);
  for (int i = 0; i < 9; ++i) {
    clock_->advance(std::chrono::seconds(58));
    const auto next = sam_->extend(extension(alice, authorised));
    ASSERT_TRUE(next) << i << ": " << next.error().detail;
    EXPECT_LE(clock_->now() + next->expires_in, latest);
    authorised = *next;
  }
  clock_->advance(std::chrono::seconds(58));
  expect_refused(sam_->sign(request(alice, authorised, {"a"})), ErrorCode::sad_expired);
  expect_refused(sam_->extend(extension(alice, authorised)), ErrorCode::sad_expired);
}

TEST_F(SamTest, OnlyALiveSadOfThisKeyAndClientWithSomethingLeftIsFollowed) {
  const auto alice = enrolled_signer("alice");
  const auto bob = enrolled_signer("bob");
  const auto authorised = *approve(alice, {"a"});
  auto of_bob = extension(alice, authorised);
  of_bob.key = bob.key;
  expect_refused(sam_->extend(of_bob), ErrorCode::sad_invalid);
  auto of_another = extension(alice, authorised);
  of_another.client_id = "other";
  expect_refused(sam_->extend(of_another), ErrorCode::sad_invalid);
  for (const std::string& spoiled : {std::string("no token"), std::string("a.b.c"), authorised.sad + "A"}) {
    auto tampered = extension(alice, authorised);
    tampered.sad = spoiled;
    expect_refused(sam_->extend(tampered), ErrorCode::sad_invalid);
  }
  expect_refused(sam_->extend(extension(alice, authorised, {"b"})), ErrorCode::hash_not_authorised);
  ASSERT_TRUE(sam_->sign(request(alice, authorised, {"a"})));
  expect_refused(sam_->extend(extension(alice, authorised)), ErrorCode::sad_invalid);
  const auto late = *approve(alice, {"a"});
  clock_->advance(std::chrono::seconds(60));
  expect_refused(sam_->extend(extension(alice, late)), ErrorCode::sad_expired);
  EXPECT_EQ(events("authorisation.extended").size(), 0U);
}

TEST_F(SamTest, ASadOfAnEarlierEpochIsNotFollowed) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"a"});
  use_policy([](Value& policy) { policy["epoch"] = 2; });
  expect_refused(sam_->extend(extension(alice, authorised)), ErrorCode::sad_invalid);
}

TEST_F(SamTest, AProfileOfOneDocumentAnApprovalExtendsNothing) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"a"});
  use_policy([](Value& policy) { policy["profiles"][0]["max_documents"] = 1; });
  expect_refused(sam_->extend(extension(alice, authorised)), ErrorCode::unsupported);
}

TEST_F(SamTest, NothingIsExtendedWhileACallOfTheSadIsUnderWay) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"a", "b"});
  ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
    auto done =
        transaction.execute("INSERT INTO open_reservations (authorisation, position, node) SELECT id, 0, 'other' FROM authorisations", {});
    return done ? Status() : Status(done.error());
  }));
  expect_refused(sam_->extend(extension(alice, authorised)), ErrorCode::busy);
}

TEST_F(SamTest, TC11_WrongPinWrongOtpAndUnknownSignerGiveTheSameErrorAfterTheSameWork) {
  const auto alice = enrolled_signer("alice");
  const auto measure = [&](const std::function<ErrorCode()>& attempt) {
    const auto argon2 = crypto::argon2_evaluations();
    const int pepper = pepper_.evaluations;
    const auto code = attempt();
    return std::tuple(code, crypto::argon2_evaluations() - argon2, pepper_.evaluations - pepper);
  };
  const auto key_message = [&](const SignerId& id, const std::string& pin, const std::string& code) {
    const auto opened = *sam_->open_key_generation(
        {.signer = id, .algorithm = crypto::KeyAlgorithm::p256, .profile = "direct-resident", .client_id = "sca", .client_name = "SCA"});
    return sam_->generate_key(sap_message(protocol::Purpose::key, opened, {.pin = pin, .otp = code})).error().code;
  };
  const auto wrong_pin = measure([&] { return key_message(alice.id, "111222", otp(alice)); });
  const auto wrong_otp = measure([&] { return key_message(alice.id, alice.pin, "000000"); });
  const auto unknown = measure([&] { return key_message(*SignerId::parse("nobody"), "493817", "000000"); });
  EXPECT_EQ(wrong_pin, wrong_otp);
  EXPECT_EQ(wrong_pin, unknown);
  EXPECT_EQ(std::get<0>(unknown), ErrorCode::authentication_failed);
  EXPECT_EQ(std::get<1>(unknown), 1U);
  EXPECT_EQ(std::get<2>(unknown), 1);
}

TEST_F(SamTest, ThreeWrongPinsLockForFifteenMinutesAndASuccessGivesTheAttemptsBack) {
  const auto alice = enrolled_signer("alice");
  const auto attempt = [&](const std::string& pin) {
    const auto opened = *open_for(alice, {"contract"});
    return sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = pin, .otp = otp(alice)}));
  };
  expect_refused(attempt("111222"), ErrorCode::authentication_failed);
  expect_refused(attempt("111222"), ErrorCode::authentication_failed);
  EXPECT_TRUE(attempt(alice.pin));
  for (int i = 0; i < 3; ++i) expect_refused(attempt("111222"), ErrorCode::authentication_failed);
  expect_refused(attempt(alice.pin), ErrorCode::credential_locked);
  clock_->advance(std::chrono::minutes(13));
  expect_refused(attempt(alice.pin), ErrorCode::credential_locked);
  clock_->advance(std::chrono::minutes(2));
  EXPECT_TRUE(attempt(alice.pin));
}

TEST_F(SamTest, StrangersWithoutThePossessionFactorDoNotLockASigner) {
  const auto alice = enrolled_signer("alice");
  for (int i = 0; i < 10; ++i) {
    const auto opened = *open_for(alice, {"contract"});
    expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = "111222", .otp = "000000"})),
                   ErrorCode::authentication_failed);
  }
  EXPECT_TRUE(approve(alice, {"contract"}));
}

TEST_F(SamTest, TC11_FortyAttemptsWithoutThePossessionFactorLockOutNobodyWhoHasIt) {
  const auto alice = enrolled_signer("alice");
  for (int i = 0; i < 40; ++i) {
    const auto opened = *open_for(alice, {"contract"});
    expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = "111222", .otp = "000000"})),
                   ErrorCode::authentication_failed);
  }
  EXPECT_TRUE(approve(alice, {"contract"}));
}

TEST_F(SamTest, TC7_ASignerWhoIsMadeAgainUnderTheSameNameDoesNotInheritTheKeys) {
  const auto alice = enrolled_signer("alice");
  forget_signers();
  const auto code = create_signer("alice");
  const auto device = *crypto::SoftwareKey::generate();
  const auto enrolled = enrol("alice", code, "493817", device->public_key());
  ASSERT_TRUE(enrolled);
  const auto answer = *crypto::open_jwe(*device, "intaglio-enrol-answer+jwe", enrolled->sealed_answer);
  const Signer thief{alice.id, "493817", Secret(*parse_base32(json::parse(as_text(answer.reveal()))->at("totp_seed").get<std::string>())),
                     alice.key};
  expect_refused(approve(thief, {"contract"}), ErrorCode::authentication_failed);
}

TEST_F(SamTest, ARowThatNamesAKeyToDestroyDestroysNothingUnlessTheSamSealedIt) {
  const auto alice = enrolled_signer("alice");
  ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
    const Bytes nothing(64, 0);
    auto done = transaction.execute("INSERT INTO pending_keys (id, version, record) VALUES (?1, 1, ?2)",
                                    {std::string_view(alice.key.text()), ByteView(nothing)});
    return done ? Status() : Status(done.error());
  }));
  expect_refused(sam_->start(), ErrorCode::storage_unavailable);
  EXPECT_TRUE(approve(alice, {"contract"}));
}

TEST_F(SamTest, ASadIsOnlyTheOneThatWasSealedWithItsAuthorisation) {
  const auto alice = enrolled_signer("alice");
  ASSERT_TRUE(approve(alice, {"contract"}));
  const auto other = crypto::sha256(as_bytes("any text"));
  ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
    auto done = transaction.execute("UPDATE authorisations SET sad = ?1", {ByteView(other)});
    return done ? Status() : Status(done.error());
  }));
  expect_refused(sam_->sign(request(alice, {.sad = "any text", .expires_in = std::chrono::seconds(60)}, {"contract"})),
                 ErrorCode::sad_invalid);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(SamTest, WhatEndedIsForgottenAndAnOpenReservationStillLetsTheSamStart) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"contract"});
  ASSERT_TRUE(sam_->sign(request(alice, authorised, {"contract"})));
  ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
    auto done = transaction.execute("INSERT INTO open_reservations (authorisation, position, node) VALUES ('gone', 0, 'test')", {});
    return done ? Status() : Status(done.error());
  }));
  clock_->advance(std::chrono::hours(72));
  sam_->maintain();
  std::int64_t rows = -1;
  ASSERT_TRUE(database_->read([&](storage::Reader& reader) {
    return reader.query("SELECT count(*) FROM occurrences", {}, [&](const storage::Row& row) {
      rows = row.integer(0);
      return true;
    });
  }));
  EXPECT_EQ(rows, 0);
  EXPECT_TRUE(sam_->start());
}

TEST_F(SamTest, AnOtpWorksOnce) {
  const auto alice = enrolled_signer("alice");
  const auto code = otp(alice);
  const auto first = *open_for(alice, {"a"});
  ASSERT_TRUE(sam_->authorise(sap_message(protocol::Purpose::sign, first, {.pin = alice.pin, .otp = code})));
  const auto second = *open_for(alice, {"b"});
  expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, second, {.pin = alice.pin, .otp = code})),
                 ErrorCode::authentication_failed);
}

TEST_F(SamTest, TenSignaturesInAMinuteAndNotEleven) {
  const auto alice = enrolled_signer("alice");
  clock_->advance(std::chrono::minutes(5));
  ASSERT_TRUE(approve(alice, {"1", "2", "3", "4", "5", "6", "7", "8"}));
  expect_refused(approve(alice, {"1", "2", "3"}), ErrorCode::limit_exceeded);
  clock_->advance(std::chrono::seconds(60));
  EXPECT_TRUE(approve(alice, {"1", "2", "3"}));
}

TEST_F(SamTest, AHundredSignaturesInADayAndNotMore) {
  const auto alice = enrolled_signer("alice");
  for (int i = 0; i < 12; ++i) {
    clock_->advance(std::chrono::minutes(2));
    ASSERT_TRUE(approve(alice, {"1", "2", "3", "4", "5", "6", "7", "8"})) << i;
  }
  clock_->advance(std::chrono::minutes(2));
  expect_refused(approve(alice, {"1", "2", "3", "4", "5"}), ErrorCode::limit_exceeded);
  EXPECT_TRUE(approve(alice, {"1", "2", "3", "4"}));
}

TEST_F(SamTest, ASignerMakesFourKeysInADayAndHasSixAtMost) {
  auto alice = enrolled_without_key("alice");
  const auto another = [&] {
    auto made = new_key(alice);
    if (made) alice.key = made->key;
    return made;
  };
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(another()) << i;
  expect_refused(another(), ErrorCode::limit_exceeded);
  clock_->advance(std::chrono::hours(24));
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(another()) << i;
  expect_refused(another(), ErrorCode::limit_exceeded);
  ASSERT_TRUE(change_key(alice, protocol::KeyChange::destroy, alice.pin));
  EXPECT_TRUE(another());
}

TEST_F(SamTest, TC10_WithoutASynchronisedClockNothingIsOpenedAuthorisedOrSigned) {
  const auto alice = enrolled_signer("alice");
  const auto opened = *open_for(alice, {"contract"});
  const auto message = sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice)});
  const auto authorised = *approve(alice, {"contract"});
  clock_->lose_synchronisation();
  expect_refused(open_for(alice, {"contract"}), ErrorCode::clock_unsynchronised);
  expect_refused(sam_->authorise(message), ErrorCode::clock_unsynchronised);
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::clock_unsynchronised);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(SamTest, TC15_WithoutARegisteredOperatorsSignatureNoSignerIsMade) {
  const auto stranger = *crypto::SoftwareKey::generate();
  const Value identity = {{"givenName", "Eve"}, {"surname", "Example"}, {"country", "NO"}, {"serialNumber", "PNONO-1"}};
  const Value body = {{"op", "create-signer"},       {"signer", "eve"},
                      {"identity", identity},        {"deliver_to", *json::parse(*crypto::encode_jwk(stranger->public_key()))},
                      {"rid", *crypto::random_id()}, {"iat", unix_seconds(clock_->now())}};
  expect_refused(sam_->create_signer(*crypto::make_jws(*stranger, "intaglio-ra+jwt", "ra-1", json::encode(body))),
                 ErrorCode::not_authorised);
  expect_refused(sam_->create_signer(*crypto::make_jws(*stranger, "intaglio-ra+jwt", "ra-2", json::encode(body))),
                 ErrorCode::not_authorised);
  auto other_op = body;
  other_op["op"] = "resume-key";
  expect_refused(sam_->create_signer(*crypto::make_jws(*operator_key_, "intaglio-ra+jwt", "ra-1", json::encode(other_op))),
                 ErrorCode::not_authorised);
  auto stale = body;
  stale["iat"] = unix_seconds(clock_->now()) - 3600;
  expect_refused(sam_->create_signer(*crypto::make_jws(*operator_key_, "intaglio-ra+jwt", "ra-1", json::encode(stale))),
                 ErrorCode::not_authorised);
  const auto good = *crypto::make_jws(*operator_key_, "intaglio-ra+jwt", "ra-1", json::encode(body));
  EXPECT_TRUE(sam_->create_signer(good));
  expect_refused(sam_->create_signer(good), ErrorCode::replayed);
}

TEST_F(SamTest, TC15_AnActivationCodeHasFiveTriesSevenDaysAndOneUse) {
  const auto device = *crypto::SoftwareKey::generate();
  auto code = create_signer("alice");
  for (int i = 0; i < 5; ++i)
    expect_refused(enrol("alice", "AAAABBBBCCCCDDDD", "493817", device->public_key()), ErrorCode::authentication_failed);
  expect_refused(enrol("alice", code, "493817", device->public_key()), ErrorCode::authentication_failed);
  code = create_signer("bob");
  clock_->advance(std::chrono::hours(7 * 24));
  expect_refused(enrol("bob", code, "493817", device->public_key()), ErrorCode::authentication_failed);
  code = create_signer("carol");
  EXPECT_TRUE(enrol("carol", code, "493817", device->public_key()));
  expect_refused(enrol("carol", code, "493817", device->public_key()), ErrorCode::authentication_failed);
}

TEST_F(SamTest, AWeakPinCostsNoTryAndIsRefused) {
  const auto device = *crypto::SoftwareKey::generate();
  const auto code = create_signer("alice");
  for (const auto* pin : {"49381", "4938172605138", "12345", "1234567890123", "12345a", "000000", "123456", "654321", "121212", "123123",
                          "159753", "246802"}) {
    expect_refused(enrol("alice", code, pin, device->public_key()), ErrorCode::invalid_request);
  }
  EXPECT_TRUE(enrol("alice", code, "493817", device->public_key()));
}

TEST_F(SamTest, OnlyTheCertificateOfThisKeyAndThisPersonFromAPinnedCaIsBound) {
  const auto alice = enrolled_signer("alice");
  const auto generated = *new_key(alice);
  const auto foreign_ca = *crypto::SoftwareKey::generate();
  expect_refused(bind(generated.key, issue(*foreign_ca, generated.csr, clock_->now(), 7, std::chrono::hours(10))),
                 ErrorCode::certificate_invalid);
  const auto other_key = *crypto::SoftwareKey::generate();
  const auto subject = crypto::parse_csr(generated.csr)->subject_der;
  const auto info = *crypto::encode_csr_info(subject, other_key->public_key());
  const auto other_csr =
      *crypto::assemble_csr(info, crypto::SignatureSuite::ecdsa_sha256, *other_key->sign(crypto::SignatureSuite::ecdsa_sha256, info));
  expect_refused(bind(generated.key, issue(*ca_key_, other_csr, clock_->now(), 8, std::chrono::hours(10))), ErrorCode::certificate_invalid);
  expect_refused(open_for(Signer{alice.id, alice.pin, alice.seed.clone(), generated.key}, {"contract"}), ErrorCode::credential_disabled);
  EXPECT_TRUE(bind(generated.key, issue(*ca_key_, generated.csr, clock_->now(), 9, std::chrono::hours(10))));
}

TEST_F(SamTest, AnOrganisationIsResetAsItself) {
  const Value company = {{"organizationName", "Eksempel AS"}, {"organizationIdentifier", "NTRNO-123456789"}, {"country", "NO"}};
  const auto printer = *crypto::SoftwareKey::generate();
  ASSERT_TRUE(sam_->create_signer(registration(*printer, "create-signer", "seal", company)));
  Value other = company;
  other["organizationIdentifier"] = "NTRNO-987654321";
  expect_refused(reset("seal", other), ErrorCode::conflict);
  expect_refused(reset("seal", identity_of("seal")), ErrorCode::conflict);
  Value renamed = company;
  renamed["organizationName"] = "Eksempel ASA";
  const auto done = reset("seal", renamed);
  EXPECT_TRUE(done) << done.error().detail;
}

TEST_F(SamTest, ARevokedCertificateSignsNothingFromThenOn) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"contract"});
  const auto opened = *open_for(alice, {"invoice"});
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {serial_})));
  EXPECT_TRUE(sam_->credential(alice.key)->certificate_revoked);
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::certificate_invalid);
  expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice)})),
                 ErrorCode::certificate_invalid);
  expect_refused(open_for(alice, {"contract"}), ErrorCode::certificate_invalid);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(SamTest, ARevokedIssuingAuthorityTakesWithItWhatItIssued) {
  const auto now = clock_->now();
  const auto hour = std::chrono::hours(1);
  const auto below = *crypto::SoftwareKey::generate();
  const auto below_name = *crypto::encode_name({{"2.5.4.3", "Issuing CA"}});
  const auto authority =
      issue_to(*ca_key_, below_name, below->public_key().spki(), now - hour, now + 100 * hour, 77, "Test CA", extensions_of_ca());
  use_policy([&](Value& document) { document["ca_anchors"].push_back(encode_base64(authority)); });
  const auto alice = enrolled_signer("alice");
  const auto generated = *new_key(alice);
  const auto csr = *crypto::parse_csr(generated.csr);
  ASSERT_TRUE(bind(generated.key, issue_to(*below, csr.subject_der, csr.key.spki(), now - hour, now + hour, 5, "Issuing CA")));
  const Signer other{alice.id, alice.pin, alice.seed.clone(), generated.key};
  const auto authorised = *approve(other, {"contract"});
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, now, 1, {77})));
  expect_refused(sam_->sign(request(other, authorised, {"contract"})), ErrorCode::certificate_invalid);
  EXPECT_EQ(vault_.signatures, 0);
  clock_->advance(std::chrono::seconds(31));
  EXPECT_TRUE(approve(alice, {"invoice"})) << "a key certified by the root itself";
}

TEST_F(SamTest, ARevokedAuthorityTakesWithItWhatStandsBelowThoseThatItCertified) {
  const auto now = clock_->now();
  const auto hour = std::chrono::hours(1);
  const auto middle = *crypto::SoftwareKey::generate();
  const auto lowest = *crypto::SoftwareKey::generate();
  const auto of_middle = issue_to(*ca_key_, *crypto::encode_name({{"2.5.4.3", "Middle CA"}}), middle->public_key().spki(), now - hour,
                                  now + 100 * hour, 77, "Test CA", extensions_of_ca());
  const auto of_lowest = issue_to(*middle, *crypto::encode_name({{"2.5.4.3", "Lowest CA"}}), lowest->public_key().spki(), now - hour,
                                  now + 100 * hour, 78, "Middle CA", extensions_of_ca());
  use_policy([&](Value& document) {
    for (const auto& anchor : {of_middle, of_lowest}) document["ca_anchors"].push_back(encode_base64(anchor));
  });
  const auto alice = enrolled_without_key("alice");
  const auto generated = *new_key(alice);
  const auto csr = *crypto::parse_csr(generated.csr);
  ASSERT_TRUE(bind(generated.key, issue_to(*lowest, csr.subject_der, csr.key.spki(), now - hour, now + hour, 5, "Lowest CA")));
  const Signer signer{alice.id, alice.pin, alice.seed.clone(), generated.key};
  const auto authorised = *approve(signer, {"contract"});
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, now, 1, {77})));
  expect_refused(sam_->sign(request(signer, authorised, {"contract"})), ErrorCode::certificate_invalid);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(SamTest, NoCertificateIsBoundOfAnAuthorityWhoseListsNobodyWouldTake) {
  const auto now = clock_->now();
  const auto hour = std::chrono::hours(1);
  const auto below = *crypto::SoftwareKey::generate();
  const auto authority = issue_to(*ca_key_, *crypto::encode_name({{"2.5.4.3", "Issuing CA"}}), below->public_key().spki(), now - hour,
                                  now + 100 * hour, 77, "Test CA", extensions_of_ca());
  const auto alice = enrolled_without_key("alice");
  const auto generated = *new_key(alice);
  const auto csr = *crypto::parse_csr(generated.csr);
  const auto leaf = issue_to(*below, csr.subject_der, csr.key.spki(), now - hour, now + hour, 5, "Issuing CA");
  expect_refused(bind(generated.key, leaf, {}, {authority}), ErrorCode::certificate_invalid);
  use_policy([&](Value& document) { document["ca_anchors"].push_back(encode_base64(authority)); });
  EXPECT_TRUE(bind(generated.key, leaf, {}, {authority}));
}

TEST_F(SamTest, ListsThatWereNotReadForTooLongDecideNothing) {
  auto steady = std::chrono::steady_clock::time_point{} + std::chrono::hours(1);
  Revocations lists([&steady] { return steady; });
  EXPECT_TRUE(lists.due());
  expect_refused(lists.current(), ErrorCode::storage_unavailable);
  ASSERT_TRUE(lists.load(*database_, sealer_, *policy_));
  EXPECT_TRUE(lists.current());
  EXPECT_FALSE(lists.due());
  steady += Revocations::reading_interval;
  EXPECT_TRUE(lists.due());
  steady += Revocations::longest_unread - Revocations::reading_interval;
  EXPECT_TRUE(lists.current());
  steady += std::chrono::milliseconds(1);
  expect_refused(lists.current(), ErrorCode::storage_unavailable);
  ASSERT_TRUE(lists.load(*database_, sealer_, *policy_));
  EXPECT_TRUE(lists.current());
}

TEST_F(SamTest, OnlyListsInForceLetAnythingBeAuthorisedWhereThePolicyAsksForIt) {
  const auto alice = enrolled_signer("alice");
  EXPECT_TRUE(approve(alice, {"before"})) << "without the policy's word no list is needed";
  use_policy([](Value& document) { document["revocation_lists"] = {{"must_be_in_force", true}}; });
  expect_refused(approve(alice, {"no list"}), ErrorCode::storage_unavailable);
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {})));
  EXPECT_TRUE(approve(alice, {"a list"}));
  clock_->advance(std::chrono::hours(24));
  expect_refused(approve(alice, {"overdue"}), ErrorCode::storage_unavailable);
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 2, {})));
  EXPECT_TRUE(approve(alice, {"the next list"}));
}

TEST_F(SamTest, NothingIsSignedOnceTheListHasEndedWhereThePolicyAsksForIt) {
  const auto alice = enrolled_signer("alice");
  use_policy([](Value& document) { document["revocation_lists"] = {{"must_be_in_force", true}}; });
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {})));
  const auto authorised = approve(alice, {"contract"});
  ASSERT_TRUE(authorised) << authorised.error().detail;
  const auto made = clock_->now() - std::chrono::hours(24) + std::chrono::seconds(5);
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, made, 2, {})));
  clock_->advance(std::chrono::seconds(5));
  expect_refused(sam_->sign(request(alice, *authorised, {"contract"})), ErrorCode::storage_unavailable);
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 3, {})));
  EXPECT_TRUE(sam_->sign(request(alice, *authorised, {"contract"}))) << "the approval still stands";
}

TEST_F(SamTest, AHoldIsLiftedByTheIssuersListAndAnOperatorTogether) {
  const auto alice = enrolled_signer("alice");
  const auto resume = [&] { return sam_->resume_key(operator_request({{"op", "resume-key"}, {"key", alice.key.text()}})); };
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {serial_}, 6)));
  expect_refused(approve(alice, {"contract"}), ErrorCode::certificate_invalid);
  expect_refused(resume(), ErrorCode::conflict);
  expect_refused(approve(alice, {"contract"}), ErrorCode::certificate_invalid);
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 2, {})));
  expect_refused(approve(alice, {"contract"}), ErrorCode::certificate_invalid);
  EXPECT_TRUE(sam_->credential(alice.key)->certificate_revoked) << "the list alone lifts nothing";
  ASSERT_TRUE(resume());
  EXPECT_FALSE(sam_->credential(alice.key)->certificate_revoked);
  const auto authorised = approve(alice, {"contract"});
  ASSERT_TRUE(authorised) << authorised.error().detail;
  EXPECT_TRUE(sam_->sign(request(alice, *authorised, {"contract"})));
  expect_refused(resume(), ErrorCode::conflict);
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 3, {serial_}, 6)));
  expect_refused(approve(alice, {"invoice"}), ErrorCode::certificate_invalid);
}

TEST_F(SamTest, AHoldIsLiftedByTheListThatAnyNodeHasTakenLast) {
  const auto alice = enrolled_signer("alice");
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {serial_}, 6)));
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 2, {})));
  const auto other = start_node("other");
  const auto resume = [&] { return other->resume_key(operator_request({{"op", "resume-key"}, {"key", alice.key.text()}})); };
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 3, {serial_}, 6)));
  expect_refused(resume(), ErrorCode::conflict);
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 4, {})));
  EXPECT_TRUE(resume());
}

TEST_F(SamTest, ACertificateIsBoundByTheListThatAnyNodeHasTakenLast) {
  const auto signer = enrolled_without_key("alice");
  const auto generated = *new_key(signer);
  auto other = start_node("other");
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {serial_ + 1})));
  std::swap(sam_, other);
  expect_refused(bind(generated.key, issue(*ca_key_, generated.csr, clock_->now(), serial_ + 1, std::chrono::hours(10))),
                 ErrorCode::certificate_invalid);
  EXPECT_TRUE(bind(generated.key, issue(*ca_key_, generated.csr, clock_->now(), serial_ + 2, std::chrono::hours(10))));
}

TEST_F(SamTest, ACertificateIsNotBoundWhenAnotherNodeKnowsThatItsAuthorityIsRevoked) {
  const auto now = clock_->now();
  const auto hour = std::chrono::hours(1);
  const auto below = *crypto::SoftwareKey::generate();
  const auto authority = issue_to(*ca_key_, *crypto::encode_name({{"2.5.4.3", "Issuing CA"}}), below->public_key().spki(), now - hour,
                                  now + 100 * hour, 77, "Test CA", extensions_of_ca());
  use_policy([&](Value& document) { document["ca_anchors"].push_back(encode_base64(authority)); });
  const auto signer = enrolled_without_key("alice");
  const auto generated = *new_key(signer);
  auto other = start_node("other");
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, now, 1, {77})));
  std::swap(sam_, other);
  const auto csr = *crypto::parse_csr(generated.csr);
  expect_refused(bind(generated.key, issue_to(*below, csr.subject_der, csr.key.spki(), now - hour, now + hour, 5, "Issuing CA")),
                 ErrorCode::certificate_invalid);
}

TEST_F(SamTest, TC10_ANodeThatCannotReadWhatOthersRevokedRefusesUntilItCan) {
  const auto alice = enrolled_signer("alice");
  const auto bob = enrolled_without_key("bob");
  const auto generated = *new_key(bob);
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {})));
  Bytes kept;
  const auto put = [&](ByteView record) {
    return database_->write([&](storage::Transaction& transaction) -> Status {
      auto done = transaction.execute("UPDATE sam_state SET record = ?1 WHERE id LIKE 'crl-%'", {record});
      return done ? Status() : Status(done.error());
    });
  };
  ASSERT_TRUE(database_->read([&](storage::Reader& reader) {
    return reader.query("SELECT record FROM sam_state WHERE id LIKE 'crl-%'", {}, [&](const storage::Row& row) {
      kept = row.bytes(0);
      return true;
    });
  }));
  const auto state = [&] { return json::parse(*sam_->status())->at("state").get<std::string>(); };
  ASSERT_TRUE(put(Bytes{1}));
  const auto certificate = issue(*ca_key_, generated.csr, clock_->now(), ++serial_, std::chrono::hours(10));
  expect_refused(bind(generated.key, certificate), ErrorCode::storage_unavailable);
  EXPECT_EQ(state(), "serving") << "the node has found nothing yet";

  sam_->maintain();
  EXPECT_EQ(state(), "refusing");
  expect_refused(open_for(alice, {"contract"}), ErrorCode::storage_unavailable);
  sam_->catch_up();
  EXPECT_EQ(state(), "refusing");

  ASSERT_TRUE(put(kept));
  sam_->catch_up();
  EXPECT_EQ(state(), "serving");
  EXPECT_TRUE(open_for(alice, {"contract"}));
  EXPECT_TRUE(bind(generated.key, certificate));
}

TEST_F(SamTest, AnUnknownSapKeyIsLookedForOnceASecondAtMost) {
  auto steady = std::chrono::steady_clock::time_point{} + std::chrono::hours(1);
  SapKeys other("test", *database_, sealer_, agreement_keys_, identity_, clock_, [&steady] { return steady; });
  ASSERT_TRUE(other.refresh());
  const auto kid_of = [&] {
    const auto statement = *json::parse(*crypto::verify_jws(*sap_keys_->statement(), "intaglio-sap-key+jwt", identity_->public_key()));
    return statement.at("kid").get<std::string>();
  };
  const auto held = kid_of();
  expect_refused(other.find("a kid that a stranger made up"), ErrorCode::ticket_expired);
  EXPECT_TRUE(other.find(held));
  clock_->advance(std::chrono::hours(24) - std::chrono::minutes(9));
  const auto made_elsewhere = kid_of();
  ASSERT_NE(made_elsewhere, held);
  steady += std::chrono::milliseconds(999);
  expect_refused(other.find(made_elsewhere), ErrorCode::busy);
  EXPECT_TRUE(other.find(held)) << "what is held needs no look";
  steady += std::chrono::milliseconds(1);
  EXPECT_TRUE(other.find(made_elsewhere));
  expect_refused(other.find("a kid that a stranger made up"), ErrorCode::busy);
}

TEST_F(SamTest, TheKeyOfARevokedCertificateIsDestroyedUnlessTheCertificateIsOnHold) {
  const auto alice = enrolled_signer("alice");
  const auto serial_of_alice = serial_;
  const auto bob = enrolled_signer("bob");
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {serial_}, 6)));
  EXPECT_TRUE(vault_.holds(bob.key)) << "certificateHold";
  expect_refused(approve(bob, {"contract"}), ErrorCode::certificate_invalid);
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 2, {serial_of_alice}, 1)));
  EXPECT_FALSE(vault_.holds(alice.key));
  EXPECT_EQ(sam_->credential(alice.key)->state, protocol::KeyState::destroyed);
  EXPECT_TRUE(sam_->credential(alice.key)->certificate_revoked);
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 3, {serial_of_alice}, 1))) << "twice is once";
  EXPECT_TRUE(vault_.holds(bob.key)) << "not on this list: the hold is over for the CA, and an operator may resume the key";
  expect_refused(approve(bob, {"contract"}), ErrorCode::certificate_invalid);
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 4, {serial_}, 6)));
  EXPECT_TRUE(vault_.holds(bob.key)) << "on hold still";
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 5, {serial_}, 1)));
  EXPECT_FALSE(vault_.holds(bob.key)) << "the hold has become a revocation";
}

TEST_F(SamTest, TheKeyOfARevokedCertificateIsKeptInactiveUntilItsDateWherePolicySaysSo) {
  use_policy([](Value& document) { document["revoked_keys"] = {{"retain_inactive_days", 10}}; });
  const auto alice = enrolled_signer("alice");
  const auto serial_of_alice = serial_;
  const auto authorised = *approve(alice, {"contract"});
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {serial_of_alice}, 1)));
  EXPECT_EQ(sam_->credential(alice.key)->state, protocol::KeyState::inactive);
  // Neither signs it, nor does anyone bring it back.
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::certificate_invalid);
  expect_refused(sam_->resume_key(operator_request({{"op", "resume-key"}, {"key", alice.key.text()}})), ErrorCode::conflict);
  expect_refused(sam_->suspend_key(alice.key, "the signer asked"), ErrorCode::conflict);
  expect_refused(bind(alice.key, renewed(alice)), ErrorCode::conflict);
  clock_->advance(std::chrono::hours(24 * 10 - 1));
  sam_->maintain();
  EXPECT_TRUE(vault_.holds(alice.key));
  // The database's own index says "now": the sealed record does not.
  ASSERT_TRUE(database_->write([](storage::Transaction& transaction) -> Status {
    auto done = transaction.execute("UPDATE inactive_keys SET ends = 0", {});
    return done ? Status() : Status(done.error());
  }));
  sam_->maintain();
  EXPECT_TRUE(vault_.holds(alice.key));
  clock_->advance(std::chrono::hours(2));
  sam_->maintain();
  EXPECT_FALSE(vault_.holds(alice.key));
  EXPECT_EQ(sam_->credential(alice.key)->state, protocol::KeyState::destroyed);
}

TEST_F(SamTest, APolicySaysWhatBecomesOfRevokedKeysInOneOfTwoWays) {
  auto document = *json::parse(policy_document(8, 10, 100));
  EXPECT_FALSE(Policy::parse(json::encode(document))->revoked_keys_kept);
  document["revoked_keys"] = "destroy";
  EXPECT_FALSE(Policy::parse(json::encode(document))->revoked_keys_kept);
  document["revoked_keys"] = {{"retain_inactive_days", 2557}};
  EXPECT_EQ(Policy::parse(json::encode(document))->revoked_keys_kept, std::chrono::days(2557));
  for (const auto& wrong : {Value("retain_inactive"), Value::object(), Value{{"retain_inactive_days", 0}}, Value{{"days", 7}}, Value(7)}) {
    document["revoked_keys"] = wrong;
    expect_refused(Policy::parse(json::encode(document)), ErrorCode::configuration);
  }
}

TEST_F(SamTest, AListIsTakenFromItsCaOnlyAndNeverAnOlderOne) {
  const auto alice = enrolled_signer("alice");
  const auto stranger = *crypto::SoftwareKey::generate();
  expect_refused(sam_->put_revocation_data(revocation_list(*stranger, clock_->now(), 1, {serial_})), ErrorCode::not_authorised);
  EXPECT_TRUE(approve(alice, {"contract"}));
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 2, {serial_})));
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 2, {serial_})));
  expect_refused(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {})), ErrorCode::replayed);
}

TEST_F(SamTest, ACertificateThatWasRevokedBeforeItIsBoundIsRefused) {
  const auto next = serial_ + 1;
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {next})));
  const auto refused_bind = [&](const std::string& id) {
    const auto signer = enrolled_without_key(id);
    const auto generated = *new_key(signer);
    return bind(generated.key, issue(*ca_key_, generated.csr, clock_->now(), next, std::chrono::hours(10)));
  };
  expect_refused(refused_bind("alice"), ErrorCode::certificate_invalid);
  close();
  open();
  expect_refused(refused_bind("bob"), ErrorCode::certificate_invalid);
}

TEST_F(SamTest, TC8_ARevocationHoldsWithoutTheIndexOfTheDatabase) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"contract"});
  const auto opened = *open_for(alice, {"invoice"});
  ASSERT_TRUE(database_->write([](storage::Transaction& transaction) -> Status {
    auto done = transaction.execute("UPDATE keys SET certificate = NULL", {});
    return done ? Status() : Status(done.error());
  }));
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {serial_})));
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::certificate_invalid);
  expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice)})),
                 ErrorCode::certificate_invalid);
  close();
  open();
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::certificate_invalid);
  expect_refused(approve(alice, {"contract"}), ErrorCode::certificate_invalid);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(SamTest, TC8_AnExchangedIndexRevokesTheRightKeyAndNoOther) {
  const auto alice = enrolled_signer("alice");
  const auto serial_of_alice = serial_;
  const auto bob = enrolled_signer("bob");
  ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
    std::map<std::string, Bytes> indexes;
    auto read = transaction.query("SELECT id, certificate FROM keys", {}, [&](const storage::Row& row) {
      indexes[row.text(0)] = row.bytes(1);
      return true;
    });
    if (!read) return read;
    const auto put = [&](const KeyId& key, storage::Parameter index) {
      auto done = transaction.execute("UPDATE keys SET certificate = ?2 WHERE id = ?1", {std::string_view(key.text()), index});
      return done ? Status() : Status(done.error());
    };
    if (auto cleared = put(alice.key, nullptr); !cleared) return cleared;
    if (auto moved = put(bob.key, ByteView(indexes[alice.key.text()])); !moved) return moved;
    return put(alice.key, ByteView(indexes[bob.key.text()]));
  }));
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {serial_of_alice})));
  expect_refused(approve(alice, {"contract"}), ErrorCode::certificate_invalid);
  EXPECT_FALSE(sam_->credential(bob.key)->certificate_revoked);
  EXPECT_TRUE(approve(bob, {"contract"}));
}

TEST_F(SamTest, ASuspendedKeyDoesNotSignUntilAnOperatorLiftsIt) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"contract"});
  ASSERT_TRUE(sam_->suspend_key(alice.key, "the signer asked"));
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::credential_disabled);
  expect_refused(open_for(alice, {"contract"}), ErrorCode::credential_disabled);
  expect_refused(sam_->resume_key("not a request"), ErrorCode::invalid_request);
  ASSERT_TRUE(sam_->resume_key(operator_request({{"op", "resume-key"}, {"key", alice.key.text()}})));
  EXPECT_TRUE(sam_->sign(request(alice, authorised, {"contract"})));
}

TEST_F(SamTest, TC7_AResetEndsTheSignersKeysAndTheSignerEnrolsAgain) {
  const auto alice = enrolled_signer("alice");
  const auto bob = enrolled_signer("bob");
  const auto authorised = *approve(alice, {"contract"});
  const auto opened = *open_for(alice, {"invoice"});
  expect_refused(reset("alice", identity_of("bob")), ErrorCode::conflict);
  expect_refused(reset("nobody", identity_of("nobody")), ErrorCode::not_found);
  auto for_a_company = identity_of("alice");
  for_a_company.update({{"organizationName", "Eksempel AS"}, {"organizationIdentifier", "NTRNO-123456789"}});
  expect_refused(reset("alice", for_a_company), ErrorCode::conflict);
  ASSERT_TRUE(vault_.holds(alice.key));
  const auto code = reset("alice", identity_of("alice", "Married"));
  ASSERT_TRUE(code) << code.error().detail;

  EXPECT_FALSE(vault_.holds(alice.key));
  EXPECT_TRUE(vault_.holds(bob.key));
  EXPECT_EQ(sam_->credential(alice.key)->state, protocol::KeyState::destroyed);
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::sad_invalid);
  expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice)})),
                 ErrorCode::authentication_failed);
  expect_refused(open_for(alice, {"contract"}), ErrorCode::credential_disabled);
  expect_refused(sam_->resume_key(operator_request({{"op", "resume-key"}, {"key", alice.key.text()}})), ErrorCode::conflict);

  const auto device = *crypto::SoftwareKey::generate();
  const auto enrolled = enrol("alice", *code, "739104", device->public_key());
  ASSERT_TRUE(enrolled) << enrolled.error().detail;
  const Signer again{alice.id, "739104", seed_of(*device, *enrolled), alice.key};
  expect_refused(open_for(again, {"contract"}), ErrorCode::credential_disabled);
  const auto generated = new_key(again);
  ASSERT_TRUE(generated) << generated.error().detail;
  EXPECT_TRUE(approve(bob, {"contract"}));
}

TEST_F(SamTest, TC15_OnlyARegisteredOperatorsFreshRequestResetsFactors) {
  const auto alice = enrolled_signer("alice");
  const auto stranger = *crypto::SoftwareKey::generate();
  const Value body = {{"op", "reset-factors"},
                      {"signer", "alice"},
                      {"identity", identity_of("alice")},
                      {"deliver_to", *json::parse(*crypto::encode_jwk(stranger->public_key()))},
                      {"rid", *crypto::random_id()},
                      {"iat", unix_seconds(clock_->now())}};
  expect_refused(sam_->reset_factors(*crypto::make_jws(*stranger, "intaglio-ra+jwt", "ra-1", json::encode(body))),
                 ErrorCode::not_authorised);
  expect_refused(sam_->reset_factors(registration(*stranger, "create-signer", "alice", identity_of("alice"))), ErrorCode::not_authorised);
  EXPECT_TRUE(approve(alice, {"contract"}));
  const auto good = *crypto::make_jws(*operator_key_, "intaglio-ra+jwt", "ra-1", json::encode(body));
  EXPECT_TRUE(sam_->reset_factors(good));
  expect_refused(sam_->reset_factors(good), ErrorCode::replayed);
}

TEST_F(SamTest, TC11_ASignerWhoseFactorsWereResetIsAsOneWhoDoesNotExist) {
  const auto alice = enrolled_signer("alice");
  ASSERT_TRUE(reset("alice", identity_of("alice")));
  const Signer nobody{alice.id, "493817", Secret::of_size(20), alice.key};
  for (int i = 0; i < 5; ++i) expect_refused(new_key(nobody), ErrorCode::authentication_failed);
}

TEST_F(SamTest, AVoidedKeyThatTheTokenKeepsIsDestroyedLaterAndSignsNothingMeanwhile) {
  const auto alice = enrolled_signer("alice");
  vault_.destroys_nothing = true;
  ASSERT_TRUE(reset("alice", identity_of("alice")));
  EXPECT_TRUE(vault_.holds(alice.key));
  expect_refused(open_for(alice, {"contract"}), ErrorCode::credential_disabled);
  sam_->maintain();
  close();
  open();
  EXPECT_TRUE(vault_.holds(alice.key));
  vault_.destroys_nothing = false;
  sam_->maintain();
  EXPECT_FALSE(vault_.holds(alice.key));
}

TEST_F(SamTest, TC8_ARowOfTheKeysGenerationThatIsPutBackDestroysNothing) {
  const auto alice = enrolled_signer("alice");
  ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) {
    return sealed::Table(sealer_, "pending_keys", sealed::Rollback::tolerated).insert(transaction, alice.key.text(), as_bytes("test"));
  }));
  sam_->maintain();
  ASSERT_TRUE(sam_->start());
  EXPECT_TRUE(vault_.holds(alice.key));
  EXPECT_TRUE(approve(alice, {"contract"}));
}

TEST_F(SamTest, TC15_ASignerChangesThePinWithTheOldFactors) {
  const auto alice = enrolled_signer("alice");
  const auto device = *crypto::SoftwareKey::generate();
  const auto authorised = *approve(alice, {"contract"});
  const auto with = [&](const std::string& pin, const std::string& code, const std::string& new_pin) {
    return change(alice, {.pin = pin, .otp = code, .new_pin = new_pin, .answer_key = &device->public_key()});
  };
  expect_refused(with("111222", otp(alice), "739104"), ErrorCode::authentication_failed);
  expect_refused(with(alice.pin, "000000", "739104"), ErrorCode::authentication_failed);
  expect_refused(with(alice.pin, otp(alice), "123456"), ErrorCode::invalid_request);
  expect_refused(with(alice.pin, otp(alice), ""), ErrorCode::invalid_request);
  const auto opened = *sam_->open_factor_change({.signer = alice.id, .client_id = "sca", .client_name = "SCA"});
  const auto message = sap_message(protocol::Purpose::factors, opened,
                                   {.pin = alice.pin, .otp = otp(alice), .new_pin = "739104", .answer_key = &device->public_key()});
  const auto changed = sam_->change_factors(message);
  ASSERT_TRUE(changed) << changed.error().detail;
  const auto answer = *crypto::open_jwe(*device, "intaglio-factors-answer+jwe", changed->sealed_answer);
  EXPECT_FALSE(json::parse(as_text(answer.reveal()))->contains("totp_seed"));
  expect_refused(sam_->change_factors(message), ErrorCode::replayed);

  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::sad_invalid);
  expect_refused(approve(alice, {"contract"}), ErrorCode::authentication_failed);
  const Signer now{alice.id, "739104", alice.seed.clone(), alice.key};
  EXPECT_TRUE(approve(now, {"contract"}));
}

TEST_F(SamTest, TC15_ASignerReplacesTheTotpSeedWithTheOldFactors) {
  const auto alice = enrolled_signer("alice");
  const auto device = *crypto::SoftwareKey::generate();
  const auto changed = change(alice, {.pin = alice.pin, .otp = otp(alice), .answer_key = &device->public_key(), .new_seed = true});
  ASSERT_TRUE(changed) << changed.error().detail;
  expect_refused(approve(alice, {"contract"}), ErrorCode::authentication_failed);
  const Signer now{alice.id, alice.pin, seed_of(*device, *changed, "intaglio-factors-answer+jwe"), alice.key};
  EXPECT_TRUE(approve(now, {"contract"}));
}

TEST_F(SamTest, AChangeOfFactorsThatAResetOvertakesChangesNothing) {
  const auto alice = enrolled_signer("alice");
  const auto device = *crypto::SoftwareKey::generate();
  std::string code;
  // The second evaluation is that of the new PIN: the old one was proven, nothing is written yet.
  pepper_.runs_before = 2;
  pepper_.before = [&] { code = *reset("alice", identity_of("alice")); };
  expect_refused(change(alice, {.pin = alice.pin, .otp = otp(alice), .new_pin = "739104", .answer_key = &device->public_key()}),
                 ErrorCode::conflict);
  EXPECT_TRUE(enrol("alice", code, "580264", device->public_key()));
}

TEST_F(SamTest, TC7_WhatWasProvenBeforeAChangeOfFactorsOpensNothingAfterIt) {
  auto alice = enrolled_signer("alice");
  // Between the evaluation and the write her PIN becomes another.
  const auto overtaken = [&](const std::string& pin, const auto& act) {
    bool changed = false;
    pepper_.runs_before = 1;
    pepper_.before = [&] { changed = static_cast<bool>(change_pin(alice, pin)); };
    expect_refused(act(), ErrorCode::conflict);
    EXPECT_TRUE(changed);
    alice.pin = pin;
  };
  const auto opened = *open_for(alice, {"contract"});
  auto message = sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice)});
  overtaken("739104", [&] { return sam_->authorise(message); });
  const auto generation = *sam_->open_key_generation(
      {.signer = alice.id, .algorithm = crypto::KeyAlgorithm::p256, .profile = profile_, .client_id = "sca", .client_name = "SCA"});
  message = sap_message(protocol::Purpose::key, generation, {.pin = alice.pin, .otp = otp(alice)});
  overtaken("580246", [&] { return sam_->generate_key(message); });
  const auto destruction = *sam_->open_key_change({alice.key, protocol::KeyChange::destroy, "sca", "SCA"});
  message = sap_message(protocol::Purpose::destroy, destruction, {.pin = alice.pin, .otp = otp(alice)});
  overtaken("903172", [&] { return sam_->change_key(message); });
  EXPECT_TRUE(vault_.holds(alice.key));
  EXPECT_EQ(rows_of("authorisations"), 0);
  EXPECT_TRUE(approve(alice, {"contract"}));
}

TEST_F(SamTest, TC15_ASignerSuspendsAKeyAndCannotLiftThat) {
  const auto alice = enrolled_signer("alice");
  expect_refused(change_key(alice, protocol::KeyChange::suspend, "111222"), ErrorCode::authentication_failed);
  EXPECT_EQ(sam_->credential(alice.key)->state, protocol::KeyState::assigned);
  const auto authorised = *approve(alice, {"contract"});
  ASSERT_TRUE(change_key(alice, protocol::KeyChange::suspend, alice.pin));
  EXPECT_EQ(sam_->credential(alice.key)->state, protocol::KeyState::suspended);
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::credential_disabled);
  ASSERT_TRUE(change_key(alice, protocol::KeyChange::suspend, alice.pin));
  ASSERT_TRUE(sam_->resume_key(operator_request({{"op", "resume-key"}, {"key", alice.key.text()}})));
  EXPECT_TRUE(approve(alice, {"contract"}));
}

TEST_F(SamTest, TC15_ASignerDestroysAKeyOfHisOwn) {
  const auto alice = enrolled_signer("alice");
  const auto bob = enrolled_signer("bob");
  expect_refused(change_key(alice, protocol::KeyChange::destroy, "111222"), ErrorCode::authentication_failed);
  EXPECT_TRUE(vault_.holds(alice.key));
  const auto second = *sam_->open_key_change({alice.key, protocol::KeyChange::destroy, "sca", "SCA"});
  ASSERT_TRUE(change_key(alice, protocol::KeyChange::destroy, alice.pin));
  EXPECT_FALSE(vault_.holds(alice.key));
  EXPECT_TRUE(vault_.holds(bob.key));
  EXPECT_EQ(sam_->credential(alice.key)->state, protocol::KeyState::destroyed);
  expect_refused(sam_->change_key(sap_message(protocol::Purpose::destroy, second, {.pin = alice.pin, .otp = otp(alice)})),
                 ErrorCode::conflict);
  expect_refused(change_key(alice, protocol::KeyChange::destroy, alice.pin), ErrorCode::credential_unknown);
}

TEST_F(SamTest, RightFactorsCountAsNoFailureWhenAKeyIsRefusedForAnotherReason) {
  const auto alice = enrolled_signer("alice");
  std::vector<protocol::Opened> opened;
  for (int i = 0; i < 3; ++i) {
    opened.push_back(*sam_->open_key_generation({.signer = alice.id,
                                                 .algorithm = crypto::KeyAlgorithm::p256,
                                                 .profile = "direct-resident",
                                                 .client_id = "sca",
                                                 .client_name = "SCA"}));
  }
  use_policy([](Value& policy) { policy["profiles"][0]["name"] = "another"; });
  for (const auto& one : opened) {
    expect_refused(sam_->generate_key(sap_message(protocol::Purpose::key, one, {.pin = alice.pin, .otp = otp(alice)})),
                   ErrorCode::ticket_invalid);
  }
  use_policy([](Value&) {});
  EXPECT_TRUE(approve(alice, {"contract"})) << "three right PINs lock nobody";
}

TEST_F(SamTest, AMessageToSuspendDestroysNothing) {
  const auto alice = enrolled_signer("alice");
  const auto opened = *sam_->open_key_change({alice.key, protocol::KeyChange::suspend, "sca", "SCA"});
  EXPECT_FALSE(sam_->change_key(sap_message(protocol::Purpose::destroy, opened, {.pin = alice.pin, .otp = otp(alice)})));
  EXPECT_EQ(sam_->credential(alice.key)->state, protocol::KeyState::assigned);
}

TEST_F(SamTest, TC7_ASignerWhoIsMadeAgainUnderTheSameNameChangesNoKeyOfTheEarlierOne) {
  const auto alice = enrolled_signer("alice");
  forget_signers();
  auto other = enrolled_without_key("alice");
  other.key = alice.key;
  expect_refused(change_key(other, protocol::KeyChange::destroy, other.pin), ErrorCode::authentication_failed);
  EXPECT_TRUE(vault_.holds(alice.key));
}

TEST_F(SamTest, TC15_AnOperatorSuspendsWithASignedRequest) {
  const auto alice = enrolled_signer("alice");
  const auto stranger = *crypto::SoftwareKey::generate();
  const Value body = {{"op", "suspend-key"}, {"key", alice.key.text()}, {"reason", "phone lost"}};
  auto forged = body;
  forged["rid"] = *crypto::random_id();
  forged["iat"] = unix_seconds(clock_->now());
  expect_refused(sam_->suspend_by_operator(*crypto::make_jws(*stranger, "intaglio-ra+jwt", "ra-1", json::encode(forged))),
                 ErrorCode::not_authorised);
  auto without_reason = body;
  without_reason.erase("reason");
  expect_refused(sam_->suspend_by_operator(operator_request(without_reason)), ErrorCode::invalid_request);
  EXPECT_TRUE(approve(alice, {"contract"}));
  ASSERT_TRUE(sam_->suspend_by_operator(operator_request(body)));
  expect_refused(open_for(alice, {"contract"}), ErrorCode::credential_disabled);
}

TEST_F(SamTest, AnExpiredCertificateSignsNothing) {
  const auto alice = enrolled_signer("alice", std::chrono::hours(1));
  const auto authorised = *approve(alice, {"contract"});
  clock_->advance(std::chrono::hours(2));
  expect_refused(approve(alice, {"contract"}), ErrorCode::certificate_invalid);
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::sad_expired);
}

TEST_F(SamTest, SapKeysLiveADayOverlapAndAreDestroyed) {
  const auto alice = enrolled_signer("alice");
  EXPECT_EQ(agreement_keys_.count(), 1U);
  clock_->advance(std::chrono::hours(24) - std::chrono::minutes(5));
  const auto opened = *open_for(alice, {"contract"});
  EXPECT_EQ(agreement_keys_.count(), 2U);
  EXPECT_TRUE(sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice)})));
  clock_->advance(std::chrono::minutes(10));
  sam_->maintain();
  EXPECT_EQ(agreement_keys_.count(), 1U);
}

TEST_F(SamTest, TC8_ARowThatWasSwappedOrEditedIsRefused) {
  const auto alice = enrolled_signer("alice");
  const auto bob = enrolled_signer("bob");
  ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
    auto swapped = transaction.execute(
        "UPDATE keys SET record = (SELECT record FROM keys WHERE id = ?1), version = (SELECT version FROM keys WHERE id = ?1) WHERE id = "
        "?2",
        {std::string_view(bob.key.text()), std::string_view(alice.key.text())});
    return swapped ? Status() : Status(swapped.error());
  }));
  expect_refused(open_for(alice, {"contract"}), ErrorCode::storage_unavailable);
}

TEST_F(SamTest, TC7_StatusDeclaresThatKeyAuthorisationIsEmulated) {
  const auto status = *json::parse(*sam_->status());
  EXPECT_EQ(status.at("custody").at(0).at("key_authorisation"), "emulated");
  EXPECT_EQ(status.at("clock").at("source"), "declared");
}

TEST_F(SamTest, TC10_StatusSaysThatItRefusesWhileACallHangsInEitherToken) {
  for (const auto& [facts, state] : {std::pair(R"({"hanging_calls":0})", "serving"), std::pair(R"({"hanging_calls":1})", "refusing"),
                                     std::pair(R"({"hanging_calls":0,"key_token":{"hanging_calls":0}})", "serving"),
                                     std::pair(R"({"hanging_calls":0,"key_token":{"hanging_calls":1}})", "refusing")}) {
    token_facts_ = facts;
    EXPECT_EQ(json::parse(*sam_->status())->at("state"), state) << facts;
  }
}

TEST_F(SamTest, TC3_ConsentBindingNonceAndPartyAreEachLookedAt) {
  const auto alice = enrolled_signer("alice");
  const auto attempt = [&](Message message) {
    const auto opened = *open_for(alice, {"contract"});
    message.pin = alice.pin;
    message.otp = otp(alice);
    return sam_->authorise(sap_message(protocol::Purpose::sign, opened, message));
  };
  const auto other = encode_base64url(digest_of("another"));
  expect_refused(attempt({.tamper = [&](Value& payload) { payload["consent"] = other; }}), ErrorCode::binding_mismatch);
  expect_refused(attempt({.tamper = [&](Value& payload) { payload["binding"] = other; }}), ErrorCode::binding_mismatch);
  expect_refused(attempt({.header = [](crypto::JweHeader& header) { header.apu = Bytes(16, 9); }}), ErrorCode::binding_mismatch);
  expect_refused(attempt({.header = [](crypto::JweHeader& header) { header.apv = to_bytes("another"); }}), ErrorCode::invalid_request);
  EXPECT_TRUE(attempt({}));
}

TEST_F(SamTest, TC3_AKeyThatIsNotAsTheTicketSaysIsNotAuthorised) {
  const auto alice = enrolled_signer("alice");
  const auto attempt = [&](const std::function<void(custody::KeyRecord&)>& edit) {
    const auto opened = *open_for(alice, {"contract"});
    std::optional<custody::KeyRecord> before;
    edit_key(alice.key, [&](custody::KeyRecord& record) {
      before = record;
      edit(record);
    });
    auto authorised = sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice)}));
    edit_key(alice.key, [&](custody::KeyRecord& record) { record = *before; });
    return authorised;
  };
  const auto other_certificate = renewed(alice);
  expect_refused(attempt([](auto& record) { record.state = custody::KeyState::suspended; }), ErrorCode::credential_disabled);
  expect_refused(attempt([](auto& record) { record.owner = *SignerId::parse("bob"); }), ErrorCode::authentication_failed);
  expect_refused(attempt([](auto& record) { record.profile = "another"; }), ErrorCode::binding_mismatch);
  expect_refused(attempt([&](auto& record) { record.certificates = {other_certificate}; }), ErrorCode::binding_mismatch);
  expect_refused(attempt([](auto& record) { record.revoked = true; }), ErrorCode::certificate_invalid);
  EXPECT_TRUE(attempt([](auto&) {}));
}

TEST_F(SamTest, TC3_AKeyThatChangedSinceTheApprovalSignsNothing) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"contract"});
  const auto attempt = [&](const std::function<void(custody::KeyRecord&)>& edit) {
    std::optional<custody::KeyRecord> before;
    edit_key(alice.key, [&](custody::KeyRecord& record) {
      before = record;
      edit(record);
    });
    auto answer = sam_->sign(request(alice, authorised, {"contract"}));
    edit_key(alice.key, [&](custody::KeyRecord& record) { record = *before; });
    return answer;
  };
  const auto other_certificate = renewed(alice);
  expect_refused(attempt([](auto& record) { record.owner = *SignerId::parse("bob"); }), ErrorCode::sad_invalid);
  expect_refused(attempt([&](auto& record) { record.certificates = {other_certificate}; }), ErrorCode::sad_invalid);
  expect_refused(attempt([](auto& record) { record.revoked = true; }), ErrorCode::certificate_invalid);
  EXPECT_EQ(vault_.signatures, 0);
  EXPECT_TRUE(attempt([](auto&) {}));
}

TEST_F(SamTest, ACertificateThatEndsMeanwhileIsNeitherAuthorisedNorSignedWith) {
  const auto alice = enrolled_signer("alice", std::chrono::hours(1));
  const auto end = crypto::Certificate::parse_der(sam_->credential(alice.key)->certificates.front())->not_after();
  const auto seconds_to_end = std::chrono::duration_cast<std::chrono::seconds>(end - clock_->now());
  clock_->advance(seconds_to_end - std::chrono::seconds(70));
  const auto authorised = *approve(alice, {"contract"});
  const auto opened = *open_for(alice, {"contract"});
  clock_->advance(std::chrono::seconds(45));
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::certificate_invalid);
  expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice)})),
                 ErrorCode::certificate_invalid);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(SamTest, ANewAuthorisationVoidsWhatTheSamStillHoldsInMemory) {
  const auto alice = enrolled_signer("alice");
  const auto earlier = *approve(alice, {"a", "b"});
  ASSERT_TRUE(sam_->sign(request(alice, earlier, {"a"})));
  ASSERT_TRUE(approve(alice, {"c"}));
  expect_refused(sam_->sign(request(alice, earlier, {"b"})), ErrorCode::sad_invalid);
  EXPECT_EQ(vault_.signatures, 1);
}

TEST_F(SamTest, ADigestOfAnotherLengthIsRefusedByItsLength) {
  const auto alice = enrolled_signer("alice");
  auto asked = request(alice, *approve(alice, {"contract"}), {"contract"});
  asked.digests.front().resize(48);
  expect_refused(sam_->sign(asked), ErrorCode::digest_length);
}

TEST_F(SamTest, ASadOfAnEarlierEpochSignsNothing) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = *approve(alice, {"contract"});
  use_policy([](Value& policy) { policy["epoch"] = 2; });
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::sad_invalid);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(SamTest, ASuiteThatEndsAfterTheApprovalSignsNothing) {
  use_policy([](Value& policy) { policy["algorithms"]["suites"][0]["sign_until"] = "2026-11-20T12:30:00Z"; });
  const auto alice = enrolled_signer("alice");
  clock_->advance(std::chrono::duration_cast<std::chrono::seconds>(*parse_utc("2026-11-20T12:29:15Z") - clock_->now()));
  const auto authorised = *approve(alice, {"contract"});
  clock_->advance(std::chrono::seconds(30));
  expect_refused(sam_->sign(request(alice, authorised, {"contract"})), ErrorCode::algorithm_refused);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(SamTest, NothingIsOpenedBeyondTheProfileThePolicyOrTheKey) {
  use_policy([](Value& policy) {
    policy["algorithms"]["keys"].push_back({{"algorithm", "p384"},
                                            {"generate_until", "2030-12-31T23:59:59Z"},
                                            {"certify_until", "2030-12-31T23:59:59Z"},
                                            {"sign_until", "2030-12-31T23:59:59Z"}});
  });
  const auto alice = enrolled_signer("alice");
  expect_refused(open_for(alice, {"1", "2", "3", "4", "5", "6", "7", "8", "9"}), ErrorCode::limit_exceeded);
  expect_refused(sam_->open_signing({.key = alice.key,
                                     .hash = crypto::HashAlgorithm::sha256,
                                     .suites = {},
                                     .documents = {{Bytes(48, 1), "contract"}},
                                     .client_id = "sca",
                                     .client_name = "SCA"}),
                 ErrorCode::digest_length);
  const auto open_key = [&](crypto::KeyAlgorithm algorithm) {
    return sam_->open_key_generation(
        {.signer = alice.id, .algorithm = algorithm, .profile = "direct-resident", .client_id = "sca", .client_name = "SCA"});
  };
  expect_refused(open_key(crypto::KeyAlgorithm::p384), ErrorCode::algorithm_refused);
  edit_key(alice.key, [](custody::KeyRecord& record) { record.revoked = true; });
  expect_refused(open_for(alice, {"contract"}), ErrorCode::certificate_invalid);
  use_policy([](Value& policy) { policy["algorithms"]["keys"][0]["generate_until"] = "2026-01-01T00:00:00Z"; });
  expect_refused(open_key(crypto::KeyAlgorithm::p256), ErrorCode::algorithm_refused);
}

TEST_F(SamTest, ACertificateIsBoundOnceAsTheOperatorApprovedItAndForThePersonOfTheRecord) {
  const auto alice = enrolled_signer("alice");
  const auto generated = *new_key(alice);
  const auto csr = *crypto::parse_csr(generated.csr);
  const auto now = clock_->now();
  const auto hour = std::chrono::hours(1);
  expect_refused(bind(generated.key, issue_to(*ca_key_, csr.subject_der, csr.key.spki(), now - 2 * hour, now - hour, 7)),
                 ErrorCode::certificate_invalid);
  const auto mallory =
      *crypto::encode_name({{"2.5.4.6", "NO"}, {"2.5.4.42", "Mallory"}, {"2.5.4.4", "Example"}, {"2.5.4.5", "PNONO-alice"}});
  expect_refused(bind(generated.key, issue_to(*ca_key_, mallory, csr.key.spki(), now - hour, now + hour, 8)),
                 ErrorCode::certificate_invalid);
  const auto good = issue(*ca_key_, generated.csr, now, 9, std::chrono::hours(10));
  const auto another = issue(*ca_key_, generated.csr, now, 10, std::chrono::hours(10));
  expect_refused(bind(generated.key, good, another), ErrorCode::not_authorised);
  EXPECT_TRUE(bind(generated.key, good));
  expect_refused(bind(generated.key, another), ErrorCode::conflict);
}

TEST_F(SamTest, NoCertificateIsBoundToAKeyThatPolicyMayNotCertifyAnyMore) {
  const auto alice = enrolled_signer("alice");
  const auto generated = *new_key(alice);
  use_policy([](Value& policy) { policy["algorithms"]["keys"][0]["certify_until"] = "2026-01-01T00:00:00Z"; });
  expect_refused(bind(generated.key, issue(*ca_key_, generated.csr, clock_->now(), 9, std::chrono::hours(10))),
                 ErrorCode::algorithm_refused);
}

TEST_F(SamTest, TC7_AKeyOfAnEarlierSignerOfTheSameNameIsNotCertified) {
  const auto alice = enrolled_signer("alice");
  const auto generated = *new_key(alice);
  forget_signers();
  create_signer("alice");
  expect_refused(bind(generated.key, issue(*ca_key_, generated.csr, clock_->now(), 9, std::chrono::hours(10))), ErrorCode::conflict);
}

TEST_F(SamTest, ANodeTakesAHundredAttemptsADayForASignerWhateverTheDatabaseSays) {
  use_policy([](Value& policy) { policy["lock"] = {{"failures", 10}, {"minutes", 1}, {"wide_failures", 30}}; });
  const auto alice = enrolled_signer("alice");
  const auto attempt = [&](const std::string& pin) {
    const auto opened = *open_for(alice, {"contract"});
    return sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = pin, .otp = otp(alice)}));
  };
  for (int i = 1; i <= 100; ++i) {
    expect_refused(attempt("111222"), ErrorCode::authentication_failed);
    if (i % 10 == 0) clock_->advance(std::chrono::minutes(1));
  }
  expect_refused(attempt(alice.pin), ErrorCode::credential_locked);
  clock_->advance(std::chrono::hours(24));
  EXPECT_TRUE(attempt(alice.pin));
}

TEST_F(SamTest, TC11_StrangersBeyondTheWideLimitAreNotEvenCounted) {
  use_policy([](Value& policy) { policy["lock"]["wide_failures"] = 3; });
  const auto alice = enrolled_signer("alice");
  const auto version_after_an_attempt = [&] {
    const auto opened = *open_for(alice, {"contract"});
    expect_refused(sam_->authorise(sap_message(protocol::Purpose::sign, opened, {.pin = "111222", .otp = "000000"})),
                   ErrorCode::authentication_failed);
    std::int64_t version = -1;
    EXPECT_TRUE(database_->read([&](storage::Reader& reader) {
      return reader.query("SELECT version FROM factor_states", {}, [&](const storage::Row& row) {
        version = row.integer(0);
        return true;
      });
    }));
    return version;
  };
  version_after_an_attempt();
  const auto second = version_after_an_attempt();
  const auto third = version_after_an_attempt();
  EXPECT_EQ(third, second + 1);
  EXPECT_EQ(version_after_an_attempt(), third) << "the lock of strangers would never end";
  clock_->advance(std::chrono::minutes(15));
  EXPECT_EQ(version_after_an_attempt(), third + 1);
}

TEST_F(SamTest, TC15_AnActivationCodeThatIsUsedTwiceAtOnceEnrolsOnce) {
  const auto device = *crypto::SoftwareKey::generate();
  const auto code = create_signer("alice");
  bool first = false;
  pepper_.runs_before = 1;
  pepper_.before = [&] { first = static_cast<bool>(enrol("alice", code, "493817", device->public_key())); };
  expect_refused(enrol("alice", code, "739104", device->public_key()), ErrorCode::authentication_failed);
  EXPECT_TRUE(first);
}

TEST_F(SamTest, TC10_WhileTheLogTakesNothingNothingIsOpened) {
  const auto alice = enrolled_signer("alice");
  // A file where the folder of tiles must be: what a full or read-only disk does, and root cannot overrule it.
  std::filesystem::rename(folder_ / "audit", folder_ / "away");
  std::ofstream(folder_ / "audit") << "x";
  ASSERT_FALSE(log_->checkpoint_now());
  expect_refused(open_for(alice, {"contract"}), ErrorCode::audit_unavailable);
  std::filesystem::remove(folder_ / "audit");
  std::filesystem::rename(folder_ / "away", folder_ / "audit");
  ASSERT_TRUE(log_->checkpoint_now());
  EXPECT_TRUE(open_for(alice, {"contract"}));
}

/// The same SAM with its only profile in wrapped custody.
class WrappedSamTest : public SamTest {
 protected:
  void SetUp() override {
    profile_ = "direct-wrapped";
    custody_ = "wrapped";
    SamTest::SetUp();
  }
  std::optional<custody::StoredSealedKey> row_of(const KeyId& key) {
    std::optional<custody::StoredSealedKey> row;
    const auto found = database_->write([&](storage::Transaction& transaction) -> Status {
      auto stored = custody::SealedKeyStore(sealer_).find(transaction, key);
      if (!stored) return stored.error();
      row = *std::move(stored);
      return {};
    });
    EXPECT_TRUE(found) << found.error().detail;
    return row;
  }
  struct RawRow {
    std::int64_t version;
    Bytes record;
  };
  RawRow raw_row(const KeyId& key) {
    std::optional<RawRow> row;
    EXPECT_TRUE(database_->read([&](storage::Reader& reader) {
      return reader.query("SELECT version, record FROM wrapped_keys WHERE id = ?1", {std::string_view(key.text())},
                          [&](const storage::Row& found) {
                            row = RawRow{found.integer(0), found.bytes(1)};
                            return true;
                          });
    }));
    return row.value();
  }
  void put_raw_row(const KeyId& key, const RawRow& row) {
    ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
      auto done = transaction.execute("UPDATE wrapped_keys SET version = ?2, record = ?3 WHERE id = ?1",
                                      {std::string_view(key.text()), row.version, ByteView(row.record)});
      return done ? Status() : Status(done.error());
    }));
  }
};

TEST_F(WrappedSamTest, OpensTheKeyOnceForABatchAndNotLonger) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = approve(alice, {"one", "two", "three"});
  ASSERT_TRUE(authorised) << authorised.error().detail;
  EXPECT_EQ(locked_vault_.openings, 0) << "nothing is opened before it signs";
  const auto answer = sam_->sign(request(alice, *authorised, {"one", "two", "three"}));
  ASSERT_TRUE(answer) << answer.error().detail;
  const auto key = *crypto::Certificate::parse_der(sam_->credential(alice.key)->certificates.front())->public_key();
  ASSERT_EQ(answer->signatures.size(), 3U);
  EXPECT_TRUE(key.verify_digest(crypto::SignatureSuite::ecdsa_sha256, digest_of("two"), answer->signatures[1].signature));
  EXPECT_EQ(locked_vault_.openings, 1);
  EXPECT_EQ(locked_vault_.open_now, 0);
  EXPECT_EQ(vault_.signatures, 0) << "the vault of resident keys has no part in it";
}

TEST_F(WrappedSamTest, KeepsTheShareOfTheLockForAsLongAsASignatureIsLeftToMake) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = approve(alice, {"one", "two"});
  ASSERT_TRUE(authorised) << authorised.error().detail;
  EXPECT_EQ(rows_of("lock_shares"), 1);
  const auto first = sam_->sign(request(alice, *authorised, {"one"}));
  ASSERT_TRUE(first) << first.error().detail;
  EXPECT_EQ(rows_of("lock_shares"), 1);
  ASSERT_TRUE(sam_->sign(request(alice, *authorised, {"two"})));
  EXPECT_EQ(rows_of("lock_shares"), 0);
  // What was signed is given again without the key.
  const auto again = sam_->sign(request(alice, *authorised, {"one", "two"}));
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_TRUE(again->signatures[0].redelivered);
  EXPECT_EQ(again->signatures[0].signature, first->signatures[0].signature);
  EXPECT_EQ(locked_vault_.openings, 2);
}

TEST_F(WrappedSamTest, TheSadThatFollowsOpensTheKeyAndTheOneBeforeItDoesNot) {
  const auto alice = enrolled_signer("alice");
  const auto first = *approve(alice, {"one", "two", "three"});
  ASSERT_TRUE(sam_->sign(request(alice, first, {"one"})));
  const auto second = sam_->extend(extension(alice, first));
  ASSERT_TRUE(second) << second.error().detail;
  EXPECT_EQ(rows_of("lock_shares"), 1);
  expect_refused(sam_->sign(request(alice, first, {"two"})), ErrorCode::sad_invalid);
  const auto made = sam_->sign(request(alice, *second, {"two", "three"}));
  ASSERT_TRUE(made) << made.error().detail;
  EXPECT_EQ(locked_vault_.openings, 2);
  EXPECT_EQ(rows_of("lock_shares"), 0);
  expect_refused(sam_->extend(extension(alice, *second)), ErrorCode::sad_invalid);
}

TEST_F(WrappedSamTest, KeepsNoShareOfAnAuthorisationThatIsOverOrVoid) {
  const auto alice = enrolled_signer("alice");
  ASSERT_TRUE(approve(alice, {"one"}));
  ASSERT_TRUE(approve(alice, {"two"}));
  EXPECT_EQ(rows_of("lock_shares"), 1) << "the first was voided by the second";
  clock_->advance(std::chrono::seconds(61));
  sam_->maintain();
  EXPECT_EQ(rows_of("lock_shares"), 0);
  EXPECT_EQ(rows_of("authorisations"), 1);
  ASSERT_TRUE(approve(alice, {"three"}));
  clock_->advance(std::chrono::seconds(61));
  close();
  open();
  EXPECT_EQ(rows_of("lock_shares"), 0) << "a start forgets them too";
}

TEST_F(WrappedSamTest, TC4_GivesBackWhatATokenThatOpensNothingLeftUnsigned) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = approve(alice, {"one", "two"});
  ASSERT_TRUE(authorised) << authorised.error().detail;
  const auto both = request(alice, *authorised, {"one", "two"});
  locked_vault_.refusals_left = 1;
  const auto refused = sam_->sign(both);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->stopped, ErrorCode::token_unavailable);
  EXPECT_TRUE(refused->signatures.empty());
  locked_vault_.exhausted = true;
  EXPECT_EQ(sam_->sign(both)->stopped, ErrorCode::busy);
  locked_vault_.exhausted = false;
  // One in doubt stops the batch; the other is given back, with its part of the lock.
  locked_vault_.doubts_left = 1;
  EXPECT_EQ(sam_->sign(both)->stopped, ErrorCode::signature_doubtful);
  expect_refused(sam_->sign(request(alice, *authorised, {"one"})), ErrorCode::hash_not_authorised);
  const auto answer = sam_->sign(request(alice, *authorised, {"two"}));
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_FALSE(answer->stopped);
  EXPECT_EQ(locked_vault_.signatures, 1);
  EXPECT_EQ(locked_vault_.open_now, 0);
  EXPECT_EQ(rows_of("lock_shares"), 0);
}

TEST_F(WrappedSamTest, TC6_APinThatIsChangedOpensNothingAnyMore) {
  auto alice = enrolled_signer("alice");
  const auto before = raw_row(alice.key);
  const auto earlier = approve(alice, {"approved with the old PIN"});
  const auto changed = change_pin(alice, "739104");
  ASSERT_TRUE(changed) << changed.error().detail;
  expect_refused(sam_->sign(request(alice, *earlier, {"approved with the old PIN"})), ErrorCode::sad_invalid);
  expect_refused(approve(alice, {"contract"}), ErrorCode::authentication_failed);
  alice.pin = "739104";
  const auto authorised = approve(alice, {"contract", "second"});
  ASSERT_TRUE(authorised) << authorised.error().detail;
  const auto answer = sam_->sign(request(alice, *authorised, {"contract"}));
  ASSERT_TRUE(answer) << answer.error().detail;
  EXPECT_FALSE(answer->stopped);
  // The row of before is known as such, whoever puts it back.
  put_raw_row(alice.key, before);
  expect_refused(sam_->sign(request(alice, *authorised, {"second"})), ErrorCode::storage_unavailable);
  expect_refused(change_pin(alice, "493817"), ErrorCode::storage_unavailable);
}

TEST_F(WrappedSamTest, TC6_WhatWasProvenWithAPinThatChangesMeanwhileOpensNothing) {
  auto alice = enrolled_signer("alice");
  const auto opened = *open_for(alice, {"contract"});
  const auto message = sap_message(protocol::Purpose::sign, opened, {.pin = alice.pin, .otp = otp(alice)});
  bool changed = false;
  pepper_.runs_before = 1;
  pepper_.before = [&] { changed = static_cast<bool>(change_pin(alice, "739104")); };
  expect_refused(sam_->authorise(message), ErrorCode::conflict);
  EXPECT_TRUE(changed);
  EXPECT_EQ(rows_of("lock_shares"), 0);

  alice.pin = "739104";
  const auto generation = *sam_->open_key_generation(
      {.signer = alice.id, .algorithm = crypto::KeyAlgorithm::p256, .profile = profile_, .client_id = "sca", .client_name = "SCA"});
  const auto asked = sap_message(protocol::Purpose::key, generation, {.pin = alice.pin, .otp = otp(alice)});
  changed = false;
  pepper_.runs_before = 1;
  pepper_.before = [&] { changed = static_cast<bool>(change_pin(alice, "580246")); };
  expect_refused(sam_->generate_key(asked), ErrorCode::conflict);
  EXPECT_TRUE(changed);
  EXPECT_EQ(rows_of("wrapped_keys"), 1);
}

TEST_F(WrappedSamTest, TC6_APinIsNotChangedPastAKeyThatWasMadeMeanwhile) {
  auto alice = enrolled_signer("alice");
  bool made = false;
  locked_vault_.before_change = [&] { made = static_cast<bool>(new_key(alice)); };
  expect_refused(change_pin(alice, "739104"), ErrorCode::conflict);
  EXPECT_TRUE(made);
  EXPECT_EQ(rows_of("wrapped_keys"), 2);
  const auto changed = change_pin(alice, "739104");
  ASSERT_TRUE(changed) << changed.error().detail;
  alice.pin = "739104";
  const auto authorised = approve(alice, {"contract"});
  ASSERT_TRUE(authorised) << authorised.error().detail;
  EXPECT_FALSE(sam_->sign(request(alice, *authorised, {"contract"}))->stopped);
}

TEST_F(WrappedSamTest, TC7_AResetLeavesNothingOfTheKey) {
  const auto alice = enrolled_signer("alice");
  const auto bob = enrolled_signer("bob");
  const auto before = raw_row(alice.key);
  ASSERT_TRUE(row_of(alice.key));
  ASSERT_TRUE(reset("alice", identity_of("alice")));
  EXPECT_FALSE(row_of(alice.key));
  EXPECT_EQ(raw_row(alice.key).version, before.version + 1) << "a tombstone, which is never deleted";
  EXPECT_LT(raw_row(alice.key).record.size(), before.record.size());
  EXPECT_TRUE(row_of(bob.key));
  ASSERT_TRUE(change_key(bob, protocol::KeyChange::destroy, bob.pin));
  EXPECT_FALSE(row_of(bob.key));
  const auto carol = enrolled_signer("carol");
  ASSERT_TRUE(row_of(carol.key));
  ASSERT_TRUE(sam_->put_revocation_data(revocation_list(*ca_key_, clock_->now(), 1, {serial_}, 1)));
  EXPECT_FALSE(row_of(carol.key));
}

TEST_F(WrappedSamTest, TC8_ARowThatIsRemovedOrAnotherKeysOpensNothing) {
  const auto alice = enrolled_signer("alice");
  const auto bob = enrolled_signer("bob");
  const auto authorised = approve(alice, {"contract"});
  const auto own = raw_row(alice.key);
  put_raw_row(alice.key, raw_row(bob.key));
  expect_refused(sam_->sign(request(alice, *authorised, {"contract"})), ErrorCode::storage_unavailable);
  put_raw_row(alice.key, own);
  ASSERT_TRUE(database_->write([&](storage::Transaction& transaction) -> Status {
    auto done = transaction.execute("DELETE FROM wrapped_keys WHERE id = ?1", {std::string_view(alice.key.text())});
    return done ? Status() : Status(done.error());
  }));
  expect_refused(sam_->sign(request(alice, *authorised, {"contract"})), ErrorCode::storage_unavailable);
  EXPECT_EQ(locked_vault_.openings, 0);
}

TEST_F(WrappedSamTest, AnotherProviderIsNotAskedForTheKey) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = approve(alice, {"contract"});
  locked_vault_.name = "another";
  expect_refused(sam_->sign(request(alice, *authorised, {"contract"})), ErrorCode::credential_disabled);
  EXPECT_EQ(locked_vault_.openings, 0);
}

TEST_F(WrappedSamTest, TC7_AKeyOfAnEarlierRecordOfTheSignerDoesNotOpen) {
  const auto alice = enrolled_signer("alice");
  const auto authorised = approve(alice, {"contract"});
  edit_key(alice.key, [](custody::KeyRecord& record) { record.holder = Bytes(16, 9); });
  EXPECT_EQ(sam_->sign(request(alice, *authorised, {"contract"}))->stopped, ErrorCode::storage_unavailable);
  EXPECT_EQ(locked_vault_.signatures, 0);
}

TEST_F(WrappedSamTest, TellsItsModeOfCustodyInTheStatus) {
  const auto status = *json::parse(*sam_->status());
  EXPECT_EQ(status.at("custody").at(0).at("mode"), "wrapped");
  EXPECT_EQ(status.at("custody").at(0).at("key_authorisation"), "emulated");
}

TEST_F(SamTest, ADatabaseOfBeforeWrappedCustodyGetsItsTablesAndKeepsTheRest) {
  const auto path = folder_ / "older.db";
  {
    auto older = *storage::test::open_database(path);
    const auto& all = database_migrations();
    ASSERT_TRUE(older->migrate({all.begin(), all.begin() + 4}));
    ASSERT_TRUE(older->write([](storage::Transaction& transaction) -> Status {
      auto done = transaction.execute("INSERT INTO signers (id, version, record) VALUES ('kept', 1, ?1)", {ByteView(Bytes{0})});
      return done ? Status() : Status(done.error());
    }));
  }
  auto newer = *storage::test::open_database(path);
  ASSERT_TRUE(newer->migrate(database_migrations()));
  const auto rows = newer->read([](storage::Reader& reader) -> Status {
    for (const std::string_view sql : {"SELECT count(*) FROM wrapped_keys", "SELECT count(*) FROM lock_shares"}) {
      auto count = reader.query_one<std::int64_t>(sql, {}, [](const storage::Row& row) { return row.integer(0); });
      if (!count) return count.error();
      EXPECT_EQ(**count, 0);
    }
    auto kept = reader.query_one<std::string>("SELECT id FROM signers", {}, [](const storage::Row& row) { return row.text(0); });
    if (!kept) return kept.error();
    EXPECT_EQ(**kept, "kept");
    return {};
  });
  EXPECT_TRUE(rows) << rows.error().detail;
}

TEST(LockShares, GiveTheLockTogetherAndNothingAlone) {
  const auto lock = *crypto::random_secret(32);
  const auto shares = *split_lock(lock);
  EXPECT_FALSE(same_secret(shares.kept.reveal(), lock.reveal()));
  EXPECT_FALSE(same_secret(shares.carried.reveal(), lock.reveal()));
  const auto sad_with = [](const Value& claims) { return "header." + encode_base64url(as_bytes(json::encode(claims))) + ".signature"; };
  const auto joined = join_lock(sad_with({{"lock_share", encode_base64url(shares.carried.reveal())}}), shares.kept);
  ASSERT_TRUE(joined) << joined.error().detail;
  EXPECT_TRUE(same_secret(joined->reveal(), lock.reveal()));
  for (const auto& claims : {Value::object(), Value{{"lock_share", "AAAA"}}, Value{{"lock_share", 7}}})
    expect_refused(join_lock(sad_with(claims), shares.kept), ErrorCode::sad_invalid);
  for (const auto* sad : {"", "no token", "one.two", "a.*.c"}) expect_refused(join_lock(sad, shares.kept), ErrorCode::sad_invalid);
}

TEST_F(SamTest, AProfileInWrappedCustodyNeedsASecretOfTheSigners) {
  auto document = *json::parse(policy_document(8, 10, 100));
  document["profiles"][0]["custody"] = "wrapped";
  document["argon2"] = {{"memory_kib", 64 * 1024}, {"passes", 3}};
  EXPECT_TRUE(Policy::parse(json::encode(document)));
  document["profiles"][0]["factors"] = Value::array({Value::array({"pin", "totp"}), Value::array({"passkey"})});
  const auto without_pin = Policy::parse(json::encode(document));
  expect_refused(without_pin, ErrorCode::configuration);
  EXPECT_NE(without_pin.error().detail.find("wrapped custody needs the factor pin or signerpass"), std::string::npos);
  document["profiles"][0]["custody"] = "nowhere";
  expect_refused(Policy::parse(json::encode(document)), ErrorCode::configuration);
}

TEST_F(SamTest, ASecretThatOpensAKeyOrIsToWithstandASearchCostsMoreForEachGuess) {
  const auto parse = [this](const Value& factors, const char* custody, int memory_kib, int passes) {
    auto document = *json::parse(policy_document(8, 10, 100));
    document["profiles"][0]["factors"] = factors;
    document["profiles"][0]["custody"] = custody;
    document["argon2"] = {{"memory_kib", memory_kib}, {"passes", passes}};
    document["signerpass"] = {{"least_bits", 60}};
    return Policy::parse(json::encode(document));
  };
  const Value pin = {"pin", "totp"}, signerpass = {"signerpass", "totp"};
  EXPECT_TRUE(parse(pin, "resident", 19 * 1024, 2));
  for (const auto& [factors, custody] : {std::pair(pin, "wrapped"), std::pair(signerpass, "resident"), std::pair(signerpass, "wrapped")}) {
    EXPECT_TRUE(parse(factors, custody, 64 * 1024, 3));
    expect_refused(parse(factors, custody, 64 * 1024 - 1, 3), ErrorCode::configuration);
    expect_refused(parse(factors, custody, 64 * 1024, 2), ErrorCode::configuration);
  }
}

TEST_F(SamTest, APolicyThatTakesASignerpassSaysHowStrongItIs) {
  auto document = *json::parse(policy_document(8, 10, 100));
  document["profiles"][0]["factors"] = {"signerpass", "totp"};
  document["argon2"] = {{"memory_kib", 64 * 1024}, {"passes", 3}};
  expect_refused(Policy::parse(json::encode(document)), ErrorCode::configuration);
  for (const auto bits : {59, 129}) {
    document["signerpass"] = {{"least_bits", bits}};
    expect_refused(Policy::parse(json::encode(document)), ErrorCode::configuration);
  }
  for (const auto bits : {60, 128}) {
    document["signerpass"] = {{"least_bits", bits}};
    EXPECT_TRUE(Policy::parse(json::encode(document)));
  }
  document["signerpass"]["most_bits"] = 70;
  expect_refused(Policy::parse(json::encode(document)), ErrorCode::configuration);
}

/// A policy that takes a PIN or a signerpass, in this order or alone.
void take_signerpass(Value& document, const Value& factors) {
  document["profiles"][0]["factors"] = factors;
  document["argon2"] = {{"memory_kib", 64 * 1024}, {"passes", 3}};
  document["signerpass"] = {{"least_bits", 60}};
}
const Value either_secret = Value::array({Value::array({"pin", "totp"}), Value::array({"signerpass", "totp"})});
constexpr const char* chance = "k7d3-q9x2-m4b8-r6t1-w5z0";

TEST_F(SamTest, ASignerpassIsEnrolledInThePlaceOfThePinAndApproves) {
  use_policy([](Value& document) { take_signerpass(document, {"signerpass", "totp"}); });
  const auto code = create_signer("alice");
  const auto device = *crypto::SoftwareKey::generate();
  const auto enrol_as = [&](const std::string& secret, std::string_view type) {
    const auto opened = *sam_->open_enrolment({.signer = *SignerId::parse("alice"), .client_id = "sca", .client_name = "SCA"});
    return sam_->enrol_factors(
        sap_message(protocol::Purpose::enrol, opened,
                    {.activation_code = code, .new_pin = secret, .new_pin_type = type, .answer_key = &device->public_key()}));
  };
  // More often than the code may be tried: a rule costs no try.
  for (const auto* weak : {"correct horse battery staple", "493817", "482915730164", "k7d3-q9x2-m4", "Kennwort", "ada-k7d3"})
    expect_refused(enrol_as(weak, "new-signerpass"), ErrorCode::invalid_request);
  expect_refused(enrol_as("493817", "new-pin"), ErrorCode::invalid_request);
  const auto enrolled = enrol_as(chance, "new-signerpass");
  ASSERT_TRUE(enrolled) << enrolled.error().detail;
  const Signer alice{*SignerId::parse("alice"), chance, seed_of(*device, *enrolled), *KeyId::parse("none")};
  const auto key = [&](std::string_view type) {
    const auto opened = *sam_->open_key_generation(
        {.signer = alice.id, .algorithm = crypto::KeyAlgorithm::p256, .profile = profile_, .client_id = "sca", .client_name = "SCA"});
    return sam_->generate_key(sap_message(protocol::Purpose::key, opened, {.pin = chance, .otp = otp(alice), .pin_type = type}));
  };
  expect_refused(key("pin"), ErrorCode::authentication_failed);
  EXPECT_TRUE(key("signerpass"));
}

TEST_F(SamTest, AMessageHoldsOneSecretThatTheSignerKnows) {
  use_policy([](Value& document) { take_signerpass(document, either_secret); });
  const auto alice = enrolled_without_key("alice");
  const auto device = *crypto::SoftwareKey::generate();
  const auto with = [](const char* type) {
    return [type](Value& payload) { payload["factors"].push_back({{"type", type}, {"value", chance}}); };
  };
  expect_refused(
      change(alice,
             {.pin = alice.pin, .otp = otp(alice), .new_pin = "739104", .answer_key = &device->public_key(), .tamper = with("signerpass")}),
      ErrorCode::invalid_request);
  expect_refused(change(alice, {.pin = alice.pin,
                                .otp = otp(alice),
                                .new_pin = "739104",
                                .answer_key = &device->public_key(),
                                .tamper = with("new-signerpass")}),
                 ErrorCode::invalid_request);
}

TEST_F(WrappedSamTest, TC6_AKeyComesUnderASignerpassAndNotBackUnderAPinThatItsProfileDoesNotTake) {
  use_policy([](Value& document) { take_signerpass(document, either_secret); });
  auto alice = enrolled_signer("alice");
  const auto under_pin = row_of(alice.key);
  const auto device = *crypto::SoftwareKey::generate();
  const auto to_signerpass = change(
      alice,
      {.pin = alice.pin, .otp = otp(alice), .new_pin = chance, .new_pin_type = "new-signerpass", .answer_key = &device->public_key()});
  ASSERT_TRUE(to_signerpass) << to_signerpass.error().detail;
  EXPECT_GT(row_of(alice.key)->version, under_pin->version);
  alice.pin = chance;
  const auto approve_as = [&](std::string_view type) {
    return sam_->authorise(
        sap_message(protocol::Purpose::sign, *open_for(alice, {"contract"}), {.pin = alice.pin, .otp = otp(alice), .pin_type = type}));
  };
  auto authorised = approve_as("signerpass");
  ASSERT_TRUE(authorised) << authorised.error().detail;
  EXPECT_FALSE(sam_->sign(request(alice, *authorised, {"contract"}))->stopped);

  // The key's profile takes signerpasses alone from now on; another one takes PINs.
  use_policy([](Value& document) {
    take_signerpass(document, {"signerpass", "totp"});
    auto other = document["profiles"][0];
    other["name"] = "of-pins";
    other["factors"] = {"pin", "totp"};
    document["profiles"].push_back(other);
  });
  expect_refused(
      change(alice, {.pin = chance, .otp = otp(alice), .new_pin = "739104", .pin_type = "signerpass", .answer_key = &device->public_key()}),
      ErrorCode::invalid_request);
  authorised = approve_as("signerpass");
  ASSERT_TRUE(authorised) << authorised.error().detail;
  EXPECT_FALSE(sam_->sign(request(alice, *authorised, {"contract"}))->stopped);
}

TEST_F(SamTest, AProfileKnowsGrantsOfAResidentKeyWithinBoundsOrNone) {
  const auto parse = [this](const char* custody, const Value& grants) {
    auto document = *json::parse(policy_document(8, 10, 100));
    document["argon2"] = {{"memory_kib", 64 * 1024}, {"passes", 3}};
    document["profiles"][0]["custody"] = custody;
    document["profiles"][0]["grants"] = grants;
    return Policy::parse(json::encode(document));
  };
  const Value good = {{"signatures", 1000}, {"days", 30}};
  ASSERT_TRUE(parse("resident", good));
  EXPECT_EQ(parse("resident", good)->profiles().front().grants->signatures, 1000U);
  EXPECT_FALSE(Policy::parse(policy_document(8, 10, 100))->profiles().front().grants);
  expect_refused(parse("wrapped", good), ErrorCode::configuration);
  for (const auto& wrong : {Value{{"signatures", 0}, {"days", 30}}, Value{{"signatures", 1000}, {"days", 367}}, Value{{"signatures", 1000}},
                            Value(true), Value{{"signatures", 1000}, {"days", 30}, {"hours", 1}}})
    expect_refused(parse("resident", wrong), ErrorCode::configuration);
}

TEST(PinRules, AcceptAnOrdinaryPin) {
  for (const auto* pin : {"493817", "80246193", "739104628517"}) EXPECT_TRUE(check_new_pin(Secret(as_bytes(pin)))) << pin;
}

RC_GTEST_PROP(Records, FactorStatesAreReadBack, (const std::vector<std::uint32_t>& counts)) {
  FactorState state;
  state.failures = 2;
  state.totp_last_step = 7;
  for (const auto count : counts) state.counts.push_back({static_cast<std::int64_t>(count), 1});
  const auto back = *parse_factor_state(encode(state));
  RC_ASSERT(back.failures == state.failures);
  RC_ASSERT(back.counts.size() == state.counts.size());
}

}  // namespace
}  // namespace intaglio::sam
