#pragma once

#include <filesystem>
#include <string>

#include "base/bytes.h"
#include "base/secret.h"

namespace intaglio::cli {

/// Runs a program that lets the person sign in at an identity provider (OpenID Connect, code flow) and prints the ID token: its one
/// argument is the nonce, base64url of `binding`. Its standard error is this program's. Refused when it cannot be run, fails, or prints
/// nothing that looks like a token of at most 16 KiB; the SAM verifies what it says.
[[nodiscard]] Result<Secret> ask_identity_provider(const std::filesystem::path& program, ByteView binding);

}  // namespace intaglio::cli
