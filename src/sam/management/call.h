#pragma once

#include "sam/management/management.h"

/// For the files of this folder alone.
namespace intaglio::sam {

inline constexpr std::size_t max_policy_document_bytes = 32 * 1024;

inline constexpr std::string_view policy_record = "policy";

/// What one request is about, as the transaction at hand knows it.
struct Management::Call {
  const crypto::Sha256Digest& peer;
  std::string_view compact;
  UnixTime now;
  std::optional<UserRegistry::Loaded> registry{};
  PrivilegedUser* by = nullptr;                ///< in the registry above
  std::optional<ManagementRequest> request{};  ///< once its signature is verified
  bool differing_clock = false;                ///< nothing else is wrong with it

  /// The user, once the registry was read again.
  void find_user(const UserId& id) { by = registry->users.find(id.text()); }
  [[nodiscard]] std::string actor() const { return by == nullptr ? "unknown" : "user:" + by->id.text(); }
  /// `invalid_request` when the request has another member than these and those that every request has.
  [[nodiscard]] Status check_request_members(std::initializer_list<std::string_view> known) const;
};

/// What a proposal would do, tried on a copy.
struct Management::Change {
  audit::Event event;
  std::optional<UserRegistry::Loaded> users{};
  struct PolicyDocument {
    std::uint64_t replaces;  ///< version of the record
    std::string document;
  };
  std::optional<PolicyDocument> policy{};
};

/// "made", "approved", "executed" or "expired".
[[nodiscard]] std::string_view state_of(const Proposal& proposal, UnixTime now) noexcept;
/// All of a proposal, or what a list of them shows: its content aside, with the user or policy that it is about.
[[nodiscard]] Result<json::Value> describe(const Proposal& proposal, UnixTime now);
[[nodiscard]] Result<json::Value> summarise(const Proposal& proposal, UnixTime now);

}  // namespace intaglio::sam
