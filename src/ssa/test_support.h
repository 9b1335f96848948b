#pragma once

#include <map>
#include <set>

#include "crypto/certificate.h"
#include "crypto/der.h"
#include "crypto/digest.h"
#include "crypto/jose/jwe.h"
#include "crypto/random.h"
#include "oauth/migrations.h"
#include "oauth/test_support.h"
#include "ssa/service.h"

/// A SAM of values and an SSA around it, for unit tests and fuzz targets; no part of any process.
namespace intaglio::ssa::test {

using oauth::test::must;

/// A certificate under its own key, good enough to be read: subject O and CN, validity as asked.
inline Bytes make_certificate(const std::string& organisation, const std::string& common_name, UnixTime not_before, UnixTime not_after,
                              const std::shared_ptr<crypto::SoftwareKey>& key = must(crypto::SoftwareKey::generate())) {
  namespace der = crypto::der;
  std::vector<crypto::NameAttribute> attributes{{"2.5.4.6", "NO"}};
  if (!organisation.empty()) attributes.push_back({"2.5.4.10", organisation});
  attributes.push_back({"2.5.4.3", common_name});
  const auto name = must(crypto::encode_name(attributes));
  const auto algorithm = crypto::algorithm_identifier(crypto::SignatureSuite::ecdsa_sha256);
  const auto tbs = der::sequence(
      std::vector<Bytes>{der::explicit_tag(0, der::integer(std::uint64_t{2})), der::integer(std::uint64_t{4711}), algorithm, name,
                         der::sequence(std::vector<Bytes>{der::time(not_before), der::time(not_after)}), name, key->public_key().spki()});
  const auto signature = must(key->sign(crypto::SignatureSuite::ecdsa_sha256, tbs));
  return der::sequence(std::vector<Bytes>{tbs, algorithm, der::bit_string(signature)});
}

/// Answers as a SAM would, from values that a test sets; counts its calls. It makes no check that a test does not ask for.
class FakeSam final : public protocol::SamService {
 public:
  explicit FakeSam(std::shared_ptr<ManualClock> clock) : clock_(std::move(clock)) {}

  void add(const std::string& signer, const std::string& key, crypto::KeyAlgorithm algorithm, std::vector<crypto::SignatureSuite> suites,
           Bytes certificate, std::uint32_t max_documents = 100) {
    credentials.emplace_back(protocol::CredentialFacts{must(KeyId::parse(key)),
                                                       must(SignerId::parse(signer)),
                                                       protocol::KeyState::assigned,
                                                       algorithm,
                                                       std::move(suites),
                                                       {std::move(certificate)},
                                                       false,
                                                       "direct-resident",
                                                       max_documents});
  }
  [[nodiscard]] protocol::CredentialFacts& facts(std::string_view key) {
    for (auto& one : credentials) {
      if (one.key.text() == key) return one;
    }
    panic("no such credential in the test");
  }

  Result<protocol::Opened> open_signing(const protocol::OpenSigning& request) override {
    if (failure) return *failure;
    protocol::Transaction t = blank(protocol::Purpose::sign);
    const auto& credential = facts(request.key.text());
    t.signer = credential.signer.text();
    t.key = request.key.text();
    t.certificate_digest = crypto::digest(crypto::HashAlgorithm::sha256, credential.certificates.front());
    t.hash = static_cast<std::uint8_t>(request.hash);
    for (const auto suite : request.suites.empty() ? credential.suites : request.suites) {
      if (crypto::hash_of(suite) == request.hash) t.suites.push_back(static_cast<std::uint8_t>(suite));
    }
    t.documents = request.documents;
    return opened(t, request.client_id, request.client_name);
  }
  Result<protocol::Opened> open_enrolment(const protocol::OpenEnrolment& request) override {
    if (failure) return *failure;
    protocol::Transaction t = blank(protocol::Purpose::enrol);
    t.signer = request.signer.text();
    return opened(t, request.client_id, request.client_name);
  }
  Result<protocol::Opened> open_key_generation(const protocol::OpenKeyGeneration& request) override {
    if (failure) return *failure;
    protocol::Transaction t = blank(protocol::Purpose::key);
    t.signer = request.signer.text();
    t.key = "new-key-" + std::to_string(opened_.size());
    t.suites = {static_cast<std::uint8_t>(request.algorithm)};
    t.profile = request.profile;
    return opened(t, request.client_id, request.client_name);
  }

  Result<protocol::Opened> open_factor_change(const protocol::OpenEnrolment& request) override {
    if (failure) return *failure;
    protocol::Transaction t = blank(protocol::Purpose::factors);
    t.signer = request.signer.text();
    return opened(t, request.client_id, request.client_name);
  }
  Result<protocol::Opened> open_key_change(const protocol::OpenKeyChange& request) override {
    if (failure) return *failure;
    const bool suspend = request.change == protocol::KeyChange::suspend;
    protocol::Transaction t = blank(suspend ? protocol::Purpose::suspend : protocol::Purpose::destroy);
    t.signer = facts(request.key.text()).signer.text();
    t.key = request.key.text();
    return opened(t, request.client_id, request.client_name);
  }

  Result<protocol::Opened> open_grant(const protocol::OpenGrant& request) override {
    if (failure) return *failure;
    protocol::Transaction t = blank(protocol::Purpose::grant);
    const auto& credential = facts(request.key.text());
    t.signer = credential.signer.text();
    t.key = request.key.text();
    for (const auto suite : request.suites) t.suites.push_back(static_cast<std::uint8_t>(suite));
    t.grant = protocol::GrantTerms{request.client_key, request.signatures, request.ends};
    return opened(t, request.client_id, request.client_name);
  }
  Status end_grant(std::string_view grant, std::string_view) override {
    ended_grants.emplace_back(grant);
    return {};
  }
  std::vector<std::string> ended_grants;
  /// A device's request is "NAME asks" here, once for each number behind it.
  Result<SignerId> recognise_device(std::string_view request) override {
    if (failure) return *failure;
    const auto end = request.find(" asks");
    if (end == std::string_view::npos) return Error{ErrorCode::authentication_failed, "no device of the test"};
    if (!device_requests.emplace(request).second) return Error{ErrorCode::replayed, "asked before"};
    return SignerId::parse(request.substr(0, end));
  }
  std::set<std::string, std::less<>> device_requests;

  Result<protocol::Authorised> authorise(std::string_view sap_message) override {
    ++messages;
    if (failure) return *failure;
    const auto& t = transaction_of(sap_message);
    json::Value claims{{"jti", must(crypto::random_id())},
                       {"sub", t.signer},
                       {"key", t.key},
                       {"dig", encode_base64url(protocol::list_digest(t.documents))},
                       {"n", t.documents.size()},
                       {"amr", {"pin", "totp"}},
                       {"iat", unix_seconds(clock_->now())},
                       {"exp", unix_seconds(clock_->now()) + 60},
                       {"epoch", 1}};
    if (change_sad) change_sad(claims);
    return protocol::Authorised{must(crypto::make_jws(*sad_key, sad_type, "sad", json::encode(claims))), std::chrono::seconds{60}};
  }
  /// The claims of the SAD that is shown, until a minute from now; `change_sad` as above.
  Result<protocol::Authorised> extend(const protocol::ExtendRequest& request) override {
    ++extensions;
    if (failure) return *failure;
    last_extension = request;
    const auto first = request.sad.find('.');
    const auto payload = must(parse_base64url(request.sad.substr(first + 1, request.sad.find('.', first + 1) - first - 1)));
    auto claims = must(json::parse(as_text(payload)));
    claims["iat"] = unix_seconds(clock_->now());
    claims["exp"] = unix_seconds(clock_->now()) + 60;
    if (change_sad) change_sad(claims);
    return protocol::Authorised{must(crypto::make_jws(*sad_key, sad_type, "sad", json::encode(claims))), std::chrono::seconds{60}};
  }
  Result<protocol::Enrolled> enrol_factors(std::string_view) override {
    ++messages;
    if (failure) return *failure;
    return protocol::Enrolled{"sealed-answer"};
  }
  Result<protocol::KeyGenerated> generate_key(std::string_view sap_message) override {
    ++messages;
    if (failure) return *failure;
    return protocol::KeyGenerated{must(KeyId::parse(transaction_of(sap_message).key)), to_bytes("csr"), "assertion"};
  }
  Result<protocol::Enrolled> change_factors(std::string_view) override {
    ++messages;
    if (failure) return *failure;
    return protocol::Enrolled{"sealed-change"};
  }
  Status change_key(std::string_view sap_message) override {
    ++messages;
    if (failure) return *failure;
    const auto& t = transaction_of(sap_message);
    const bool suspend = t.purpose == protocol::Purpose::suspend;
    facts(t.key).state = suspend ? protocol::KeyState::suspended : protocol::KeyState::destroyed;
    return {};
  }
  Result<protocol::SignAnswer> sign(const protocol::SignRequest& request) override {
    ++signs;
    last_sign = request;
    if (failure) return *failure;
    protocol::SignAnswer answer;
    for (const auto& digest : request.digests) {
      if (stop_after && answer.signatures.size() == *stop_after) {
        answer.stopped = ErrorCode::signature_doubtful;
        break;
      }
      const auto key = signing_keys.find(request.key.text());
      auto signature =
          key == signing_keys.end() ? signature_of(request.key.text(), digest) : must(key->second->sign_digest(request.suite, digest));
      answer.signatures.push_back({std::move(signature), "intaglio/sam/test", answer.signatures.size(), crypto::sha256(digest), false});
    }
    if (one_too_few) answer.signatures.pop_back();
    return answer;
  }
  /// Names the key, so that a test sees whose it is.
  [[nodiscard]] static Bytes signature_of(std::string_view key, ByteView digest) {
    auto signature = to_bytes("signed by " + std::string(key) + ": ");
    append(signature, digest);
    return signature;
  }

  Result<protocol::Opened> open_one_time(const protocol::OpenOneTime& request) override {
    if (failure) return *failure;
    protocol::Transaction t = blank(protocol::Purpose::one_time);
    t.key = t.signer = "one-time-" + std::to_string(opened_.size());
    t.profile = request.profile;
    t.hash = static_cast<std::uint8_t>(request.hash);
    t.suites = {static_cast<std::uint8_t>(crypto::SignatureSuite::ecdsa_sha256)};
    t.documents = request.documents;
    return opened(t, request.client_id, request.client_name);
  }
  Result<std::unique_ptr<protocol::OneTimeSession>> begin_one_time() override {
    if (failure) return *failure;
    return std::unique_ptr<protocol::OneTimeSession>(new Session(*this));
  }
  Result<protocol::LogEntry> report_orphan(const KeyId& key, ByteView certificate) override {
    orphans.push_back(key.text() + " " + std::string(as_text(certificate)));
    return protocol::LogEntry{"intaglio/sam/test", 8, {}};
  }
  std::vector<std::string> orphans;
  std::optional<Error> session_failure;  ///< of signing in a session
  int open_sessions = 0;

  Result<protocol::SignerCreated> create_signer(std::string_view) override {
    if (failure) return *failure;
    return protocol::SignerCreated{must(SignerId::parse("alice")), "sealed-code"};
  }
  Result<protocol::SignerCreated> reset_factors(std::string_view) override {
    if (failure) return *failure;
    return protocol::SignerCreated{must(SignerId::parse("alice")), "sealed-code"};
  }
  Result<protocol::CredentialFacts> bind_certificate(const protocol::CertificateBinding&) override {
    if (failure) return *failure;
    return credentials.front();
  }
  Status suspend_key(const KeyId& key, std::string_view) override {
    if (failure) return *failure;
    facts(key.text()).state = protocol::KeyState::suspended;
    return {};
  }
  Status suspend_by_operator(std::string_view) override { return failure ? Status(*failure) : Status(); }
  Status resume_key(std::string_view) override { return failure ? Status(*failure) : Status(); }
  Status put_revocation_data(ByteView) override { return failure ? Status(*failure) : Status(); }

  Result<std::vector<protocol::CredentialFacts>> list_credentials(const SignerId& signer) override {
    if (failure) return *failure;
    std::vector<protocol::CredentialFacts> found;
    for (const auto& one : credentials) {
      if (mixes_signers || one.signer == signer) found.push_back(one);
    }
    if (found.empty()) return Error{ErrorCode::credential_unknown, "no such signer"};
    return found;
  }
  Result<protocol::CredentialFacts> credential(const KeyId& key) override {
    ++lookups;
    if (failure) return *failure;
    if (answers_for_another) return credentials.back();
    for (const auto& one : credentials) {
      if (one.key == key) return one;
    }
    return Error{ErrorCode::credential_unknown, "no such key"};
  }
  Result<std::string> receipt(std::uint64_t index, const crypto::Sha256Digest& leaf) override {
    if (failure) return *failure;
    if (index > 10 || leaf != crypto::sha256(as_bytes("entry " + std::to_string(index))))
      return Error{ErrorCode::not_found, "not integrated"};
    return R"({"index":)" + std::to_string(index) + "}";
  }
  Result<std::string> status() override {
    if (failure) return *failure;
    return status_text;
  }
  Result<std::string> public_keys() override {
    if (failure) return *failure;
    const auto jwk = [](const crypto::SoftwareKey& key) { return must(json::parse(must(crypto::encode_jwk(key.public_key())))); };
    return json::encode({{"sam", "test"},
                         {"identity", jwk(*identity_key)},
                         {"sad", jwk(*sad_key)},
                         {"checkpoint", jwk(*identity_key)},
                         {"log", "intaglio/sam/test"}});
  }

  std::vector<protocol::CredentialFacts> credentials;
  std::map<std::string, std::shared_ptr<crypto::SoftwareKey>, std::less<>> signing_keys;  ///< credentials that really sign
  std::shared_ptr<crypto::SoftwareKey> identity_key = must(crypto::SoftwareKey::generate());
  std::shared_ptr<crypto::SoftwareKey> sad_key = must(crypto::SoftwareKey::generate());
  std::shared_ptr<crypto::SoftwareKey> sap_key = must(crypto::SoftwareKey::generate());
  std::string sad_type = "intaglio-sad+jwt";
  std::function<void(json::Value&)> change_sad;
  std::string status_text = "{}";
  std::optional<Error> failure;           ///< every call is refused with it
  std::optional<std::size_t> stop_after;  ///< a batch stops after so many signatures
  bool one_too_few = false;               ///< a signature less than asked, and no word of it
  bool answers_for_another = false;       ///< tells of another credential than the one asked for
  bool mixes_signers = false;             ///< lists everybody's credentials to anybody
  unsigned signs = 0, messages = 0, lookups = 0, extensions = 0;
  std::optional<protocol::ExtendRequest> last_extension;
  std::optional<protocol::SignRequest> last_sign;

 private:
  class Session final : public protocol::OneTimeSession {
   public:
    explicit Session(FakeSam& sam) : sam_(sam) { ++sam_.open_sessions; }
    ~Session() override { --sam_.open_sessions; }
    Result<protocol::KeyGenerated> identify(std::string_view sap_message) override {
      ++sam_.messages;
      key_ = sam_.transaction_of(sap_message).key;
      return protocol::KeyGenerated{must(KeyId::parse(key_)), to_bytes("csr"), "assertion"};
    }
    Result<protocol::OneTimeSigned> sign(const protocol::OneTimeCertificate& certificate) override {
      if (sam_.session_failure) return *sam_.session_failure;
      protocol::OneTimeSigned made{};
      made.answer.signatures.push_back({signature_of(key_, certificate.certificates.front()), "intaglio/sam/test", 6, {}, false});
      made.destroyed = {"intaglio/sam/test", 7, {}};
      return made;
    }
    std::chrono::steady_clock::time_point ends() const override { return std::chrono::steady_clock::time_point::max(); }

   private:
    FakeSam& sam_;
    std::string key_;
  };
  [[nodiscard]] protocol::Transaction blank(protocol::Purpose purpose) const {
    protocol::Transaction t{};
    t.purpose = purpose;
    t.nonce = must(crypto::random_bytes(16));
    t.epoch = 1;
    t.expires = clock_->now() + std::chrono::minutes{5};
    t.profile = "direct-resident";
    return t;
  }
  [[nodiscard]] protocol::Opened opened(protocol::Transaction t, const std::string& client_id, const std::string& client_name) {
    t.client_id = client_id;
    t.client_name = client_name;
    auto encoded = protocol::encode(t);
    opened_.insert_or_assign(t.nonce, t);
    return {"ticket-" + encode_base64url(t.nonce), std::move(encoded), "statement", t.expires};
  }
  [[nodiscard]] const protocol::Transaction& transaction_of(std::string_view sap_message) const {
    return opened_.at(must(crypto::peek_jwe_header(sap_message)).apu);
  }

  std::shared_ptr<ManualClock> clock_;
  std::map<Bytes, protocol::Transaction> opened_;
};

inline Bytes digest_of(std::string_view text) { return crypto::digest(crypto::HashAlgorithm::sha256, as_bytes(text)); }

/// Alice (RSA and P-256), Bob (P-256) and an SSA with three clients: `any` and `waiting` see both, `only-alice` one. `any` alone has an
/// address for redirects.
class World {
 public:
  World() {
    using crypto::SignatureSuite;
    const auto before = clock->now() - std::chrono::hours{24};
    const auto after = clock->now() + std::chrono::hours{24 * 365};
    sam->add("alice", "alice-rsa", crypto::KeyAlgorithm::rsa3072,
             {SignatureSuite::rsa_pss_sha256, SignatureSuite::rsa_pkcs1_sha256, SignatureSuite::rsa_pss_sha512,
              SignatureSuite::rsa_pkcs1_sha384},
             make_certificate("Wonder", "Alice", before, after));
    sam->add("alice", "alice-ec", crypto::KeyAlgorithm::p256, {SignatureSuite::ecdsa_sha256},
             make_certificate("", "Alice EC", before, after), 1);
    sam->add("bob", "bob-ec", crypto::KeyAlgorithm::p256, {SignatureSuite::ecdsa_sha256},
             make_certificate("Builders", "Bob", before, after, bobs_key));
    clients = std::make_shared<const oauth::Clients>(must(
        oauth::Clients::make({any_client.registered({}, {client_redirect}), oauth::test::TestClient("only-alice").registered({"alice"}),
                              oauth::test::TestClient("waiting").registered(), old_client()})));
    database.migrate(oauth::migrations());
    tokens = must(oauth::AccessTokens::make({base_url, std::chrono::seconds{3600}}, token_key, clients, grants(), clock));
    database.migrate(migrations());
    start();
  }

  /// As after a restart of the SSA: what was in memory alone is gone.
  void start() {
    ServiceConfig config;
    config.description = {"2.2.0.0", "Test", "NO", "en", "A test", base_url, ""};
    config.identity_thumbprint = must(crypto::jwk_thumbprint(sam->identity_key->public_key()));
    const std::string base = std::string(base_url) + "/csc/v2/oauth2/";
    config.description.with_codes = true;
    config.description.with_timestamps = static_cast<bool>(ask_tsa);
    limited = std::make_shared<Limits>(limits, clock);
    const auto authentication = std::make_shared<oauth::ClientAuthentication>(
        oauth::ClientAuthenticationConfig{
            {base_url, base + "token", base + "pushed_authorize"}, std::chrono::seconds{300}, {}, limited->token_clients()},
        clients, database.get(), clock);
    const auto endpoint = std::make_shared<oauth::TokenEndpoint>(base_url, authentication, tokens, grants(), clock);
    const auto authorization = std::make_shared<oauth::AuthorizationEndpoint>(
        oauth::AuthorizationConfig{base_url, "https://sign.example/approve"}, clients, authentication,
        std::make_shared<oauth::PendingRequests>(database.get(), clock), grants(), database.get());
    router = std::make_unique<http::Router>();
    service =
        std::make_unique<Service>(config, ServiceParts{sam,
                                                       database.get(),
                                                       clock,
                                                       clients,
                                                       tokens,
                                                       endpoint,
                                                       [this](const protocol::KeyGenerated& key, const SignerId& signer) -> Status {
                                                         if (hook_failure) return *hook_failure;
                                                         generated.push_back({key.key.text(), signer.text()});
                                                         return {};
                                                       },
                                                       [this](std::string_view assertion, ByteView csr) -> Result<std::vector<Bytes>> {
                                                         if (issuer_failure) return *issuer_failure;
                                                         certified.push_back(std::string(assertion) + " " + std::string(as_text(csr)));
                                                         return std::vector<Bytes>{to_bytes("leaf"), to_bytes("issuer")};
                                                       },
                                                       grants(),
                                                       authorization,
                                                       ask_tsa,
                                                       {},
                                                       identity_provider,
                                                       limited});
    service->add_routes(*router);
  }

  [[nodiscard]] std::shared_ptr<oauth::Grants> grants() const { return std::make_shared<oauth::Grants>(database.get(), clock); }
  [[nodiscard]] std::string token(std::string_view client = "any", std::string_view scope = "service") const {
    return must(tokens->issue(*clients->find(client), scope)).token;
  }
  /// Of scope `service`, that a signer let the client `any` have.
  [[nodiscard]] std::string token_of(const std::string& signer) const {
    std::string code;
    const auto written = database.get()->write([&](storage::Transaction& transaction) -> Status {
      auto added = grants()->add(transaction, {"any", signer, "", Secret(as_bytes("sad")), clock->now() + std::chrono::hours{1}});
      if (!added) return added.error();
      code = *added;
      return {};
    });
    if (!written) panic("no grant");
    const auto redeemed = grants()->redeem(code, *clients->find("any"), [](const std::string&) { return std::nullopt; });
    const auto& grant = std::get<oauth::Grants::Redeemed>(redeemed).grant;
    return must(tokens->issue(*clients->find("any"), oauth::GrantedToken{grant, signer, "service", "", std::chrono::seconds{60}, {}}))
        .token;
  }
  [[nodiscard]] http::Response send(const std::string& method, const std::string& path, const std::string& body,
                                    const std::string& authorization) const {
    http::Request request;
    request.method = method;
    const auto question = path.find('?');
    request.path = path.substr(0, question);
    if (question != std::string::npos) request.query = path.substr(question + 1);
    request.headers["content-type"] = "application/json";
    if (!authorization.empty()) request.headers["authorization"] = authorization;
    request.body = body;
    request.peer_address = "192.0.2.1";
    request.request_id = "r";
    return router->dispatch(request);
  }
  [[nodiscard]] http::Response post(const std::string& path, const json::Value& body, std::string_view client = "any") const {
    return send("POST", path, json::encode(body), "Bearer " + token(client));
  }
  [[nodiscard]] http::Response get(const std::string& path, std::string_view client = "any") const {
    return send("GET", path, "", "Bearer " + token(client));
  }

  /// Opens a transaction over the digests of these texts and gives T.
  [[nodiscard]] protocol::Transaction open(const std::string& credential, const std::vector<std::string>& texts,
                                           std::string_view client = "any") const {
    auto documents = json::Value::array();
    for (const auto& text : texts) documents.push_back({{"hash", encode_base64(digest_of(text))}, {"label", text}});
    const auto answer =
        post("/sic/v1/transactions",
             {{"credentialID", credential}, {"hashAlgorithmOID", "2.16.840.1.101.3.4.2.1"}, {"documents", documents}}, client);
    if (answer.status != 200) panic(answer.body.c_str());
    return must(protocol::parse_transaction(must(parse_base64url(must(json::parse(answer.body)).at("transaction").get<std::string>()))));
  }
  [[nodiscard]] std::string message(const Bytes& nonce, const std::string& typ = "intaglio-sap-sign+jwe") const {
    return must(crypto::make_jwe(sam->sap_key->public_key(), {typ, "sap", nonce, to_bytes("sap")}, as_bytes("{}")));
  }
  [[nodiscard]] http::Response relay(const std::string& compact, std::string_view client = "any") const {
    json::Value body = json::Value::object();
    body["message"] = compact;
    return post("/sic/v1/messages", body, client);
  }
  /// The whole approval: a SAD over the digests of these texts.
  [[nodiscard]] std::string sad(const std::string& credential, const std::vector<std::string>& texts,
                                std::string_view client = "any") const {
    const auto answer = relay(message(open(credential, texts, client).nonce), client);
    if (answer.status != 200) panic(answer.body.c_str());
    return must(json::parse(answer.body)).at("SAD").get<std::string>();
  }
  [[nodiscard]] static json::Value sign_body(const std::string& credential, const std::string& sad, const std::vector<std::string>& texts) {
    auto hashes = json::Value::array();
    for (const auto& text : texts) hashes.push_back(encode_base64(digest_of(text)));
    const bool ec = credential.ends_with("-ec");
    return {
        {"credentialID", credential}, {"SAD", sad}, {"hashes", hashes}, {"signAlgo", ec ? "1.2.840.10045.4.3.2" : "1.2.840.113549.1.1.11"}};
  }
  [[nodiscard]] http::Response sign(const std::string& credential, const std::string& sad, const std::vector<std::string>& texts,
                                    std::string_view client = "any") const {
    return post("/csc/v2/signatures/signHash", sign_body(credential, sad, texts), client);
  }

  /// The page that a one-time handle opens, and what it shows.
  struct Page {
    std::string bearer;
    protocol::Transaction transaction;
  };
  [[nodiscard]] Page page(std::string_view handle) const {
    json::Value body = json::Value::object();
    body["handle"] = handle;
    const auto answer = send("POST", "/sic/v1/approvals", json::encode(body), "");
    if (answer.status != 200) panic(answer.body.c_str());
    const auto opened = must(json::parse(answer.body));
    return {opened.at("bearer").get<std::string>(),
            must(protocol::parse_transaction(must(parse_base64url(opened.at("transaction").get<std::string>()))))};
  }
  [[nodiscard]] http::Response approve(const Page& shown) const {
    json::Value body = json::Value::object();
    body["message"] = message(shown.transaction.nonce);
    return send("POST", "/sic/v1/approvals/messages", json::encode(body), "Bearer " + shown.bearer);
  }
  [[nodiscard]] http::Response decline(const Page& shown) const {
    return send("POST", "/sic/v1/approvals/refusals", "{}", "Bearer " + shown.bearer);
  }

  /// Of the time before CSC API v2: with a secret, and what was allowed then.
  [[nodiscard]] oauth::Client old_client() {
    auto made = must(oauth::make_client_secret());
    old_secret = std::string(as_text(made.secret.reveal()));
    oauth::Client old{must(ClientId::parse("old")), "Old", std::nullopt, std::move(made.hash), {}};
    old.compatibility = {oauth::Compatibility::auth_login};
    return old;
  }

  static constexpr const char* base_url = "https://sign.example";
  static constexpr const char* client_redirect = "https://client.example/back";
  oauth::test::TestClient any_client{"any"};
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(oauth::test::test_start);
  std::shared_ptr<FakeSam> sam = std::make_shared<FakeSam>(clock);
  std::string old_secret;  ///< of the client `old`
  std::shared_ptr<crypto::SoftwareKey> bobs_key = must(crypto::SoftwareKey::generate());  ///< of his certificate
  oauth::test::TemporaryDatabase database;
  std::shared_ptr<crypto::SoftwareKey> token_key = must(crypto::SoftwareKey::generate());
  std::shared_ptr<const oauth::Clients> clients;
  std::shared_ptr<oauth::AccessTokens> tokens;
  std::unique_ptr<http::Router> router;
  std::unique_ptr<Service> service;
  std::vector<std::pair<std::string, std::string>> generated;
  std::optional<Error> issuer_failure;
  std::vector<std::string> certified;  ///< assertions and requests
  std::optional<Error> hook_failure;
  csc::AskTimestampAuthority ask_tsa;  ///< of the next start
  std::shared_ptr<const signer::IdentityProvider> identity_provider;  ///< of the next start
  LimitsConfig limits;                 ///< the same
  std::shared_ptr<Limits> limited;     ///< by the last start
};

}  // namespace intaglio::ssa::test
