// What emulated streams and graphs hold.
#pragma once

#include <functional>

struct CUstream_st;
struct CUevent_st;

namespace dcc::cuda::emulation {

// Runs `work` at once, or notes it where the stream is being captured. The null stream is one too.
void enqueue(CUstream_st* stream, std::function<void()> work);

// Whether the event waits to happen, whatever was recorded: streams do their work at once, what is
// under way on a device must be told.
void setPending(CUevent_st* event, bool pending);

}  // namespace dcc::cuda::emulation
