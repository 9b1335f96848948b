#include <algorithm>

#include "base/file.h"
#include "crypto/digest.h"
#include "problem.h"
#include "sign/commands.h"
#include "sign/device_session.h"

namespace intaglio::cli {
namespace {

constexpr std::size_t max_address = 4096;
constexpr std::size_t max_handle = 256;
constexpr std::size_t max_document = 512UL * 1024 * 1024;
/// Tries at the terminal: the SAM's own count locks the signer sooner or later, and says so.
constexpr int tries = 3;

/// The one-time handle of an address such as https://sign.example/approve#HANDLE. Where the page is served does not matter here: the
/// handle goes to the service of the configuration alone.
Result<std::string> read_handle(const std::optional<std::filesystem::path>& file) {
  std::string address;
  if (file) {
    auto content = read_secret_file(*file, max_address);
    if (!content) return because(content.error(), "--address-file " + file->string(), "it must exist and have mode 0600");
    address = as_text(content->reveal());
  } else {
    auto line = ask_line("Address that the application showed:");
    if (!line) return because(line.error(), "the address", "run the command in a terminal, or give --address-file");
    address = std::move(*line);
  }
  while (!address.empty() && (address.back() == '\n' || address.back() == '\r' || address.back() == ' ')) address.pop_back();
  const auto mark = address.find('#');
  const std::string handle = mark == std::string::npos ? std::string() : address.substr(mark + 1);
  if (handle.empty() || handle.size() > max_handle || !parse_base64url(handle)) {
    return problem(ErrorCode::invalid_request, "this is not the address of an approval", "it ends with # and a handle: copy all of it");
  }
  return handle;
}

/// Digests that T must hold; of files, by the algorithm whose digests T has.
Result<std::vector<Bytes>> expected_digests(const ApproveOptions& options, const protocol::Transaction& transaction) {
  using crypto::HashAlgorithm;
  const auto length = transaction.documents.empty() ? std::size_t{0} : transaction.documents.front().digest.size();
  std::vector<Bytes> digests;
  for (const auto& text : options.digests) {
    auto digest = parse_hex(text);
    if (!digest)
      return problem(ErrorCode::invalid_request, "not hexadecimal: " + printable(text), "give the digest as the application shows it");
    digests.push_back(std::move(*digest));
  }
  for (const auto& path : options.documents) {
    auto content = read_file(path, max_document);
    if (!content) return because(content.error(), "--document " + path.string(), "it must exist and have at most 512 MiB");
    for (const auto hash : {HashAlgorithm::sha256, HashAlgorithm::sha384, HashAlgorithm::sha512}) {
      if (crypto::digest_length(hash) == length) digests.push_back(crypto::digest(hash, *content));
    }
  }
  return digests;
}

/// What the one-time address opens.
Result<json::Value> open_by_address(const Service& service, const ApproveOptions& options) {
  const auto handle = read_handle(options.address_file);
  if (!handle) return handle.error();
  auto answer = service.post("/sic/v1/approvals", {{"handle", *handle}});
  if (!answer)
    return because(answer.error(), "opening the approval", "an address opens once and for five minutes; let the application ask again");
  return answer;
}

}  // namespace

Status approve(const ApproveOptions& options, const Clock& clock) {
  if (options.yes && options.documents.empty() && options.digests.empty()) {
    return problem(ErrorCode::invalid_request, "--yes approves only what was named before",
                   "give --document or --digest for each document, or leave --yes out and compare at the terminal");
  }
  const Progress progress;
  auto settings = load_device_settings(options.device_file);
  if (!settings) return settings.error();
  auto service = Service::without_token(*settings);
  if (!service) return service.error();
  const auto answer = options.signer ? open_by_device(*service, options, clock, progress) : open_by_address(*service, options);
  if (!answer) return answer.error();
  auto bearer = json::text_member(*answer, "bearer", 256);
  if (!bearer) return because(bearer.error(), "the service's answer", "check that base_url is the SSA's");
  service->use_token(std::move(*bearer));
  const auto opened = read_opened(*answer, settings->sam_identity, clock.now());
  if (!opened) return opened.error();
  auto expected = expected_digests(options, opened->transaction);
  if (!expected) return expected.error();
  if (auto checked = check_transaction(opened->transaction, AskedApproval{std::move(*expected)}, clock.now()); !checked) return checked;
  progress.step("approval opened; the SAM is the one of the configuration");

  const auto decline = [&](const Error& why) -> Status {
    if (const auto told = service->post("/sic/v1/approvals/refusals", json::Value::object()); told)
      progress.step("the application was told that you declined");
    return why;
  };
  if (options.signer) {
    if (auto compared = compare_digits(opened->encoded, options); !compared) return decline(compared.error());
  }
  if (auto agreed = ask_for_act(opened->transaction, *settings, options.yes); !agreed) return decline(agreed.error());
  const auto act = act_of(options.yes);
  for (int attempt = 1;; ++attempt) {
    auto factors = collect_factors(options.factors, binding_of(*opened, settings->terms, act), clock, progress);
    if (!factors) return factors.error();
    auto message = make_sap_message(*opened, settings->terms, act, factors->shown());
    if (!message) return message.error();
    const auto done = service->post("/sic/v1/approvals/messages", json::Value{{"message", message->compact}});
    if (done) {
      const auto redirect = json::text_member(*done, "redirect", max_address);
      progress.step("approval accepted by the SAM");
      say(redirect ? "Open in the browser where the application waits: " + printable(*redirect)
                   : "Approved. The application goes on by itself.");
      return {};
    }
    const bool again = !options.factors.from_files() && attempt < tries && done.error().code == ErrorCode::authentication_failed;
    if (!again)
      return because(done.error(), "the approval", "let the application ask again; if you are locked, the registration authority helps");
    progress.step("not accepted: " + done.error().detail + "; enter both again");
  }
}

}  // namespace intaglio::cli
