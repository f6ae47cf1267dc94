// What a rank does: the same on all of them, but that rank 0 also has a command to lead.
#pragma once

#include <memory>

#include "runtime/backends/cuda/cuda_backend.h"
#include "runtime/launch/rank.h"
#include "tools/drun/options.h"

namespace dcc::drun {

// makeCudaBackend(), or null in a build without CUDA.
using MakeCuda = Result<std::unique_ptr<Backend>> (*)(const CudaOptions&);

Status rankMain(const Options& options, launch::Rank& rank, MakeCuda make_cuda);

}  // namespace dcc::drun
