#include "protocol/wire/convert.h"

#include <gtest/gtest.h>

#include <functional>

#include "protocol/wire/frame.h"

namespace intaglio::protocol::wire {
namespace {

v1::OpenSigning open_signing() {
  v1::OpenSigning message;
  message.set_key("key-1");
  message.set_hash(v1::SHA256);
  message.add_suites(v1::RSA_PSS_SHA256);
  auto& document = *message.add_documents();
  document.set_digest(std::string(32, 'd'));
  document.set_label("contract.pdf");
  message.set_client_id("demo");
  message.set_client_name("Demo");
  return message;
}

v1::SignRequest sign() {
  v1::SignRequest message;
  message.set_sad("sad");
  message.set_key("key-1");
  message.set_suite(v1::ECDSA_SHA256);
  message.add_digests(std::string(32, 'd'));
  message.set_client_address("192.0.2.1");
  return message;
}

v1::ExtendRequest extension() {
  v1::ExtendRequest message;
  message.set_sad("sad");
  message.set_key("key-1");
  message.set_client_address("192.0.2.1");
  return message;
}

v1::CredentialFacts facts() {
  v1::CredentialFacts message;
  message.set_key("key-1");
  message.set_signer("alice");
  message.set_state(v1::ASSIGNED);
  message.set_algorithm(v1::P256);
  return message;
}

template <typename Message>
using Changes = std::vector<std::pair<std::string_view, std::function<void(Message&)>>>;

template <typename Message>
void expect_all_refused(Message (*make)(), const Changes<Message>& changes) {
  const auto whole = read(make());
  EXPECT_TRUE(whole) << whole.error().detail;
  for (const auto& [what, change] : changes) {
    auto message = make();
    change(message);
    const auto value = read(message);
    ASSERT_FALSE(value) << what;
    EXPECT_EQ(value.error().code, ErrorCode::invalid_request) << what;
  }
}

TEST(Border, RefusesASigningRequestOutOfBounds) {
  expect_all_refused<v1::OpenSigning>(open_signing,
                                      {{"no key", [](auto& m) { m.clear_key(); }},
                                       {"key of 65 characters", [](auto& m) { m.set_key(std::string(65, 'k')); }},
                                       {"no hash", [](auto& m) { m.clear_hash(); }},
                                       {"hash 4", [](auto& m) { m.set_hash(static_cast<v1::HashAlgorithm>(4)); }},
                                       {"hash -1", [](auto& m) { m.set_hash(static_cast<v1::HashAlgorithm>(-1)); }},
                                       {"suite 0", [](auto& m) { m.add_suites(static_cast<v1::SignatureSuite>(0)); }},
                                       {"suite 10", [](auto& m) { m.add_suites(static_cast<v1::SignatureSuite>(10)); }},
                                       {"a suite twice", [](auto& m) { m.add_suites(v1::RSA_PSS_SHA256); }},
                                       {"no documents", [](auto& m) { m.clear_documents(); }},
                                       {"4097 documents",
                                        [](auto& m) {
                                          while (m.documents_size() <= static_cast<int>(max_documents)) *m.add_documents() = m.documents(0);
                                        }},
                                       {"digest of 31 bytes", [](auto& m) { m.mutable_documents(0)->set_digest(std::string(31, 'd')); }},
                                       {"label of 257 bytes", [](auto& m) { m.mutable_documents(0)->set_label(std::string(257, 'l')); }},
                                       {"label with a control character", [](auto& m) { m.mutable_documents(0)->set_label("a\rb"); }},
                                       {"client id of 257 bytes", [](auto& m) { m.set_client_id(std::string(257, 'c')); }},
                                       {"client name that reverses", [](auto& m) { m.set_client_name("\xe2\x80\xae"); }}});
}

TEST(Border, RefusesASignCallOutOfBounds) {
  expect_all_refused<v1::SignRequest>(sign, {{"no SAD", [](auto& m) { m.clear_sad(); }},
                                             {"SAD beyond 64 KiB", [](auto& m) { m.set_sad(std::string(max_message_bytes + 1, 's')); }},
                                             {"SAD with a space", [](auto& m) { m.set_sad("s d"); }},
                                             {"no key", [](auto& m) { m.clear_key(); }},
                                             {"no suite", [](auto& m) { m.clear_suite(); }},
                                             {"suite 10", [](auto& m) { m.set_suite(static_cast<v1::SignatureSuite>(10)); }},
                                             {"no digests", [](auto& m) { m.clear_digests(); }},
                                             {"1025 digests",
                                              [](auto& m) {
                                                while (m.digests_size() <= 1024) m.add_digests(std::string(32, 'd'));
                                              }},
                                             {"digest of 20 bytes", [](auto& m) { m.add_digests(std::string(20, 'd')); }},
                                             {"client address of 65 bytes", [](auto& m) { m.set_client_address(std::string(65, '1')); }}});
}

TEST(Border, RefusesAnExtensionOutOfBounds) {
  expect_all_refused<v1::ExtendRequest>(extension,
                                        {{"no SAD", [](auto& m) { m.clear_sad(); }},
                                         {"SAD beyond 64 KiB", [](auto& m) { m.set_sad(std::string(max_message_bytes + 1, 's')); }},
                                         {"SAD with a space", [](auto& m) { m.set_sad("s d"); }},
                                         {"no key", [](auto& m) { m.clear_key(); }},
                                         {"1025 digests",
                                          [](auto& m) {
                                            while (m.digests_size() <= 1024) m.add_digests(std::string(32, 'd'));
                                          }},
                                         {"digest of 20 bytes", [](auto& m) { m.add_digests(std::string(20, 'd')); }},
                                         {"client id of 257 bytes", [](auto& m) { m.set_client_id(std::string(257, 'c')); }},
                                         {"client address of 65 bytes", [](auto& m) { m.set_client_address(std::string(65, '1')); }}});
}

TEST(Border, RefusesOtherCallsOutOfBounds) {
  v1::OpenEnrolment enrolment;
  EXPECT_FALSE(read(enrolment)) << "no signer";
  v1::OpenKeyGeneration generation;
  generation.set_signer("alice");
  EXPECT_FALSE(read(generation)) << "no algorithm";
  generation.set_algorithm(v1::RSA3072);
  EXPECT_TRUE(read(generation));
  generation.set_algorithm(static_cast<v1::KeyAlgorithm>(7));
  EXPECT_FALSE(read(generation)) << "algorithm 7";
  generation.set_algorithm(v1::RSA3072);
  generation.set_profile(std::string(257, 'p'));
  EXPECT_FALSE(read(generation)) << "profile of 257 bytes";

  v1::CertificateBinding binding;
  binding.set_operator_request("request");
  EXPECT_FALSE(read(binding)) << "no certificate";
  binding.add_certificates(std::string(64 * 1024 + 1, 'c'));
  EXPECT_FALSE(read(binding)) << "certificate beyond 64 KiB";
  binding.set_certificates(0, "certificate");
  EXPECT_TRUE(read(binding));
  while (binding.certificates_size() < 9) binding.add_certificates("certificate");
  EXPECT_FALSE(read(binding)) << "nine certificates";

  v1::Suspension suspension;
  suspension.set_key("key-1");
  suspension.set_reason(std::string(257, 'r'));
  EXPECT_FALSE(read(suspension));
  EXPECT_FALSE(read_token(""));
  EXPECT_FALSE(read_token("a\nb"));
  EXPECT_FALSE(read_token("\xc3\xa9"));
  EXPECT_FALSE(read_token(std::string(max_message_bytes + 1, 'm')));
  EXPECT_TRUE(read_token(std::string(max_message_bytes, 'm')));
  EXPECT_FALSE(read_revocation_data(""));
  EXPECT_FALSE(read_revocation_data(std::string(768 * 1024 + 1, 'r')));
}

TEST(Border, TheSsaBelievesNoAnswerOutOfBounds) {
  expect_all_refused<v1::CredentialFacts>(facts, {{"no key", [](auto& m) { m.clear_key(); }},
                                                  {"no signer", [](auto& m) { m.clear_signer(); }},
                                                  {"no state", [](auto& m) { m.clear_state(); }},
                                                  {"state 6", [](auto& m) { m.set_state(static_cast<v1::KeyState>(6)); }},
                                                  {"algorithm 7", [](auto& m) { m.set_algorithm(static_cast<v1::KeyAlgorithm>(7)); }},
                                                  {"suite 11", [](auto& m) { m.add_suites(static_cast<v1::SignatureSuite>(11)); }},
                                                  {"empty certificate", [](auto& m) { m.add_certificates(""); }}});
  v1::SignAnswer answer;
  auto& one = *answer.add_signatures();
  one.set_signature("signature");
  one.set_leaf(std::string(32, 'l'));
  EXPECT_TRUE(read(answer));
  one.set_leaf(std::string(31, 'l'));
  EXPECT_FALSE(read(answer)) << "leaf of 31 bytes";
  one.set_leaf(std::string(32, 'l'));
  one.set_signature(std::string(1025, 's'));
  EXPECT_FALSE(read(answer)) << "signature of 1025 bytes";
  v1::Opened opened;
  opened.set_ticket("ticket");
  opened.set_transaction("T");
  opened.set_sap_statement("statement");
  EXPECT_TRUE(read(opened));
  opened.set_expires(-1);
  EXPECT_FALSE(read(opened));
}

TEST(Frame, LengthsAreBounded) {
  EXPECT_EQ(*parse_frame_length(Bytes{0, 0, 0, 1}), 1U);
  EXPECT_EQ(*parse_frame_length(Bytes{0, 0x10, 0, 0}), max_frame_bytes);
  const auto beyond = parse_frame_length(Bytes{0, 0x10, 0, 1});
  EXPECT_TRUE(!beyond && beyond.error().code == ErrorCode::too_large);
  EXPECT_FALSE(parse_frame_length(Bytes{0, 0, 0, 0}));
  EXPECT_FALSE(parse_frame_length(Bytes{0, 0, 1}));
}

}  // namespace
}  // namespace intaglio::protocol::wire
