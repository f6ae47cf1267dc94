// What emulated streams and graphs hold.
#pragma once

#include <functional>

struct CUstream_st;

namespace dcc::cuda::emulation {

// Runs `work` at once, or notes it where the stream is being captured. The null stream is one too.
void enqueue(CUstream_st* stream, std::function<void()> work);

}  // namespace dcc::cuda::emulation
