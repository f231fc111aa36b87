# What `cmake --install` puts where, and the Debian packages that CPack makes of it: `kinglet` is the program,
# `libkinglet-dev` the library with its headers and its CMake package.

# kinglet_bundle(DEPENDS libs...): one archive, libkinglet.a, of all the libraries below and with the given ones. It is
# what another project links: kinglet::kinglet.
function(kinglet_bundle)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  set(objects)
  foreach(name IN LISTS ARG_DEPENDS)
    list(APPEND objects $<TARGET_OBJECTS:kinglet_${name}>)
  endforeach()
  add_library(kinglet_bundle STATIC ${objects})
  set_target_properties(kinglet_bundle PROPERTIES OUTPUT_NAME kinglet EXPORT_NAME kinglet LINKER_LANGUAGE CXX)
  target_include_directories(kinglet_bundle INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(kinglet_bundle INTERFACE ${KINGLET_LINKED_PACKAGES} ${CMAKE_DL_LIBS})
endfunction()

function(kinglet_install)
  include(CMakePackageConfigHelpers)
  set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/kinglet)
  configure_package_config_file(cmake/kinglet-config.cmake.in ${CMAKE_BINARY_DIR}/package/kinglet-config.cmake
    INSTALL_DESTINATION ${package_dir})
  write_basic_package_version_file(${CMAKE_BINARY_DIR}/package/kinglet-config-version.cmake
    COMPATIBILITY SameMinorVersion)

  install(TARGETS kinglet RUNTIME COMPONENT program)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME copyright COMPONENT program)
  install(TARGETS kinglet_bundle EXPORT kinglet-targets ARCHIVE COMPONENT development)
  install(EXPORT kinglet-targets NAMESPACE kinglet:: DESTINATION ${package_dir} COMPONENT development)
  install(FILES
    ${CMAKE_BINARY_DIR}/package/kinglet-config.cmake
    ${CMAKE_BINARY_DIR}/package/kinglet-config-version.cmake
    cmake/KingletDependencies.cmake
    DESTINATION ${package_dir} COMPONENT development)
  install(DIRECTORY include/kinglet DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
  install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/libkinglet-dev RENAME copyright
    COMPONENT development)
endfunction()

# The program writes its own completion scripts, from the same tree that parses its words.
function(kinglet_install_completions)
  set(bash ${CMAKE_BINARY_DIR}/completions/bash/kinglet)
  set(zsh ${CMAKE_BINARY_DIR}/completions/zsh/_kinglet)
  file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/completions/bash ${CMAKE_BINARY_DIR}/completions/zsh)
  add_custom_command(OUTPUT ${bash} ${zsh}
    COMMAND kinglet completion bash > ${bash}
    COMMAND kinglet completion zsh > ${zsh}
    DEPENDS kinglet
    COMMENT "Writing the shell completions"
    VERBATIM)
  add_custom_target(kinglet_completions ALL DEPENDS ${bash} ${zsh})
  install(FILES ${bash} DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/bash-completion/completions COMPONENT program)
  install(FILES ${zsh} DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/zsh/vendor-completions COMPONENT program)
endfunction()

# A macro: CPack reads these variables in the top scope.
macro(kinglet_cpack)
  set(CPACK_GENERATOR DEB)
  set(CPACK_PACKAGE_NAME kinglet)
  set(CPACK_PACKAGE_VENDOR "The Kinglet authors")
  set(CPACK_PACKAGE_CONTACT "The Kinglet authors <kinglet@localhost>")
  set(CPACK_RESOURCE_FILE_LICENSE ${CMAKE_SOURCE_DIR}/LICENSE)
  set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
  set(CPACK_STRIP_FILES ON)
  set(CPACK_COMPONENTS_ALL program development)
  set(CPACK_COMPONENTS_GROUPING ONE_PER_GROUP)
  set(CPACK_DEB_COMPONENT_INSTALL ON)
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_PACKAGE_SECTION science)
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME kinglet)
  set(CPACK_DEBIAN_PROGRAM_DESCRIPTION "run, chat with and inspect small language models\n\
Kinglet is one native program for small language models: no Python, no CUDA.")
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "python3-pip")
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libkinglet-dev)
  set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION "C and C++ library for small language models\n\
The static library of Kinglet, its headers and its CMake package.")
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS
    "libfmt-dev, libpcre2-dev, libutf8proc-dev, libcurl4-openssl-dev, libssl-dev, pkg-config")
  include(CPack)
endmacro()
