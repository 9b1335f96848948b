#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace intaglio::protocol {

/// One node of the SAM, as the process that calls it finds it.
struct NodeReport {
  std::string name;            ///< address:port
  bool left_out;               ///< calls go to the others, until it is there again
  std::uint64_t calls;         ///< that were tried on it
  std::uint64_t failures;      ///< of these: it was not reached, did not answer, or does not serve now
  std::uint64_t taken_over;    ///< of these: calls that another node had failed
  Result<std::string> status;  ///< SamService::status of this node, asked for now
};

using AskNodes = std::function<std::vector<NodeReport>()>;

}  // namespace intaglio::protocol
