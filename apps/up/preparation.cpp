#include "preparation.h"

#include <array>

#include "base/bytes.h"
#include "base/file.h"
#include "base/secret.h"
#include "crypto/jose/jws.h"
#include "crypto/random.h"
#include "crypto/signer.h"
#include "json/json.h"
#include "pages.h"
#include "template.h"
#include "tls_identities.h"
#include "token/token.h"

namespace intaglio::up {
namespace {

constexpr std::array<std::string_view, 4> token_names{"sam", "pki", "ssa", "root"};
constexpr std::size_t pin_entropy_bytes = 24;  // SoftHSM has no lock-out: a PIN is a key (hsm.md, consequence 9)
constexpr std::size_t max_document_bytes = 256 * 1024;

using json::Value;

std::string url(std::string_view scheme, std::uint16_t port) { return std::string(scheme) + "://127.0.0.1:" + std::to_string(port); }

/// The steps share what earlier ones made.
struct DemoUser {
  std::string_view id, person, role;
};
constexpr std::array privileged_users{
    DemoUser{"adm-1", "PNOGR-ADM1", "system-administrator"}, DemoUser{"off-1", "PNOGR-OFF1", "security-officer"},
    DemoUser{"aud-1", "PNOGR-AUD1", "system-auditor"}, DemoUser{"ope-1", "PNOGR-OPE1", "system-operator"}};

class Preparation {
 public:
  Preparation(const RunFolder& folder, const Ports& ports, const Places& places) : folder_(folder), ports_(ports), places_(places) {}

  Status make_secrets() {
    for (const auto name : token_names) {
      for (const auto* kind : {".pin", ".so-pin"}) {
        const auto entropy = crypto::random_secret(pin_entropy_bytes);
        if (!entropy) return entropy.error();
        std::string text = encode_base64url(entropy->reveal()) + "\n";
        const WipeAtExit wiped(text);
        if (auto written = write_file_durably(folder_.at("secrets/" + std::string(name) + kind), as_bytes(text), 0600); !written)
          return written;
      }
    }
    return {};
  }

  Status make_tokens() {
    for (const auto name : token_names) {
      const auto token_folder = folder_.at("tokens/" + std::string(name));
      std::filesystem::create_directory(token_folder);
      std::filesystem::permissions(token_folder, std::filesystem::perms::owner_all);
      const std::string settings =
          "directories.tokendir = " + token_folder.string() + "\nobjectstore.backend = file\nlog.level = ERROR\nslots.removable = false\n";
      if (auto written = write_file_durably(softhsm_settings(name), as_bytes(settings), 0600); !written) return written;
      const Command command{
          places_.binaries / "intaglio-up",
          {"--run", folder_.root().string(), "--module", places_.module.string(), "--initialise-token", std::string(name)},
          {{"SOFTHSM2_CONF", softhsm_settings(name).string()}}};
      if (auto made = run_to_end(command, log()); !made) return made;
    }
    return {};
  }

  Status make_tls() {
    const auto servers = TlsAuthority::create("Intaglio demo: TLS of servers", folder_.at("tls/ca.pem"));
    const auto internal = TlsAuthority::create("Intaglio demo: TLS between services", folder_.at("tls/internal-ca.pem"));
    const auto operators = TlsAuthority::create("Intaglio demo: TLS of operators", folder_.at("tls/operators-ca.pem"));
    for (const auto* authority : {&servers, &internal, &operators}) {
      if (!*authority) return authority->error();
    }
    std::filesystem::create_directories(folder_.at("operators/ra-1"));
    std::filesystem::create_directories(folder_.at("clients/demo"));
    const struct {
      const TlsAuthority& authority;
      std::string common_name;
      TlsRole role;
      std::string certificate, key;
      std::string* pin;
    } identities[] = {
        {*servers, "ssa", TlsRole::server, "tls/ssa.cert.pem", "tls/ssa.key.pem", nullptr},
        {*servers, "pki", TlsRole::server, "tls/pki.cert.pem", "tls/pki.key.pem", nullptr},
        {*internal, "sam", TlsRole::server, "tls/sam.pem", "tls/sam.key", &sam_pin_},
        {*internal, "ssa to sam", TlsRole::client, "tls/ssa-sam.cert.pem", "tls/ssa-sam.key.pem", &ssa_pin_},
        {*internal, "ssa to pki", TlsRole::client, "tls/ssa-pki.cert.pem", "tls/ssa-pki.key.pem", nullptr},
        {*operators, "ra-1", TlsRole::client, "operators/ra-1/tls.cert.pem", "operators/ra-1/tls.key.pem", nullptr},
    };
    for (const auto& user : privileged_users) {
      const auto folder = "users/" + std::string(user.id);
      std::filesystem::create_directories(folder_.at(folder));
      const auto pin = operators->issue(std::string(user.id), TlsRole::client, folder_.at(folder + "/tls.cert.pem"),
                                        folder_.at(folder + "/user.key.pem"));
      if (!pin) return pin.error();
    }
    for (const auto& identity : identities) {
      const auto pin =
          identity.authority.issue(identity.common_name, identity.role, folder_.at(identity.certificate), folder_.at(identity.key));
      if (!pin) return pin.error();
      if (identity.pin != nullptr) *identity.pin = *pin;
    }
    return {};
  }

  Status make_keys_of_people() {
    const auto operator_key = make_key("operators/ra-1/operator.key.pem");
    const auto client_key = make_key("clients/demo/client.key.pem");
    if (!operator_key) return operator_key.error();
    if (!client_key) return client_key.error();
    const auto jwk = crypto::encode_jwk(*operator_key);
    if (!jwk) return jwk.error();
    operator_jwk_ = *jwk;
    operator_spki_ = encode_base64(operator_key->spki());
    client_spki_ = encode_base64(client_key->spki());
    return {};
  }

  Status make_authorities() {
    const auto public_url = toml_text(url("http", ports_.pki_public));
    if (auto written = fill("pki-root.toml", {{"root.public_url", public_url}, {"token.module", toml_text(places_.module.string())}},
                            "config/pki-root.toml");
        !written) {
      return written;
    }
    const Settings settings{{"token.module", toml_text(places_.module.string())},
                            {"ca.profiles", toml_text((places_.deploy / "profiles").string())},
                            {"ca.algorithm_policy", toml_text((places_.deploy / "policies/algorithms-2026.json").string())},
                            {"ca.public_url", public_url},
                            {"operators.id", toml_text("ra-1")},
                            {"operators.spki", toml_text(operator_spki_)},
                            {"internal.port", toml_number(ports_.pki_internal)},
                            {"internal.client_ca", toml_text("../tls/internal-ca.pem")},
                            {"public.port", toml_number(ports_.pki_public)},
                            {"metrics.port", toml_number(0)}};
    if (auto written = fill("pki.toml", settings, "config/pki.toml"); !written) return written;
    const std::string root = folder_.at("config/pki-root.toml").string(), issuing = folder_.at("config/pki.toml").string();
    const auto pki = places_.binaries / "intaglio-pki";
    if (auto made = run_to_end({pki, {"--ceremony", "root", "--root-config", root}, {}}, log()); !made) return made;
    return run_to_end({pki, {"--ceremony", "issuing", "--root-config", root, "--config", issuing}, {}}, log());
  }

  Status initialise_sam() {
    const Settings settings{{"token.module", toml_text(places_.module.string())},
                            {"listener.port", toml_number(ports_.sam)},
                            {"management.port", toml_number(ports_.sam_management)},
                            {"listener.ssa_pins", "[" + toml_text(ssa_pin_) + "]"}};
    if (auto written = fill("sam.toml", settings, "config/sam.toml"); !written) return written;
    if (auto written = write_policy(); !written) return written;
    if (auto written = write_privileged_users(); !written) return written;
    const auto answer_file = folder_.at("sam/public-keys.json");
    const auto command = service_command(folder_, places_, "sam",
                                         {"--initialise", "--policy", folder_.at("config/policy.json").string(), "--privileged-users",
                                          folder_.at("config/privileged-users.json").string(), "--public-keys", answer_file.string()});
    if (auto initialised = run_to_end(command, log()); !initialised) return initialised;
    const auto answer = read_document(answer_file);
    if (!answer) return answer.error();
    return keep_public_keys(*answer);
  }

  Status write_other_configurations() {
    const Settings ssa{{"token.module", toml_text(places_.module.string())},
                       {"service.base_url", toml_text(url("https", ports_.ssa_public))},
                       {"public.port", toml_number(ports_.ssa_public)},
                       {"registration.port", toml_number(ports_.ssa_registration)},
                       {"metrics.port", toml_number(0)},
                       {"sam.port", toml_number(ports_.sam)},
                       {"sam.pinned_spki_sha256", toml_text(sam_pin_)},
                       {"sam.identity_thumbprint", toml_text(identity_thumbprint_)},
                       {"pki.base_url", toml_text(url("https", ports_.pki_internal))},
                       {"clients.id", toml_text("demo")},
                       {"clients.spki", toml_text(client_spki_)}};
    const Settings client{{"service.base_url", toml_text(url("https", ports_.ssa_public))},
                          {"sam.identity_thumbprint", toml_text(identity_thumbprint_)},
                          {"sam.checkpoint_thumbprint", toml_text(checkpoint_thumbprint_)},
                          {"sam.log_origin", toml_text(log_origin_)},
                          {"terms.id", toml_text(terms_id_)},
                          {"terms.version", toml_text(terms_version_)}};
    const Settings operators{{"registration.base_url", toml_text(url("https", ports_.ssa_registration))},
                             {"operator.id", toml_text("ra-1")},
                             {"sam.identity_jwk", toml_text(identity_jwk_)}};
    if (auto written = fill("ssa.toml", ssa, "config/ssa.toml"); !written) return written;
    if (auto written = fill("client.toml", client, "clients/demo/client.toml"); !written) return written;
    const Settings device{{"service.base_url", toml_text(url("https", ports_.ssa_public))},
                          {"sam.identity_jwk", toml_text(identity_jwk_)},
                          {"terms.id", toml_text(terms_id_)},
                          {"terms.version", toml_text(terms_version_)}};
    if (auto written = fill("device.toml", device, "device.toml"); !written) return written;
    for (const auto& user : privileged_users) {
      const Settings admin{{"sam.port", toml_number(ports_.sam_management)},
                           {"sam.pinned_spki_sha256", toml_text(sam_pin_)},
                           {"user.id", toml_text(user.id)}};
      if (auto written = fill("admin.toml", admin, "users/" + std::string(user.id) + "/admin.toml"); !written) return written;
    }
    return fill("operator.toml", operators, "operators/ra-1/operator.toml");
  }

 private:
  [[nodiscard]] std::filesystem::path log() const { return folder_.at("logs/preparation.log"); }
  [[nodiscard]] std::filesystem::path softhsm_settings(std::string_view name) const {
    return folder_.at("tokens/" + std::string(name) + ".conf");
  }
  [[nodiscard]] Status fill(const std::string& example, const Settings& settings, std::string_view written) const {
    return fill_template_file(places_.deploy / "examples" / example, settings, folder_.at(written));
  }
  [[nodiscard]] static Result<Value> read_document(const std::filesystem::path& path) {
    const auto text = read_file(path, max_document_bytes);
    if (!text) return text.error();
    auto document = json::parse(as_text(*text), {.max_bytes = max_document_bytes});
    if (!document) return Error{document.error().code, path.string() + ": " + document.error().detail};
    return document;
  }

  [[nodiscard]] Result<crypto::PublicKey> make_key(std::string_view file) const {
    const auto key = crypto::SoftwareKey::generate();
    if (!key) return key.error();
    const auto pem = (*key)->encode_pem();
    if (!pem) return pem.error();
    if (auto written = write_file_durably(folder_.at(file), pem->reveal(), 0600); !written) return written.error();
    return (*key)->public_key();
  }

  /// The example policy with the operator, the CA certificates that the ceremonies made, and the algorithm document.
  Status write_policy() {
    auto policy = read_document(places_.policy.empty() ? places_.deploy / "examples/policy.json" : places_.policy);
    if (!policy) return policy.error();
    auto algorithms = read_document(places_.deploy / "policies/algorithms-2026.json");
    if (!algorithms) return algorithms.error();
    const auto jwk = json::parse(operator_jwk_);
    if (!jwk) return jwk.error();
    if (!policy->is_object() || !policy->contains("terms") || policy->at("terms").empty()) {
      return Error{ErrorCode::configuration, "the policy document names no terms"};
    }
    (*policy)["algorithms"] = std::move(*algorithms);
    (*policy)["operators"] = Value::array({Value{{"id", "ra-1"}, {"jwk", *jwk}}});
    (*policy)["ca_anchors"] = Value::array();
    for (const auto* file : {"pki/ca/root.cer", "pki/ca/issuing.cer"}) {
      const auto der = read_file(folder_.at(file), max_document_bytes);
      if (!der) return der.error();
      (*policy)["ca_anchors"].push_back(encode_base64(*der));
    }
    if (!places_.pages.empty() && !policy->contains("passkeys") && policy->at("profiles").dump().find("\"passkey\"") != std::string::npos) {
      (*policy)["passkeys"] = {{"rp_id", "localhost"}, {"origins", Value::array({page_origin(ports_)})}, {"backup_eligible", false}};
    }
    const auto& terms = policy->at("terms").front();
    terms_id_ = terms.value("id", "");
    terms_version_ = terms.value("version", "");
    return write_file_durably(folder_.at("config/policy.json"), as_bytes(policy->dump(2) + "\n"), 0600);
  }

  /// One of each role: the demonstration's people, with keys that the files of the run folder hold.
  Status write_privileged_users() {
    auto list = Value::array();
    for (const auto& user : privileged_users) {
      const auto pem = read_secret_file(folder_.at("users/" + std::string(user.id) + "/user.key.pem"), max_document_bytes);
      if (!pem) return pem.error();
      const auto key = crypto::SoftwareKey::parse_pem(*pem);
      if (!key) return key.error();
      const auto jwk = crypto::encode_jwk((*key)->public_key());
      if (!jwk) return jwk.error();
      const auto value = json::parse(*jwk);
      if (!value) return value.error();
      list.push_back({{"id", user.id}, {"person", user.person}, {"roles", Value::array({user.role})}, {"jwk", *value}});
    }
    return write_file_durably(folder_.at("config/privileged-users.json"), as_bytes(list.dump(2) + "\n"), 0600);
  }

  Status keep_public_keys(const Value& answer) {
    const auto key_of = [&](const char* name) -> Result<crypto::PublicKey> {
      const auto* jwk = json::member(answer, name);
      if (jwk == nullptr) return Error{ErrorCode::configuration, "the SAM's answer names no key '" + std::string(name) + "'"};
      return crypto::parse_jwk(json::encode(*jwk));
    };
    const auto identity = key_of("identity");
    if (!identity) return identity.error();
    const auto checkpoint = key_of("checkpoint");
    if (!checkpoint) return checkpoint.error();
    const auto jwk = crypto::encode_jwk(*identity);
    const auto identity_thumbprint = crypto::jwk_thumbprint(*identity);
    const auto checkpoint_thumbprint = crypto::jwk_thumbprint(*checkpoint);
    auto origin = json::text_member(answer, "log");
    if (!jwk) return jwk.error();
    if (!identity_thumbprint) return identity_thumbprint.error();
    if (!checkpoint_thumbprint) return checkpoint_thumbprint.error();
    if (!origin) return origin.error();
    identity_jwk_ = *jwk;
    identity_thumbprint_ = *identity_thumbprint;
    checkpoint_thumbprint_ = *checkpoint_thumbprint;
    log_origin_ = *origin;
    const auto checkpoint_jwk = crypto::encode_jwk(*checkpoint);
    if (!checkpoint_jwk) return checkpoint_jwk.error();
    if (auto kept = write_file_durably(folder_.at("sam/checkpoint.jwk"), as_bytes(*checkpoint_jwk + "\n"), 0644); !kept) return kept;
    return write_file_durably(folder_.at("pki/sam-identity.json"), as_bytes(identity_jwk_ + "\n"), 0644);
  }

  const RunFolder& folder_;
  const Ports& ports_;
  const Places& places_;
  std::string sam_pin_, ssa_pin_;
  std::string operator_jwk_, operator_spki_, client_spki_;
  std::string terms_id_, terms_version_;
  std::string identity_jwk_, identity_thumbprint_, checkpoint_thumbprint_, log_origin_;
};

}  // namespace

Status prepare(const RunFolder& folder, const Ports& ports, const Places& places, const Progress& progress) {
  if (auto emptied = folder.start_over(); !emptied) return emptied;
  Preparation work(folder, ports, places);
  const struct {
    Status (Preparation::*act)();
    std::string_view done;
  } steps[] = {
      {&Preparation::make_secrets, "random PINs, in files of mode 0600"},
      {&Preparation::make_tokens, "four SoftHSM tokens: sam, pki, ssa, and the root's"},
      {&Preparation::make_tls, "TLS identities, both ends of each link, and keys of four privileged users"},
      {&Preparation::make_keys_of_people, "keys of the registration officer ra-1 and of the client demo"},
      {&Preparation::make_authorities, "ceremonies: root CA on its own token, issuing CA under it"},
      {&Preparation::initialise_sam, "the SAM's keys and its sealed policy"},
      {&Preparation::write_other_configurations, "configuration files"},
  };
  for (const auto& step : steps) {
    if (auto done = (work.*step.act)(); !done) return done;
    progress(step.done);
  }
  if (!places.pages.empty()) {
    if (auto added = add_pages(folder, ports, places); !added) return added;
    progress("the signer's pages");
  }
  return folder.mark_prepared(ports);
}

Status initialise_token_of(const RunFolder& folder, const Places& places, std::string_view name) {
  const auto pin = read_secret_file(folder.at("secrets/" + std::string(name) + ".pin"), 256);
  if (!pin) return pin.error();
  const auto so_pin = read_secret_file(folder.at("secrets/" + std::string(name) + ".so-pin"), 256);
  if (!so_pin) return so_pin.error();
  return token::initialise_token(places.module, "intaglio-" + std::string(name), *so_pin, *pin);
}

Command service_command(const RunFolder& folder, const Places& places, const std::string& name, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"--config", folder.at("config/" + name + ".toml").string()});
  return {
      places.binaries / ("intaglio-" + name), std::move(arguments), {{"SOFTHSM2_CONF", folder.at("tokens/" + name + ".conf").string()}}};
}

}  // namespace intaglio::up
