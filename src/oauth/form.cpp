#include "oauth/form.h"

#include "base/secret.h"

namespace intaglio::oauth {
namespace {

constexpr std::size_t max_fields = 64;

int hex_value(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

}  // namespace

Result<std::string> decode_form_value(std::string_view text) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      decoded.push_back(' ');
    } else if (text[i] == '%') {
      const bool whole = text.size() - i > 2;
      const int high = whole ? hex_value(text[i + 1]) : -1;
      const int low = whole ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) return Error{ErrorCode::invalid_request, "broken percent escape in a form"};
      decoded.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      decoded.push_back(text[i]);
    }
  }
  return decoded;
}

std::string encode_form_value(std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool plain =
        (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded.push_back(c);
      continue;
    }
    const auto octet = static_cast<unsigned char>(c);
    encoded.push_back('%');
    encoded.push_back(digits[octet >> 4U]);
    encoded.push_back(digits[octet & 0x0FU]);
  }
  return encoded;
}

Result<Form> Form::parse(std::string_view body) {
  Form form;
  while (!body.empty()) {
    const auto end = body.find('&');
    const auto pair = body.substr(0, end);
    body = end == std::string_view::npos ? std::string_view{} : body.substr(end + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    auto name = decode_form_value(pair.substr(0, equals));
    if (!name) return name.error();
    auto value = decode_form_value(equals == std::string_view::npos ? std::string_view{} : pair.substr(equals + 1));
    if (!value) return value.error();
    if (form.fields_.size() >= max_fields) return Error{ErrorCode::invalid_request, "too many form parameters"};
    if (!form.fields_.try_emplace(std::move(*name), std::move(*value)).second) {
      return Error{ErrorCode::invalid_request, "a form parameter came twice"};
    }
  }
  return form;
}

Form::~Form() {
  for (auto& [name, value] : fields_) wipe(value);
}

const std::string* Form::find(std::string_view name) const {
  const auto found = fields_.find(name);
  return found == fields_.end() || found->second.empty() ? nullptr : &found->second;
}

}  // namespace intaglio::oauth
