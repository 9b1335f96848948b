#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "process.h"
#include "run_folder.h"

namespace intaglio::up {

/// Where things come from.
struct Places {
  std::filesystem::path binaries;  ///< folder of intaglio-sam, intaglio-pki, intaglio-ssa and of this program
  std::filesystem::path deploy;    ///< examples/, profiles/, policies/
  std::filesystem::path module;    ///< SoftHSM's PKCS#11 library
  std::filesystem::path policy;    ///< the policy document to complete; empty: examples/policy.json
  std::filesystem::path pages{};   ///< the bundle of the signer's pages; empty: they are not served
};

/// Told after each step: what was done, in words for a terminal.
using Progress = std::function<void(std::string_view)>;

/// Makes an instance from nothing: random PINs, one SoftHSM token each for SAM, PKI, SSA and the root, TLS identities, the
/// keys of one RA operator and one client, configuration files from the commented examples, the PKI's ceremonies, and the
/// SAM's sealed state with its policy. Ends with RunFolder::mark_prepared.
Status prepare(const RunFolder& folder, const Ports& ports, const Places& places, const Progress& progress);

/// In a process of its own, because SoftHSM reads SOFTHSM2_CONF once: initialises the token of this name with the PINs of
/// the folder's secrets.
Status initialise_token_of(const RunFolder& folder, const Places& places, std::string_view name);

/// How a service (`sam`, `pki`, `ssa`) of this instance is run; the arguments come after --config FILE.
[[nodiscard]] Command service_command(const RunFolder& folder, const Places& places, const std::string& name,
                                      std::vector<std::string> arguments);

}  // namespace intaglio::up
