#pragma once

#include "base/clock.h"
#include "service.h"
#include "sign/commands.h"

namespace intaglio::cli {

/// Shows this device to the service with its registered key, waits until something is there for its signer to approve, lets him choose by what
/// is shown, and opens that: the answer is that of an address (api/sic, /sic/v1/devices). `not_found` when nothing came in time.
[[nodiscard]] Result<json::Value> open_by_device(Service& service, const ApproveOptions& options, const Clock& clock,
                                                 const Progress& progress);

/// Asks for the two digits that the application shows, unless they were given; refused when they are not those of this transaction: it is
/// then another application's that waits.
Status compare_digits(ByteView transaction, const ApproveOptions& options);

}  // namespace intaglio::cli
