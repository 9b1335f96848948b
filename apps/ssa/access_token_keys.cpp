#include "access_token_keys.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "crypto/jose/jws.h"

namespace intaglio::apps::ssa {
namespace {

constexpr auto purpose = token::KeyPurpose::service_signature;

Status destroy(token::Token& token, const oauth::KeptTokenKey& key) {
  const auto gone = [&](const Result<token::ServiceKey>& found) { return !found && found.error().code == ErrorCode::not_found; };
  const auto found = token.find_service_key(purpose, as_bytes(key.id));
  if (gone(found)) return {};
  if (!found) return found.error();
  auto destroyed = token.destroy(*found);
  // Another node may have been faster.
  return destroyed || gone(token.find_service_key(purpose, as_bytes(key.id))) ? Status() : destroyed;
}

/// What stands in the register only when it is on the token no more: a crash between the two is met at the next start.
Status destroy_ended(token::Token& token, const oauth::TokenKeyRegister& kept) {
  const auto ended = kept.ended();
  if (!ended) return ended.error();
  for (const auto& key : *ended) {
    if (auto done = destroy(token, key); !done) return done;
    if (auto done = kept.forget(key); !done) return done;
    log::info("token_key.destroyed", {{"key", key.id}, {"kid", key.kid}});
  }
  return {};
}

bool is_named_after(const std::string& id, const std::string& first) { return id == first || id.starts_with(first + "."); }

Result<std::shared_ptr<crypto::Signer>> open_key(const std::shared_ptr<token::Token>& token, const oauth::KeptTokenKey& key) {
  auto found = token->find_service_key(purpose, as_bytes(key.id));
  if (!found) {
    return Error{ErrorCode::configuration, "the key " + key.id + " of access tokens is not on the token: " + found.error().detail};
  }
  auto signer = token::make_signer(token, std::move(*found));
  if (!signer) return signer.error();
  const auto kid = crypto::jwk_thumbprint((*signer)->public_key());
  if (!kid) return kid.error();
  if (refused_by("ssa.token_key.thumbprint", *kid != key.kid)) {
    return Error{ErrorCode::configuration, "the key " + key.id + " of access tokens is another than it was"};
  }
  return signer;
}

Result<token::ServiceKey> find_or_make(token::Token& token, token::KeyPurpose kind, std::string_view id) {
  auto key = token.find_service_key(kind, as_bytes(id));
  if (key || key.error().code != ErrorCode::not_found) return key;
  return token.generate_service_key(kind, as_bytes(id), "intaglio " + std::string(id));
}

/// What the register keeps of the key of this name, which is made when there is none.
Result<oauth::KeptTokenKey> find_or_make_kept(const std::shared_ptr<token::Token>& token, const std::string& id, UnixTime signs_from) {
  auto key = find_or_make(*token, purpose, id);
  if (!key) return key.error();
  const auto signer = token::make_signer(token, std::move(*key));
  if (!signer) return signer.error();
  auto kid = crypto::jwk_thumbprint((*signer)->public_key());
  if (!kid) return kid.error();
  return oauth::KeptTokenKey{id, std::move(*kid), signs_from};
}

}  // namespace

Result<token::ServiceKey> find_or_make(token::Token& token, token::KeyPurpose kind, std::string_view id, storage::Database& database) {
  Result<token::ServiceKey> found = Error{ErrorCode::internal, "no key was looked for"};
  // In a transaction, which the nodes have one after the other.
  const auto done = database.write([&](storage::Transaction&) -> Status {
    found = find_or_make(token, kind, id);
    return found ? Status() : Status(found.error());
  });
  if (!done) return done.error();
  return found;
}

Result<oauth::TokenKeys> open_token_keys(const std::shared_ptr<token::Token>& token, const std::string& first,
                                         const oauth::TokenKeyRegister& kept) {
  auto keys = kept.keys();
  if (!keys) return keys.error();
  if (keys->empty()) {
    if (auto begun = kept.begin([&] { return find_or_make_kept(token, first, UnixTime{}); }); !begun) return begun.error();
  }
  if (auto destroyed = destroy_ended(*token, kept); !destroyed) return destroyed.error();
  keys = kept.keys();
  if (!keys) return keys.error();
  std::vector<oauth::TokenKeys::Given> given;
  for (const auto& key : *keys) {
    if (!is_named_after(key.id, first)) {
      return Error{ErrorCode::configuration, "access_token in [keys] is " + first + ", and there is the key " + key.id +
                                                 " already: --next-token-key makes the one that follows"};
    }
    auto signer = open_key(token, key);
    if (!signer) return signer.error();
    given.push_back({std::move(*signer), key.signs_from});
  }
  return oauth::TokenKeys::make(given);
}

Result<oauth::KeptTokenKey> announce_next_token_key(const std::shared_ptr<token::Token>& token, const std::string& first,
                                                    const oauth::TokenKeyRegister& kept, UnixTime signs_from) {
  // The row of keys is whole before another one is added.
  if (const auto opened = open_token_keys(token, first, kept); !opened) return opened.error();
  if (auto open = kept.check_announcement(signs_from); !open) return open.error();
  const auto id = kept.next_id(first);
  if (!id) return id.error();
  auto next = find_or_make_kept(token, *id, signs_from);
  if (!next) return next.error();
  if (auto announced = kept.announce(*next); !announced) return announced.error();
  return next;
}

}  // namespace intaglio::apps::ssa
