#include <algorithm>

#include "token/detail/prober.h"
#include "token/detail/state.h"

namespace intaglio::token {

using crypto::KeyAlgorithm;
namespace {

std::optional<KeyAlgorithm> smallest(const HsmProfile& hsm, std::initializer_list<KeyAlgorithm> rising) {
  const auto found = std::find_if(rising.begin(), rising.end(), [&](KeyAlgorithm algorithm) { return hsm.serves(algorithm); });
  return found == rising.end() ? std::nullopt : std::optional(*found);
}

}  // namespace

Result<std::vector<ProbeLine>> probe(Token& token, bool quick) {
  if (!token.state_) return Error{ErrorCode::unsupported, "this token cannot be probed"};
  auto& connection = *token.state_->connection;
  if (auto ready = connection.ensure_login(); !ready) return ready.error();
  // Holds off a new login, which would make the session void.
  const auto lease = connection.lease();
  if (!lease) return lease.error();
  const auto& hsm = connection.profile();
  const auto access =
      detail::stores_throw_away_keys(connection) ? detail::OwnSession::Access::read_write : detail::OwnSession::Access::read_only;
  auto session = detail::OwnSession::open(connection, access);
  if (!session) return session.error();
  detail::Prober prober(connection, *std::move(session));

  const unsigned rounds = quick ? 3 : 50;
  prober.try_random(rounds);
  if (hsm.service_keys) prober.try_service_keys(rounds);
  const auto smallest_ec = smallest(hsm, {KeyAlgorithm::p256, KeyAlgorithm::p384, KeyAlgorithm::p521});
  const auto smallest_rsa = smallest(hsm, {KeyAlgorithm::rsa2048, KeyAlgorithm::rsa3072, KeyAlgorithm::rsa4096});
  for (const auto algorithm :
       {KeyAlgorithm::p256, KeyAlgorithm::p384, KeyAlgorithm::p521, KeyAlgorithm::rsa2048, KeyAlgorithm::rsa3072, KeyAlgorithm::rsa4096}) {
    if (hsm.serves(algorithm) && (!quick || algorithm == smallest_ec.value_or(smallest_rsa.value_or(algorithm))))
      prober.try_signatures(algorithm, rounds);
  }
  if (hsm.service_keys) prober.try_refusals_of_secrets();
  if (smallest_ec) prober.try_refusals_of_pair(*smallest_ec);
  // Two RSA keys are generated here; the smallest are enough to learn what a token refuses.
  if (smallest_rsa) prober.try_refusals_of_pair(*smallest_rsa);
  return prober.finish();
}

}  // namespace intaglio::token
