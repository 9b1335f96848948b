#include "pki/tsa/time_stamping.h"

#include <gtest/gtest.h>

#include <set>

#include "pki/ca/extensions.h"
#include "pki/test_support.h"
#include "pki/tsa/unit.h"

namespace intaglio::pki {
namespace {

using crypto::HashAlgorithm;
using Failure = crypto::TimestampFailure;
using testing::TestPki;

/// Signs something else than it was asked.
class WrongSigner final : public crypto::Signer {
 public:
  explicit WrongSigner(std::shared_ptr<const crypto::Signer> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] const crypto::PublicKey& public_key() const noexcept override { return inner_->public_key(); }
  [[nodiscard]] Result<Bytes> sign_digest(crypto::SignatureSuite suite, ByteView digest) const override {
    Bytes other = to_bytes(digest);
    other.front() ^= 1U;
    return inner_->sign_digest(suite, other);
  }

 private:
  std::shared_ptr<const crypto::Signer> inner_;
};

/// Counts what it is asked to sign.
class CountingSigner final : public crypto::Signer {
 public:
  explicit CountingSigner(std::shared_ptr<const crypto::Signer> inner) : inner_(std::move(inner)) {}
  [[nodiscard]] const crypto::PublicKey& public_key() const noexcept override { return inner_->public_key(); }
  [[nodiscard]] Result<Bytes> sign_digest(crypto::SignatureSuite suite, ByteView digest) const override {
    ++asked;
    if (meanwhile) meanwhile();
    return inner_->sign_digest(suite, digest);
  }
  mutable int asked = 0;
  std::function<void()> meanwhile;

 private:
  std::shared_ptr<const crypto::Signer> inner_;
};

class TimeStamps : public ::testing::Test {
 protected:
  Result<std::unique_ptr<TimeStamping>> open(const crypto::Certificate& certificate, std::shared_ptr<const crypto::Signer> signer) {
    return TimeStamping::open(pki.timestamp_policy(), pki.authority->issuer(), certificate, std::move(signer), pki.environment());
  }
  static Bytes request(bool with_certificate = true, ByteView nonce = Bytes{0x01, 0x02, 0x03}) {
    const auto digest = crypto::sha256(as_bytes("contract"));
    return *crypto::make_timestamp_request(HashAlgorithm::sha256, digest, "2.999.2.1", nonce, with_certificate);
  }
  crypto::TimestampAnswer ask(ByteView request) { return *crypto::parse_timestamp_response(stamping->answer(request)); }
  Status verify(ByteView response, ByteView request, const std::vector<crypto::Certificate>& known = {}) {
    return crypto::verify_timestamp_response(response, request, known, {pki.root->certificate}, pki.clock->now());
  }

  TestPki pki;
  crypto::Certificate unit = *pki.authority->unit_certificate(pki.tsu_key->public_key(), pki.unit_profile());
  std::unique_ptr<TimeStamping> stamping = std::move(*open(unit, pki.tsu_key));
};

TEST_F(TimeStamps, AreGrantedAsTheProfileSays) {
  const Bytes question = request();
  const Bytes response = stamping->answer(question);
  EXPECT_TRUE(verify(response, question));
  const auto answer = *crypto::parse_timestamp_response(response);
  ASSERT_EQ(answer.failure, std::nullopt) << answer.text;
  EXPECT_EQ(answer.policy, "2.999.2.1");
  EXPECT_EQ(answer.generated_at, pki.clock->now());
  EXPECT_EQ(answer.generated_text, "20261120100000Z");
  EXPECT_EQ(answer.accuracy, std::chrono::seconds(1));
  EXPECT_EQ(answer.extensions, 0U);
  EXPECT_EQ(encode_hex(answer.nonce_der), "0203010203");
}

TEST_F(TimeStamps, CarryTheirCertificatesOnlyWhenAsked) {
  EXPECT_EQ(ask(request(true)).certificates, 2U);
  const Bytes question = request(false);
  const Bytes response = stamping->answer(question);
  EXPECT_EQ(crypto::parse_timestamp_response(response)->certificates, 0U);
  EXPECT_FALSE(verify(response, question));
  EXPECT_TRUE(verify(response, question, {unit, pki.issuing->certificate}));
}

TEST_F(TimeStamps, VerifyForTheirRequestAlone) {
  const Bytes response = stamping->answer(request());
  EXPECT_FALSE(verify(response, request(true, Bytes{9})));
  const auto other = crypto::sha256(as_bytes("invoice"));
  EXPECT_FALSE(verify(response, *crypto::make_timestamp_request(HashAlgorithm::sha256, other, "2.999.2.1", Bytes{1, 2, 3}, true)));
}

TEST_F(TimeStamps, HaveSerialNumbersThatNoOtherHas) {
  std::set<std::string> serials;
  for (int count = 0; count < 16; ++count) serials.insert(ask(request()).serial_hex);
  EXPECT_EQ(serials.size(), 16U);
  EXPECT_EQ(pki.count("pki_timestamp"), 16U);
  for (const std::string& serial : serials) EXPECT_EQ(serial.size(), 40U);
  const auto twice = pki.database->write(
      [&](storage::Transaction& transaction) { return insert_timestamp(transaction, *serials.begin(), pki.clock->now()); });
  ASSERT_FALSE(twice);
  EXPECT_EQ(twice.error().code, ErrorCode::conflict);
}

TEST_F(TimeStamps, AreInTheAuditLogBeforeTheyLeave) {
  const Bytes response = stamping->answer(request());
  const std::string events = pki.events();
  EXPECT_NE(events.find("timestamp.issued"), std::string::npos);
  EXPECT_NE(events.find(encode_base64url(crypto::sha256(response))), std::string::npos);
  EXPECT_NE(events.find(crypto::parse_timestamp_response(response)->serial_hex), std::string::npos);
}

TEST_F(TimeStamps, AreRefusedWithoutARecord) {
  ASSERT_TRUE(pki.database->write([](storage::Transaction& transaction) -> Status {
    auto done = transaction.execute("DROP TABLE pki_timestamp", {});
    return done ? Status() : Status(done.error());
  }));
  EXPECT_EQ(ask(request()).failure, Failure::system_failure);
  EXPECT_EQ(pki.events().find("timestamp.issued"), std::string::npos);
}

TEST_F(TimeStamps, StopWithoutAClockAndTellIt) {
  pki.clock->lose_synchronisation();
  EXPECT_EQ(ask(request()).failure, Failure::time_not_available);
  EXPECT_EQ(ask(request()).failure, Failure::time_not_available);
  EXPECT_EQ(pki.count("pki_timestamp"), 0U);
  pki.clock->find_synchronisation();
  EXPECT_EQ(ask(request()).failure, std::nullopt);
  const std::string events = pki.events();
  const auto stopped = events.find("timestamp.stopped");
  EXPECT_NE(stopped, std::string::npos);
  EXPECT_EQ(events.find("timestamp.stopped", stopped + 1), std::string::npos) << "told once";
  EXPECT_NE(events.find("timestamp.resumed"), std::string::npos);
}

TEST_F(TimeStamps, DoNotResumeBeforeThatIsInTheLog) {
  pki.clock->lose_synchronisation();
  EXPECT_EQ(ask(request()).failure, Failure::time_not_available);
  pki.clock->find_synchronisation();
  ASSERT_TRUE(pki.database->write([](storage::Transaction& transaction) -> Status {
    auto done = transaction.execute("ALTER TABLE audit_entries RENAME TO audit_entries_away", {});
    return done ? Status() : Status(done.error());
  }));
  EXPECT_EQ(ask(request()).failure, Failure::system_failure);
  EXPECT_FALSE(stamping->watch_clock());
  ASSERT_TRUE(pki.database->write([](storage::Transaction& transaction) -> Status {
    auto done = transaction.execute("ALTER TABLE audit_entries_away RENAME TO audit_entries", {});
    return done ? Status() : Status(done.error());
  }));
  EXPECT_EQ(ask(request()).failure, std::nullopt);
  const std::string events = pki.events();
  const auto resumed = events.find("timestamp.resumed");
  ASSERT_NE(resumed, std::string::npos);
  EXPECT_LT(resumed, events.find("timestamp.issued"));
}

TEST_F(TimeStamps, StopWhenTheClockGoesWrongWhileTheTokenSigns) {
  const auto signer = std::make_shared<CountingSigner>(pki.tsu_key);
  auto other = std::move(*open(unit, signer));
  signer->meanwhile = [this] { pki.clock->lose_synchronisation(); };
  EXPECT_EQ(crypto::parse_timestamp_response(other->answer(request()))->failure, Failure::time_not_available);
  EXPECT_EQ(signer->asked, 1);
  EXPECT_EQ(pki.count("pki_timestamp"), 0U);
}

TEST_F(TimeStamps, StopWhenTheClockWasSetBack) {
  pki.clock->advance(std::chrono::minutes(1));
  EXPECT_EQ(ask(request()).failure, std::nullopt);
  pki.clock->advance(std::chrono::seconds(-2));
  EXPECT_EQ(ask(request()).failure, std::nullopt) << "side by side the later may be recorded first";
  pki.clock->advance(std::chrono::seconds(-1));
  EXPECT_EQ(ask(request()).failure, Failure::time_not_available);
  pki.clock->advance(std::chrono::seconds(3));
  EXPECT_EQ(ask(request()).failure, std::nullopt);
}

TEST_F(TimeStamps, StopWhenTheClockMayBeOffByMoreThanTheyState) {
  pki.clock->set_largest_error(std::chrono::milliseconds(999));
  EXPECT_EQ(ask(request()).failure, std::nullopt);
  pki.clock->set_largest_error(std::chrono::milliseconds(1000));
  EXPECT_EQ(ask(request()).failure, Failure::time_not_available);
}

TEST_F(TimeStamps, EndWithTheKeyAndNotWithTheCertificate) {
  pki.clock->advance(std::chrono::days(365) - std::chrono::seconds(1));
  EXPECT_EQ(ask(request()).failure, std::nullopt);
  pki.clock->advance(std::chrono::seconds(1));
  ASSERT_LT(pki.clock->now(), unit.not_after());
  EXPECT_EQ(ask(request()).failure, Failure::system_failure);
  // The key is not certified again: its end stays.
  EXPECT_EQ(pki.authority->unit_certificate(pki.tsu_key->public_key(), pki.unit_profile())->der(), unit.der());
}

TEST_F(TimeStamps, AreNotSignedBeforeTheCertificateBeginsNorAfterTheKeyEndsNorWithoutAClock) {
  const auto signer = std::make_shared<CountingSigner>(pki.tsu_key);
  const auto refused_at = [&](UnixTime at, bool synchronised) {
    const auto clock = std::make_shared<ManualClock>(at);
    if (!synchronised) clock->lose_synchronisation();
    auto other =
        std::move(*TimeStamping::open(pki.timestamp_policy(), pki.authority->issuer(), unit, signer, {*pki.database, *pki.log, clock}));
    return crypto::parse_timestamp_response(other->answer(request()))->failure;
  };
  EXPECT_EQ(refused_at(unit.not_before() - std::chrono::seconds(1), true), Failure::system_failure);
  EXPECT_EQ(refused_at(unit.not_before() + std::chrono::days(365), true), Failure::system_failure);
  EXPECT_EQ(refused_at(unit.not_before(), false), Failure::time_not_available);
  EXPECT_EQ(signer->asked, 0);
  EXPECT_EQ(refused_at(unit.not_before(), true), std::nullopt);
  EXPECT_EQ(signer->asked, 1);
}

TEST_F(TimeStamps, EndWithTheRevocationOfTheUnitWhichSignsNothingMore) {
  const auto signer = std::make_shared<CountingSigner>(pki.tsu_key);
  auto other = std::move(*open(unit, signer));
  const auto failure = [&] { return crypto::parse_timestamp_response(other->answer(request()))->failure; };
  EXPECT_EQ(failure(), std::nullopt);
  EXPECT_TRUE(pki.authority->revoke(pki.revocation_request(unit, "tsu-1", "keyCompromise")));
  EXPECT_EQ(failure(), Failure::system_failure);
  EXPECT_EQ(signer->asked, 1);
}

TEST_F(TimeStamps, DoNotLeaveWhenTheUnitIsRevokedWhileTheTokenSigns) {
  const auto signer = std::make_shared<CountingSigner>(pki.tsu_key);
  auto other = std::move(*open(unit, signer));
  signer->meanwhile = [this] { EXPECT_TRUE(pki.authority->revoke(pki.revocation_request(unit, "tsu-1", "keyCompromise"))); };
  EXPECT_EQ(crypto::parse_timestamp_response(other->answer(request()))->failure, Failure::system_failure);
  EXPECT_EQ(pki.count("pki_timestamp"), 0U);
}

TEST_F(TimeStamps, ThatTheTokenSignedWronglyDoNotLeave) {
  auto wrong = std::move(*open(unit, std::make_shared<WrongSigner>(pki.tsu_key)));
  EXPECT_EQ(crypto::parse_timestamp_response(wrong->answer(request()))->failure, Failure::system_failure);
  EXPECT_EQ(pki.count("pki_timestamp"), 0U);
}

TEST_F(TimeStamps, StateQualificationWhenConfigured) {
  auto policy = pki.timestamp_policy();
  policy.qualified = true;
  policy.accuracy = std::chrono::milliseconds(250);
  auto qualified = std::move(*TimeStamping::open(policy, pki.authority->issuer(), unit, pki.tsu_key, pki.environment()));
  const Bytes question = request();
  const Bytes response = qualified->answer(question);
  EXPECT_TRUE(verify(response, question));
  const auto answer = *crypto::parse_timestamp_response(response);
  EXPECT_EQ(answer.extensions, 1U);
  EXPECT_EQ(answer.accuracy, std::chrono::milliseconds(250));
  // QcStatements with esi4-qtstStatement-1 (EN 319 422, 9.1): 0.4.0.19422.1.1
  EXPECT_NE(encode_hex(response).find("0607040081975e0101"), std::string::npos);
}

TEST(TimeStampTimes, AreWrittenWithTheFractionThatTheyNeed) {
  const auto written = [](std::int64_t milliseconds) {
    const Bytes info =
        crypto::encode_timestamp_info({"2.999.2.1", {}, {1}, std::chrono::milliseconds(milliseconds), std::chrono::seconds(1), {}, false});
    const std::string text(as_text(info));
    const auto begin = text.find("20");
    return text.substr(begin, text.find('Z') + 1 - begin);
  };
  EXPECT_EQ(written(1794132000000), "20261108100000Z");
  EXPECT_EQ(written(1794132000007), "20261108100000.007Z");
  EXPECT_EQ(written(1794132000120), "20261108100000.12Z");
  EXPECT_EQ(written(1794132000500), "20261108100000.5Z");
}

/// A unit's certificate of which a test spoils one extension.
class UnitCertificates : public TimeStamps {
 protected:
  Status opened_with(const std::string& oid, std::optional<crypto::ExtensionFacts> other) {
    auto content = *make_unit_template(pki.unit_profile(), pki.tsu_key->public_key(), pki.authority->issuer(), "http://pki.example",
                                       pki.clock->now(), pki.clock->now() + std::chrono::days(700));
    std::erase_if(content.extensions, [&](const auto& each) { return each.oid == oid; });
    if (other) content.extensions.push_back(*other);
    auto done = open(*sign_certificate(content, *pki.issuing_key), pki.tsu_key);
    return done ? Status() : Status(done.error());
  }
};

TEST_F(UnitCertificates, AreForTimeStampingAlone) {
  EXPECT_TRUE(opened_with("none", std::nullopt));
  EXPECT_FALSE(opened_with("2.5.29.37", std::nullopt));
  EXPECT_FALSE(opened_with("2.5.29.37", extended_key_usage({std::string(oid_time_stamping)}))) << "not critical";
  auto two = extended_key_usage({std::string(oid_time_stamping), std::string(oid_ocsp_signing)});
  two.critical = true;
  EXPECT_FALSE(opened_with("2.5.29.37", two));
}

TEST_F(UnitCertificates, SignAndNothingElse) {
  EXPECT_FALSE(opened_with("2.5.29.15", std::nullopt));
  EXPECT_FALSE(opened_with("2.5.29.15", key_usage({"digitalSignature", "keyCertSign"})));
}

TEST_F(UnitCertificates, AreNoAuthoritys) { EXPECT_FALSE(opened_with("none", basic_constraints(std::nullopt))); }

TEST_F(UnitCertificates, SetTheEndOfTheirKey) {
  EXPECT_FALSE(opened_with("2.5.29.16", std::nullopt));
  EXPECT_FALSE(opened_with("2.5.29.16", private_key_usage_period(pki.clock->now(), pki.clock->now() + std::chrono::days(701))));
}

TEST_F(UnitCertificates, AreOfTheIssuerAndOfTheUnitsKey) {
  const TestPki other;
  EXPECT_FALSE(open(*other.authority->unit_certificate(pki.tsu_key->public_key(), pki.unit_profile()), pki.tsu_key));
  const auto opened = open(unit, pki.ocsp_key);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::configuration);
}

TEST_F(UnitCertificates, ArePlainlyOneKeyForOnePurpose) {
  const auto refused = [&](const crypto::PublicKey& key) {
    const auto certificate = pki.authority->unit_certificate(key, pki.unit_profile());
    return !certificate && certificate.error().code == ErrorCode::configuration;
  };
  EXPECT_TRUE(refused(pki.issuing_key->public_key()));
  const auto material = pki.good();
  const auto signer = pki.issued(material);
  EXPECT_TRUE(refused(material.key->public_key()));
}

}  // namespace
}  // namespace intaglio::pki
