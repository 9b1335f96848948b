#include "ceremony.h"

#include <spawn.h>
#include <sys/wait.h>

#include <cstdio>

#include "base/file.h"
#include "keys.h"

extern char** environ;

namespace intaglio::apps::pki {
namespace {

namespace ca = intaglio::pki;

constexpr std::size_t max_file_bytes = 64 * 1024;

Status write_public(const std::filesystem::path& path, ByteView content) {
  std::error_code failed;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), failed);
  if (failed) return Error{ErrorCode::configuration, "cannot make the folder " + path.parent_path().string() + ": " + failed.message()};
  if (auto written = write_file_durably(path, content, 0644); !written) return written;
  std::printf("written: %s\n", path.c_str());
  return {};
}

/// What a ceremony made stays: it is never overwritten.
Status refuse_existing(const std::filesystem::path& path) {
  std::error_code failed;
  if (std::filesystem::exists(path, failed)) return Error{ErrorCode::conflict, path.string() + " exists: a ceremony does not overwrite it"};
  return {};
}

std::filesystem::path request_beside(const std::filesystem::path& certificate) {
  return std::filesystem::path(certificate).replace_extension(".csr");
}

Status make_root(const Ceremony& ceremony) {
  auto settings = load_root_settings(ceremony.root_config);
  if (!settings) return settings.error();
  if (auto free = refuse_existing(settings->certificate); !free) return free;
  const auto clock = make_system_clock(settings->clock);
  auto token = open_token(settings->token, SoftHsmConf::file_first);
  if (!token) return token.error();
  auto signer = find_or_make_signer(*token, settings->key);
  if (!signer) return signer.error();
  auto certificate = ca::make_root_certificate(settings->name, settings->validity, **signer, *clock);
  if (!certificate) return certificate.error();
  auto root = ca::Issuer::make(*certificate, *signer);
  if (!root) return root.error();
  auto list = ca::make_first_root_list(*root, settings->list_validity, *clock);
  if (!list) return list.error();
  if (auto written = write_public(settings->list, *list); !written) return written;
  std::printf("root: %s\nSHA-256: %s\n", certificate->subject().c_str(), encode_hex(certificate->fingerprint()).c_str());
  return write_public(settings->certificate, certificate->der());
}

Status make_request(const Ceremony& ceremony) {
  auto settings = load_settings(ceremony.config);
  if (!settings) return settings.error();
  if (auto free = refuse_existing(settings->issuing_certificate); !free) return free;
  auto token = open_token(settings->token, SoftHsmConf::environment_first);
  if (!token) return token.error();
  auto issuing = find_or_make_signer(*token, settings->issuing_key);
  if (!issuing) return issuing.error();
  for (const auto& key : {settings->ocsp_key, settings->checkpoint_key}) {
    if (auto made = find_or_make_signer(*token, key); !made) return made.error();
  }
  if (settings->time_stamping) {
    if (auto made = find_or_make_signer(*token, settings->time_stamping->key); !made) return made.error();
  }
  auto request = ca::make_authority_request(settings->authority_name, **issuing);
  if (!request) return request.error();
  return write_public(ceremony.request.empty() ? request_beside(settings->issuing_certificate) : ceremony.request, *request);
}

/// The service certifies the key at its next start.
Status make_time_stamping_key(const Ceremony& ceremony) {
  auto settings = load_settings(ceremony.config);
  if (!settings) return settings.error();
  if (!settings->time_stamping) return Error{ErrorCode::configuration, "the role tsa is off: set tsa.enabled"};
  auto token = open_token(settings->token, SoftHsmConf::environment_first);
  if (!token) return token.error();
  const KeySettings& key = settings->time_stamping->key;
  if (find_signer(*token, key)) return Error{ErrorCode::conflict, "key " + key.id + " exists: a ceremony does not make it again"};
  auto signer = find_or_make_signer(*token, key);
  if (!signer) return signer.error();
  std::printf("time-stamping key: %s\nSHA-256 of its SubjectPublicKeyInfo: %s\n", key.id.c_str(),
              encode_hex((*signer)->public_key().thumbprint()).c_str());
  return {};
}

/// The root, opened for one act: its settings, its key, its certificate and the list in force. The token outlives the issuer.
struct Root {
  RootSettings settings;
  std::shared_ptr<const Clock> clock;
  std::shared_ptr<token::Token> token;
  ca::Issuer issuer;
  Bytes list;
};

Result<crypto::Certificate> read_certificate(const std::filesystem::path& path) {
  auto der = read_file(path, max_file_bytes);
  if (!der) return der.error();
  return crypto::Certificate::parse_der(*der);
}

Result<Root> open_root(const std::filesystem::path& config) {
  auto settings = load_root_settings(config);
  if (!settings) return settings.error();
  auto certificate = read_certificate(settings->certificate);
  if (!certificate) return certificate.error();
  auto list = read_file(settings->list, crypto::max_crl_bytes);
  if (!list) return list.error();
  auto token = open_token(settings->token, SoftHsmConf::file_first);
  if (!token) return token.error();
  auto signer = find_signer(*token, settings->key);
  if (!signer) return signer.error();
  auto issuer = ca::Issuer::make(*certificate, *signer);
  if (!issuer) return issuer.error();
  const auto clock = make_system_clock(settings->clock);
  return Root{std::move(*settings), clock, std::move(*token), std::move(*issuer), std::move(*list)};
}

Status certify(const Ceremony& ceremony) {
  if (ceremony.request.empty() || ceremony.certificate.empty())
    return Error{ErrorCode::configuration, "certify needs --request and --certificate"};
  if (auto free = refuse_existing(ceremony.certificate); !free) return free;
  auto request = read_file(ceremony.request, max_file_bytes);
  if (!request) return request.error();
  auto root = open_root(ceremony.root_config);
  if (!root) return root.error();
  const RootSettings& settings = root->settings;
  auto certificate = ca::certify_authority(*request, settings.issuing_validity, root->issuer, settings.public_url, *root->clock);
  if (!certificate) return certificate.error();
  auto list = ca::make_root_list(root->issuer, root->list, settings.list_validity, *root->clock);
  if (!list) return list.error();
  if (auto written = write_public(settings.list, *list); !written) return written;
  std::printf("issuing CA: %s\nSHA-256: %s\n", certificate->subject().c_str(), encode_hex(certificate->fingerprint()).c_str());
  return write_public(ceremony.certificate, certificate->der());
}

/// The root's next list; with --certificate and --reason it names that certificate from now on.
Status renew_list(const Ceremony& ceremony, bool revokes) {
  std::optional<crypto::Certificate> revoked;
  auto reason = crypto::RevocationReason::unspecified;
  if (revokes) {
    if (ceremony.certificate.empty() || ceremony.reason.empty())
      return Error{ErrorCode::configuration, "revoke needs --certificate and --reason"};
    auto certificate = read_certificate(ceremony.certificate);
    if (!certificate) return certificate.error();
    auto parsed = crypto::parse_revocation_reason(ceremony.reason);
    if (!parsed) return parsed.error();
    // An authority's certificate is not put on hold: relying parties could not tell what became of what it issued meanwhile.
    if (*parsed == crypto::RevocationReason::certificate_hold || *parsed == crypto::RevocationReason::remove_from_crl)
      return Error{ErrorCode::unsupported, "an authority is revoked for good"};
    revoked = std::move(*certificate);
    reason = *parsed;
  }
  auto root = open_root(ceremony.root_config);
  if (!root) return root.error();
  auto list =
      ca::make_root_list(root->issuer, root->list, root->settings.list_validity, *root->clock, revoked ? &*revoked : nullptr, reason);
  if (!list) return list.error();
  if (revoked) std::printf("revoked: %s, serial %s\n", revoked->subject().c_str(), revoked->serial_hex().c_str());
  return write_public(root->settings.list, *list);
}

/// Certifies another root with this one's key.
Status cross(const Ceremony& ceremony) {
  if (ceremony.other.empty() || ceremony.certificate.empty())
    return Error{ErrorCode::configuration, "cross needs --other and --certificate"};
  if (auto free = refuse_existing(ceremony.certificate); !free) return free;
  auto other = read_certificate(ceremony.other);
  if (!other) return other.error();
  auto root = open_root(ceremony.root_config);
  if (!root) return root.error();
  auto certificate = ca::cross_certify(*other, root->issuer, root->settings.public_url, *root->clock);
  if (!certificate) return certificate.error();
  std::printf("root: %s, certified by: %s\nSHA-256: %s\n", certificate->subject().c_str(), certificate->issuer().c_str(),
              encode_hex(certificate->fingerprint()).c_str());
  return write_public(ceremony.certificate, certificate->der());
}

Status run_self(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "intaglio-pki");
  std::vector<char*> pointers;
  pointers.reserve(arguments.size() + 1);
  for (std::string& each : arguments) pointers.push_back(each.data());
  pointers.push_back(nullptr);
  pid_t child = 0;
  std::fflush(nullptr);
  if (const int failed = ::posix_spawn(&child, "/proc/self/exe", nullptr, nullptr, pointers.data(), environ); failed != 0) {
    return Error{ErrorCode::internal, "starting the ceremony's process: " + std::error_code(failed, std::generic_category()).message()};
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return Error{ErrorCode::internal, "waiting for the ceremony's process"};
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Error{ErrorCode::configuration, "the ceremony's act " + arguments[2] + " was refused; its reason stands above"};
}

Status make_issuing(const Ceremony& ceremony) {
  auto settings = load_settings(ceremony.config);
  if (!settings) return settings.error();
  const std::string request = (ceremony.request.empty() ? request_beside(settings->issuing_certificate) : ceremony.request).string();
  if (auto made = run_self({"--ceremony", "request", "--config", ceremony.config.string(), "--request", request}); !made) return made;
  return run_self({"--ceremony", "certify", "--root-config", ceremony.root_config.string(), "--request", request, "--certificate",
                   settings->issuing_certificate.string()});
}

}  // namespace

Status perform(const Ceremony& ceremony) {
  const bool needs_root = ceremony.act != "request" && ceremony.act != "tsa";
  const bool needs_config = ceremony.act == "request" || ceremony.act == "issuing" || ceremony.act == "tsa";
  if (needs_root && ceremony.root_config.empty())
    return Error{ErrorCode::configuration, "this act of the ceremony needs --root-config FILE"};
  if (needs_config && ceremony.config.empty()) return Error{ErrorCode::configuration, "this act of the ceremony needs --config FILE"};
  if (ceremony.act == "root") return make_root(ceremony);
  if (ceremony.act == "request") return make_request(ceremony);
  if (ceremony.act == "certify") return certify(ceremony);
  if (ceremony.act == "tsa") return make_time_stamping_key(ceremony);
  if (ceremony.act == "list" || ceremony.act == "revoke") return renew_list(ceremony, ceremony.act == "revoke");
  if (ceremony.act == "cross") return cross(ceremony);
  return make_issuing(ceremony);
}

}  // namespace intaglio::apps::pki
