#include "json/json.h"

#include <limits>

#include "base/check.h"
#include "base/secret.h"

namespace intaglio::json {
namespace {

Error refused(std::string detail) { return Error{ErrorCode::invalid_request, std::move(detail)}; }

/// Builds the value from the parser's events and stops at the first thing that the bounds do not allow. The events come from
/// a loop, not from recursion, so depth costs no stack.
class Builder final : public nlohmann::json_sax<Value> {
 public:
  explicit Builder(const Bounds& bounds) noexcept : bounds_(bounds) {}

  bool null() override { return add(Value(nullptr)); }
  bool boolean(bool value) override { return add(Value(value)); }
  bool number_integer(number_integer_t value) override { return add(Value(value)); }
  bool number_unsigned(number_unsigned_t value) override { return add(Value(value)); }
  bool number_float(number_float_t value, const string_t&) override { return add(Value(value)); }  // finite: nlohmann refuses others
  bool string(string_t& value) override { return add(Value(std::move(value))); }
  bool binary(binary_t&) override { return stop("binary"); }
  bool start_object(std::size_t) override { return enter(Value::object()); }
  bool start_array(std::size_t) override { return enter(Value::array()); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }

  bool key(string_t& name) override {
    const bool fresh = !open_.back()->contains(name);
    if (refused_by("json.duplicate_member", !fresh)) return stop("a member stands twice");
    key_ = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception&) override {
    return stop("not JSON at byte " + std::to_string(position));
  }

  [[nodiscard]] Value& root() noexcept { return root_; }
  [[nodiscard]] const std::string& reason() const noexcept { return reason_; }

 private:
  bool stop(std::string reason) {
    reason_ = std::move(reason) + (path_of_key().empty() ? "" : " near member \"" + path_of_key() + "\"");
    return false;
  }

  /// The name of a member is a stranger's text: bounded before it reaches an error.
  [[nodiscard]] std::string path_of_key() const { return key_.substr(0, 64); }

  bool add(Value value) { return place(std::move(value)) != nullptr; }

  Value* place(Value value) {
    if (refused_by("json.members", ++members_ > bounds_.max_members)) {
      stop("more members than allowed");
      return nullptr;
    }
    if (open_.empty()) {
      root_ = std::move(value);
      return &root_;
    }
    Value& parent = *open_.back();
    if (parent.is_array()) return &parent.emplace_back(std::move(value));
    return &(parent[key_] = std::move(value));
  }

  bool enter(Value container) {
    if (refused_by("json.depth", open_.size() >= bounds_.max_depth)) return stop("nested deeper than allowed");
    Value* const placed = place(std::move(container));
    // An element's address is stable while its parent grows only through open_.back(), which is the element itself.
    if (placed != nullptr) open_.push_back(placed);
    return placed != nullptr;
  }

  bool leave() {
    open_.pop_back();
    return true;
  }

  const Bounds& bounds_;
  Value root_;
  std::vector<Value*> open_;
  std::string key_, reason_;
  std::size_t members_ = 0;
};

}  // namespace

Result<Value> parse(std::string_view text, const Bounds& bounds) {
  if (refused_by("json.size", text.size() > bounds.max_bytes)) return Error{ErrorCode::too_large, "JSON larger than allowed"};
  if (text.starts_with("\xef\xbb\xbf")) return refused("a byte order mark before JSON");
  // nlohmann takes a NUL for the end and would leave what follows unread.
  if (refused_by("json.nul", text.find('\0') != std::string_view::npos)) return refused("a NUL byte in JSON");
  Builder builder(bounds);
  // What was read of a document that is refused may hold a secret.
  const auto refuse = [&](std::string reason) {
    wipe(builder.root());
    return refused(std::move(reason));
  };
  try {
    if (!Value::sax_parse(text, &builder)) return refuse(builder.reason());
  } catch (const std::exception&) {
    return refuse("not JSON");
  }
  return std::move(builder.root());
}

void wipe(Value& value) noexcept {
  std::vector<Value*> waiting{&value};
  while (!waiting.empty()) {
    Value& next = *waiting.back();
    waiting.pop_back();
    if (auto* const text = next.get_ptr<std::string*>()) {
      intaglio::wipe(*text);
    } else if (next.is_structured()) {
      for (auto& element : next) waiting.push_back(&element);
    }
  }
}

std::string encode(const Value& value) { return value.dump(-1, ' ', false, Value::error_handler_t::replace); }

const Value* member(const Value& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(name);
  return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<std::string> text_member(const Value& object, std::string_view name, std::size_t max_length) {
  const Value* const found = member(object, name);
  if (found == nullptr) return refused("member \"" + std::string(name) + "\" is missing");
  const auto* const text = found->get_ptr<const std::string*>();
  if (text == nullptr) return refused("member \"" + std::string(name) + "\" is not a text");
  if (text->size() > max_length) return refused("member \"" + std::string(name) + "\" is too long");
  return *text;
}

Result<std::int64_t> integer_member(const Value& object, std::string_view name) {
  const Value* const found = member(object, name);
  if (found == nullptr) return refused("member \"" + std::string(name) + "\" is missing");
  const auto* const unsigned_value = found->get_ptr<const std::uint64_t*>();
  const bool fits = unsigned_value == nullptr || *unsigned_value <= static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!found->is_number_integer() || !fits) return refused("member \"" + std::string(name) + "\" is not an integer");
  return found->get<std::int64_t>();
}

Result<Bytes> base64url_member(const Value& object, std::string_view name, std::size_t max_bytes) {
  const auto text = text_member(object, name, (max_bytes * 4 + 2) / 3);
  if (!text) return text.error();
  auto bytes = parse_base64url(*text);
  if (!bytes) return refused("member \"" + std::string(name) + "\" is not base64url");
  return bytes;
}

}  // namespace intaglio::json
