#include "notice/contact.h"

#include <algorithm>

#include "base/check.h"
#include "notice/templates.h"
#include "outbound/mail.h"

namespace intaglio::notice {
namespace {

constexpr std::size_t max_text = 254;
constexpr std::size_t least_digits = 8, most_digits = 15;

Result<std::string> optional_text(const json::Value& value, std::string_view name) {
  if (json::member(value, name) == nullptr) return std::string();
  return json::text_member(value, name, max_text);
}

bool is_phone(std::string_view phone) {
  if (!phone.starts_with('+')) return false;
  phone.remove_prefix(1);
  return phone.size() >= least_digits && phone.size() <= most_digits && phone.front() != '0' &&
         std::all_of(phone.begin(), phone.end(), [](char c) { return c >= '0' && c <= '9'; });
}

Error refused(const std::string& why) { return {ErrorCode::invalid_request, "contact: " + why}; }

}  // namespace

Result<Contact> parse_contact(const json::Value& value) {
  if (!value.is_object()) return refused("not an object");
  for (const auto& member : value.items()) {
    if (member.key() != "email" && member.key() != "phone" && member.key() != "language") return refused("email, phone and language only");
  }
  auto email = optional_text(value, "email");
  if (!email) return email.error();
  auto phone = optional_text(value, "phone");
  if (!phone) return phone.error();
  auto language = optional_text(value, "language");
  if (!language) return language.error();
  if (email->empty() && phone->empty()) return refused("neither email nor phone");
  if (!email->empty()) {
    if (auto good = outbound::check_mail_address(*email); !good) return refused("email is not an address");
  }
  if (refused_by("notice.contact.phone", !phone->empty() && !is_phone(*phone))) return refused("phone is + and 8 to 15 digits");
  if (language->empty()) *language = "en";
  if (std::find(languages.begin(), languages.end(), *language) == languages.end()) return refused("language is en or el");
  return Contact{std::move(*email), std::move(*phone), std::move(*language)};
}

Contacts::Contacts(std::shared_ptr<const sealed::Sealer> sealer)
    : table_(std::move(sealer), "notice_contacts", sealed::Rollback::tolerated) {}

Status Contacts::keep(storage::Transaction& transaction, const SignerId& signer, const Contact& contact) const {
  auto content = json::encode({{"email", contact.email}, {"phone", contact.phone}, {"language", contact.language}});
  const WipeAtExit wiped(content);
  const auto before = table_.find(transaction, signer.text());
  if (!before) return before.error();
  if (!*before) return table_.insert(transaction, signer.text(), as_bytes(content));
  return table_.update(transaction, signer.text(), (*before)->version, as_bytes(content));
}

Result<std::optional<Contact>> Contacts::find(storage::Transaction& transaction, const SignerId& signer) const {
  const auto record = table_.find(transaction, signer.text());
  if (!record) return record.error();
  if (!*record) return std::optional<Contact>();
  const auto value = json::parse(as_text((*record)->content.reveal()));
  if (!value) return value.error();
  auto contact = Contact{};
  for (auto* const part : {&contact.email, &contact.phone, &contact.language}) {
    const std::string_view name = part == &contact.email ? "email" : part == &contact.phone ? "phone" : "language";
    auto text = json::text_member(*value, name, max_text);
    if (!text) return text.error();
    *part = std::move(*text);
  }
  return std::optional<Contact>(std::move(contact));
}

}  // namespace intaglio::notice
