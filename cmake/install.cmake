# make install; then find_package(corespun CONFIG) or pkg-config corespun.
include(CMakePackageConfigHelpers)
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/corespun)

install(TARGETS corespun_runtime corespun_io corespun_net corespun EXPORT corespun FILE_SET HEADERS)
install(FILES corespun.hpp DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/corespun)
install(EXPORT corespun NAMESPACE corespun:: DESTINATION ${package_dir})

write_basic_package_version_file(${PROJECT_BINARY_DIR}/corespun-config-version.cmake
  COMPATIBILITY SameMinorVersion)
install(FILES cmake/corespun-config.cmake cmake/corespun-compilers.cmake
        ${PROJECT_BINARY_DIR}/corespun-config-version.cmake DESTINATION ${package_dir})

file(RELATIVE_PATH prefix_from_pc /prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig /prefix)
configure_file(cmake/corespun.pc.in corespun.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/corespun.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
