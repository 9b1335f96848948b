#include "sam/one_time/session.h"

#include <gtest/gtest.h>

#include "crypto/certificate.h"
#include "crypto/cms.h"
#include "crypto/der.h"
#include "crypto/jose/jwe.h"
#include "evidence/identity_approval.h"
#include "sam/authorise/kept_approval.h"
#include "sam/service.h"
#include "sam/testing/factors_fixture.h"

namespace intaglio::sam {
namespace {

namespace der = crypto::der;
using json::Value;
using testing::expect_refused;

/// One-time keys in memory; misbehaves on command.
class MemoryVault final : public custody::KeyVault {
 public:
  Result<crypto::PublicKey> generate(const KeyId& key, crypto::KeyAlgorithm) override {
    auto made = crypto::SoftwareKey::generate();
    if (!made) return made.error();
    keys[key] = *made;
    return (*made)->public_key();
  }
  Result<Bytes> make_certificate_request(const KeyId& key, const SignerId&, ByteView subject) override {
    if (refuses_requests) return Error{ErrorCode::token_unavailable, "told to refuse"};
    auto info = crypto::encode_csr_info(subject, keys.at(key)->public_key());
    if (!info) return info.error();
    auto signature = keys.at(key)->sign(crypto::SignatureSuite::ecdsa_sha256, *info);
    if (!signature) return signature.error();
    return crypto::assemble_csr(*info, crypto::SignatureSuite::ecdsa_sha256, *signature);
  }
  custody::VaultOutcome sign(custody::Activation activation, const crypto::PublicKey&) override {
    if (while_signing) while_signing(activation.key());
    if (doubts)
      return {.signature = std::nullopt, .refusal = custody::VaultRefusal{{ErrorCode::signature_doubtful, "told to doubt"}, false}};
    ++signatures;
    return {.signature = *keys.at(activation.key())->sign_digest(activation.suite(), activation.digest()), .refusal = std::nullopt};
  }
  Status destroy(const KeyId& key) override {
    if (destroys_nothing) return Error{ErrorCode::token_unavailable, "told to refuse"};
    keys.erase(key);
    return {};
  }
  std::string key_authorisation() const override { return "emulated"; }

  std::map<KeyId, std::shared_ptr<crypto::SoftwareKey>> keys;
  std::function<void(const KeyId&)> while_signing;
  int signatures = 0;
  bool destroys_nothing = false, refuses_requests = false, doubts = false;
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

 private:
  std::map<std::string, std::shared_ptr<crypto::SoftwareKey>> keys_;
};

const std::vector<crypto::NameAttribute> ca_name = {{"2.5.4.3", "Test CA"}};

Bytes extension(std::string_view oid, bool critical, ByteView value) {
  std::vector<Bytes> members{der::oid(oid)};
  if (critical) members.push_back(der::boolean(true));
  members.push_back(der::octet_string(value));
  return der::sequence(members);
}

/// What a certification authority makes of a request; a test spoils one thing.
struct Certified {
  Bytes subject, spki;
  std::chrono::seconds life = std::chrono::hours(1);
  bool short_term = true;
};
Bytes certificate_of(const crypto::SoftwareKey& ca, const Certified& content, UnixTime now, std::uint64_t serial,
                     const Bytes& issuer = *crypto::encode_name(ca_name)) {
  const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
  std::vector<Bytes> members{der::explicit_tag(0, der::integer(std::uint64_t{2})),           der::integer(serial), algorithm,   issuer,
                             der::sequence({der::time(now), der::time(now + content.life)}), content.subject,      content.spki};
  if (content.short_term) members.push_back(der::explicit_tag(3, der::sequence({extension("0.4.0.194121.2.1", false, der::null())})));
  const auto tbs = der::sequence(members);
  return crypto::assemble_signed(tbs, crypto::SignatureSuite::ecdsa_sha256, *ca.sign(crypto::SignatureSuite::ecdsa_sha256, tbs));
}
/// Of the CA of these tests, for the key of an authority of this name.
Bytes authority_below(const crypto::SoftwareKey& ca, const Bytes& name, ByteView spki, UnixTime now) {
  const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
  const auto constraints = extension("2.5.29.19", true, der::sequence({der::boolean(true)}));
  const auto tbs = der::sequence({der::explicit_tag(0, der::integer(std::uint64_t{2})), der::integer(std::uint64_t{1}), algorithm,
                                  *crypto::encode_name(ca_name),
                                  der::sequence({der::time(now - std::chrono::hours(1)), der::time(now + std::chrono::hours(24 * 365))}),
                                  name, spki, der::explicit_tag(3, der::sequence({constraints}))});
  return crypto::assemble_signed(tbs, crypto::SignatureSuite::ecdsa_sha256, *ca.sign(crypto::SignatureSuite::ecdsa_sha256, tbs));
}
Bytes authority_certificate(const crypto::SoftwareKey& key, UnixTime now) {
  return authority_below(key, *crypto::encode_name(ca_name), key.public_key().spki(), now);
}

/// A SAM with a profile of one-time custody, an identity provider and a certification authority around it.
class OneTime : public testing::FactorsTest {
 protected:
  void SetUp() override {
    certificate_ = authority_certificate(*ca_, clock_->now());
    FactorsTest::SetUp();
    use_profiles(Value::array({one_time_profile(), profile("both", Value::array({"pin", "passkey"}))}));
    sap_keys_ = std::make_unique<SapKeys>("test", *database_, sealer_, agreement_keys_, identity_, clock_);
    sam_ = start_sam();
  }
  void TearDown() override {
    sam_.reset();
    sap_keys_.reset();
    FactorsTest::TearDown();
  }
  static Value one_time_profile() {
    return {{"name", "once"},
            {"custody", "one-time"},
            {"one_time",
             {{"certificate_profile", "short"},
              {"session_seconds", 60},
              {"claims", {{"givenName", "given_name"}, {"surname", "family_name"}, {"country", "country"}, {"serialNumber", "number"}}}}},
            {"key_algorithms", Value::array({"p256"})},
            {"max_documents", 3},
            {"sad_seconds", 60},
            {"ticket_seconds", 300},
            {"per_minute", 4},
            {"per_day", 100},
            {"keys_per_signer", 100},
            {"keys_per_day", 100},
            {"qualified", false}};
  }
  /// Another start of this node.
  std::unique_ptr<Sam> start_sam(const std::string& node = "test") {
    Core core{.node = node,
              .incarnation = node + "/" + *crypto::random_id(),
              .name = "test",
              .clock = clock_,
              .database = *database_,
              .sealer = sealer_,
              .log = *log_,
              .vault = resident_,
              .locked_vault = nullptr,
              .keys = custody::KeyStore(sealer_),
              .sealed_keys = custody::SealedKeyStore(sealer_),
              .policy = *policy_,
              .factors = *factors_,
              .sap_keys = *sap_keys_,
              .identity_key = identity_,
              .sad_key = sad_key_,
              .one_time_vault = &vault_};
    auto sam = std::make_unique<Sam>(std::move(core), Surroundings{.token_facts = [] { return std::string("{}"); },
                                                                   .token_signer_signatures = [] { return std::uint64_t{0}; },
                                                                   .checkpoint_key = checkpoint_,
                                                                   .log_origin = "intaglio/sam/test",
                                                                   .configuration_digest = "test"});
    const auto started = sam->start();
    EXPECT_TRUE(started) << started.error().detail;
    return sam;
  }

  static std::vector<protocol::DocumentDigest> documents(std::size_t count = 1) {
    std::vector<protocol::DocumentDigest> made;
    for (std::size_t i = 0; i < count; ++i) made.push_back({Bytes(32, static_cast<std::uint8_t>(0x40 + i)), "contract.pdf"});
    return made;
  }
  protocol::Opened opened(std::size_t count = 1) {
    auto opened = sam_->open_one_time({"once", crypto::HashAlgorithm::sha256, documents(count), "client", "Client"});
    if (!opened) panic(("not opened: " + opened.error().detail).c_str());
    return *std::move(opened);
  }
  static Value claims() { return {{"given_name", "Ada"}, {"family_name", "Example"}, {"country", "NO"}, {"number", "PNONO-1"}}; }
  crypto::Sha256Digest session_of(const protocol::Opened& opened) const {
    return protocol::session_digest(*protocol::parse_transaction(opened.transaction), terms_, act_);
  }
  std::string token_for(const protocol::Opened& opened, const Value& said = claims()) {
    return provider_.answer(session_of(opened), "ada", clock_->now(), said);
  }
  std::string message(const protocol::Opened& opened, const std::string& token, const std::string& pin = {}) {
    const auto statement = *json::parse(*crypto::verify_jws(opened.sap_statement, "intaglio-sap-key+jwt", identity_->public_key()));
    const auto recipient = *crypto::parse_jwk(json::encode(statement.at("jwk")));
    const auto kid = statement.at("kid").get<std::string>();
    const auto consent = protocol::consent_digest(opened.transaction, terms_, act_);
    Value factors = Value::array({{{"type", "id-token"}, {"value", token}}});
    if (!pin.empty()) factors.push_back({{"type", "pin"}, {"value", pin}});
    const Value payload = {{"id", *crypto::random_id()},
                           {"ticket", opened.ticket},
                           {"terms", {{"id", terms_.id}, {"version", terms_.version}, {"language", terms_.language}}},
                           {"act", act_},
                           {"consent", encode_base64url(consent)},
                           {"binding", encode_base64url(protocol::binding_digest(opened.transaction, consent))},
                           {"factors", factors}};
    const auto nonce = protocol::parse_transaction(opened.transaction)->nonce;
    return *crypto::make_jwe(recipient, {.typ = "intaglio-sap-one-time+jwe", .kid = kid, .apu = nonce, .apv = to_bytes(kid)},
                             as_bytes(json::encode(payload)));
  }

  struct Begun {
    std::unique_ptr<protocol::OneTimeSession> session;
    protocol::KeyGenerated made;
    crypto::CertificateRequest request;
  };
  Begun begin(std::size_t count = 1) {
    const auto ticket = opened(count);
    auto session = *sam_->begin_one_time();
    auto made = session->identify(message(ticket, token_for(ticket)));
    if (!made) panic(("not identified: " + made.error().detail).c_str());
    auto request = *crypto::parse_csr(made->csr);
    return {std::move(session), *std::move(made), std::move(request)};
  }
  Certified content_of(const Begun& begun) const { return {.subject = begun.request.subject_der, .spki = begun.request.key.spki()}; }
  Bytes certified(const Certified& content) { return certificate_of(*ca_, content, clock_->now(), ++serial_); }
  /// A revocation list that names the last certificate.
  Bytes list_of_last_serial() const {
    const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
    const auto entry = der::sequence({der::integer(serial_), der::time(clock_->now())});
    const auto number = der::explicit_tag(0, der::sequence({extension("2.5.29.20", false, der::integer(std::uint64_t{1}))}));
    const auto tbs = der::sequence({der::integer(std::uint64_t{1}), algorithm, *crypto::encode_name(ca_name), der::time(clock_->now()),
                                    der::time(clock_->now() + std::chrono::hours(24)), der::sequence({entry}), number});
    return crypto::assemble_signed(tbs, crypto::SignatureSuite::ecdsa_sha256, *ca_->sign(crypto::SignatureSuite::ecdsa_sha256, tbs));
  }
  /// Refused with the certificate of this content; nothing was signed and no key is left.
  void expect_no_signature(const std::function<void(Certified&)>& spoil, ErrorCode code = ErrorCode::certificate_invalid) {
    auto begun = begin();
    auto content = content_of(begun);
    spoil(content);
    expect_refused(begun.session->sign({{certified(content)}, {}}), code);
    EXPECT_EQ(vault_.signatures, 0);
    EXPECT_TRUE(vault_.keys.empty());
  }

  const protocol::Terms terms_{"terms", "1", "en"};
  const std::string act_ = "typed-yes";
  std::shared_ptr<crypto::SoftwareKey> ca_ = *crypto::SoftwareKey::generate(), identity_ = *crypto::SoftwareKey::generate(),
                                       sad_key_ = *crypto::SoftwareKey::generate();
  MemoryVault vault_, resident_;
  MemoryAgreementKeys agreement_keys_;
  std::unique_ptr<SapKeys> sap_keys_;
  std::unique_ptr<Sam> sam_;
  std::uint64_t serial_ = 100;
};

TEST_F(OneTime, SignsWhatItComposedFromEachDocumentAndDestroysTheKey) {
  auto begun = begin(2);
  const auto der = certified(content_of(begun));
  const auto leaf = *crypto::Certificate::parse_der(der);
  const auto made = begun.session->sign({{der}, "192.0.2.1"});
  ASSERT_TRUE(made) << made.error().detail;
  ASSERT_EQ(made->answer.signatures.size(), 2U);
  for (std::size_t i = 0; i < 2; ++i) {
    const auto attributes = *crypto::cms_signed_attributes(documents(2)[i].digest, crypto::HashAlgorithm::sha256, leaf);
    EXPECT_TRUE(leaf.public_key()->verify_digest(crypto::SignatureSuite::ecdsa_sha256, crypto::sha256(attributes),
                                                 made->answer.signatures[i].signature));
  }
  EXPECT_TRUE(vault_.keys.empty());
  for (const auto* type : {"person.identified", "key.generated", "proof_of_possession.signed", "certificate.bound", "authorisation.granted",
                           "key.voided", "key.destroyed"})
    EXPECT_EQ(events(type).size(), 1U) << type;
  EXPECT_EQ(events("signature.made").size(), 2U);
  EXPECT_TRUE(events("certificate.orphaned").empty());
  EXPECT_EQ(events("PNONO").size(), 0U) << "personal data stays out of the log";
  const auto key = sam_->credential(begun.made.key);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->state, protocol::KeyState::destroyed);
}

TEST_F(OneTime, AssertsTheKeyWithThePersonThatTheProviderNamed) {
  const auto begun = begin();
  const auto assertion = *json::parse(*crypto::verify_jws(begun.made.key_assertion, "intaglio-one-time-key+jwt", identity_->public_key()));
  EXPECT_EQ(assertion.at("identity"),
            (Value{{"givenName", "Ada"}, {"surname", "Example"}, {"country", "NO"}, {"serialNumber", "PNONO-1"}}));
  EXPECT_EQ(assertion.at("spki_sha256"), encode_base64url(begun.request.key.thumbprint()));
  EXPECT_EQ(assertion.at("csr_sha256"), encode_base64url(crypto::sha256(begun.made.csr)));
  EXPECT_EQ(assertion.at("profile"), "short");
}

TEST_F(OneTime, KeepsWhatTheProviderConfirmedSoThatAnyoneCanVerifyIt) {
  const auto ticket = opened();
  auto session = *sam_->begin_one_time();
  ASSERT_TRUE(session->identify(message(ticket, token_for(ticket))));
  std::optional<sealed::Record> kept;
  ASSERT_TRUE(database_->write([&](storage::Transaction& write) -> Status {
    auto found = kept_approvals(sealer_).find(write, encode_base64url(protocol::parse_transaction(ticket.transaction)->nonce));
    if (!found) return found.error();
    kept = std::move(*found);
    return {};
  }));
  ASSERT_TRUE(kept);
  auto approval = evidence::parse_identity_approval(kept->content.reveal());
  ASSERT_TRUE(approval) << approval.error().detail;
  const auto transaction = evidence::verify_approval(*approval);
  ASSERT_TRUE(transaction) << transaction.error().detail;
  EXPECT_EQ(transaction->documents.front().digest, documents().front().digest);
  approval->act = "another-act";
  EXPECT_FALSE(evidence::verify_approval(*approval));
}

TEST_F(OneTime, BelievesNoTokenThatAnswersAnotherSession) {
  const auto ticket = opened(), other = opened();
  auto session = *sam_->begin_one_time();
  expect_refused(session->identify(message(ticket, token_for(other))), ErrorCode::authentication_failed);
  EXPECT_TRUE(vault_.keys.empty());
  EXPECT_EQ(events("authorisation.refused").size(), 1U);
  EXPECT_TRUE(events("person.identified").empty());
}

TEST_F(OneTime, BelievesNoTokenThatAnswersTheBindingOfAnAccount) {
  const auto ticket = opened();
  const auto binding = protocol::binding_digest(ticket.transaction, protocol::consent_digest(ticket.transaction, terms_, act_));
  auto session = *sam_->begin_one_time();
  expect_refused(session->identify(message(ticket, provider_.answer(binding, "ada", clock_->now(), claims()))),
                 ErrorCode::authentication_failed);
}

TEST_F(OneTime, MakesNoKeyForWhomTheProviderDoesNotNameInFull) {
  for (const auto* claim : {"given_name", "family_name", "country", "number"}) {
    const auto ticket = opened();
    auto said = claims();
    said.erase(claim);
    auto session = *sam_->begin_one_time();
    expect_refused(session->identify(message(ticket, token_for(ticket, said))), ErrorCode::authentication_failed);
  }
  EXPECT_TRUE(vault_.keys.empty());
}

TEST_F(OneTime, TakesAnIdTokenAndNothingElse) {
  const auto ticket = opened();
  auto session = *sam_->begin_one_time();
  expect_refused(session->identify(message(ticket, token_for(ticket), "493817")), ErrorCode::invalid_request);
}

TEST_F(OneTime, BeginsASessionOnceForATicket) {
  const auto ticket = opened();
  const auto token = token_for(ticket);
  auto first = *sam_->begin_one_time();
  ASSERT_TRUE(first->identify(message(ticket, token)));
  auto second = *sam_->begin_one_time();
  expect_refused(second->identify(message(ticket, token)), ErrorCode::replayed);
  second.reset();
  sam_->maintain();
  EXPECT_EQ(vault_.keys.size(), 1U) << "the first session lost its key to the second";
}

TEST_F(OneTime, TakesEachStepOnceAndInOrder) {
  auto early = *sam_->begin_one_time();
  const Bytes foreign = certificate_;
  expect_refused(early->sign({{foreign}, {}}), ErrorCode::conflict);
  auto begun = begin();
  const auto other = opened();
  expect_refused(begun.session->identify(message(other, token_for(other))), ErrorCode::conflict);
  const auto der = certified(content_of(begun));
  ASSERT_TRUE(begun.session->sign({{der}, {}}));
  expect_refused(begun.session->sign({{der}, {}}), ErrorCode::conflict);
  EXPECT_EQ(vault_.signatures, 1);
}

TEST_F(OneTime, SignsForNoCertificateOfAnotherKey) {
  expect_no_signature([](Certified& c) { c.spki = (*crypto::SoftwareKey::generate())->public_key().spki(); });
}
TEST_F(OneTime, SignsForNoCertificateOfAnotherPerson) {
  const auto name = [](const std::string& surname, bool more) {
    std::vector<crypto::NameAttribute> parts{
        {"2.5.4.6", "NO"}, {"2.5.4.42", "Ada"}, {"2.5.4.4", surname}, {"2.5.4.5", "PNONO-1"}, {"2.5.4.3", "Ada Example"}};
    if (more) parts.push_back({"2.5.4.10", "Somewhere"});
    return *crypto::encode_name(parts);
  };
  expect_no_signature([&](Certified& c) { c.subject = name("Another", false); });
  expect_no_signature([&](Certified& c) { c.subject = name("Example", true); });
}
TEST_F(OneTime, SignsForNoCertificateThatSomebodyWouldHaveToRevoke) {
  expect_no_signature([](Certified& c) { c.short_term = false; });
  expect_no_signature([](Certified& c) { c.life = std::chrono::hours(25); });
}
TEST_F(OneTime, SignsForNoCertificateOfAnAuthorityThatThePolicyDoesNotName) {
  const auto stranger = *crypto::SoftwareKey::generate();
  auto begun = begin();
  expect_refused(begun.session->sign({{certificate_of(*stranger, content_of(begun), clock_->now(), 1)}, {}}),
                 ErrorCode::certificate_invalid);
  EXPECT_EQ(vault_.signatures, 0);
}
TEST_F(OneTime, SignsForNoCertificateOfAnAuthorityWhoseListsNobodyWouldTake) {
  const auto below = *crypto::SoftwareKey::generate();
  const auto name = *crypto::encode_name({{"2.5.4.3", "An authority below"}});
  auto begun = begin();
  expect_refused(begun.session->sign({{certificate_of(*below, content_of(begun), clock_->now(), 1, name),
                                       authority_below(*ca_, name, below->public_key().spki(), clock_->now())},
                                      {}}),
                 ErrorCode::certificate_invalid);
  EXPECT_EQ(vault_.signatures, 0);
}
TEST_F(OneTime, SignsForNoCertificateThatWasRevokedAllTheSame) {
  auto begun = begin();
  const auto der = certified(content_of(begun));
  const auto taken = sam_->put_revocation_data(list_of_last_serial());
  ASSERT_TRUE(taken) << taken.error().detail;
  expect_refused(begun.session->sign({{der}, {}}), ErrorCode::certificate_invalid);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(OneTime, SignsForNoCertificateOfWhoseRevocationAnotherNodeWasTold) {
  const auto other = start_sam("other");
  auto begun = begin();
  const auto der = certified(content_of(begun));
  ASSERT_TRUE(other->put_revocation_data(list_of_last_serial()));
  expect_refused(begun.session->sign({{der}, {}}), ErrorCode::certificate_invalid);
  EXPECT_TRUE(events("certificate.bound").empty());
  EXPECT_EQ(vault_.signatures, 0);
  EXPECT_TRUE(vault_.keys.empty());
}

TEST_F(OneTime, SignsNothingWhenTheSessionIsOver) {
  auto begun = begin();
  const auto der = certified(content_of(begun));
  clock_->advance(std::chrono::seconds(60));
  expect_refused(begun.session->sign({{der}, {}}), ErrorCode::ticket_expired);
  EXPECT_EQ(vault_.signatures, 0);
  EXPECT_TRUE(vault_.keys.empty());
}

TEST_F(OneTime, EndsTheKeyWithTheSession) {
  auto begun = begin();
  EXPECT_EQ(vault_.keys.size(), 1U);
  begun.session.reset();
  EXPECT_TRUE(vault_.keys.empty());
  EXPECT_EQ(events("key.destroyed").size(), 1U);
}

TEST_F(OneTime, LeavesNoKeyThatDidNotProveItself) {
  vault_.refuses_requests = true;
  const auto ticket = opened();
  auto session = *sam_->begin_one_time();
  expect_refused(session->identify(message(ticket, token_for(ticket))), ErrorCode::token_unavailable);
  EXPECT_TRUE(vault_.keys.empty());
  EXPECT_EQ(events("key.destroyed").size(), 1U);
}

TEST_F(OneTime, ReportsTheCertificateOfASignatureInDoubtAsOrphaned) {
  vault_.doubts = true;
  auto begun = begin();
  expect_refused(begun.session->sign({{certified(content_of(begun))}, {}}), ErrorCode::signature_doubtful);
  EXPECT_TRUE(vault_.keys.empty());
  const auto orphaned = events("certificate.orphaned");
  ASSERT_EQ(orphaned.size(), 1U);
  EXPECT_NE(orphaned.front().find("\"told_by\":\"session\""), std::string::npos) << orphaned.front();
  EXPECT_NE(orphaned.front().find("\"destroyed\":"), std::string::npos) << orphaned.front();
}

TEST_F(OneTime, ReleasesNoSignatureWithoutTheProofThatTheKeyIsGone) {
  auto begun = begin();
  vault_.destroys_nothing = true;
  expect_refused(begun.session->sign({{certified(content_of(begun))}, {}}), ErrorCode::token_unavailable);
  expect_refused(begun.session->sign({{certified(content_of(begun))}, {}}), ErrorCode::conflict);
  begun.session.reset();
  EXPECT_TRUE(events("key.destroyed").empty());
  vault_.destroys_nothing = false;
  sam_->maintain();
  EXPECT_TRUE(vault_.keys.empty());
  EXPECT_EQ(events("key.destroyed").size(), 1U);
  EXPECT_EQ(events("certificate.orphaned").size(), 1U);
}

TEST_F(OneTime, EndsAtItsStartWhatWasInterrupted) {
  auto begun = begin();
  const auto next = start_sam();
  EXPECT_TRUE(vault_.keys.empty());
  EXPECT_EQ(events("key.destroyed").size(), 1U);
  // The session of before finds nothing to sign with.
  expect_refused(begun.session->sign({{certified(content_of(begun))}, {}}), ErrorCode::credential_disabled);
  EXPECT_EQ(vault_.signatures, 0);
}

TEST_F(OneTime, LeavesTheKeysOfOpenSessionsAloneInItsRounds) {
  auto begun = begin();
  sam_->maintain();
  EXPECT_EQ(vault_.keys.size(), 1U);
  EXPECT_TRUE(begun.session->sign({{certified(content_of(begun))}, {}}));
}

TEST_F(OneTime, SignsWithAOneTimeKeyInItsSessionAlone) {
  std::optional<ErrorCode> refused;
  vault_.while_signing = [&](const KeyId& key) {
    const auto opened = sam_->open_signing({key, crypto::HashAlgorithm::sha256, {}, documents(), "client", "Client"});
    if (!opened) refused = opened.error().code;
  };
  auto begun = begin();
  ASSERT_TRUE(begun.session->sign({{certified(content_of(begun))}, {}}));
  EXPECT_EQ(refused, ErrorCode::credential_disabled);
}

TEST_F(OneTime, MakesKeysOfTheProfileInSessionsAlone) {
  expect_refused(sam_->open_key_generation({alice_, crypto::KeyAlgorithm::p256, "once", "client", "Client"}), ErrorCode::invalid_request);
}

TEST_F(OneTime, OpensSessionsInProfilesWithOneTimeCustodyAlone) {
  for (const auto* name : {"both", "none"})
    expect_refused(sam_->open_one_time({name, crypto::HashAlgorithm::sha256, documents(), "client", "Client"}), ErrorCode::invalid_request);
  expect_refused(sam_->open_one_time({"once", crypto::HashAlgorithm::sha384, {{Bytes(48, 1), "a"}}, "client", "Client"}),
                 ErrorCode::algorithm_refused);
  expect_refused(sam_->open_one_time({"once", crypto::HashAlgorithm::sha256, documents(4), "client", "Client"}), ErrorCode::limit_exceeded);
}

TEST_F(OneTime, CountsADocumentsPersonAcrossSessions) {
  for (int i = 0; i < 4; ++i) {
    auto begun = begin();
    ASSERT_TRUE(begun.session->sign({{certified(content_of(begun))}, {}}));
  }
  const auto ticket = opened();
  auto session = *sam_->begin_one_time();
  expect_refused(session->identify(message(ticket, token_for(ticket))), ErrorCode::limit_exceeded);
  EXPECT_TRUE(vault_.keys.empty());
}

TEST_F(OneTime, RecordsACertificateThatNoSessionSawOnceItsKeyIsDestroyed) {
  auto begun = begin();
  const auto der = certified(content_of(begun));
  const auto key = begun.made.key;
  expect_refused(sam_->report_orphan(key, der), ErrorCode::not_found);
  begun.session.reset();
  auto other = content_of(begun);
  other.spki = (*crypto::SoftwareKey::generate())->public_key().spki();
  expect_refused(sam_->report_orphan(key, certified(other)), ErrorCode::certificate_invalid);
  const auto stranger = *crypto::SoftwareKey::generate();
  expect_refused(sam_->report_orphan(key, certificate_of(*stranger, content_of(begun), clock_->now(), 1)), ErrorCode::certificate_invalid);
  EXPECT_TRUE(events("certificate.orphaned").empty());
  const auto entry = sam_->report_orphan(key, der);
  ASSERT_TRUE(entry) << entry.error().detail;
  EXPECT_EQ(events("certificate.orphaned").size(), 1U);
  expect_refused(sam_->report_orphan(key, der), ErrorCode::conflict);
  expect_refused(sam_->report_orphan(*KeyId::parse("nobodys"), der), ErrorCode::not_found);
}

TEST_F(OneTime, TakesNoProfileThatMixesFactorsAndSessions) {
  const auto refuses = [&](const std::function<void(Value&)>& spoil) {
    auto spoilt = one_time_profile();
    spoil(spoilt);
    Value document = {
        {"id", "test"},
        {"demo", true},
        {"epoch", 1},
        {"algorithms",
         {{"id", "test"},
          {"keys", Value::array({{{"algorithm", "p256"},
                                  {"generate_until", "2030-12-31T23:59:59Z"},
                                  {"certify_until", "2030-12-31T23:59:59Z"},
                                  {"sign_until", "2030-12-31T23:59:59Z"}}})},
          {"suites", Value::array({{{"suite", "ecdsa-sha256"}, {"sign_until", "2030-12-31T23:59:59Z"}}})}}},
        {"profiles", Value::array({spoilt})},
        {"terms", Value::array({{{"id", "terms"}, {"version", "1"}, {"languages", Value::array({"en"})}}})},
        {"acts", Value::array({"typed-yes"})},
        {"lock", {{"failures", 3}, {"minutes", 15}, {"wide_failures", 30}}},
        {"activation", {{"tries", 5}, {"days", 7}}},
        {"totp_issuer", "Test"},
        {"identity_providers", Value::array({provider_.document()})},
        {"operators", Value::array({{{"id", "ra-1"}, {"jwk", *json::parse(*crypto::encode_jwk(checkpoint_->public_key()))}}})},
        {"ca_anchors", Value::array({encode_base64(certificate_)})}};
    if (spoilt.contains("no_provider")) {
      document.erase("identity_providers");
      document["profiles"][0].erase("no_provider");
    }
    return !Policy::parse(json::encode(document));
  };
  EXPECT_FALSE(refuses([](Value&) {})) << "the profile itself";
  EXPECT_TRUE(refuses([](Value& p) { p["factors"] = Value::array({"pin", "totp"}); }));
  EXPECT_TRUE(refuses([](Value& p) { p.erase("one_time"); }));
  EXPECT_TRUE(refuses([](Value& p) { p["one_time"]["claims"].erase("country"); }));
  EXPECT_TRUE(refuses([](Value& p) { p["one_time"]["claims"]["serialNumber"] = ""; }));
  EXPECT_TRUE(refuses([](Value& p) { p["one_time"]["session_seconds"] = 121; }));
  EXPECT_TRUE(refuses([](Value& p) { p["one_time"]["more"] = 1; }));
  EXPECT_TRUE(refuses([](Value& p) { p["key_algorithms"] = Value::array({"p256", "p384"}); }));
  EXPECT_TRUE(refuses([](Value& p) { p["max_documents"] = 2000; }));
  EXPECT_TRUE(refuses([](Value& p) { p["no_provider"] = true; }));
}

}  // namespace
}  // namespace intaglio::sam
