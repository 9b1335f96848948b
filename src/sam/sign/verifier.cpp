#include "sam/sign/verifier.h"

#include "base/check.h"
#include "sam/authorise/authorisation_record.h"

namespace intaglio::sam {
namespace {

constexpr std::size_t max_cached = 4096;
/// A list of documents may be large: what ended must not wait until the cache is full.
constexpr std::chrono::seconds sweep_interval{30};

}  // namespace

Result<std::shared_ptr<const LoadedAuthorisation>> Verifier::load(const crypto::Sha256Digest& sad_digest) {
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = cache_.find(sad_digest); found != cache_.end()) return found->second;
  }
  std::optional<StoredAuthorisation> stored;
  auto loaded = core_.database.read([&](storage::Reader& reader) -> Status {
    auto found = find_authorisation(core_, reader, sad_digest);
    if (!found) return found.error();
    stored = std::move(*found);
    return {};
  });
  if (!loaded) return loaded.error();
  if (!stored) return Error{ErrorCode::sad_invalid, "no authorisation has this SAD"};
  auto& authorisation = stored->authorisation;
  auto key = KeyId::parse(authorisation.transaction.key);
  auto signer = SignerId::parse(authorisation.transaction.signer);
  if (!key || !signer) return Error{ErrorCode::storage_unavailable, "an authorisation contradicts its row"};

  std::multimap<Bytes, std::size_t> positions;
  const auto& documents = authorisation.transaction.documents;
  for (std::size_t position = 0; position < documents.size(); ++position) positions.emplace(documents[position].digest, position);
  auto kept = std::make_shared<const LoadedAuthorisation>(LoadedAuthorisation{.id = std::move(stored->id),
                                                                              .version = stored->version,
                                                                              .authorisation = std::move(authorisation),
                                                                              .key = std::move(*key),
                                                                              .signer = std::move(*signer),
                                                                              .positions = std::move(positions)});
  const std::lock_guard lock(mutex_);
  if (const auto now = core_.clock->now(); now >= next_sweep_ || cache_.size() >= max_cached) {
    std::erase_if(cache_, [&](const auto& entry) { return entry.second->authorisation.expires <= now; });
    next_sweep_ = now + sweep_interval;
    if (cache_.size() >= max_cached) cache_.clear();
  }
  cache_.emplace(sad_digest, kept);
  return kept;
}

Result<VerifiedRequest> Verifier::verify(const protocol::SignRequest& request) {
  if (request.digests.empty() || request.digests.size() > protocol::max_documents)
    return Error{ErrorCode::invalid_request, "no digests, or too many"};
  // The record is found by the digest of the whole token: a SAD that differs in one bit has none.
  auto loaded = load(crypto::sha256(as_bytes(request.sad)));
  if (!loaded) return loaded.error();
  const auto& authorisation = (*loaded)->authorisation;
  const auto& transaction = authorisation.transaction;
  const auto now = core_.clock->now();
  if (refused_by("sam.sad.expired", now >= authorisation.expires || now < authorisation.issued))
    return Error{ErrorCode::sad_expired, "the SAD is over"};
  if (refused_by("sam.sad.epoch", transaction.epoch != core_.epoch())) return Error{ErrorCode::sad_invalid, "the SAD is of another epoch"};
  if (refused_by("sam.sad.key", request.key.text() != transaction.key)) return Error{ErrorCode::sad_invalid, "the SAD is for another key"};
  if (refused_by("sam.sad.client", request.client_id != transaction.client_id))
    return Error{ErrorCode::sad_invalid, "the SAD is another client's"};
  const auto suite_octet = static_cast<std::uint8_t>(request.suite);
  if (refused_by("sam.sad.suite",
                 std::find(transaction.suites.begin(), transaction.suites.end(), suite_octet) == transaction.suites.end())) {
    return Error{ErrorCode::algorithm_refused, "the signer did not authorise this suite"};
  }
  VerifiedRequest verified{.loaded = *loaded, .suite = request.suite, .candidates = {}};
  for (const auto& digest : request.digests) {
    if (refused_by("sam.sad.digest-length", digest.size() != crypto::digest_length(crypto::hash_of(request.suite)))) {
      return Error{ErrorCode::digest_length, "a digest has not the length of its algorithm"};
    }
    std::vector<std::size_t> places;
    const auto [first, last] = (*loaded)->positions.equal_range(digest);
    for (auto place = first; place != last; ++place) places.push_back(place->second);
    std::sort(places.begin(), places.end());
    if (refused_by("sam.sad.hash", places.empty())) return Error{ErrorCode::hash_not_authorised, "a digest is not in the authorised list"};
    if (places.empty()) places.push_back(0);  // only without the check: what is signed comes from the record all the same (TC-2)
    verified.candidates.push_back(std::move(places));
  }
  return verified;
}

custody::Activation Verifier::activate(const VerifiedRequest& request, std::size_t position) {
  const auto& loaded = *request.loaded;
  return custody::Activation(loaded.key, loaded.signer, request.suite, loaded.authorisation.transaction.documents.at(position).digest);
}

}  // namespace intaglio::sam
