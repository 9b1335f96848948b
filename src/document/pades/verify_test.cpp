#include "document/pades/verify.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/file.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/signer.h"

namespace intaglio::document::pades {
namespace {

namespace der = crypto::der;
using crypto::SignatureSuite;
using testing::HasSubstr;

const UnixTime now = *parse_utc("2026-11-20T10:37:00Z");

/// A key with a certificate.
struct Party {
  std::shared_ptr<crypto::SoftwareKey> key;
  crypto::Certificate certificate;
};

/// X.509 v3 (RFC 5280, 4.1), signed by `issuer`, or by itself.
Party make_party(const std::string& name, const Party* issuer) {
  auto key = *crypto::SoftwareKey::generate();
  const auto subject = *crypto::encode_name({{"2.5.4.3", name}});
  const auto issuer_name = issuer != nullptr ? issuer->certificate.subject_der() : subject;
  const Bytes usage = issuer != nullptr ? Bytes{0x03, 0x02, 0x06, 0x40} : Bytes{0x03, 0x02, 0x01, 0x06};
  std::vector<Bytes> extensions{der::sequence({der::oid("2.5.29.15"), der::boolean(true), der::octet_string(usage)})};
  if (issuer == nullptr) {
    extensions.push_back(
        der::sequence({der::oid("2.5.29.19"), der::boolean(true), der::octet_string(der::sequence({der::boolean(true)}))}));
  }
  const auto algorithm = crypto::algorithm_identifier(SignatureSuite::ecdsa_sha256);
  const auto to_sign =
      der::sequence({der::explicit_tag(0, der::integer(std::uint64_t{2})), der::integer(std::uint64_t{name.size()}), algorithm, issuer_name,
                     der::sequence({der::time(now - std::chrono::hours(24)), der::time(now + std::chrono::hours(24))}), subject,
                     key->public_key().spki(), der::explicit_tag(3, der::sequence(extensions))});
  const auto& signer = issuer != nullptr ? *issuer->key : *key;
  const auto signature = *signer.sign(SignatureSuite::ecdsa_sha256, to_sign);
  return {key, *crypto::Certificate::parse_der(der::sequence({to_sign, algorithm, der::bit_string(signature)}))};
}

struct Authority {
  Party ca = make_party("Test CA", nullptr);
  Party signer = make_party("Ada Example", &ca);
};
const Authority& authority() {
  static const Authority made;
  return made;
}

Bytes sample(const std::string& name) { return *read_file(std::filesystem::path(INTAGLIO_SOURCE_DIR) / "tests/data/pdf" / name, 1 << 20); }

/// The document with one PAdES signature more.
Bytes sign(const Bytes& document, const Party& signer = authority().signer) {
  const std::vector<Bytes> chain{signer.certificate.der(), authority().ca.certificate.der()};
  auto prepared = prepare(from_memory(document), {.hash = crypto::HashAlgorithm::sha256,
                                                  .contents_bytes = contents_bytes_for(chain),
                                                  .time = now,
                                                  .name = "Ada Example",
                                                  .reason = "Agreed"});
  EXPECT_TRUE(prepared) << prepared.error().detail;
  const auto attributes = *crypto::cms_signed_attributes(prepared->digest(), crypto::HashAlgorithm::sha256, signer.certificate);
  const auto signature = *signer.key->sign(SignatureSuite::ecdsa_sha256, attributes);
  const auto cms =
      crypto::assemble_cms(attributes, SignatureSuite::ecdsa_sha256, signature, {signer.certificate, authority().ca.certificate});
  EXPECT_TRUE(cms) << cms.error().detail;
  Bytes all = document;
  append(all, *prepared->update_with(*cms));
  return all;
}

std::vector<SignatureReport> reports_of(const Bytes& document, UnixTime at = now) {
  auto reports = verify(from_memory(document), {authority().ca.certificate}, at);
  EXPECT_TRUE(reports) << reports.error().detail;
  return reports ? std::move(*reports) : std::vector<SignatureReport>{};
}

std::size_t find_in(const Bytes& document, std::string_view text) { return as_text(document).find(text); }

class SignedFile : public testing::TestWithParam<std::string> {};

TEST_P(SignedFile, VerifiesAndIsCoveredWhole) {
  const auto reports = reports_of(sign(sample(GetParam())));
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].verdict, Verdict::valid) << reports[0].finding;
  EXPECT_TRUE(reports[0].covers_whole_document);
  EXPECT_EQ(reports[0].later_updates, 0U);
  EXPECT_EQ(reports[0].sub_filter, "ETSI.CAdES.detached");
  EXPECT_EQ(reports[0].reason, "Agreed");
  EXPECT_EQ(reports[0].cms->signer.subject(), "CN=Ada Example");
}

TEST_P(SignedFile, KeepsTheFirstSignatureValidUnderASecondOne) {
  const auto reports = reports_of(sign(sign(sample(GetParam()))));
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].verdict, Verdict::valid) << reports[0].finding;
  EXPECT_FALSE(reports[0].covers_whole_document);
  EXPECT_EQ(reports[0].later_updates, 1U);
  EXPECT_EQ(reports[1].verdict, Verdict::valid) << reports[1].finding;
  EXPECT_TRUE(reports[1].covers_whole_document);
}

INSTANTIATE_TEST_SUITE_P(Pdf, SignedFile,
                         testing::Values("classic.pdf", "no_line_end.pdf", "generations.pdf", "xref_stream.pdf", "hybrid.pdf",
                                         "form_direct.pdf", "form_indirect.pdf", "linearised.pdf", "linearised_streams.pdf"),
                         [](const auto& sample_file) { return std::filesystem::path(sample_file.param).stem().string(); });

TEST(Verify, FindsNoSignatureWhereThereIsNone) { EXPECT_TRUE(reports_of(sample("form_direct.pdf")).empty()); }

TEST(Verify, SaysThatAChangedByteIsNotWhatWasSigned) {
  auto document = sign(sample("classic.pdf"));
  document[find_in(document, "A sample document.")] = 'B';
  const auto reports = reports_of(document);
  ASSERT_EQ(reports.size(), 1U);
  EXPECT_EQ(reports[0].verdict, Verdict::invalid);
  EXPECT_FALSE(reports[0].cms);
}

TEST(Verify, SaysThatAnUnknownAuthorityIsNotTrusted) {
  const auto stranger = make_party("Strange CA", nullptr);
  auto reports = verify(from_memory(sign(sample("classic.pdf"))), {stranger.certificate}, now);
  ASSERT_TRUE(reports);
  EXPECT_EQ(reports->at(0).verdict, Verdict::untrusted);
  EXPECT_EQ(reports_of(sign(sample("classic.pdf")), now + std::chrono::hours(48)).at(0).verdict, Verdict::untrusted);
}

TEST(Verify, CountsAnUpdateThatFollowsAndDoesNotCallTheDocumentCovered) {
  auto document = sign(sample("classic.pdf"));
  auto later = prepare(from_memory(document),
                       {.hash = crypto::HashAlgorithm::sha256, .contents_bytes = 1024, .time = now, .name = "", .reason = ""});
  ASSERT_TRUE(later);
  append(document, *later->update_with(Bytes{0x30, 0x00}));
  const auto reports = reports_of(document);
  ASSERT_EQ(reports.size(), 2U);
  EXPECT_EQ(reports[0].verdict, Verdict::valid) << reports[0].finding;
  EXPECT_FALSE(reports[0].covers_whole_document);
  EXPECT_EQ(reports[0].later_updates, 1U);
  EXPECT_EQ(reports[1].verdict, Verdict::invalid);
}

/// The byte range as text, replaced by one of the same length.
Bytes with_byte_range(Bytes document, const ByteRange& range) {
  const auto at = find_in(document, "/ByteRange [") + 12;
  const auto end = as_text(document).find(']', at);
  std::string text;
  for (const auto part : range) text += std::to_string(part) + " ";
  text.resize(end - at, ' ');
  std::copy(text.begin(), text.end(), document.begin() + static_cast<std::ptrdiff_t>(at));
  return document;
}

TEST(Verify, RefusesAByteRangeThatLeavesOutMoreThanTheContents) {
  const auto document = sign(sample("classic.pdf"));
  const auto range = reports_of(document).at(0).byte_range;
  const auto finding = [&](ByteRange changed) { return reports_of(with_byte_range(document, changed)).at(0).finding; };
  EXPECT_THAT(finding({0, range[1] - 1, range[2], range[3]}), HasSubstr("leaves out something other"));
  EXPECT_THAT(finding({0, range[1], range[2] + 1, range[3] - 1}), HasSubstr("leaves out something other"));
  EXPECT_THAT(finding({1, range[1] - 1, range[2], range[3]}), HasSubstr("does not begin at the document's first byte"));
  EXPECT_THAT(finding({0, range[1], range[2], range[3] + 1}), HasSubstr("out of order"));
  EXPECT_THAT(finding({0, range[2], range[1], range[3]}), HasSubstr("out of order"));
  EXPECT_THAT(finding({0, range[1], range[2], range[3] - 10}), HasSubstr("not a whole revision"));
}

TEST(Verify, RefusesContentsOfAnotherSignatureInTheGap) {
  auto document = sign(sign(sample("classic.pdf")));
  auto second = reports_of(document).at(1).byte_range;
  // The first signature's dictionary is made to point to the gap of the second one.
  EXPECT_THAT(reports_of(with_byte_range(document, second)).at(0).finding, HasSubstr("leaves out something other"));
}

/// A PDF of this size whose content stream is a hole in the file.
void write_sparse(const std::filesystem::path& path, std::uint64_t stream_length) {
  std::string head = "%PDF-1.7\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n";
  std::vector<std::uint64_t> offsets{9};
  offsets.push_back(head.size());
  head += "2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n";
  offsets.push_back(head.size());
  head += "3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>\nendobj\n";
  offsets.push_back(head.size());
  head += "4 0 obj\n<< /Length " + std::to_string(stream_length) + " >>\nstream\n";
  std::string tail = "\nendstream\nendobj\n";
  const auto xref = head.size() + stream_length + tail.size();
  tail += "xref\n0 5\n0000000000 65535 f \n";
  for (const auto offset : offsets) {
    auto digits = std::to_string(offset);
    tail += std::string(10 - digits.size(), '0') + digits + " 00000 n \n";
  }
  tail += "trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n" + std::to_string(xref) + "\n%%EOF\n";
  std::ofstream out(path, std::ios::binary);
  out << head;
  out.seekp(static_cast<std::streamoff>(head.size() + stream_length));
  out << tail;
}

long peak_kilobytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return usage.ru_maxrss;
}

TEST(Prepare, ReadsADocumentOf200MegabytesInBoundedMemory) {
  std::string pattern = (std::filesystem::temp_directory_path() / "intaglio-pades-XXXXXX").string();
  const std::filesystem::path folder = ::mkdtemp(pattern.data());
  write_sparse(folder / "large.pdf", 200'000'000);
  const auto before = peak_kilobytes();
  auto prepared = prepare(*open_file(folder / "large.pdf"),
                          {.hash = crypto::HashAlgorithm::sha256, .contents_bytes = 4096, .time = now, .name = "", .reason = ""});
  EXPECT_TRUE(prepared) << prepared.error().detail;
  EXPECT_LT(peak_kilobytes() - before, 50 * 1024);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace intaglio::document::pades
