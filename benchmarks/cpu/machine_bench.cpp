// What this machine can do at most, as one line of JSON: bytes per second that it reads from
// memory, operations per second of f32 and of bf16 products in registers, all threads at once.
//
//   machine_bench [--threads N]           of the instruction set that DRUN_INSTRUCTIONS names
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>

#include "benchmarks/cpu/machine.h"
#include "runtime/backends/cpu/bandwidth.h"
#include "runtime/backends/cpu/cpu_backend.h"

int main(int argc, char** argv) {
  using namespace dcc;
  uint32_t threads = 1;
  if (argc == 3 && std::string(argv[1]) == "--threads") {
    threads = static_cast<uint32_t>(std::clamp(std::strtol(argv[2], nullptr, 10), 1L, 1024L));
  } else if (argc != 1) {
    std::fprintf(stderr, "error: machine_bench [--threads N]\n");
    return 2;
  }
  if (const Status forced = forceCpuInstructionSetFromEnvironment(); !forced.ok()) {
    std::fprintf(stderr, "error: %s\n", forced.error().message.c_str());
    return 2;
  }
  cpu::ThreadPool pool(threads);
  // Far more than caches hold.
  const auto bandwidth = cpu::measureReadBandwidth(pool, size_t{512} << 20);
  if (!bandwidth.ok()) {
    std::fprintf(stderr, "error: %s\n", bandwidth.error().message.c_str());
    return 1;
  }
  const nlohmann::ordered_json line = {{"threads", threads},
                                       {"instructions", cpuInstructionSet()},
                                       {"read_bytes_per_s", *bandwidth},
                                       {"f32_flops_per_s", cpu::measureMultiplyAdd(pool)},
                                       {"bf16_flops_per_s", cpu::measureBf16(pool)}};
  std::printf("%s\n", line.dump().c_str());
  return 0;
}
