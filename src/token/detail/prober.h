#pragma once

#include <functional>
#include <optional>

#include "token/detail/key_profile.h"
#include "token/detail/own_session.h"

namespace intaglio::token::detail {

/// Tries a token with throw-away session objects and writes down what it did.
class Prober {
 public:
  Prober(Connection& connection, OwnSession session) : connection_(connection), session_(std::move(session)) {}

  /// Signs with a key of this algorithm by each suite that fits it, verifies outside, and measures.
  void try_signatures(crypto::KeyAlgorithm algorithm, unsigned rounds);
  void try_service_keys(unsigned rounds);
  void try_random(unsigned rounds);
  /// What a token must refuse for keys of this algorithm.
  void try_refusals_of_pair(crypto::KeyAlgorithm algorithm);
  void try_refusals_of_secrets();
  [[nodiscard]] std::vector<ProbeLine> lines() && { return std::move(lines_); }

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
  void try_derivation(unsigned rounds);

  void measured(std::string name, unsigned rounds, const Step& step);
  void works(std::string name, CK_RV result, std::string detail = {});
  /// A refusal by an error of the device counts as well: what matters is that nothing was given.
  void must_refuse(std::string name, CK_RV result);

  Connection& connection_;
  OwnSession session_;
  std::vector<ProbeLine> lines_;
};

}  // namespace intaglio::token::detail
