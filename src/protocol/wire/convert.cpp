#include "protocol/wire/convert.h"

#include <algorithm>
#include <array>
#include <limits>

#include "base/check.h"
#include "protocol/text.h"

namespace intaglio::protocol::wire {
namespace {

constexpr std::size_t max_certificate_bytes = 64 * 1024;
constexpr int max_certificates = 8;
constexpr std::size_t max_revocation_data_bytes = 768 * 1024;
constexpr std::size_t max_ticket_bytes = 1024 * 1024;
constexpr std::size_t max_signature_bytes = 1024;
constexpr std::size_t max_json_bytes = 512 * 1024;
constexpr std::size_t max_address_bytes = 64;
constexpr std::size_t client_key_bytes = 91;  // SubjectPublicKeyInfo of P-256
constexpr std::int64_t end_of_year_9999 = 253402300799;

Error malformed(std::string_view what) { return {ErrorCode::invalid_request, "wire: " + std::string(what)}; }

Bytes octets(const std::string& field) { return to_bytes(std::string_view(field)); }
std::string field(ByteView bytes) { return std::string(as_text(bytes)); }

Status check_bytes(const std::string& text, std::size_t least, std::size_t most, std::string_view what) {
  if (text.size() < least || text.size() > most) return malformed(what);
  return {};
}

/// Printable ASCII: tokens, addresses, base64url.
Status check_ascii(const std::string& text, std::size_t least, std::size_t most, std::string_view what) {
  const bool printable = std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~'; });
  if (!printable) return malformed(what);
  return check_bytes(text, least, most, what);
}

Status check_digest(const std::string& digest) {
  if (digest.size() != 32 && digest.size() != 48 && digest.size() != 64) return malformed("a digest of no known length");
  return {};
}

Status check_certificates(const google::protobuf::RepeatedPtrField<std::string>& certificates, int least) {
  if (certificates.size() < least || certificates.size() > max_certificates) return malformed("number of certificates");
  for (const auto& certificate : certificates) {
    if (auto checked = check_bytes(certificate, 1, max_certificate_bytes, "certificate"); !checked) return checked;
  }
  return {};
}

/// The first refusal of several checks; all are cheap.
Status all_of(std::initializer_list<Status> checks) {
  for (const auto& check : checks) {
    if (!check) return check;
  }
  return {};
}

std::vector<Bytes> list(const google::protobuf::RepeatedPtrField<std::string>& fields) {
  std::vector<Bytes> values;
  values.reserve(static_cast<std::size_t>(fields.size()));
  for (const auto& one : fields) values.push_back(octets(one));
  return values;
}

// The generated enums are open (proto3): a number that the peer made up arrives as it is, and is refused here.
bool outside(int value, int first, int last) { return refused_by("wire.enum", value < first || value > last); }
Result<crypto::HashAlgorithm> known(v1::HashAlgorithm value) {
  if (outside(value, v1::SHA256, v1::SHA512)) return malformed("unknown hash algorithm");
  return static_cast<crypto::HashAlgorithm>(value);
}
Result<crypto::KeyAlgorithm> known(v1::KeyAlgorithm value) {
  if (outside(value, v1::RSA2048, v1::P521)) return malformed("unknown key algorithm");
  return static_cast<crypto::KeyAlgorithm>(value);
}
Result<KeyState> known(v1::KeyState value) {
  if (outside(value, v1::GENERATED, v1::INACTIVE)) return malformed("unknown key state");
  return static_cast<KeyState>(value);
}
Result<KeyChange> known(v1::KeyChange value) {
  if (outside(value, v1::SUSPEND, v1::DESTROY)) return malformed("unknown change of a key");
  return static_cast<KeyChange>(value);
}
Result<crypto::SignatureSuite> known(int value) {
  if (outside(value, v1::RSA_PSS_SHA256, v1::ECDSA_SHA512)) return malformed("unknown suite");
  return static_cast<crypto::SignatureSuite>(value);
}

Result<std::vector<crypto::SignatureSuite>> known_suites(const google::protobuf::RepeatedField<int>& numbers) {
  if (numbers.size() > v1::ECDSA_SHA512) return malformed("number of suites");
  std::vector<crypto::SignatureSuite> suites;
  for (const int number : numbers) {
    const auto suite = known(number);
    if (!suite) return suite.error();
    if (std::find(suites.begin(), suites.end(), *suite) != suites.end()) return malformed("a suite twice");
    suites.push_back(*suite);
  }
  return suites;
}

Result<std::vector<DocumentDigest>> read_documents(const google::protobuf::RepeatedPtrField<v1::DocumentDigest>& fields) {
  if (fields.empty() || fields.size() > static_cast<int>(max_documents)) return malformed("number of documents");
  std::vector<DocumentDigest> documents;
  documents.reserve(static_cast<std::size_t>(fields.size()));
  for (const auto& document : fields) {
    if (auto checked = all_of({check_digest(document.digest()), check_text(document.label(), max_label_bytes, "label")}); !checked) {
      return checked.error();
    }
    documents.push_back({octets(document.digest()), document.label()});
  }
  return documents;
}

Status check_client(const std::string& id, const std::string& name) {
  return all_of({check_text(id, max_name_bytes, "client id"), check_text(name, max_name_bytes, "client name")});
}

void write_documents(const std::vector<DocumentDigest>& documents, google::protobuf::RepeatedPtrField<v1::DocumentDigest>& fields) {
  for (const auto& document : documents) {
    auto& added = *fields.Add();
    added.set_digest(field(document.digest));
    added.set_label(document.label);
  }
}

/// Our own numbers are those of the contract: written as they are, read through `known`.
template <typename Wire, typename Own>
Wire number(Own value) {
  return static_cast<Wire>(static_cast<int>(value));
}

}  // namespace

Result<std::string> read_token(const std::string& text) {
  if (auto checked = check_ascii(text, 1, max_message_bytes, "token or message"); !checked) return checked.error();
  return text;
}

Result<Bytes> read_revocation_data(const std::string& bytes) {
  if (auto checked = check_bytes(bytes, 1, max_revocation_data_bytes, "revocation data"); !checked) return checked.error();
  return octets(bytes);
}

Result<OpenSigning> read(const v1::OpenSigning& message) {
  auto key = KeyId::parse(message.key());
  if (!key) return key.error();
  const auto hash = known(message.hash());
  if (!hash) return hash.error();
  auto suites = known_suites(message.suites());
  if (!suites) return suites.error();
  if (auto client = check_client(message.client_id(), message.client_name()); !client) return client.error();
  auto documents = read_documents(message.documents());
  if (!documents) return documents.error();
  return OpenSigning{*std::move(key), *hash, *std::move(suites), *std::move(documents), message.client_id(), message.client_name()};
}

Result<OpenOneTime> read(const v1::OpenOneTime& message) {
  if (auto profile = check_text(message.profile(), max_name_bytes, "profile"); !profile) return profile.error();
  const auto hash = known(message.hash());
  if (!hash) return hash.error();
  if (auto client = check_client(message.client_id(), message.client_name()); !client) return client.error();
  auto documents = read_documents(message.documents());
  if (!documents) return documents.error();
  return OpenOneTime{message.profile(), *hash, *std::move(documents), message.client_id(), message.client_name()};
}

Result<OneTimeCertificate> read(const v1::OneTimeCertificate& message) {
  if (auto certificates = check_certificates(message.certificates(), 1); !certificates) return certificates.error();
  if (auto address = check_ascii(message.client_address(), 0, max_address_bytes, "client address"); !address) return address.error();
  return OneTimeCertificate{list(message.certificates()), message.client_address()};
}

Result<Orphan> read(const v1::Orphan& message) {
  auto key = KeyId::parse(message.key());
  if (!key) return key.error();
  if (auto checked = check_bytes(message.certificate(), 1, max_certificate_bytes, "certificate"); !checked) return checked.error();
  return Orphan{*std::move(key), octets(message.certificate())};
}

Result<OpenEnrolment> read(const v1::OpenEnrolment& message) {
  auto signer = SignerId::parse(message.signer());
  if (!signer) return signer.error();
  if (auto client = check_client(message.client_id(), message.client_name()); !client) return client.error();
  return OpenEnrolment{*std::move(signer), message.client_id(), message.client_name()};
}

Result<OpenKeyGeneration> read(const v1::OpenKeyGeneration& message) {
  auto signer = SignerId::parse(message.signer());
  if (!signer) return signer.error();
  const auto algorithm = known(message.algorithm());
  if (!algorithm) return algorithm.error();
  if (auto profile = check_text(message.profile(), max_name_bytes, "profile"); !profile) return profile.error();
  if (auto client = check_client(message.client_id(), message.client_name()); !client) return client.error();
  return OpenKeyGeneration{*std::move(signer), *algorithm, message.profile(), message.client_id(), message.client_name()};
}

Result<OpenKeyChange> read(const v1::OpenKeyChange& message) {
  auto key = KeyId::parse(message.key());
  if (!key) return key.error();
  const auto change = known(message.change());
  if (!change) return change.error();
  if (auto client = check_client(message.client_id(), message.client_name()); !client) return client.error();
  return OpenKeyChange{*std::move(key), *change, message.client_id(), message.client_name()};
}

Result<OpenGrant> read(const v1::OpenGrant& message) {
  auto key = KeyId::parse(message.key());
  if (!key) return key.error();
  auto suites = known_suites(message.suites());
  if (!suites) return suites.error();
  if (suites->empty()) return malformed("number of suites");
  if (auto checked = check_bytes(message.client_key(), client_key_bytes, client_key_bytes, "client key"); !checked) return checked.error();
  if (message.ends() < 0 || message.ends() > end_of_year_9999) return malformed("end of a grant");
  if (auto client = check_client(message.client_id(), message.client_name()); !client) return client.error();
  return OpenGrant{
      *std::move(key),     *std::move(suites),   octets(message.client_key()), message.signatures(), from_unix_seconds(message.ends()),
      message.client_id(), message.client_name()};
}

Result<GrantEnd> read(const v1::GrantEnd& message) {
  auto grant = KeyId::parse(message.grant());
  if (!grant) return grant.error();
  if (auto reason = check_text(message.reason(), max_name_bytes, "reason"); !reason) return reason.error();
  return GrantEnd{grant->text(), message.reason()};
}

Result<SignRequest> read(const v1::SignRequest& message) {
  auto key = KeyId::parse(message.key());
  if (!key) return key.error();
  const auto suite = known(static_cast<int>(message.suite()));
  if (!suite) return suite.error();
  const auto checked =
      all_of({check_ascii(message.sad(), 1, max_message_bytes, "SAD"), check_text(message.client_id(), max_name_bytes, "client id"),
              check_ascii(message.client_address(), 0, max_address_bytes, "client address")});
  if (!checked) return checked.error();
  if (message.digests().empty() || message.digests_size() > static_cast<int>(max_digests_per_call)) return malformed("number of digests");
  for (const auto& digest : message.digests()) {
    if (auto length = check_digest(digest); !length) return length.error();
  }
  return SignRequest{message.sad(), *std::move(key), *suite, list(message.digests()), message.client_id(), message.client_address()};
}

Result<ExtendRequest> read(const v1::ExtendRequest& message) {
  auto key = KeyId::parse(message.key());
  if (!key) return key.error();
  const auto checked =
      all_of({check_ascii(message.sad(), 1, max_message_bytes, "SAD"), check_text(message.client_id(), max_name_bytes, "client id"),
              check_ascii(message.client_address(), 0, max_address_bytes, "client address")});
  if (!checked) return checked.error();
  if (message.digests_size() > static_cast<int>(max_digests_per_call)) return malformed("number of digests");
  for (const auto& digest : message.digests()) {
    if (auto length = check_digest(digest); !length) return length.error();
  }
  return ExtendRequest{message.sad(), *std::move(key), list(message.digests()), message.client_id(), message.client_address()};
}

Result<CertificateBinding> read(const v1::CertificateBinding& message) {
  auto request = read_token(message.operator_request());
  if (!request) return request.error();
  if (auto certificates = check_certificates(message.certificates(), 1); !certificates) return certificates.error();
  return CertificateBinding{*std::move(request), list(message.certificates())};
}

Result<Suspension> read(const v1::Suspension& message) {
  auto key = KeyId::parse(message.key());
  if (!key) return key.error();
  if (auto reason = check_text(message.reason(), max_name_bytes, "reason"); !reason) return reason.error();
  return Suspension{*std::move(key), message.reason()};
}

Result<ReceiptRequest> read(const v1::ReceiptRequest& message) {
  ReceiptRequest request{message.index(), {}};
  if (const auto checked = check_bytes(message.leaf(), request.leaf.size(), request.leaf.size(), "leaf"); !checked) return checked.error();
  std::copy_n(as_bytes(message.leaf()).begin(), request.leaf.size(), request.leaf.begin());
  return request;
}

Result<Opened> read(const v1::Opened& message) {
  const auto checked = all_of({check_ascii(message.ticket(), 1, max_ticket_bytes, "ticket"),
                               check_bytes(message.transaction(), 1, max_ticket_bytes, "transaction"),
                               check_ascii(message.sap_statement(), 1, max_message_bytes, "SAP statement")});
  if (!checked) return checked.error();
  if (message.expires() < 0 || message.expires() > end_of_year_9999) return malformed("expiry");
  return Opened{message.ticket(), octets(message.transaction()), message.sap_statement(), from_unix_seconds(message.expires())};
}

Result<Authorised> read(const v1::Authorised& message) {
  auto sad = read_token(message.sad());
  if (!sad) return sad.error();
  return Authorised{*std::move(sad), std::chrono::seconds(message.expires_in())};
}

Result<std::string> read_json(const std::string& text) {
  if (auto checked = check_bytes(text, 2, max_json_bytes, "JSON"); !checked) return checked.error();
  return text;
}

Result<KeyGenerated> read(const v1::KeyGenerated& message) {
  auto key = KeyId::parse(message.key());
  if (!key) return key.error();
  if (auto csr = check_bytes(message.csr(), 1, max_certificate_bytes, "CSR"); !csr) return csr.error();
  auto assertion = read_token(message.key_assertion());
  if (!assertion) return assertion.error();
  return KeyGenerated{*std::move(key), octets(message.csr()), *std::move(assertion)};
}

Result<SignAnswer> read(const v1::SignAnswer& message) {
  if (message.signatures_size() > static_cast<int>(max_digests_per_call)) return malformed("number of signatures");
  SignAnswer answer;
  answer.signatures.reserve(static_cast<std::size_t>(message.signatures_size()));
  for (const auto& one : message.signatures()) {
    SignedDigest signed_digest{octets(one.signature()), one.log(), one.index(), {}, one.redelivered()};
    const auto checked =
        all_of({check_bytes(one.signature(), 1, max_signature_bytes, "signature"), check_text(one.log(), max_name_bytes, "log"),
                check_bytes(one.leaf(), signed_digest.leaf.size(), signed_digest.leaf.size(), "leaf")});
    if (!checked) return checked.error();
    std::copy_n(as_bytes(one.leaf()).begin(), signed_digest.leaf.size(), signed_digest.leaf.begin());
    answer.signatures.push_back(std::move(signed_digest));
  }
  if (message.stopped() != 0) answer.stopped = from_wire_number(message.stopped());
  return answer;
}

Result<LogEntry> read(const v1::LogEntry& message) {
  LogEntry entry{message.log(), message.index(), {}};
  const auto checked =
      all_of({check_text(message.log(), max_name_bytes, "log"), check_bytes(message.leaf(), entry.leaf.size(), entry.leaf.size(), "leaf")});
  if (!checked) return checked.error();
  std::copy_n(as_bytes(message.leaf()).begin(), entry.leaf.size(), entry.leaf.begin());
  return entry;
}

Result<OneTimeSigned> read(const v1::OneTimeSigned& message) {
  auto answer = read(message.answer());
  if (!answer) return answer.error();
  auto destroyed = read(message.destroyed());
  if (!destroyed) return destroyed.error();
  return OneTimeSigned{*std::move(answer), *std::move(destroyed)};
}

Result<SignerCreated> read(const v1::SignerCreated& message) {
  auto signer = SignerId::parse(message.signer());
  if (!signer) return signer.error();
  auto code = read_token(message.sealed_activation_code());
  if (!code) return code.error();
  return SignerCreated{*std::move(signer), *std::move(code)};
}

Result<CredentialFacts> read(const v1::CredentialFacts& message) {
  auto key = KeyId::parse(message.key());
  if (!key) return key.error();
  auto signer = SignerId::parse(message.signer());
  if (!signer) return signer.error();
  const auto state = known(message.state());
  if (!state) return state.error();
  const auto algorithm = known(message.algorithm());
  if (!algorithm) return algorithm.error();
  auto suites = known_suites(message.suites());
  if (!suites) return suites.error();
  const auto checked = all_of({check_certificates(message.certificates(), 0), check_text(message.profile(), max_name_bytes, "profile")});
  if (!checked) return checked.error();
  return CredentialFacts{.key = *std::move(key),
                         .signer = *std::move(signer),
                         .state = *state,
                         .algorithm = *algorithm,
                         .suites = *std::move(suites),
                         .certificates = list(message.certificates()),
                         .certificate_revoked = message.certificate_revoked(),
                         .profile = message.profile(),
                         .max_documents = message.max_documents()};
}

Result<std::vector<CredentialFacts>> read(const v1::CredentialList& message) {
  std::vector<CredentialFacts> credentials;
  for (const auto& one : message.credentials()) {
    auto facts = read(one);
    if (!facts) return facts.error();
    credentials.push_back(*std::move(facts));
  }
  return credentials;
}

void write(const OpenSigning& value, v1::OpenSigning& message) {
  message.set_key(value.key.text());
  message.set_hash(number<v1::HashAlgorithm>(value.hash));
  for (const auto suite : value.suites) message.add_suites(number<v1::SignatureSuite>(suite));
  write_documents(value.documents, *message.mutable_documents());
  message.set_client_id(value.client_id);
  message.set_client_name(value.client_name);
}

void write(const OpenOneTime& value, v1::OpenOneTime& message) {
  message.set_profile(value.profile);
  message.set_hash(number<v1::HashAlgorithm>(value.hash));
  write_documents(value.documents, *message.mutable_documents());
  message.set_client_id(value.client_id);
  message.set_client_name(value.client_name);
}

void write(const OneTimeCertificate& value, v1::OneTimeCertificate& message) {
  for (const auto& certificate : value.certificates) message.add_certificates(field(certificate));
  message.set_client_address(value.client_address);
}

void write(const Orphan& value, v1::Orphan& message) {
  message.set_key(value.key.text());
  message.set_certificate(field(value.certificate));
}

void write(const LogEntry& value, v1::LogEntry& message) {
  message.set_log(value.log);
  message.set_index(value.index);
  message.set_leaf(field(value.leaf));
}

void write(const OneTimeSigned& value, v1::OneTimeSigned& message) {
  write(value.answer, *message.mutable_answer());
  write(value.destroyed, *message.mutable_destroyed());
}

void write(const OpenEnrolment& value, v1::OpenEnrolment& message) {
  message.set_signer(value.signer.text());
  message.set_client_id(value.client_id);
  message.set_client_name(value.client_name);
}

void write(const OpenKeyGeneration& value, v1::OpenKeyGeneration& message) {
  message.set_signer(value.signer.text());
  message.set_algorithm(number<v1::KeyAlgorithm>(value.algorithm));
  message.set_profile(value.profile);
  message.set_client_id(value.client_id);
  message.set_client_name(value.client_name);
}

void write(const OpenKeyChange& value, v1::OpenKeyChange& message) {
  message.set_key(value.key.text());
  message.set_change(number<v1::KeyChange>(value.change));
  message.set_client_id(value.client_id);
  message.set_client_name(value.client_name);
}

void write(const OpenGrant& value, v1::OpenGrant& message) {
  message.set_key(value.key.text());
  for (const auto suite : value.suites) message.add_suites(number<v1::SignatureSuite>(suite));
  message.set_client_key(field(value.client_key));
  message.set_signatures(value.signatures);
  message.set_ends(unix_seconds(value.ends));
  message.set_client_id(value.client_id);
  message.set_client_name(value.client_name);
}

void write(const GrantEnd& value, v1::GrantEnd& message) {
  message.set_grant(value.grant);
  message.set_reason(value.reason);
}

void write(const SignRequest& value, v1::SignRequest& message) {
  message.set_sad(value.sad);
  message.set_key(value.key.text());
  message.set_suite(number<v1::SignatureSuite>(value.suite));
  for (const auto& digest : value.digests) message.add_digests(field(digest));
  message.set_client_id(value.client_id);
  message.set_client_address(value.client_address);
}

void write(const ExtendRequest& value, v1::ExtendRequest& message) {
  message.set_sad(value.sad);
  message.set_key(value.key.text());
  for (const auto& digest : value.digests) message.add_digests(field(digest));
  message.set_client_id(value.client_id);
  message.set_client_address(value.client_address);
}

void write(const CertificateBinding& value, v1::CertificateBinding& message) {
  message.set_operator_request(value.operator_request);
  for (const auto& certificate : value.certificates) message.add_certificates(field(certificate));
}

void write(const ReceiptRequest& value, v1::ReceiptRequest& message) {
  message.set_index(value.index);
  message.set_leaf(field(value.leaf));
}

void write(const Suspension& value, v1::Suspension& message) {
  message.set_key(value.key.text());
  message.set_reason(value.reason);
}

void write(const Opened& value, v1::Opened& message) {
  message.set_ticket(value.ticket);
  message.set_transaction(field(value.transaction));
  message.set_sap_statement(value.sap_statement);
  message.set_expires(unix_seconds(value.expires));
}

void write(const Authorised& value, v1::Authorised& message) {
  message.set_sad(value.sad);
  const auto longest = std::chrono::seconds(std::numeric_limits<std::uint32_t>::max());
  message.set_expires_in(static_cast<std::uint32_t>(std::clamp(value.expires_in, std::chrono::seconds(0), longest).count()));
}

void write(const Enrolled& value, std::string& message) { message = value.sealed_answer; }
void write(const SignerId& signer, std::string& message) { message = signer.text(); }

void write(const std::string& json, std::string& message) { message = json; }

void write(const KeyGenerated& value, v1::KeyGenerated& message) {
  message.set_key(value.key.text());
  message.set_csr(field(value.csr));
  message.set_key_assertion(value.key_assertion);
}

void write(const SignAnswer& value, v1::SignAnswer& message) {
  for (const auto& one : value.signatures) {
    auto& added = *message.add_signatures();
    added.set_signature(field(one.signature));
    added.set_log(one.log);
    added.set_index(one.index);
    added.set_leaf(field(one.leaf));
    added.set_redelivered(one.redelivered);
  }
  if (value.stopped) message.set_stopped(wire_number(*value.stopped));
}

void write(const SignerCreated& value, v1::SignerCreated& message) {
  message.set_signer(value.signer.text());
  message.set_sealed_activation_code(value.sealed_activation_code);
}

void write(const CredentialFacts& value, v1::CredentialFacts& message) {
  message.set_key(value.key.text());
  message.set_signer(value.signer.text());
  message.set_state(number<v1::KeyState>(value.state));
  message.set_algorithm(number<v1::KeyAlgorithm>(value.algorithm));
  for (const auto suite : value.suites) message.add_suites(number<v1::SignatureSuite>(suite));
  for (const auto& certificate : value.certificates) message.add_certificates(field(certificate));
  message.set_certificate_revoked(value.certificate_revoked);
  message.set_profile(value.profile);
  message.set_max_documents(value.max_documents);
}

void write(const std::vector<CredentialFacts>& value, v1::CredentialList& message) {
  for (const auto& facts : value) write(facts, *message.add_credentials());
}

}  // namespace intaglio::protocol::wire
