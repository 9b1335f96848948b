#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "crypto/signer.h"
#include "sealed/table.h"

namespace intaglio::sam {

/// Makes and finds key agreement keys in the token; implemented where `token` and `sam` are joined (apps/sam).
class AgreementKeys {
 public:
  virtual ~AgreementKeys() = default;
  [[nodiscard]] virtual Result<std::shared_ptr<const crypto::KeyAgreement>> generate(std::string_view name) = 0;
  [[nodiscard]] virtual Result<std::shared_ptr<const crypto::KeyAgreement>> find(std::string_view name) = 0;
  virtual Status destroy(std::string_view name) = 0;
};

/// The SAP keys: SAP messages are encrypted to the newest. Each lives 24 h at most, overlaps its successor by 10 minutes and is
/// then destroyed, so that a recorded message is closed for ever (trust-core, 2).
class SapKeys {
 public:
  using Steady = std::function<std::chrono::steady_clock::time_point()>;
  /// `steady`: the monotonic clock, for the bound of `find`.
  SapKeys(std::string sam_name, storage::Database& database, std::shared_ptr<const sealed::Sealer> sealer, AgreementKeys& keys,
          std::shared_ptr<const crypto::Signer> identity, std::shared_ptr<const Clock> clock,
          Steady steady = std::chrono::steady_clock::now);

  /// Loads what is in the database, makes a key when none has enough life left, destroys what ended.
  Status refresh();
  /// The statement over the newest key: JWS typ intaglio-sap-key+jwt. Refreshes first when the key is about to end.
  [[nodiscard]] Result<std::string> statement();
  /// The key of this kid, while it lives; `ticket_expired` otherwise. A kid that is not held makes the node look whether another node made
  /// such a key, once a second at most: any stranger can name one. `busy` when it was not looked for.
  [[nodiscard]] Result<std::shared_ptr<const crypto::KeyAgreement>> find(std::string_view kid);

  static constexpr std::string_view table = "sap_keys";
  static constexpr std::chrono::seconds look_interval{1};

 private:
  struct Held {
    std::string kid, name;
    UnixTime created, ends;
    std::shared_ptr<const crypto::KeyAgreement> key;
    std::string statement;
  };
  [[nodiscard]] std::shared_ptr<const crypto::KeyAgreement> held(std::string_view kid) const;
  /// Whether another node has made it; one at a time.
  [[nodiscard]] Result<std::shared_ptr<const crypto::KeyAgreement>> look(std::string_view kid);
  Status refresh_alone();  ///< with refreshing_ held, and never mutex_ during a call of the token
  [[nodiscard]] std::optional<std::string> current(std::chrono::minutes margin) const;  ///< of a key that lives that much longer
  [[nodiscard]] Result<Held> hold(std::string name, UnixTime created, std::shared_ptr<const crypto::KeyAgreement> key) const;

  std::string sam_name_;
  storage::Database& database_;
  sealed::Table table_;
  AgreementKeys& keys_;
  std::shared_ptr<const crypto::Signer> identity_;
  std::shared_ptr<const Clock> clock_;
  Steady steady_;
  std::mutex looking_;  ///< last_look_, and whoever looks
  std::optional<std::chrono::steady_clock::time_point> last_look_;
  std::mutex refreshing_;  ///< one refresh at a time
  mutable std::mutex mutex_;  ///< held_ alone
  std::vector<Held> held_;  ///< oldest first
};

}  // namespace intaglio::sam
