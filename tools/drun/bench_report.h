// What `drun bench` says.
#pragma once

#include <cstdint>
#include <string>

#include "runtime/plan/traffic.h"
#include "tools/drun/bench_times.h"

namespace dcc::drun {

// What all ranks find out together, before and while the weights are read.
struct BenchFacts {
  std::string model, cpu;
  std::string kernels;              // the instruction set that they use
  uint32_t ranks = 0, threads = 0;  // threads of each rank
  // Over all ranks, what a decode step reads: plan::WeightTraffic.
  plan::WeightTraffic traffic;
  uint64_t vocabulary = 1;
  // Bytes per second that a copy in the devices' memory moves, of all ranks; 0 on CPUs, which read
  // between steps.
  double copy_bandwidth = 0;
  Reading reading;  // so far
  double load_seconds = 0;
};

struct BenchShape {
  uint32_t prompt_tokens = 0, new_tokens = 0;  // of each sequence
  uint32_t batch = 0;                          // sequences
};

// Bytes of weights that a decode step of `batch` tokens moves; of experts, as many as the tokens
// can ask for.
double stepBytes(const BenchFacts& facts, uint32_t batch);

// One line of JSON, or a table.
std::string benchReport(const BenchFacts& facts, const BenchShape& shape, const BenchTimes& times,
                        bool json);

}  // namespace dcc::drun
