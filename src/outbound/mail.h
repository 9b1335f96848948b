#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace intaglio::outbound {

/// A text to one person.
struct Mail {
  std::string id;  ///< A-Z a-z 0-9 - _ ; with the sender's domain it is the Message-ID, so that a repeated message shows as one
  std::string from, to;
  std::string subject;  ///< UTF-8, one line
  std::string text;     ///< UTF-8
  UnixTime date;
};

/// `local@domain` of RFC 5321 in ASCII, without quotes, comments or address literals: at most 64 octets before the @, 254 in all. Refused
/// (`invalid_request`) otherwise, and so is every octet that could end a command or a header.
Status check_mail_address(std::string_view address);

/// RFC 3629, 4: no overlong form, no surrogate, nothing beyond U+10FFFF.
[[nodiscard]] bool is_utf8(std::string_view text);
/// The message (RFC 5322) with MIME text/plain in UTF-8, base64, lines of at most 76 characters, CRLF. Refused (`invalid_request`): a line
/// break or another control character in what becomes a header, an address that is none, what is not UTF-8.
[[nodiscard]] Result<std::string> encode_mail(const Mail& mail);

}  // namespace intaglio::outbound
