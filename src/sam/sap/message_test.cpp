#include "sam/sap/message.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include "base/check.h"
#include "base/sanitized.h"
#include "crypto/digest.h"

#ifndef INTAGLIO_SANITIZED
namespace intaglio::sam {
namespace {

/// The canary never stands in memory as one text unless the code under test leaves it there.
constexpr std::string_view masked = "FNMKQsnMDQBP[RJLOTCAMKQ";
constexpr char mask = 0x15;

std::string canary() {
  std::string text(masked);
  for (auto& c : text) c = static_cast<char>(c ^ mask);
  return text;
}

/// How often the canary stands in the heap, freed blocks and all.
std::size_t canaries_in_heap() {
  std::size_t found = 0;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (!line.ends_with("[heap]")) continue;
    const auto dash = line.find('-');
    const auto begin = std::stoull(line.substr(0, dash), nullptr, 16);
    const auto end = std::stoull(line.substr(dash + 1, line.find(' ') - dash - 1), nullptr, 16);
    const std::string_view heap(reinterpret_cast<const char*>(begin), static_cast<std::size_t>(end - begin));
    for (std::size_t at = 0; at + masked.size() <= heap.size(); ++at) {
      std::size_t same = 0;
      while (same < masked.size() && heap[at + same] == static_cast<char>(masked[same] ^ mask)) ++same;
      if (same == masked.size()) ++found;
    }
  }
  return found;
}

/// Parses a payload with the canary as PIN, which is wiped by the caller of parse_payload as in open_message.
bool parses(const std::string& before, const std::string& after) {
  Secret plaintext;
  {
    std::string text = before + canary() + after;
    plaintext = Secret(as_bytes(text));
    wipe(text);
  }
  return static_cast<bool>(parse_payload(plaintext.reveal()));
}

TEST(SapPayload, LeavesNoSecretInTheHeapOnAnyPath) {
  {
    const auto visible = canary();
    ASSERT_GE(canaries_in_heap(), 1U) << "the search finds what is there";
  }
  ASSERT_EQ(canaries_in_heap(), 0U) << "and a text that ended is gone";
  const auto digest = encode_base64url(crypto::sha256({}));
  const std::string factor = R"({"factors":[{"type":"pin","value":")";
  const std::string rest = R"("}],"id":"0123456789abcdef","ticket":"t","act":"a","terms":{"id":"t","version":"1","language":"en"},)";
  const std::string digests = R"("consent":")" + digest + R"(","binding":")" + digest + R"("})";
  EXPECT_TRUE(parses(factor, rest + digests));
  EXPECT_FALSE(parses(factor, rest + R"("consent":"short"})")) << "refused after the factors";
  EXPECT_FALSE(parses(factor, R"("},{"type":"unknown","value":"1"}]})")) << "refused at another factor";
  EXPECT_FALSE(parses(R"({"factors":[{"type":"unknown","value":")", R"("}]})"));
  EXPECT_FALSE(parses(factor, R"("}],"factors":[]})")) << "refused by the reader";
  EXPECT_FALSE(parses(factor, R"("}], nonsense)")) << "no JSON";
  EXPECT_FALSE(parses(factor, "")) << "cut in the middle of the secret";
  EXPECT_EQ(canaries_in_heap(), 0U);
}

}  // namespace
}  // namespace intaglio::sam
#endif
