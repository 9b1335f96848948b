#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace intaglio::oauth {

/// A body of type application/x-www-form-urlencoded. It may hold a client secret: wiped when it ends.
class Form {
 public:
  /// Refused (`invalid_request`): a parameter that came twice (RFC 6749, 3.2), a broken percent escape, more than 64 parameters.
  [[nodiscard]] static Result<Form> parse(std::string_view body);
  ~Form();
  Form(Form&&) noexcept = default;
  Form& operator=(Form&&) = delete;
  Form(const Form&) = delete;
  Form& operator=(const Form&) = delete;

  /// nullptr when it is absent or without a value, which is the same (RFC 6749, 3.2).
  [[nodiscard]] const std::string* find(std::string_view name) const;

 private:
  Form() = default;
  std::map<std::string, std::string, std::less<>> fields_;
};

/// One value of such a form: '+' is a space, %XX an octet.
[[nodiscard]] Result<std::string> decode_form_value(std::string_view text);
/// The reverse, also for one value of a query (RFC 3986, 2.3): everything but A-Z a-z 0-9 - . _ ~ is escaped.
[[nodiscard]] std::string encode_form_value(std::string_view text);

}  // namespace intaglio::oauth
