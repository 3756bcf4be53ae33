# What `cmake --install` puts where: the library, its headers, the files by which CMake and pkg-config
# find it, and the program if it was built. tests/install proves each from an installed copy.
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/selectors)

install(TARGETS selectors EXPORT selectors
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR}
  INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/selectors
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
  FILES_MATCHING PATTERN "*.hpp")

install(EXPORT selectors
  NAMESPACE selectors::
  FILE selectors-targets.cmake
  DESTINATION ${package_dir})
configure_package_config_file(
  ${PROJECT_SOURCE_DIR}/packaging/selectors-config.cmake.in selectors-config.cmake
  INSTALL_DESTINATION ${package_dir}
  NO_SET_AND_CHECK_MACRO)
# Before 1.0 a new minor version may break what the last one promised.
write_basic_package_version_file(selectors-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES
  ${CMAKE_CURRENT_BINARY_DIR}/selectors-config.cmake
  ${CMAKE_CURRENT_BINARY_DIR}/selectors-config-version.cmake
  DESTINATION ${package_dir})

# The .pc file finds its prefix from where it lies, so that an installed tree may be moved. Absolute
# directories (some distributions configure them) are kept as they are.
foreach(dir LIBDIR INCLUDEDIR)
  if(IS_ABSOLUTE "${CMAKE_INSTALL_${dir}}")
    set(pc_${dir} "${CMAKE_INSTALL_${dir}}")
  else()
    set(pc_${dir} "\${prefix}/${CMAKE_INSTALL_${dir}}")
  endif()
endforeach()
file(RELATIVE_PATH pc_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
string(REGEX REPLACE "/$" "" pc_prefix "${pc_prefix}")
set(pc_cflags "-I\${includedir}")
if(NOT BUILD_SHARED_LIBS)
  string(APPEND pc_cflags " -DSELECTORS_STATIC")
endif()
configure_file(${PROJECT_SOURCE_DIR}/packaging/selectors.pc.in selectors.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/selectors.pc
  DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET selectors_program)
  if(BUILD_SHARED_LIBS AND NOT IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    # So that the program finds the library in any prefix; packagers say CMAKE_SKIP_INSTALL_RPATH.
    file(RELATIVE_PATH bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
    set_target_properties(selectors_program PROPERTIES INSTALL_RPATH "$ORIGIN/${bin_to_lib}")
  endif()
  install(TARGETS selectors_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
