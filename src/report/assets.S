/* Embeds the files of the page. The HEADSTART_..._FILE paths are set by embed.cmake. */

#define ASSET(name, path)                           \
  .balign 16;                                       \
  .hidden headstart_asset_##name##_begin;           \
  .global headstart_asset_##name##_begin;           \
  headstart_asset_##name##_begin: .incbin path;     \
  .hidden headstart_asset_##name##_end;             \
  .global headstart_asset_##name##_end;             \
  headstart_asset_##name##_end: .byte 0

  .section .rodata
  ASSET(page_html, HEADSTART_PAGE_HTML_FILE)
  ASSET(page_css, HEADSTART_PAGE_CSS_FILE)
  ASSET(page_js, HEADSTART_PAGE_JS_FILE)
  ASSET(charts_js, HEADSTART_CHARTS_JS_FILE)
  ASSET(figures_js, HEADSTART_FIGURES_JS_FILE)
  ASSET(sweep_js, HEADSTART_SWEEP_JS_FILE)
  ASSET(studies_js, HEADSTART_STUDIES_JS_FILE)
  ASSET(chart_js, HEADSTART_CHART_JS_FILE)

  .section .note.GNU-stack, "", %progbits
