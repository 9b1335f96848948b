#pragma once

#include <array>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "crypto/algorithms.h"
#include "document/pades/pdf_source.h"

/// PAdES baseline B-B (EN 319 142-1): a CAdES signature in an incremental update of the PDF.
namespace intaglio::document::pades {

/// What a reader wants to know before anything is signed.
struct PdfFacts {
  std::string version;            ///< of the header, for example "1.7"
  std::size_t pages;
  std::size_t signatures;         ///< that are there already
  bool has_form;
  bool has_stream_cross_reference;
};
/// Reads the structure; refused (`invalid_request`) with the reason when the document cannot be signed faithfully: encrypted,
/// damaged, certified against any change, dynamic XFA.
[[nodiscard]] Result<PdfFacts> inspect(const std::shared_ptr<const PdfSource>& document);

struct SignatureOptions {
  crypto::HashAlgorithm hash = crypto::HashAlgorithm::sha256;
  std::size_t contents_bytes;  ///< room for the CMS, DER; see contents_bytes_for. 1 024 to 1 048 576.
  UnixTime time;               ///< the claimed signing time, /M (EN 319 142-1, 5.3)
  std::string name;            ///< the signer's, UTF-8, at most 256 bytes; left out when empty
  std::string reason;          ///< UTF-8, at most 256 bytes; left out when empty
};
/// Room for a CMS with this chain, its signed attributes and one signature, and a margin for what a later issue of the
/// signature may add.
[[nodiscard]] std::size_t contents_bytes_for(const std::vector<Bytes>& certificates) noexcept;

/// ISO 32000-1, 12.8.1: offset and length of the two signed pieces.
using ByteRange = std::array<std::uint64_t, 4>;

/// What happens to a file that has the output's name already.
enum class Existing { keep, replace };

/// A document together with the incremental update that will carry the signature: everything but the CMS is fixed.
class PreparedPdf {
 public:
  /// Over the byte range: the messageDigest of the CMS.
  [[nodiscard]] const Bytes& digest() const noexcept { return digest_; }
  [[nodiscard]] const ByteRange& byte_range() const noexcept { return byte_range_; }
  [[nodiscard]] const PdfFacts& facts() const noexcept { return facts_; }
  [[nodiscard]] const std::string& field_name() const noexcept { return field_name_; }
  /// What follows the input's bytes, the CMS filled in and padded; `too_large` when it does not fit.
  [[nodiscard]] Result<Bytes> update_with(ByteView cms) const;

 private:
  friend Result<PreparedPdf> prepare(const std::shared_ptr<const PdfSource>&, const SignatureOptions&);
  friend Status write_signed(const std::filesystem::path&, const PreparedPdf&, ByteView, Existing);
  PreparedPdf() = default;
  std::shared_ptr<const PdfSource> input_;
  crypto::HashAlgorithm hash_ = crypto::HashAlgorithm::sha256;
  PdfFacts facts_{};
  std::string field_name_;
  Bytes update_;                     ///< with zeros where the CMS goes
  std::size_t contents_at_ = 0;      ///< first hexadecimal digit, in update_
  std::size_t contents_bytes_ = 0;
  ByteRange byte_range_{};
  Bytes digest_;
};

/// Builds the update and digests document and update in one pass of bounded memory.
[[nodiscard]] Result<PreparedPdf> prepare(const std::shared_ptr<const PdfSource>& input, const SignatureOptions& options);

/// Writes input and update, durable and all or nothing: a temporary file beside the output, fsync, rename, fsync of the
/// folder. Refused: `conflict` when the output exists and is to be kept, or the input changed since prepare;
/// `storage_unavailable` when it cannot be written. After a refusal everything is as it was before.
Status write_signed(const std::filesystem::path& output, const PreparedPdf& prepared, ByteView cms, Existing existing);

}  // namespace intaglio::document::pades
