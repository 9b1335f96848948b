#pragma once

#include <filesystem>

#include "base/result.h"

namespace intaglio::token {

/// Makes `directory` (mode 0700) and writes the SoftHSM configuration `file` that points to it: file store, errors to syslog.
/// The process that opens the token gets the file by SOFTHSM2_CONF, which is read at C_Initialize: while a `Token` lives, the
/// process has one SoftHSM configuration.
Status write_softhsm_configuration(const std::filesystem::path& file, const std::filesystem::path& directory);

}  // namespace intaglio::token
