#include "compiler/budget.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "compiler/collective_report.h"
#include "compiler/explanation.h"
#include "runtime/base/printable.h"
#include "runtime/footprint/memory.h"
#include "runtime/launch/cores.h"
#include "runtime/plan/access.h"

namespace dcc {
namespace {

namespace fb = plan::fb;
using plan::rows;
using plan::text;

// ---- collectives --------------------------------------------------------------------------------

Status checkEntry(const fb::Plan& plan, const fb::Entry& entry, uint32_t most) {
  const std::vector<int64_t> sizes = footprint::sizesAt(plan, 1, 1);
  std::vector<CollectiveReport> reports =
      reportCollectives(plan, entry, sizes, TransportKind::kSharedMemory);
  for (const CollectiveReport& report : reports) {
    const std::optional<LayerPath> layer = layerOf(report.module);
    if (!layer) continue;
    std::string list;
    uint32_t count = 0;
    for (const CollectiveReport& other : reports) {
      const std::optional<LayerPath> path = layerOf(other.module);
      if (!path || path->of != layer->of || path->layer != layer->layer) continue;
      ++count;
      list += (list.empty() ? "" : ", ") + other.op + " of " + path->inside + " because " +
              other.because;
    }
    if (count <= most) continue;
    return userError("--max-collectives-per-layer " + std::to_string(most) + ": " + layer->of +
                     "." + std::to_string(layer->layer) + " has " + std::to_string(count) +
                     " in entry " + std::string(text(entry.name())) + ": " + list +
                     "; fewer come of other rules (--tp-plan, --tp-rule), or allow " +
                     std::to_string(count));
  }
  return Status::success();
}

// ---- memory -------------------------------------------------------------------------------------

footprint::Running runningHere(size_t ranks) {
  return {launch::threadsPerRank(launch::usableCores(), static_cast<uint32_t>(ranks)),
          TransportKind::kSharedMemory};
}

// The largest value from `least` up, below `most`, with which `fits`; nothing when there is none.
// `need(x)` grows with x and is `need_most` at `most`, more than `budget`.
Result<std::optional<int64_t>> largestThatFits(
    int64_t least, int64_t most, uint64_t need_most, uint64_t budget,
    const std::function<Result<uint64_t>(int64_t)>& need) {
  if (least >= most) return std::optional<int64_t>();
  DCC_ASSIGN(uint64_t need_least, need(least));
  if (need_least > budget) return std::optional<int64_t>();
  // Between them need is nearly a line: where it would meet the budget is nearly the answer, and
  // every other step halves what is left in case it isn't.
  for (bool on_line = true; most - least > 1; on_line = !on_line) {
    const double part = on_line ? static_cast<double>(budget - need_least) /
                                      static_cast<double>(need_most - need_least)
                                : 0.5;
    const auto guess = least + static_cast<int64_t>(part * static_cast<double>(most - least));
    const int64_t x = std::clamp(guess, least + 1, most - 1);
    DCC_ASSIGN(const uint64_t bytes, need(x));
    (bytes <= budget ? least : most) = x;
    (bytes <= budget ? need_least : need_most) = bytes;
  }
  return std::optional<int64_t>(least);
}

// "--max-seqs 4, or --max-seq-len 512"; empty when no limit alone is enough.
Result<std::string> waysToFit(const PlanLimits& now, uint64_t need, uint64_t budget,
                              const std::function<Result<uint64_t>(const PlanLimits&)>& needed) {
  struct Limit {
    const char* option;
    int64_t PlanLimits::*value;
    int64_t least;
  };
  // A step has room for a token of each sequence.
  const Limit limits[] = {{"--max-seqs", &PlanLimits::max_seqs, 1},
                          {"--max-seq-len", &PlanLimits::max_seq_len, 1},
                          {"--max-tokens", &PlanLimits::max_tokens, now.max_seqs}};
  std::string ways;
  for (const Limit& limit : limits) {
    const auto with = [&](int64_t x) {
      PlanLimits changed = now;
      changed.*limit.value = x;
      return needed(changed);
    };
    DCC_ASSIGN(const std::optional<int64_t> x,
               largestThatFits(limit.least, now.*limit.value, need, budget, with));
    if (x)
      ways += (ways.empty() ? "" : ", or ") + std::string(limit.option) + " " + std::to_string(*x);
  }
  return ways;
}

}  // namespace

Result<uint64_t> parseBytes(const std::string& text) {
  struct Unit {
    const char* name;
    double bytes;
  };
  constexpr Unit kUnits[] = {{"", 1},         {"B", 1},       {"kB", 1e3},     {"MB", 1e6},
                             {"GB", 1e9},     {"TB", 1e12},   {"KiB", 0x1p10}, {"MiB", 0x1p20},
                             {"GiB", 0x1p30}, {"TiB", 0x1p40}};
  const size_t digits = std::min(text.find_first_not_of("0123456789."), text.size());
  const std::string number = text.substr(0, digits), unit = text.substr(digits);
  char* end = nullptr;
  const double value = std::strtod(number.c_str(), &end);
  const auto* found = std::find_if(std::begin(kUnits), std::end(kUnits),
                                   [&](const Unit& u) { return unit == u.name; });
  const double bytes = found == std::end(kUnits) ? 0 : value * found->bytes;
  if (number.empty() || *end != '\0' || !(bytes >= 1) || bytes > 0x1p60) {
    return userError("--memory " + printable(text) +
                     ": is no size; a number and MB, GB, MiB or GiB is, as 80GiB");
  }
  return static_cast<uint64_t>(bytes);
}

Status checkCollectivesPerLayer(std::span<const plan::Plan> plans, uint32_t most) {
  for (const plan::Plan& plan : plans) {
    for (const fb::Entry* entry : rows(plan->entries())) {
      DCC_RETURN_IF_ERROR(checkEntry(*plan, *entry, most));
    }
  }
  return Status::success();
}

uint64_t memoryNeeded(std::span<const plan::Plan> plans) {
  uint64_t most = 0;
  for (const plan::Plan& plan : plans) {
    most = std::max(most, footprint::memoryOf(plan, runningHere(plans.size())).total());
  }
  return most;
}

Status checkMemory(std::span<const plan::Plan> plans, uint64_t bytes, const std::string& asked,
                   const std::function<Result<uint64_t>(const PlanLimits&)>& needed) {
  const auto most =
      std::max_element(plans.begin(), plans.end(), [&](const plan::Plan& a, const plan::Plan& b) {
        return footprint::memoryOf(a, runningHere(plans.size())).total() <
               footprint::memoryOf(b, runningHere(plans.size())).total();
      });
  const footprint::Memory memory = footprint::memoryOf(*most, runningHere(plans.size()));
  if (memory.total() <= bytes) return Status::success();
  std::string kinds;
  for (const footprint::MemoryKind& kind : footprint::kMemoryKinds) {
    if (memory.*kind.bytes == 0) continue;
    kinds +=
        (kinds.empty() ? "" : ", ") + std::string(kind.name) + " " + bytesText(memory.*kind.bytes);
  }
  const fb::Plan& plan = **most;
  std::string advice;
  if (needed) {
    const PlanLimits now = {plan.max_tokens(), plan.max_seqs(),
                            static_cast<int64_t>(plan.max_seq_len())};
    DCC_ASSIGN(const std::string ways, waysToFit(now, memory.total(), bytes, needed));
    advice = ways.empty() ? "; more ranks (--tp) need less each" : "; it fits with " + ways;
  }
  return userError("--memory " + asked + ": rank " + std::to_string(plan.rank()) + " needs " +
                   bytesText(memory.total()) + ": " + kinds + advice);
}

}  // namespace dcc
