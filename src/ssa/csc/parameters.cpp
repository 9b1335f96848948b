#include "ssa/csc/parameters.h"

#include "crypto/algorithms.h"

namespace intaglio::ssa::csc {
namespace {

/// Characters of the shortest digest that we serve, SHA-256, in base64 without padding.
constexpr std::size_t shortest_digest_text = 43;

constexpr std::chrono::hours default_validity{1};
constexpr std::uint64_t max_validity_milliseconds = std::uint64_t{24} * 3600 * 1000;

bool is_json(const http::Request& request) {
  const auto type = request.headers.find("content-type");
  if (type == request.headers.end()) return true;
  auto media = std::string_view(type->second).substr(0, type->second.find(';'));
  while (!media.empty() && media.back() == ' ') media.remove_suffix(1);
  return media == "application/json";
}

}  // namespace

Parameters Parameters::of(const http::Request& request) {
  Parameters parameters;
  if (!is_json(request)) {
    parameters.refuse(invalid_request("The content type of a request is application/json"));
    return parameters;
  }
  if (request.body.empty()) return parameters;
  json::Bounds bounds;
  bounds.max_bytes = request.body.size();  // the listener's limit has been applied
  auto parsed = json::parse(request.body, bounds);
  if (!parsed || !parsed->is_object()) {
    parameters.refuse(invalid_request("The body of the request is not a JSON object, or a member came twice"));
    return parameters;
  }
  parameters.object_ = std::move(*parsed);
  return parameters;
}

void Parameters::refuse(Refusal refusal) {
  if (!refusal_) refusal_ = std::move(refusal);
}

const json::Value* Parameters::member(std::string_view name) const { return json::member(object_, name); }

std::string Parameters::required_text(std::string_view name) {
  const auto* value = member(name);
  const auto* text = value == nullptr ? nullptr : value->get_ptr<const json::Value::string_t*>();
  if (text != nullptr) return *text;
  refuse(missing_text(name));
  return {};
}

std::optional<std::string> Parameters::optional_text(std::string_view name) {
  const auto* value = member(name);
  if (value == nullptr) return std::nullopt;
  if (const auto* text = value->get_ptr<const json::Value::string_t*>()) return *text;
  refuse(invalid_parameter(name));
  return std::nullopt;
}

bool Parameters::flag(std::string_view name) {
  const auto* value = member(name);
  if (value == nullptr) return false;
  if (const auto* truth = value->get_ptr<const json::Value::boolean_t*>()) return *truth;
  if (const auto* text = value->get_ptr<const json::Value::string_t*>()) {
    if (*text == "true" || *text == "false") return *text == "true";
  }
  refuse(invalid_parameter(name));
  return false;
}

Delivery Parameters::delivery() {
  const auto mode = optional_text("operationMode").value_or("S");
  if (mode == "S") return {};
  if (mode != "A") refuse(invalid_parameter("operationMode"));
  Delivery delivery{true, default_validity};
  if (const auto* period = member("validity_period")) {
    if (!period->is_number_integer()) {
      refuse(invalid_parameter("validity_period"));
    } else if (!period->is_number_unsigned() || period->get<std::uint64_t>() < 1 ||
               period->get<std::uint64_t>() > max_validity_milliseconds) {
      refuse(invalid_request("Out of bounds parameter validity_period"));
    } else {
      delivery.validity = std::chrono::milliseconds{period->get<std::int64_t>()};
    }
  }
  if (member("response_uri") != nullptr) refuse(invalid_parameter("response_uri"));
  return delivery;
}

void Parameters::client_data() { (void)optional_text("clientData"); }

std::variant<Bytes, Refusal> parse_digest(std::string_view text) {
  if (text.size() < shortest_digest_text) return invalid_request("Invalid digest value length");
  auto decoded = parse_base64(text);
  if (!decoded) return invalid_request("Invalid Base64 hash string parameter");
  return std::move(*decoded);
}

std::vector<Bytes> Parameters::digests(std::string_view name, std::size_t most, std::string_view called) {
  const auto missing = invalid_request("Missing (or invalid type) array parameter " + std::string(called));
  const auto* value = member(name);
  if (value == nullptr || !value->is_array()) {
    refuse(missing);
    return {};
  }
  if (value->empty()) refuse(invalid_request("Empty hash array"));
  if (value->size() > most) refuse(invalid_request("Too many hashes in one request"));
  std::vector<Bytes> digests;
  if (refusal_) return digests;
  digests.reserve(value->size());
  for (const auto& element : *value) {
    const auto* text = element.get_ptr<const json::Value::string_t*>();
    if (text == nullptr) {
      refuse(missing);
      return {};
    }
    auto parsed = parse_digest(*text);
    if (auto* refusal = std::get_if<Refusal>(&parsed)) {
      refuse(std::move(*refusal));
      return {};
    }
    digests.push_back(std::move(std::get<Bytes>(parsed)));
  }
  return digests;
}

}  // namespace intaglio::ssa::csc
