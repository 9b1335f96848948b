#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <optional>
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
  using Steady = std::function<std::chrono::steady_clock::time_point()>;
  /// `steady`: the monotonic clock, for the age of what was read.
  explicit Revocations(Steady steady = std::chrono::steady_clock::now) : steady_(std::move(steady)) {}

  /// Takes the CA anchors of the policy, and reads what is sealed for each. At start, and again for what other nodes take.
  Status load(storage::Database& database, const std::shared_ptr<const sealed::Sealer>& sealer, const Policy& policy);

  /// Whether the last `load` read every list, less than `longest_unread` ago. `storage_unavailable` otherwise, until one succeeds: a node that
  /// cannot tell what its neighbours know to be revoked decides nothing, whether it could not read or was kept from reading.
  [[nodiscard]] Status current() const;
  /// Whether another `load` is due: the last one failed, or is `reading_interval` old.
  [[nodiscard]] bool due() const;
  static constexpr std::chrono::seconds reading_interval{30};
  static constexpr std::chrono::seconds longest_unread{90};

  /// Whether a list of this certificate's issuer would be taken: nobody could revoke what another CA issued.
  [[nodiscard]] bool knows_issuer(const crypto::Certificate& certificate) const;

  /// Within a transaction, for what gives a certificate force: reads what is sealed now of its issuer and of each anchor above that one, which
  /// another node may have taken since `load`. Refused as a sealed record is, and nothing may be decided then.
  Status refresh(storage::Transaction& transaction, const std::shared_ptr<const sealed::Sealer>& sealer, const Bytes& issuer_der);

  /// Within a transaction: takes a list that was verified, in memory too, before anything else is signed. Gives the entries that the list of
  /// before did not name, or named as a hold that is none now, or the reverse: the others were dealt with when they were new, and a list
  /// may be long. `replayed` when a newer list is known.
  [[nodiscard]] Result<std::vector<crypto::RevokedCertificate>> take(storage::Transaction& transaction,
                                                                     const std::shared_ptr<const sealed::Sealer>& sealer,
                                                                     const crypto::RevocationList& list);

  /// Refused (`storage_unavailable`) while the newest list of this issuer, or of an anchor above it, is missing or past its nextUpdate: what
  /// was revoked meanwhile is not known then.
  [[nodiscard]] Status in_force(const Bytes& issuer_der, UnixTime now) const;
  /// Whether the newest list of its issuer is known and does not name it: a hold of before is over for the issuer.
  [[nodiscard]] bool clears(const crypto::Certificate& certificate) const;
  /// Whether a list names it, or names an anchor of its issuer's name, or one above that.
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
  /// The names of an issuer and of the anchors above it; with the lock held.
  [[nodiscard]] std::set<Bytes> issuers_above(const Bytes& issuer_der) const;
  /// What is sealed of an issuer, into memory; a later list that is there stays.
  Status read(storage::Transaction& transaction, const std::shared_ptr<const sealed::Sealer>& sealer, const Bytes& issuer_der);

  using Serials = std::vector<std::string>;  ///< hex, in order: a hundred thousand cost little memory and are read at once
  struct List {
    std::uint64_t number;
    UnixTime next_update;
    Serials serials;
    std::uint64_t version;  ///< of the sealed record that says so; 0: not known to have been committed
  };
  /// What is sealed of an issuer: its newest list.
  struct Known {
    std::uint64_t number;
    std::uint64_t next_update;
    Serials serials;
    std::optional<Serials> holds;  ///< those of them that may come back; nothing in a record of before they were kept
  };
  [[nodiscard]] static Result<Bytes> encode(const Known& known);
  [[nodiscard]] static Result<Known> parse(ByteView encoded);
  using SteadyTime = std::chrono::steady_clock::time_point;
  Steady steady_;
  std::atomic<bool> failed_ = false;  ///< the last load
  std::atomic<SteadyTime> loaded_{SteadyTime::min()};  ///< the begin of the last one that succeeded
  std::map<Bytes, List> lists_;  ///< the newest, by issuer name, DER
  std::multimap<Bytes, Anchor> anchors_;  ///< what another authority certified, by subject name, DER
};

}  // namespace intaglio::sam
