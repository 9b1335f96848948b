#include "document/pades/detail/qpdf_input.h"

#include <stdexcept>

namespace intaglio::document::pades::detail {
namespace {
constexpr std::size_t window_size = 64 * 1024;
}

QpdfInput::QpdfInput(std::shared_ptr<const PdfSource> source) : source_(std::move(source)), window_(window_size) {}

const std::uint8_t* QpdfInput::current() {
  const auto at = static_cast<std::uint64_t>(position_);
  if (at >= source_->size()) return nullptr;
  if (at < start_ || at >= start_ + filled_) {
    start_ = at - at % window_size;
    filled_ = 0;
    auto got = source_->read_at(start_, window_);
    // qpdf speaks in exceptions; the caller of qpdf turns this one into a refusal.
    if (!got) throw std::runtime_error(got.error().detail);
    filled_ = *got;
    if (at >= start_ + filled_) return nullptr;
  }
  return window_.data() + (at - start_);
}

qpdf_offset_t QpdfInput::findAndSkipNextEOL() {
  const auto is_end = [](std::uint8_t c) { return c == '\r' || c == '\n'; };
  const std::uint8_t* byte = current();
  while (byte != nullptr && !is_end(*byte)) {
    ++position_;
    byte = current();
  }
  const auto end_of_line = position_;
  while (byte != nullptr && is_end(*byte)) {
    ++position_;
    byte = current();
  }
  return end_of_line;
}

void QpdfInput::seek(qpdf_offset_t offset, int whence) {
  qpdf_offset_t base = 0;
  if (whence == SEEK_CUR) base = position_;
  if (whence == SEEK_END) base = static_cast<qpdf_offset_t>(source_->size());
  qpdf_offset_t target = 0;
  if (__builtin_add_overflow(base, offset, &target) || target < 0) throw std::runtime_error("seek before the beginning of the document");
  position_ = target;
}

std::size_t QpdfInput::read(char* into, std::size_t length) {
  last_offset = position_;
  std::size_t done = 0;
  while (done < length) {
    const std::uint8_t* byte = current();
    if (byte == nullptr) break;
    const auto available = static_cast<std::size_t>(start_ + filled_ - static_cast<std::uint64_t>(position_));
    const auto count = std::min(available, length - done);
    std::memcpy(into + done, byte, count);
    done += count;
    position_ += static_cast<qpdf_offset_t>(count);
  }
  return done;
}

void QpdfInput::unreadCh(char) {
  if (position_ > 0) --position_;
}

}  // namespace intaglio::document::pades::detail
