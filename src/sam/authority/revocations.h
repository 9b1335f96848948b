#pragma once

#include <map>
#include <set>
#include <shared_mutex>
#include <string>

#include "crypto/certificate.h"
#include "crypto/revocation.h"
#include "sam/policy/policy.h"
#include "sealed/table.h"

namespace intaglio::sam {

/// Every serial number that the newest list of each CA anchor names, whether or not a key has that certificate yet: the order in which
/// certificate and list arrive decides nothing, nor does a column that the database keeps in clear. An anchor that the list of another anchor
/// names takes with it whatever it issued. Sealed with the number of the list; in memory for the signing path. Thread-safe.
class Revocations {
 public:
  /// Takes the CA anchors of the policy, and reads what is sealed for each. At start.
  Status load(storage::Database& database, const std::shared_ptr<const sealed::Sealer>& sealer, const Policy& policy);

  /// Within a transaction: takes a list that was verified, in memory too, before anything else is signed; false when it is the one that
  /// is known. `replayed` when a newer one is.
  [[nodiscard]] Result<bool> take(storage::Transaction& transaction, const std::shared_ptr<const sealed::Sealer>& sealer,
                                  const crypto::RevocationList& list);

  /// Whether the newest list of its issuer is known and does not name it: a hold of before is over for the issuer.
  [[nodiscard]] bool clears(const crypto::Certificate& certificate) const;
  /// Whether a list names it, or names an anchor of its issuer's name.
  [[nodiscard]] bool contains(ByteView issuer_der, std::string_view serial_hex) const;
  [[nodiscard]] bool contains(const crypto::Certificate& certificate) const {
    return contains(certificate.issuer_der(), certificate.serial_hex());
  }

 private:
  mutable std::shared_mutex mutex_;
  struct Anchor {
    Bytes issuer_der;
    std::string serial_hex;
  };
  [[nodiscard]] bool names(ByteView issuer_der, std::string_view serial_hex) const;  ///< with the lock held

  struct List {
    std::uint64_t number;
    std::set<std::string, std::less<>> serials;
  };
  std::map<Bytes, List> lists_;  ///< the newest, by issuer name, DER
  std::multimap<Bytes, Anchor> anchors_;  ///< what another authority certified, by subject name, DER
};

}  // namespace intaglio::sam
