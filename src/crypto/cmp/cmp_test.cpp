#include <gtest/gtest.h>

#include "crypto/cmp/test_responder.h"

namespace intaglio::crypto {
namespace {

using testing::CertificateDraft;
using testing::CmpResponder;

/// A client and an authority, with a clock that the client's waiting moves.
struct Cmp : ::testing::Test {
  CmpResponder ca;
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(from_unix_seconds(CmpResponder::start));
  std::shared_ptr<SoftwareKey> signer = *SoftwareKey::generate();
  Bytes csr = testing::request_of("Ann Example", *signer);
  std::vector<std::chrono::seconds> waited;

  [[nodiscard]] CmpClient client_of(CmpConfig config) {
    auto client = CmpClient::make(
        std::move(config), [this](ByteView message) { return ca.answer(message); },
        [this](std::chrono::seconds pause) {
          waited.push_back(pause);
          clock->advance(pause);
        },
        clock);
    if (!client) panic(client.error().detail.c_str());
    return *client;
  }
  [[nodiscard]] Result<std::vector<Bytes>> ask() { return client_of(ca.client_config()).request(csr); }
  /// The refusal of a request that the authority answers as it is set up.
  [[nodiscard]] Error refusal() {
    const auto answer = ask();
    return answer ? Error{ErrorCode::internal, "it was taken"} : answer.error();
  }
  /// That the authority was told, in certConf, that its certificate is not taken.
  void expect_refused_in_confirmation() const {
    ASSERT_EQ(ca.confirmed.size(), 1U);
    EXPECT_NE(ca.confirmed.front().find("rejection"), std::string::npos) << ca.confirmed.front();
    EXPECT_NE(ca.confirmed.front().find("badCertTemplate"), std::string::npos) << ca.confirmed.front();
  }
};

struct Fault {
  const char* name;
  void (*make)(CmpResponder&);
  const char* words;
};
void PrintTo(const Fault& fault, std::ostream* out) { *out << fault.name; }
struct IssuedFault : Cmp, ::testing::WithParamInterface<Fault> {};

TEST_F(Cmp, ACertificateForTheRequestIsConfirmedAndKeptWithItsIssuer) {
  const auto kept = ask();
  ASSERT_TRUE(kept) << kept.error().detail;
  ASSERT_EQ(kept->size(), 2U);
  const auto leaf = *Certificate::parse_der(kept->front());
  EXPECT_EQ(leaf.public_key()->spki(), signer->public_key().spki());
  EXPECT_EQ(kept->back(), ca.issuing.certificate.der());
  EXPECT_EQ(ca.asked, (std::vector<int>{OSSL_CMP_P10CR, 24}));  // then certConf
  EXPECT_EQ(ca.confirmed, std::vector<std::string>{"PKIStatus: accepted"});
}

TEST_F(Cmp, AWaitingAuthorityIsAskedAgainAsOftenAsItSays) {
  ca.waits = 3;
  ca.check_after = 7;
  const auto kept = ask();
  ASSERT_TRUE(kept) << kept.error().detail;
  EXPECT_EQ(ca.asked, (std::vector<int>{OSSL_CMP_P10CR, 25, 25, 25, 24}));  // pollReq, then certConf
  EXPECT_EQ(ca.confirmed, std::vector<std::string>{"PKIStatus: accepted"});
  EXPECT_FALSE(waited.empty());
  EXPECT_EQ(waited.back(), std::chrono::seconds(7));
}

TEST_F(Cmp, AnAuthorityThatWaitsTooOftenIsGivenUp) {
  ca.waits = 1000;
  auto config = ca.client_config();
  config.max_polls = 3;
  const auto kept = client_of(std::move(config)).request(csr);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, ErrorCode::busy) << kept.error().detail;
  EXPECT_EQ(std::count(ca.asked.begin(), ca.asked.end(), 25), 3);
  EXPECT_EQ(ca.asked.back(), 23);  // error: what nobody will fetch need not be kept
}

TEST_F(Cmp, AnAuthorityThatWantsToWaitBeyondTheDeadlineIsGivenUpAtOnce) {
  ca.waits = 2;
  ca.check_after = 3600;
  EXPECT_EQ(refusal().code, ErrorCode::busy);
  EXPECT_LE(waited.size(), 1U);
}

TEST_F(Cmp, NothingIsSentAfterTheDeadline) {
  ca.change = [&](CmpResponder::Message&, const OSSL_CMP_MSG*) { clock->advance(std::chrono::seconds(61)); };
  const auto error = refusal();
  EXPECT_EQ(error.code, ErrorCode::busy) << error.detail;
  EXPECT_TRUE(ca.confirmed.empty());
}

TEST_P(IssuedFault, IsNamedAndRefusedInTheConfirmation) {
  GetParam().make(ca);
  const auto error = refusal();
  EXPECT_EQ(error.code, ErrorCode::certificate_invalid);
  EXPECT_NE(error.detail.find(GetParam().words), std::string::npos) << error.detail;
  expect_refused_in_confirmation();
}
INSTANTIATE_TEST_SUITE_P(
    Each, IssuedFault,
    ::testing::Values(
        Fault{"OtherKey", [](CmpResponder& ca) { ca.certify_instead = *SoftwareKey::generate(); }, "another key"},
        Fault{"OtherSubject",
              [](CmpResponder& ca) {
                ca.draft = [](CertificateDraft& draft) { draft.subject_der = testing::name_of_common("Bob Example"); };
              },
              "another subject"},
        Fault{"OtherIssuer",
              [](CmpResponder& ca) {
                ca.issue_by = &ca.stranger;
                ca.sent_along = {ca.stranger.certificate};
              },
              "not of a configured issuer"},
        Fault{"Authority", [](CmpResponder& ca) { ca.draft = [](CertificateDraft& draft) { draft.ca = true; }; }, "is an authority's"},
        Fault{"Usage", [](CmpResponder& ca) { ca.draft = [](CertificateDraft& draft) { draft.usage = der::bit_string(Bytes{0xC0}, 6); }; },
              "nonRepudiation alone"},
        Fault{"Validity", [](CmpResponder& ca) { ca.draft = [](CertificateDraft& draft) { draft.not_after += 86400 * 800; }; },
              "valid longer"},
        Fault{"NotYetValid",
              [](CmpResponder& ca) { ca.draft = [](CertificateDraft& draft) { draft.not_before = CmpResponder::start + 60; }; },
              "not yet valid"},
        Fault{"SerialZero", [](CmpResponder& ca) { ca.draft = [](CertificateDraft& draft) { draft.serial = {0}; }; }, "serial number"},
        Fault{"SerialNegative", [](CmpResponder& ca) { ca.draft = [](CertificateDraft& draft) { draft.serial = {0x80}; }; },
              "serial number"},
        Fault{"SerialLong", [](CmpResponder& ca) { ca.draft = [](CertificateDraft& draft) { draft.serial = Bytes(21, 0x11); }; },
              "serial number"},
        Fault{"Modified", [](CmpResponder& ca) { ca.status = OSSL_CMP_PKISTATUS_grantedWithMods; }, "with modifications"},
        Fault{"Warned", [](CmpResponder& ca) { ca.status = OSSL_CMP_PKISTATUS_revocationWarning; }, "with a warning"}),
    [](const auto& each) { return each.param.name; });

TEST_F(Cmp, AModifiedCertificateIsTakenWhereTheConfigurationAllowsItAndItsContentIsJudgedStill) {
  ca.status = OSSL_CMP_PKISTATUS_grantedWithMods;
  auto config = ca.client_config();
  config.allow_modifications = true;
  EXPECT_TRUE(client_of(std::move(config)).request(csr));
  config = ca.client_config();
  config.allow_modifications = true;
  ca.certify_instead = *SoftwareKey::generate();
  EXPECT_FALSE(client_of(std::move(config)).request(csr));
}

TEST_F(Cmp, ACertificateWithoutAPathToAnAnchorIsRefused) {
  auto config = ca.client_config();
  config.rules.anchors = {CmpResponder::make_authority("Another Root", nullptr, 9).certificate};
  const auto kept = client_of(std::move(config)).request(csr);
  ASSERT_FALSE(kept);
  EXPECT_NE(kept.error().detail.find("path"), std::string::npos) << kept.error().detail;
  expect_refused_in_confirmation();
}

TEST_F(Cmp, ARejectionIsToldInTheAuthoritysWords) {
  ca.status = OSSL_CMP_PKISTATUS_rejection;
  const auto error = refusal();
  EXPECT_EQ(error.code, ErrorCode::not_authorised);
  EXPECT_NE(error.detail.find("badCertTemplate"), std::string::npos) << error.detail;
  EXPECT_NE(error.detail.find("not this person"), std::string::npos) << error.detail;
  EXPECT_TRUE(ca.confirmed.empty());
}

TEST_F(Cmp, AnotherProtectionThanThePinnedOneIsNotBelieved) {
  // The same name under the same root, and another key.
  const auto config = [&] { return ca.client_config(); };
  auto pinned = config();
  ca.protect_with(CmpResponder::make_party("Test CMP", ca.root, 6));
  const auto kept = client_of(std::move(pinned)).request(csr);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, ErrorCode::internal);
  EXPECT_NE(kept.error().detail.find("not believed"), std::string::npos) << kept.error().detail;
}

TEST_F(Cmp, AnErrorWithoutProtectionIsNotBelieved) {
  ca.status = OSSL_CMP_PKISTATUS_rejection;
  OSSL_CMP_SRV_CTX_set_send_unprotected_errors(ca.service(), 1);
  // A client that the authority does not know gets an error message, unprotected.
  auto config = ca.client_config();
  const auto foreign = CmpResponder::make_authority("Foreign Root", nullptr, 7);
  const auto party = CmpResponder::make_party("Test RA", foreign, 8);
  config.signature->certificate = party.certificate;
  config.signature->private_key = *party.key->encode_pem();
  const auto kept = client_of(std::move(config)).request(csr);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, ErrorCode::internal) << kept.error().detail;
  EXPECT_NE(kept.error().detail.find("not believed"), std::string::npos) << kept.error().detail;
}

TEST_F(Cmp, AnAnswerOfAnotherTransactionIsNotBelieved) {
  ca.change = [&](CmpResponder::Message& reply, const OSSL_CMP_MSG*) {
    const std::unique_ptr<ASN1_OCTET_STRING, detail::Freed<ASN1_OCTET_STRING_free>> other(ASN1_OCTET_STRING_new());
    ASN1_OCTET_STRING_set(other.get(), Bytes(16, 0x42).data(), 16);
    ASSERT_EQ(OSSL_CMP_CTX_set1_transactionID(ca.server(), other.get()), 1);
    ASSERT_EQ(OSSL_CMP_MSG_update_transactionID(ca.server(), reply.get()), 1);
  };
  const auto error = refusal();
  EXPECT_NE(error.detail.find("transactionid"), std::string::npos) << error.detail;
}

TEST_F(Cmp, AnEarlierAnswerUnderTheNewTransactionIdIsNotBelieved) {
  CmpResponder::Message earlier;
  ca.change = [&](CmpResponder::Message& reply, const OSSL_CMP_MSG* request) {
    if (!earlier) {
      earlier.reset(OSSL_CMP_MSG_dup(reply.get()));
      return;
    }
    ASSERT_EQ(OSSL_CMP_CTX_set1_transactionID(ca.server(), OSSL_CMP_HDR_get0_transactionID(OSSL_CMP_MSG_get0_header(request))), 1);
    reply.reset(OSSL_CMP_MSG_dup(earlier.get()));
    ASSERT_EQ(OSSL_CMP_MSG_update_transactionID(ca.server(), reply.get()), 1);
  };
  auto config = ca.client_config();
  config.deadline = std::chrono::seconds(60);
  const auto client = client_of(std::move(config));
  static_cast<void>(client.request(csr));
  const auto kept = client.request(csr);
  ASSERT_FALSE(kept);
  EXPECT_NE(kept.error().detail.find("nonce"), std::string::npos) << kept.error().detail;
}

TEST_F(Cmp, AMessageBeyondTheBoundIsRefused) {
  ca.spoil = [](Bytes answer) {
    answer.resize(max_cmp_message_bytes + 1);
    return answer;
  };
  EXPECT_EQ(refusal().code, ErrorCode::too_large);
}

TEST_F(Cmp, BytesAfterTheMessageAreRefused) {
  ca.spoil = [](Bytes answer) {
    answer.push_back(0);
    return answer;
  };
  EXPECT_EQ(refusal().detail, "bytes after the CA's message");
}

TEST_F(Cmp, MoreCertificatesThanTheBoundAreRefused) {
  for (std::size_t count = 0; count <= max_cmp_extra_certificates; ++count) {
    ca.sent_along.push_back(CmpResponder::make_authority("Along " + std::to_string(count), nullptr, 40).certificate);
  }
  const auto error = refusal();
  EXPECT_EQ(error.code, ErrorCode::too_large) << error.detail;
}

TEST_F(Cmp, WhatIsNoMessageIsRefused) {
  for (const Bytes& octets : {Bytes{}, Bytes{0x30, 0x00}, Bytes{0x30, 0x80, 0x00, 0x00}, Bytes(100, 0xFF)}) {
    ca.spoil = [&](const Bytes&) { return octets; };
    EXPECT_EQ(refusal().code, ErrorCode::internal);
  }
}

TEST_F(Cmp, WhatTheTransportSaysIsTold) {
  const auto client = CmpClient::make(
      ca.client_config(),
      [](ByteView) -> Result<Bytes> {
        return Error{ErrorCode::busy, "not reached"};
      },
      [](std::chrono::seconds) {}, clock);
  const auto kept = client->request(csr);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().detail, "not reached");
}

TEST_F(Cmp, ASharedSecretProtectsBothWays) {
  EXPECT_TRUE(client_of(ca.secret_config("a secret of both", "a secret of both")).request(csr));
  const auto kept = client_of(ca.secret_config("a secret of both", "another secret")).request(csr);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, ErrorCode::internal) << kept.error().detail;
}

TEST_F(Cmp, APinnedCertificateThatHasEndedIsNotUsed) {
  clock->advance(std::chrono::hours(24 * 365 * 2));
  const auto error = refusal();
  EXPECT_EQ(error.code, ErrorCode::configuration) << error.detail;
  EXPECT_TRUE(ca.asked.empty());
}

TEST_F(Cmp, ARevocationNamesTheCertificateAndTheReason) {
  const auto kept = ask();
  ASSERT_TRUE(kept);
  const auto certificate = *Certificate::parse_der(kept->front());
  const auto client = client_of(ca.client_config());
  for (const auto reason : {RevocationReason::key_compromise, RevocationReason::certificate_hold, RevocationReason::remove_from_crl}) {
    ASSERT_TRUE(client.revoke(certificate, reason));
    // reasonCode (RFC 5280, 5.3.1) in crlEntryDetails
    const Bytes entry = der::concatenate({der::oid("2.5.29.21"), der::octet_string(der::enumerated(static_cast<std::uint8_t>(reason)))});
    EXPECT_FALSE(std::ranges::search(ca.last_request, entry).empty());
  }
  EXPECT_EQ(ca.revoked, std::vector<std::string>(3, certificate.serial_hex()));
}

TEST_F(Cmp, ARefusedRevocationIsToldInTheAuthoritysWords) {
  const auto kept = ask();
  ASSERT_TRUE(kept);
  ca.status = OSSL_CMP_PKISTATUS_rejection;
  const auto revoked = client_of(ca.client_config()).revoke(*Certificate::parse_der(kept->front()), RevocationReason::superseded);
  ASSERT_FALSE(revoked);
  EXPECT_EQ(revoked.error().code, ErrorCode::not_authorised);
  EXPECT_NE(revoked.error().detail.find("revoked before"), std::string::npos) << revoked.error().detail;
}

TEST_F(Cmp, AClientIsNotMadeOfHalfAConfiguration) {
  const auto made = [&](CmpConfig config) {
    return static_cast<bool>(CmpClient::make(
        std::move(config), [](ByteView) -> Result<Bytes> { return Bytes{}; }, [](std::chrono::seconds) {}, clock));
  };
  EXPECT_TRUE(made(ca.client_config()));
  auto both = ca.client_config();
  both.secret.emplace(CmpSecretProtection{"ra", Secret(as_bytes("secret"))});
  EXPECT_FALSE(made(std::move(both)));
  auto none = ca.client_config();
  none.signature.reset();
  EXPECT_FALSE(made(std::move(none)));
  auto foreign_key = ca.client_config();
  foreign_key.signature->private_key = *signer->encode_pem();
  EXPECT_FALSE(made(std::move(foreign_key)));
  auto no_issuer = ca.client_config();
  no_issuer.rules.issuers.clear();
  EXPECT_FALSE(made(std::move(no_issuer)));
  auto no_anchor = ca.client_config();
  no_anchor.rules.anchors.clear();
  EXPECT_FALSE(made(std::move(no_anchor)));
}

}  // namespace
}  // namespace intaglio::crypto
