#pragma once

#include <memory>
#include <string>
#include <vector>

struct _qpdf_data;  // NOLINT(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp): the name that qpdf gave it

namespace intaglio::document::pades::detail {

/// One open document of qpdf, through its C interface: it lets no exception out, and its C++ headers are not C++20 for every compiler.
using QpdfHandle = std::shared_ptr<_qpdf_data>;

/// A PDF object: a value that keeps its document open. Asking for what it is not is a bug; ask is_… first.
class PdfObject {
 public:
  PdfObject(QpdfHandle document, unsigned handle);

  [[nodiscard]] bool is_null() const;
  [[nodiscard]] bool is_dictionary() const;
  [[nodiscard]] bool is_array() const;
  [[nodiscard]] bool is_string() const;
  [[nodiscard]] bool is_name() const;
  [[nodiscard]] bool is_integer() const;
  [[nodiscard]] bool is_true() const;
  [[nodiscard]] bool is_indirect() const;

  /// The member of a dictionary, its name with the slash; null when absent or when this is no dictionary.
  [[nodiscard]] PdfObject key(const char* name) const;
  [[nodiscard]] std::vector<std::string> keys() const;
  [[nodiscard]] int size() const;
  [[nodiscard]] PdfObject item(int index) const;
  [[nodiscard]] long long integer() const;
  [[nodiscard]] std::string name() const;   ///< with the slash
  [[nodiscard]] std::string text() const;   ///< of a text string, UTF-8
  [[nodiscard]] std::string bytes() const;  ///< of a string
  [[nodiscard]] int number() const;
  [[nodiscard]] int generation() const;
  /// PDF syntax; an indirect object is its reference.
  [[nodiscard]] std::string unparse() const;

 private:
  struct Handle;
  [[nodiscard]] _qpdf_data* document() const noexcept;
  [[nodiscard]] unsigned handle() const noexcept;
  std::shared_ptr<const Handle> handle_;
};

/// PDF syntax of a name, given with its slash and without escapes, and of a text string.
[[nodiscard]] std::string write_name(const QpdfHandle& document, const std::string& name);
[[nodiscard]] std::string write_text(const QpdfHandle& document, const std::string& utf8);

}  // namespace intaglio::document::pades::detail
