#include "assets.h"

#include <cstddef>

// Begin and end of each embedded file, see assets.S. Both list the same files.
// clang-format off
extern "C" {
extern const char headstart_asset_page_html_begin[], headstart_asset_page_html_end[];
extern const char headstart_asset_page_css_begin[], headstart_asset_page_css_end[];
extern const char headstart_asset_page_js_begin[], headstart_asset_page_js_end[];
extern const char headstart_asset_charts_js_begin[], headstart_asset_charts_js_end[];
extern const char headstart_asset_figures_js_begin[], headstart_asset_figures_js_end[];
extern const char headstart_asset_sweep_js_begin[], headstart_asset_sweep_js_end[];
extern const char headstart_asset_studies_js_begin[], headstart_asset_studies_js_end[];
extern const char headstart_asset_chart_js_begin[], headstart_asset_chart_js_end[];
}
// clang-format on

namespace headstart::assets {
namespace {

std::string_view between(const char* begin, const char* end) { return {begin, static_cast<std::size_t>(end - begin)}; }

}  // namespace

std::string_view page_html() { return between(headstart_asset_page_html_begin, headstart_asset_page_html_end); }
std::string_view page_css() { return between(headstart_asset_page_css_begin, headstart_asset_page_css_end); }
std::string_view page_js() { return between(headstart_asset_page_js_begin, headstart_asset_page_js_end); }
std::string_view charts_js() { return between(headstart_asset_charts_js_begin, headstart_asset_charts_js_end); }
std::string_view figures_js() { return between(headstart_asset_figures_js_begin, headstart_asset_figures_js_end); }
std::string_view sweep_js() { return between(headstart_asset_sweep_js_begin, headstart_asset_sweep_js_end); }
std::string_view studies_js() { return between(headstart_asset_studies_js_begin, headstart_asset_studies_js_end); }
std::string_view chart_js() { return between(headstart_asset_chart_js_begin, headstart_asset_chart_js_end); }

}  // namespace headstart::assets
