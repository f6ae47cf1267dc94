// Weights that exist only as a seed (`dcc compile --weights dummy`), drawn where they will be read.
#pragma once

#include <cstddef>
#include <cstdint>

#include "plan_generated.h"
#include "runtime/backends/cuda/cuda.h"

namespace dcc::cuda {

// Whether all elements of Plan.weights[weight] are random: then the device can draw them.
bool drawsWeight(const plan::fb::Plan& plan, uint32_t weight);

// Fills such a weight in device memory with what WeightLoader would put there, bit for bit.
void drawWeight(const Launch& on, const plan::fb::Plan& plan, uint32_t weight, std::byte* memory);

}  // namespace dcc::cuda
