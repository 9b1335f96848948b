#include "audit/commitment.h"

#include "base/panic.h"
#include "crypto/digest.h"

namespace intaglio::audit {

std::string commitment(std::string_view value, ByteView salt) {
  if (salt.size() < min_salt_size) panic("audit: a commitment with too little salt hides nothing");
  Bytes input;
  append_field(input, std::string_view("intaglio/commitment/1"));
  append_field(input, salt);
  append_field(input, value);
  return encode_base64url(crypto::sha256(input));
}

}  // namespace intaglio::audit
