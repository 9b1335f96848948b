#include "pages.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/file.h"
#include "json/json.h"
#include "template.h"

namespace intaglio::up {
namespace {

using json::Value;

constexpr std::size_t max_document_bytes = 256 * 1024;

Result<std::string> read_text(const std::filesystem::path& path) {
  const auto content = read_file(path, max_document_bytes);
  if (!content) return Error{content.error().code, path.string() + ": " + content.error().detail};
  return std::string(as_text(*content));
}

Result<Value> read_document(const std::filesystem::path& path) {
  const auto text = read_text(path);
  if (!text) return text.error();
  auto document = json::parse(*text, {.max_bytes = max_document_bytes});
  if (!document) return Error{document.error().code, path.string() + ": " + document.error().detail};
  return document;
}

/// What a page can ask for; with an ID token where the site knows the provider to which it sends its signers.
bool is_for_pages(const Value& combination, bool identities) {
  return std::all_of(combination.begin(), combination.end(), [&](const Value& factor) { return identities || factor != "id-token"; });
}

/// The combinations of factors of a profile that a page can ask for.
Value combinations_of(const Value& factors, bool identities) {
  const bool one = factors.is_array() && !factors.empty() && factors.front().is_string();
  auto offered = Value::array();
  for (const auto& combination : one ? Value::array({factors}) : factors) {
    if (is_for_pages(combination, identities)) offered.push_back(combination);
  }
  return offered;
}

/// The example with what this instance is: whom the pages call, whose key they pin, which terms and factors they show.
Result<Value> make_site(const RunFolder& folder, const Ports& ports, const Places& places) {
  const auto policy = read_document(folder.at("config/policy.json"));
  if (!policy) return policy.error();
  auto identity = read_document(folder.at("pki/sam-identity.json"));
  if (!identity) return identity.error();
  auto site = read_document(places.deploy / "examples/site.json");
  if (!site) return site.error();
  (*site)["api"] = "https://127.0.0.1:" + std::to_string(ports.ssa_public);
  (*site)["sam_identity"] = std::move(*identity);
  const auto& terms = policy->at("terms").front();
  (*site)["terms"]["id"] = terms.value("id", "");
  (*site)["terms"]["version"] = terms.value("version", "");
  for (const auto* name : {"failures", "minutes"}) (*site)["lock"][name] = policy->at("lock").at(name);
  (*site)["factors"] = Value::object();
  for (const auto& profile : policy->at("profiles")) {
    auto offered = combinations_of(profile.value("factors", Value::array()), site->contains("identity_provider"));
    if (!offered.empty()) (*site)["factors"][profile.value("name", "")] = std::move(offered);
  }
  if ((*site)["factors"].empty()) {
    return Error{ErrorCode::configuration, "--pages: no profile of the policy has factors that a page can ask for"};
  }
  return site;
}

}  // namespace

std::string page_origin(const Ports& ports) { return "https://localhost:" + std::to_string(ports.ssa_pages); }

Result<bool> has_pages(const RunFolder& folder) {
  const auto text = read_text(folder.at("config/ssa.toml"));
  if (!text) return text.error();
  return text->find("\n[pages]\n") != std::string::npos;
}

Status add_pages(const RunFolder& folder, const Ports& ports, const Places& places) {
  if (ports.ssa_pages == 0 || ports.application == 0) {
    return Error{ErrorCode::configuration, folder.root().string() + " was made by a version without pages: remove it (make clean)"};
  }
  const auto site = make_site(folder, ports, places);
  if (!site) return site.error();
  const auto service = read_text(folder.at("config/ssa.toml"));
  if (!service) return service.error();
  const auto example = read_text(places.deploy / "examples/ssa-pages.toml");
  if (!example) return example.error();
  const auto back = "http://127.0.0.1:" + std::to_string(ports.application) + "/back";
  const auto changed = fill_template(*service, {{"oauth.approval_page", toml_text(page_origin(ports) + "/approve")},
                                                {"clients.redirect_uris", "[" + toml_text(back) + "]"}});
  if (!changed) return changed.error();
  const auto table =
      fill_template(*example, {{"pages.port", toml_number(ports.ssa_pages)}, {"pages.folder", toml_text(places.pages.string())}});
  if (!table) return table.error();
  if (auto written = write_file_durably(folder.at("config/site.json"), as_bytes(site->dump(2) + "\n"), 0644); !written) return written;
  return write_file_durably(folder.at("config/ssa.toml"), as_bytes(*changed + "\n" + *table), 0600);
}

}  // namespace intaglio::up
