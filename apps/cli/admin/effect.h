#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/json.h"

/// What an officer is shown beside a proposal, so that he sees what it changes. Every line is printable ASCII: other characters stand
/// as JSON escapes, so that no text looks like another one or moves what stands around it.
namespace intaglio::cli {

/// JSON text. `indent`: spaces a level; -1 for one line.
[[nodiscard]] std::string in_ascii(const json::Value& value, int indent = -1);
/// Of an answer to show-users: "ope-1 now: PNOGR-OPE1, system-operator, key THUMBPRINT, active", or that there is no such user.
[[nodiscard]] std::string describe_user(const json::Value& users, std::string_view id);
/// What differs between two JSON documents, a value a line by its JSON Pointer (RFC 6901): "- /epoch: 1", "+ /epoch: 2".
[[nodiscard]] Result<std::vector<std::string>> changes_between(std::string_view before, std::string_view after);

}  // namespace intaglio::cli
