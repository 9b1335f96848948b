#pragma once

#include <array>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "crypto/revocation.h"

namespace intaglio::pki {

/// How a client names a certificate: SHA-1 (RFC 5019, 2.1.1) or SHA-256, with NULL parameters.
enum class OcspIdForm : std::uint8_t { sha1, sha256 };
inline constexpr std::array<OcspIdForm, 2> ocsp_id_forms = {OcspIdForm::sha1, OcspIdForm::sha256};

/// An answer about one certificate, signed before it was asked for. The responder's certificate, which is the same for all, is put
/// to it when it leaves.
struct ShelvedAnswer {
  Bytes data, signature;  ///< ResponseData and what was signed over it
  UnixTime this_update, next_update;
};

/// Which answer: the form of its CertID and the serial number.
struct ShelfKey {
  OcspIdForm form;
  std::string serial_hex;
  bool operator==(const ShelfKey&) const = default;
};

/// Answers that wait to be asked for (RFC 5019), at most `limit` of them. Thread-safe.
///
/// What is put on it was signed from what the database said some moments before. So that no answer of before a change of status is put
/// on it after that change, who signs takes the epoch first, and an answer of an earlier epoch is not taken.
class Shelf {
 public:
  explicit Shelf(std::size_t limit) : limit_(limit) {}

  [[nodiscard]] std::uint64_t epoch() const;
  /// Not taken: an answer of an earlier epoch, and a new one when the shelf is full.
  void put(const ShelfKey& key, ShelvedAnswer answer, std::uint64_t epoch);
  [[nodiscard]] std::shared_ptr<const ShelvedAnswer> find(const ShelfKey& key) const;
  /// Begins an epoch, and takes away what was said of this certificate: those forms of it that were there.
  [[nodiscard]] std::vector<OcspIdForm> begin_epoch(std::string_view serial_hex);
  void remove(const ShelfKey& key);
  /// Answers that were signed at that moment or before, at most `limit`.
  [[nodiscard]] std::vector<ShelfKey> older_than(UnixTime signed_at, std::size_t limit) const;
  [[nodiscard]] std::size_t size() const;
  [[nodiscard]] bool full() const { return size() >= limit_; }

 private:
  struct Hash {
    std::size_t operator()(const ShelfKey& key) const noexcept {
      return std::hash<std::string>()(key.serial_hex) * 2 + static_cast<std::size_t>(key.form);
    }
  };
  const std::size_t limit_;
  mutable std::shared_mutex mutex_;
  std::uint64_t epoch_ = 0;
  std::unordered_map<ShelfKey, std::shared_ptr<const ShelvedAnswer>, Hash> answers_;
};

}  // namespace intaglio::pki
