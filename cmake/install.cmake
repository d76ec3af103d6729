# cmake --install: the command, the shipped networks where it finds them, the library with its headers, and find_package(headstart).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

install(TARGETS headstart_cli RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/headstart/models)
install(TARGETS headstart EXPORT headstart-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY include/headstart DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package_folder ${CMAKE_INSTALL_LIBDIR}/cmake/headstart)
install(EXPORT headstart-targets NAMESPACE headstart:: DESTINATION ${package_folder})
configure_package_config_file(cmake/headstart-config.cmake.in ${PROJECT_BINARY_DIR}/headstart-config.cmake
  INSTALL_DESTINATION ${package_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/headstart-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/headstart-config.cmake ${PROJECT_BINARY_DIR}/headstart-config-version.cmake
  DESTINATION ${package_folder})
