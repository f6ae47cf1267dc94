// Which kernels and collectives the CPU has, and how each is prepared.
#pragma once

#include "runtime/backends/cpu/op.h"

namespace dcc::cpu {

using PrepareKernel = Op (*)(PrepareContext& context, const fb::Kernel& kernel);

// Null for a kernel the CPU lacks.
PrepareKernel findKernel(fb::KernelKind kind);

Op prepareGemm(PrepareContext& context, const fb::Gemm& gemm);

bool hasCollective(const fb::Collective& collective);
Op prepareCollective(PrepareContext& context, const fb::Collective& collective);

}  // namespace dcc::cpu
