#include "document/pades/detail/pdf_file.h"

#include <charconv>
#include <set>

#include "document/pades/detail/qpdf_input.h"

namespace intaglio::document::pades::detail {
namespace {

constexpr std::uint64_t max_document = 9'900'000'000;  // ten digits hold an offset in a cross-reference table (ISO 32000-1, 7.5.4)
constexpr std::size_t tail_size = 1054;                // where qpdf looks for startxref too
constexpr std::size_t max_fields = 100'000;

Error refused(std::string why) { return Error{ErrorCode::invalid_request, std::move(why)}; }

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\0'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

Result<std::string> read_text(const PdfSource& source, std::uint64_t offset, std::size_t length) {
  Bytes buffer(length);
  auto got = source.read_at(offset, buffer);
  if (!got) return got.error();
  buffer.resize(*got);
  return std::string(as_text(buffer));
}

Status check_header(const PdfSource& source) {
  auto head = read_text(source, 0, 1024);
  if (!head) return head.error();
  if (head->size() >= 8 && head->starts_with("%PDF-") && is_digit((*head)[5]) && (*head)[6] == '.' && is_digit((*head)[7])) return {};
  if (head->find("%PDF-") != std::string::npos) return refused("bytes before the PDF header: offsets would be ambiguous; save the document anew");
  return refused("not a PDF: the header %PDF- is missing");
}

Result<std::uint64_t> find_last_xref(const PdfSource& source) {
  const auto start = source.size() > tail_size ? source.size() - tail_size : 0;
  auto tail = read_text(source, start, tail_size);
  if (!tail) return tail.error();
  const auto keyword = tail->rfind("startxref");
  if (keyword == std::string::npos) return refused("truncated PDF: startxref is missing at its end");
  auto at = keyword + 9;
  while (at < tail->size() && is_space((*tail)[at])) ++at;
  std::uint64_t offset = 0;
  const auto parsed = std::from_chars(tail->data() + at, tail->data() + tail->size(), offset);
  if (parsed.ec != std::errc{} || offset >= source.size()) return refused("damaged PDF: startxref does not point into the file");
  return offset;
}

Result<XrefKind> kind_at(const PdfSource& source, std::uint64_t offset) {
  auto text = read_text(source, offset, 64);
  if (!text) return text.error();
  std::string_view rest = *text;
  while (!rest.empty() && is_space(rest.front())) rest.remove_prefix(1);
  if (rest.starts_with("xref")) return XrefKind::table;
  if (!rest.empty() && is_digit(rest.front())) return XrefKind::stream;
  return refused("damaged PDF: startxref does not point to a cross-reference section");
}

/// Walks the form's field tree; FT and V are inheritable (ISO 32000-1, 12.7.3.1).
class FieldWalk {
 public:
  Status visit(QPDFObjectHandle field, const std::string& prefix, bool is_signature, unsigned depth) {
    if (++visited_ > max_fields) return refused("too many form fields");
    if (depth > 64) return refused("damaged PDF: form fields nest too deeply");
    if (!field.isDictionary()) return {};
    if (field.isIndirect() && !seen_.insert({field.getObjectID(), field.getGeneration()}).second) {
      return refused("damaged PDF: a form field stands twice in the form");
    }
    std::string name = prefix;
    if (auto partial = field.getKey("/T"); partial.isString()) name += (prefix.empty() ? "" : ".") + partial.getUTF8Value();
    if (auto type = field.getKey("/FT"); type.isName()) is_signature = type.getName() == "/Sig";
    if (auto value = field.getKey("/V"); is_signature && value.isDictionary()) found.push_back({name, value});
    auto kids = field.getKey("/Kids");
    if (!kids.isArray()) return {};
    for (int i = 0; i < kids.getArrayNItems(); ++i) {
      if (auto done = visit(kids.getArrayItem(i), name, is_signature, depth + 1); !done) return done;
    }
    return {};
  }
  std::vector<SignatureField> found;

 private:
  std::set<std::pair<int, int>> seen_;
  std::size_t visited_ = 0;
};

}  // namespace

Status guarded(const std::function<Status()>& work) {
  try {
    return work();
  } catch (const QPDFExc& refusal) {
    if (refusal.getErrorCode() == qpdf_e_password) return refused("encrypted PDF: it opens only with a password; remove the protection first");
    if (refusal.getErrorCode() == qpdf_e_unsupported) return refused("encrypted or unsupported PDF: " + refusal.getMessageDetail());
    return refused("damaged PDF: " + refusal.getMessageDetail());
  } catch (const std::exception& refusal) {
    return refused(std::string("damaged PDF: ") + refusal.what());
  }
}

Status PdfFile::undamaged() const {
  if (!qpdf_->anyWarnings()) return {};
  auto warnings = qpdf_->getWarnings();
  std::string first = warnings.empty() ? "unknown" : warnings.front().getMessageDetail();
  return refused("damaged PDF: " + first + "; repair it (for example with qpdf) before it is signed");
}

Result<PdfFile> PdfFile::open(std::shared_ptr<const PdfSource> source) {
  if (source->size() > max_document) return Error{ErrorCode::too_large, "the document has more than 9.9 GB"};
  if (auto header = check_header(*source); !header) return header.error();
  auto last_xref = find_last_xref(*source);
  if (!last_xref) return last_xref.error();
  auto kind = kind_at(*source, *last_xref);
  if (!kind) return kind.error();

  PdfFile file;
  file.last_xref_ = *last_xref;
  file.kind_ = *kind;
  auto opened = guarded([&]() -> Status {
    file.qpdf_ = QPDF::create();
    auto& qpdf = *file.qpdf_;
    qpdf.setSuppressWarnings(true);
    qpdf.setAttemptRecovery(false);
    qpdf.processInputSource(std::make_shared<QpdfInput>(source));
    if (qpdf.isEncrypted()) return refused("encrypted PDF: remove the protection before it is signed");
    file.version_ = qpdf.getPDFVersion();
    file.catalog_ = qpdf.getRoot();
    if (!file.catalog_.isDictionary() || !file.catalog_.isIndirect()) return refused("damaged PDF: no catalogue");
    const auto& pages = qpdf.getAllPages();
    if (pages.empty()) return refused("the PDF has no page");
    file.page_count_ = pages.size();
    file.first_page_ = pages.front();
    if (!file.first_page_.isIndirect()) return refused("damaged PDF: the first page is no object of its own");

    int highest = 0;
    for (const auto& [id, entry] : qpdf.getXRefTable()) highest = std::max(highest, id.getObj());
    auto size = qpdf.getTrailer().getKey("/Size");
    if (!size.isInteger()) return refused("damaged PDF: the trailer has no size");
    const long long first_free = std::max<long long>(size.getIntValue(), highest + 1LL);
    if (first_free < 1 || first_free > 8'388'000) return refused("the PDF has more objects than the format allows (ISO 32000-1, annex C)");
    file.free_number_ = static_cast<int>(first_free);
    return file.undamaged();
  });
  if (!opened) return opened.error();
  return file;
}

Result<std::vector<SignatureField>> PdfFile::signatures() {
  FieldWalk walk;
  auto walked = guarded([&]() -> Status {
    auto form = catalog_.getKey("/AcroForm");
    if (!form.isDictionary()) return {};
    auto fields = form.getKey("/Fields");
    if (!fields.isArray()) return {};
    for (int i = 0; i < fields.getArrayNItems(); ++i) {
      if (auto done = walk.visit(fields.getArrayItem(i), "", false, 0); !done) return done;
    }
    return undamaged();
  });
  if (!walked) return walked.error();
  return std::move(walk.found);
}

}  // namespace intaglio::document::pades::detail
