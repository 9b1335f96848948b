#include "ssa/sad_filter.h"

#include <algorithm>

#include "base/check.h"
#include "crypto/jose/jws.h"
#include "json/json.h"

namespace intaglio::ssa {
namespace {

constexpr std::string_view sad_type = "intaglio-sad+jwt";
constexpr std::size_t max_known_sads = 16384;
/// The SAM's clock and ours are both synchronised; this is what is left.
constexpr std::chrono::seconds clock_skew{5};

bool contains(const Bytes& suites, crypto::SignatureSuite suite) {
  return std::find(suites.begin(), suites.end(), static_cast<std::uint8_t>(suite)) != suites.end();
}

Error invalid(std::string_view why) { return {ErrorCode::sad_invalid, std::string(why)}; }

}  // namespace

KnownSad::KnownSad(Claims claims, std::string client, protocol::Transaction transaction)
    : claims_(std::move(claims)), client_(std::move(client)), transaction_(std::move(transaction)), left_(claims_.count) {
  for (const auto& document : transaction_.documents) ++free_[document.digest];
}

KnownSad::KnownSad(Claims claims, const KnownSad& earlier)
    : claims_(std::move(claims)), client_(earlier.client_), transaction_(earlier.transaction_) {
  const std::lock_guard lock(earlier.mutex_);
  free_ = earlier.free_;
  left_ = earlier.left_;
}

bool KnownSad::used_up() const {
  const std::lock_guard lock(mutex_);
  return left_ == 0;
}

bool KnownSad::covers(const std::vector<Bytes>& digests) const {
  const std::lock_guard lock(mutex_);
  if (digests.size() == 1) {
    const auto found = free_.find(digests.front());
    return found != free_.end() && found->second > 0;
  }
  std::map<Bytes, std::uint64_t> wanted;
  for (const auto& digest : digests) ++wanted[digest];
  return std::all_of(wanted.begin(), wanted.end(), [&](const auto& one) {
    const auto found = free_.find(one.first);
    return found != free_.end() && found->second >= one.second;
  });
}

void KnownSad::delivered(const std::vector<Bytes>& digests) {
  const std::lock_guard lock(mutex_);
  for (const auto& digest : digests) {
    const auto found = free_.find(digest);
    if (found == free_.end() || found->second == 0) continue;
    --found->second;
    if (left_ > 0) --left_;
  }
}

SadFilter::SadFilter(std::shared_ptr<SamKeys> keys, std::shared_ptr<Transactions> transactions,
                     std::shared_ptr<CredentialDirectory> credentials, std::shared_ptr<const Clock> clock, std::chrono::seconds max_age)
    : keys_(std::move(keys)),
      transactions_(std::move(transactions)),
      credentials_(std::move(credentials)),
      clock_(std::move(clock)),
      max_age_(max_age),
      known_(max_known_sads) {}

Result<KnownSad::Claims> SadFilter::read(std::string_view sad) {
  if (sad.size() > protocol::max_message_bytes) return invalid("a SAD of more than 64 KiB");
  const auto key = keys_->sad_key();
  if (!key) return key.error();
  const auto payload = crypto::verify_jws(sad, sad_type, *key);
  // No name to switch this off by: without its signature there is no payload (mutant jws.signature).
  if (!payload) return invalid("the SAD is not signed by the SAM: " + payload.error().detail);
  const auto claims = json::parse(*payload);
  if (!claims) return invalid("the payload of the SAD is not JSON");
  const auto jti = json::text_member(*claims, "jti");
  const auto signer = json::text_member(*claims, "sub");
  const auto credential = json::text_member(*claims, "key");
  const auto list = json::base64url_member(*claims, "dig");
  const auto count = json::integer_member(*claims, "n");
  const auto issued = json::integer_member(*claims, "iat");
  const auto expires = json::integer_member(*claims, "exp");
  if (!jti || !signer || !credential || !list || !count || *count < 1 || !issued || !expires)
    return invalid("a claim of the SAD is missing");
  return KnownSad::Claims{
      *jti, *signer, *credential, *list, static_cast<std::uint64_t>(*count), from_unix_seconds(*issued), from_unix_seconds(*expires)};
}

Result<std::shared_ptr<KnownSad>> SadFilter::recognise(std::string_view sad, UnixTime now) {
  const auto digest = crypto::sha256(as_bytes(sad));
  if (auto known = known_.find(digest, now)) return std::move(*known);
  auto claims = read(sad);
  if (!claims) return claims.error();
  auto kept = transactions_->find_by_sad(claims->jti);
  if (!kept) {
    if (kept.error().code != ErrorCode::not_found) return kept.error();
    return invalid("the SAD was not issued through this service");
  }
  const auto list = protocol::list_digest(kept->content.documents);
  const bool same_list = std::equal(list.begin(), list.end(), claims->list_digest.begin(), claims->list_digest.end());
  if (refused_by("ssa.sad.list", !same_list)) return invalid("the SAD names another list than the transaction");
  if (refused_by("ssa.sad.key", claims->key != kept->content.key || claims->signer != kept->content.signer)) {
    return invalid("the SAD names another key or signer than the transaction");
  }
  // Remembered beyond its end, so that an expired SAD costs no second verification.
  const auto until = claims->expires + max_age_;
  auto known = std::make_shared<KnownSad>(std::move(*claims), std::move(kept->client), std::move(kept->content));
  return known_.insert(digest, std::move(known), until, now);
}

Status SadFilter::check_time(const KnownSad& sad, UnixTime now) const {
  const auto& claims = sad.claims();
  if (refused_by("ssa.sad.expired", now >= claims.expires)) return Error{ErrorCode::sad_expired, "the SAD is expired"};
  if (refused_by("ssa.sad.age", now > claims.issued + max_age_)) return Error{ErrorCode::sad_expired, "the SAD is older than allowed"};
  if (refused_by("ssa.sad.future", claims.issued > now + clock_skew)) return invalid("the SAD is of the future");
  return {};
}

Status SadFilter::check_scope(const KnownSad& sad, std::string_view client, const KeyId& key) {
  if (refused_by("ssa.sad.client", client != sad.client())) return invalid("the SAD was issued to another client");
  if (refused_by("ssa.sad.unused", sad.used_up())) return Error{ErrorCode::replayed, "every signature under this SAD was delivered"};
  if (refused_by("ssa.sad.credential", key.text() != sad.claims().key)) {
    return Error{ErrorCode::credential_unknown, "the SAD is for another credential"};
  }
  return {};
}

Status SadFilter::check_suite(const KnownSad& sad, crypto::SignatureSuite suite) {
  const auto& opened = sad.transaction();
  const bool same_hash = static_cast<std::uint8_t>(crypto::hash_of(suite)) == opened.hash;
  if (refused_by("ssa.sad.suite", !same_hash || (!opened.suites.empty() && !contains(opened.suites, suite)))) {
    return Error{ErrorCode::algorithm_refused, "the signer approved other suites"};
  }
  return {};
}

Status SadFilter::check_digests(const KnownSad& sad, const std::vector<Bytes>& digests) {
  if (refused_by("ssa.sad.hash", !sad.covers(digests))) return Error{ErrorCode::hash_not_authorised, "a digest has no free occurrence"};
  return {};
}

Status SadFilter::check_credential(const KnownSad& sad, const Credential& credential, UnixTime now) {
  const auto& facts = credential.facts;
  if (refused_by("ssa.sad.owner", facts.signer.text() != sad.claims().signer)) {
    return Error{ErrorCode::credential_unknown, "the credential is another signer's"};
  }
  const auto status = credential.status(now);
  if (refused_by("ssa.certificate.active", status != CertificateStatus::valid)) {
    return Error{ErrorCode::certificate_invalid, "the certificate is " + std::string(name_of(status))};
  }
  if (refused_by("ssa.credential.enabled", !credential.enabled())) {
    return Error{ErrorCode::credential_disabled, "the key is " + std::string(protocol::name_of(facts.state))};
  }
  return {};
}

Status SadFilter::check_suite_offered(const Credential& credential, crypto::SignatureSuite suite) {
  const auto& facts = credential.facts;
  const bool offered = std::find(facts.suites.begin(), facts.suites.end(), suite) != facts.suites.end();
  if (refused_by("ssa.credential.suite", !offered || !crypto::fits(facts.algorithm, suite))) {
    return Error{ErrorCode::algorithm_refused, "the key does not offer this suite"};
  }
  return {};
}

Result<std::shared_ptr<KnownSad>> SadFilter::admit(const Use& use) {
  const auto now = clock_->now();
  auto sad = recognise(use.sad, now);
  if (!sad) return sad.error();
  if (const auto timely = check_time(**sad, now); !timely) return timely.error();
  if (const auto scope = check_scope(**sad, use.client, use.key); !scope) return scope.error();
  if (const auto suite = check_suite(**sad, use.suite); !suite) return suite.error();
  if (const auto covered = check_digests(**sad, use.digests); !covered) return covered.error();
  const auto credential = credentials_->find(use.key);
  if (!credential) return credential.error();
  if (const auto active = check_credential(**sad, **credential, now); !active) return active.error();
  if (const auto offered = check_suite_offered(**credential, use.suite); !offered) return offered.error();
  return sad;
}

Result<std::shared_ptr<KnownSad>> SadFilter::admit(const Extension& extension) {
  const auto now = clock_->now();
  auto sad = recognise(extension.sad, now);
  if (!sad) return sad.error();
  if (const auto timely = check_time(**sad, now); !timely) return timely.error();
  if (const auto scope = check_scope(**sad, extension.client, extension.key); !scope) return scope.error();
  if (const auto covered = check_digests(**sad, extension.digests); !covered) return covered.error();
  const auto credential = credentials_->find(extension.key);
  if (!credential) return credential.error();
  if (const auto active = check_credential(**sad, **credential, now); !active) return active.error();
  return sad;
}

Status SadFilter::follow(const KnownSad& earlier, std::string_view sad) {
  auto claims = read(sad);
  if (!claims) return Error{ErrorCode::internal, claims.error().detail};
  const auto& before = earlier.claims();
  const bool same = claims->jti == before.jti && claims->signer == before.signer && claims->key == before.key &&
                    claims->list_digest == before.list_digest && claims->count == before.count;
  if (refused_by("ssa.extend.same", !same)) return Error{ErrorCode::internal, "the SAM's SAD is of another authorisation"};
  const auto until = claims->expires + max_age_;
  (void)known_.insert(crypto::sha256(as_bytes(sad)), std::make_shared<KnownSad>(std::move(*claims), earlier), until, clock_->now());
  return {};
}

}  // namespace intaglio::ssa
