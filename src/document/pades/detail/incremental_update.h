#pragma once

#include <map>
#include <string>

#include "document/pades/detail/pdf_file.h"

namespace intaglio::document::pades::detail {

/// Members of a dictionary that replace or join those it has: name without slash escaping ("/Annots") to PDF syntax.
using Overrides = std::map<std::string, std::string>;

/// PDF syntax of a dictionary with overrides; nothing else of it changes.
[[nodiscard]] std::string write_dictionary(const QpdfHandle& document, const PdfObject& dictionary, const Overrides& overrides);
/// PDF syntax of an array with one element more.
[[nodiscard]] std::string write_array_with(const PdfObject& array, const std::string& element);
[[nodiscard]] std::string write_reference(int number, int generation);

/// Objects that are written after the end of a file, and the cross-reference section that makes them count
/// (ISO 32000-1, 7.5.6). The section is of the kind of the newest one.
class IncrementalUpdate {
 public:
  /// `first_offset`: where the update begins, which is the length of the file.
  IncrementalUpdate(const PdfFile& file, std::uint64_t first_offset, bool needs_line_end);
  [[nodiscard]] int new_object_number() noexcept { return next_number_++; }
  /// Writes one object; returns the position of its body in the update.
  std::size_t write_object(int number, int generation, const std::string& body);
  /// Cross-reference section, trailer, end of file. `second_id`: the changing half of /ID, 16 bytes.
  void finish(ByteView second_id);
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] std::string& text() noexcept { return text_; }

 private:
  struct Entry {
    std::uint64_t offset;
    int generation;
  };
  [[nodiscard]] std::string trailer_members(ByteView second_id);
  void write_table(ByteView second_id);
  void write_stream(ByteView second_id);

  const PdfFile& file_;
  std::uint64_t first_offset_;
  int next_number_;
  std::map<int, Entry> entries_;
  std::string text_;
};

}  // namespace intaglio::document::pades::detail
