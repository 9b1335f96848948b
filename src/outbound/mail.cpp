#include "outbound/mail.h"

#include <algorithm>
#include <array>

#include "base/bytes.h"
#include "base/check.h"

namespace intaglio::outbound {
namespace {

constexpr std::size_t max_local = 64, max_address = 254, max_label = 63, max_subject = 500;
constexpr std::size_t base64_line = 76;
/// RFC 2047, 2: an encoded word has at most 75 characters; 12 are its frame.
constexpr std::size_t octets_of_word = 45;

bool is_letter_or_digit(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_atom(char c) { return is_letter_or_digit(c) || std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos; }
bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }
bool is_id(char c) { return is_letter_or_digit(c) || c == '-' || c == '_'; }

/// Parts between dots, none of them empty.
template <typename Check>
bool dotted(std::string_view text, Check good) {
  while (true) {
    const auto dot = text.find('.');
    const auto part = text.substr(0, dot);
    if (part.empty() || !good(part)) return false;
    if (dot == std::string_view::npos) return true;
    text.remove_prefix(dot + 1);
  }
}

bool good_label(std::string_view label) {
  return label.size() <= max_label && label.front() != '-' && label.back() != '-' &&
         std::all_of(label.begin(), label.end(), [](char c) { return is_letter_or_digit(c) || c == '-'; });
}

bool is_address(std::string_view address) {
  const auto at = address.find('@');
  if (at == std::string_view::npos || address.size() > max_address || at > max_local) return false;
  const auto atoms = [](std::string_view part) { return std::all_of(part.begin(), part.end(), is_atom); };
  return dotted(address.substr(0, at), atoms) && dotted(address.substr(at + 1), good_label);
}

std::string base64_lines(std::string_view text) {
  const auto encoded = encode_base64(as_bytes(text));
  std::string lines;
  for (std::size_t at = 0; at < encoded.size(); at += base64_line) lines += encoded.substr(at, base64_line) + "\r\n";
  return lines;
}

/// A header's text: itself where it is short and plain, else encoded words, none of which cuts a character in two (RFC 2047, 5).
std::string header_text(std::string_view text) {
  const bool plain = text.size() <= octets_of_word && text.find("=?") == std::string_view::npos &&
                     std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c <= '~'; });
  if (plain) return std::string(text);
  std::string words;
  while (!text.empty()) {
    std::size_t length = std::min(text.size(), octets_of_word);
    while (length > 1 && length < text.size() && (static_cast<unsigned char>(text[length]) & 0xc0U) == 0x80U) --length;
    words += (words.empty() ? "=?UTF-8?B?" : "\r\n =?UTF-8?B?") + encode_base64(as_bytes(text.substr(0, length))) + "?=";
    text.remove_prefix(length);
  }
  return words;
}

std::string two(unsigned number) { return (number < 10 ? "0" : "") + std::to_string(number); }

/// RFC 5322, 3.3: "Sat, 28 Nov 2026 07:05:00 +0000".
std::string date_text(UnixTime time) {
  constexpr std::array<std::string_view, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  const auto count = [](auto duration) { return two(static_cast<unsigned>(duration.count())); };
  return std::string(days.at(std::chrono::weekday(day).c_encoding())) + ", " + two(static_cast<unsigned>(date.day())) + " " +
         std::string(months.at(static_cast<unsigned>(date.month()) - 1)) + " " + std::to_string(static_cast<int>(date.year())) + " " +
         count(clock.hours()) + ":" + count(clock.minutes()) + ":" + count(clock.seconds()) + " +0000";
}

}  // namespace

bool is_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const auto octet = [&](std::size_t index) { return index < text.size() ? static_cast<unsigned char>(text[index]) : 0U; };
    const unsigned first = octet(at), second = octet(at + 1);
    const std::size_t length = first < 0x80                    ? 1
                               : first >= 0xc2 && first < 0xe0 ? 2
                               : first >= 0xe0 && first < 0xf0 ? 3
                               : first >= 0xf0 && first < 0xf5 ? 4
                                                               : 0;
    if (length == 0) return false;
    for (std::size_t next = 1; next < length; ++next) {
      if ((octet(at + next) & 0xc0U) != 0x80U) return false;
    }
    const bool beyond = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
                        (first == 0xf4 && second > 0x8f);
    if (beyond) return false;
    at += length;
  }
  return true;
}

Status check_mail_address(std::string_view address) {
  if (refused_by("outbound.mail.address", !is_address(address))) return Error{ErrorCode::invalid_request, "not an address of e-mail"};
  return {};
}

Result<std::string> encode_mail(const Mail& mail) {
  for (const std::string_view address : {std::string_view(mail.from), std::string_view(mail.to)}) {
    if (auto good = check_mail_address(address); !good) return good.error();
  }
  if (mail.id.empty() || mail.id.size() > max_local || !std::all_of(mail.id.begin(), mail.id.end(), is_id))
    return Error{ErrorCode::invalid_request, "the id of a message has other characters than A-Z a-z 0-9 - _"};
  if (refused_by("outbound.mail.header", std::any_of(mail.subject.begin(), mail.subject.end(), is_control)))
    return Error{ErrorCode::invalid_request, "a subject with a control character"};
  if (mail.subject.empty() || mail.subject.size() > max_subject) return Error{ErrorCode::invalid_request, "a subject of another length"};
  if (!is_utf8(mail.subject) || !is_utf8(mail.text)) return Error{ErrorCode::invalid_request, "a text that is not UTF-8"};
  return "Date: " + date_text(mail.date) + "\r\nFrom: <" + mail.from + ">\r\nTo: <" + mail.to + ">\r\nMessage-ID: <" + mail.id +
         mail.from.substr(mail.from.find('@')) + ">\r\nSubject: " + header_text(mail.subject) +
         // RFC 3834: no absence note answers it.
         "\r\nAuto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: "
         "base64\r\n\r\n" +
         base64_lines(mail.text);
}

}  // namespace intaglio::outbound
