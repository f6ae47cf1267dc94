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
