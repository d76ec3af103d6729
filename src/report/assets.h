#pragma once
// The files of the page, embedded into the binary by assets.S.

#include <string_view>

namespace headstart::assets {

std::string_view page_html();
std::string_view page_css();
std::string_view page_js();
std::string_view charts_js();
std::string_view figures_js();
std::string_view sweep_js();
std::string_view studies_js();
std::string_view chart_js();  ///< Chart.js, minified, as the distribution packages it

}  // namespace headstart::assets
