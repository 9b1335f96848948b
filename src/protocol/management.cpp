#include "protocol/management.h"

namespace intaglio::protocol {

crypto::Sha256Digest proposal_digest(std::string_view id, std::string_view operation, std::string_view payload) {
  Bytes input;
  append_field(input, std::string_view("intaglio/proposal/1"));
  append_field(input, id);
  append_field(input, operation);
  append_field(input, payload);
  return crypto::sha256(input);
}

}  // namespace intaglio::protocol
