// The parsers of the SAM itself: the first byte chooses one. What is read must be written back to the same bytes.
#include "base/panic.h"
#include "sam/authority/identity.h"
#include "sam/authority/operator_request.h"
#include "sam/factors/device_record.h"
#include "sam/factors/identity_link.h"
#include "sam/factors/passkey_record.h"
#include "sam/policy/policy.h"
#include "sam/records.h"
#include "sam/sap/message.h"

namespace {

using namespace intaglio;

template <typename T>
void must_round_trip(ByteView input, const Result<T>& parsed) {
  if (parsed && !std::ranges::equal(sam::encode(*parsed), input)) panic("a record was read that is not written this way");
}

/// Those of before attestation was kept are written in the present form, which is then read as it is written.
void check_passkeys(ByteView input) {
  const auto parsed = sam::parse_passkeys(input);
  if (!parsed) return;
  const auto version = FieldReader(input).text(16);
  if (version && *version != "passkeys/1") return must_round_trip(input, parsed);
  const auto present = sam::encode(*parsed);
  const auto again = sam::parse_passkeys(present);
  if (!again) panic("a record was written that is not read");
  must_round_trip(present, again);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const ByteView input(data + 1, size - 1);
  switch (data[0] % 9) {
    case 0: static_cast<void>(sam::parse_payload(input)); break;
    case 1: static_cast<void>(sam::Policy::parse(as_text(input))); break;
    case 2:
      if (const auto value = json::parse(as_text(input))) static_cast<void>(sam::parse_identity(*value));
      break;
    case 3: must_round_trip(input, sam::parse_factor_state(input)); break;
    case 4: must_round_trip(input, sam::parse_authorisation(input)); break;
    case 5: check_passkeys(input); break;
    case 6: must_round_trip(input, sam::parse_identity_link(input)); break;
    case 7: must_round_trip(input, sam::parse_devices(input)); break;
    default: must_round_trip(input, sam::parse_occurrence(input)); break;
  }
  return 0;
}
