#include "ssa/csc/kept_answers.h"

#include "base/check.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"

namespace intaglio::ssa::csc {
namespace {

constexpr std::size_t random_id_bytes = 32;
/// What the registered applications can make us keep.
constexpr std::int64_t max_kept = 10000;

Secret answer_key(std::string_view id) { return crypto::hkdf_sha256(as_bytes(id), {}, as_bytes("intaglio/ssa/answer/1"), 32); }

struct Kept {
  std::string client, signer;
  Bytes sealed;
  std::int64_t expires;
};

}  // namespace

KeptAnswers::KeptAnswers(std::shared_ptr<storage::Database> database, std::shared_ptr<CredentialDirectory> credentials,
                         std::shared_ptr<const Clock> clock)
    : database_(std::move(database)), credentials_(std::move(credentials)), clock_(std::move(clock)) {}

Result<std::string> KeptAnswers::keep(std::string_view client, const KeyId& credential, const Delivery& delivery,
                                      std::string_view answer) const {
  const auto known = credentials_->find(credential);
  if (!known) return known.error();
  const auto random = crypto::random_bytes(random_id_bytes);
  if (!random) return random.error();
  auto id = encode_base64url(*random);
  const auto digest = crypto::sha256(as_bytes(id));
  const auto key = answer_key(id);
  const auto sealed = crypto::gcm_seal(key.reveal(), as_bytes(answer), ByteView(digest));
  if (!sealed) return sealed.error();
  const auto now = clock_->now();
  const auto written = database_->write([&](storage::Transaction& transaction) -> Status {
    auto purged = transaction.execute("DELETE FROM ssa_kept_answers WHERE expires <= ?1", {unix_seconds(now)});
    if (!purged) return purged.error();
    const auto kept = transaction.query_one<std::int64_t>("SELECT COUNT(*) FROM ssa_kept_answers", {},
                                                          [](const storage::Row& row) { return row.integer(0); });
    if (!kept) return kept.error();
    if (kept->value_or(0) >= max_kept) return Error{ErrorCode::busy, "too many answers wait for their applications"};
    auto added = transaction.execute("INSERT INTO ssa_kept_answers (id, client, signer, answer, expires) VALUES (?1, ?2, ?3, ?4, ?5)",
                                     {ByteView(digest), client, std::string_view((*known)->facts.signer.text()), ByteView(*sealed),
                                      unix_seconds(now + std::chrono::ceil<std::chrono::seconds>(delivery.validity))});
    return added ? Status() : Status(added.error());
  });
  if (!written) return written.error();
  return id;
}

http::Response KeptAnswers::deliver(const http::Request& request, const http::Principal& caller, const KeyId& credential,
                                    const Delivery& delivery, const json::Value& body) const {
  const auto answer = json::encode(body);
  if (!delivery.asynchronous) return http::json_answer(answer);
  const auto id = keep(caller.id, credential, delivery, answer);
  // What was signed is signed: the same request in mode S gives it again (TC-5).
  if (!id) return refuse(request, id.error());
  log::info("answer.kept", {{"request", request.request_id}, {"client", caller.id}});
  json::Value told = json::Value::object();
  told["responseID"] = *id;
  return http::json_answer(json::encode(told));
}

http::Response KeptAnswers::poll(const http::Request& request, const http::Principal& caller) const {
  auto parameters = Parameters::of(request);
  const auto id = parameters.required_text("requestID");
  const auto* user = parameters.member("userID");
  const auto* user_text = user == nullptr ? nullptr : user->get_ptr<const json::Value::string_t*>();
  if (user != nullptr && !caller.subject.empty()) parameters.refuse(invalid_request("userID parameter SHALL be null"));
  if (user != nullptr && user_text == nullptr) parameters.refuse(invalid_request("Invalid parameter \"userID\""));
  parameters.client_data();
  if (parameters.refusal()) return csc::answer(*parameters.refusal());
  const auto digest = crypto::sha256(as_bytes(id));
  std::optional<Kept> kept;
  const auto read = database_->read([&](storage::Reader& reader) -> Status {
    auto found = reader.query_one<Kept>("SELECT client, signer, answer, expires FROM ssa_kept_answers WHERE id = ?1", {ByteView(digest)},
                                        [](const storage::Row& row) {
                                          return Kept{row.text(0), row.text(1), row.bytes(2), row.integer(3)};
                                        });
    if (!found) return found.error();
    kept = std::move(*found);
    return {};
  });
  if (!read) return refuse(request, read.error());
  const auto unknown = [] { return csc::answer(invalid_parameter("requestID")); };
  if (!kept) return unknown();
  if (refused_by("ssa.polling.client", kept->client != caller.id)) return unknown();
  if (refused_by("ssa.polling.subject", !caller.subject.empty() && kept->signer != caller.subject)) return unknown();
  if (refused_by("ssa.polling.expired", kept->expires <= unix_seconds(clock_->now()))) return unknown();
  if (user_text != nullptr && *user_text != kept->signer) return csc::answer(invalid_request("Invalid parameter \"userID\""));
  const auto key = answer_key(id);
  const auto opened = crypto::gcm_open(key.reveal(), kept->sealed, ByteView(digest));
  if (!opened) return refuse(request, {ErrorCode::internal, "a kept answer does not open: " + opened.error().detail});
  return http::json_answer(std::string(as_text(opened->reveal())));
}

}  // namespace intaglio::ssa::csc
