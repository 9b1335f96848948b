#pragma once

#include "preparation.h"

namespace intaglio::up {

/// Where the pages of an instance stand. WebAuthn knows hosts by name: theirs is localhost, the API's 127.0.0.1.
[[nodiscard]] std::string page_origin(const Ports& ports);

/// Whether the SSA of this prepared instance serves the signer's pages.
[[nodiscard]] Result<bool> has_pages(const RunFolder& folder);

/// Adds the signer's pages to an instance whose configuration is written: site.json, and in ssa.toml the table of ssa-pages.toml, the address
/// of the page, and one address to which the client `demo` gets its codes. The bundle is `places.pages`. Refused (`configuration`): no profile of the policy can be
/// approved on a page, or an earlier version made the instance and kept no port for them.
Status add_pages(const RunFolder& folder, const Ports& ports, const Places& places);

}  // namespace intaglio::up
