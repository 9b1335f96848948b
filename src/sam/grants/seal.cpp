#include "sam/grants/seal.h"

#include "base/check.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "json/json.h"
#include "sam/authorise/attempt.h"
#include "sam/authorise/authorisation_record.h"
#include "sam/grants/grants.h"

namespace intaglio::sam {
namespace {

using audit::Event;
using audit::EventType;
using audit::Outcome;

constexpr std::string_view seal_typ = "intaglio-seal+jwt";
constexpr std::size_t least_request = 16, most_request = 64;

Error invalid(const std::string& why) { return {ErrorCode::sad_invalid, "seal: " + why}; }

/// The claims before the signature was looked at: only to find the grant whose key verifies it.
Result<SealClaims> peek_claims(std::string_view compact) {
  const auto first = compact.find('.');
  const auto second = first == std::string_view::npos ? first : compact.find('.', first + 1);
  if (second == std::string_view::npos) return invalid("not a JWS");
  const auto payload = parse_base64url(compact.substr(first + 1, second - first - 1));
  if (!payload) return invalid("a payload that is not base64url");
  return parse_seal_claims(as_text(*payload));
}

/// What the SSA asks for is what the client signed, of the grant's key and from its client.
Status check_request(const GrantRecord& grant, const SealClaims& claims, const protocol::SignRequest& request) {
  const auto& approved = grant.transaction;
  const auto octet = static_cast<std::uint8_t>(claims.suite);
  if (refused_by("sam.seal.suite", std::find(approved.suites.begin(), approved.suites.end(), octet) == approved.suites.end()))
    return Error{ErrorCode::algorithm_refused, "seal: a suite that the grant does not allow"};
  if (refused_by("sam.seal.key", request.key.text() != approved.key || request.client_id != approved.client_id))
    return invalid("another key or client than the grant's");
  if (refused_by("sam.seal.list", request.suite != claims.suite || request.digests != claims.digests))
    return Error{ErrorCode::hash_not_authorised, "seal: not the suite and digests that the client signed, in their order"};
  return {};
}

/// Time and revocation; and the signer's factors are those of then.
Status check_in_force(const Core& core, storage::Transaction& write, const GrantRecord& grant) {
  if (refused_by("sam.seal.ended", grant.ended)) return invalid("the grant was ended");
  const auto now = core.clock->now();
  if (refused_by("sam.seal.time", now < grant.made || now >= grant.transaction.grant->ends))
    return Error{ErrorCode::sad_expired, "seal: the grant is over"};
  auto row = core.factors.signers().find(write, grant.transaction.signer);
  if (!row) return row.error();
  if (!*row) return invalid("the signer is gone");
  auto signer = parse_signer((*row)->content.reveal());
  if (!signer) return signer.error();
  if (refused_by("sam.seal.factors", factors_digest(*signer) != grant.factors)) return invalid("the signer has other factors since");
  return {};
}

/// As an authorisation of these digests, which voids no other and which no other voids.
Status store_seal(const Core& core, storage::Transaction& write, const GrantRecord& grant, const SealClaims& claims, const Bytes& nonce,
                  const crypto::Sha256Digest& sad) {
  const auto* profile = core.policy.profile(grant.transaction.profile);
  if (profile == nullptr || !profile->grants) return invalid("the profile knows no grants any more");
  auto transaction = grant.transaction;
  const auto now = core.clock->now();
  transaction.purpose = protocol::Purpose::sign;
  transaction.nonce = nonce;
  transaction.expires = now + profile->sad_lifetime;
  transaction.hash = static_cast<std::uint8_t>(crypto::hash_of(claims.suite));
  transaction.suites = {static_cast<std::uint8_t>(claims.suite)};
  transaction.grant.reset();
  for (const auto& digest : claims.digests) transaction.documents.push_back({digest, "seal " + claims.request});
  const Authorisation authorisation{.nonce = nonce,
                                    .transaction = transaction,
                                    .consent = grant.consent,
                                    .terms = grant.terms,
                                    .act = grant.act,
                                    .sad = sad,
                                    .issued = now,
                                    .expires = transaction.expires};
  if (auto stored = store_list(core, write, authorisation, grant_index(core, grant.id)); !stored) return stored;
  auto appended = core.log.append(write, Event{.type = EventType::seal_requested,
                                               .actor = "signer:" + transaction.signer,
                                               .subject = transaction.key,
                                               .outcome = Outcome::success,
                                               .fields = {{"grant", grant.id},
                                                          {"request", claims.request},
                                                          {"authorisation", encode_base64url(nonce)},
                                                          {"list", encode_base64url(protocol::list_digest(transaction.documents))},
                                                          {"count", std::to_string(claims.digests.size())},
                                                          {"suite", std::string(name_of(claims.suite))},
                                                          {"client", transaction.client_id},
                                                          {"sad", encode_base64url(sad)}}});
  return appended ? Status() : Status(appended.error());
}

/// Of a snapshot: the key of a grant never changes.
Result<crypto::PublicKey> client_key(const Core& core, const std::string& grant) {
  std::optional<GrantRecord> record;
  auto read = core.database.read([&](storage::Reader& reader) -> Status {
    auto row = grants(core).find_in_snapshot(reader, grant);
    if (!row) return row.error();
    if (!*row) return invalid("no such grant");
    auto parsed = parse_grant((*row)->content.reveal());
    if (!parsed) return parsed.error();
    record = *std::move(parsed);
    return {};
  });
  if (!read) return read.error();
  return crypto::PublicKey::parse_spki(record->transaction.grant->client_key);
}

Status accept(Core& core, const protocol::SignRequest& request) {
  if (auto ready = core.ready(); !ready) return ready;
  auto claims = peek_claims(request.sad);
  if (!claims) return claims.error();
  auto key = client_key(core, claims->grant);
  if (!key) return key.error();
  auto verified = crypto::verify_jws(request.sad, seal_typ, *key);
  // No name to switch this off by: without its signature there is no payload (mutant jws.signature).
  if (!verified) return invalid("not signed by the client's key: " + verified.error().detail);
  auto nonce = crypto::random_bytes(16);
  if (!nonce) return nonce.error();
  const auto digest = crypto::sha256(as_bytes(request.sad));
  return core.database.write([&](storage::Transaction& write) -> Status {
    auto row = grants(core).find(write, claims->grant);
    if (!row) return row.error();
    if (!*row) return invalid("no such grant");
    auto grant = parse_grant((*row)->content.reveal());
    if (!grant) return grant.error();
    if (auto checked = check_request(*grant, *claims, request); !checked) return checked;
    if (auto checked = check_in_force(core, write, *grant); !checked) return checked;
    auto before = write.query_one<std::int64_t>("SELECT version FROM authorisations WHERE sad = ?1", {ByteView(digest)},
                                                [](const storage::Row& columns) { return columns.integer(0); });
    if (!before) return before.error();
    // Counted when it came first: what was signed is given again, what was not is signed now.
    if (*before) return {};
    const auto asked = claims->digests.size();
    const auto most = grant->transaction.grant->signatures;
    if (refused_by("sam.seal.count", asked > most || grant->used > most - asked))
      return Error{ErrorCode::limit_exceeded, "seal: more hashes than the grant has left"};
    if (auto once = core.factors.consume(write, "seal", claims->grant + "/" + claims->request, grant->transaction.grant->ends);
        refused_by("sam.seal.once", !once))
      return once;
    grant->used += asked;
    if (auto updated = grants(core).update(write, grant->id, (*row)->version, encode(*grant)); !updated) return updated;
    return store_seal(core, write, *grant, *claims, *nonce, digest);
  });
}

}  // namespace

Result<SealClaims> parse_seal_claims(std::string_view payload) {
  auto parsed = json::parse(payload, {.max_bytes = protocol::max_message_bytes, .max_depth = 2, .max_members = 8});
  if (!parsed || !parsed->is_object() || parsed->size() != 4) return invalid("a payload of another form");
  auto grant = json::text_member(*parsed, "grant", 64);
  auto request = json::text_member(*parsed, "rid", most_request);
  auto suite_name = json::text_member(*parsed, "suite", 32);
  auto joined = json::base64url_member(*parsed, "dig", protocol::max_message_bytes);
  if (!grant || !request || !suite_name || !joined) return invalid("a claim is missing");
  auto grant_id = KeyId::parse(*grant);
  auto request_id = KeyId::parse(*request);
  if (!grant_id || !request_id || request->size() < least_request) return invalid("an id of another form");
  auto suite = crypto::parse_suite(*suite_name);
  if (!suite) return Error{ErrorCode::algorithm_refused, "seal: an unknown suite"};
  const auto length = crypto::digest_length(crypto::hash_of(*suite));
  const auto count = joined->size() / length;
  if (joined->size() % length != 0 || count == 0 || count > protocol::max_digests_per_call)
    return invalid("no digests, too many, or a part of one");
  std::vector<Bytes> digests;
  for (std::size_t at = 0; at < joined->size(); at += length) digests.push_back(to_bytes(ByteView(*joined).subspan(at, length)));
  return SealClaims{*std::move(grant), *std::move(request), *suite, std::move(digests)};
}

bool is_seal_request(std::string_view sad) {
  const auto header = crypto::peek_jws_header(sad);
  return header && header->typ == seal_typ;
}

Status accept_seal(Core& core, const protocol::SignRequest& request) {
  auto accepted = accept(core, request);
  if (accepted) return {};
  auto recorded = core.log.record(Event{.type = EventType::signature_refused,
                                        .actor = "ssa",
                                        .subject = request.key.text(),
                                        .outcome = Outcome::refused,
                                        .fields = {{"client", request.client_id},
                                                   {"reason", std::string(name_of(accepted.error().code))},
                                                   {"sad", encode_base64url(crypto::sha256(as_bytes(request.sad)))}}});
  // The refusal stands whether or not it could be recorded; a log that takes nothing stops the next request at ready().
  if (!recorded) return accepted;
  return accepted;
}

}  // namespace intaglio::sam
