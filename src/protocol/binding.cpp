#include "protocol/binding.h"

#include <array>
#include <utility>

#include "base/panic.h"
#include "protocol/text.h"

namespace intaglio::protocol {
namespace {

constexpr std::size_t nonce_bytes = 16;
constexpr std::int64_t end_of_year_9999 = 253402300799;
constexpr std::size_t client_key_bytes = 91;  // SubjectPublicKeyInfo of P-256 with an uncompressed point (RFC 5480)
constexpr std::uint64_t max_granted = 1'000'000'000;

constexpr auto purposes = std::to_array<std::pair<Purpose, std::string_view>>({
    {Purpose::sign, "sign"},
    {Purpose::enrol, "enrol"},
    {Purpose::key, "key"},
    {Purpose::factors, "factors"},
    {Purpose::suspend, "suspend"},
    {Purpose::destroy, "destroy"},
    {Purpose::one_time, "one-time"},
    {Purpose::grant, "grant"},
});

Error refused(std::string_view what) { return {ErrorCode::invalid_request, "transaction: " + std::string(what)}; }

/// Reads field after field and remembers the first refusal, so that the order of the fields is readable in one place.
class Parser {
 public:
  explicit Parser(ByteView input) : reader_(input) {}

  Bytes bytes(std::size_t max_length) { return keep(reader_.bytes(max_length)); }
  std::string text(std::size_t max_length) { return keep(reader_.text(max_length)); }
  std::uint64_t number() { return keep(reader_.number()); }
  [[nodiscard]] bool well() const { return static_cast<bool>(status_); }
  [[nodiscard]] Status end() const { return status_ ? reader_.end() : status_; }

 private:
  template <typename T>
  T keep(Result<T> read) {
    if (read) return std::move(*read);
    if (status_) status_ = read.error();
    return T{};
  }
  FieldReader reader_;
  Status status_;
};

bool approves_documents(Purpose purpose) noexcept { return purpose == Purpose::sign || purpose == Purpose::one_time; }

Status check_suites(const Transaction& transaction) {
  if (!approves_documents(transaction.purpose) && transaction.purpose != Purpose::key && transaction.purpose != Purpose::grant) {
    return transaction.suites.empty() ? Status{} : refused("only a signature, a grant and a new key have suites");
  }
  if (transaction.purpose == Purpose::key) {
    const bool one_algorithm = transaction.suites.size() == 1 && transaction.suites[0] >= 1 && transaction.suites[0] <= 6;
    return one_algorithm ? Status{} : refused("exactly one key algorithm");
  }
  std::array<bool, 10> seen{};
  for (const auto suite : transaction.suites) {
    if (suite < 1 || suite > 9) return refused("unknown suite");
    if (std::exchange(seen[suite], true)) return refused("a suite twice");
  }
  if (transaction.purpose == Purpose::one_time && transaction.suites.size() != 1)
    return refused("exactly one suite for a key of one session");
  return transaction.suites.empty() ? refused("no suite") : Status{};
}

Status check_documents(const Transaction& transaction) {
  if (!approves_documents(transaction.purpose)) {
    const bool none = transaction.hash == 0 && transaction.documents.empty();
    return none ? Status{} : refused("documents without a signature");
  }
  if (transaction.hash < 1 || transaction.hash > 3) return refused("unknown hash algorithm");
  if (transaction.documents.empty()) return refused("no document");
  const auto length = crypto::digest_length(static_cast<crypto::HashAlgorithm>(transaction.hash));
  for (const auto& document : transaction.documents) {
    if (document.digest.size() != length) return refused("digest of another length than its algorithm's");
    if (auto label = check_text(document.label, max_label_bytes, "label"); !label) return label;
  }
  return {};
}

Status check_names(const Transaction& transaction) {
  if (auto id = SignerId::parse(transaction.signer); !id) return id.error();
  if (transaction.purpose == Purpose::enrol || transaction.purpose == Purpose::factors) {
    if (!transaction.key.empty()) return refused("factors have no key");
  } else if (auto id = KeyId::parse(transaction.key); !id) {
    return id.error();
  }
  if (transaction.purpose == Purpose::one_time && transaction.signer != transaction.key) return refused("nobody is known before a session");
  if (auto profile = check_text(transaction.profile, max_name_bytes, "profile"); !profile) return profile;
  if (auto client = check_text(transaction.client_id, max_name_bytes, "client id"); !client) return client;
  return check_text(transaction.client_name, max_name_bytes, "client name");
}

Status check_grant(const Transaction& transaction) {
  if (transaction.purpose != Purpose::grant) return transaction.grant ? refused("a grant in another transaction") : Status{};
  if (!transaction.grant) return refused("no grant");
  if (transaction.grant->client_key.size() != client_key_bytes) return refused("the client's key is not one of P-256");
  const bool bounded = transaction.grant->signatures >= 1 && transaction.grant->signatures <= max_granted;
  return bounded ? Status{} : refused("number of signatures");
}

Status check(const Transaction& transaction) {
  if (transaction.nonce.size() != nonce_bytes) return refused("the nonce has 16 bytes");
  if (!transaction.certificate_digest.empty() && transaction.certificate_digest.size() != 32) return refused("certificate digest");
  if (auto names = check_names(transaction); !names) return names;
  if (auto suites = check_suites(transaction); !suites) return suites;
  if (auto grant = check_grant(transaction); !grant) return grant;
  return check_documents(transaction);
}

}  // namespace

std::string_view name_of(Purpose purpose) noexcept {
  for (const auto& [value, name] : purposes) {
    if (value == purpose) return name;
  }
  panic("a purpose without a name");
}

Result<Purpose> parse_purpose(std::string_view name) {
  for (const auto& [value, known] : purposes) {
    if (known == name) return value;
  }
  return refused("unknown purpose");
}

Bytes encode(const Transaction& transaction) {
  Bytes out;
  append_field(out, name_of(transaction.purpose));
  append_field(out, transaction.nonce);
  append_field(out, transaction.epoch);
  append_field(out, static_cast<std::uint64_t>(unix_seconds(transaction.expires)));
  append_field(out, transaction.signer);
  append_field(out, transaction.key);
  append_field(out, transaction.certificate_digest);
  append_field(out, transaction.profile);
  append_field(out, ByteView(&transaction.hash, 1));
  append_field(out, transaction.suites);
  append_field(out, transaction.client_id);
  append_field(out, transaction.client_name);
  append_field(out, std::uint64_t{transaction.documents.size()});
  for (const auto& document : transaction.documents) {
    append_field(out, document.digest);
    append_field(out, document.label);
  }
  if (transaction.grant) {
    append_field(out, transaction.grant->client_key);
    append_field(out, transaction.grant->signatures);
    append_field(out, static_cast<std::uint64_t>(unix_seconds(transaction.grant->ends)));
  }
  return out;
}

Result<Transaction> parse_transaction(ByteView encoded) {
  Parser parser(encoded);
  const auto purpose = parse_purpose(parser.text(8));
  if (!purpose) return purpose.error();
  Transaction transaction{.purpose = *purpose,
                          .nonce = {},
                          .epoch = 0,
                          .expires = {},
                          .signer = {},
                          .key = {},
                          .certificate_digest = {},
                          .profile = {},
                          .hash = 0,
                          .suites = {},
                          .client_id = {},
                          .client_name = {},
                          .documents = {}};
  transaction.nonce = parser.bytes(nonce_bytes);
  transaction.epoch = parser.number();
  const auto expires = parser.number();
  transaction.signer = parser.text(64);
  transaction.key = parser.text(64);
  transaction.certificate_digest = parser.bytes(32);
  transaction.profile = parser.text(max_name_bytes);
  const auto hash = parser.bytes(1);
  transaction.suites = parser.bytes(16);
  transaction.client_id = parser.text(max_name_bytes);
  transaction.client_name = parser.text(max_name_bytes);
  const auto count = parser.number();
  if (!parser.well()) return parser.end().error();
  if (hash.size() != 1) return refused("the hash algorithm has one octet");
  if (expires > static_cast<std::uint64_t>(end_of_year_9999)) return refused("expiry beyond the year 9999");
  if (count > max_documents) return refused("too many documents");
  transaction.hash = hash[0];
  transaction.expires = from_unix_seconds(static_cast<std::int64_t>(expires));
  for (std::uint64_t i = 0; i < count && parser.well(); ++i) {
    auto digest = parser.bytes(64);
    transaction.documents.push_back({.digest = std::move(digest), .label = parser.text(max_label_bytes)});
  }
  if (transaction.purpose == Purpose::grant) {
    GrantTerms grant{.client_key = parser.bytes(client_key_bytes), .signatures = parser.number(), .ends = {}};
    const auto ends = parser.number();
    if (ends > static_cast<std::uint64_t>(end_of_year_9999)) return refused("the end of a grant beyond the year 9999");
    grant.ends = from_unix_seconds(static_cast<std::int64_t>(ends));
    transaction.grant = std::move(grant);
  }
  if (auto end = parser.end(); !end) return end.error();
  if (auto checked = check(transaction); !checked) return checked.error();
  return transaction;
}

crypto::Sha256Digest consent_digest(ByteView transaction, const Terms& terms, std::string_view act) {
  Bytes input;
  append_field(input, std::string_view("intaglio/consent/1"));
  append_field(input, transaction);
  append_field(input, terms.id);
  append_field(input, terms.version);
  append_field(input, terms.language);
  append_field(input, act);
  return crypto::sha256(input);
}

crypto::Sha256Digest binding_digest(ByteView transaction, const crypto::Sha256Digest& consent) {
  Bytes input;
  append_field(input, std::string_view("intaglio/binding/1"));
  append_field(input, transaction);
  append_field(input, ByteView(consent));
  return crypto::sha256(input);
}

crypto::Sha256Digest session_digest(const Transaction& transaction, const Terms& terms, std::string_view act) {
  Bytes input;
  append_field(input, std::string_view("intaglio/session/1"));
  append_field(input, std::uint64_t{transaction.documents.size()});
  for (const auto& document : transaction.documents) {
    append_field(input, document.digest);
    append_field(input, document.label);
  }
  append_field(input, terms.id);
  append_field(input, terms.version);
  append_field(input, terms.language);
  append_field(input, act);
  append_field(input, transaction.client_id);
  append_field(input, transaction.client_name);
  append_field(input, transaction.profile);
  append_field(input, transaction.nonce);
  return crypto::sha256(input);
}

crypto::Sha256Digest list_digest(const std::vector<DocumentDigest>& documents) {
  Bytes input;
  append_field(input, std::string_view("intaglio/list/1"));
  append_field(input, std::uint64_t{documents.size()});
  for (const auto& document : documents) {
    append_field(input, document.digest);
    append_field(input, document.label);
  }
  return crypto::sha256(input);
}

std::string comparison_digits(ByteView transaction) {
  Bytes input;
  append_field(input, std::string_view("intaglio/compare/1"));
  append_field(input, transaction);
  const auto digest = crypto::sha256(input);
  std::uint32_t number = 0;
  for (std::size_t at = 0; at < 4; ++at) number = (number << 8U) | digest.at(at);
  number %= 100;
  return {static_cast<char>('0' + number / 10), static_cast<char>('0' + number % 10)};
}

}  // namespace intaglio::protocol
