#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "base/result.h"

struct evp_pkey_st;
struct x509_st;

namespace intaglio::up {

/// Which end of a TLS connection a certificate is for (extended key usage).
enum class TlsRole { server, client };

/// A certification authority for TLS alone, P-256, whose key is forgotten when this object ends: a run folder names all of its
/// identities at once. Never the authority of signers' certificates.
class TlsAuthority {
 public:
  [[nodiscard]] static Result<TlsAuthority> create(const std::string& common_name, const std::filesystem::path& certificate_file);
  /// Writes certificate and key (mode 0600), both PEM. A server's certificate is for 127.0.0.1, ::1 and localhost. Gives the
  /// SHA-256 of its SubjectPublicKeyInfo in hexadecimal: the pin.
  [[nodiscard]] Result<std::string> issue(const std::string& common_name, TlsRole role, const std::filesystem::path& certificate_file,
                                          const std::filesystem::path& key_file) const;

 private:
  TlsAuthority(std::shared_ptr<evp_pkey_st> key, std::shared_ptr<x509_st> certificate)
      : key_(std::move(key)), certificate_(std::move(certificate)) {}
  std::shared_ptr<evp_pkey_st> key_;
  std::shared_ptr<x509_st> certificate_;
};

}  // namespace intaglio::up
