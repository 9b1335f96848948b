#include "document/pades/verify.h"

#include <algorithm>
#include <functional>

#include "crypto/digest.h"
#include "document/pades/detail/pdf_file.h"

namespace intaglio::document::pades {
namespace {

constexpr std::size_t chunk_size = std::size_t{1} << 20;
constexpr std::size_t max_contents = std::size_t{1} << 20;

Error wrong(std::string why) { return Error{ErrorCode::invalid_request, std::move(why)}; }

Status read_range(const PdfSource& source, std::uint64_t begin, std::uint64_t length, const std::function<void(ByteView)>& take) {
  Bytes chunk(static_cast<std::size_t>(std::min<std::uint64_t>(chunk_size, length)));
  while (length > 0) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), length));
    auto got = source.read_at(begin, std::span(chunk).first(wanted));
    if (!got) return got.error();
    if (*got != wanted) return wrong("the byte range goes beyond the end of the document");
    take(ByteView(chunk).first(wanted));
    begin += wanted;
    length -= wanted;
  }
  return {};
}

std::string text_of(const detail::PdfObject& dictionary, const char* key) {
  const auto value = dictionary.key(key);
  if (value.is_string()) return value.text();
  return value.is_name() ? value.name().substr(1) : "";
}

Result<ByteRange> byte_range_of(const detail::PdfObject& dictionary, std::uint64_t size) {
  auto array = dictionary.key("/ByteRange");
  if (!array.is_array() || array.size() != 4) return wrong("its byte range is not an array of four numbers");
  ByteRange range{};
  for (std::size_t i = 0; i < range.size(); ++i) {
    auto number = array.item(static_cast<int>(i));
    if (!number.is_integer() || number.integer() < 0) return wrong("its byte range is not an array of four numbers");
    range[i] = static_cast<std::uint64_t>(number.integer());
    if (range[i] > size) return wrong("its byte range goes beyond the end of the document");
  }
  if (range[0] != 0) return wrong("its byte range does not begin at the document's first byte");
  if (range[2] < range[1] || range[3] > size - range[2]) return wrong("its byte range is out of order");
  return range;
}

/// What the byte range leaves out must be the dictionary's own /Contents, delimiters included, and nothing else.
Status check_gap(const PdfSource& source, const ByteRange& range, std::string_view contents) {
  const auto length = range[2] - range[1];
  if (length > 2 * max_contents + 2) return wrong("it leaves out more than a signature");
  std::string gap;
  if (auto read = read_range(source, range[1], length, [&](ByteView piece) { gap += as_text(piece); }); !read) return read;
  if (gap.size() < 2 || gap.front() != '<' || gap.back() != '>')
    return wrong("its byte range leaves out something other than its contents");
  auto bytes = parse_hex(std::string_view(gap).substr(1, gap.size() - 2));
  if (!bytes || as_text(*bytes) != contents) return wrong("its byte range leaves out something other than its contents");
  return {};
}

/// The signed part must be a whole revision of the document: it ends as a PDF ends.
Status check_end(const PdfSource& source, std::uint64_t end) {
  const auto length = std::min<std::uint64_t>(end, 32);
  std::string tail;
  if (auto read = read_range(source, end - length, length, [&](ByteView piece) { tail += as_text(piece); }); !read) return read;
  while (!tail.empty() && (tail.back() == '\n' || tail.back() == '\r' || tail.back() == ' ')) tail.pop_back();
  if (!tail.ends_with("%%EOF")) return wrong("what it covers is not a whole revision of the document");
  return {};
}

/// Ends of updates after `begin`.
Result<std::uint64_t> count_updates(const PdfSource& source, std::uint64_t begin) {
  constexpr std::string_view mark = "%%EOF";
  std::uint64_t found = 0;
  std::string carry;
  auto read = read_range(source, begin, source.size() - begin, [&](ByteView piece) {
    carry += as_text(piece);
    std::size_t at = 0;
    for (auto hit = carry.find(mark); hit != std::string::npos; hit = carry.find(mark, at)) {
      ++found;
      at = hit + mark.size();
    }
    // The mark may stand across two pieces.
    carry.erase(0, std::max(at, carry.size() - std::min(carry.size(), mark.size() - 1)));
  });
  if (!read) return read.error();
  return found;
}

Status examine(const PdfSource& source, const detail::SignatureField& field, const std::vector<crypto::Certificate>& anchors, UnixTime at,
               SignatureReport& report) {
  auto dictionary = field.dictionary;
  report.sub_filter = text_of(dictionary, "/SubFilter");
  report.claimed_time = text_of(dictionary, "/M");
  report.reason = text_of(dictionary, "/Reason");
  auto range = byte_range_of(dictionary, source.size());
  if (!range) return range.error();
  report.byte_range = *range;
  const auto end = (*range)[2] + (*range)[3];
  auto updates = count_updates(source, end);
  if (!updates) return updates.error();
  report.later_updates = *updates;
  report.covers_whole_document = end == source.size();

  if (report.sub_filter != "ETSI.CAdES.detached" && report.sub_filter != "adbe.pkcs7.detached") {
    return wrong("its format " + report.sub_filter + " is not one that this program verifies");
  }
  auto contents = dictionary.key("/Contents");
  if (!contents.is_string()) return wrong("it has no contents");
  const auto cms = contents.bytes();
  if (cms.size() > max_contents) return wrong("its contents are too large");
  if (auto gap = check_gap(source, *range, cms); !gap) return gap;
  if (auto whole = check_end(source, end); !whole) return whole;

  auto hash = crypto::cms_digest_algorithm(as_bytes(cms));
  if (!hash) return hash.error();
  crypto::Hasher hasher(*hash);
  for (const std::size_t piece : {std::size_t{0}, std::size_t{2}}) {
    auto read = read_range(source, (*range)[piece], (*range)[piece + 1], [&](ByteView bytes) { hasher.update(bytes); });
    if (!read) return read;
  }
  auto verified = crypto::verify_cms_detached(as_bytes(cms), hasher.finish(), anchors, at);
  if (!verified) return verified.error();
  report.cms = std::move(*verified);
  return {};
}

}  // namespace

Result<std::vector<SignatureReport>> verify(const std::shared_ptr<const PdfSource>& document,
                                            const std::vector<crypto::Certificate>& anchors, UnixTime at) {
  auto file = detail::PdfFile::open(document);
  if (!file) return file.error();
  auto fields = file->signatures();
  if (!fields) return fields.error();
  std::vector<SignatureReport> reports;
  for (const auto& field : *fields) {
    SignatureReport report;
    report.field = field.name;
    auto examined = examine(*document, field, anchors, at, report);
    if (examined) {
      report.verdict = Verdict::valid;
    } else {
      report.verdict = examined.error().code == ErrorCode::certificate_invalid ? Verdict::untrusted : Verdict::invalid;
      report.finding = examined.error().detail;
    }
    reports.push_back(std::move(report));
  }
  if (auto damaged = file->undamaged(); !damaged) return damaged.error();
  return reports;
}

}  // namespace intaglio::document::pades
