#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "custody/activation.h"
#include "sam/core.h"

namespace intaglio::sam {

/// An authorisation as the SAM's sealed record holds it, with what never changes worked out once.
struct LoadedAuthorisation {
  std::string id;
  std::uint64_t version;  ///< of its row: another one has another SAD
  Authorisation authorisation;
  KeyId key;
  SignerId signer;
  std::multimap<Bytes, std::size_t> positions;  ///< digest -> places in the list, ascending
};

/// A verified request: for each digest, in the request's order, the places of the list that hold it.
struct VerifiedRequest {
  std::shared_ptr<const LoadedAuthorisation> loaded;
  crypto::SignatureSuite suite;
  std::vector<std::vector<std::size_t>> candidates;
};

/// Verifies SADs against the SAM's own records and is the only maker of activations for signing (TC-1).
class Verifier {
 public:
  explicit Verifier(Core& core) : core_(core) {}

  /// sad_invalid, sad_expired, not_authorised, algorithm_refused, digest_length, hash_not_authorised. Touches neither
  /// token nor occurrence.
  [[nodiscard]] Result<VerifiedRequest> verify(const protocol::SignRequest& request);

  /// The right to sign what stands at this place of the authorised list: the digest comes from the record (TC-2).
  [[nodiscard]] static custody::Activation activate(const VerifiedRequest& request, std::size_t position);

 private:
  [[nodiscard]] Result<std::shared_ptr<const LoadedAuthorisation>> load(const crypto::Sha256Digest& sad_digest);

  Core& core_;
  std::mutex mutex_;
  std::map<crypto::Sha256Digest, std::shared_ptr<const LoadedAuthorisation>>
      cache_;  ///< bounded; the row is looked at again when reserving
  UnixTime next_sweep_{};
};

}  // namespace intaglio::sam
