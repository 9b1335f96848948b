#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/certificate.h"
#include "json/json.h"

namespace intaglio::sam {

/// The identity record in an operator's request. Of a natural person: members givenName, surname, country (two letters), serialNumber; of
/// one who signs for an organisation: organizationName and organizationIdentifier as well (EN 319 412-2, 4.2.4); of a legal person:
/// organizationName, organizationIdentifier, country (EN 319 412-3, 4.2.1). email is optional and never in the certificate.
struct IdentityRecord {
  std::string canonical;                       ///< JSON
  std::vector<crypto::NameAttribute> subject;  ///< in the order of the standards; commonName, the last, is made from the others

  /// The subject as a Name, DER.
  [[nodiscard]] Result<Bytes> subject_der() const { return crypto::encode_name(subject); }
  /// Whether a certificate's subject names this person: each attribute that tells persons and organisations apart stands once and is the record's, or is absent
  /// where the record has none (LNK-6.2.2-05). commonName is the authority's matter.
  [[nodiscard]] bool is_named_by(ByteView name_der) const;
};

/// `invalid_request` names the member.
[[nodiscard]] Result<IdentityRecord> parse_identity(const json::Value& identity);

}  // namespace intaglio::sam
