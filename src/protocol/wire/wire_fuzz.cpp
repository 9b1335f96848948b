#include "base/panic.h"
#include "protocol/wire/convert.h"
#include "protocol/wire/frame.h"

namespace {

using namespace intaglio::protocol::wire;

/// What the border lets in is written back and read again as the same message.
template <typename Message>
void round_trip(const Message& message) {
  const auto value = read(message);
  if (!value) return;
  Message written;
  write(*value, written);
  const auto again = read(written);
  if (!again) intaglio::panic("a value that was read is refused");
  Message twice;
  write(*again, twice);
  if (written.SerializeAsString() != twice.SerializeAsString()) intaglio::panic("a value changed on its way");
}

void walk(const v1::Request& request) {
  switch (request.call_case()) {
    case v1::Request::kOpenSigning: return round_trip(request.open_signing());
    case v1::Request::kOpenEnrolment: return round_trip(request.open_enrolment());
    case v1::Request::kOpenKeyGeneration: return round_trip(request.open_key_generation());
    case v1::Request::kOpenGrant: return round_trip(request.open_grant());
    case v1::Request::kEndGrant: return round_trip(request.end_grant());
    case v1::Request::kSign: return round_trip(request.sign());
    case v1::Request::kExtend: return round_trip(request.extend());
    case v1::Request::kBindCertificate: return round_trip(request.bind_certificate());
    case v1::Request::kOpenOneTime: return round_trip(request.open_one_time());
    case v1::Request::kOneTimeSign: return round_trip(request.one_time_sign());
    case v1::Request::kReportOrphan: return round_trip(request.report_orphan());
    case v1::Request::kSuspendKey: return round_trip(request.suspend_key());
    case v1::Request::kAuthorise: return static_cast<void>(read_token(request.authorise()));
    case v1::Request::kPutRevocationData: return static_cast<void>(read_revocation_data(request.put_revocation_data()));
    default: return;
  }
}

void walk(const v1::Answer& answer) {
  switch (answer.outcome_case()) {
    case v1::Answer::kOpened: return round_trip(answer.opened());
    case v1::Answer::kAuthorised: return round_trip(answer.authorised());
    case v1::Answer::kKeyGenerated: return round_trip(answer.key_generated());
    case v1::Answer::kSigned: return round_trip(answer.signed_());
    case v1::Answer::kOneTimeSigned: return round_trip(answer.one_time_signed());
    case v1::Answer::kEntry: return round_trip(answer.entry());
    case v1::Answer::kSignerCreated: return round_trip(answer.signer_created());
    case v1::Answer::kCredential: return round_trip(answer.credential());
    case v1::Answer::kCredentials: return round_trip(answer.credentials());
    default: return;
  }
}

}  // namespace

/// Both directions of the border: requests as the SAM gets them, answers as the SSA does.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  v1::Request request;
  if (parse_message({data, size}, request)) walk(request);
  v1::Answer answer;
  if (parse_message({data, size}, answer)) walk(answer);
  v1::ManagementRequest management;
  if (parse_message({data, size}, management)) static_cast<void>(read_token(management.request()));
  v1::ManagementAnswer told;
  if (parse_message({data, size}, told)) static_cast<void>(read_json(told.json()));
  return 0;
}
