#pragma once

#include <memory>
#include <string_view>

#include "settings.h"

namespace intaglio::apps::pki {

/// The environment's SOFTHSM2_CONF wins over the file's.
enum class SoftHsmConf { environment_first, file_first };
[[nodiscard]] Result<std::shared_ptr<token::Token>> open_token(const TokenSettings& settings, SoftHsmConf order);
/// The signing key of this CKA_ID; not_found when there is none, `configuration` when it is of another kind.
[[nodiscard]] Result<std::shared_ptr<crypto::Signer>> find_signer(const std::shared_ptr<token::Token>& token, const KeySettings& key);
/// The same, made when there is none: ceremonies only.
[[nodiscard]] Result<std::shared_ptr<crypto::Signer>> find_or_make_signer(const std::shared_ptr<token::Token>& token,
                                                                          const KeySettings& key);

}  // namespace intaglio::apps::pki
