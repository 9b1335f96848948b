#pragma once

#include <memory>
#include <semaphore>

#include "http/routes.h"
#include "oauth/authorization_endpoint.h"
#include "ssa/signer/identity_provider.h"

namespace intaglio::ssa::signer {

/// A provider that does not answer holds so many workers and no more.
using PlacesAtProvider = std::counting_semaphore<8>;

/// A signer who confirms by his identity provider (api/sic/README.md): the page says what he is to sign in for, the browser goes there and
/// comes back with a code, and the page gets the ID token, which it seals to the SAM. The nonce is the page's: an ID token confirms what
/// the page showed and nothing else, whatever this service does with it. A sign-in belongs to one approval, one browser and one code.
class IdentityLogin {
 public:
  IdentityLogin(std::shared_ptr<oauth::AuthorizationEndpoint> authorization, std::shared_ptr<const IdentityProvider> provider,
                std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock);

  /// From the page: where to sign in for a nonce, and the handle with which the page comes back; its bearer ends.
  [[nodiscard]] http::Response begin(const http::Request& request) const;
  /// From the page that came back, with its new bearer: the code for the ID token. A sign-in is asked for once, whatever comes of it.
  [[nodiscard]] http::Response finish(const http::Request& request) const;

 private:
  struct Shown {
    std::string handle, state;
  };
  /// The nonce of the sign-in that belongs to this approval, which is gone afterwards.
  [[nodiscard]] Result<std::string> take(ByteView approval, const Shown& shown) const;

  std::shared_ptr<oauth::AuthorizationEndpoint> authorization_;
  std::shared_ptr<const IdentityProvider> provider_;
  std::shared_ptr<storage::Database> database_;
  std::shared_ptr<const Clock> clock_;
  mutable PlacesAtProvider places_{PlacesAtProvider::max()};
};

}  // namespace intaglio::ssa::signer
