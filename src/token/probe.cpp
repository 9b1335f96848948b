#include "token/detail/prober.h"
#include "token/detail/state.h"

namespace intaglio::token {

using crypto::KeyAlgorithm;

Result<std::vector<ProbeLine>> probe(Token& token, bool quick) {
  if (!token.state_) return Error{ErrorCode::unsupported, "this token cannot be probed"};
  auto& connection = *token.state_->connection;
  if (auto ready = connection.ensure_login(); !ready) return ready.error();
  // Holds off a new login, which would make the session void.
  const auto lease = connection.lease();
  if (!lease) return lease.error();
  auto session = detail::OwnSession::open(connection, detail::OwnSession::Access::read_only);
  if (!session) return session.error();
  detail::Prober prober(connection, *std::move(session));

  const unsigned rounds = quick ? 3 : 50;
  prober.try_random(rounds);
  prober.try_service_keys(rounds);
  prober.try_signatures(KeyAlgorithm::p256, rounds);
  if (!quick) {
    for (const auto algorithm :
         {KeyAlgorithm::p384, KeyAlgorithm::p521, KeyAlgorithm::rsa2048, KeyAlgorithm::rsa3072, KeyAlgorithm::rsa4096}) {
      prober.try_signatures(algorithm, rounds);
    }
  }
  prober.try_refusals_of_secrets();
  prober.try_refusals_of_pair(KeyAlgorithm::p256);
  // Two RSA keys are generated here; 2048 bits are enough to learn what a token refuses.
  prober.try_refusals_of_pair(KeyAlgorithm::rsa2048);
  return std::move(prober).lines();
}

}  // namespace intaglio::token
