#pragma once

#include <memory>
#include <optional>
#include <string>

#include "base/ids.h"
#include "json/json.h"
#include "notice/kind.h"
#include "sealed/table.h"

namespace intaglio::notice {

/// Where a signer is told. Personal data: it stands sealed in the database, and nowhere else.
struct Contact {
  std::string email;     ///< empty: none
  std::string phone;     ///< E.164: + and 8 to 15 digits; empty: none
  std::string language;  ///< of `languages`

  /// The address of a channel; empty: none.
  [[nodiscard]] const std::string& address(Channel channel) const noexcept { return channel == Channel::mail ? email : phone; }
};

/// `{"email", "phone", "language"}`, at least one of the first two; `language` is `en` without it. Refused (`invalid_request`): another member, an address
/// of another form.
[[nodiscard]] Result<Contact> parse_contact(const json::Value& value);

/// The contacts of all signers, one sealed record each (TC-8).
class Contacts {
 public:
  explicit Contacts(std::shared_ptr<const sealed::Sealer> sealer);
  /// In the place of the one that he had.
  Status keep(storage::Transaction& transaction, const SignerId& signer, const Contact& contact) const;
  [[nodiscard]] Result<std::optional<Contact>> find(storage::Transaction& transaction, const SignerId& signer) const;

 private:
  sealed::Table table_;
};

}  // namespace intaglio::notice
