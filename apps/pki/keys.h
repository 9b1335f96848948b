#pragma once

#include <memory>
#include <string_view>

#include "settings.h"

namespace intaglio::apps::pki {

/// The environment's SOFTHSM2_CONF wins over the file's.
enum class SoftHsmConf { environment_first, file_first };
[[nodiscard]] Result<std::shared_ptr<token::Token>> open_token(const TokenSettings& settings, SoftHsmConf order);
/// The P-256 signing key of this CKA_ID; not_found when there is none.
[[nodiscard]] Result<std::shared_ptr<crypto::Signer>> find_signer(const std::shared_ptr<token::Token>& token, std::string_view id);
/// The same, made when there is none: ceremonies only.
[[nodiscard]] Result<std::shared_ptr<crypto::Signer>> find_or_make_signer(const std::shared_ptr<token::Token>& token, std::string_view id);

}  // namespace intaglio::apps::pki
