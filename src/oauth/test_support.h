#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/test_support.h"
#include "crypto/jose/jws.h"
#include "crypto/signer.h"
#include "json/json.h"
#include "oauth/client.h"
#include "storage/database.h"
#include "storage/test_support.h"

/// What unit tests and fuzz targets of the SSA's rooms stand on; no part of any process.
namespace intaglio::oauth::test {

using intaglio::test::must;

/// A database in a folder of its own, which goes with it.
class TemporaryDatabase {
 public:
  TemporaryDatabase() {
    // In memory where there is such a folder: these tests are not about durability.
    const std::filesystem::path memory = "/dev/shm";
    const auto parent = std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path();
    std::string pattern = (parent / "intaglio-ssa-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) panic("no temporary folder");
    folder_ = pattern;
    open();
  }
  ~TemporaryDatabase() {
    database_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  TemporaryDatabase(const TemporaryDatabase&) = delete;
  TemporaryDatabase& operator=(const TemporaryDatabase&) = delete;

  [[nodiscard]] std::shared_ptr<storage::Database> get() const { return database_; }
  void migrate(const std::vector<storage::Migration>& series) const {
    if (const auto done = database_->migrate(series); !done) panic(done.error().detail.c_str());
  }
  /// As after a restart of the process; nobody else may hold the database.
  void reopen() {
    database_.reset();
    open();
  }

 private:
  void open() { database_ = must(storage::test::open_database(folder_ / "test.db")); }
  std::filesystem::path folder_;
  std::shared_ptr<storage::Database> database_;
};

inline const UnixTime test_start = from_unix_seconds(1795171200);  // 2026-11-20T10:40:00Z

/// A client with a key of its own, as it would speak to the token endpoint.
class TestClient {
 public:
  explicit TestClient(std::string id) : id_(std::move(id)), key_(must(crypto::SoftwareKey::generate())) {}

  [[nodiscard]] Client registered(std::set<std::string> signers = {}, std::set<std::string> redirect_uris = {}) const {
    return {must(ClientId::parse(id_)), "Application " + id_,    key_->public_key(), std::nullopt,
            std::move(signers),         std::move(redirect_uris)};
  }
  [[nodiscard]] json::Value claims(std::string_view audience, UnixTime now, std::string_view jti) const {
    return {{"iss", id_}, {"sub", id_}, {"aud", audience}, {"jti", jti}, {"iat", unix_seconds(now)}, {"exp", unix_seconds(now) + 60}};
  }
  [[nodiscard]] std::string sign(const json::Value& claims, std::string_view typ = "JWT") const {
    return must(crypto::make_jws(*key_, typ, "key-1", json::encode(claims)));
  }
  /// Without the member typ, which RFC 7523 does not know.
  [[nodiscard]] std::string sign_untyped(const json::Value& claims) const {
    auto token = encode_base64url(as_bytes(R"({"alg":"ES256"})")) + "." + encode_base64url(as_bytes(json::encode(claims)));
    const auto raw = must(crypto::ecdsa_to_raw(must(key_->sign(crypto::SignatureSuite::ecdsa_sha256, as_bytes(token))), 32));
    return token + "." + encode_base64url(raw);
  }

 private:
  std::string id_;
  std::shared_ptr<crypto::SoftwareKey> key_;
};

}  // namespace intaglio::oauth::test
