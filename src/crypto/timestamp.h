#pragma once

#include <optional>
#include <string>
#include <vector>

#include "crypto/certificate.h"

/// Time-stamps (RFC 3161 with RFC 5816, as EN 319 422 profiles them). Read and verified with OpenSSL's TS; written with `der`,
/// because OpenSSL signs with a private key that it holds and ours stands in a token.
namespace intaglio::crypto {

inline constexpr std::size_t max_timestamp_request_bytes = std::size_t{4} * 1024;
inline constexpr std::size_t max_timestamp_response_bytes = std::size_t{64} * 1024;

/// PKIFailureInfo: the bits that a time-stamping authority may set (RFC 3161, 2.4.2).
enum class TimestampFailure : std::uint8_t {
  bad_algorithm = 0,
  bad_request = 2,
  bad_data_format = 5,
  time_not_available = 14,
  unaccepted_policy = 15,
  unaccepted_extension = 16,
  system_failure = 25,
};
[[nodiscard]] std::string_view name_of(TimestampFailure failure) noexcept;  ///< as the standard spells it: "badAlg"

/// TimeStampReq (RFC 3161, 2.4.1) as it was sent. Nothing of it is decided yet: version, hash and lengths may be anything.
struct TimestampRequest {
  std::int64_t version;
  Bytes imprint_der;                  ///< MessageImprint, which the token repeats
  std::string hash_oid;               ///< dotted
  bool plain_hash;                    ///< the hash's parameters are absent or NULL (RFC 5754, 2)
  Bytes hashed_message;
  std::optional<std::string> policy;  ///< dotted
  Bytes nonce_der;                    ///< INTEGER, which the token repeats; empty when there is none
  bool certificate_requested;
  std::size_t extensions;             ///< how many, critical or not
};
/// Refused: more than max_timestamp_request_bytes, not DER (RFC 3161, 3.4), trailing bytes.
[[nodiscard]] Result<TimestampRequest> parse_timestamp_request(ByteView der);
/// A request as a client makes it. `policy` and `nonce` (magnitude, big-endian) may be empty.
[[nodiscard]] Result<Bytes> make_timestamp_request(HashAlgorithm hash, ByteView digest, std::string_view policy, ByteView nonce,
                                                   bool with_certificate);

/// What a TSTInfo states (RFC 3161, 2.4.2; EN 319 422, 5.2): ordering false, no tsa name.
struct TimestampInfo {
  std::string policy;                        ///< dotted
  Bytes imprint_der;                         ///< MessageImprint of the request
  Bytes serial;                              ///< magnitude, big-endian, at most 20 octets
  std::chrono::milliseconds generated_at;    ///< since 1970-01-01T00:00:00Z
  std::chrono::milliseconds accuracy;        ///< 1 to 1000
  Bytes nonce_der;                           ///< of the request; may be empty
  bool qualified;                            ///< adds the statement esi4-qtstStatement-1 (EN 319 422, 9.1)
};
[[nodiscard]] Bytes encode_timestamp_info(const TimestampInfo& info);
/// The signed attributes, a DER SET OF: contentType id-ct-TSTInfo, messageDigest, signingCertificateV2 with an ESSCertIDv2 of
/// SHA-256 (RFC 5816). What is signed is this encoding.
[[nodiscard]] Bytes timestamp_attributes(ByteView info_der, HashAlgorithm hash, const Certificate& unit);
/// TimeStampResp granted, around a SignedData of version 3. `signature`: over `attributes`; `certificates`: what the token
/// carries, empty unless the request asked for it (RFC 3161, 2.4.1).
[[nodiscard]] Bytes timestamp_granted(ByteView info_der, ByteView attributes, SignatureSuite suite, ByteView signature,
                                      const Certificate& unit, const std::vector<Certificate>& certificates);
/// TimeStampResp with status rejection and one failure bit; it carries no token and is not signed.
[[nodiscard]] Bytes timestamp_rejection(TimestampFailure failure, std::string_view text);

/// What a TimeStampResp says.
struct TimestampAnswer {
  std::optional<TimestampFailure> failure;  ///< nothing: granted, and the members below hold
  std::string policy, serial_hex, text;
  UnixTime generated_at;                    ///< without its fraction
  std::string generated_text;               ///< GeneralizedTime as it stands
  std::chrono::milliseconds accuracy;
  Bytes imprint_der, nonce_der, token;
  std::size_t certificates, extensions;
};
/// Refused: trailing bytes, a status other than granted and rejection, a failure bit outside TimestampFailure. Not verified yet.
[[nodiscard]] Result<TimestampAnswer> parse_timestamp_response(ByteView der);
/// Granted, for this request (version, imprint, policy, nonce), signed by a certificate for time-stamping alone that the token's
/// ESSCertIDv2 names and whose path ends at an anchor at time `at`; `known`: certificates that the token may leave out.
/// Refused (`not_authorised`) otherwise. Revocation is the caller's.
[[nodiscard]] Status verify_timestamp_response(ByteView response, ByteView request, const std::vector<Certificate>& known,
                                               const std::vector<Certificate>& anchors, UnixTime at);

}  // namespace intaglio::crypto
