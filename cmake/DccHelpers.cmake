# Warnings are errors in our own code, everywhere the same.
add_library(dcc_options INTERFACE)
target_compile_options(dcc_options INTERFACE -Wall -Wextra -Werror -fno-math-errno)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # GCC 12 warns wrongly of "literal" + std::string (GCC bug 105329).
  target_compile_options(dcc_options INTERFACE -Wno-restrict)
elseif(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # libstdc++ 12's std::stable_sort calls what libstdc++ 12 deprecates.
  target_compile_options(dcc_options INTERFACE -Wno-deprecated-declarations)
endif()
if(DCC_SANITIZE)
  add_compile_options(-fsanitize=${DCC_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${DCC_SANITIZE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # With checks in between GCC 12 takes flatbuffers' tables for the one byte they are declared as.
    target_compile_options(dcc_options INTERFACE -Wno-stringop-overread)
  endif()
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

# dcc_unit_test(NAME SOURCES... [LIBS libs...] [THREADS]): a GoogleTest program, one ctest test.
# DCC_SOURCE_DIR is the checkout's path (for tests/models, examples). THREADS: there are several in it,
# which the tsan preset watches.
function(dcc_unit_test name)
  cmake_parse_arguments(ARG "THREADS" "" "LIBS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE dcc_options ${ARG_LIBS} GTest::gtest GTest::gtest_main Threads::Threads)
  target_compile_definitions(${name} PRIVATE DCC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  # What counts is how long a test takes to build.
  target_compile_options(${name} PRIVATE $<$<CONFIG:Release>:-O1>)
  add_test(NAME unit.${name} COMMAND ${name})
  if(ARG_THREADS)
    add_dependencies(thread_tests ${name})
    # After a race all others would be told too, and take minutes.
    set_tests_properties(unit.${name} PROPERTIES LABELS threads
      ENVIRONMENT TSAN_OPTIONS=halt_on_error=1)
  endif()
endfunction()

# dcc_fuzzer(NAME SOURCES... [LIBS libs...] [SEEDS_BY program]): LLVMFuzzerTestOneInput over the seeds
# in tests/fuzz/seeds/NAME and those that `program DIR` writes. With DCC_FUZZ it mutates them for
# DCC_FUZZ_SECONDS, otherwise the test runs each seed once.
set(DCC_FUZZ_SECONDS 10 CACHE STRING "Seconds each fuzzer runs under ctest")
function(dcc_fuzzer name)
  cmake_parse_arguments(ARG "" "SEEDS_BY" "LIBS" ${ARGN})
  set(target fuzz_${name})
  add_executable(${target} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${target} PRIVATE dcc_options ${ARG_LIBS} Threads::Threads)
  target_compile_definitions(${target} PRIVATE DCC_SOURCE_DIR="${CMAKE_SOURCE_DIR}")
  file(GLOB seeds ${CMAKE_SOURCE_DIR}/tests/fuzz/seeds/${name})
  if(ARG_SEEDS_BY)
    set(written ${CMAKE_BINARY_DIR}/seeds/${name})
    add_dependencies(${target} ${ARG_SEEDS_BY})
    add_custom_command(TARGET ${target} POST_BUILD COMMAND ${ARG_SEEDS_BY} ${written})
    list(APPEND seeds ${written})
  endif()
  if(DCC_FUZZ)
    target_link_options(${target} PRIVATE -fsanitize=fuzzer)
    set(found ${CMAKE_BINARY_DIR}/corpus/${name})
    file(MAKE_DIRECTORY ${found})
    add_test(NAME fuzz.${name} COMMAND ${target} -max_total_time=${DCC_FUZZ_SECONDS} -timeout=10
      -rss_limit_mb=2048 -print_final_stats=1 ${found} ${seeds})
  else()
    target_sources(${target} PRIVATE ${CMAKE_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
    target_link_libraries(${target} PRIVATE dcc_base)
    add_test(NAME fuzz.${name}.seeds COMMAND ${target} ${seeds})
  endif()
endfunction()
