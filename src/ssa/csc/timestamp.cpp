#include "ssa/csc/timestamp.h"

#include "base/check.h"
#include "crypto/timestamp.h"
#include "ssa/csc/parameters.h"

namespace intaglio::ssa::csc {
namespace {

/// A nonce is an INTEGER of any size (RFC 3161, 2.4.1); more than 256 bits nobody needs.
constexpr std::size_t max_nonce_digits = 64;

struct TimestampInput {
  crypto::HashAlgorithm hash;
  Bytes digest;
  Bytes nonce;  ///< magnitude; empty: none was asked for
};

/// Hexadecimal, of any number of digits.
std::optional<Bytes> parse_nonce(std::string text) {
  if (text.empty() || text.size() > max_nonce_digits) return std::nullopt;
  if (text.size() % 2 != 0) text.insert(text.begin(), '0');
  auto nonce = parse_hex(text);
  if (!nonce) return std::nullopt;
  return std::move(*nonce);
}

std::variant<TimestampInput, Refusal> parse(const http::Request& request) {
  auto parameters = Parameters::of(request);
  const auto hash = parameters.required_text("hash");
  if (!parameters.refusal() && hash.empty()) parameters.refuse(invalid_request("Empty hash parameter"));
  if (parameters.refusal()) return *parameters.refusal();
  auto digest = parse_digest(hash);
  if (const auto* refusal = std::get_if<Refusal>(&digest)) return *refusal;
  const auto oid = parameters.optional_text("hashAlgo");
  const auto algorithm = crypto::parse_hash_oid(oid.value_or(""));
  if (!algorithm) parameters.refuse(invalid_parameter("hashAlgo"));
  const auto nonce_text = parameters.optional_text("nonce");
  const auto nonce = nonce_text ? parse_nonce(*nonce_text) : std::optional<Bytes>(Bytes());
  if (!nonce) parameters.refuse(invalid_parameter("nonce"));
  parameters.client_data();
  if (parameters.refusal()) return *parameters.refusal();
  if (std::get<Bytes>(digest).size() != crypto::digest_length(*algorithm)) return invalid_request("Invalid digest value length");
  return TimestampInput{*algorithm, std::move(std::get<Bytes>(digest)), nonce.value_or(Bytes())};
}

}  // namespace

http::Response Timestamp::answer(const http::Request& request) const {
  const auto parsed = parse(request);
  if (const auto* refusal = std::get_if<Refusal>(&parsed)) return csc::answer(*refusal);
  const auto& input = std::get<TimestampInput>(parsed);
  const auto query = crypto::make_timestamp_request(input.hash, input.digest, "", input.nonce, true);
  if (!query) return refuse(request, query.error());
  const auto asked = crypto::parse_timestamp_request(*query);
  if (!asked) return refuse(request, asked.error());
  const auto response = ask_(*query);
  if (!response) return refuse(request, {ErrorCode::busy, "the time-stamping authority: " + response.error().detail});
  const auto told = crypto::parse_timestamp_response(*response);
  if (!told) return refuse(request, {ErrorCode::busy, "the answer of the time-stamping authority: " + told.error().detail});
  if (told->failure) {
    const auto why = std::string(name_of(*told->failure)) + ": " + told->text;
    return refuse(request, {ErrorCode::busy, "the time-stamping authority refused: " + why});
  }
  const bool same_imprint = told->imprint_der == asked->imprint_der;
  if (refused_by("ssa.timestamp.imprint", !same_imprint)) return refuse(request, {ErrorCode::internal, "a time-stamp of something else"});
  if (refused_by("ssa.timestamp.nonce", told->nonce_der != asked->nonce_der)) {
    return refuse(request, {ErrorCode::internal, "a time-stamp with another nonce"});
  }
  json::Value body = json::Value::object();
  body["timestamp"] = encode_base64(told->token);
  return http::json_answer(json::encode(body));
}

}  // namespace intaglio::ssa::csc
