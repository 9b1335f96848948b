#include "protocol/binding.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>

#include "base/file.h"
#include "protocol/text.h"

namespace intaglio::protocol {
namespace {

Bytes hex(std::string_view text) { return *parse_hex(text); }

Bytes digest_of(crypto::HashAlgorithm hash, std::string_view text) { return crypto::digest(hash, as_bytes(text)); }

/// The results of one vector, by its name: the inputs stand here a second time, so that reader and file check each other.
struct Vector {
  Bytes transaction, consent, binding, list, session;  ///< session: of purpose one-time
};
Vector vector_named(std::string_view name) {
  const auto file = read_file(INTAGLIO_SOURCE_DIR "/tests/data/sap/vectors.json", 1024 * 1024);
  if (!file) panic("tests/data/sap/vectors.json");
  const auto text = as_text(*file);
  const auto start = text.find("\"name\": \"" + std::string(name) + "\"");
  const auto expected = text.find("\"expected\"", start);
  const auto end = text.find('}', expected);
  const auto member = [&](std::string_view member_name) {
    const auto opening = "\"" + std::string(member_name) + "\": \"";
    const auto found = text.find(opening, expected);
    if (found == std::string_view::npos || found > end) return Bytes();
    const auto value = found + opening.size();
    return hex(text.substr(value, text.find('"', value) - value));
  };
  return {member("transaction"), member("consent"), member("binding"), member("list"), member("session")};
}

Transaction one_document() {
  return {.purpose = Purpose::sign,
          .nonce = hex("000102030405060708090a0b0c0d0e0f"),
          .epoch = 1,
          .expires = *parse_utc("2026-11-20T10:05:00Z"),
          .signer = "alice",
          .key = "key-1",
          .certificate_digest = digest_of(crypto::HashAlgorithm::sha256, "certificate"),
          .profile = "direct-resident",
          .hash = 1,
          .suites = {1},
          .client_id = "demo",
          .client_name = "Demo application",
          .documents = {{digest_of(crypto::HashAlgorithm::sha256, "contract"), "contract.pdf"}}};
}

Transaction two_documents() {
  auto transaction = one_document();
  transaction.nonce = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
  transaction.epoch = 4294967296;
  transaction.expires = *parse_utc("2038-01-19T03:14:08Z");
  transaction.signer = "S_2-b";
  transaction.key = std::string(64, 'k');
  transaction.certificate_digest.clear();
  transaction.profile = "bench";
  transaction.hash = 3;
  transaction.suites = {9, 7};
  transaction.client_name = "Δοκιμαστική εφαρμογή";
  transaction.documents = {{digest_of(crypto::HashAlgorithm::sha512, "a"), "Σύμβαση € 𝄞.pdf"},
                           {digest_of(crypto::HashAlgorithm::sha512, "b"), ""}};
  return transaction;
}

Transaction twice_the_same() {
  auto transaction = one_document();
  transaction.hash = 2;
  transaction.suites = {5, 2};
  transaction.documents.assign(2, {digest_of(crypto::HashAlgorithm::sha384, "x"), "x"});
  return transaction;
}

Transaction enrolment() {
  auto transaction = one_document();
  transaction.purpose = Purpose::enrol;
  transaction.key.clear();
  transaction.certificate_digest.clear();
  transaction.hash = 0;
  transaction.suites.clear();
  transaction.documents.clear();
  return transaction;
}

Transaction key_generation() {
  auto transaction = enrolment();
  transaction.purpose = Purpose::key;
  transaction.key = "key-2";
  transaction.suites = {2};
  return transaction;
}

Transaction one_time() {
  auto transaction = one_document();
  transaction.purpose = Purpose::one_time;
  transaction.signer = transaction.key = "session-1";
  transaction.certificate_digest.clear();
  transaction.profile = "one-time";
  transaction.suites = {7};
  transaction.documents.push_back({digest_of(crypto::HashAlgorithm::sha256, "annex"), "Παράρτημα.pdf"});
  return transaction;
}

void expect_vector(std::string_view name, const Transaction& transaction, const Terms& terms, std::string_view act) {
  SCOPED_TRACE(name);
  const auto expected = vector_named(name);
  const auto encoded = encode(transaction);
  EXPECT_EQ(encode_hex(encoded), encode_hex(expected.transaction));
  const auto consent = consent_digest(encoded, terms, act);
  EXPECT_EQ(encode_hex(consent), encode_hex(expected.consent));
  EXPECT_EQ(encode_hex(binding_digest(encoded, consent)), encode_hex(expected.binding));
  EXPECT_EQ(encode_hex(list_digest(transaction.documents)), encode_hex(expected.list));
  const auto session = session_digest(transaction, terms, act);
  EXPECT_EQ(transaction.purpose == Purpose::one_time ? encode_hex(session) : "", encode_hex(expected.session));
  const auto parsed = parse_transaction(expected.transaction);
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(encode(*parsed), expected.transaction);
}

TEST(Binding, AgreesWithThePublishedVectors) {
  const Terms terms{"demo-terms", "1", "en"};
  expect_vector("one document", one_document(), terms, "typed-yes");
  expect_vector("two documents, labels beyond ASCII", two_documents(), {"οροι", "2026-11", "el"}, "checkbox+button");
  expect_vector("the same digest twice", twice_the_same(), terms, "");
  expect_vector("enrolment", enrolment(), terms, "typed-yes");
  expect_vector("key generation", key_generation(), terms, "typed-yes");
  expect_vector("a session with a one-time key", one_time(), terms, "typed-yes");
}

TEST(Binding, OfASessionChangesWithEveryPartOfWhatThePersonApproved) {
  const Terms terms{"t", "1", "en"};
  const auto session = session_digest(one_time(), terms, "yes");
  EXPECT_NE(session, session_digest(one_time(), {"t1", "", "en"}, "yes")) << "fields must not run into each other";
  EXPECT_NE(session, session_digest(one_time(), terms, "no"));
  const std::vector<std::function<void(Transaction&)>> changes = {[](Transaction& t) { t.documents.front().digest[0] ^= 1; },
                                                                  [](Transaction& t) { t.documents.front().label += "x"; },
                                                                  [](Transaction& t) { t.documents.pop_back(); },
                                                                  [](Transaction& t) { std::swap(t.documents[0], t.documents[1]); },
                                                                  [](Transaction& t) { t.client_id += "x"; },
                                                                  [](Transaction& t) { t.client_name += "x"; },
                                                                  [](Transaction& t) { t.profile += "x"; },
                                                                  [](Transaction& t) { t.nonce[0] ^= 1; }};
  for (const auto& change : changes) {
    auto changed = one_time();
    change(changed);
    EXPECT_NE(session, session_digest(changed, terms, "yes"));
  }
}

TEST(Transaction, OfASessionNamesNobodyAndOneSuite) {
  const std::vector<std::function<void(Transaction&)>> spoils = {[](Transaction& t) { t.signer = "alice"; },
                                                                 [](Transaction& t) {
                                                                   t.suites = {7, 8};
                                                                 },
                                                                 [](Transaction& t) { t.suites.clear(); },
                                                                 [](Transaction& t) { t.documents.clear(); }};
  ASSERT_TRUE(parse_transaction(encode(one_time())));
  for (const auto& spoil : spoils) {
    auto spoilt = one_time();
    spoil(spoilt);
    EXPECT_FALSE(parse_transaction(encode(spoilt)));
  }
}

TEST(Binding, ChangesWithEveryPartOfWhatTheSignerApproved) {
  const auto encoded = encode(one_document());
  const auto consent = consent_digest(encoded, {"t", "1", "en"}, "yes");
  EXPECT_NE(consent, consent_digest(encoded, {"t1", "", "en"}, "yes")) << "fields must not run into each other";
  EXPECT_NE(consent, consent_digest(encoded, {"t", "2", "en"}, "yes"));
  EXPECT_NE(consent, consent_digest(encoded, {"t", "1", "el"}, "yes"));
  EXPECT_NE(consent, consent_digest(encoded, {"t", "1", "en"}, "no"));
  auto other = one_document();
  other.documents[0].label = "invoice.pdf";
  EXPECT_NE(consent, consent_digest(encode(other), {"t", "1", "en"}, "yes"));
  EXPECT_NE(binding_digest(encoded, consent), binding_digest(encode(other), consent));
  EXPECT_NE(list_digest(one_document().documents), list_digest(other.documents));
}

TEST(Transaction, RefusesWhatBreaksTheTableOfFields) {
  const std::vector<std::pair<std::string_view, std::function<void(Transaction&)>>> changes = {
      {"short nonce", [](auto& t) { t.nonce.pop_back(); }},
      {"long nonce", [](auto& t) { t.nonce.push_back(0); }},
      {"no signer", [](auto& t) { t.signer.clear(); }},
      {"signer with a slash", [](auto& t) { t.signer = "a/b"; }},
      {"no key", [](auto& t) { t.key.clear(); }},
      {"half a certificate digest", [](auto& t) { t.certificate_digest.resize(16); }},
      {"unknown hash", [](auto& t) { t.hash = 4; }},
      {"no hash", [](auto& t) { t.hash = 0; }},
      {"no suite", [](auto& t) { t.suites.clear(); }},
      {"suite 0", [](auto& t) { t.suites = {0}; }},
      {"suite 10", [](auto& t) { t.suites = {10}; }},
      {"suite twice",
       [](auto& t) {
         t.suites = {1, 1};
       }},
      {"no document", [](auto& t) { t.documents.clear(); }},
      {"short digest", [](auto& t) { t.documents[0].digest.pop_back(); }},
      {"long label", [](auto& t) { t.documents[0].label.assign(257, 'x'); }},
      {"label that is not UTF-8", [](auto& t) { t.documents[0].label = "\xc3("; }},
      {"label with a line break", [](auto& t) { t.documents[0].label = "a\nb"; }},
      {"label that reverses text",
       [](auto& t) {
         t.documents[0].label =
             "a\xe2\x80\xae"
             "fdp";
       }},
      {"client name with a zero", [](auto& t) { t.client_name = std::string("a\0b", 3); }},
      {"too many documents", [](auto& t) { t.documents.resize(max_documents + 1, t.documents[0]); }},
      {"expiry beyond the year 9999", [](auto& t) { t.expires = from_unix_seconds(253402300800); }},
      {"expiry before 1970", [](auto& t) { t.expires = from_unix_seconds(-1); }},
      {"documents of an enrolment", [](auto& t) { t.purpose = Purpose::enrol, t.key.clear(), t.suites.clear(); }},
      {"two key algorithms",
       [](auto& t) {
         t = key_generation(), t.suites = {2, 3};
       }},
      {"key algorithm 7", [](auto& t) { t = key_generation(), t.suites = {7}; }},
      {"key of an enrolment", [](auto& t) { t = enrolment(), t.key = "key-1"; }},
      {"key of a change of factors", [](auto& t) { t = enrolment(), t.purpose = Purpose::factors, t.key = "key-1"; }},
      {"no key to suspend", [](auto& t) { t = enrolment(), t.purpose = Purpose::suspend; }},
      {"no key to destroy", [](auto& t) { t = enrolment(), t.purpose = Purpose::destroy; }},
      {"suites of a destruction", [](auto& t) { t = enrolment(), t.purpose = Purpose::destroy, t.key = "key-1", t.suites = {1}; }},
      {"suites of an enrolment", [](auto& t) { t = enrolment(), t.suites = {1}; }},
  };
  for (const auto& [what, change] : changes) {
    auto transaction = one_document();
    change(transaction);
    const auto parsed = parse_transaction(encode(transaction));
    ASSERT_FALSE(parsed) << what;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_request) << what;
  }
}

TEST(Transaction, HasOneEncodingOnly) {
  const auto encoded = encode(two_documents());
  for (std::size_t length = 0; length < encoded.size(); ++length) {
    EXPECT_FALSE(parse_transaction(ByteView(encoded).first(length))) << length;
  }
  auto longer = encoded;
  longer.push_back(0);
  EXPECT_FALSE(parse_transaction(longer));
}

RC_GTEST_PROP(Transaction, ThatWasReadIsWrittenBackByteForByte, (const std::string& label, std::uint64_t epoch, bool second)) {
  auto transaction = two_documents();
  transaction.epoch = epoch;
  transaction.documents[0].label = label;
  if (!second) transaction.documents.pop_back();
  const auto encoded = encode(transaction);
  const auto parsed = parse_transaction(encoded);
  RC_ASSERT(static_cast<bool>(parsed) == static_cast<bool>(check_text(label, max_label_bytes, "label")));
  if (parsed) RC_ASSERT(encode(*parsed) == encoded);
}

TEST(Text, IsUtf8WithoutTricks) {
  for (const std::string_view good : {"", "plain", "Σύμβαση", "𝄞", "é", "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf"}) {
    EXPECT_TRUE(check_text(good, 64, "label")) << good;
  }
  // RFC 3629: overlong forms, surrogates, beyond U+10FFFF, stray and missing continuations.
  for (const std::string_view bad : {"\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x82",
                                     "\xff", "a\tb", "\x7f", "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\x8f", "\xe2\x81\xa6"}) {
    EXPECT_FALSE(check_text(bad, 64, "label")) << bad;
  }
  EXPECT_FALSE(check_text("12345", 4, "label"));
}

TEST(Purpose, IsReadByItsNameAlone) {
  for (const auto purpose : {Purpose::sign, Purpose::enrol, Purpose::key, Purpose::factors, Purpose::suspend, Purpose::destroy})
    EXPECT_EQ(*parse_purpose(name_of(purpose)), purpose);
  EXPECT_FALSE(parse_purpose("Sign"));
  EXPECT_FALSE(parse_purpose(""));
  EXPECT_EQ(name_of(KeyState::suspended), "suspended");
}

Transaction one_grant() {
  auto transaction = one_document();
  transaction.purpose = Purpose::grant;
  transaction.hash = 0;
  transaction.suites = {7, 1};
  transaction.documents.clear();
  transaction.grant = GrantTerms{Bytes(91, 4), 1000, *parse_utc("2026-12-20T10:05:00Z")};
  return transaction;
}

TEST(Grant, StandsInItsTransactionAndIsReadBack) {
  const auto encoded = encode(one_grant());
  const auto parsed = parse_transaction(encoded);
  ASSERT_TRUE(parsed) << parsed.error().detail;
  EXPECT_EQ(encode(*parsed), encoded);
  EXPECT_EQ(parsed->grant->signatures, 1000U);
  EXPECT_EQ(parsed->grant->client_key, Bytes(91, 4));
  EXPECT_EQ(parsed->grant->ends, *parse_utc("2026-12-20T10:05:00Z"));
}

TEST(Grant, StandsInNoOtherTransactionAndNoGrantWithoutItsTerms) {
  auto signing = one_document();
  signing.grant = one_grant().grant;
  EXPECT_FALSE(parse_transaction(encode(signing)));
  const std::vector<std::function<void(Transaction&)>> changes = {
      [](auto& t) { t.grant.reset(); },
      [](auto& t) { t.grant->client_key = Bytes(90, 4); },
      [](auto& t) { t.grant->client_key = Bytes(92, 4); },
      [](auto& t) { t.grant->signatures = 0; },
      [](auto& t) { t.grant->signatures = 1'000'000'001; },
      [](auto& t) { t.suites.clear(); },
      [](auto& t) {
        t.suites = {7, 7};
      },
      [](auto& t) { t.hash = 1; },
      [](auto& t) { t.documents = one_document().documents; },
      [](auto& t) { t.key.clear(); },
      [](auto& t) { t.grant->ends = *parse_utc("9999-12-31T23:59:59Z") + std::chrono::seconds(1); },
  };
  for (std::size_t at = 0; at < changes.size(); ++at) {
    auto transaction = one_grant();
    changes[at](transaction);
    EXPECT_FALSE(parse_transaction(encode(transaction))) << at;
  }
}

}  // namespace
}  // namespace intaglio::protocol
