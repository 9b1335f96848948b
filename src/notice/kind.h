#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace intaglio::notice {

/// What a signer is told of.
enum class Kind : std::uint8_t {
  enrolment_link,
  activation_code,
  certificate_issued,
  certificate_ends_30,
  certificate_ends_7,
  suspended,
  revoked,
  secret_changed,
  secret_locked,
};
inline constexpr std::array all_kinds{
    Kind::enrolment_link, Kind::activation_code, Kind::certificate_issued, Kind::certificate_ends_30, Kind::certificate_ends_7,
    Kind::suspended,      Kind::revoked,         Kind::secret_changed,     Kind::secret_locked,
};

/// As it names the template: "certificate_ends_30".
[[nodiscard]] std::string_view name_of(Kind kind) noexcept;
[[nodiscard]] std::optional<Kind> parse_kind(std::string_view name) noexcept;

/// The facts that whoever puts such a notice in gives, all of them.
[[nodiscard]] std::vector<std::string_view> facts_of(Kind kind);
/// What a template of this kind may name: its facts, and `service` and `contact` of the deployment; the enrolment's `link` in
/// enrolment_link alone.
[[nodiscard]] std::vector<std::string_view> placeholders_of(Kind kind);
/// A warning goes every way that there is; anything else goes one way, by e-mail where that is known.
[[nodiscard]] bool is_warning(Kind kind) noexcept;

/// A way out.
enum class Channel : std::uint8_t { mail, webhook };
inline constexpr std::array all_channels{Channel::mail, Channel::webhook};
[[nodiscard]] std::string_view name_of(Channel channel) noexcept;
[[nodiscard]] std::optional<Channel> parse_channel(std::string_view name) noexcept;

}  // namespace intaglio::notice
