#include "base/secret.h"
#include "protocol/wire/convert.h"
#include "protocol/wire/frame.h"
#include "protocol/wire/link.h"
#include "protocol/wire/nodes.h"

namespace intaglio::protocol::wire {
namespace {

using std::chrono::steady_clock;

/// A session over a connection of its own, which is closed with it.
class ClientSession final : public OneTimeSession {
 public:
  ClientSession(std::unique_ptr<Link> link, std::chrono::seconds timeout) : link_(std::move(link)), timeout_(timeout) {}

  Result<KeyGenerated> identify(std::string_view sap_message) override {
    v1::Request request;
    request.set_one_time_identify(std::string(sap_message));
    const auto answer = exchange(request, v1::Answer::kKeyGenerated);
    if (!answer) return answer.error();
    return read(answer->key_generated());
  }
  Result<OneTimeSigned> sign(const OneTimeCertificate& certificate) override {
    v1::Request request;
    write(certificate, *request.mutable_one_time_sign());
    const auto answer = exchange(request, v1::Answer::kOneTimeSigned);
    if (!answer) return answer.error();
    return read(answer->one_time_signed());
  }
  /// The SAM's clock decides.
  steady_clock::time_point ends() const override { return steady_clock::time_point::max(); }

 private:
  Result<v1::Answer> exchange(const v1::Request& request, v1::Answer::OutcomeCase expected) {
    if (!link_) return Error{ErrorCode::conflict, "the session has ended"};
    const auto frame = encode_frame(request);
    if (!frame) return frame.error();
    const auto deadline = steady_clock::now() + timeout_;
    auto received = link_->send(*frame, deadline) ? link_->receive(deadline) : unknown_outcome("the session's connection is closed");
    auto answer = received ? answer_in(*received, expected) : received.error();
    if (!answer) link_.reset();
    return answer;
  }
  std::unique_ptr<Link> link_;
  std::chrono::seconds timeout_;
};

class Client final : public SamNodes {
 public:
  explicit Client(std::vector<std::unique_ptr<Pool>> pools) : nodes_(std::move(pools)) {}

  Result<Opened> open_signing(const OpenSigning& request) override {
    return opened([&](v1::Request& call) { write(request, *call.mutable_open_signing()); });
  }
  Result<Opened> open_enrolment(const OpenEnrolment& request) override {
    return opened([&](v1::Request& call) { write(request, *call.mutable_open_enrolment()); });
  }
  Result<Opened> open_key_generation(const OpenKeyGeneration& request) override {
    return opened([&](v1::Request& call) { write(request, *call.mutable_open_key_generation()); });
  }
  Result<Opened> open_factor_change(const OpenEnrolment& request) override {
    return opened([&](v1::Request& call) { write(request, *call.mutable_open_factor_change()); });
  }
  Result<Opened> open_key_change(const OpenKeyChange& request) override {
    return opened([&](v1::Request& call) { write(request, *call.mutable_open_key_change()); });
  }
  Result<Opened> open_grant(const OpenGrant& request) override {
    return opened([&](v1::Request& call) { write(request, *call.mutable_open_grant()); });
  }
  Result<Authorised> authorise(std::string_view sap_message) override {
    return ask(
        v1::Answer::kAuthorised, [&](v1::Request& call) { call.set_authorise(std::string(sap_message)); },
        [](const v1::Answer& answer) { return read(answer.authorised()); });
  }
  Result<Enrolled> enrol_factors(std::string_view sap_message) override {
    return enrolled([&](v1::Request& call) { call.set_enrol_factors(std::string(sap_message)); });
  }
  Result<Enrolled> change_factors(std::string_view sap_message) override {
    return enrolled([&](v1::Request& call) { call.set_change_factors(std::string(sap_message)); });
  }
  Status change_key(std::string_view sap_message) override {
    return done([&](v1::Request& call) { call.set_change_key(std::string(sap_message)); });
  }
  Result<KeyGenerated> generate_key(std::string_view sap_message) override {
    return ask(
        v1::Answer::kKeyGenerated, [&](v1::Request& call) { call.set_generate_key(std::string(sap_message)); },
        [](const v1::Answer& answer) { return read(answer.key_generated()); });
  }
  Result<SignAnswer> sign(const SignRequest& request) override {
    auto answer = ask(
        v1::Answer::kSigned, [&](v1::Request& call) { write(request, *call.mutable_sign()); },
        [](const v1::Answer& got) { return read(got.signed_()); });
    if (!answer) return answer;
    const bool whole = answer->signatures.size() == request.digests.size();
    const bool part = answer->stopped && answer->signatures.size() < request.digests.size();
    if (!whole && !part) return unknown_outcome("another number of signatures than asked for");
    return answer;
  }
  Result<Authorised> extend(const ExtendRequest& request) override {
    return ask(
        v1::Answer::kAuthorised, [&](v1::Request& call) { write(request, *call.mutable_extend()); },
        [](const v1::Answer& answer) { return read(answer.authorised()); });
  }
  Result<Opened> open_one_time(const OpenOneTime& request) override {
    return opened([&](v1::Request& call) { write(request, *call.mutable_open_one_time()); });
  }
  Result<std::unique_ptr<OneTimeSession>> begin_one_time() override {
    auto link = nodes_.open_own();
    if (!link) return link.error();
    return std::unique_ptr<OneTimeSession>(std::make_unique<ClientSession>(*std::move(link), nodes_.timeout()));
  }
  Result<LogEntry> report_orphan(const KeyId& key, ByteView certificate) override {
    return ask(
        v1::Answer::kEntry,
        [&](v1::Request& call) {
          write(Orphan{key, to_bytes(certificate)}, *call.mutable_report_orphan());
        },
        [](const v1::Answer& answer) { return read(answer.entry()); });
  }
  Result<SignerCreated> create_signer(std::string_view operator_request) override {
    return signer_created([&](v1::Request& call) { call.set_create_signer(std::string(operator_request)); });
  }
  Result<SignerCreated> reset_factors(std::string_view operator_request) override {
    return signer_created([&](v1::Request& call) { call.set_reset_factors(std::string(operator_request)); });
  }
  Result<CredentialFacts> bind_certificate(const CertificateBinding& binding) override {
    return facts([&](v1::Request& call) { write(binding, *call.mutable_bind_certificate()); });
  }
  Status suspend_key(const KeyId& key, std::string_view reason) override {
    return done([&](v1::Request& call) { write(Suspension{key, std::string(reason)}, *call.mutable_suspend_key()); });
  }
  Status end_grant(std::string_view grant, std::string_view reason) override {
    return done([&](v1::Request& call) { write(GrantEnd{std::string(grant), std::string(reason)}, *call.mutable_end_grant()); });
  }
  Result<SignerId> recognise_device(std::string_view request) override {
    return ask(
        v1::Answer::kSigner, [&](v1::Request& call) { call.set_recognise_device(std::string(request)); },
        [](const v1::Answer& answer) { return SignerId::parse(answer.signer()); });
  }
  Status suspend_by_operator(std::string_view operator_request) override {
    return done([&](v1::Request& call) { call.set_suspend_by_operator(std::string(operator_request)); });
  }
  Status resume_key(std::string_view operator_request) override {
    return done([&](v1::Request& call) { call.set_resume_key(std::string(operator_request)); });
  }
  Status put_revocation_data(ByteView crl) override {
    return done([&](v1::Request& call) { call.set_put_revocation_data(std::string(as_text(crl))); });
  }
  Result<std::vector<CredentialFacts>> list_credentials(const SignerId& signer) override {
    return ask(
        v1::Answer::kCredentials, [&](v1::Request& call) { call.set_list_credentials(signer.text()); },
        [](const v1::Answer& answer) { return read(answer.credentials()); });
  }
  Result<CredentialFacts> credential(const KeyId& key) override {
    return facts([&](v1::Request& call) { call.set_credential(key.text()); });
  }
  Result<std::string> receipt(std::uint64_t index, const crypto::Sha256Digest& leaf) override {
    return json([&](v1::Request& call) { write(ReceiptRequest{index, leaf}, *call.mutable_receipt()); });
  }
  Result<std::string> status() override {
    return json([](v1::Request& call) { call.mutable_status(); });
  }
  Result<std::string> public_keys() override {
    return json([](v1::Request& call) { call.mutable_public_keys(); });
  }
  std::vector<NodeReport> report() override {
    v1::Request request;
    request.mutable_status();
    const auto frame = encode_frame(request);
    return frame ? nodes_.report(*frame) : std::vector<NodeReport>();
  }

 private:
  Result<v1::Answer> exchange(v1::Request& request, v1::Answer::OutcomeCase expected) {
    auto frame = encode_frame(request);
    if (request.has_sign()) wipe(*request.mutable_sign()->mutable_sad());
    if (request.has_extend()) wipe(*request.mutable_extend()->mutable_sad());
    if (!frame) return frame.error();
    const WipeAtExit sent(*frame);
    return nodes_.exchange(*frame, repeat_of(request.call_case()), expected);
  }

  template <typename Fill, typename Pick>
  auto ask(v1::Answer::OutcomeCase expected, Fill fill, Pick pick) -> decltype(pick(std::declval<v1::Answer>())) {
    v1::Request request;
    fill(request);
    const auto answer = exchange(request, expected);
    if (!answer) return answer.error();
    auto value = pick(*answer);
    if (!value) return unknown_outcome(value.error().detail);
    return value;
  }
  template <typename Fill>
  Result<Opened> opened(Fill fill) {
    return ask(v1::Answer::kOpened, fill, [](const v1::Answer& answer) { return read(answer.opened()); });
  }
  template <typename Fill>
  Result<Enrolled> enrolled(Fill fill) {
    return ask(v1::Answer::kEnrolled, fill, [](const v1::Answer& answer) -> Result<Enrolled> {
      auto sealed = read_token(answer.enrolled());
      if (!sealed) return sealed.error();
      return Enrolled{*std::move(sealed)};
    });
  }
  template <typename Fill>
  Result<SignerCreated> signer_created(Fill fill) {
    return ask(v1::Answer::kSignerCreated, fill, [](const v1::Answer& answer) { return read(answer.signer_created()); });
  }
  template <typename Fill>
  Result<CredentialFacts> facts(Fill fill) {
    return ask(v1::Answer::kCredential, fill, [](const v1::Answer& answer) { return read(answer.credential()); });
  }
  template <typename Fill>
  Result<std::string> json(Fill fill) {
    return ask(v1::Answer::kJson, fill, [](const v1::Answer& answer) { return read_json(answer.json()); });
  }
  template <typename Fill>
  Status done(Fill fill) {
    return ask(v1::Answer::kDone, fill, [](const v1::Answer&) { return Status{}; });
  }

  Nodes nodes_;
};

Result<TlsContext> client_context(const ClientConfig& config) {
  auto server = one_of({config.pinned_peer});
  if (!server) return server.error();
  return TlsContext::create(TlsSide::client, config.identity, *std::move(server));
}

}  // namespace

Result<std::string> manage(const ClientConfig& config, std::string_view request) {
  auto tls = client_context(config);
  if (!tls) return tls.error();
  v1::ManagementRequest message;
  message.set_request(std::string(request));
  const auto frame = encode_frame(message);
  if (!frame) return frame.error();
  const auto deadline = steady_clock::now() + config.timeout;
  auto link = Link::open(*tls, config, std::min(deadline, steady_clock::now() + config.connect_timeout));
  if (!link) return link.error();
  if (auto sent = (*link)->send(*frame, deadline); !sent) return sent.error();
  const auto received = (*link)->receive(deadline);
  if (!received) return received.error();
  v1::ManagementAnswer answer;
  if (!parse_message(*received, answer)) return unknown_outcome("not an answer");
  if (answer.outcome_case() == v1::ManagementAnswer::kRefusal)
    return Error{from_wire_number(answer.refusal().code()), answer.refusal().detail()};
  if (answer.outcome_case() != v1::ManagementAnswer::kJson) return unknown_outcome("an answer to another call");
  return read_json(answer.json());
}

Result<std::shared_ptr<SamNodes>> connect(const std::vector<ClientConfig>& nodes) {
  std::vector<std::unique_ptr<Pool>> pools;
  pools.reserve(nodes.size());
  for (const auto& config : nodes) {
    if (config.connections == 0) return Error{ErrorCode::configuration, "wire: at least one connection"};
    auto tls = client_context(config);
    if (!tls) return tls.error();
    pools.push_back(std::make_unique<Pool>(*std::move(tls), config));
  }
  if (pools.empty()) return Error{ErrorCode::configuration, "wire: at least one node"};
  return std::shared_ptr<SamNodes>(std::make_shared<Client>(std::move(pools)));
}

Result<std::shared_ptr<SamService>> connect(const ClientConfig& config) {
  auto connected = connect(std::vector{config});
  if (!connected) return connected.error();
  return std::shared_ptr<SamService>(*std::move(connected));
}

}  // namespace intaglio::protocol::wire
