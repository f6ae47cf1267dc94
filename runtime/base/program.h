// What our programs do around their work, so that what the kernel or the allocator would end them
// for is an error like others.
#pragma once

#include <functional>

#include "runtime/base/status.h"

namespace dcc {

// The first thing: descriptors 0 to 2 are open, so that no file of ours becomes one of them, and
// closed pipes and files that grow too large are errors of write(), and as many descriptors may be
// open as the system allows.
void beginProgram();

// Runs `body`. Memory or threads that run out in it, where nobody looks for that, are an error
// (runtime).
Status guarded(const std::function<Status()>& body);

// What a program of ours exits with: 0; 1 or 2, by whose fault it was (Fault); 128 + `signal` where
// it ended because it was sent one.
int exitStatus(const Status& status, int signal = 0);

// The last thing of a program that prints through stdio. Error (runtime): stdout could not be
// written, unless nobody reads it.
Status flushStdout();

}  // namespace dcc
