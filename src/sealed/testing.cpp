#include "sealed/testing.h"

#include "crypto/symmetric.h"

namespace intaglio::sealed {
namespace {

/// Wraps data keys under a key in memory; everything else that a token does, it does not.
class MemoryToken final : public token::Token {
 public:
  explicit MemoryToken(Secret key) : key_(std::move(key)) {}
  [[nodiscard]] static token::ServiceKey sealing_key() { return make_service_key(to_bytes("sealing"), 1); }
  [[nodiscard]] Result<Bytes> encrypt(const token::ServiceKey&, ByteView plaintext, ByteView associated) override {
    return crypto::gcm_seal(key_.reveal(), plaintext, associated);
  }
  [[nodiscard]] Result<Secret> decrypt(const token::ServiceKey&, ByteView sealed, ByteView associated) override {
    return crypto::gcm_open(key_.reveal(), sealed, associated);
  }

 private:
  Secret key_;
};

}  // namespace

Result<std::shared_ptr<Sealer>> open_testing_sealer(storage::Database& database, ByteView wrapping_key, std::shared_ptr<const Clock> clock,
                                                    const std::filesystem::path& versions) {
  return Sealer::open(database, std::make_shared<MemoryToken>(Secret(wrapping_key)), MemoryToken::sealing_key(), std::move(clock),
                      versions);
}

}  // namespace intaglio::sealed
