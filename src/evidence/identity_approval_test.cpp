#include "evidence/identity_approval.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/file.h"
#include "crypto/test_support.h"
#include "evidence/test_identity.h"
#include "evidence/test_support.h"

namespace intaglio::evidence {
namespace {

const UnixTime now = from_unix_seconds(1'800'000'000);
const std::string ada = "199001011234";

/// An approval as the SAM keeps it.
struct Made : test::ApprovedContract {
  test::SoftProvider provider{};

  [[nodiscard]] IdentityApproval approval(const json::Value& changes = json::Value::object()) const {
    return {.transaction = protocol::encode(transaction),
            .terms = terms,
            .act = act,
            .provider = provider.policy(),
            .salt = Bytes(16, 3),
            .subject = ada,
            .taken = now,
            .token = provider.answer(binding(), ada, now, changes)};
  }
};

TEST(IdentityApproval, CanBeVerifiedAgainByWhoeverHasIt) {
  const auto encoded = encode(Made().approval());
  EXPECT_TRUE(is_identity_approval(encoded));
  const auto read = parse_identity_approval(encoded);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encoded);
  const auto verified = verify_approval(*read);
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->documents.at(0).label, "contract.pdf");
}

TEST(IdentityApproval, AgreesWithTheVectorOfTheContract) {
  const auto file = read_file(INTAGLIO_SOURCE_DIR "/tests/data/sap/identity_approval.json", 64 * 1024);
  ASSERT_TRUE(file);
  const auto vector = *json::parse(as_text(*file));
  const auto text = [](const json::Value& object, const char* name) { return object.at(name).get<std::string>(); };
  const auto& expected = vector.at("expected");
  const auto encoded = *parse_hex(text(expected, "approval"));
  EXPECT_EQ(encode_hex(crypto::sha256(encoded)), text(expected, "evidence"));
  const auto read = parse_identity_approval(encoded);
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_EQ(encode(*read), encoded);
  EXPECT_EQ(read->provider.issuer, text(vector.at("provider"), "issuer"));
  EXPECT_EQ(read->token, text(vector, "token"));
  EXPECT_EQ(encode_hex(identity_digest(read->salt, read->provider.issuer, read->subject)), text(expected, "identity"));
  const auto verified = verify_approval(*read);
  EXPECT_TRUE(verified) << verified.error().detail;
}

TEST(IdentityApproval, HoldsThePinnedAuthorityToo) {
  using crypto::testing::issue;
  const auto root_key = *crypto::SoftwareKey::generate();
  auto approval = Made().approval();
  approval.provider.trust = id_token::PinnedAuthority{
      {issue("Root", root_key->public_key(), "Root", *root_key, true)}, "CN=ID tokens,C=DE", id_token::Algorithm::es256};
  const auto encoded = encode(approval);
  const auto read = parse_identity_approval(encoded);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encoded);
  EXPECT_FALSE(verify_approval(*read)) << "the token brings no certificate of that authority";
}

TEST(IdentityApproval, OfAnotherDocumentTermsActPersonProviderOrTimeIsRefused) {
  const std::vector<std::function<void(IdentityApproval&)>> changes = {
      [](auto& a) {
        Made other;
        other.transaction.documents.at(0).label = "invoice.pdf";
        a.transaction = protocol::encode(other.transaction);
      },
      [](auto& a) { a.terms.version = "2"; },
      [](auto& a) { a.act = "pressed-sign"; },
      [](auto& a) { a.subject = "199001011235"; },
      [](auto& a) { a.provider.issuer = "https://evil.example.org"; },
      [](auto& a) { a.provider.client_id = "somebody"; },
      [](auto& a) { a.provider.acr = {"another"}; },
      [](auto& a) { a.provider = test::SoftProvider().policy(); },
      [](auto& a) { a.taken = now + std::chrono::minutes(5); },
      [](auto& a) { a.taken = now - std::chrono::minutes(1); },
      [](auto& a) { a.token.back() = a.token.back() == 'A' ? 'Q' : 'A'; },
      [](auto& a) { a.token.clear(); },
      [](auto& a) { a.transaction.clear(); },
  };
  for (std::size_t at = 0; at < changes.size(); ++at) {
    auto approval = Made().approval();
    changes[at](approval);
    EXPECT_FALSE(verify_approval(approval)) << at;
  }
  EXPECT_FALSE(verify_approval(Made().approval({{"sub", "199001011235"}})));
}

TEST(IdentityApproval, IsOfDocumentsAndNothingElse) {
  Made made;
  made.transaction.purpose = protocol::Purpose::destroy;
  made.transaction.certificate_digest.clear();
  made.transaction.hash = 0;
  made.transaction.suites.clear();
  made.transaction.documents.clear();
  ASSERT_TRUE(protocol::parse_transaction(protocol::encode(made.transaction)));
  EXPECT_FALSE(verify_approval(made.approval()));
}

TEST(IdentityApproval, IsReadOnlyAsItIsWritten) {
  const auto encoded = encode(Made().approval());
  for (std::size_t size = 0; size < encoded.size(); size += 7) EXPECT_FALSE(parse_identity_approval(ByteView(encoded).first(size))) << size;
  auto longer = encoded;
  longer.push_back(0);
  EXPECT_FALSE(parse_identity_approval(longer));
  EXPECT_FALSE(parse_identity_approval(Bytes(140'000, 0)));
  auto unbounded = Made().approval();
  unbounded.provider.acr.assign(9, "level");
  EXPECT_FALSE(parse_identity_approval(encode(unbounded)));
}

TEST(IdentityApproval, TheLogNamesAnIdentityBySaltIssuerAndSubject) {
  const auto digest = identity_digest(Bytes(16, 3), "https://id.example.org", ada);
  EXPECT_NE(digest, identity_digest(Bytes(16, 4), "https://id.example.org", ada));
  EXPECT_NE(digest, identity_digest(Bytes(16, 3), "https://id.example.org1", ada.substr(1)));
  EXPECT_NE(digest, identity_digest(Bytes(16, 3), "https://id.example.org", "199001011235"));
}

}  // namespace
}  // namespace intaglio::evidence
