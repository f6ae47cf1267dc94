# Warnings are errors in our own code, everywhere the same.
add_library(dcc_options INTERFACE)
target_compile_options(dcc_options INTERFACE -Wall -Wextra -Werror -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns wrongly of "literal" + std::string (GCC bug 105329).
  target_compile_options(dcc_options INTERFACE -Wno-restrict)
endif()
if(DCC_SANITIZE)
  add_compile_options(-fsanitize=${DCC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${DCC_SANITIZE})
endif()
if(DCC_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# dcc_library(NAME SOURCES... [LIBS libs...]): a static library of ours.
function(dcc_library name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE dcc_options PUBLIC ${ARG_LIBS} Threads::Threads)
endfunction()

# dcc_tool(NAME SOURCES... [LIBS libs...]): a program in build/bin.
function(dcc_tool name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE dcc_options ${ARG_LIBS} Threads::Threads)
endfunction()

# dcc_unit_test(NAME SOURCES... [LIBS libs...]): a GoogleTest program, one ctest test.
# DCC_SOURCE_DIR is the checkout's path (for tests/models, examples).
function(dcc_unit_test name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE dcc_options ${ARG_LIBS} GTest::gtest GTest::gtest_main Threads::Threads)
  target_compile_definitions(${name} PRIVATE DCC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  add_test(NAME unit.${name} COMMAND ${name})
endfunction()

# dcc_fuzzer(NAME SOURCES... [LIBS libs...]): LLVMFuzzerTestOneInput over tests/fuzz/seeds/NAME. With
# DCC_FUZZ it mutates them for DCC_FUZZ_SECONDS, otherwise the test runs each seed once.
set(DCC_FUZZ_SECONDS 15 CACHE STRING "Seconds each fuzzer runs under ctest")
function(dcc_fuzzer name)
  cmake_parse_arguments(ARG "" "" "LIBS" ${ARGN})
  set(seeds ${CMAKE_SOURCE_DIR}/tests/fuzz/seeds/${name})
  add_executable(fuzz_${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(fuzz_${name} PRIVATE dcc_options ${ARG_LIBS} Threads::Threads)
  add_dependencies(fuzzers fuzz_${name})
  if(DCC_FUZZ)
    target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    set(found ${CMAKE_BINARY_DIR}/corpus/${name})
    file(MAKE_DIRECTORY ${found})
    add_test(NAME fuzz.${name} COMMAND fuzz_${name} -max_total_time=${DCC_FUZZ_SECONDS} -timeout=10
      -rss_limit_mb=2048 -print_final_stats=1 ${found} ${seeds})
  else()
    target_sources(fuzz_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
    add_test(NAME fuzz.${name}.seeds COMMAND fuzz_${name} ${seeds})
  endif()
endfunction()
