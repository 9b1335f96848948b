#include "evidence/approval.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/file.h"
#include "evidence/test_support.h"

namespace intaglio::evidence {
namespace {

/// An approval as the SAM keeps it.
struct Made : test::ApprovedContract {
  test::SoftPasskey passkey{};

  [[nodiscard]] Approval approval() {
    return {.transaction = protocol::encode(transaction),
            .terms = terms,
            .act = act,
            .rp_id = test::rp_id,
            .origins = {test::origin},
            .spki = passkey.key->public_key().spki(),
            .suite = 7,
            .backup_eligible = false,
            .response = passkey.answer(binding())};
  }
};

TEST(Approval, CanBeVerifiedAgainByWhoeverHasIt) {
  const auto encoded = encode(Made().approval());
  const auto read = parse_approval(encoded);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encoded);
  const auto verified = verify_approval(*read);
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->documents.at(0).label, "contract.pdf");
}

TEST(Approval, AgreesWithTheVectorOfTheContract) {
  const auto file = read_file(INTAGLIO_SOURCE_DIR "/tests/data/sap/approval.json", 64 * 1024);
  ASSERT_TRUE(file);
  const auto vector = *json::parse(as_text(*file));
  const auto hex = [&](const char* group, const char* name) { return *parse_hex(vector.at(group).at(name).get<std::string>()); };
  const auto encoded = hex("expected", "approval");
  EXPECT_EQ(to_bytes(ByteView(crypto::sha256(encoded))), hex("expected", "evidence"));
  const auto approval = parse_approval(encoded);
  ASSERT_TRUE(approval) << approval.error().detail;
  EXPECT_EQ(encode(*approval), encoded);
  EXPECT_EQ(approval->rp_id, vector.at("rp_id").get<std::string>());
  EXPECT_EQ(approval->origins, vector.at("origins").get<std::vector<std::string>>());
  EXPECT_EQ(approval->response.signature, hex("passkey", "signature"));
  EXPECT_EQ(as_text(approval->response.client_data), vector.at("passkey").at("client_data").get<std::string>());
  EXPECT_EQ(to_bytes(ByteView(passkey_digest(hex("passkey", "id"), hex("passkey", "spki")))), hex("expected", "passkey"));
  const auto verified = verify_approval(*approval);
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->documents.at(0).label, "contract.pdf");
}

TEST(Approval, OfAnotherDocumentTermsActOrPasskeyIsRefused) {
  const std::vector<std::function<void(Approval&)>> changes = {
      [](auto& a) {
        Made other;
        other.transaction.documents.at(0).label = "invoice.pdf";
        a.transaction = protocol::encode(other.transaction);
      },
      [](auto& a) { a.terms.version = "2"; },
      [](auto& a) { a.act = "pressed-sign"; },
      [](auto& a) { a.rp_id = "evil.example.org"; },
      [](auto& a) { a.origins = {"https://evil.example.org"}; },
      [](auto& a) { a.spki = test::SoftPasskey().key->public_key().spki(); },
      [](auto& a) { a.spki.clear(); },
      [](auto& a) { a.suite = 99; },
      [](auto& a) { a.response.signature.back() ^= 1U; },
      [](auto& a) { a.transaction.clear(); },
  };
  for (std::size_t at = 0; at < changes.size(); ++at) {
    auto approval = Made().approval();
    changes[at](approval);
    EXPECT_FALSE(verify_approval(approval)) << at;
  }
}

TEST(Approval, IsOfDocumentsAndNothingElse) {
  Made made;
  made.transaction.purpose = protocol::Purpose::destroy;
  made.transaction.certificate_digest.clear();
  made.transaction.hash = 0;
  made.transaction.suites.clear();
  made.transaction.documents.clear();
  ASSERT_TRUE(protocol::parse_transaction(protocol::encode(made.transaction)));
  EXPECT_FALSE(verify_approval(made.approval()));
}

TEST(Approval, IsReadOnlyAsItIsWritten) {
  const auto encoded = encode(Made().approval());
  for (std::size_t size = 0; size < encoded.size(); size += 7) EXPECT_FALSE(parse_approval(ByteView(encoded).first(size))) << size;
  auto longer = encoded;
  longer.push_back(0);
  EXPECT_FALSE(parse_approval(longer));
  EXPECT_FALSE(parse_approval(Bytes(70'000, 0)));
}

}  // namespace
}  // namespace intaglio::evidence
