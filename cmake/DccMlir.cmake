# MLIR 19 as Debian ships it: one shared library each for MLIR and LLVM.
find_package(MLIR CONFIG REQUIRED HINTS /usr/lib/llvm-19/lib/cmake/mlir)
list(APPEND CMAKE_MODULE_PATH ${MLIR_CMAKE_DIR} ${LLVM_CMAKE_DIR})
include(TableGen)
include(AddLLVM)
include(AddMLIR)

# Headers of others are not held to our warnings.
add_library(dcc_mlir INTERFACE)
target_include_directories(dcc_mlir SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS} ${MLIR_INCLUDE_DIRS})
# Nothing here runs long: what counts is how long it takes to build.
target_compile_options(dcc_mlir INTERFACE -fno-rtti -Wno-unused-parameter $<$<CONFIG:Release>:-O1>)
target_link_libraries(dcc_mlir INTERFACE MLIR LLVM)

# Where mlir/IR/OpBase.td is, for mlir-tblgen.
foreach(dir ${MLIR_INCLUDE_DIRS})
  if(EXISTS ${dir}/mlir/IR/OpBase.td)
    set(MLIR_TD_INCLUDE ${dir})
  endif()
endforeach()
