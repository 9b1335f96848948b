#pragma once

#include <condition_variable>
#include <memory>
#include <thread>

#include "http/routes.h"
#include "pki/ca/authority.h"
#include "pki/crl/publisher.h"
#include "pki/ocsp/responder.h"
#include "pki/tsa/time_stamping.h"

namespace intaglio::pki {

/// What the service publishes unchanged.
struct Publications {
  Bytes root_certificate, root_list;
};

/// The role `tsa`: a unit, and the policy under which it stamps.
struct TimeStampingRole {
  UnitProfile unit;
  TimestampPolicy policy;
  std::shared_ptr<const crypto::Signer> signer;
};

/// The parts of a running PKI and their two HTTP surfaces (api/pki/README.md). A thread of its own keeps the revocation list and
/// the responder's certificate fresh.
class Service {
 public:
  struct Config {
    AuthorityConfig authority;
    Operators operators;
    std::chrono::seconds request_max_age;
    PublisherConfig publisher;
    ResponderConfig responder;
    std::chrono::seconds ocsp_cache;  ///< how long caches may keep the answer to a GET; 0: not at all
    Publications publications;
    std::optional<TimeStampingRole> time_stamping;
  };

  /// Issues what is missing: the responder's certificate, the time-stamping unit's, and a current list. Refused (`configuration`):
  /// time-stamping with a key that signs something else, or a claim of qualification that `authority.qualified` does not allow.
  [[nodiscard]] static Result<std::unique_ptr<Service>> open(Config config, Issuer issuer,
                                                             std::shared_ptr<const crypto::Signer> ocsp_signer,
                                                             const Environment& environment);
  ~Service();

  /// /pki/v1/…: the peer must have shown a certificate; what it asks for is decided by the signatures in the request.
  [[nodiscard]] http::Handler internal_handler() const { return internal_.handler(); }
  /// /crl, /ca, /ocsp, and /tsa when that role is on: for everybody.
  [[nodiscard]] http::Handler public_handler() const { return public_.handler(); }
  /// Learns of each answer of both surfaces. Before they serve.
  void observe_with(http::Observer internal, http::Observer open);

  /// What is in force now.
  struct Standing {
    struct List {
      std::uint64_t number;
      UnixTime next_update;
    };
    std::optional<List> list;
    UnixTime issuing_end, responder_end;        ///< of their certificates
    std::optional<UnixTime> time_stamping_end;  ///< of the unit's key, which ends before its certificate
    std::size_t preproduced;
  };
  [[nodiscard]] Standing standing() const;

  /// Whatever is due: list, responder's certificate, a batch of OCSP answers, old request ids. The thread calls it; tests do too. Gives
  /// whether more answers are due at once.
  bool tend();

 private:
  Service(OperatorGate gate, Publications publications, std::chrono::seconds ocsp_cache, Environment environment);
  void route();
  /// A batch of OCSP answers; whether more are due.
  bool renew_answers();
  [[nodiscard]] http::Response issue(const http::Request& request);
  [[nodiscard]] http::Response issue_short_term(const http::Request& request);
  using StatusChange = Result<std::string> (Authority::*)(std::string_view operator_request);
  [[nodiscard]] http::Response change_status(const http::Request& request, StatusChange change);
  [[nodiscard]] http::Response list_for_peers() const;
  [[nodiscard]] http::Response published_list(const http::Request& request, Bytes StoredList::*list, std::string CurrentList::*tag) const;
  Status open_time_stamping(TimeStampingRole role, bool qualified);
  [[nodiscard]] http::Response time_stamp(const http::Request& request);
  [[nodiscard]] http::Response ocsp(ByteView request);
  [[nodiscard]] http::Response ocsp_get(const http::Request& request, const http::PathParameters& parameters);

  Environment environment_;
  OperatorGate gate_;
  Publications publications_;
  std::chrono::seconds ocsp_cache_;
  std::unique_ptr<Authority> authority_;
  std::unique_ptr<Publisher> publisher_;
  std::unique_ptr<Responder> responder_;
  std::unique_ptr<TimeStamping> time_stamping_;  ///< empty: the role is off
  std::shared_ptr<const crypto::Signer> ocsp_signer_;
  http::Router internal_, public_;
  std::mutex mutex_, tend_mutex_;  ///< of the wait; of what the thread and tests may both do
  std::condition_variable_any wake_;
  std::jthread tending_;  ///< last: it ends before what it uses
};

}  // namespace intaglio::pki
