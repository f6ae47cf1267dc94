#include <vector>

#include "runtime/backends/cpu/cpu_backend.h"
#include "runtime/generate/limits.h"
#include "runtime/launch/machine.h"
#include "runtime/plan/access.h"
#include "runtime/plan/traffic.h"
#include "tools/drun/bench.h"

namespace dcc::drun {
namespace {

// The entry that continues sequences.
Result<uint32_t> decodeEntry(const plan::Plan& plan) {
  const generate::Limits limits = generate::limitsOf(plan);
  return static_cast<uint32_t>(limits.decode.index >= 0 ? limits.decode.index
                                                        : limits.prefill.index);
}

}  // namespace

Result<BenchFacts> benchFacts(const plan::Plan& plan, uint32_t threads, Communicator& world) {
  BenchFacts facts;
  facts.model = plan::text(plan->model());
  facts.cpu = launch::cpuModel();
  facts.kernels = cpuKernels();
  facts.ranks = world.size();
  facts.threads = threads;
  facts.vocabulary = plan->vocab_size();

  DCC_ASSIGN(const uint32_t entry, decodeEntry(plan));
  const plan::WeightTraffic own = plan::weightTraffic(*plan, entry);
  std::vector<plan::WeightTraffic> all(world.size());
  const std::vector<size_t> sizes(all.size(), sizeof(own));
  DCC_RETURN_IF_ERROR(world.allGather(&own, all.data(), sizes));
  facts.traffic.dtype = own.dtype;
  for (const plan::WeightTraffic& traffic : all) {
    facts.traffic.whole += traffic.whole;
    facts.traffic.tables += traffic.tables;
    facts.traffic.experts += traffic.experts;
    facts.traffic.experts_of_token += traffic.experts_of_token;
  }
  return facts;
}

}  // namespace dcc::drun
