#include "pki/tsa/decision.h"

#include <gtest/gtest.h>

#include "crypto/der.h"

namespace intaglio::pki {
namespace {

namespace der = crypto::der;
using crypto::HashAlgorithm;
using Failure = crypto::TimestampFailure;

const TimestampPolicy served{
    "2.999.2.1", {HashAlgorithm::sha256, HashAlgorithm::sha384, HashAlgorithm::sha512}, std::chrono::seconds(1), false};

/// A request of which a test spoils one member.
struct Draft {
  Bytes version = der::integer(1);
  Bytes hash = crypto::digest_identifier(HashAlgorithm::sha256);
  Bytes digest = Bytes(32, 0xAB);
  Bytes policy, nonce, certificate_requested, extensions;
  [[nodiscard]] Bytes encode() const {
    const Bytes imprint = der::sequence({hash, der::octet_string(digest)});
    return der::sequence({version, imprint, policy, nonce, certificate_requested, extensions});
  }
};

std::optional<Failure> refusal_of(ByteView request, const TimestampPolicy& policy = served) {
  const auto decision = decide_timestamp(request, policy);
  EXPECT_NE(decision.request() == nullptr, decision.refusal() == nullptr);
  return decision.refusal() == nullptr ? std::nullopt : std::optional(decision.refusal()->failure);
}
std::optional<Failure> refusal_of(const Draft& draft) { return refusal_of(draft.encode()); }

Bytes extensions(bool critical) {
  const Bytes oid = der::oid("2.999.9"), value = der::octet_string(der::null());
  return der::implicit_tag(0, der::sequence({critical ? der::sequence({oid, der::boolean(true), value}) : der::sequence({oid, value})}));
}

TEST(TimestampDecision, AcceptsWhatIsServed) {
  Draft draft;
  EXPECT_EQ(refusal_of(draft), std::nullopt);
  draft.policy = der::oid("2.999.2.1");
  draft.nonce = der::integer(Bytes(16, 0xFF));
  draft.certificate_requested = der::boolean(true);
  const auto decision = decide_timestamp(draft.encode(), served);
  ASSERT_NE(decision.request(), nullptr);
  EXPECT_EQ(decision.request()->nonce_der, draft.nonce);
  EXPECT_TRUE(decision.request()->certificate_requested);
  EXPECT_EQ(decision.request()->hashed_message, draft.digest);
  for (const auto hash : {HashAlgorithm::sha384, HashAlgorithm::sha512}) {
    Draft other;
    other.hash = crypto::digest_identifier(hash);
    other.digest = Bytes(crypto::digest_length(hash), 1);
    EXPECT_EQ(refusal_of(other), std::nullopt);
  }
}

TEST(TimestampDecision, TakesAHashWithNullParametersAndRepeatsThem) {
  Draft draft;
  draft.hash = der::sequence({der::oid(crypto::oid_of(HashAlgorithm::sha256)), der::null()});
  const auto decision = decide_timestamp(draft.encode(), served);
  ASSERT_NE(decision.request(), nullptr);
  EXPECT_EQ(decision.request()->imprint_der, der::sequence({draft.hash, der::octet_string(draft.digest)}));
}

TEST(TimestampDecision, RefusesAnotherVersion) {
  for (const std::uint64_t version : {0U, 2U, 3U}) {
    Draft draft;
    draft.version = der::integer(version);
    EXPECT_EQ(refusal_of(draft), Failure::bad_request) << version;
  }
  Draft draft;
  draft.version = der::integer(Bytes(40, 0x7F));
  EXPECT_EQ(refusal_of(draft), Failure::bad_request);
}

TEST(TimestampDecision, RefusesWeakAndUnknownHashes) {
  // SHA-1, MD5, SHA-224, and an identifier longer than any that is known.
  for (const std::string_view oid : {"1.3.14.3.2.26", "1.2.840.113549.2.5", "2.16.840.1.101.3.4.2.4"}) {
    Draft draft;
    draft.hash = der::sequence({der::oid(oid)});
    EXPECT_EQ(refusal_of(draft), Failure::bad_algorithm) << oid;
  }
  std::string longest = "2.999";
  for (int arc = 0; arc < 200; ++arc) longest += ".4294967295";
  Draft draft;
  draft.hash = der::sequence({der::oid(longest)});
  EXPECT_EQ(refusal_of(draft), Failure::bad_algorithm);
}

TEST(TimestampDecision, RefusesAHashThatThePolicyLeavesOut) {
  const TimestampPolicy narrow{"2.999.2.1", {HashAlgorithm::sha512}, std::chrono::seconds(1), false};
  EXPECT_EQ(refusal_of(Draft{}.encode(), narrow), Failure::bad_algorithm);
}

TEST(TimestampDecision, RefusesAHashWithParameters) {
  Draft draft;
  draft.hash = der::sequence({der::oid(crypto::oid_of(HashAlgorithm::sha256)), der::integer(7)});
  EXPECT_EQ(refusal_of(draft), Failure::bad_algorithm);
}

TEST(TimestampDecision, RefusesAnImprintOfAnotherLengthThanItsHash) {
  for (const std::size_t length : {0U, 20U, 31U, 33U, 64U}) {
    Draft draft;
    draft.digest = Bytes(length, 1);
    EXPECT_EQ(refusal_of(draft), Failure::bad_data_format) << length;
  }
}

TEST(TimestampDecision, RefusesAnotherPolicy) {
  Draft draft;
  draft.policy = der::oid("2.999.2.2");
  EXPECT_EQ(refusal_of(draft), Failure::unaccepted_policy);
}

TEST(TimestampDecision, RefusesEveryExtensionCriticalOrNot) {
  for (const bool critical : {true, false}) {
    Draft draft;
    draft.extensions = extensions(critical);
    EXPECT_EQ(refusal_of(draft), Failure::unaccepted_extension) << critical;
  }
}

TEST(TimestampDecision, RefusesWhatIsNoRequest) {
  EXPECT_EQ(refusal_of(ByteView()), Failure::bad_data_format);
  EXPECT_EQ(refusal_of(as_bytes("rubbish")), Failure::bad_data_format);
  EXPECT_EQ(refusal_of(der::sequence({der::integer(1)})), Failure::bad_data_format);
  const Bytes whole = Draft{}.encode();
  for (std::size_t length = 1; length < whole.size(); ++length)
    EXPECT_EQ(refusal_of(ByteView(whole).first(length)), Failure::bad_data_format) << length;
}

TEST(TimestampDecision, RefusesTrailingBytes) {
  Bytes request = Draft{}.encode();
  request.push_back(0);
  EXPECT_EQ(refusal_of(request), Failure::bad_data_format);
}

TEST(TimestampDecision, RefusesMoreThanFourKibibytes) {
  Draft draft;
  draft.nonce = der::integer(Bytes(crypto::max_timestamp_request_bytes, 0x11));
  EXPECT_EQ(refusal_of(draft), Failure::bad_data_format);
  draft.nonce = der::integer(Bytes(crypto::max_timestamp_request_bytes - 128, 0x11));
  EXPECT_EQ(refusal_of(draft), std::nullopt);
}

TEST(TimestampDecision, RefusesWhatIsBerAndNotDer) {
  // A length in more octets than it needs; and DEFAULT FALSE written out.
  const Bytes whole = Draft{}.encode();
  Bytes wide = {0x30, 0x81, whole[1]};
  wide.insert(wide.end(), whole.begin() + 2, whole.end());
  EXPECT_EQ(refusal_of(wide), Failure::bad_data_format);
  Draft draft;
  draft.certificate_requested = der::boolean(false);
  EXPECT_EQ(refusal_of(draft), Failure::bad_data_format);
}

}  // namespace
}  // namespace intaglio::pki
