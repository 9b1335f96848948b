#pragma once

#include <functional>
#include <memory>

#include "document/pades/detail/qpdf.h"
#include "document/pades/pdf_source.h"

namespace intaglio::document::pades::detail {

enum class XrefKind { table, stream };

/// A signature field that holds a signature dictionary.
struct SignatureField {
  std::string name;            ///< fully qualified, UTF-8
  QPDFObjectHandle dictionary; ///< the value /V
};

/// A PDF that qpdf reads without a single complaint and that is not encrypted.
class PdfFile {
 public:
  [[nodiscard]] static Result<PdfFile> open(std::shared_ptr<const PdfSource> source);

  [[nodiscard]] QPDF& qpdf() noexcept { return *qpdf_; }
  [[nodiscard]] QPDFObjectHandle catalog() { return catalog_; }
  [[nodiscard]] QPDFObjectHandle first_page() { return first_page_; }
  [[nodiscard]] std::size_t page_count() const noexcept { return page_count_; }
  [[nodiscard]] std::string version() const { return version_; }
  /// The newest cross-reference section: where it is, and of which kind.
  [[nodiscard]] std::uint64_t last_xref() const noexcept { return last_xref_; }
  [[nodiscard]] XrefKind xref_kind() const noexcept { return kind_; }
  /// The first number that no object has.
  [[nodiscard]] int free_object_number() const noexcept { return free_number_; }
  /// Signature fields with a value, in the order of the form; bounded.
  [[nodiscard]] Result<std::vector<SignatureField>> signatures();
  /// Refused when qpdf has complained since the file was opened: it resolves objects late.
  [[nodiscard]] Status undamaged() const;

 private:
  PdfFile() = default;
  std::shared_ptr<QPDF> qpdf_;
  QPDFObjectHandle catalog_, first_page_;
  std::size_t page_count_ = 0;
  std::string version_;
  std::uint64_t last_xref_ = 0;
  XrefKind kind_ = XrefKind::table;
  int free_number_ = 1;
};

/// Runs what may throw out of qpdf and turns it into a refusal.
[[nodiscard]] Status guarded(const std::function<Status()>& work);

}  // namespace intaglio::document::pades::detail
