#pragma once
// Text for pages: escaping, numbers, base64, placeholders. Private to the report room.

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

namespace headstart::html {

/// `text` with bytes that are not UTF-8 replaced by U+FFFD and control characters by spaces (tab and newline stay).
std::string scrub(std::string_view text);

/// Scrubbed, and safe as element content and inside quoted attributes.
std::string escape(std::string_view text);

/// JSON that is safe inside a <script> element: no "<", ">", "&" and no line separators are left in it.
std::string script_json(const nlohmann::json& value);

std::string base64(std::span<const std::uint8_t> bytes);

/// Four significant digits: 80, 0.002, 19.35, 1.2e-07.
std::string number(double value);

/// With a fixed number of decimals, so that a column lines up; the minus is the typographic one.
std::string fixed(double value, int decimals);

/// With thousands separators: 60,000.
std::string count(std::int64_t value);

/// Replaces every {{key}} of `page` in one pass, so a value that itself holds {{key}} stays as it is.
/// @throws std::logic_error on a key that is not in `values` (a fault of the page, not of the data)
std::string fill(std::string_view page, const std::map<std::string, std::string, std::less<>>& values);

}  // namespace headstart::html
