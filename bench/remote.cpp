#include "https.h"
#include "json/json.h"
#include "load.h"
#include "plan.h"
#include "stages.h"

namespace intaglio::bench {
namespace {

constexpr std::string_view sha256_oid = "2.16.840.1.101.3.4.2.1";

std::string post(const Plan& plan, std::string_view path, const std::string& body) {
  return "POST " + std::string(path) + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(plan.https_port) + "\r\nAuthorization: Bearer " +
         plan.access_token + "\r\nContent-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

/// Written by hand: the generator must not cost more than it measures.
std::string sign_hash_body(const Plan& plan, const Portion& portion) {
  std::string body =
      R"({"credentialID":")" + portion.authorisation->credential + R"(","SAD":")" + portion.authorisation->sad + R"(","hashes":[)";
  for (const auto& digest : portion.digests) {
    if (body.back() != '[') body += ',';
    body += '"' + encode_base64(digest) + '"';
  }
  body += R"(],"hashAlgorithmOID":")" + std::string(sha256_oid) + R"(","signAlgo":")" + plan.sign_algo + '"';
  if (!plan.sign_algo_params.empty()) body += R"(,"signAlgoParams":")" + plan.sign_algo_params + '"';
  return body + '}';
}

void verify_answer(const Plan& plan, const Portion& portion, std::string_view body) {
  const auto answer = must("answer", json::parse(body, {.max_bytes = 4U << 20U, .max_depth = 8, .max_members = 100'000}));
  const auto& signatures = answer.at("signatures");
  if (signatures.size() != portion.digests.size()) fail("the answer has another number of signatures");
  for (std::size_t i = 0; i < signatures.size(); ++i) {
    const auto signature = must("signature", parse_base64(signatures[i].get<std::string>()));
    must("a signature of the service", portion.authorisation->key.verify_digest(plan.suite, portion.digests[i], signature));
  }
}

}  // namespace

void measure_wire(const RemoteOptions& options) {
  auto plan = Plan::read(options.plan);
  plan.sam.connections = options.clients;
  const auto sam = must("SAM", protocol::wire::connect(plan.sam));
  measure({options.name, options.clients, options.seconds}, [&](unsigned) -> Call {
    (void)must("SAM", sam->status());
    return [&]() -> unsigned {
      const auto portion = plan.next(options.batch);
      if (!portion) return 0;
      const protocol::SignRequest request{portion->authorisation->sad,
                                          must("credential", KeyId::parse(portion->authorisation->credential)),
                                          plan.suite,
                                          {portion->digests.begin(), portion->digests.end()},
                                          plan.client_id,
                                          "127.0.0.1"};
      const auto answer = must("SAM", sam->sign(request));
      if (answer.signatures.size() != options.batch) fail("the SAM stopped");
      return options.batch;
    };
  });
}

void measure_https(const RemoteOptions& options) {
  auto plan = Plan::read(options.plan);
  const auto context = HttpsConnection::make_context(plan.ca_file, {});
  measure({options.name, options.clients, options.seconds}, [&](unsigned) -> Call {
    struct Client {
      Client(ssl_ctx_st* tls, const Plan& work) : plan(work), connection(tls, work.https_port) {}
      ~Client() {
        if (last) verify_answer(plan, *last, body);
      }
      Client(const Client&) = delete;
      Client& operator=(const Client&) = delete;
      const Plan& plan;
      HttpsConnection connection;
      std::optional<Portion> last;
      std::string_view body;
    };
    return [&, client = std::make_shared<Client>(context.get(), plan)]() -> unsigned {
      const auto portion = plan.next(options.batch);
      if (!portion) return 0;
      client->body = client->connection.exchange(post(plan, "/csc/v2/signatures/signHash", sign_hash_body(plan, *portion)));
      client->last = portion;
      return options.batch;
    };
  });
}

void measure_posts(const RemoteOptions& options) {
  const auto plan = Plan::read(options.plan);
  const auto context = HttpsConnection::make_context(plan.ca_file, {plan.certificate_file, plan.key_file});
  measure({options.name, options.clients, options.seconds}, [&](unsigned client) -> Call {
    // A signer's messages keep their order: each one-time code must be later than the last.
    auto mine = std::make_shared<std::vector<const std::string*>>();
    for (std::size_t signer = client; signer < plan.bodies.size(); signer += options.clients) {
      for (const auto& body : plan.bodies[signer]) mine->push_back(&body);
    }
    return [&, mine, connection = std::make_shared<HttpsConnection>(context.get(), plan.https_port),
            next = std::size_t{0}]() mutable -> unsigned {
      if (next == mine->size()) return 0;
      (void)connection->exchange(post(plan, plan.path, *(*mine)[next++]));
      return 1;
    };
  });
}

}  // namespace intaglio::bench
