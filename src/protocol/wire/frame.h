#pragma once

#include "base/bytes.h"
#include "intaglio_sam.pb.h"

/// A frame: a 4-byte big-endian length and one message.
namespace intaglio::protocol::wire {

inline constexpr std::size_t frame_header_bytes = 4;
inline constexpr std::size_t max_frame_bytes = 1024 * 1024;

/// The length of the message that follows; refused (`too_large`) beyond the limit, (`invalid_request`) when it is 0.
[[nodiscard]] Result<std::size_t> parse_frame_length(ByteView header);
/// A message out of the body of a frame; refused (`invalid_request`) when it is none. Nothing is printed about it.
Status parse_message(ByteView body, google::protobuf::MessageLite& message);
/// Header and message; refused (`too_large`) when the message does not fit.
[[nodiscard]] Result<Bytes> encode_frame(const google::protobuf::MessageLite& message);

}  // namespace intaglio::protocol::wire
