#pragma once

#include <memory>
#include <string_view>

#include "base/clock.h"
#include "base/secret.h"
#include "sealed/versions.h"
#include "storage/database.h"
#include "token/token.h"

namespace intaglio::sealed {

/// Seals records of the SAM before they leave its memory (TC-8): AES-256-GCM under a key per record,
/// HKDF(data key, table | id | version); the same three are associated data. Data keys are wrapped by the token.
class Sealer {
 public:
  /// Loads the data keys of this database, makes the first one. `sealing_key`: KeyPurpose::data_encryption. `versions`: the file of
  /// Versions, made together with the first data key.
  [[nodiscard]] static Result<std::shared_ptr<Sealer>> open(storage::Database& database, std::shared_ptr<token::Token> token,
                                                            token::ServiceKey sealing_key, std::shared_ptr<const Clock> clock,
                                                            const std::filesystem::path& versions);
  ~Sealer();
  /// data key id (8 bytes) | nonce | ciphertext | tag
  [[nodiscard]] Result<Bytes> seal(std::string_view table, ByteView id, std::uint64_t version, ByteView plaintext) const;
  /// Refused (`storage_unavailable`, detail "sealed record refused: table …") when anything differs: row swapped, edited, of another version.
  [[nodiscard]] Result<Secret> open_record(std::string_view table, ByteView id, std::uint64_t version, ByteView sealed) const;
  /// A blind index: HMAC over the value under a key of its own, so that the database can search without knowing.
  [[nodiscard]] Bytes blind_index(std::string_view table, std::string_view column, ByteView value) const;
  /// Which version each rollback-sensitive record has reached.
  [[nodiscard]] Versions& versions() const noexcept;
  /// A key derived from the current data key for a purpose outside the database (tickets), and its id. 32 bytes.
  [[nodiscard]] Result<Secret> derive(std::string_view purpose, std::uint64_t data_key_id) const;
  [[nodiscard]] std::uint64_t current_key_id() const;
  /// Makes the next data key and seals with it from now on, when the current one is a day or 2^24 records before its end; else
  /// nothing. Done every second on a thread of the sealer's own; refused where token or database refuse, and tried again. Once a key
  /// has ended without a successor, `seal` refuses; what was sealed goes on opening.
  Status rotate_if_due();

  static const std::vector<storage::Migration>& migrations();  ///< table sealed_data_keys

 private:
  struct State;
  explicit Sealer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace intaglio::sealed
