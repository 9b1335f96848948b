#include "sam/authorise/authorisation_record.h"

#include "base/check.h"
#include "crypto/jose/jws.h"
#include "json/json.h"
#include "sam/sign/lock_shares.h"

namespace intaglio::sam {

Result<std::string> make_sad(const Core& core, const Authorisation& authorisation, const std::vector<std::string>& methods,
                             const Secret* share) {
  const auto& transaction = authorisation.transaction;
  json::Value payload = {{"jti", encode_base64url(authorisation.nonce)},
                         {"sub", transaction.signer},
                         {"key", transaction.key},
                         {"dig", encode_base64url(protocol::list_digest(transaction.documents))},
                         {"n", transaction.documents.size()},
                         {"amr", methods},
                         {"iat", unix_seconds(authorisation.issued)},
                         {"exp", unix_seconds(authorisation.expires)},
                         {"epoch", transaction.epoch}};
  const json::WipeAtExit wiped(payload);
  if (share != nullptr) payload["lock_share"] = encode_base64url(share->reveal());
  auto kid = crypto::jwk_thumbprint(core.sad_key->public_key());
  if (!kid) return kid.error();
  return crypto::make_jws(*core.sad_key, "intaglio-sad+jwt", *kid, json::encode(payload));
}

Status store_authorisation(const Core& core, storage::Transaction& transaction, const Authorisation& authorisation, const Secret* share) {
  const auto id = encode_base64url(authorisation.nonce);
  const auto signer = core.sealer->blind_index("authorisations", "signer", as_bytes(authorisation.transaction.signer));
  // One live authorisation per signer: what is not reserved of the earlier one is void with its row.
  if (!check_disabled("sam.authorise.one-live")) {
    if (auto forgotten = forget_shares_of(transaction, signer); !forgotten) return forgotten;
    auto voided = transaction.execute("DELETE FROM authorisations WHERE signer = ?1", {ByteView(signer)});
    if (!voided) return voided.error();
  }
  if (auto listed = store_list(core, transaction, authorisation, signer); !listed) return listed;
  if (share == nullptr) return {};
  return store_share(core, transaction, id, *share, authorisation.transaction.documents.size());
}

Status store_list(const Core& core, storage::Transaction& transaction, const Authorisation& authorisation, ByteView owner) {
  const auto id = encode_base64url(authorisation.nonce);
  auto sealed = core.sealer->seal("authorisations", as_bytes(id), 1, encode(authorisation));
  if (!sealed) return sealed.error();
  auto inserted = transaction.execute(
      "INSERT INTO authorisations (id, sad, signer, ends, version, record) VALUES (?1, ?2, ?3, ?4, 1, ?5)",
      {std::string_view(id), ByteView(authorisation.sad), owner, unix_seconds(authorisation.expires), ByteView(*sealed)});
  if (!inserted) return inserted.error();
  for (std::size_t position = 0; position < authorisation.transaction.documents.size(); ++position) {
    const auto occurrence_id = id + ":" + std::to_string(position);
    auto occurrence = core.sealer->seal(
        "occurrences", as_bytes(occurrence_id), 1,
        encode(Occurrence{.state = OccurrenceState::authorised, .owner = {}, .suite = 0, .signature = {}, .audit_index = 0}));
    if (!occurrence) return occurrence.error();
    auto added = transaction.execute("INSERT INTO occurrences (authorisation, position, version, record) VALUES (?1, ?2, 1, ?3)",
                                     {std::string_view(id), static_cast<std::int64_t>(position), ByteView(*occurrence)});
    if (!added) return added.error();
  }
  return {};
}

}  // namespace intaglio::sam
