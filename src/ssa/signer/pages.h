#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "http/routes.h"

namespace intaglio::ssa::signer {

struct PagesConfig {
  std::filesystem::path folder;     ///< the bundle that web/build.mjs made, with its SHA256SUMS
  std::filesystem::path site;       ///< site.json of this deployment (web/README.md)
  std::string api;                  ///< origin that the pages call; nothing else may be called from them
  std::string identity_thumbprint;  ///< of the SAM (RFC 7638): the key that site.json pins must be this one
  std::string bundle_sha256;        ///< hex SHA-256 of SHA256SUMS; empty: any bundle
  std::string identity_issuer{}, identity_address{};  ///< the provider at which signers sign in, and where; empty: none
};

/// The signer's pages as files in memory, for a listener of their own: an origin at which nothing else answers. Every answer forbids
/// scripts, connections, frames and forms of any other origin (Content Security Policy Level 3), and windows of others reach nothing.
class Pages {
 public:
  /// Refused (`configuration`): a file is missing, has another digest than SHA256SUMS says or a kind that pages do not have, the bundle is
  /// not the expected one, or site.json names another API, another SAM or another identity provider.
  [[nodiscard]] static Result<Pages> load(const PagesConfig& config);

  /// GET of each file, by its name; `x.html` by `x` as well.
  void add_routes(http::Router& router) const;
  /// Hex SHA-256 of SHA256SUMS: what is published of the bundle.
  [[nodiscard]] const std::string& digest() const noexcept { return digest_; }

 private:
  struct File {
    std::string name, type, body;
  };
  Pages(std::vector<File> files, std::string digest, std::vector<std::pair<std::string, std::string>> headers)
      : files_(std::move(files)), digest_(std::move(digest)), headers_(std::move(headers)) {}

  std::vector<File> files_;
  std::string digest_;
  std::vector<std::pair<std::string, std::string>> headers_;
};

}  // namespace intaglio::ssa::signer
