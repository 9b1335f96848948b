#pragma once

#include "preparation.h"

namespace intaglio::up {

/// Runs sam, pki and ssa of a prepared instance, each started when the one before is ready, until SIGINT, SIGTERM or SIGHUP
/// comes or one of them ends by itself (that is refused, with its last words). On every path all of them are ended, in the
/// reverse order, before it returns. `up.pid` stands in the folder exactly while all three serve.
Status supervise(const RunFolder& folder, const Places& places, const Progress& progress);

}  // namespace intaglio::up
