#include "compiler/out_of_memory.h"

#include <new>

#include "llvm/Support/ErrorHandling.h"

namespace dcc {

void throwWhenOutOfMemory() {
  llvm::install_bad_alloc_error_handler([](void*, const char*, bool) { throw std::bad_alloc(); });
}

}  // namespace dcc
