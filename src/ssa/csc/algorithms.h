#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "crypto/algorithms.h"
#include "ssa/csc/refusal.h"

/// CSC's algorithm identifiers (csc-api 13): dotted OIDs, some of which need the hash beside them.
namespace intaglio::ssa::csc {

struct AlgorithmChoice {
  std::string sign_algo;                            ///< signAlgo
  std::optional<std::string> sign_algo_params;      ///< signAlgoParams: DER in base64
  std::optional<std::string> hash_algorithm;        ///< hashAlgorithmOID
};
/// The suite that a request means, or the CSC refusal. PSS is accepted with MGF1 over the same hash and a salt as long as the
/// hash only; a hash named beside an algorithm that implies another is refused.
[[nodiscard]] std::variant<crypto::SignatureSuite, Refusal> choose_suite(const AlgorithmChoice& choice);

/// What `key.algo` says: the bare algorithms that take a hash beside them, and the exact ones, for the suites allowed.
[[nodiscard]] std::vector<std::string> algorithm_oids(const std::vector<crypto::SignatureSuite>& suites);

/// RSASSA-PSS-params, DER (RFC 8017, A.2.3), with salt as long as the hash, as this service writes it.
[[nodiscard]] Bytes pss_parameters(crypto::HashAlgorithm hash);

/// info.signAlgorithms: names and, at the same place, parameters in base64 or "".
struct OfferedAlgorithms {
  std::vector<std::string> algos, params;
};
[[nodiscard]] OfferedAlgorithms offered_algorithms();

}  // namespace intaglio::ssa::csc
