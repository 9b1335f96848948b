#include "document/pades/detail/incremental_update.h"

#include <cstdio>
#include <set>

namespace intaglio::document::pades::detail {
namespace {

/// Members of a trailer that describe its own section, and those of a cross-reference stream that describe the stream.
bool belongs_to_section(const std::string& name) {
  static const std::set<std::string> own = {"/Size",   "/Prev",        "/XRefStm", "/ID",      "/Type",         "/W", "/Index", "/Length",
                                            "/Filter", "/DecodeParms", "/F",       "/FFilter", "/FDecodeParms", "/DL"};
  return own.contains(name);
}

void append_big_endian(std::string& out, std::uint64_t value, unsigned width) {
  for (unsigned i = width; i-- > 0;) out += static_cast<char>((value >> (8 * i)) & 0xff);
}

}  // namespace

std::string write_reference(int number, int generation) { return std::to_string(number) + " " + std::to_string(generation) + " R"; }

std::string write_dictionary(const QpdfHandle& document, const PdfObject& dictionary, const Overrides& overrides) {
  std::string out = "<<";
  for (const auto& name : dictionary.keys()) {
    if (overrides.contains(name)) continue;
    out.append(" ").append(write_name(document, name)).append(" ").append(dictionary.key(name.c_str()).unparse());
  }
  for (const auto& [name, value] : overrides) out.append(" ").append(name).append(" ").append(value);
  return out + " >>";
}

std::string write_array_with(const PdfObject& array, const std::string& element) {
  std::string out = "[";
  for (int i = 0; i < array.size(); ++i) out.append(" ").append(array.item(i).unparse());
  return out + " " + element + " ]";
}

IncrementalUpdate::IncrementalUpdate(const PdfFile& file, std::uint64_t first_offset, bool needs_line_end)
    : file_(file), first_offset_(first_offset), next_number_(file.free_object_number()) {
  if (needs_line_end) text_ = "\n";
}

std::size_t IncrementalUpdate::write_object(int number, int generation, const std::string& body) {
  entries_[number] = {first_offset_ + text_.size(), generation};
  text_ += std::to_string(number) + " " + std::to_string(generation) + " obj\n";
  const auto at = text_.size();
  text_ += body + "\nendobj\n";
  return at;
}

std::string IncrementalUpdate::trailer_members(ByteView second_id) {
  const auto trailer = file_.trailer();
  std::string first = encode_hex(second_id);
  if (auto id = trailer.key("/ID"); id.is_array() && id.size() == 2 && id.item(0).is_string()) {
    first = encode_hex(as_bytes(id.item(0).bytes()));
  }
  std::string out = " /Size " + std::to_string(next_number_) + " /Prev " + std::to_string(file_.last_xref());
  out += " /ID [<" + first + "> <" + encode_hex(second_id) + ">]";
  for (const auto& name : trailer.keys()) {
    if (belongs_to_section(name)) continue;
    out.append(" ").append(write_name(file_.document(), name)).append(" ").append(trailer.key(name.c_str()).unparse());
  }
  return out;
}

void IncrementalUpdate::write_table(ByteView second_id) {
  const auto section = first_offset_ + text_.size();
  text_ += "xref\n";
  for (auto run = entries_.begin(); run != entries_.end();) {
    auto end = run;
    int expected = run->first;
    while (end != entries_.end() && end->first == expected) {
      ++end;
      ++expected;
    }
    text_ += std::to_string(run->first) + " " + std::to_string(expected - run->first) + "\n";
    for (; run != end; ++run) {
      std::array<char, 24> line{};
      std::snprintf(line.data(), line.size(), "%010llu %05d n \n", static_cast<unsigned long long>(run->second.offset),
                    run->second.generation);
      text_ += line.data();
    }
  }
  text_ += "trailer\n<<" + trailer_members(second_id) + " >>\nstartxref\n" + std::to_string(section) + "\n%%EOF\n";
}

void IncrementalUpdate::write_stream(ByteView second_id) {
  const int own_number = new_object_number();
  const auto section = first_offset_ + text_.size();
  entries_[own_number] = {section, 0};
  std::string index, data;
  for (const auto& [number, entry] : entries_) {
    index += (index.empty() ? "" : " ") + std::to_string(number) + " 1";
    append_big_endian(data, 1, 1);
    append_big_endian(data, entry.offset, 5);
    append_big_endian(data, static_cast<std::uint64_t>(entry.generation), 2);
  }
  text_ += std::to_string(own_number) + " 0 obj\n<< /Type /XRef /W [1 5 2] /Index [" + index + "] /Length " + std::to_string(data.size()) +
           trailer_members(second_id) + " >>\nstream\n" + data + "\nendstream\nendobj\nstartxref\n" + std::to_string(section) + "\n%%EOF\n";
}

void IncrementalUpdate::finish(ByteView second_id) {
  if (file_.xref_kind() == XrefKind::table) {
    write_table(second_id);
  } else {
    write_stream(second_id);
  }
}

}  // namespace intaglio::document::pades::detail
