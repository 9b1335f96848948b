#include "sign/remote_signature.h"

#include <thread>

#include "audit/log.h"
#include "base/check.h"
#include "base/file.h"
#include "crypto/der.h"
#include "crypto/jose/jws.h"
#include "problem.h"

namespace intaglio::cli {
namespace {

using crypto::HashAlgorithm;
using crypto::SignatureSuite;

/// CSC signAlgo and signAlgoParams of a suite.
struct CscAlgorithm {
  std::string_view oid;
  Bytes parameters;
};

/// RSASSA-PSS-params (RFC 4055, 3.1): the suite's hash, MGF1 with the same, salt as long as the hash.
Bytes pss_parameters(HashAlgorithm hash) {
  namespace der = crypto::der;
  const auto identifier = der::sequence({der::oid(crypto::oid_of(hash)), der::null()});
  return der::sequence({der::explicit_tag(0, identifier),
                        der::explicit_tag(1, der::sequence({der::oid("1.2.840.113549.1.1.8"), identifier})),
                        der::explicit_tag(2, der::integer(std::uint64_t{crypto::digest_length(hash)}))});
}

CscAlgorithm csc_algorithm(SignatureSuite suite) {
  switch (suite) {
    case SignatureSuite::rsa_pss_sha256:
    case SignatureSuite::rsa_pss_sha384:
    case SignatureSuite::rsa_pss_sha512: return {"1.2.840.113549.1.1.10", pss_parameters(crypto::hash_of(suite))};
    case SignatureSuite::rsa_pkcs1_sha256: return {"1.2.840.113549.1.1.11", {}};
    case SignatureSuite::rsa_pkcs1_sha384: return {"1.2.840.113549.1.1.12", {}};
    case SignatureSuite::rsa_pkcs1_sha512: return {"1.2.840.113549.1.1.13", {}};
    case SignatureSuite::ecdsa_sha256: return {"1.2.840.10045.4.3.2", {}};
    case SignatureSuite::ecdsa_sha384: return {"1.2.840.10045.4.3.3", {}};
    case SignatureSuite::ecdsa_sha512: return {"1.2.840.10045.4.3.4", {}};
  }
  return {};
}

SignatureSuite default_suite(crypto::KeyAlgorithm key) {
  switch (key) {
    case crypto::KeyAlgorithm::p256: return SignatureSuite::ecdsa_sha256;
    case crypto::KeyAlgorithm::p384: return SignatureSuite::ecdsa_sha384;
    case crypto::KeyAlgorithm::p521: return SignatureSuite::ecdsa_sha512;
    default: return SignatureSuite::rsa_pss_sha256;
  }
}

Error incomplete(std::string_view what) {
  return problem(ErrorCode::internal, "the service's answer lacks " + std::string(what),
                 "check that base_url is the SSA's; else tell its operator");
}

Result<std::vector<crypto::Certificate>> chain_of(const json::Value& info) {
  const auto* certificate = json::member(info, "cert");
  const auto* list = certificate == nullptr ? nullptr : json::member(*certificate, "certificates");
  if (list == nullptr || !list->is_array() || list->empty()) {
    return problem(ErrorCode::certificate_invalid, "the credential has no certificate", "have it certified first: intaglio ra certify");
  }
  std::vector<crypto::Certificate> chain;
  for (const auto& entry : *list) {
    if (!entry.is_string() || chain.size() == 16) return incomplete("a readable certificate chain");
    auto der = parse_base64(entry.get<std::string>());
    if (!der) return incomplete("a readable certificate chain");
    auto parsed = crypto::Certificate::parse_der(*der);
    if (!parsed) return because(parsed.error(), "a certificate of the credential", "tell the operator of the service");
    chain.push_back(std::move(*parsed));
  }
  return chain;
}

Result<std::string> authorise(const Service& service, const SapMessage& message) {
  auto answer = service.post("/sic/v1/messages", {{"message", message.compact}});
  if (!answer) {
    return because(answer.error(), "the approval",
                   "check PIN and one-time code, or who signed in at the identity provider; three failures lock the credential for 15 "
                   "minutes. The transaction is used up: run the "
                   "command again");
  }
  return json::text_member(*answer, "SAD", protocol::max_message_bytes);
}

/// The receipt is about this entry, and the pinned checkpoint key vouches for it.
Status check_receipt(const Service& service, const ClientSettings& settings, const AuditReference& reference, const json::Value& receipt) {
  auto index = json::integer_member(receipt, "index");
  auto leaf = json::text_member(receipt, "leaf");
  if (refused_by("signer.receipt.entry", !index || !leaf || *index != reference.index || *leaf != reference.leaf)) {
    return problem(ErrorCode::internal, "the receipt is of another entry",
                   "keep the receipt line that was printed and tell the operator of the service");
  }
  if (!settings.checkpoint_thumbprint || !settings.log_origin) return {};
  auto keys = service.get("/sic/v1/sam");
  if (!keys) return keys.error();
  const auto* jwk = json::member(*keys, "checkpoint");
  auto key = jwk == nullptr ? Result<crypto::PublicKey>(Error{ErrorCode::internal, "absent"})
                            : crypto::parse_jwk(jwk->is_string() ? jwk->get<std::string>() : json::encode(*jwk));
  if (!key) return incomplete("the checkpoint key");
  auto thumbprint = crypto::jwk_thumbprint(*key);
  if (refused_by("signer.receipt.key", !thumbprint || *thumbprint != *settings.checkpoint_thumbprint)) {
    return problem(ErrorCode::not_authorised, "the service shows another checkpoint key than client.toml pins",
                   "compare sam.checkpoint_thumbprint with what the provider publishes");
  }
  auto verified = audit::verify_receipt(json::encode(receipt), *settings.log_origin, *key);
  if (!verified) return because(verified.error(), "the receipt does not verify", "keep it and tell the auditor of the service");
  return {};
}

}  // namespace

Result<RemoteSignatures> read_signatures(const json::Value& answer, const RemoteCredential& credential,
                                         const std::vector<protocol::DocumentDigest>& digests) {
  const auto* list = json::member(answer, "signatures");
  if (list == nullptr || !list->is_array() || list->size() != digests.size()) return incomplete("the signatures");
  RemoteSignatures out;
  for (std::size_t i = 0; i < digests.size(); ++i) {
    auto signature = (*list)[i].is_string() ? parse_base64((*list)[i].get<std::string>()) : Error{ErrorCode::invalid_request, ""};
    if (!signature) return incomplete("a readable signature");
    auto verified = credential.key.verify_digest(credential.suite, digests[i].digest, *signature);
    if (refused_by("signer.signature.verified", !verified)) {
      return problem(ErrorCode::signature_doubtful, "the signature that came back does not verify with the certificate's key",
                     "do not use it; tell the operator of the service");
    }
    out.signatures.push_back(std::move(*signature));
  }
  const auto* receipts = json::member(answer, "auditReceipts");
  if (receipts == nullptr || !receipts->is_array()) return out;
  for (const auto& receipt : *receipts) {
    auto log = json::text_member(receipt, "log");
    auto index = json::integer_member(receipt, "index");
    auto leaf = json::text_member(receipt, "leaf");
    if (log && index && leaf) out.references.push_back({printable(*log), *index, printable(*leaf)});
  }
  return out;
}

Result<RemoteCredential> find_credential(const Service& service, const SigningOptions& options, const Clock& clock) {
  auto info =
      service.post("/csc/v2/credentials/info", {{"credentialID", options.credential}, {"certificates", "chain"}, {"certInfo", true}});
  if (!info) return because(info.error(), "credential " + options.credential, "check the credential's id: `intaglio key new` printed it");
  auto chain = chain_of(*info);
  if (!chain) return chain.error();
  const auto* key_facts = json::member(*info, "key");
  auto status = key_facts == nullptr ? Result<std::string>(Error{ErrorCode::internal, ""}) : json::text_member(*key_facts, "status");
  if (!status || *status != "enabled") {
    return problem(ErrorCode::credential_disabled, "credential " + options.credential + " is not enabled",
                   "ask the registration authority; a suspension is lifted by `intaglio ra resume`");
  }
  const auto& leaf = chain->front();
  if (clock.now() < leaf.not_before() || clock.now() > leaf.not_after()) {
    return problem(ErrorCode::certificate_invalid,
                   "the certificate is valid from " + format_utc(leaf.not_before()) + " to " + format_utc(leaf.not_after()),
                   "check this machine's clock, or ask the registration authority for a new certificate");
  }
  auto key = leaf.public_key();
  if (!key) return because(key.error(), "the certificate's key", "tell the operator of the service");
  auto suite = options.suite ? crypto::parse_suite(*options.suite) : Result<SignatureSuite>(default_suite(key->algorithm()));
  if (!suite || !crypto::fits(key->algorithm(), *suite)) {
    return problem(ErrorCode::algorithm_refused,
                   "suite " + options.suite.value_or("") + " does not fit a key of " + std::string(crypto::name_of(key->algorithm())),
                   "leave --suite out, or give for example " + std::string(crypto::name_of(default_suite(key->algorithm()))));
  }
  return RemoteCredential{options.credential, std::move(*chain), std::move(*key), *suite};
}

Status ask_for_act(const protocol::Transaction& transaction, const SignerSide& side, bool yes) {
  say("");
  say("To sign with credential " + transaction.key + " of signer " + transaction.signer + ", for " + printable(transaction.client_name) +
      ":");
  for (const auto& document : transaction.documents) {
    say("  " + printable(document.label));
    say("    digest " + encode_hex(document.digest));
  }
  say("Until " + format_utc(transaction.expires) + ".");
  return ask_to_agree(side, yes);
}

Result<RemoteSignatures> sign_remotely(const Service& service, const ClientSettings& settings, const RemoteCredential& credential,
                                       const std::vector<protocol::DocumentDigest>& digests, const SigningOptions& options,
                                       const Clock& clock, const Progress& progress) {
  const auto hash = crypto::hash_of(credential.suite);
  auto documents = json::Value::array();
  for (const auto& document : digests) documents.push_back({{"hash", encode_base64(document.digest)}, {"label", document.label}});
  json::Value request{{"credentialID", credential.id}, {"hashAlgorithmOID", crypto::oid_of(hash)}, {"documents", documents}};
  request["suites"] = json::Value::array({std::string(crypto::name_of(credential.suite))});
  auto opened = open_transaction(service, settings, "/sic/v1/transactions", request, clock.now());
  if (!opened) {
    return because(opened.error(), "opening the transaction",
                   "check that the credential and its certificate are in force; if not, ask the registration authority");
  }
  const AskedSigning asked{credential.id, credential.suite, digests, credential.chain.front(), settings.client_id};
  if (auto checked = check_transaction(opened->transaction, asked, clock.now()); !checked) return checked.error();
  progress.step("transaction opened, and it holds exactly what was asked for; the SAM is the pinned one");

  if (auto agreed = ask_for_act(opened->transaction, settings, options.yes); !agreed) return agreed.error();
  const auto act = act_of(options.yes);
  auto factors = collect_factors(options.factors, binding_of(*opened, settings.terms, act), clock, progress);
  if (!factors) return factors.error();
  auto message = make_sap_message(*opened, settings.terms, act, factors->shown());
  if (!message) return message.error();
  auto sad = authorise(service, *message);
  if (!sad) return sad.error();
  progress.step("approval accepted by the SAM");

  auto signatures = request_signatures(service, credential, *sad, digests);
  if (!signatures)
    return because(signatures.error(), "the signature",
                   "run the command again; if a credential is locked or disabled, ask the registration authority");
  if (signatures)
    progress.step(std::to_string(digests.size()) + (digests.size() == 1 ? " signature" : " signatures") + " received and verified");
  return signatures;
}

Result<RemoteSignatures> request_signatures(const Service& service, const RemoteCredential& credential, std::string_view sad,
                                            const std::vector<protocol::DocumentDigest>& digests) {
  auto hashes = json::Value::array();
  for (const auto& document : digests) hashes.push_back(encode_base64(document.digest));
  const auto algorithm = csc_algorithm(credential.suite);
  json::Value sign{{"credentialID", credential.id},
                   {"SAD", sad},
                   {"hashes", std::move(hashes)},
                   {"signAlgo", algorithm.oid},
                   {"hashAlgorithmOID", crypto::oid_of(crypto::hash_of(credential.suite))}};
  if (!algorithm.parameters.empty()) sign["signAlgoParams"] = encode_base64(algorithm.parameters);
  auto answer = service.post("/csc/v2/signatures/signHash", sign);
  if (!answer) return answer.error();
  return read_signatures(*answer, credential, digests);
}

Result<std::vector<protocol::DocumentDigest>> digests_in_hex(const std::vector<std::string>& texts, SignatureSuite suite) {
  const auto length = crypto::digest_length(crypto::hash_of(suite));
  std::vector<protocol::DocumentDigest> digests;
  for (const auto& text : texts) {
    auto digest = parse_hex(text);
    if (!digest || digest->size() != length) {
      return problem(ErrorCode::digest_length, "a digest is not " + std::to_string(length) + " bytes in hexadecimal: " + printable(text),
                     "digest with " + std::string(crypto::name_of(crypto::hash_of(suite))) + ", or choose another --suite");
    }
    digests.push_back({std::move(*digest), "digest " + std::to_string(digests.size() + 1)});
  }
  return digests;
}

void say_signatures(const std::vector<protocol::DocumentDigest>& digests, SignatureSuite suite, const RemoteSignatures& made) {
  for (std::size_t i = 0; i < digests.size(); ++i) {
    json::Value line{
        {"digest", encode_hex(digests[i].digest)}, {"suite", crypto::name_of(suite)}, {"signature", encode_base64(made.signatures[i])}};
    if (i < made.references.size()) {
      line["log"] = made.references[i].log;
      line["index"] = made.references[i].index;
      line["leaf"] = made.references[i].leaf;
    }
    say(json::encode(line));
  }
}

Status fetch_receipt(const Service& service, const ClientSettings& settings, const AuditReference& reference,
                     const std::filesystem::path& file, const Progress& progress) {
  using clock = std::chrono::steady_clock;
  const auto until = clock::now() + settings.receipt_time;
  const auto leaf = parse_base64(reference.leaf);
  if (!leaf) return incomplete("a readable leaf hash");
  const auto address = "/sic/v1/receipts/" + std::to_string(reference.index) + "?leaf=" + encode_base64url(*leaf);
  for (;;) {
    auto receipt = service.get(address);
    if (receipt) {
      if (auto checked = check_receipt(service, settings, reference, *receipt); !checked) return checked;
      auto written = write_file_durably(file, as_bytes(json::encode(*receipt) + "\n"), 0644);
      if (!written)
        return because(written.error(), "writing the receipt " + file.string(), "check free space and permissions of the folder");
      progress.step("receipt written to " + file.string());
      return {};
    }
    if (receipt.error().code != ErrorCode::not_found) return receipt.error();
    if (clock::now() >= until) {
      return problem(ErrorCode::not_found, "the log has not integrated the entry yet",
                     "the signature is made; fetch the receipt later from " + address);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace intaglio::cli
