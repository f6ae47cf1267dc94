// Memory that runs out in LLVM's containers.
#pragma once

namespace dcc {

// Makes it std::bad_alloc, as everywhere else, where LLVM would print two lines and abort. Once, at
// the start of a program.
void throwWhenOutOfMemory();

}  // namespace dcc
