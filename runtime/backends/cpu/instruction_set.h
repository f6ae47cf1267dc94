// What of the machine's instructions the kernels use, beside the vectors that Highway chooses.
#pragma once

namespace dcc::cpu {

// How bf16 is multiplied with bf16.
enum class Bf16Products {
  kWidened,  // as f32
  kAvx512,   // avx512_bf16
  kAmx,      // amx_bf16
};

// Of the instruction set in use (cpuInstructionSet() of cpu_backend.h).
Bf16Products bf16Products();

}  // namespace dcc::cpu
