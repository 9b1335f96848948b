#pragma once

#include <string>

#include "evidence/id_token.h"
#include "json/json.h"
#include "sam/policy/policy.h"

namespace intaglio::sam {

/// The person as the provider's signed claims name him: what the certificate's subject must say, and all that it may say.
struct AssertedSubject {
  std::string given_name, surname, country, serial_number;  ///< 1 to 64 bytes each

  [[nodiscard]] std::string common_name() const { return given_name + " " + surname; }
  /// Members as an RA operator's identity record has them; canonical when encoded.
  [[nodiscard]] json::Value record() const;
  /// A Name of country, given name, surname, serial number and common name, DER.
  [[nodiscard]] Result<Bytes> name() const;
};
/// Refused (`authentication_failed`) when the token does not make one of the claims, or makes one that no certificate can hold.
[[nodiscard]] Result<AssertedSubject> asserted_subject(const OneTimeRules::Claims& claims, const evidence::id_token::Identity& identity);

/// Whether the certificate's subject is this person: each of the five attributes once, and no other.
[[nodiscard]] bool is_subject(const AssertedSubject& subject, ByteView name_der);

}  // namespace intaglio::sam
