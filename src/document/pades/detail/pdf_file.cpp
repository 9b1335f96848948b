#include "document/pades/detail/pdf_file.h"

#include <qpdf/qpdf-c.h>

#include <charconv>
#include <set>

namespace intaglio::document::pades::detail {
namespace {

constexpr std::uint64_t max_document = 9'900'000'000;  // ten digits hold an offset in a cross-reference table (ISO 32000-1, 7.5.4)
constexpr std::size_t tail_size = 1054;                // where qpdf looks for startxref too
constexpr std::size_t max_fields = 100'000;
constexpr std::size_t max_field_name = 64 * 1024;
constexpr long long max_objects = 8'388'000;

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
  if (head->find("%PDF-") != std::string::npos)
    return refused("bytes before the PDF header: offsets would be ambiguous; save the document anew");
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
  explicit FieldWalk(int free_number) : free_number_(free_number) {}

  Status visit(const PdfObject& field, const std::string& prefix, bool is_signature, unsigned depth) {
    if (++visited_ > max_fields) return refused("too many form fields");
    if (depth > 64) return refused("damaged PDF: form fields nest too deeply");
    if (is_promised(field)) return promised();
    if (!field.is_dictionary()) return {};
    if (field.is_indirect() && !seen_.insert({field.number(), field.generation()}).second) {
      return refused("damaged PDF: a form field stands twice in the form");
    }
    std::string name = prefix;
    if (auto partial = field.key("/T"); partial.is_string()) name += (prefix.empty() ? "" : ".") + partial.text();
    if (name.size() > max_field_name) return refused("damaged PDF: the name of a form field is too long");
    if (auto type = field.key("/FT"); type.is_name()) is_signature = type.name() == "/Sig";
    const auto value = field.key("/V");
    if (is_promised(value)) return promised();
    if (is_signature && value.is_dictionary()) found.push_back({name, value});
    auto kids = field.key("/Kids");
    if (!kids.is_array()) return {};
    for (int i = 0; i < kids.size(); ++i) {
      if (auto done = visit(kids.item(i), name, is_signature, depth + 1); !done) return done;
    }
    return {};
  }
  std::vector<SignatureField> found;

 private:
  /// A reference to an object that does not exist yet: the next update would make it mean something.
  [[nodiscard]] bool is_promised(const PdfObject& object) const { return object.is_indirect() && object.number() >= free_number_; }
  static Error promised() { return refused("damaged PDF: the form refers to an object that is not there"); }

  int free_number_;
  std::set<std::pair<int, int>> seen_;
  std::size_t visited_ = 0;
};

Error refusal_of(const QpdfHandle& document, qpdf_error error) {
  if (error == nullptr) return refused("damaged PDF");
  const auto code = qpdf_get_error_code(document.get(), error);
  const std::string detail = qpdf_get_error_message_detail(document.get(), error);
  if (code == qpdf_e_password) return refused("encrypted PDF: it opens only with a password; remove the protection first");
  if (code == qpdf_e_unsupported) return refused("encrypted or unsupported PDF: " + detail);
  return refused("damaged PDF: " + detail + "; repair it (for example with qpdf) before it is signed");
}

QpdfHandle make_reader() {
  QpdfHandle document(qpdf_init(), [](_qpdf_data* data) { qpdf_cleanup(&data); });
  qpdf_silence_errors(document.get());
  qpdf_set_suppress_warnings(document.get(), QPDF_TRUE);
  qpdf_set_attempt_recovery(document.get(), QPDF_FALSE);
  return document;
}

QPDF_ERROR_CODE read_into(_qpdf_data* document, const PdfSource& source) {
  const auto how = source.for_library();
  if (const auto* path = std::get_if<std::string>(&how)) return qpdf_read(document, path->c_str(), nullptr);
  const auto text = as_text(std::get<ByteView>(how));
  return qpdf_read_memory(document, "document", text.data(), text.size(), nullptr);
}

}  // namespace

PdfObject PdfFile::catalog() const { return PdfObject(document_, qpdf_get_root(document_.get())); }
PdfObject PdfFile::trailer() const { return PdfObject(document_, qpdf_get_trailer(document_.get())); }
PdfObject PdfFile::first_page() const { return PdfObject(document_, qpdf_get_page_n(document_.get(), 0)); }

Status PdfFile::undamaged() const {
  if (qpdf_has_error(document_.get()) != QPDF_FALSE) return refusal_of(document_, qpdf_get_error(document_.get()));
  if (qpdf_more_warnings(document_.get()) != QPDF_FALSE) return refusal_of(document_, qpdf_next_warning(document_.get()));
  return {};
}

Result<PdfFile> PdfFile::open(const std::shared_ptr<const PdfSource>& source) {
  if (source->size() > max_document) return Error{ErrorCode::too_large, "the document has more than 9.9 GB"};
  if (auto header = check_header(*source); !header) return header.error();
  auto last_xref = find_last_xref(*source);
  if (!last_xref) return last_xref.error();
  auto kind = kind_at(*source, *last_xref);
  if (!kind) return kind.error();

  PdfFile file;
  file.source_ = source;
  file.last_xref_ = *last_xref;
  file.kind_ = *kind;
  file.document_ = make_reader();
  auto* document = file.document_.get();
  if ((read_into(document, *source) & QPDF_ERRORS) != 0) return refusal_of(file.document_, qpdf_get_error(document));
  if (qpdf_is_encrypted(document) != QPDF_FALSE) return refused("encrypted PDF: remove the protection before it is signed");
  // One warning is what qpdf makes of a reported size that is not one more than the highest number: without, it is that.
  const auto size = file.trailer().key("/Size");
  if (!size.is_integer()) return refused("damaged PDF: the trailer has no size");
  if (size.integer() < 1 || size.integer() > max_objects)
    return refused("the PDF has more objects than the format allows (ISO 32000-1, annex C)");
  file.free_number_ = static_cast<int>(size.integer());
  file.version_ = qpdf_get_pdf_version(document);
  const auto catalog = file.catalog();
  if (auto damaged = file.undamaged(); !damaged) return damaged.error();
  if (!catalog.is_dictionary() || !catalog.is_indirect()) return refused("damaged PDF: no catalogue");
  const int pages = qpdf_get_num_pages(document);
  if (auto damaged = file.undamaged(); !damaged) return damaged.error();
  if (pages < 1) return refused("the PDF has no page");
  file.page_count_ = static_cast<std::size_t>(pages);
  const auto page = file.first_page();
  if (auto damaged = file.undamaged(); !damaged) return damaged.error();
  if (!page.is_dictionary() || !page.is_indirect()) return refused("damaged PDF: the first page is no object of its own");
  return file;
}

Result<std::vector<SignatureField>> PdfFile::signatures() const {
  FieldWalk walk(free_number_);
  const auto fields = catalog().key("/AcroForm").key("/Fields");
  for (int i = 0; fields.is_array() && i < fields.size(); ++i) {
    if (auto done = walk.visit(fields.item(i), "", false, 0); !done) return done.error();
  }
  if (auto damaged = undamaged(); !damaged) return damaged.error();
  return std::move(walk.found);
}

}  // namespace intaglio::document::pades::detail
