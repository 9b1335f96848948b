#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "protocol/binding.h"
#include "storage/database.h"

namespace intaglio::ssa {

/// The tables of this room.
[[nodiscard]] const std::vector<storage::Migration>& migrations();

enum class TransactionState { open, answered };

/// What the SSA keeps of a transaction that it opened at the SAM for a client.
struct KeptTransaction {
  std::string client;
  protocol::Transaction content;  ///< T, parsed
  TransactionState state;
};

/// A SAD as it was issued, without the SAD: by its jti.
struct IssuedSad {
  std::string jti;
  Bytes nonce;  ///< of its transaction
  UnixTime expires;
};

/// Open transactions and issued SADs. The SAM is the authority on both; this is what the SSA's early refusals compare with.
class Transactions {
 public:
  Transactions(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock);

  /// `encoded`: T as the SAM gave it; refused when it does not parse or stands already.
  [[nodiscard]] Result<protocol::Transaction> keep(ByteView encoded, std::string_view client);
  /// not_found when the nonce is not one of ours.
  [[nodiscard]] Result<KeptTransaction> find(ByteView nonce);
  /// A SAP message of this transaction was answered; `sad` for purpose sign.
  Status answered(ByteView nonce, const std::optional<IssuedSad>& sad);
  /// The transaction under which a SAD was issued; not_found when none of ours was.
  [[nodiscard]] Result<KeptTransaction> find_by_sad(std::string_view jti);

 private:
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
};

}  // namespace intaglio::ssa
