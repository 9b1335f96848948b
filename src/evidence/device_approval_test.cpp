#include "evidence/device_approval.h"

#include <gtest/gtest.h>

#include <functional>

#include "base/file.h"
#include "evidence/test_support.h"

namespace intaglio::evidence {
namespace {

using test::SoftDevice;

/// An approval as the SAM keeps it.
struct Made : test::ApprovedContract {
  std::string message_id = "message-0123456789";
  SoftDevice device{};

  [[nodiscard]] DeviceApproval approval() const {
    return {.transaction = protocol::encode(transaction),
            .terms = terms,
            .act = act,
            .message_id = message_id,
            .spki = device.spki(),
            .signature = device.answer(message_id, binding()).signature};
  }
};

TEST(DeviceApproval, CanBeVerifiedAgainByWhoeverHasIt) {
  const auto encoded = encode(Made().approval());
  EXPECT_TRUE(is_device_approval(encoded));
  const auto read = parse_device_approval(encoded);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encoded);
  const auto verified = verify_approval(*read);
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->documents.at(0).label, "contract.pdf");
}

TEST(DeviceApproval, AgreesWithTheVectorOfTheContract) {
  const auto file = read_file(INTAGLIO_SOURCE_DIR "/tests/data/sap/device_approval.json", 64 * 1024);
  ASSERT_TRUE(file);
  const auto vector = *json::parse(as_text(*file));
  const auto hex = [&](const char* group, const char* name) { return *parse_hex(vector.at(group).at(name).get<std::string>()); };
  const auto encoded = hex("expected", "approval");
  EXPECT_EQ(to_bytes(ByteView(crypto::sha256(encoded))), hex("expected", "evidence"));
  const auto approval = parse_device_approval(encoded);
  ASSERT_TRUE(approval) << approval.error().detail;
  EXPECT_EQ(encode(*approval), encoded);
  EXPECT_EQ(approval->message_id, vector.at("message_id").get<std::string>());
  EXPECT_EQ(approval->signature, hex("device", "signature"));
  const auto name = device_key::name_of(hex("device", "spki"));
  EXPECT_EQ(to_bytes(ByteView(name)), hex("expected", "device"));
  const auto binding = hex("expected", "binding");
  EXPECT_EQ(device_key::approval_input(name, approval->message_id, binding), hex("expected", "signed"));
  EXPECT_EQ(device_key::possession_input(approval->spki, approval->message_id, binding), hex("expected", "registered"));
  EXPECT_TRUE(device_key::verify_possession({approval->spki, hex("device", "possession")}, approval->message_id, binding));
  EXPECT_EQ(protocol::comparison_digits(approval->transaction), vector.at("comparison").get<std::string>());
  const auto verified = verify_approval(*approval);
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->documents.at(0).label, "contract.pdf");
}

TEST(DeviceApproval, OfAnotherDocumentTermsActMessageOrDeviceIsRefused) {
  const std::vector<std::function<void(DeviceApproval&)>> changes = {
      [](auto& a) {
        Made other;
        other.transaction.documents.at(0).label = "invoice.pdf";
        a.transaction = protocol::encode(other.transaction);
      },
      [](auto& a) { a.terms.version = "2"; },
      [](auto& a) { a.act = "pressed-sign"; },
      [](auto& a) { a.message_id = "message-0123456780"; },
      [](auto& a) { a.spki = SoftDevice().spki(); },
      [](auto& a) { a.spki.clear(); },
      [](auto& a) { a.spki = (*crypto::SoftwareKey::generate(crypto::KeyAlgorithm::p384))->public_key().spki(); },
      [](auto& a) { a.signature.back() ^= 1U; },
      [](auto& a) { a.signature.clear(); },
      [](auto& a) { a.signature.pop_back(); },
      [](auto& a) { a.signature.assign(64, 0); },
      [](auto& a) { a.transaction.clear(); },
  };
  for (std::size_t at = 0; at < changes.size(); ++at) {
    auto approval = Made().approval();
    changes[at](approval);
    EXPECT_FALSE(verify_approval(approval)) << at;
  }
}

TEST(DeviceApproval, IsOfDocumentsAndNothingElse) {
  Made made;
  made.transaction.purpose = protocol::Purpose::destroy;
  made.transaction.certificate_digest.clear();
  made.transaction.hash = 0;
  made.transaction.suites.clear();
  made.transaction.documents.clear();
  ASSERT_TRUE(protocol::parse_transaction(protocol::encode(made.transaction)));
  EXPECT_FALSE(verify_approval(made.approval()));
}

TEST(DeviceApproval, IsReadOnlyAsItIsWritten) {
  const auto encoded = encode(Made().approval());
  for (std::size_t size = 0; size < encoded.size(); ++size) EXPECT_FALSE(parse_device_approval(ByteView(encoded).first(size))) << size;
  auto longer = encoded;
  longer.push_back(0);
  EXPECT_FALSE(parse_device_approval(longer));
  EXPECT_FALSE(parse_device_approval(Bytes(70'000, 0)));
}

TEST(DeviceKey, IsOnP256AndWrittenInOneWay) {
  const SoftDevice device;
  EXPECT_TRUE(device_key::parse_key(device.spki()));
  for (const auto algorithm : {crypto::KeyAlgorithm::p384, crypto::KeyAlgorithm::p521, crypto::KeyAlgorithm::rsa2048})
    EXPECT_FALSE(device_key::parse_key((*crypto::SoftwareKey::generate(algorithm))->public_key().spki()));
  auto longer = device.spki();
  longer.push_back(0);
  EXPECT_FALSE(device_key::parse_key(longer));
  // The same point, compressed: 02 or 03 and x.
  const auto& spki = device.spki();
  Bytes compressed(spki.begin(), spki.begin() + 59);
  compressed[1] = 0x39;
  compressed[24] = 0x22;
  compressed[26] = (spki.back() & 1U) != 0 ? 0x03 : 0x02;
  EXPECT_FALSE(device_key::parse_key(compressed));
  auto off_the_curve = spki;
  off_the_curve.back() ^= 1U;
  EXPECT_FALSE(device_key::parse_key(off_the_curve));
}

TEST(DeviceKey, WhatItSignsForOnePurposeIsNothingForAnother) {
  const SoftDevice device;
  const auto binding = crypto::sha256(as_bytes("a binding"));
  const std::string id = "message-0123456789";
  const auto approves = device_key::approval_input(device.name(), id, binding);
  EXPECT_TRUE(device_key::verify(device.key->public_key(), approves, device.sign(approves)));
  const auto registers = device.registration(id, binding);
  EXPECT_TRUE(device_key::verify_possession(registers, id, binding));
  EXPECT_FALSE(device_key::verify(device.key->public_key(), approves, registers.signature));
  EXPECT_FALSE(device_key::verify_possession({device.spki(), device.answer(id, binding).signature}, id, binding));
  EXPECT_FALSE(device_key::verify_possession(registers, "message-0123456780", binding));
  EXPECT_FALSE(device_key::verify_possession(registers, id, crypto::sha256(as_bytes("another"))));
  EXPECT_FALSE(device_key::verify_possession({SoftDevice().spki(), registers.signature}, id, binding));
  // The digest, as a careless device would sign it, and another hash.
  EXPECT_FALSE(device_key::verify(device.key->public_key(), approves, device.sign(binding)));
  EXPECT_FALSE(device_key::verify(device.key->public_key(), approves, device.sign_with_sha512(approves)));
  // DER, which other places take.
  EXPECT_FALSE(device_key::verify(device.key->public_key(), approves, *crypto::ecdsa_to_der(device.sign(approves))));
}

}  // namespace
}  // namespace intaglio::evidence
