#pragma once

#include <memory>

#include "notice/outbox.h"

namespace intaglio::notice {

/// An outbox for the unit tests of the rooms above: its tables are made, addresses are sealed under a token in memory, and this notifier takes its
/// e-mail. `templates`: see Templates; `versions`: see sealed::Sealer::open. Database and log outlive it.
[[nodiscard]] Result<std::shared_ptr<Outbox>> open_testing_outbox(const std::shared_ptr<storage::Database>& database, audit::Log& log,
                                                                  const std::shared_ptr<const Clock>& clock,
                                                                  const std::filesystem::path& templates,
                                                                  const std::filesystem::path& versions,
                                                                  const std::shared_ptr<Notifier>& mail);

}  // namespace intaglio::notice
