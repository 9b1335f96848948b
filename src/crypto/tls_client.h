#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "crypto/certificate.h"

/// What a certificate says of a TLS client (RFC 5280, 4.2.1.6 and 4.2.1.12; RFC 8705, 2.1.2).
namespace intaglio::crypto {

enum class AlternativeName { dns, uri, email, ip };

/// The names of this kind in subjectAltName, in their order: their octets as they stand there, any of them possible, an address as 4 or
/// 16. Empty when there are none, or when the extension does not parse.
[[nodiscard]] std::vector<std::string> alternative_names(const Certificate& certificate, AlternativeName kind);
/// An IPv4 or IPv6 address as text, as the octets of `alternative_names`.
[[nodiscard]] std::optional<std::string> parse_ip_address(std::string_view text);
/// Its key may sign in a TLS client's handshake: keyUsage and extKeyUsage, where they are there, allow it.
[[nodiscard]] bool is_for_tls_clients(const Certificate& certificate);

}  // namespace intaglio::crypto
