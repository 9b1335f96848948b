#pragma once

#include <functional>
#include <optional>

#include "token/detail/key_profile.h"
#include "token/detail/throw_away.h"

namespace intaglio::token::detail {

/// Tries a token with throw-away objects and writes down what it did.
class Prober {
 public:
  Prober(Connection& connection, OwnSession session);
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;

  /// Signs with a key of this algorithm by each suite that fits it, verifies outside, and measures.
  void try_signatures(crypto::KeyAlgorithm algorithm, unsigned rounds);
  void try_service_keys(unsigned rounds);
  void try_random(unsigned rounds);
  /// What a token must refuse for keys of this algorithm.
  void try_refusals_of_pair(crypto::KeyAlgorithm algorithm);
  void try_refusals_of_secrets();
  /// Once, at the end: what was found out, and whether nothing of it stays in the token.
  [[nodiscard]] std::vector<ProbeLine> finish();

 private:
  struct Pair {
    CK_OBJECT_HANDLE own, other;
  };
  /// A step of an operation: CKR_OK, or where it ended.
  using Step = std::function<CK_RV()>;

  [[nodiscard]] const CK_FUNCTION_LIST& functions() const noexcept { return connection_.functions(); }
  CK_RV count(Function function, CK_RV result) noexcept {
    return connection_.counters().record(function, ObjectKind::probe_object, result);
  }
  [[nodiscard]] ObjectView view(CK_OBJECT_HANDLE object) {
    return {functions(), connection_.counters(), session_.handle(), object, ObjectKind::probe_object};
  }
  [[nodiscard]] CK_RV make_pair(const KeyProfile& profile, crypto::KeyAlgorithm algorithm, Template own, Pair& pair);
  [[nodiscard]] CK_RV make_secret(CK_MECHANISM_TYPE generation, Template attributes, CK_OBJECT_HANDLE& key);
  [[nodiscard]] CK_RV encrypt(CK_OBJECT_HANDLE key, CK_MECHANISM& mechanism, ByteView plaintext, Bytes& out);
  [[nodiscard]] CK_RV decrypt(CK_OBJECT_HANDLE key, CK_MECHANISM& mechanism, ByteView sealed, Bytes& out);
  [[nodiscard]] CK_RV sign(CK_OBJECT_HANDLE key, CK_MECHANISM& mechanism, ByteView input, Bytes& out);
  [[nodiscard]] CK_RV derive(CK_OBJECT_HANDLE key, ByteView point, CK_OBJECT_HANDLE& secret);
  [[nodiscard]] CK_RV wrap(CK_OBJECT_HANDLE wrapping, CK_OBJECT_HANDLE key);
  [[nodiscard]] CK_RV set_flag(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool value);
  [[nodiscard]] CK_RV copy_with(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type, bool value);
  [[nodiscard]] CK_RV read(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type);
  /// CKR_OK when anything that gives the private key away is shown.
  [[nodiscard]] CK_RV read_secrets(CK_OBJECT_HANDLE object, crypto::KeyAlgorithm algorithm);
  void try_derivation(unsigned rounds);
  void try_flags(const std::string& name, const KeyProfile& profile, crypto::KeyAlgorithm algorithm, CK_OBJECT_HANDLE closed);
  void try_ways_out(const std::string& name, crypto::KeyAlgorithm algorithm, const Pair& pair);
  void try_wrapping(const std::string& name, CK_OBJECT_HANDLE closed);
  /// Then the keys of this probe, and of an earlier one that was killed, are destroyed at begin and end.
  [[nodiscard]] bool stored() const noexcept { return stores_throw_away_keys(connection_); }

  void measured(std::string name, unsigned rounds, const Step& step);
  void works(std::string name, CK_RV result, std::string detail = {});
  /// A refusal by an error of the device counts as well: what matters is that nothing was given.
  void must_refuse(std::string name, CK_RV result);

  Connection& connection_;
  OwnSession session_;
  std::vector<ProbeLine> lines_;
};

}  // namespace intaglio::token::detail
