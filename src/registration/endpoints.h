#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "http/routes.h"
#include "notice/outbox.h"
#include "protocol/service.h"
#include "registration/authority.h"
#include "registration/key_requests.h"
#include "registration/one_at_a_time.h"
#include "registration/operator_request.h"
#include "registration/recorder.h"
#include "registration/revocation_codes.h"

namespace intaglio::registration {

/// Which requests the operator who enrolled the signer may not sign himself: nobody registers, certifies and revokes alone.
struct SecondPerson {
  bool certify = false;  ///< issue-certificate and bind-certificate
  bool resume = false;   ///< resume-key and release-certificate
  bool revoke = false;   ///< revoke-certificate, unless it is an emergency: that waits for nobody
};

struct Parts {
  std::shared_ptr<protocol::SamService> sam;
  std::shared_ptr<KeyRequests> requests;
  std::shared_ptr<CertificationAuthority> authority;
  std::function<void(const KeyId&)> credential_changed;  ///< told after each change of a credential through us
  std::shared_ptr<Enrolments> enrolments;
  std::shared_ptr<RevocationCodes> codes;
  std::shared_ptr<const Recorder> recorder;
  std::shared_ptr<const Clock> clock;
  std::shared_ptr<storage::Leases> leases;  ///< of all nodes
  SecondPerson second_person{};
  std::shared_ptr<notice::Outbox> outbox{};  ///< none: signers are told nothing, and a request with a contact is refused
};

/// Everything behind the registration listener, /ra/v1 (api/ra/README.md).
class Endpoints {
 public:
  explicit Endpoints(Parts parts)
      : parts_(std::move(parts)), issuing_(std::make_unique<OneAtATime>(parts_.leases, "issue", std::chrono::minutes(10))) {}
  /// The routes hold this object: it outlives the router. A caller needs a client certificate of the listener's authority.
  void add_routes(http::Router& router);

 private:
  [[nodiscard]] http::Response create_signer(const http::Request& request) const;
  [[nodiscard]] http::Response reset_factors(const http::Request& request) const;
  [[nodiscard]] http::Response pending_request(const http::Request& request, std::string_view credential) const;
  [[nodiscard]] http::Response issue_certificate(const http::Request& request) const;
  [[nodiscard]] http::Response bind_certificate(const http::Request& request) const;
  [[nodiscard]] http::Response suspend(const http::Request& request) const;
  [[nodiscard]] http::Response suspend_by_operator(const http::Request& request) const;
  [[nodiscard]] http::Response resume(const http::Request& request) const;
  [[nodiscard]] http::Response revoke(const http::Request& request) const;
  [[nodiscard]] http::Response release(const http::Request& request) const;

  /// The member `contact` of an operator's payload: nothing where it has none. Refused before the SAM is asked, and kept after its yes.
  [[nodiscard]] Result<std::optional<notice::Contact>> contact_of(const OperatorRequest& asked) const;
  void keep_contact(const http::Request& request, const SignerId& signer, const OperatorRequest& asked,
                    const std::optional<notice::Contact>& contact) const;

  /// An emergency: the key signs nothing from here on, whenever the PKI answers.
  void stop_first(const http::Request& request, const KeyId& key) const;
  /// After the SAM made a key sign: refused, and the key stopped, where its signer asked for that meanwhile.
  [[nodiscard]] Status stop_again(const KeyId& key) const;
  /// Refused (`not_authorised`) where policy wants a second person and it is not known that this operator is one.
  [[nodiscard]] Status check_second_person(bool wanted, const KeyId& key, const OperatorRequest& asked) const;
  /// Refused also (`conflict`) where the signer asked for a revocation.
  [[nodiscard]] Status check_going_on(bool second_person, const KeyId& key, const OperatorRequest& asked) const;

  Parts parts_;
  std::unique_ptr<OneAtATime> issuing_;
};

}  // namespace intaglio::registration
