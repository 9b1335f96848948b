#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>

#include "base/result.h"
#include "notice/kind.h"

namespace intaglio::notice {

inline constexpr std::array<std::string_view, 2> languages{"el", "en"};

struct Text {
  std::string subject;  ///< one line
  std::string body;
};
/// Placeholders and what stands for them. A value is put in as it is and not looked at again.
using Values = std::map<std::string, std::string, std::less<>>;

/// The provider's texts: a folder with `KIND.LANGUAGE.txt` for each kind in each language. A file is UTF-8, at most 16 KiB: `Subject: ` and the subject
/// on the first line, an empty second line, the text from the third on. `{{name}}` is a placeholder.
class Templates {
 public:
  /// Refused (`configuration`) with file and line: a file that is missing or of another form, a placeholder that its kind does not know (with those
  /// that it knows), and in a text that announces a code anything that is or reads like a link.
  [[nodiscard]] static Result<Templates> load(const std::filesystem::path& folder);
  /// Refused (`invalid_request`): a placeholder without a value, a value with a control character or of more than 512 octets.
  [[nodiscard]] Result<Text> render(Kind kind, std::string_view language, const Values& values) const;

 private:
  std::map<std::pair<Kind, std::string>, Text> texts_;
};

}  // namespace intaglio::notice
