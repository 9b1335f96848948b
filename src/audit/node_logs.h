#pragma once

#include <map>

#include "audit/log.h"

namespace intaglio::audit {

/// What the logs of several nodes say of the same occurrences: one may sign, and another return the signature again (TC-4, TC-14).
class OccurrencesOfNodes {
 public:
  using Occurrence = std::pair<std::string, std::string>;  ///< authorisation and position
  /// `entry`: which one of which log, for a finding.
  void add_use(const Occurrence& occurrence, std::string entry, bool burned);
  void add_return(Occurrence occurrence, std::string entry);
  /// Once all logs were read.
  [[nodiscard]] std::vector<std::string> findings() const;

 private:
  struct Use {
    std::string entry;
    bool burned;
  };
  std::map<Occurrence, Use> used_;
  std::vector<std::pair<Occurrence, std::string>> returned_;
  std::vector<std::string> doubled_;
};

/// As verify_log of a file, for the log of the node as which a database on PostgreSQL was opened (storage/node.h). With `nodes`, a
/// signature that is returned again may have been made by another node.
[[nodiscard]] Result<VerifyReport> verify_log(const LogConfig& config, storage::Database& database, const crypto::PublicKey& signer,
                                              const std::function<void(std::string_view event)>& each = {},
                                              OccurrencesOfNodes* nodes = nullptr);

/// The nodes that have a log in a database on PostgreSQL, in the order of their names.
[[nodiscard]] Result<std::vector<std::string>> nodes_with_a_log(storage::Database& database);

}  // namespace intaglio::audit
