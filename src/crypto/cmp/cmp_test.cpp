#include <gtest/gtest.h>

#include <limits>

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
  std::vector<CmpIssued> noted;   ///< what the journal was told, in its order
  std::size_t asked_when_noted = 0;  ///< how many messages the authority had when it was told first
  int refusals = 0;
  Status journal_says;

  [[nodiscard]] CmpClient client_of(CmpConfig config) {
    auto client = CmpClient::make(
        std::move(config), [this](ByteView message) { return ca.answer(message); }, clock);
    if (!client) panic(client.error().detail.c_str());
    return *client;
  }
  [[nodiscard]] CmpJournal journal() {
    return {[this](const CmpIssued& issued) {
              if (noted.empty()) asked_when_noted = ca.asked.size();
              noted.push_back(issued);
              return journal_says;
            },
            [this] { ++refusals; }};
  }
  /// To the end, with a clock that goes on as long as the authority wants to be left alone.
  [[nodiscard]] Result<std::vector<Bytes>> run(const CmpClient& client) {
    auto request = client.begin(csr, journal());
    if (!request) return request.error();
    for (;;) {
      auto path = request->proceed();
      if (!path) return path.error();
      if (*path) return std::move(**path);
      waited.push_back(request->check_after());
      clock->advance(request->check_after());
    }
  }
  [[nodiscard]] Result<std::vector<Bytes>> ask() { return run(client_of(ca.client_config())); }
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

TEST_F(Cmp, AnAuthorityThatWantsToBeLeftAloneForYearsIsAskedAfterADay) {
  ca.waits = 2;
  ca.check_after = std::numeric_limits<int>::max();
  ASSERT_TRUE(ask());
  EXPECT_EQ(waited, std::vector<std::chrono::seconds>{std::chrono::hours(24)});
}

TEST_F(Cmp, AnAuthorityThatWaitsTooOftenIsGivenUp) {
  ca.waits = 1000;
  auto config = ca.client_config();
  config.max_polls = 3;
  const auto kept = run(client_of(std::move(config)));
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, ErrorCode::busy) << kept.error().detail;
  EXPECT_EQ(std::count(ca.asked.begin(), ca.asked.end(), 25), 3);
  EXPECT_EQ(waited.size(), 3U);
  EXPECT_EQ(ca.asked.back(), 23);  // error: what nobody will fetch need not be kept
}

TEST_F(Cmp, AnAuthorityThatWasNotReachedWhileItWaitsIsAskedAgain) {
  ca.waits = 2;
  bool away = false;
  const auto client = *CmpClient::make(
      ca.client_config(),
      [&](ByteView message) -> Result<Bytes> {
        return away ? Error{ErrorCode::busy, "away"} : ca.answer(message);
      },
      clock);
  auto request = *client.begin(csr, journal());
  ASSERT_FALSE(request.proceed()->has_value());
  away = true;
  EXPECT_EQ(request.proceed().error().detail, "away");
  EXPECT_TRUE(request.open());
  away = false;
  const auto path = request.proceed();
  ASSERT_TRUE(path) << path.error().detail;
  EXPECT_TRUE(path->has_value());
}

TEST_F(Cmp, ACertificateIsKeptBeforeTheAuthorityIsToldAnything) {
  ASSERT_TRUE(ask());
  ASSERT_EQ(noted.size(), 2U);
  EXPECT_EQ(asked_when_noted, 1U) << "p10cr alone";
  EXPECT_TRUE(noted.front().taken);
  EXPECT_FALSE(noted.front().implicit);
  EXPECT_TRUE(noted.front().confirmation.empty());
  EXPECT_EQ(noted.back().confirmation, ca.last_request) << "certConf, as it went out";
  EXPECT_EQ(refusals, 0);
}

TEST_F(Cmp, ACertificateThatIsNotKeptIsNotTaken) {
  journal_says = Error{ErrorCode::storage_unavailable, "the disk is full"};
  const auto error = refusal();
  EXPECT_EQ(error.code, ErrorCode::storage_unavailable) << error.detail;
  expect_refused_in_confirmation();
}

TEST_F(Cmp, ARefusalThatTheAuthorityHeardLeavesNothingOpen) {
  ca.draft = [](CertificateDraft& draft) { draft.ca = true; };
  EXPECT_EQ(refusal().code, ErrorCode::certificate_invalid);
  EXPECT_EQ(refusals, 1);
  ca.change = [](CmpResponder::Message& reply, const OSSL_CMP_MSG* request) {
    if (OSSL_CMP_MSG_get_bodytype(request) == 24) reply.reset();
  };
  EXPECT_EQ(refusal().code, ErrorCode::certificate_invalid);
  EXPECT_EQ(refusals, 1) << "its answer to certConf was lost";
  EXPECT_FALSE(noted.back().taken);
}

TEST_F(Cmp, ARefusedCertificateThatTheAuthorityHasAsConfirmedStaysOpen) {
  ca.draft = [](CertificateDraft& draft) { draft.ca = true; };
  ca.change = [&](CmpResponder::Message& reply, const OSSL_CMP_MSG* request) {
    if (OSSL_CMP_MSG_get_bodytype(request) == 24) ca.answer_with_failure(reply, request, OSSL_CMP_PKIFAILUREINFO_certConfirmed);
  };
  EXPECT_EQ(refusal().code, ErrorCode::certificate_invalid);
  EXPECT_EQ(ca.asked.back(), 24) << "it was refused in certConf";
  EXPECT_EQ(refusals, 0);
}

TEST_F(Cmp, AnAuthorityThatWaitsForNoConfirmationIsSentNone) {
  ca.grant_implicit_confirm = true;
  const auto kept = ask();
  ASSERT_TRUE(kept) << kept.error().detail;
  EXPECT_EQ(ca.asked, std::vector<int>{OSSL_CMP_P10CR});
  ASSERT_EQ(noted.size(), 1U);
  EXPECT_TRUE(noted.front().taken);
  EXPECT_TRUE(noted.front().implicit);
}

TEST_F(Cmp, AConfirmationWhoseAnswerWasLostIsSentAgain) {
  bool lost = true;
  const auto client = *CmpClient::make(
      ca.client_config(),
      [&](ByteView message) -> Result<Bytes> {
        if (lost && OSSL_CMP_MSG_get_bodytype(CmpResponder::parse(message).get()) == 24) return Error{ErrorCode::busy, "lost"};
        return ca.answer(message);
      },
      clock);
  EXPECT_EQ(run(client).error().detail, "lost");
  lost = false;
  const auto said = client.confirm_again(noted.back().confirmation);
  ASSERT_TRUE(said) << said.error().detail;
  EXPECT_EQ(*said, CmpConfirmation::confirmed);
  EXPECT_EQ(ca.confirmed, std::vector<std::string>{"PKIStatus: accepted"});
  const auto path = client.judge(noted.back().certificates, csr);
  ASSERT_TRUE(path) << path.error().detail;
  EXPECT_EQ(path->back(), ca.issuing.certificate.der());

  // OpenSSL's server forgets a transaction that is over, and answers with an error.
  const auto again = client.confirm_again(noted.back().confirmation);
  ASSERT_TRUE(again) << again.error().detail;
  EXPECT_EQ(*again, CmpConfirmation::unknown);
  // Others say that it is confirmed (PKIFailureInfo, certConfirmed).
  ca.change = [&](CmpResponder::Message& reply, const OSSL_CMP_MSG* request) { ca.answer_with_failure(reply, request, 11); };
  const auto confirmed = client.confirm_again(noted.back().confirmation);
  ASSERT_TRUE(confirmed) << confirmed.error().detail;
  EXPECT_EQ(*confirmed, CmpConfirmation::confirmed);
  EXPECT_FALSE(client.confirm_again({}));
}

TEST_F(Cmp, AnAnswerToAConfirmationIsBelievedFromTheAuthorityInItsTransactionAlone) {
  ASSERT_TRUE(ask());
  const auto client = client_of(ca.client_config());
  const auto expect = [&](std::string_view words) {
    const auto said = client.confirm_again(noted.back().confirmation);
    ASSERT_FALSE(said) << words;
    EXPECT_NE(said.error().detail.find(words), std::string::npos) << said.error().detail;
  };
  ca.change = [&](CmpResponder::Message& reply, const OSSL_CMP_MSG* request) {
    ca.answer_with_failure(reply, request, 11);
    const std::unique_ptr<ASN1_OCTET_STRING, detail::Freed<ASN1_OCTET_STRING_free>> other(ASN1_OCTET_STRING_new());
    ASN1_OCTET_STRING_set(other.get(), Bytes(16, 0x42).data(), 16);
    ASSERT_EQ(OSSL_CMP_CTX_set1_transactionID(ca.server(), other.get()), 1);
    ASSERT_EQ(OSSL_CMP_MSG_update_transactionID(ca.server(), reply.get()), 1);
  };
  expect("another transaction");
  ca.change = [&](CmpResponder::Message& reply, const OSSL_CMP_MSG* request) {
    ca.answer_with_failure(reply, request, 11, Bytes(16, 0x42));
  };
  expect("another message is answered");
  ca.change = [&](CmpResponder::Message& reply, const OSSL_CMP_MSG* request) { ca.answer_with_failure(reply, request, 11); };
  ca.spoil = [](Bytes answer) {
    // In messageTime, which nothing but the protection knows.
    const auto found = std::ranges::search(answer, std::string_view("Z"));
    if (found.empty()) panic("no messageTime");
    *(found.begin() - 1) = *(found.begin() - 1) == '1' ? '2' : '1';
    return answer;
  };
  expect("not believed");
}

TEST_F(Cmp, AnAnswerProtectedByASecretIsNotBelievedWhereSignaturesAreAgreed) {
  ca.change = [&](CmpResponder::Message& reply, const OSSL_CMP_MSG*) {
    ca.protect_by_secret("whatever");
    ASSERT_EQ(OSSL_CMP_MSG_update_transactionID(ca.server(), reply.get()), 1);
  };
  for (const auto& error : {refusal(), client_of(ca.client_config()).revoke(ca.client.certificate, RevocationReason::superseded).error()}) {
    EXPECT_EQ(error.code, ErrorCode::internal) << error.detail;
    EXPECT_EQ(error.detail, "the CA's answer is not believed: it is not protected by a signature");
  }
  EXPECT_TRUE(noted.empty());
}

TEST_F(Cmp, AnAnswerProtectedByASignatureIsNotBelievedWhereASecretIsAgreed) {
  auto config = ca.secret_config("a secret of both", "a secret of both");
  ca.change = [&](CmpResponder::Message& reply, const OSSL_CMP_MSG*) {
    ca.protect_by_signature();
    ASSERT_EQ(OSSL_CMP_MSG_update_transactionID(ca.server(), reply.get()), 1);
  };
  const auto kept = run(client_of(std::move(config)));
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().detail, "the CA's answer is not believed: it is not protected by the shared secret");
}

TEST_F(Cmp, ACertificateThatIsRevokedAlreadyIsWithdrawn) {
  const auto kept = ask();
  ASSERT_TRUE(kept);
  const auto certificate = *Certificate::parse_der(kept->front());
  const auto client = client_of(ca.client_config());
  EXPECT_TRUE(client.withdraw(certificate));
  EXPECT_EQ(ca.revoked, std::vector<std::string>{certificate.serial_hex()});
  ca.status = OSSL_CMP_PKISTATUS_rejection;
  EXPECT_TRUE(client.withdraw(certificate)) << "certRevoked";
  ca.revocation_failure = OSSL_CMP_PKIFAILUREINFO_badRequest;
  EXPECT_FALSE(client.withdraw(certificate));
}

TEST_F(Cmp, PurposesThatTheRulesNameAreTaken) {
  ca.draft = [](CertificateDraft& draft) { draft.more = {testing::purpose_extension("1.3.6.1.5.5.7.3.36")}; };
  EXPECT_FALSE(ask());
  auto config = ca.client_config();
  config.rules.extended_key_usages = {"1.3.6.1.5.5.7.3.36"};
  EXPECT_TRUE(run(client_of(std::move(config))));
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
        Fault{"AlternativeName",
              [](CmpResponder& ca) {
                ca.draft = [](CertificateDraft& draft) {
                  const Bytes names = der::sequence({der::tagged(0x81, as_bytes("bob@example.org"))});
                  draft.more = {der::sequence({der::oid("2.5.29.17"), der::octet_string(names)})};
                };
              },
              "subjectAltName"},
        Fault{"Purpose",
              [](CmpResponder& ca) {
                ca.draft = [](CertificateDraft& draft) { draft.more = {testing::purpose_extension("1.3.6.1.5.5.7.3.2")}; };
              },
              "extendedKeyUsage"},
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
  EXPECT_TRUE(run(client_of(std::move(config))));
  config = ca.client_config();
  config.allow_modifications = true;
  ca.certify_instead = *SoftwareKey::generate();
  EXPECT_FALSE(run(client_of(std::move(config))));
}

TEST_F(Cmp, ACertificateWithoutAPathToAnAnchorIsRefused) {
  auto config = ca.client_config();
  config.rules.anchors = {CmpResponder::make_authority("Another Root", nullptr, 9).certificate};
  const auto kept = run(client_of(std::move(config)));
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
  const auto kept = run(client_of(std::move(pinned)));
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
  const auto kept = run(client_of(std::move(config)));
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
  static_cast<void>(run(client));
  const auto kept = run(client);
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
      clock);
  const auto kept = run(*client);
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().detail, "not reached");
}

TEST_F(Cmp, ASharedSecretProtectsBothWays) {
  EXPECT_TRUE(run(client_of(ca.secret_config("a secret of both", "a secret of both"))));
  const auto kept = run(client_of(ca.secret_config("a secret of both", "another secret")));
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
        std::move(config), [](ByteView) -> Result<Bytes> { return Bytes{}; }, clock));
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
