#include "protocol/wire/frame.h"

#include <google/protobuf/stubs/logging.h>

#include "base/check.h"

namespace intaglio::protocol::wire {

Result<std::size_t> parse_frame_length(ByteView header) {
  if (header.size() != frame_header_bytes) return Error{ErrorCode::invalid_request, "wire: frame header cut off"};
  std::size_t length = 0;
  for (const auto octet : header) length = (length << 8U) | octet;
  if (length == 0) return Error{ErrorCode::invalid_request, "wire: empty frame"};
  if (refused_by("wire.frame_length", length > max_frame_bytes)) return Error{ErrorCode::too_large, "wire: frame beyond 1 MiB"};
  return length;
}

Status parse_message(ByteView body, google::protobuf::MessageLite& message) {
  // protobuf would print a line of its own for a text that is not UTF-8.
  static const auto silent = google::protobuf::SetLogHandler(nullptr);
  static_cast<void>(silent);
  if (!message.ParseFromArray(body.data(), static_cast<int>(body.size()))) return Error{ErrorCode::invalid_request, "wire: not a message"};
  return {};
}

Result<Bytes> encode_frame(const google::protobuf::MessageLite& message) {
  const std::size_t length = message.ByteSizeLong();
  if (length == 0 || length > max_frame_bytes) return Error{ErrorCode::too_large, "wire: the message does not fit into a frame"};
  Bytes frame(frame_header_bytes + length);
  for (std::size_t i = 0; i < frame_header_bytes; ++i) {
    frame[i] = static_cast<std::uint8_t>(length >> (8 * (frame_header_bytes - 1 - i)));
  }
  if (!message.SerializeToArray(frame.data() + frame_header_bytes, static_cast<int>(length))) {
    return Error{ErrorCode::internal, "wire: message not written"};
  }
  return frame;
}

}  // namespace intaglio::protocol::wire
