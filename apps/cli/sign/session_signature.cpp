#include "sign/session_signature.h"

#include "crypto/cms.h"
#include "problem.h"
#include "sign/id_token_program.h"

namespace intaglio::cli {
namespace {

Error incomplete(std::string_view what) {
  return problem(ErrorCode::internal, "the service's answer lacks " + std::string(what),
                 "check that base_url is the SSA's; else tell its operator");
}

Result<std::vector<crypto::Certificate>> chain_in(const json::Value& answer) {
  const auto* list = json::member(answer, "certificates");
  if (list == nullptr || !list->is_array() || list->empty() || list->size() > 8) return incomplete("the certificates");
  std::vector<crypto::Certificate> chain;
  for (const auto& entry : *list) {
    auto der = entry.is_string() ? parse_base64(entry.get<std::string>()) : Result<Bytes>(Error{ErrorCode::invalid_request, ""});
    if (!der) return incomplete("a readable certificate");
    auto parsed = crypto::Certificate::parse_der(*der);
    if (!parsed) return because(parsed.error(), "a certificate of the session", "tell the operator of the service");
    chain.push_back(*std::move(parsed));
  }
  return chain;
}

Status ask_for_session(const protocol::Transaction& transaction, const ClientSettings& settings, bool yes) {
  say("");
  say("To sign with a key that is made for this alone, in your name as the identity provider knows it, for " +
      printable(transaction.client_name) + ":");
  for (const auto& document : transaction.documents) {
    say("  " + printable(document.label));
    say("    digest " + encode_hex(document.digest));
  }
  say("Until " + format_utc(transaction.expires) + ".");
  return ask_to_agree(settings, yes);
}

Result<SessionSignatures> read_session(const json::Value& answer, const protocol::Transaction& transaction, const Clock& clock) {
  auto chain = chain_in(answer);
  if (!chain) return chain.error();
  const auto& leaf = chain->front();
  if (clock.now() < leaf.not_before() || clock.now() > leaf.not_after()) {
    return problem(ErrorCode::certificate_invalid,
                   "the certificate is valid from " + format_utc(leaf.not_before()) + " to " + format_utc(leaf.not_after()),
                   "check this machine's clock");
  }
  auto key = leaf.public_key();
  if (!key) return because(key.error(), "the certificate's key", "tell the operator of the service");
  const auto suite = static_cast<crypto::SignatureSuite>(transaction.suites.front());
  if (!crypto::fits(key->algorithm(), suite))
    return problem(ErrorCode::algorithm_refused, "the certificate's key does not fit the suite", "tell the operator of the service");
  SessionSignatures session{{transaction.key, *std::move(chain), *std::move(key), suite}, {}, {}};
  const auto hash = static_cast<crypto::HashAlgorithm>(transaction.hash);
  // Composed here too: what the service signed counts only if it is this.
  auto signed_digests = transaction.documents;
  for (auto& document : signed_digests) {
    auto attributes = crypto::cms_signed_attributes(document.digest, hash, session.credential.chain.front());
    if (!attributes) return attributes.error();
    document.digest = crypto::digest(hash, *attributes);
    session.attributes.push_back(*std::move(attributes));
  }
  auto made = read_signatures(answer, session.credential, signed_digests);
  if (!made) return made.error();
  session.made = *std::move(made);
  return session;
}

}  // namespace

Result<SessionSignatures> sign_in_session(const Service& service, const ClientSettings& settings, crypto::HashAlgorithm hash,
                                          const std::vector<protocol::DocumentDigest>& contents, const SigningOptions& options,
                                          const Clock& clock, const Progress& progress) {
  if (!options.session_profile || !options.factors.id_token_program) {
    return problem(ErrorCode::invalid_request, "nobody says who signs", "give --id-token-program with --session");
  }
  auto documents = json::Value::array();
  for (const auto& document : contents) documents.push_back({{"hash", encode_base64(document.digest)}, {"label", document.label}});
  const json::Value request{{"profile", *options.session_profile}, {"hashAlgorithmOID", crypto::oid_of(hash)}, {"documents", documents}};
  auto opened = open_transaction(service, settings, "/sic/v1/sessions", request, clock.now());
  if (!opened) return because(opened.error(), "opening the session", "check that the service has the profile " + *options.session_profile);
  const AskedSession asked{*options.session_profile, contents, settings.client_id};
  if (auto checked = check_transaction(opened->transaction, asked, clock.now()); !checked) return checked.error();
  progress.step("session opened, and it holds exactly what was asked for; the SAM is the pinned one");

  if (auto agreed = ask_for_session(opened->transaction, settings, options.yes); !agreed) return agreed.error();
  const auto act = act_of(options.yes);
  const auto session = protocol::session_digest(opened->transaction, settings.terms, act);
  auto token = ask_identity_provider(*options.factors.id_token_program, session);
  if (!token) return token.error();
  progress.step("signed in at the identity provider for these documents");
  auto message = make_sap_message(*opened, settings.terms, act, {{"id-token", &*token}});
  if (!message) return message.error();
  auto answer = service.post("/sic/v1/messages", {{"message", message->compact}});
  if (!answer) {
    return because(answer.error(), "the session",
                   "check who signed in at the identity provider. The session is over and its key is gone: run the command again");
  }
  auto made = read_session(*answer, opened->transaction, clock);
  if (!made) return made.error();
  progress.step("signed as " + printable(made->credential.chain.front().subject()) + " and verified; the key is destroyed");
  if (const auto* destroyed = json::member(*answer, "keyDestroyed"); destroyed != nullptr) {
    auto index = json::integer_member(*destroyed, "index");
    auto log = json::text_member(*destroyed, "log");
    if (index && log) progress.step("its end stands in " + printable(*log) + ", entry " + std::to_string(*index));
  }
  return made;
}

}  // namespace intaglio::cli
