#pragma once

#include <optional>

#include "document/pades/detail/pdf_object.h"
#include "document/pades/pdf_source.h"

namespace intaglio::document::pades::detail {

enum class XrefKind { table, stream };

/// A signature field that holds a signature dictionary.
struct SignatureField {
  std::string name;      ///< fully qualified, UTF-8
  PdfObject dictionary;  ///< the value /V
};

/// A PDF that qpdf reads without a single complaint and that is not encrypted.
class PdfFile {
 public:
  [[nodiscard]] static Result<PdfFile> open(const std::shared_ptr<const PdfSource>& source);

  [[nodiscard]] const QpdfHandle& document() const noexcept { return document_; }
  [[nodiscard]] PdfObject catalog() const;
  [[nodiscard]] PdfObject trailer() const;
  [[nodiscard]] PdfObject first_page() const;
  [[nodiscard]] std::size_t page_count() const noexcept { return page_count_; }
  [[nodiscard]] const std::string& version() const noexcept { return version_; }
  /// The newest cross-reference section: where it is, and of which kind.
  [[nodiscard]] std::uint64_t last_xref() const noexcept { return last_xref_; }
  [[nodiscard]] XrefKind xref_kind() const noexcept { return kind_; }
  /// The first number that no object has.
  [[nodiscard]] int free_object_number() const noexcept { return free_number_; }
  /// Signature fields with a value, in the order of the form; bounded.
  [[nodiscard]] Result<std::vector<SignatureField>> signatures() const;
  /// Refused when qpdf has complained since the file was opened: it resolves objects late.
  [[nodiscard]] Status undamaged() const;

 private:
  PdfFile() = default;
  std::shared_ptr<const PdfSource> source_;
  QpdfHandle document_;
  std::size_t page_count_ = 0;
  std::string version_;
  std::uint64_t last_xref_ = 0;
  XrefKind kind_ = XrefKind::table;
  int free_number_ = 1;
};

}  // namespace intaglio::document::pades::detail
