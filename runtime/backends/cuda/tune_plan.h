// `drun DIR tune`: measures every product of a plan in all ways there are.
#pragma once

#include <string>
#include <vector>

#include "plan_generated.h"
#include "runtime/backends/backend.h"
#include "runtime/backends/cuda/matrix_library.h"
#include "runtime/backends/cuda/tuning.h"

namespace dcc::cuda {

// The current device, as the driver names it.
Result<std::string> deviceName();

// What the file has for the current device and library; nothing where there is no file. What of it
// is of no use is added to `notes`, a line each. Errors: readTuning's.
Result<TuningSet> tuningFor(const MatrixLibrary& library, const std::string& file,
                            std::vector<std::string>& notes);

// Measures all products of the plan's entries, for every class of rows that they may have, and adds
// what is fastest to the tuning file. Nothing else runs on the device meanwhile. Errors: the
// device's, the library's, the file's.
Status tunePlan(const plan::fb::Plan& plan, const PlanMemory& memory, MatrixLibrary& library,
                std::byte* workspace, cudaStream_t stream, const std::string& file);

}  // namespace dcc::cuda
