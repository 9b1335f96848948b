#include "document/pades/sign.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <set>

#include "crypto/digest.h"
#include "crypto/random.h"
#include "document/pades/detail/durable_copy.h"
#include "document/pades/detail/incremental_update.h"

namespace intaglio::document::pades {
namespace {

using detail::IncrementalUpdate;
using detail::Overrides;
using detail::PdfFile;
using detail::PdfObject;
using detail::write_reference;

constexpr std::size_t chunk_size = std::size_t{1} << 20;
constexpr std::size_t max_text = 256;
constexpr std::size_t range_width = 10;  // digits of an offset below 9.9 GB

Error refused(std::string why) { return Error{ErrorCode::invalid_request, std::move(why)}; }

/// PDF date, ISO 32000-1, 7.9.4.
std::string pdf_date(UnixTime time) {
  std::string out = "(D:";
  for (const char c : format_utc(time)) {
    if (c >= '0' && c <= '9') out += c;
  }
  return out + "Z)";
}

/// A certification signature whose transform parameters forbid every change (ISO 32000-1, 12.8.2.2, P = 1).
bool forbids_changes(const PdfObject& catalog) {
  auto signature = catalog.key("/Perms").key("/DocMDP");
  if (!signature.is_dictionary()) return false;
  auto references = signature.key("/Reference");
  if (!references.is_array()) return false;
  for (int i = 0; i < references.size(); ++i) {
    auto reference = references.item(i);
    if (!reference.key("/TransformMethod").is_name() || reference.key("/TransformMethod").name() != "/DocMDP") continue;
    auto permission = reference.key("/TransformParams").key("/P");
    if (permission.is_integer() && permission.integer() == 1) return true;
  }
  return false;
}

Result<PdfFacts> facts_of(const PdfFile& file) {
  auto signatures = file.signatures();
  if (!signatures) return signatures.error();
  PdfFacts facts{.version = file.version(),
                 .pages = file.page_count(),
                 .signatures = signatures->size(),
                 .has_form = false,
                 .has_stream_cross_reference = file.xref_kind() == detail::XrefKind::stream};
  const auto catalog = file.catalog();
  facts.has_form = catalog.key("/AcroForm").is_dictionary();
  if (catalog.key("/NeedsRendering").is_true()) {
    return refused(
        "dynamic XFA form: its pages are made by the viewer, so a signature over the file would not fix what is seen; print it to PDF "
        "first");
  }
  if (forbids_changes(catalog)) return refused("certified PDF: its author's signature forbids every change, a further signature included");
  if (auto damaged = file.undamaged(); !damaged) return damaged.error();
  return facts;
}

/// A name for the new field that no root field has.
std::string unused_field_name(const PdfObject& fields) {
  std::set<std::string> taken;
  if (fields.is_array()) {
    for (int i = 0; i < fields.size(); ++i) {
      auto field = fields.item(i);
      if (!field.is_dictionary()) continue;
      if (auto name = field.key("/T"); name.is_string()) taken.insert(name.text());
    }
  }
  for (unsigned number = 1;; ++number) {
    auto name = "Signature" + std::to_string(number);
    if (!taken.contains(name)) return name;
  }
}

/// Puts `widget` into the first page's annotations.
Status add_to_page(const PdfFile& file, IncrementalUpdate& update, const std::string& widget) {
  auto page = file.first_page();
  auto annotations = page.key("/Annots");
  if (!annotations.is_null() && !annotations.is_array()) return refused("damaged PDF: the annotations of the first page are no array");
  if (annotations.is_array() && annotations.is_indirect()) {
    update.write_object(annotations.number(), annotations.generation(), detail::write_array_with(annotations, widget));
    return {};
  }
  const auto array = annotations.is_array() ? detail::write_array_with(annotations, widget) : "[ " + widget + " ]";
  update.write_object(page.number(), page.generation(), detail::write_dictionary(file.document(), page, {{"/Annots", array}}));
  return {};
}

/// Puts `field` into the interactive form, which is made when there is none. SigFlags: SignaturesExist and AppendOnly (12.7.2).
Status add_to_form(const PdfFile& file, IncrementalUpdate& update, const std::string& field) {
  auto catalog = file.catalog();
  auto form = catalog.key("/AcroForm");
  if (!form.is_null() && !form.is_dictionary()) return refused("damaged PDF: the interactive form is no dictionary");
  if (form.is_null()) {
    const int number = update.new_object_number();
    update.write_object(number, 0, "<< /Fields [ " + field + " ] /SigFlags 3 >>");
    update.write_object(catalog.number(), catalog.generation(),
                        detail::write_dictionary(file.document(), catalog, {{"/AcroForm", write_reference(number, 0)}}));
    return {};
  }
  long long flags = 0;
  if (auto existing = form.key("/SigFlags"); existing.is_integer()) flags = existing.integer();
  Overrides overrides;
  if ((flags & 3) != 3) overrides["/SigFlags"] = std::to_string(flags | 3);

  auto fields = form.key("/Fields");
  if (!fields.is_null() && !fields.is_array()) return refused("damaged PDF: the fields of the form are no array");
  if (fields.is_array() && fields.is_indirect()) {
    update.write_object(fields.number(), fields.generation(), detail::write_array_with(fields, field));
    if (overrides.empty()) return {};
  } else {
    overrides["/Fields"] = fields.is_array() ? detail::write_array_with(fields, field) : "[ " + field + " ]";
  }
  const auto body = detail::write_dictionary(file.document(), form, overrides);
  if (form.is_indirect()) {
    update.write_object(form.number(), form.generation(), body);
  } else {
    update.write_object(catalog.number(), catalog.generation(), detail::write_dictionary(file.document(), catalog, {{"/AcroForm", body}}));
  }
  return {};
}

struct Placeholders {
  std::size_t byte_range_at;  ///< first character after "/ByteRange ["
  std::size_t contents_at;    ///< first hexadecimal digit
};
constexpr std::size_t range_room = 4 * (range_width + 1);

Placeholders write_signature(const PdfFile& file, IncrementalUpdate& update, int number, const SignatureOptions& options) {
  std::string body = "<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /M " + pdf_date(options.time);
  if (!options.name.empty()) body += " /Name " + detail::write_text(file.document(), options.name);
  if (!options.reason.empty()) body += " /Reason " + detail::write_text(file.document(), options.reason);
  body += " /ByteRange [";
  const auto range_at = body.size();
  body += std::string(range_room, ' ') + "] /Contents <";
  const auto contents_at = body.size();
  body += std::string(2 * options.contents_bytes, '0') + "> >>";
  const auto at = update.write_object(number, 0, body);
  return {at + range_at, at + contents_at};
}

Status check_options(const SignatureOptions& options) {
  if (options.contents_bytes < 1024 || options.contents_bytes > 1024 * 1024) return refused("room for the CMS out of bounds");
  if (options.name.size() > max_text || options.reason.size() > max_text) return refused("name or reason longer than 256 bytes");
  return {};
}

/// Reads the whole source in pieces of bounded size.
Status read_all(const PdfSource& source, const std::function<Status(ByteView)>& take) {
  Bytes chunk(static_cast<std::size_t>(std::min<std::uint64_t>(chunk_size, source.size())));
  for (std::uint64_t at = 0; at < source.size();) {
    const auto wanted = static_cast<std::size_t>(std::min<std::uint64_t>(chunk.size(), source.size() - at));
    auto got = source.read_at(at, std::span(chunk).first(wanted));
    if (!got) return got.error();
    if (*got != wanted) return Error{ErrorCode::conflict, "the document became shorter while it was read"};
    if (auto taken = take(ByteView(chunk).first(wanted)); !taken) return taken;
    at += wanted;
  }
  return {};
}

/// What is handed out is a document that is read again, with the same pages and one signature more.
Status check_result(const std::filesystem::path& file, const PdfFacts& before) {
  auto source = open_file(file);
  if (!source) return source.error();
  auto after = inspect(*source);
  if (!after) return Error{ErrorCode::internal, "the signed document cannot be read back: " + after.error().detail};
  if (after->pages == before.pages && after->signatures == before.signatures + 1) return {};
  return Error{ErrorCode::internal, "the signed document reads back as another one"};
}

}  // namespace

std::size_t contents_bytes_for(const std::vector<Bytes>& certificates) noexcept {
  std::size_t total = 4096;
  for (const auto& certificate : certificates) total += certificate.size();
  return std::min<std::size_t>(total, 1024 * 1024);
}

Result<PdfFacts> inspect(const std::shared_ptr<const PdfSource>& document) {
  auto file = PdfFile::open(document);
  if (!file) return file.error();
  return facts_of(*file);
}

Result<PreparedPdf> prepare(const std::shared_ptr<const PdfSource>& input, const SignatureOptions& options) {
  if (auto checked = check_options(options); !checked) return checked.error();
  auto file = PdfFile::open(input);
  if (!file) return file.error();
  auto facts = facts_of(*file);
  if (!facts) return facts.error();
  auto second_id = crypto::random_bytes(16);
  if (!second_id) return second_id.error();
  std::array<std::uint8_t, 1> last{};
  if (auto got = input->read_at(input->size() - 1, last); !got) return got.error();

  PreparedPdf prepared;
  prepared.input_ = input;
  prepared.hash_ = options.hash;
  prepared.facts_ = std::move(*facts);
  prepared.contents_bytes_ = options.contents_bytes;
  IncrementalUpdate update(*file, input->size(), last[0] != '\n' && last[0] != '\r');
  prepared.field_name_ = unused_field_name(file->catalog().key("/AcroForm").key("/Fields"));
  const int signature = update.new_object_number();
  const int widget = update.new_object_number();
  const auto places = write_signature(*file, update, signature, options);
  const auto page = file->first_page();
  // F 132: Print and Locked; a rectangle without area is how an invisible signature is written (ISO 32000-1, 12.7.4.5).
  update.write_object(widget, 0,
                      "<< /Type /Annot /Subtype /Widget /FT /Sig /T " + detail::write_text(file->document(), prepared.field_name_) +
                          " /F 132 /Rect [0 0 0 0] /P " + write_reference(page.number(), page.generation()) + " /V " +
                          write_reference(signature, 0) + " >>");
  if (auto added = add_to_page(*file, update, write_reference(widget, 0)); !added) return added.error();
  if (auto added = add_to_form(*file, update, write_reference(widget, 0)); !added) return added.error();
  update.finish(*second_id);
  if (auto damaged = file->undamaged(); !damaged) return damaged.error();
  prepared.update_ = to_bytes(update.text());

  const auto size = input->size();
  const auto total = size + prepared.update_.size();
  prepared.contents_at_ = places.contents_at;
  const auto gap_begin = size + places.contents_at - 1;
  const auto gap_end = size + places.contents_at + 2 * options.contents_bytes + 1;
  prepared.byte_range_ = {0, gap_begin, gap_end, total - gap_end};
  std::string range;
  for (const auto part : prepared.byte_range_) range += (range.empty() ? "" : " ") + std::to_string(part);
  if (range.size() > range_room) return Error{ErrorCode::too_large, "the document is too large for its byte range"};
  std::copy(range.begin(), range.end(), prepared.update_.begin() + static_cast<std::ptrdiff_t>(places.byte_range_at));

  crypto::Hasher hasher(options.hash);
  auto read = read_all(*input, [&](ByteView piece) -> Status {
    hasher.update(piece);
    return {};
  });
  if (!read) return read.error();
  const ByteView tail(prepared.update_);
  hasher.update(tail.first(places.contents_at - 1));
  hasher.update(tail.subspan(static_cast<std::size_t>(gap_end - size)));
  prepared.digest_ = hasher.finish();
  return prepared;
}

Result<Bytes> PreparedPdf::update_with(ByteView cms) const {
  if (cms.size() > contents_bytes_) {
    return Error{ErrorCode::too_large,
                 "the CMS has " + std::to_string(cms.size()) + " bytes, the document keeps " + std::to_string(contents_bytes_)};
  }
  Bytes update = update_;
  const auto hex = encode_hex(cms);
  std::copy(hex.begin(), hex.end(), update.begin() + static_cast<std::ptrdiff_t>(contents_at_));
  return update;
}

Status write_signed(const std::filesystem::path& output, const PreparedPdf& prepared, ByteView cms, Existing existing) {
  auto update = prepared.update_with(cms);
  if (!update) return update.error();
  auto copy = detail::DurableCopy::begin(output, existing);
  if (!copy) return copy.error();
  crypto::Hasher hasher(prepared.hash_);
  auto copied = read_all(*prepared.input_, [&](ByteView piece) -> Status {
    hasher.update(piece);
    return copy->write(piece);
  });
  if (!copied) return copied;
  const ByteView tail(prepared.update_);
  hasher.update(tail.first(prepared.contents_at_ - 1));
  hasher.update(tail.subspan(prepared.contents_at_ + 2 * prepared.contents_bytes_ + 1));
  if (hasher.finish() != prepared.digest_) return Error{ErrorCode::conflict, "the document changed after it was prepared: sign it anew"};
  if (auto written = copy->write(*update); !written) return written;
  if (auto read_back = check_result(copy->temporary(), prepared.facts_); !read_back) return read_back;
  return copy->commit();
}

}  // namespace intaglio::document::pades
