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

Result<json::Value> claims_of_sad(std::string_view sad) {
  const Error none{ErrorCode::sad_invalid, "the SAD is no token of ours"};
  const auto first = sad.find('.');
  const auto second = sad.find('.', first + 1);
  if (first == std::string_view::npos || second == std::string_view::npos) return none;
  auto payload = parse_base64url(sad.substr(first + 1, second - first - 1));
  if (!payload) return none;
  const WipeAtExit wiped_payload(*payload);
  auto claims = json::parse(as_text(*payload));
  return claims ? std::move(claims) : Result<json::Value>(none);
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

Result<std::optional<StoredAuthorisation>> find_authorisation(const Core& core, storage::Reader& reader, const crypto::Sha256Digest& sad) {
  struct Row {
    std::string id;
    std::uint64_t version;
    Bytes sealed;
  };
  auto row = reader.query_one<Row>("SELECT id, version, record FROM authorisations WHERE sad = ?1", {ByteView(sad)},
                                   [](const storage::Row& columns) {
                                     return Row{columns.text(0), static_cast<std::uint64_t>(columns.integer(1)), columns.bytes(2)};
                                   });
  if (!row) return row.error();
  if (!*row) return std::optional<StoredAuthorisation>();
  auto content = core.sealer->open_record("authorisations", as_bytes((*row)->id), (*row)->version, (*row)->sealed);
  if (!content) return content.error();
  auto authorisation = parse_authorisation(content->reveal());
  if (!authorisation) return authorisation.error();
  if (refused_by("sam.sad.digest", authorisation->sad != sad)) return Error{ErrorCode::sad_invalid, "the authorisation is of another SAD"};
  if (encode_base64url(authorisation->nonce) != (*row)->id)
    return Error{ErrorCode::storage_unavailable, "an authorisation contradicts its row"};
  return std::optional(StoredAuthorisation{std::move((*row)->id), (*row)->version, std::move(*authorisation)});
}

Status replace_authorisation(const Core& core, storage::Transaction& transaction, const StoredAuthorisation& stored) {
  const auto& authorisation = stored.authorisation;
  auto sealed = core.sealer->seal("authorisations", as_bytes(stored.id), stored.version + 1, encode(authorisation));
  if (!sealed) return sealed.error();
  auto changed =
      transaction.execute("UPDATE authorisations SET sad = ?3, ends = ?4, version = ?5, record = ?6 WHERE id = ?1 AND version = ?2",
                          {std::string_view(stored.id), static_cast<std::int64_t>(stored.version), ByteView(authorisation.sad),
                           unix_seconds(authorisation.expires), static_cast<std::int64_t>(stored.version + 1), ByteView(*sealed)});
  if (!changed) return changed.error();
  return *changed == 1 ? Status() : Status(Error{ErrorCode::conflict, "an authorisation changed meanwhile"});
}

}  // namespace intaglio::sam
