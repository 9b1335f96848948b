#include "oauth/migrations.h"

namespace intaglio::oauth {

const std::vector<storage::Migration>& migrations() {
  static const std::vector<storage::Migration> series{{1, R"sql(
CREATE TABLE oauth_used_assertions (
  client TEXT NOT NULL,
  jti BLOB NOT NULL,
  expires INTEGER NOT NULL,
  PRIMARY KEY (client, jti)
);
CREATE INDEX oauth_used_assertions_by_end ON oauth_used_assertions (expires);
)sql"},
                                                      {2, R"sql(
CREATE TABLE oauth_pushed_requests (
  reference BLOB PRIMARY KEY,
  client TEXT NOT NULL,
  request TEXT NOT NULL,
  expires INTEGER NOT NULL
);
CREATE TABLE oauth_approvals (
  handle BLOB UNIQUE,
  bearer BLOB UNIQUE,
  client TEXT NOT NULL,
  request TEXT NOT NULL,
  ticket TEXT NOT NULL,
  statement TEXT NOT NULL,
  content BLOB NOT NULL,
  nonce BLOB NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX oauth_approvals_by_end ON oauth_approvals (expires);
CREATE TABLE oauth_grants (
  id TEXT PRIMARY KEY,
  client TEXT NOT NULL,
  signer TEXT NOT NULL,
  ended INTEGER NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX oauth_grants_by_end ON oauth_grants (expires);
CREATE TABLE oauth_codes (
  code BLOB PRIMARY KEY,
  grant_id TEXT NOT NULL,
  request TEXT NOT NULL,
  sad BLOB NOT NULL,
  sad_expires INTEGER NOT NULL,
  code_expires INTEGER NOT NULL,
  used INTEGER NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX oauth_codes_by_end ON oauth_codes (expires);
CREATE TABLE oauth_parked_sads (
  grant_id TEXT PRIMARY KEY,
  sad BLOB NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX oauth_parked_sads_by_end ON oauth_parked_sads (expires);
)sql"},
                                                      {3, R"sql(
CREATE TABLE oauth_refresh_tokens (
  token BLOB PRIMARY KEY,
  grant_id TEXT NOT NULL,
  used INTEGER NOT NULL,
  expires INTEGER NOT NULL
);
CREATE INDEX oauth_refresh_tokens_by_end ON oauth_refresh_tokens (expires);
CREATE TABLE oauth_revoked_tokens (
  token BLOB PRIMARY KEY,
  expires INTEGER NOT NULL
);
CREATE INDEX oauth_revoked_tokens_by_end ON oauth_revoked_tokens (expires);
)sql"},
                                                      {4, R"sql(
CREATE TABLE oauth_used_proofs (
  proof BLOB PRIMARY KEY,
  expires INTEGER NOT NULL
);
CREATE INDEX oauth_used_proofs_by_end ON oauth_used_proofs (expires);
)sql"},
                                                      {5, R"sql(
CREATE TABLE oauth_token_keys (
  number INTEGER PRIMARY KEY,
  id TEXT NOT NULL UNIQUE,
  kid TEXT NOT NULL UNIQUE,
  signs_from INTEGER NOT NULL
);
)sql"},
                                                      {6, R"sql(
ALTER TABLE oauth_approvals ADD COLUMN signer TEXT NOT NULL DEFAULT '';
ALTER TABLE oauth_approvals ADD COLUMN name BLOB;
CREATE INDEX oauth_approvals_by_signer ON oauth_approvals (signer);
)sql"}};
  return series;
}

}  // namespace intaglio::oauth
