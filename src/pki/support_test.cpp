#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/file.h"
#include "pki/ca/certificate_template.h"
#include "pki/test_support.h"
#include "storage/test_support.h"

namespace intaglio::pki::testing {

namespace {
std::string file(const std::string& path) { return std::string(as_text(*read_file(std::string(INTAGLIO_SOURCE_DIR) + path, 1 << 20))); }
std::shared_ptr<crypto::SoftwareKey> new_key() { return *crypto::SoftwareKey::generate(); }
}  // namespace

TemporaryFolder::TemporaryFolder() {
  // In memory where there is such a folder: every commit is flushed to the disk otherwise.
  const std::filesystem::path memory = "/dev/shm";
  std::string pattern =
      ((std::filesystem::exists(memory) ? memory : std::filesystem::temp_directory_path()) / "intaglio-pki-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}
TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

Bytes make_csr(const std::vector<crypto::NameAttribute>& subject, const crypto::Signer& key) {
  const Bytes info = *crypto::encode_csr_info(*crypto::encode_name(subject), key.public_key());
  const auto suite = suite_of(key.public_key());
  return *crypto::assemble_csr(info, suite, *key.sign(suite, info));
}

Profile load_profile(const std::string& name, bool qualified) {
  return *parse_profile(name, file("/deploy/profiles/" + name + ".json"), qualified);
}

namespace {

/// Of the keys of RSA, which take seconds to make, each is made once.
std::shared_ptr<crypto::SoftwareKey> authority_key(crypto::KeyAlgorithm kind, std::size_t number) {
  if (!crypto::is_rsa(kind)) return *crypto::SoftwareKey::generate(kind);
  static std::map<std::pair<crypto::KeyAlgorithm, std::size_t>, std::shared_ptr<crypto::SoftwareKey>> made;
  auto& key = made[{kind, number}];
  if (!key) key = *crypto::SoftwareKey::generate(kind);
  return key;
}

}  // namespace

TestPki::TestPki(UnixTime start, crypto::KeyAlgorithm authority_kind) : clock(std::make_shared<ManualClock>(start)) {
  root_key = authority_key(authority_kind, 0);
  issuing_key = authority_key(authority_kind, 1);
  for (auto* key : {&ocsp_key, &tsu_key})
    *key = authority_key(crypto::is_rsa(authority_kind) ? crypto::KeyAlgorithm::p256 : authority_kind, 0);
  for (auto* key : {&operator_key, &sam_key, &checkpoint_key}) *key = new_key();
  database = std::move(*storage::test::open_database(folder / "pki.db"));
  EXPECT_TRUE(database->migrate(audit::Log::migrations()));
  EXPECT_TRUE(database->migrate(migrations()));
  log = std::move(*audit::Log::open({"intaglio/pki/test", folder / "audit", folder / "anchor"}, *database, checkpoint_key, clock));
  root = *Issuer::make(*make_root_certificate({"NO", "Test", "Test Root"}, std::chrono::days(7300), *root_key, *clock), root_key);
  const Bytes request = *make_authority_request({"NO", "Test", "Test Issuing CA"}, *issuing_key);
  issuing = *Issuer::make(*certify_authority(request, std::chrono::days(3650), *root, "http://pki.example", *clock), issuing_key);
  reconfigure(authority_config());
}

AuthorityConfig TestPki::authority_config() const {
  std::map<std::string, Profile, std::less<>> profiles;
  for (const std::string name :
       {"natural-person", "natural-person-mixed", "natural-person-short-term", "legal-person", "legal-representative"})
    profiles.emplace(name, load_profile(name));
  return {std::move(profiles),   *crypto::AlgorithmPolicy::parse(file("/deploy/policies/algorithms-2026.json")),
          sam_key->public_key(), std::chrono::hours(24),
          "http://pki.example",  false};
}

Service::Config TestPki::service_config() const {
  Operators operators;
  operators.emplace("ra-1", operator_key->public_key());
  return {authority_config(),
          std::move(operators),
          std::chrono::minutes(5),
          {std::chrono::hours(24), std::chrono::hours(1)},
          {std::chrono::hours(1)},
          std::chrono::minutes(1),
          {root->certificate.der(), *make_first_root_list(*root, std::chrono::days(365), *clock)},
          TimeStampingRole{unit_profile(), timestamp_policy(), tsu_key}};
}

UnitProfile TestPki::unit_profile() const {
  return {"tsu-1", "Test TSU 1", {"2.999.1.2"}, std::chrono::days(1825), std::chrono::days(365)};
}

TimestampPolicy TestPki::timestamp_policy() const {
  using Hash = crypto::HashAlgorithm;
  return {"2.999.2.1", {Hash::sha256, Hash::sha384, Hash::sha512}, std::chrono::seconds(1), false};
}

void TestPki::reconfigure(AuthorityConfig config) {
  Operators operators;
  operators.emplace("ra-1", operator_key->public_key());
  gate = std::make_unique<OperatorGate>(std::move(operators), std::chrono::minutes(5), environment());
  authority = std::move(*Authority::open(std::move(config), *issuing, *gate, environment()));
}

Material TestPki::good() const {
  static int number = 0;
  const std::string key_id = "key-" + std::to_string(++number);
  Material material;
  material.key = new_key();
  material.request_signer = operator_key;
  material.assertion_signer = sam_key;
  material.csr = make_csr(
      {{"2.5.4.6", "NO"}, {"2.5.4.42", "Kari"}, {"2.5.4.4", "Nordmann"}, {"2.5.4.5", "PNONO-01017012345"}, {"2.5.4.3", "Kari Nordmann"}},
      *material.key);
  const json::Value identity = {{"givenName", "Kari"}, {"surname", "Nordmann"}, {"country", "NO"}, {"serialNumber", "PNONO-01017012345"}};
  material.request = {{"op", "issue-certificate"},
                      {"rid", "request-" + key_id},
                      {"iat", unix_seconds(clock->now())},
                      {"signer", "kari"},
                      {"key", key_id},
                      {"csr_sha256", encode_base64url(crypto::sha256(material.csr))},
                      {"identity", identity},
                      {"profile", "natural-person"}};
  material.assertion = {{"signer", "kari"},
                        {"key", key_id},
                        {"spki_sha256", encode_base64url(material.key->public_key().thumbprint())},
                        {"identity_sha256", encode_base64url(crypto::sha256(as_bytes(json::encode(identity))))},
                        {"iat", unix_seconds(clock->now())}};
  return material;
}

Result<crypto::Certificate> TestPki::issue(const Material& material) {
  const std::string request =
      *crypto::make_jws(*material.request_signer, material.request_typ, material.request_kid, json::encode(material.request));
  const std::string assertion =
      *crypto::make_jws(*material.assertion_signer, material.assertion_typ, "sam", json::encode(material.assertion));
  return authority->issue({request, assertion, material.csr});
}

crypto::Certificate TestPki::issued(const Material& material) {
  auto certificate = issue(material);
  EXPECT_TRUE(certificate) << certificate.error().detail;
  return *certificate;
}

std::string TestPki::sign_request(const json::Value& payload) const {
  return *crypto::make_jws(*operator_key, "intaglio-ra+jwt", "ra-1", json::encode(payload));
}

std::string TestPki::revocation_request(const crypto::Certificate& certificate, const std::string& key, const std::string& reason) const {
  static int number = 0;
  return sign_request({{"op", "revoke-certificate"},
                       {"rid", "revocation-" + std::to_string(++number)},
                       {"iat", unix_seconds(clock->now())},
                       {"key", key},
                       {"serial", certificate.serial_hex()},
                       {"reason", reason}});
}

std::string TestPki::release_request(const crypto::Certificate& certificate, const std::string& key) const {
  static int number = 0;
  return sign_request({{"op", "release-certificate"},
                       {"rid", "release-" + std::to_string(++number)},
                       {"iat", unix_seconds(clock->now())},
                       {"key", key},
                       {"serial", certificate.serial_hex()}});
}

std::size_t TestPki::count(std::string_view table) const {
  std::size_t rows = 0;
  EXPECT_TRUE(database->read([&](storage::Reader& reader) {
    return reader.query("SELECT 1 FROM " + std::string(table), {}, [&](const storage::Row&) {
      ++rows;
      return true;
    });
  }));
  return rows;
}

std::string TestPki::events() const {
  EXPECT_TRUE(log->checkpoint_now());
  std::string all;
  for (std::uint64_t index = 0; index < log->size(); ++index) all += *log->receipt(index) + "\n";
  return all;
}

}  // namespace intaglio::pki::testing
