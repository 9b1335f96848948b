#include <unistd.h>

#include "base/file.h"
#include "crypto/cms.h"
#include "document/pades/sign.h"
#include "problem.h"
#include "protocol/text.h"
#include "sign/commands.h"
#include "sign/session_signature.h"

namespace intaglio::cli {
namespace {

namespace pades = document::pades;

std::filesystem::path output_of(const SignPdfOptions& options) {
  if (options.output) return *options.output;
  auto path = options.input;
  return path.replace_extension(".signed.pdf");
}

/// Whatever would make the write fail is found before the signer signs.
Status check_output(const SignPdfOptions& options, const std::filesystem::path& output) {
  std::error_code ignored;
  if (std::filesystem::exists(output, ignored)) {
    if (std::filesystem::is_directory(output, ignored))
      return problem(ErrorCode::conflict, output.string() + " is a folder", "give a file name with -o");
    if (!options.replace)
      return problem(ErrorCode::conflict, output.string() + " exists already", "give another name with -o, or --replace to overwrite it");
  }
  const auto folder = output.has_parent_path() ? output.parent_path() : std::filesystem::path(".");
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    return problem(ErrorCode::storage_unavailable, "the folder " + folder.string() + " cannot be written", "give another place with -o");
  }
  return {};
}

/// The label that the signer sees: the file's name, in the characters and the length that T allows.
std::string label_of(const std::filesystem::path& file) {
  auto name = file.filename().string();
  if (protocol::check_text(name, protocol::max_label_bytes, "label")) return name;
  std::string safe;
  for (const char c : name) {
    if (safe.size() < 200) safe += c >= 0x20 && c < 0x7f ? c : '?';
  }
  return safe.empty() ? "document" : safe;
}

/// The signature exists but the document could not be written: keep what completes it.
Error rescue(const Error& failure, const pades::PreparedPdf& prepared, ByteView cms, const std::filesystem::path& input,
             const std::filesystem::path& output) {
  auto update = prepared.update_with(cms);
  const auto kept = std::filesystem::temp_directory_path() / (output.filename().string() + ".update." + std::to_string(::getpid()));
  if (update && write_file_durably(kept, *update, 0600)) {
    return problem(failure.code, "the signature was made, but the document could not be written: " + failure.detail,
                   "make room, then: cat '" + input.string() + "' '" + kept.string() + "' > '" + output.string() + "'");
  }
  return problem(failure.code, "the signature was made, but the document could not be written: " + failure.detail,
                 "make room, then sign again");
}

/// A document whose signature is made.
struct Completed {
  pades::PreparedPdf prepared;
  Bytes cms;
  std::vector<AuditReference> references;
};

using Source = std::shared_ptr<const pades::PdfSource>;

Result<pades::PreparedPdf> prepare(const SignPdfOptions& options, const Source& source, const pades::SignatureOptions& signature,
                                   const Progress& progress) {
  auto prepared = pades::prepare(source, signature);
  if (!prepared)
    return because(prepared.error(), options.input.string(), "sign another version of the document; nothing was sent anywhere");
  progress.step("document digested: " + encode_hex(prepared->digest()));
  return prepared;
}

Result<Completed> complete_with_credential(const SignPdfOptions& options, const Source& source, const Service& service,
                                           const ClientSettings& settings, const Clock& clock, const Progress& progress) {
  auto credential = find_credential(service, options.signing, clock);
  if (!credential) return credential.error();
  const auto& leaf = credential->chain.front();
  progress.step("credential " + credential->id + ": " + printable(leaf.subject()));
  const auto hash = crypto::hash_of(credential->suite);
  std::vector<Bytes> chain;
  for (const auto& certificate : credential->chain) chain.push_back(certificate.der());
  auto prepared = prepare(options, source,
                          {.hash = hash,
                           .contents_bytes = pades::contents_bytes_for(chain),
                           .time = clock.now(),
                           .name = leaf.subject_attribute("2.5.4.3").value_or(""),
                           .reason = options.reason},
                          progress);
  if (!prepared) return prepared.error();
  auto attributes = crypto::cms_signed_attributes(prepared->digest(), hash, leaf);
  if (!attributes) return attributes.error();
  auto made = sign_remotely(service, settings, *credential, {{crypto::digest(hash, *attributes), label_of(options.input)}}, options.signing,
                            clock, progress);
  if (!made) return made.error();
  auto cms = crypto::assemble_cms(*attributes, credential->suite, made->signatures.front(), credential->chain);
  if (!cms) return because(cms.error(), "the signature does not fit the document", "tell the operator of the service");
  return Completed{*std::move(prepared), *std::move(cms), std::move(made->references)};
}

Result<Completed> complete_in_session(const SignPdfOptions& options, const Source& source, const Service& service,
                                      const ClientSettings& settings, const Clock& clock, const Progress& progress) {
  // Neither certificate nor name is known before: what is approved and digested must not wait for them.
  constexpr std::size_t room_for_any_chain = std::size_t{24} * 1024;
  constexpr auto hash = crypto::HashAlgorithm::sha256;
  auto prepared =
      prepare(options, source,
              {.hash = hash, .contents_bytes = room_for_any_chain, .time = clock.now(), .name = {}, .reason = options.reason}, progress);
  if (!prepared) return prepared.error();
  auto session =
      sign_in_session(service, settings, hash, {{prepared->digest(), label_of(options.input)}}, options.signing, clock, progress);
  if (!session) return session.error();
  const auto& credential = session->credential;
  auto cms = crypto::assemble_cms(session->attributes.front(), credential.suite, session->made.signatures.front(), credential.chain);
  if (!cms) return because(cms.error(), "the signature does not fit the document", "tell the operator of the service");
  return Completed{*std::move(prepared), *std::move(cms), std::move(session->made.references)};
}

}  // namespace

Status sign_pdf(const SignPdfOptions& options, const Clock& clock) {
  const Progress progress;
  const auto output = output_of(options);
  if (auto checked = check_output(options, output); !checked) return checked;
  auto settings = load_client_settings(options.signing.client_file);
  if (!settings) return settings.error();
  auto source = pades::open_file(options.input);
  if (!source) return because(source.error(), "the document", "give the path of a PDF");
  auto facts = pades::inspect(*source);
  if (!facts) return because(facts.error(), options.input.string(), "sign another version of the document; nothing was sent anywhere");
  progress.step(options.input.string() + ": PDF " + facts->version + ", " + std::to_string(facts->pages) + " pages, " +
                std::to_string(facts->signatures) + " signatures so far");

  auto service = Service::sign_in(*settings, clock);
  if (!service) return service.error();
  auto completed = options.signing.session_profile ? complete_in_session(options, *source, *service, *settings, clock, progress)
                                                   : complete_with_credential(options, *source, *service, *settings, clock, progress);
  if (!completed) return completed.error();
  const auto existing = options.replace ? pades::Existing::replace : pades::Existing::keep;
  if (auto written = pades::write_signed(output, completed->prepared, completed->cms, existing); !written)
    return rescue(written.error(), completed->prepared, completed->cms, options.input, output);
  progress.step("signed document written to " + output.string());
  say("signed " + output.string());

  for (const auto& reference : completed->references) {
    say(json::encode({{"log", reference.log}, {"index", reference.index}, {"leaf", reference.leaf}}));
    if (options.no_receipt) continue;
    // The document is signed; a late receipt does not undo that.
    auto fetched = fetch_receipt(*service, *settings, reference, output.string() + ".receipt.json", progress);
    if (!fetched && fetched.error().code != ErrorCode::not_found) return fetched;
    if (!fetched) progress.step(fetched.error().detail);
  }
  return {};
}

}  // namespace intaglio::cli
