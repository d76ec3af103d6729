# Embeds the page's files and Chart.js into headstart_plain. Include it after that target is made, from the same CMakeLists.txt.
# Chart.js is taken from the system, never copied into the repository.

find_file(HEADSTART_CHART_JS
  NAMES chart.min.js chart.umd.min.js chart.umd.js
  PATHS /usr/share/javascript/chart.js /usr/share/nodejs/chart.js/dist
  NO_DEFAULT_PATH
  DOC "Chart.js, the minified UMD build (Debian package libjs-chart.js)")
if(NOT HEADSTART_CHART_JS)
  message(FATAL_ERROR "Chart.js not found: install the package libjs-chart.js, or set HEADSTART_CHART_JS to its minified UMD build")
endif()

set(HEADSTART_ASSETS_ASM ${CMAKE_CURRENT_LIST_DIR}/assets.S)
set(HEADSTART_ASSETS_DIR ${CMAKE_CURRENT_LIST_DIR}/assets)
set(HEADSTART_ASSETS
  PAGE_HTML=${HEADSTART_ASSETS_DIR}/report.html
  PAGE_CSS=${HEADSTART_ASSETS_DIR}/report.css
  PAGE_JS=${HEADSTART_ASSETS_DIR}/report.js
  CHARTS_JS=${HEADSTART_ASSETS_DIR}/charts.js
  FIGURES_JS=${HEADSTART_ASSETS_DIR}/figures.js
  SWEEP_JS=${HEADSTART_ASSETS_DIR}/sweep.js
  STUDIES_JS=${HEADSTART_ASSETS_DIR}/studies.js
  CHART_JS=${HEADSTART_CHART_JS})
target_sources(headstart_plain PRIVATE ${HEADSTART_ASSETS_ASM})
# The assembler reads the files behind CMake's back: without OBJECT_DEPENDS an edited style sheet would not be embedded again.
foreach(asset IN LISTS HEADSTART_ASSETS)
  string(REGEX MATCH "^([A-Z_]+)=(.*)$" _ ${asset})
  set_property(SOURCE ${HEADSTART_ASSETS_ASM} APPEND PROPERTY COMPILE_DEFINITIONS "HEADSTART_${CMAKE_MATCH_1}_FILE=\"${CMAKE_MATCH_2}\"")
  set_property(SOURCE ${HEADSTART_ASSETS_ASM} APPEND PROPERTY OBJECT_DEPENDS ${CMAKE_MATCH_2})
endforeach()
