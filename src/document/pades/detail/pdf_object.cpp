#include "document/pades/detail/pdf_object.h"

#include <qpdf/qpdf-c.h>

namespace intaglio::document::pades::detail {

struct PdfObject::Handle {
  Handle(QpdfHandle of, unsigned number) : document(std::move(of)), value(number) {}
  ~Handle() { qpdf_oh_release(document.get(), value); }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  QpdfHandle document;
  qpdf_oh value;
};

PdfObject::PdfObject(QpdfHandle document, unsigned handle) : handle_(std::make_shared<const Handle>(std::move(document), handle)) {}

_qpdf_data* PdfObject::document() const noexcept { return handle_->document.get(); }
unsigned PdfObject::handle() const noexcept { return handle_->value; }

bool PdfObject::is_null() const { return qpdf_oh_is_null(document(), handle()) != QPDF_FALSE; }
bool PdfObject::is_dictionary() const { return qpdf_oh_is_dictionary(document(), handle()) != QPDF_FALSE; }
bool PdfObject::is_array() const { return qpdf_oh_is_array(document(), handle()) != QPDF_FALSE; }
bool PdfObject::is_string() const { return qpdf_oh_is_string(document(), handle()) != QPDF_FALSE; }
bool PdfObject::is_name() const { return qpdf_oh_is_name(document(), handle()) != QPDF_FALSE; }
bool PdfObject::is_integer() const { return qpdf_oh_is_integer(document(), handle()) != QPDF_FALSE; }
bool PdfObject::is_indirect() const { return qpdf_oh_is_indirect(document(), handle()) != QPDF_FALSE; }
bool PdfObject::is_true() const {
  QPDF_BOOL value = QPDF_FALSE;
  return qpdf_oh_get_value_as_bool(document(), handle(), &value) != QPDF_FALSE && value != QPDF_FALSE;
}

PdfObject PdfObject::key(const char* name) const {
  return PdfObject(handle_->document, qpdf_oh_get_key_if_dict(document(), handle(), name));
}

std::vector<std::string> PdfObject::keys() const {
  std::vector<std::string> names;
  qpdf_oh_begin_dict_key_iter(document(), handle());
  while (qpdf_oh_dict_more_keys(document()) != QPDF_FALSE) names.emplace_back(qpdf_oh_dict_next_key(document()));
  return names;
}

int PdfObject::size() const { return qpdf_oh_get_array_n_items(document(), handle()); }
PdfObject PdfObject::item(int index) const { return PdfObject(handle_->document, qpdf_oh_get_array_item(document(), handle(), index)); }
long long PdfObject::integer() const { return qpdf_oh_get_int_value(document(), handle()); }
std::string PdfObject::name() const { return qpdf_oh_get_name(document(), handle()); }
std::string PdfObject::text() const {
  std::size_t length = 0;
  const char* value = qpdf_oh_get_binary_utf8_value(document(), handle(), &length);
  return {value, length};
}
std::string PdfObject::bytes() const {
  std::size_t length = 0;
  const char* value = qpdf_oh_get_binary_string_value(document(), handle(), &length);
  return {value, length};
}
int PdfObject::number() const { return qpdf_oh_get_object_id(document(), handle()); }
int PdfObject::generation() const { return qpdf_oh_get_generation(document(), handle()); }
std::string PdfObject::unparse() const { return qpdf_oh_unparse(document(), handle()); }

std::string write_name(const QpdfHandle& document, const std::string& name) {
  return PdfObject(document, qpdf_oh_new_name(document.get(), name.c_str())).unparse();
}
std::string write_text(const QpdfHandle& document, const std::string& utf8) {
  return PdfObject(document, qpdf_oh_new_unicode_string(document.get(), utf8.c_str())).unparse();
}

}  // namespace intaglio::document::pades::detail
