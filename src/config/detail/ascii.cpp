#include "config/detail/ascii.h"

#include <algorithm>
#include <array>
#include <optional>

#include "base/bytes.h"

namespace intaglio::config::detail {

namespace {

bool is_foreign(char character) noexcept { return static_cast<unsigned char>(character) >= 0x80; }

/// How a UTF-8 sequence of each length begins, and the smallest code point that needs it.
struct Form {
  unsigned char mask, lead;
  std::size_t length;
  std::uint32_t least;
};
constexpr std::array<Form, 3> forms = {{{0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}}};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  [[nodiscard]] std::variant<std::string, Misfit> read() {
    while (at_ < text_.size() && !misfit_) {
      const auto three = text_.substr(at_, 3);
      if (text_[at_] == '#') {
        comment();
      } else if (three == "\"\"\"" || three == "'''") {
        multi_line(three);
      } else if (text_[at_] == '"') {
        basic();
      } else if (text_[at_] == '\'') {
        literal();
      } else {
        plain();
      }
    }
    if (misfit_) return *misfit_;
    return std::move(out_);
  }

 private:
  void refuse(const char* why) {
    const auto line = std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
    misfit_ = Misfit{static_cast<std::size_t>(line) + 1, why};
  }

  /// One ASCII character, copied.
  void plain() {
    if (is_foreign(text_[at_])) return refuse("a character that is not ASCII, outside comments and strings in double quotes");
    out_ += text_[at_++];
  }

  void comment() {
    for (; at_ < text_.size() && text_[at_] != '\n'; ++at_) out_ += is_foreign(text_[at_]) ? '?' : text_[at_];
  }

  void multi_line(std::string_view delimiter) {
    const auto closing = text_.find(delimiter, at_ + delimiter.size());
    const auto end = closing == std::string_view::npos ? text_.size() : closing + delimiter.size();
    while (at_ < end && !misfit_) plain();
  }

  void literal() {
    plain();
    while (at_ < text_.size() && !misfit_ && text_[at_] != '\n') {
      const char character = text_[at_];
      plain();
      if (character == '\'') return;
    }
  }

  void basic() {
    plain();
    while (at_ < text_.size() && !misfit_ && text_[at_] != '\n') {
      const char character = text_[at_];
      if (is_foreign(character)) {
        escape();
        continue;
      }
      plain();
      if (character == '"') return;
      if (character == '\\' && at_ < text_.size()) plain();
    }
  }

  /// RFC 3629: shortest form, no surrogates, at most U+10FFFF.
  void escape() {
    const auto lead = static_cast<unsigned char>(text_[at_]);
    const auto form =
        std::find_if(forms.begin(), forms.end(), [&](const Form& candidate) { return (lead & candidate.mask) == candidate.lead; });
    if (form == forms.end() || text_.size() - at_ < form->length) return refuse("not UTF-8");
    std::uint32_t point = lead & static_cast<unsigned char>(~form->mask);
    for (std::size_t next = 1; next < form->length; ++next) {
      const auto byte = static_cast<unsigned char>(text_[at_ + next]);
      if ((byte & 0xc0U) != 0x80U) return refuse("not UTF-8");
      point = point << 6U | (byte & 0x3fU);
    }
    if (point < form->least || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return refuse("not UTF-8");
    const std::array<std::uint8_t, 4> bytes = {0, static_cast<std::uint8_t>(point >> 16U), static_cast<std::uint8_t>(point >> 8U & 0xffU),
                                               static_cast<std::uint8_t>(point & 0xffU)};
    out_ += "\\U" + encode_hex(bytes);
    at_ += form->length;
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::string out_;
  std::optional<Misfit> misfit_;
};

}  // namespace

std::variant<std::string, Misfit> to_ascii(std::string_view text) { return Reader(text).read(); }

}  // namespace intaglio::config::detail
