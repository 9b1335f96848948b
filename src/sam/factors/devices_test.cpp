#include "sam/factors/devices.h"

#include "sam/testing/factors_fixture.h"

namespace intaglio::sam {
namespace {

using testing::expect_refused;
using testing::SoftDevice;
using testing::Value;

/// A signer with a PIN and a registered device.
class DevicesTest : public testing::FactorsTest {
 protected:
  void SetUp() override {
    FactorsTest::SetUp();
    use_profiles(with_device_);
    enrol(alice_, /*pin=*/true, /*seed=*/false, {});
    ASSERT_TRUE(put(device_));
  }
  Status put(const SoftDevice& device, bool alone = false, const std::optional<SignerId>& whose = {}) {
    const auto id = next_message();
    const auto added = factors_->devices().verify_new(device.registration(id, binding_), id, binding_);
    if (!added) return added.error();
    return database_->write(
        [&](storage::Transaction& write) { return factors_->devices().put(write, records_.at(whose.value_or(alice_)), *added, alone); });
  }
  /// The id of the SAP message that comes next; each has another.
  std::string next_message() { return message_ = *crypto::random_id(); }
  /// What a device signs of a new transaction and the message that comes next.
  evidence::device_key::Answer answer(const SoftDevice& device) {
    binding_ = crypto::sha256(binding_);
    return device.answer(next_message(), binding_);
  }
  evidence::device_key::Answer answer() { return answer(device_); }
  Result<FactorsProven> attempt(const SignerId& id, const std::string& pin, std::optional<evidence::device_key::Answer> device,
                                const std::string& totp = {}, const std::optional<Demand>& demand = {}) {
    if (!device) next_message();
    return factors_->verify(id, message_, clock_->now() + std::chrono::minutes(5),
                            ShownFactors{.pin = pin.empty() ? Secret() : Secret(as_bytes(pin)),
                                         .secret_kind = Factor::pin,
                                         .totp = totp.empty() ? Secret() : Secret(as_bytes(totp)),
                                         .passkey = std::nullopt,
                                         .device = std::move(device),
                                         .id_token = std::nullopt,
                                         .binding = binding_},
                            demand.value_or(Demand{&policy_->profiles().front()}));
  }
  void serve(int per_signer) {
    devices_per_signer_ = per_signer;
    use_profiles(with_device_);
  }

  const Value with_device_ =
      Value::array({profile("device", Value::array({Value::array({"pin", "device"}), Value::array({"pin", "totp"})}))});
  const SignerId bob_ = *SignerId::parse("bob");
  SoftDevice device_;
  std::string message_;
};

TEST_F(DevicesTest, PinAndDeviceProveASignerAndSayWhatWasSigned) {
  const auto shown = answer();
  const auto proven = attempt(alice_, pin_, shown);
  ASSERT_TRUE(proven) << proven.error().detail;
  EXPECT_EQ(proven->shown().text(), "pin device");
  ASSERT_TRUE(proven->device());
  EXPECT_EQ(proven->device()->device.spki, device_.spki());
  EXPECT_EQ(proven->device()->message_id, message_);
  EXPECT_EQ(proven->device()->signature, shown.signature);
}

TEST_F(DevicesTest, ADeviceProvesNobodyAloneAndNeitherDoesThePin) {
  expect_refused(attempt(alice_, "", answer()), ErrorCode::authentication_failed);
  expect_refused(attempt(alice_, pin_, {}), ErrorCode::authentication_failed);
}

TEST_F(DevicesTest, WhatThisDeviceDidNotSignForThisMessageProvesNobody) {
  const SoftDevice other;
  enrol(bob_, /*pin=*/true, /*seed=*/false, {});
  ASSERT_TRUE(put(other, /*alone=*/false, bob_));
  const auto p384 = *crypto::SoftwareKey::generate(crypto::KeyAlgorithm::p384);
  using evidence::device_key::Answer;
  using Wrong = std::function<Answer(const std::string& message)>;
  const auto signed_by = [](const SoftDevice& device, ByteView name, std::string_view message, ByteView binding) {
    return Answer{to_bytes(name), device.sign(evidence::device_key::approval_input(name, message, binding))};
  };
  const std::vector<std::pair<const char*, Wrong>> cases = {
      {"another signer's device", [&](const auto& message) { return other.answer(message, binding_); }},
      {"another signer's device under her device's name",
       [&](const auto& message) { return signed_by(other, device_.name(), message, binding_); }},
      {"her device under another's name", [&](const auto& message) { return signed_by(device_, other.name(), message, binding_); }},
      {"nobody's device", [&](const auto& message) { return SoftDevice().answer(message, binding_); }},
      {"another transaction's binding", [&](const auto& message) { return device_.answer(message, crypto::sha256(as_bytes("another"))); }},
      {"no binding", [&](const auto& message) { return device_.answer(message, Bytes()); }},
      {"the digest of the binding", [&](const auto& message) { return device_.answer(message, crypto::sha256(binding_)); }},
      {"another message", [&](const auto&) { return device_.answer("another-message-id", binding_); }},
      {"a registration",
       [&](const auto& message) {
         return Answer{device_.name(), device_.registration(message, binding_).signature};
       }},
      {"the binding alone",
       [&](const auto&) {
         return Answer{device_.name(), device_.sign(binding_)};
       }},
      {"another hash",
       [&](const auto& message) {
         return Answer{device_.name(), device_.sign_with_sha512(evidence::device_key::approval_input(device_.name(), message, binding_))};
       }},
      {"another curve",
       [&](const auto& message) {
         const auto input = evidence::device_key::approval_input(device_.name(), message, binding_);
         auto raw = *crypto::ecdsa_to_raw(*p384->sign(crypto::SignatureSuite::ecdsa_sha384, input), 48);
         raw.resize(64);
         return Answer{device_.name(), raw};
       }},
      {"a signature of zeros",
       [&](const auto&) {
         return Answer{device_.name(), Bytes(64, 0)};
       }},
      {"a signature with r and s exchanged",
       [&](const auto& message) {
         auto shown = device_.answer(message, binding_);
         std::rotate(shown.signature.begin(), shown.signature.begin() + 32, shown.signature.end());
         return shown;
       }},
      {"a signature of DER",
       [&](const auto& message) {
         auto shown = device_.answer(message, binding_);
         shown.signature = *crypto::ecdsa_to_der(shown.signature);
         return shown;
       }},
      {"no signature",
       [&](const auto&) {
         return Answer{device_.name(), {}};
       }},
      {"a signature that is cut",
       [&](const auto& message) {
         auto shown = device_.answer(message, binding_);
         shown.signature.pop_back();
         return shown;
       }},
      {"a changed name",
       [&](const auto& message) {
         auto shown = device_.answer(message, binding_);
         shown.device.back() ^= 1U;
         return shown;
       }},
      {"no name",
       [&](const auto& message) {
         return Answer{{}, device_.answer(message, binding_).signature};
       }},
      {"the key as its name", [&](const auto& message) { return signed_by(device_, device_.spki(), message, binding_); }},
  };
  for (const auto& [what, wrong] : cases) {
    SCOPED_TRACE(what);
    binding_ = crypto::sha256(binding_);
    const auto message = next_message();
    expect_refused(attempt(alice_, pin_, wrong(message)), ErrorCode::authentication_failed);
  }
  EXPECT_TRUE(attempt(alice_, pin_, answer())) << "none of them locked her";
}

TEST_F(DevicesTest, TC9_AnAnswerGoesWithOneMessageThatIsTakenOnce) {
  const auto once = answer();
  const auto message = message_;
  ASSERT_TRUE(attempt(alice_, pin_, once));
  message_ = message;
  expect_refused(attempt(alice_, pin_, once), ErrorCode::replayed);
  next_message();
  expect_refused(attempt(alice_, pin_, once), ErrorCode::authentication_failed);
  // The same transaction again, in a message of its own: a wrong PIN costs an attempt and not the transaction.
  expect_refused(attempt(alice_, "111222", device_.answer(next_message(), binding_)), ErrorCode::authentication_failed);
  EXPECT_TRUE(attempt(alice_, pin_, device_.answer(next_message(), binding_)));
}

TEST_F(DevicesTest, AWrongPinBesideARightDeviceLocksAfterThreeAndAStrangerLocksNobody) {
  const SoftDevice stranger;
  for (int i = 0; i < 5; ++i) expect_refused(attempt(alice_, "111222", answer(stranger)), ErrorCode::authentication_failed);
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
  for (int i = 0; i < 3; ++i) {
    const auto result = attempt(alice_, "111222", answer());
    ASSERT_FALSE(result);
    if (result.error().code == ErrorCode::credential_locked) break;
    expect_refused(result, ErrorCode::authentication_failed);
  }
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::credential_locked);
  clock_->advance(std::chrono::minutes(15));
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
}

TEST_F(DevicesTest, TC11_TheWorkIsTheSameForARightAForeignAndNobodysDevice) {
  const auto measure = [&](const SignerId& id, const evidence::device_key::Answer& shown) {
    const auto argon2 = crypto::argon2_evaluations();
    const int pepper = pepper_.evaluations;
    const auto result = attempt(id, "", shown);
    return std::tuple(result.error().code, crypto::argon2_evaluations() - argon2, pepper_.evaluations - pepper);
  };
  const SoftDevice foreign;
  const auto own = measure(alice_, answer());
  EXPECT_EQ(own, measure(alice_, answer(foreign)));
  EXPECT_EQ(own, measure(*SignerId::parse("nobody"), answer(foreign)));
  EXPECT_EQ(own, std::tuple(ErrorCode::authentication_failed, 1U, 1));
}

TEST_F(DevicesTest, TC7_DevicesOfAnEarlierRecordOfTheNameOpenNothing) {
  enrol(alice_, /*pin=*/true, /*seed=*/false, {}, /*incarnation=*/2);
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
}

TEST_F(DevicesTest, ADeviceThatWasReplacedOpensNothingAndWhatItOpenedIsNotWritten) {
  const auto proven = attempt(alice_, pin_, answer());
  ASSERT_TRUE(proven) << proven.error().detail;
  EXPECT_EQ(current(*proven), std::nullopt);
  const SoftDevice beside, instead;
  ASSERT_TRUE(put(beside));
  EXPECT_EQ(current(*proven), std::nullopt) << "another one beside it changes nothing";
  EXPECT_TRUE(attempt(alice_, pin_, answer(beside)));
  ASSERT_TRUE(put(instead, /*alone=*/true));
  EXPECT_EQ(current(*proven), ErrorCode::conflict);
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  expect_refused(attempt(alice_, pin_, answer(beside)), ErrorCode::authentication_failed);
  EXPECT_TRUE(attempt(alice_, pin_, answer(instead)));
}

TEST_F(DevicesTest, ADeviceIsRegisteredOnceAndThePolicySaysHowMany) {
  expect_refused(put(device_), ErrorCode::conflict);
  expect_refused(put(device_, /*alone=*/true), ErrorCode::conflict);
  ASSERT_TRUE(put(SoftDevice()));
  const SoftDevice third;
  expect_refused(put(third), ErrorCode::limit_exceeded);
  ASSERT_TRUE(put(third, /*alone=*/true));
  EXPECT_TRUE(attempt(alice_, pin_, answer(third)));
}

TEST_F(DevicesTest, APolicyWithoutDevicesTakesNoneAndOneThatLetsThemInAgainDoes) {
  ASSERT_TRUE(put(SoftDevice()));
  serve(1);
  EXPECT_TRUE(attempt(alice_, pin_, answer())) << "those that there are stay";
  expect_refused(put(SoftDevice()), ErrorCode::limit_exceeded);
  policy_->devices_per_signer = 0;
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::authentication_failed);
  const auto id = next_message();
  expect_refused(factors_->devices().verify_new(SoftDevice().registration(id, binding_), id, binding_), ErrorCode::invalid_request);
  policy_->devices_per_signer = 1;
  EXPECT_TRUE(attempt(alice_, pin_, answer()));
}

TEST_F(DevicesTest, ARegistrationForAnotherBindingOrMessageIsRefusedWithItsReason) {
  const SoftDevice other;
  const auto id = next_message();
  const auto& devices = factors_->devices();
  EXPECT_TRUE(devices.verify_new(other.registration(id, binding_), id, binding_));
  expect_refused(devices.verify_new(other.registration(id, crypto::sha256(as_bytes("other"))), id, binding_), ErrorCode::invalid_request);
  expect_refused(devices.verify_new(other.registration("another-message-id", binding_), id, binding_), ErrorCode::invalid_request);
  expect_refused(devices.verify_new({other.spki(), other.answer(id, binding_).signature}, id, binding_), ErrorCode::invalid_request);
  expect_refused(devices.verify_new({device_.spki(), other.registration(id, binding_).signature}, id, binding_),
                 ErrorCode::invalid_request);
}

TEST_F(DevicesTest, EachFactorThatIsShownMustBeRight) {
  enrol(bob_, /*pin=*/true, /*seed=*/true, {});
  const SoftDevice bobs;
  ASSERT_TRUE(put(bobs, /*alone=*/false, bob_));
  const auto proven = attempt(bob_, pin_, answer(bobs), zero_code(0x33));
  ASSERT_TRUE(proven) << proven.error().detail;
  EXPECT_EQ(proven->shown().text(), "pin totp device");
  succeed(*proven);
  expect_refused(attempt(bob_, pin_, answer(device_), zero_code(0x33)), ErrorCode::authentication_failed);
  expect_refused(attempt(bob_, pin_, answer(bobs), "000000"), ErrorCode::authentication_failed);
}

TEST_F(DevicesTest, TC8_ARowOfDevicesThatIsPutBackOrRemovedIsRefused) {
  ASSERT_TRUE(attempt(alice_, pin_, answer()));
  ASSERT_TRUE(database_->write([](storage::Transaction& write) -> Status {
    auto done = write.execute("DELETE FROM devices", {});
    return done ? Status() : Status(done.error());
  }));
  expect_refused(attempt(alice_, pin_, answer()), ErrorCode::storage_unavailable);
}

TEST(DeviceRecord, IsReadOnlyAsItIsWritten) {
  const DeviceRecord record{.incarnation = Bytes(16, 1), .devices = {{Bytes(91, 2), 1'800'000'000}, {Bytes(91, 3), 1}}};
  const auto encoded = encode(record);
  const auto read = parse_devices(encoded);
  ASSERT_TRUE(read);
  EXPECT_EQ(encode(*read), encoded);
  for (std::size_t size = 0; size < encoded.size(); ++size) EXPECT_FALSE(parse_devices(ByteView(encoded).first(size))) << size;
  auto longer = encoded;
  longer.push_back(0);
  EXPECT_FALSE(parse_devices(longer));
}

}  // namespace
}  // namespace intaglio::sam
