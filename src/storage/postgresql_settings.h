#pragma once

#include <optional>

#include "storage/database.h"

namespace intaglio::storage {

/// The table [postgresql] of a configuration file; none without `hosts`. `Section` is config::Section, which this room does not know.
template <typename Section>
std::optional<PostgresqlAddress> read_postgresql(Section section) {
  PostgresqlAddress address;
  address.hosts =
      section.text("hosts", "Names separated by commas, of several the one that takes writes; or the folder of the server's socket.", "");
  address.ports = section.text("ports", "One for all hosts, or one each, separated by commas; 5432 when empty.", "");
  address.name = section.text("name", "Name of the database.", "");
  address.user = section.text("user", "Who we are there.", "");
  const auto file = [&](std::string_view key, std::string_view about) {
    return section.optional_path(key, about).value_or(std::filesystem::path());
  };
  address.passfile = file("passfile", "Password, in libpq's form and mode 0600; leave it out where the socket or TLS says who we are.");
  address.tls_root = file("tls_root", "CA of the server's certificate, PEM; needed for names of hosts.");
  address.tls_certificate = file("tls_certificate", "Our certificate, PEM, where the server asks for one.");
  address.tls_key = file("tls_key", "Its private key, PEM, mode 0600.");
  address.synchronous_standby =
      section.boolean("synchronous_standby", "Refuse a server whose commits no standby has when they are acknowledged.", true);
  if (address.hosts.empty()) return std::nullopt;
  if (address.name.empty()) section.refuse("name", "is needed");
  if (address.user.empty()) section.refuse("user", "is needed");
  return address;
}

}  // namespace intaglio::storage
