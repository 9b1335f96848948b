#pragma once

#include <memory>

#include "document/pades/detail/qpdf.h"
#include "document/pades/pdf_source.h"

namespace intaglio::document::pades::detail {

/// qpdf's view of a source: one window of 64 KiB, whatever the size of the document.
class QpdfInput final : public InputSource {
 public:
  explicit QpdfInput(std::shared_ptr<const PdfSource> source);
  ~QpdfInput() override = default;
  qpdf_offset_t findAndSkipNextEOL() override;
  std::string const& getName() const override { return name_; }
  qpdf_offset_t tell() override { return position_; }
  void seek(qpdf_offset_t offset, int whence) override;
  void rewind() override { position_ = 0; }
  std::size_t read(char* into, std::size_t length) override;
  void unreadCh(char) override;

 private:
  /// The byte at `position_`, or nullptr at the end.
  const std::uint8_t* current();

  std::shared_ptr<const PdfSource> source_;
  std::string name_ = "document";
  qpdf_offset_t position_ = 0;
  Bytes window_;
  std::size_t filled_ = 0;
  std::uint64_t start_ = 0;
};

}  // namespace intaglio::document::pades::detail
