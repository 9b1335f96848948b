#include "document/pades/sign.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "crypto/digest.h"

namespace intaglio::document::pades {
namespace {

using testing::HasSubstr;

std::filesystem::path sample(const std::string& name) { return std::filesystem::path(INTAGLIO_SOURCE_DIR) / "tests/data/pdf" / name; }

Bytes content_of(const std::filesystem::path& path) {
  auto read = read_file(path, 512 * 1024 * 1024);
  EXPECT_TRUE(read) << path;
  return read ? std::move(*read) : Bytes{};
}

SignatureOptions options(std::string reason = "") {
  return {.hash = crypto::HashAlgorithm::sha256,
          .contents_bytes = 4096,
          .time = *parse_utc("2026-11-20T10:37:00Z"),
          .name = "Ada Example",
          .reason = std::move(reason)};
}

/// A folder that disappears with the test.
class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "intaglio-pades-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::filesystem::path operator/(const std::string& name) const { return path_ / name; }
  [[nodiscard]] std::size_t files() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), std::filesystem::directory_iterator()));
  }

 private:
  std::filesystem::path path_;
};

std::string refusal_of(const std::string& name) {
  auto source = open_file(sample(name));
  if (!source) return "unreadable";
  auto prepared = prepare(*source, options());
  return prepared ? "accepted" : prepared.error().detail;
}

class EveryKindOfFile : public testing::TestWithParam<std::string> {};

TEST_P(EveryKindOfFile, IsKeptByteForByteAndFollowedByAnUpdateThatQpdfReads) {
  const auto original = content_of(sample(GetParam()));
  auto input = open_file(sample(GetParam()));
  ASSERT_TRUE(input);
  auto prepared = prepare(*input, options("I agree (to § 7)"));
  ASSERT_TRUE(prepared) << prepared.error().detail;
  Folder folder;
  ASSERT_TRUE(write_signed(folder / "out.pdf", *prepared, Bytes{0x30, 0x03, 0x02, 0x01, 0x07}, Existing::keep));

  const auto written = content_of(folder / "out.pdf");
  ASSERT_GT(written.size(), original.size());
  EXPECT_TRUE(std::equal(original.begin(), original.end(), written.begin()));
  auto facts = inspect(from_memory(written));
  ASSERT_TRUE(facts) << facts.error().detail;
  EXPECT_EQ(facts->signatures, 1U);
  EXPECT_EQ(facts->pages, prepared->facts().pages);
  EXPECT_EQ(facts->has_stream_cross_reference, prepared->facts().has_stream_cross_reference);
  EXPECT_EQ(folder.files(), 1U);
}

TEST_P(EveryKindOfFile, IsDigestedOverEverythingButTheContents) {
  auto input = open_file(sample(GetParam()));
  ASSERT_TRUE(input);
  auto prepared = prepare(*input, options());
  ASSERT_TRUE(prepared) << prepared.error().detail;
  auto update = prepared->update_with(Bytes{0x30, 0x00});
  ASSERT_TRUE(update);
  Bytes all = content_of(sample(GetParam()));
  append(all, *update);

  const auto& range = prepared->byte_range();
  EXPECT_EQ(range[0], 0U);
  EXPECT_EQ(range[2] + range[3], all.size());
  EXPECT_EQ(all[range[1]], '<');
  EXPECT_EQ(all[range[2] - 1], '>');
  EXPECT_EQ(range[2] - range[1], 2 * 4096 + 2U);
  Bytes covered(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(range[1]));
  covered.insert(covered.end(), all.begin() + static_cast<std::ptrdiff_t>(range[2]), all.end());
  EXPECT_EQ(prepared->digest(), crypto::digest(crypto::HashAlgorithm::sha256, covered));
}

TEST_P(EveryKindOfFile, TakesASecondSignatureWithoutTouchingTheFirst) {
  auto first = prepare(*open_file(sample(GetParam())), options());
  ASSERT_TRUE(first) << first.error().detail;
  Bytes once = content_of(sample(GetParam()));
  append(once, *first->update_with(Bytes{0x30, 0x00}));

  auto second = prepare(from_memory(once), options());
  ASSERT_TRUE(second) << second.error().detail;
  Bytes twice = once;
  append(twice, *second->update_with(Bytes{0x30, 0x00}));

  EXPECT_NE(first->field_name(), second->field_name());
  auto facts = inspect(from_memory(twice));
  ASSERT_TRUE(facts) << facts.error().detail;
  EXPECT_EQ(facts->signatures, 2U);
}

INSTANTIATE_TEST_SUITE_P(Pdf, EveryKindOfFile,
                         testing::Values("classic.pdf", "no_line_end.pdf", "generations.pdf", "xref_stream.pdf", "hybrid.pdf",
                                         "form_direct.pdf", "form_indirect.pdf", "linearised.pdf", "linearised_streams.pdf",
                                         "../../../examples/contract.pdf"),
                         [](const auto& sample_file) { return std::filesystem::path(sample_file.param).stem().string(); });

std::string update_of(const std::string& name) {
  auto prepared = prepare(*open_file(sample(name)), options());
  return prepared ? std::string(as_text(*prepared->update_with(Bytes{}))) : prepared.error().detail;
}

TEST(IncrementalUpdate, WritesTheSectionOfTheKindOfTheNewestOne) {
  EXPECT_THAT(update_of("classic.pdf"), HasSubstr("\nxref\n"));
  EXPECT_THAT(update_of("hybrid.pdf"), HasSubstr("\nxref\n"));
  EXPECT_THAT(update_of("xref_stream.pdf"), HasSubstr("/Type /XRef"));
  EXPECT_THAT(update_of("linearised_streams.pdf"), HasSubstr("/Type /XRef"));
}

TEST(IncrementalUpdate, KeepsTheGenerationOfAnObjectThatItReplaces) {
  EXPECT_THAT(update_of("generations.pdf"), testing::AllOf(HasSubstr("\n3 3 obj\n"), HasSubstr(" 00003 n \n"), HasSubstr("/P 3 3 R")));
}

TEST(IncrementalUpdate, KeepsTheTrailerAndChangesTheSecondHalfOfTheIdentifier) {
  const auto update = update_of("classic.pdf");
  EXPECT_THAT(update, testing::AllOf(HasSubstr("/Info 6 0 R"), HasSubstr("/DocChecksum /00112233"), HasSubstr("/Prev ")));
  EXPECT_THAT(update, HasSubstr("/ID [<000102030405060708090a0b0c0d0e0f> <"));
  EXPECT_THAT(update, testing::Not(HasSubstr("> <000102030405060708090a0b0c0d0e0f>]")));
}

TEST(IncrementalUpdate, MakesAnInvisiblePrintableLockedWidgetOnTheFirstPage) {
  const auto update = update_of("classic.pdf");
  EXPECT_THAT(update, HasSubstr("/Subtype /Widget /FT /Sig /T (Signature1) /F 132 /Rect [0 0 0 0] /P 3 0 R /V 7 0 R"));
  EXPECT_THAT(update,
              HasSubstr("/Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /M (D:20261120103700Z) /Name (Ada Example)"));
  EXPECT_THAT(update, HasSubstr("/SigFlags 3"));
}

TEST(IncrementalUpdate, KeepsWhatTheFormHasAndTakesAnUnusedFieldName) {
  const auto direct = update_of("form_direct.pdf");
  EXPECT_THAT(direct, testing::AllOf(HasSubstr("/NeedAppearances true"), HasSubstr("/DA (/Helv 0 Tf 0 g)"), HasSubstr("/T (Signature2)"),
                                     HasSubstr("/Fields [ 6 0 R 8 0 R ]"), HasSubstr("/Annots [ 6 0 R 8 0 R ]")));
  const auto indirect = update_of("form_indirect.pdf");
  EXPECT_THAT(indirect, testing::AllOf(HasSubstr("\n7 0 obj\n[ 8 0 R 10 0 R ]\n"), HasSubstr("/DR "), HasSubstr("/SigFlags 3")));
  EXPECT_THAT(indirect, testing::Not(HasSubstr("/Type /Catalog")));
}

TEST(Prepare, RefusesWithTheReasonWhatCannotBeSignedFaithfully) {
  EXPECT_THAT(refusal_of("encrypted_password.pdf"), HasSubstr("encrypted PDF: it opens only with a password"));
  EXPECT_THAT(refusal_of("encrypted_permissions.pdf"), HasSubstr("encrypted PDF"));
  EXPECT_THAT(refusal_of("truncated.pdf"), HasSubstr("truncated PDF"));
  EXPECT_THAT(refusal_of("wrong_offsets.pdf"), HasSubstr("damaged PDF"));
  EXPECT_THAT(refusal_of("bytes_before_header.pdf"), HasSubstr("before the PDF header"));
  EXPECT_THAT(refusal_of("not_a_pdf.pdf"), HasSubstr("not a PDF"));
  EXPECT_THAT(refusal_of("no_page.pdf"), HasSubstr("no page"));
  EXPECT_THAT(refusal_of("certified.pdf"), HasSubstr("certified PDF"));
  EXPECT_THAT(refusal_of("dynamic_xfa.pdf"), HasSubstr("dynamic XFA"));
  // Object 8 does not exist: the update would make it its own.
  EXPECT_THAT(refusal_of("reference_to_come.pdf"), HasSubstr("refers to an object that is not there"));
}

TEST(Prepare, RefusesAFolderAndAFileThatIsNotThere) {
  EXPECT_EQ(open_file(sample("")).error().code, ErrorCode::invalid_request);
  EXPECT_EQ(open_file(sample("nowhere.pdf")).error().code, ErrorCode::not_found);
  EXPECT_FALSE(prepare(from_memory({}), options()));
}

TEST(WriteSigned, RefusesACmsThatDoesNotFit) {
  auto prepared = prepare(*open_file(sample("classic.pdf")), options());
  ASSERT_TRUE(prepared);
  EXPECT_TRUE(prepared->update_with(Bytes(4096, 0x30)));
  EXPECT_EQ(prepared->update_with(Bytes(4097, 0x30)).error().code, ErrorCode::too_large);
}

TEST(WriteSigned, KeepsAFileThatHasTheNameAlreadyUnlessAskedToReplaceIt) {
  Folder folder;
  const auto target = folder / "out.pdf";
  ASSERT_TRUE(write_file_durably(target, as_bytes("precious"), 0644));
  auto prepared = prepare(*open_file(sample("classic.pdf")), options());
  ASSERT_TRUE(prepared);

  EXPECT_EQ(write_signed(target, *prepared, Bytes{0x30, 0x00}, Existing::keep).error().code, ErrorCode::conflict);
  EXPECT_EQ(content_of(target), to_bytes("precious"));
  EXPECT_EQ(folder.files(), 1U);
  EXPECT_TRUE(write_signed(target, *prepared, Bytes{0x30, 0x00}, Existing::replace));
  EXPECT_EQ(folder.files(), 1U);
}

TEST(WriteSigned, MayReplaceItsOwnInput) {
  Folder folder;
  const auto target = folder / "contract.pdf";
  ASSERT_TRUE(write_file_durably(target, content_of(sample("classic.pdf")), 0644));
  auto prepared = prepare(*open_file(target), options());
  ASSERT_TRUE(prepared);
  ASSERT_TRUE(write_signed(target, *prepared, Bytes{0x30, 0x00}, Existing::replace));
  EXPECT_EQ(inspect(*open_file(target))->signatures, 1U);
}

TEST(WriteSigned, RefusesAnInputThatChangedSinceItWasPreparedAndLeavesNothing) {
  Folder folder;
  const auto input = folder / "in.pdf";
  ASSERT_TRUE(write_file_durably(input, content_of(sample("classic.pdf")), 0644));
  auto prepared = prepare(*open_file(input), options());
  ASSERT_TRUE(prepared);
  std::fstream(input, std::ios::in | std::ios::out | std::ios::binary).seekp(40).put('!');

  auto written = write_signed(folder / "out.pdf", *prepared, Bytes{0x30, 0x00}, Existing::keep);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::conflict);
  EXPECT_EQ(folder.files(), 1U);
}

TEST(WriteSigned, SaysWhenTheOutputCannotBeWritten) {
  auto prepared = prepare(*open_file(sample("classic.pdf")), options());
  ASSERT_TRUE(prepared);
  EXPECT_EQ(write_signed("/nonexistent/out.pdf", *prepared, Bytes{0x30, 0x00}, Existing::keep).error().code,
            ErrorCode::storage_unavailable);
}

}  // namespace
}  // namespace intaglio::document::pades
