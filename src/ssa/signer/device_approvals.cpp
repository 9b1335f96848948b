#include "ssa/signer/device_approvals.h"

#include <optional>

#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/jose/jwe.h"
#include "crypto/random.h"
#include "crypto/symmetric.h"

namespace intaglio::ssa::signer {
namespace {

constexpr std::size_t random_handle_bytes = 32;
constexpr std::string_view parked_type = "intaglio-parked-sad+jwe";
constexpr std::string_view waiting = "waiting", approved_state = "approved", declined_state = "declined";

Secret private_key_seal(std::string_view handle) {
  return crypto::hkdf_sha256(as_bytes(handle), {}, as_bytes("intaglio/ssa/device-approval/1"), 32);
}

struct Kept {
  std::string client, state, sad;
  Bytes private_key;
  std::int64_t expires;
};

/// Exactly one row that still waits.
Status decided(const Result<std::int64_t>& changed) {
  if (!changed) return changed.error();
  return *changed == 1 ? Status() : Status(Error{ErrorCode::not_found, "no approval waits under this name"});
}

}  // namespace

DeviceApprovals::DeviceApprovals(std::shared_ptr<storage::Database> database, std::shared_ptr<const Clock> clock)
    : database_(std::move(database)), clock_(std::move(clock)) {}

Result<DeviceApprovals::Begun> DeviceApprovals::begin(std::string_view client, UnixTime expires) const {
  const auto random = crypto::random_bytes(random_handle_bytes);
  if (!random) return random.error();
  auto handle = encode_base64url(*random);
  const auto digest = crypto::sha256(as_bytes(handle));
  const auto key = crypto::SoftwareKey::generate();
  if (!key) return key.error();
  const auto pem = (*key)->encode_pem();
  if (!pem) return pem.error();
  const auto seal = private_key_seal(handle);
  const auto sealed = crypto::gcm_seal(seal.reveal(), pem->reveal(), ByteView(digest));
  if (!sealed) return sealed.error();
  const auto written = database_->write([&](storage::Transaction& transaction) -> Status {
    auto purged = transaction.execute("DELETE FROM ssa_device_approvals WHERE expires <= ?1", {unix_seconds(clock_->now())});
    if (!purged) return purged.error();
    auto added = transaction.execute(
        "INSERT INTO ssa_device_approvals (handle, client, state, public_key, private_key, sad, expires) VALUES (?1, ?2, ?3, ?4, ?5, '', "
        "?6)",
        {ByteView(digest), client, waiting, ByteView((*key)->public_key().spki()), ByteView(*sealed), unix_seconds(expires)});
    return added ? Status() : Status(added.error());
  });
  if (!written) return written.error();
  return Begun{std::move(handle), encode_base64url(digest)};
}

Status DeviceApprovals::approved(storage::Transaction& transaction, std::string_view name, const Secret& sad, UnixTime sad_expires) const {
  const auto digest = parse_base64url(name);
  if (!digest) return digest.error();
  const auto spki = transaction.query_one<Bytes>("SELECT public_key FROM ssa_device_approvals WHERE handle = ?1 AND state = ?2",
                                                 {ByteView(*digest), waiting}, [](const storage::Row& row) { return row.bytes(0); });
  if (!spki) return spki.error();
  if (!*spki) return Error{ErrorCode::not_found, "no approval waits under this name"};
  const auto key = crypto::PublicKey::parse_spki(**spki);
  if (!key) return key.error();
  const auto sealed = crypto::make_jwe(*key, {std::string(parked_type), "approval", *digest, to_bytes("approval")}, sad.reveal());
  if (!sealed) return sealed.error();
  return decided(transaction.execute("UPDATE ssa_device_approvals SET state = ?2, sad = ?3, expires = ?4 WHERE handle = ?1 AND state = ?5",
                                     {ByteView(*digest), approved_state, std::string_view(*sealed), unix_seconds(sad_expires), waiting}));
}

Status DeviceApprovals::declined(storage::Transaction& transaction, std::string_view name) const {
  const auto digest = parse_base64url(name);
  if (!digest) return digest.error();
  return decided(transaction.execute("UPDATE ssa_device_approvals SET state = ?2 WHERE handle = ?1 AND state = ?3",
                                     {ByteView(*digest), declined_state, waiting}));
}

Result<std::variant<DeviceApprovals::Waiting, DeviceApprovals::Declined, DeviceApprovals::Given>> DeviceApprovals::check(
    std::string_view handle, std::string_view client) const {
  using Found = std::variant<Waiting, Declined, Given>;
  const auto digest = crypto::sha256(as_bytes(handle));
  std::optional<Kept> kept;
  const auto read = database_->read([&](storage::Reader& reader) -> Status {
    auto found = reader.query_one<Kept>("SELECT client, state, sad, private_key, expires FROM ssa_device_approvals WHERE handle = ?1",
                                        {ByteView(digest)}, [](const storage::Row& row) {
                                          return Kept{row.text(0), row.text(1), row.text(2), row.bytes(3), row.integer(4)};
                                        });
    if (!found) return found.error();
    kept = std::move(*found);
    return {};
  });
  if (!read) return read.error();
  if (!kept) return Error{ErrorCode::not_found, "no such handle"};
  if (refused_by("ssa.device.client", kept->client != client)) return Error{ErrorCode::not_found, "the handle is another client's"};
  if (refused_by("ssa.device.expired", kept->expires <= unix_seconds(clock_->now()))) {
    return Error{ErrorCode::not_found, "the handle is expired"};
  }
  if (kept->state == waiting) return Found(Waiting{});
  if (kept->state == declined_state) return Found(Declined{});
  const auto seal = private_key_seal(handle);
  const auto pem = crypto::gcm_open(seal.reveal(), kept->private_key, ByteView(digest));
  if (!pem) return Error{ErrorCode::internal, "the key of an approval does not open: " + pem.error().detail};
  const auto key = crypto::SoftwareKey::parse_pem(*pem);
  if (!key) return key.error();
  auto sad = crypto::open_jwe(**key, parked_type, kept->sad);
  if (!sad) return Error{ErrorCode::internal, "the SAD of an approval does not open: " + sad.error().detail};
  return Found(Given{std::move(*sad), from_unix_seconds(kept->expires)});
}

}  // namespace intaglio::ssa::signer
