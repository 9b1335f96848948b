#include "protocol/wire/calls.h"

#include <array>
#include <exception>

#include "base/log.h"
#include "base/secret.h"
#include "protocol/wire/convert.h"
#include "protocol/wire/frame.h"

namespace intaglio::protocol::wire {
namespace {

using v1::Request;

constexpr std::size_t max_told_detail = 1024;

struct Call {
  Request::CallCase which;
  std::string_view name;
  Status (*serve)(SamService& sam, Request& request, v1::Answer& answer);
};

template <typename Output, typename Message>
Status put(Result<Output> output, Message& answer) {
  if (!output) return output.error();
  write(*output, answer);
  return {};
}

Status put(const Status& status, v1::Nothing&) { return status; }

template <typename Output, typename Input, typename Argument, typename Message>
Status through(SamService& sam, Result<Output> (SamService::*method)(Argument), const Result<Input>& input, Message& answer) {
  if (!input) return input.error();
  return put((sam.*method)(*input), answer);
}

Status sign(SamService& sam, Request& request, v1::Answer& answer) {
  auto input = read(request.sign());
  wipe(*request.mutable_sign()->mutable_sad());
  if (!input) return input.error();
  const WipeAtExit sad(input->sad);
  return put(sam.sign(*input), *answer.mutable_signed_());
}

Status extend(SamService& sam, Request& request, v1::Answer& answer) {
  auto input = read(request.extend());
  wipe(*request.mutable_extend()->mutable_sad());
  if (!input) return input.error();
  const WipeAtExit sad(input->sad);
  return put(sam.extend(*input), *answer.mutable_authorised());
}

Status suspend(SamService& sam, Request& request, v1::Answer& answer) {
  const auto input = read(request.suspend_key());
  if (!input) return input.error();
  return put(sam.suspend_key(input->key, input->reason), *answer.mutable_done());
}

Status end_grant(SamService& sam, Request& request, v1::Answer& answer) {
  const auto input = read(request.end_grant());
  if (!input) return input.error();
  return put(sam.end_grant(input->grant, input->reason), *answer.mutable_done());
}

Status receipt(SamService& sam, Request& request, v1::Answer& answer) {
  const auto input = read(request.receipt());
  if (!input) return input.error();
  return put(sam.receipt(input->index, input->leaf), *answer.mutable_json());
}

Status report_orphan(SamService& sam, Request& request, v1::Answer& answer) {
  const auto input = read(request.report_orphan());
  if (!input) return input.error();
  return put(sam.report_orphan(input->key, input->certificate), *answer.mutable_entry());
}

using Sam = SamService;

// One line for each operation of the SAM, and none for anything else.
constexpr auto calls = std::to_array<Call>({
    {Request::kOpenSigning, "open_signing",
     [](Sam& sam, Request& q, v1::Answer& a) { return through(sam, &Sam::open_signing, read(q.open_signing()), *a.mutable_opened()); }},
    {Request::kOpenEnrolment, "open_enrolment",
     [](Sam& sam, Request& q, v1::Answer& a) { return through(sam, &Sam::open_enrolment, read(q.open_enrolment()), *a.mutable_opened()); }},
    {Request::kOpenKeyGeneration, "open_key_generation",
     [](Sam& sam, Request& q, v1::Answer& a) {
       return through(sam, &Sam::open_key_generation, read(q.open_key_generation()), *a.mutable_opened());
     }},
    {Request::kAuthorise, "authorise",
     [](Sam& sam, Request& q, v1::Answer& a) { return through(sam, &Sam::authorise, read_token(q.authorise()), *a.mutable_authorised()); }},
    {Request::kEnrolFactors, "enrol_factors",
     [](Sam& sam, Request& q, v1::Answer& a) {
       return through(sam, &Sam::enrol_factors, read_token(q.enrol_factors()), *a.mutable_enrolled());
     }},
    {Request::kGenerateKey, "generate_key",
     [](Sam& sam, Request& q, v1::Answer& a) {
       return through(sam, &Sam::generate_key, read_token(q.generate_key()), *a.mutable_key_generated());
     }},
    {Request::kSign, "sign", sign},
    {Request::kExtend, "extend", extend},
    {Request::kCreateSigner, "create_signer",
     [](Sam& sam, Request& q, v1::Answer& a) {
       return through(sam, &Sam::create_signer, read_token(q.create_signer()), *a.mutable_signer_created());
     }},
    {Request::kBindCertificate, "bind_certificate",
     [](Sam& sam, Request& q, v1::Answer& a) {
       return through(sam, &Sam::bind_certificate, read(q.bind_certificate()), *a.mutable_credential());
     }},
    {Request::kSuspendKey, "suspend_key", suspend},
    {Request::kResumeKey, "resume_key",
     [](Sam& sam, Request& q, v1::Answer& a) { return through(sam, &Sam::resume_key, read_token(q.resume_key()), *a.mutable_done()); }},
    {Request::kPutRevocationData, "put_revocation_data",
     [](Sam& sam, Request& q, v1::Answer& a) {
       return through(sam, &Sam::put_revocation_data, read_revocation_data(q.put_revocation_data()), *a.mutable_done());
     }},
    {Request::kOpenOneTime, "open_one_time",
     [](Sam& sam, Request& q, v1::Answer& a) { return through(sam, &Sam::open_one_time, read(q.open_one_time()), *a.mutable_opened()); }},
    {Request::kReportOrphan, "report_orphan", report_orphan},
    {Request::kOpenFactorChange, "open_factor_change",
     [](Sam& sam, Request& q,
        v1::Answer& a) { return through(sam, &Sam::open_factor_change, read(q.open_factor_change()), *a.mutable_opened()); }},
    {Request::kOpenKeyChange, "open_key_change",
     [](Sam& sam, Request& q,
        v1::Answer& a) { return through(sam, &Sam::open_key_change, read(q.open_key_change()), *a.mutable_opened()); }},
    {Request::kOpenGrant, "open_grant",
     [](Sam& sam, Request& q, v1::Answer& a) { return through(sam, &Sam::open_grant, read(q.open_grant()), *a.mutable_opened()); }},
    {Request::kEndGrant, "end_grant", end_grant},
    {Request::kRecogniseDevice, "recognise_device",
     [](Sam& sam, Request& q,
        v1::Answer& a) { return through(sam, &Sam::recognise_device, read_token(q.recognise_device()), *a.mutable_signer()); }},
    {Request::kChangeFactors, "change_factors",
     [](Sam& sam, Request& q,
        v1::Answer& a) { return through(sam, &Sam::change_factors, read_token(q.change_factors()), *a.mutable_enrolled()); }},
    {Request::kChangeKey, "change_key",
     [](Sam& sam, Request& q, v1::Answer& a) { return through(sam, &Sam::change_key, read_token(q.change_key()), *a.mutable_done()); }},
    {Request::kResetFactors, "reset_factors",
     [](Sam& sam, Request& q,
        v1::Answer& a) { return through(sam, &Sam::reset_factors, read_token(q.reset_factors()), *a.mutable_signer_created()); }},
    {Request::kSuspendByOperator, "suspend_by_operator",
     [](Sam& sam, Request& q,
        v1::Answer& a) { return through(sam, &Sam::suspend_by_operator, read_token(q.suspend_by_operator()), *a.mutable_done()); }},
    {Request::kListCredentials, "list_credentials",
     [](Sam& sam, Request& q,
        v1::Answer& a) { return through(sam, &Sam::list_credentials, SignerId::parse(q.list_credentials()), *a.mutable_credentials()); }},
    {Request::kCredential, "credential",
     [](Sam& sam, Request& q,
        v1::Answer& a) { return through(sam, &Sam::credential, KeyId::parse(q.credential()), *a.mutable_credential()); }},
    {Request::kReceipt, "receipt", receipt},
    {Request::kStatus, "status", [](Sam& sam, Request&, v1::Answer& a) { return put(sam.status(), *a.mutable_json()); }},
    {Request::kPublicKeys, "public_keys", [](Sam& sam, Request&, v1::Answer& a) { return put(sam.public_keys(), *a.mutable_json()); }},
});

const Call* find(Request::CallCase which) {
  for (const auto& call : calls) {
    if (call.which == which) return &call;
  }
  return nullptr;
}

Bytes refuse(std::string_view call, const Error& error) {
  log::refusal("sam.call_refused", error, {{"call", std::string(call)}});
  v1::Answer answer;
  answer.set_refusal(wire_number(error.code));
  auto frame = encode_frame(answer);
  if (!frame) panic("a refusal that does not fit into a frame");
  return *std::move(frame);
}

Status identify(SamService& service, std::unique_ptr<OneTimeSession>& session, const Request& request, v1::Answer& answer) {
  const auto message = read_token(request.one_time_identify());
  if (!message) return message.error();
  auto begun = service.begin_one_time();
  if (!begun) return begun.error();
  auto made = (*begun)->identify(*message);
  if (!made) return made.error();
  session = *std::move(begun);
  write(*made, *answer.mutable_key_generated());
  return {};
}

/// The session ends here, whatever comes of it.
Status sign_in_session(const std::unique_ptr<OneTimeSession>& session, const Request& request, v1::Answer& answer) {
  if (!session) return Error{ErrorCode::invalid_request, "wire: no session is open on this connection"};
  const auto certificate = read(request.one_time_sign());
  if (!certificate) return certificate.error();
  return put(session->sign(*certificate), *answer.mutable_one_time_signed());
}

Bytes answer_to(SamService& service, std::unique_ptr<OneTimeSession>& session, ByteView message) {
  // Taken from the connection first: whatever this call is, the session goes on only if it is put back.
  const auto open = std::move(session);
  Request request;
  if (const auto parsed = parse_message(message, request); !parsed) return refuse("?", parsed.error());
  const bool signs = request.call_case() == Request::kOneTimeSign;
  if (open && !signs) return refuse("?", {ErrorCode::conflict, "wire: another call while a session is open"});
  if (signs || request.call_case() == Request::kOneTimeIdentify) {
    v1::Answer answer;
    const auto served = signs ? sign_in_session(open, request, answer) : identify(service, session, request, answer);
    if (!served) return refuse(signs ? "one_time_sign" : "one_time_identify", served.error());
    auto frame = encode_frame(answer);
    if (!frame) return refuse("one_time", frame.error());
    return *std::move(frame);
  }
  const auto* call = find(request.call_case());
  if (call == nullptr) return refuse("?", {ErrorCode::invalid_request, "wire: no call, or an unknown one"});
  v1::Answer answer;
  if (const auto served = call->serve(service, request, answer); !served) return refuse(call->name, served.error());
  auto frame = encode_frame(answer);
  if (!frame) return refuse(call->name, frame.error());
  return *std::move(frame);
}

Bytes refuse_user(const Error& error) {
  log::refusal("management.call_refused", error);
  v1::ManagementAnswer answer;
  answer.mutable_refusal()->set_code(wire_number(error.code));
  answer.mutable_refusal()->set_detail(error.detail.substr(0, max_told_detail));
  auto frame = encode_frame(answer);
  if (!frame) panic("a refusal that does not fit into a frame");
  return *std::move(frame);
}

Bytes answer_to(ManagementService& service, const crypto::Sha256Digest& peer_spki, ByteView message) {
  v1::ManagementRequest request;
  if (const auto parsed = parse_message(message, request); !parsed) return refuse_user(parsed.error());
  const auto compact = read_token(request.request());
  if (!compact) return refuse_user(compact.error());
  auto json = service.handle(peer_spki, *compact);
  if (!json) return refuse_user(json.error());
  v1::ManagementAnswer answer;
  answer.set_json(*std::move(json));
  auto frame = encode_frame(answer);
  if (!frame) return refuse_user(frame.error());
  return *std::move(frame);
}

}  // namespace

Bytes serve(ManagementService& service, const crypto::Sha256Digest& peer_spki, ByteView message) noexcept {
  try {
    return answer_to(service, peer_spki, message);
  } catch (const std::exception& exception) {
    return refuse_user({ErrorCode::internal, exception.what()});
  }
}

Bytes serve(SamService& service, std::unique_ptr<OneTimeSession>& session, ByteView message) noexcept {
  try {
    return answer_to(service, session, message);
  } catch (const SecretsExhausted& full) {
    return refuse("?", {ErrorCode::busy, full.what()});
  } catch (const std::exception& exception) {
    return refuse("?", {ErrorCode::internal, exception.what()});
  }
}

}  // namespace intaglio::protocol::wire
