# kinglet_library(NAME [CORE] [DEPENDS libs...] [LINKS targets...])
#
# Makes target kinglet_NAME from src/NAME/**.cc and, with KINGLET_TESTS, a test executable from src/NAME/**_test.cc.
# Headers are included as "NAME/x.h". Each library's include root holds that one folder only, so a file can include
# what its library links and nothing else: a wrong include does not build.
#
# Files whose name ends in _avx2.cc, _avx512.cc, _avx512bf16.cc, _amx.cc, _dotprod.cc, _i8mm.cc get their instruction-set flags from
# kinglet_isa_flags() below; they include only the kernel interface and intrinsics.

function(kinglet_warnings target)
  # GCC 12 sees overlaps and overflows in std::string's own code that are not there (its bugs 105329 and 105651).
  target_compile_options(${target} PRIVATE
    $<$<CXX_COMPILER_ID:GNU,Clang>:-Wall -Wextra -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers>
    "$<$<CXX_COMPILER_ID:GNU>:-Wno-restrict;-Wno-array-bounds;-Wno-stringop-overflow;-Wno-stringop-overread>"
    $<$<BOOL:${KINGLET_WERROR}>:-Werror>)
endfunction()

function(kinglet_sanitizers target)
  if(KINGLET_FUZZ AND target STREQUAL kinglet_kernels)
    target_compile_options(${target} PRIVATE -O0 -g0)  # no fuzz target multiplies, and clang takes minutes for each of the kernels' files
    return()
  endif()
  if(KINGLET_SANITIZE)
    target_compile_options(${target} PUBLIC -fsanitize=${KINGLET_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
    target_link_options(${target} PUBLIC -fsanitize=${KINGLET_SANITIZE})
  endif()
  if(KINGLET_FUZZ)  # coverage counters in the libraries; the main() of libFuzzer only in the fuzz targets
    target_compile_options(${target} PUBLIC -fsanitize=fuzzer-no-link)
  endif()
endfunction()

function(kinglet_isa_flags)
  set(avx2 "-mavx2;-mfma;-mf16c;-mbmi;-mbmi2")
  # GCC 12's own intrinsics start from an undefined vector, and it warns of that.
  set(avx512 "${avx2};-mavx512f;-mavx512bw;-mavx512vl;-mavx512dq;-mavx512vnni;-mprefer-vector-width=512;-Wno-uninitialized;$<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>")
  foreach(source IN LISTS ARGN)
    if(source MATCHES "_avx2\\.cc$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${avx2}")
    elseif(source MATCHES "_avx512\\.cc$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${avx512}")
    elseif(source MATCHES "_avx512bf16\\.cc$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${avx512};-mavx512bf16")
    elseif(source MATCHES "_amx\\.cc$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "${avx512};-mamx-tile;-mamx-int8")
    elseif(source MATCHES "_dotprod\\.cc$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-march=armv8.2-a+dotprod")
    elseif(source MATCHES "_i8mm\\.cc$")
      set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS "-march=armv8.2-a+dotprod+i8mm")
    endif()
    if(source MATCHES "_(avx2|avx512|avx512bf16|amx|dotprod|i8mm)\\.cc$")  # headers compiled for another instruction set do not fit
      set_source_files_properties(${source} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    endif()
  endforeach()
endfunction()

# What is compiled often and runs seldom (tests, and the libraries below: requests' words, downloads, the commands) is built for
# the build's speed.
set(KINGLET_RUN_SELDOM hub api server cli)
function(kinglet_build_quickly target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release>:-O1>)
endfunction()

# Where KINGLET_UNITY is on, the files of a target that runs seldom are compiled several at once: what they include, and the
# templates that they share, are most of their cost. Names in their unnamed namespaces must differ then.
function(kinglet_unity target)
  set_target_properties(${target} PROPERTIES UNITY_BUILD ${KINGLET_UNITY} UNITY_BUILD_BATCH_SIZE 6)
endfunction()

# Headers that cost a second or two in every file of the host ring, compiled once for the libraries, once with GoogleTest
# for the tests, and once at -O1 for what runs seldom. A file includes what it uses all the same: the tidy preset builds
# without this. Clang does not take them from targets whose definitions differ.
set(KINGLET_PRECOMPILED <algorithm> <array> <cmath> <cstdint> <filesystem> <functional> <map> <memory> <mutex> <optional>
  <span> <string> <string_view> <thread> <unordered_map> <variant> <vector> <fmt/format.h> <nlohmann/json.hpp>)
function(kinglet_precompile target)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    target_precompile_headers(${target} PRIVATE ${KINGLET_PRECOMPILED} ${ARGN})
  endif()
endfunction()
function(kinglet_precompiled_by target from)
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND TARGET ${from})
    target_precompile_headers(${target} REUSE_FROM ${from})
  endif()
endfunction()

function(kinglet_library name)
  cmake_parse_arguments(ARG "CORE" "" "DEPENDS;LINKS" ${ARGN})
  set(target kinglet_${name})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cc ${CMAKE_SOURCE_DIR}/src/${name}/*.h)
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    list(FILTER sources EXCLUDE REGEX "/x86/.*\\.cc$")
  endif()
  if(NOT CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    list(FILTER sources EXCLUDE REGEX "/arm/.*\\.cc$")
  endif()
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "_test\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  list(FILTER sources EXCLUDE REGEX "/src/[a-z]+/main/")  # executables' own files

  set(root ${CMAKE_BINARY_DIR}/include-roots/${name})
  file(MAKE_DIRECTORY ${root})
  file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${name} ${root}/${name} COPY_ON_ERROR SYMBOLIC)

  if(NOT sources MATCHES "\\.cc")  # headers only: an archive still needs a member
    file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/empty/${name}.cc CONTENT "")
    list(APPEND sources ${CMAKE_BINARY_DIR}/empty/${name}.cc)
  endif()
  kinglet_isa_flags(${sources})
  add_library(${target} STATIC ${sources})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${root}>)
  foreach(dep IN LISTS ARG_DEPENDS)
    target_link_libraries(${target} PUBLIC kinglet_${dep})
  endforeach()
  target_link_libraries(${target} PUBLIC ${ARG_LINKS})
  if(ARG_CORE)
    target_compile_options(${target} PRIVATE -fno-exceptions -fno-rtti)
  elseif(name STREQUAL "formats")  # the lowest library that has all of those headers
    kinglet_precompile(${target})
  elseif(name IN_LIST KINGLET_RUN_SELDOM)
    kinglet_build_quickly(${target})
    if(NOT name STREQUAL "cli")  # each command has its own Words and run()
      kinglet_unity(${target})
    endif()
    kinglet_precompiled_by(${target} kinglet_quick_headers)
  else()
    kinglet_precompiled_by(${target} kinglet_formats)
  endif()
  kinglet_warnings(${target})
  kinglet_sanitizers(${target})
  set_property(GLOBAL APPEND PROPERTY KINGLET_LIBRARIES ${target})

  if(KINGLET_TESTS AND tests)
    kinglet_test(kinglet_${name}_test SOURCES ${tests} LINKS ${target})
    if(NOT ARG_CORE)
      kinglet_precompiled_by(kinglet_${name}_test kinglet_test_headers)
    endif()
  endif()
endfunction()

# The headers of KINGLET_RUN_SELDOM: a library of nothing else.
function(kinglet_quick_headers)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/empty/quick_headers.cc CONTENT "")
  add_library(kinglet_quick_headers STATIC ${CMAKE_BINARY_DIR}/empty/quick_headers.cc)
  target_link_libraries(kinglet_quick_headers PRIVATE fmt::fmt nlohmann_json::nlohmann_json)
  kinglet_precompile(kinglet_quick_headers)
  kinglet_build_quickly(kinglet_quick_headers)
  kinglet_sanitizers(kinglet_quick_headers)
endfunction()

# The headers of the host ring's tests: a program of nothing else (a library's code would be -fPIC, and theirs is -fPIE).
function(kinglet_test_headers)
  file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/empty/test_headers.cc CONTENT "int main() {}\n")
  add_executable(kinglet_test_headers ${CMAKE_BINARY_DIR}/empty/test_headers.cc)
  target_link_libraries(kinglet_test_headers PRIVATE fmt::fmt nlohmann_json::nlohmann_json GTest::gtest)
  kinglet_precompile(kinglet_test_headers <gtest/gtest.h>)
  kinglet_build_quickly(kinglet_test_headers)
  kinglet_sanitizers(kinglet_test_headers)
endfunction()

# kinglet_test(NAME SOURCES files... LINKS targets...): one GoogleTest executable, its cases found at test time.
function(kinglet_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LINKS} GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE KINGLET_SHARED_DIR="${KINGLET_SHARED_DIR}"
    KINGLET_TEST_DATA="${CMAKE_SOURCE_DIR}/tests/data")
  kinglet_warnings(${name})
  kinglet_build_quickly(${name})
  kinglet_unity(${name})
  if(KINGLET_SANITIZE)  # GCC 12 then warns of std::regex's own code
    target_compile_options(${name} PRIVATE $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
  endif()
  add_test(NAME ${name} COMMAND ${name})
endfunction()

# kinglet_cross_tests(DEPENDS libs...): tests/*_test.cc, what crosses folders, and what they share, as one program that
# links the libraries.
# It finds the program itself at KINGLET_PROGRAM.
function(kinglet_cross_tests)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  file(GLOB tests CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/*.cc)
  if(NOT (KINGLET_TESTS AND KINGLET_HOST_RING AND tests))
    return()
  endif()
  list(TRANSFORM ARG_DEPENDS PREPEND kinglet_)
  kinglet_test(kinglet_cross_test SOURCES ${tests} LINKS ${ARG_DEPENDS})
  kinglet_precompiled_by(kinglet_cross_test kinglet_test_headers)
  target_compile_definitions(kinglet_cross_test PRIVATE KINGLET_PROGRAM="$<TARGET_FILE:kinglet>")
  add_dependencies(kinglet_cross_test kinglet)
endfunction()

# kinglet_fuzzers(DEPENDS libs...): with KINGLET_FUZZ, each fuzz/x_fuzz.cc becomes the libFuzzer program fuzz_x.
function(kinglet_fuzzers)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  if(NOT KINGLET_FUZZ)
    return()
  endif()
  list(TRANSFORM ARG_DEPENDS PREPEND kinglet_)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/fuzz/*_fuzz.cc)
  add_custom_target(fuzzers)
  foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME)
    string(REGEX REPLACE "_fuzz\\.cc$" "" name ${name})
    add_executable(fuzz_${name} ${source})
    target_link_libraries(fuzz_${name} PRIVATE ${ARG_DEPENDS})
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    kinglet_warnings(fuzz_${name})
    add_dependencies(fuzzers fuzz_${name})
  endforeach()
endfunction()

# kinglet_benchmarks(DEPENDS libs...): with KINGLET_BENCH, each bench/x_bench.cc becomes the program bench_x.
function(kinglet_benchmarks)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  if(NOT KINGLET_BENCH)
    return()
  endif()
  list(TRANSFORM ARG_DEPENDS PREPEND kinglet_)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/bench/*_bench.cc)
  foreach(source IN LISTS sources)
    get_filename_component(name ${source} NAME)
    string(REGEX REPLACE "_bench\\.cc$" "" name ${name})
    add_executable(bench_${name} ${source})
    target_link_libraries(bench_${name} PRIVATE ${ARG_DEPENDS} benchmark::benchmark_main)
    kinglet_warnings(bench_${name})
  endforeach()
endfunction()

# kinglet_embed_text(TARGET FILE HEADER NAMESPACE NAME): builds a text file into TARGET as `inline constexpr char NAME[]`
# of a generated HEADER.
function(kinglet_embed_text target file header namespace name)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${file})
  file(READ ${CMAKE_SOURCE_DIR}/${file} content)
  set(root ${CMAKE_BINARY_DIR}/embedded/${target})
  file(CONFIGURE OUTPUT ${root}/${header} @ONLY CONTENT
"// Generated from @file@.
#pragma once
namespace @namespace@ {
inline constexpr char @name@[] = R\"embedded(@content@)embedded\";
}  // namespace @namespace@
")
  target_include_directories(${target} PRIVATE ${root})
endfunction()

# kinglet_embed_files(TARGET HEADER NAMESPACE [NAME FILE]...): builds files, bytes as they are, into TARGET: the generated
# HEADER declares each as `extern const std::string_view NAME`.
function(kinglet_embed_files target header namespace)
  set(root ${CMAKE_BINARY_DIR}/embedded/${target})
  set(declarations "")
  set(symbols "")
  set(definitions "")
  set(files "")
  while(ARGN)
    list(POP_FRONT ARGN name file)
    set(path ${CMAKE_SOURCE_DIR}/${file})
    list(APPEND files ${path})
    string(APPEND declarations "extern const std::string_view ${name};\n")
    string(APPEND symbols "asm(\".section .rodata\\n.global kinglet_embedded_${name}, kinglet_embedded_${name}_end\\n\"\n"
      "    \"kinglet_embedded_${name}: .incbin \\\"${path}\\\"\\nkinglet_embedded_${name}_end: .byte 0\\n.text\\n\");\n"
      "extern \"C\" const char kinglet_embedded_${name}[], kinglet_embedded_${name}_end[];\n")
    string(APPEND definitions
      "const std::string_view ${name}(kinglet_embedded_${name}, kinglet_embedded_${name}_end - kinglet_embedded_${name});\n")
  endwhile()
  file(CONFIGURE OUTPUT ${root}/${header} @ONLY CONTENT
"// Generated: the files that are built into @target@.
#pragma once
#include <string_view>
namespace @namespace@ {
@declarations@}  // namespace @namespace@
")
  string(REGEX REPLACE "\\.h$" ".cc" source ${header})
  file(CONFIGURE OUTPUT ${root}/${source} @ONLY CONTENT
"#include \"@header@\"
@symbols@namespace @namespace@ {
@definitions@}  // namespace @namespace@
")
  set_source_files_properties(${root}/${source} PROPERTIES OBJECT_DEPENDS "${files}")
  target_sources(${target} PRIVATE ${root}/${source})
  target_include_directories(${target} PRIVATE ${root})
endfunction()
