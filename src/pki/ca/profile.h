#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "crypto/algorithms.h"
#include "crypto/inspection.h"
#include "pki/ca/identity.h"

namespace intaglio::pki {

/// What a profile states in QcStatements (EN 319 412-5). Nothing of it is a claim of qualification unless `compliance` or
/// `sscd` is true.
struct QcProfile {
  bool semantics;   ///< those of the person's identifier, when it has that form (EN 319 412-1, 5.1.3 and 5.1.4)
  bool compliance;  ///< QcCompliance, 4.2.1
  bool sscd;        ///< QcSSCD, 4.2.2
  std::vector<std::string> types;                        ///< QcType, 4.2.3: esign, eseal, web
  std::optional<std::uint64_t> retention_years;          ///< QcRetentionPeriod, 4.3.3
  std::vector<crypto::DisclosureStatement> disclosures;  ///< QcPDS, 4.3.4
};

/// A certificate profile: data, read from deploy/profiles/*.json.
struct Profile {
  std::string name;
  Person person;                     ///< whom it is for, by the attributes of its subject
  std::vector<std::string> subject;  ///< attribute types in the order in which they are written, dotted
  bool natural_semantics_only;       ///< serialNumber must have the form of EN 319 412-1, 5.1.3; false without one
  std::vector<crypto::KeyAlgorithm> key_algorithms;
  std::chrono::seconds validity;
  /// Never revoked: valid for a day at most, with the extension validity-assured-short-term and without revocation data (EN 319 412-1, 5.2).
  bool short_term;
  std::vector<std::string> key_usage;  ///< names of RFC 5280, 4.2.1.3
  std::vector<std::string> extended_key_usage;  ///< dotted
  std::vector<crypto::PolicyFacts> policies;
  QcProfile qc;
};

/// Refused (`configuration`): unknown members, names or identifiers, and claims of qualification when `qualified` is false.
[[nodiscard]] Result<Profile> parse_profile(std::string_view name, std::string_view text, bool qualified);
/// Every *.json of the folder under the name of its file; none is refused.
[[nodiscard]] Result<std::map<std::string, Profile, std::less<>>> load_profiles(const std::filesystem::path& folder, bool qualified);

}  // namespace intaglio::pki
