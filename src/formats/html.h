// Text inside HTML.
#pragma once

#include <string>
#include <string_view>

namespace kinglet {

/// As markupsafe escapes: & < > ' "
std::string escape_html(std::string_view text);

}  // namespace kinglet
