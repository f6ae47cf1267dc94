// What a kind of device offers the executor: memory, and programs made of a plan's entries. One
// object per rank, used by one thread at a time.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "plan_generated.h"
#include "runtime/backends/views.h"
#include "runtime/base/status.h"
#include "runtime/base/steady.h"
#include "runtime/collectives/communicator.h"
#include "runtime/collectives/whereabouts.h"
#include "runtime/executor/step.h"
#include "runtime/weights/part.h"

namespace dcc {

// Writes parts of a plan's weights to host memory.
using LoadWeights = std::function<Status(std::span<const WeightPart> parts)>;

enum class MemoryUse : uint8_t { kWeights, kCache, kArena };

// Where a rank's plan lies in memory, as the executor laid it out. Every address is 64-byte aligned
// and belongs to the backend's device.
struct PlanMemory {
  std::vector<std::span<uint8_t>> weights;  // per Plan.weights: [rows, cols], row-major
  std::vector<std::byte*> pools;            // per Plan.page_groups: pages * bytes_per_page, zeroed
  std::byte* arena = nullptr;               // the largest entry's
};

// An instruction that has run.
struct Ran {
  uint32_t entry, instruction;
  int64_t end;                     // of steadyNanoseconds()
  std::span<const int64_t> sizes;  // the step's
  // The entry's in host memory, where the instruction's results can be read if somebody asked.
  std::byte* arena;
};

// Told of every instruction that has run, where somebody wants to look at values or at times.
class Observer {
 public:
  // What ran() looks at; each includes those before it. Where no instruction of an entry is asked
  // for more than times, a device may make one launch of several, whose time is the last one's.
  // kFaults: results are changed, and the changed ones count.
  enum class Asks : uint8_t { kTimes, kValues, kFaults };

  virtual ~Observer() = default;
  virtual Asks asks(uint32_t entry, uint32_t instruction) const = 0;
  // What all instructions of the step share is ready: the first one starts, at `begin` of
  // steadyNanoseconds().
  virtual void begins(int64_t) {}
  // An error ends the step.
  virtual Status ran(const Ran& ran) = 0;
};

// What a program needs to know of a step.
struct StepContext {
  const Step& step;
  std::span<const int64_t> sizes;  // values of Plan.sizes
  // The program stores the index of each instruction it starts, or kSomeInstruction.
  std::atomic<uint32_t>& position;
  Observer* observer = nullptr;  // usually none
};

// A prepared entry. It reads and writes the PlanMemory it was prepared with.
class Program {
 public:
  virtual ~Program() = default;

  // Runs the step's instructions in order. Takes no memory and looks nothing up. An error is that
  // of the instruction at `position`, or of none that is known.
  virtual Status run(const StepContext& context) = 0;

  // Entry.outputs[index] in host memory, f32, rows `row_stride` of the buffer apart; valid until
  // the next run of any program. Not to be read after wholeOutputs(false).
  virtual const float* output(uint32_t index) const = 0;

  // From now on outputs are wanted as wholes, which they are at first, or nothing but largest().
  virtual void wholeOutputs(bool) {}
  // How long run() has only waited for a device, in all calls so far.
  virtual std::chrono::nanoseconds waited() const { return {}; }

  // What run() has moved between devices, in all calls so far; what the host's communicators have
  // is theirs to tell.
  virtual Traffic moved() const { return {}; }

  // Of each row of Entry.outputs[index], where the device has looked for it; valid as output() is.
  virtual std::span<const Largest> largest(uint32_t) const { return {}; }
};

class Backend {
 public:
  virtual ~Backend() = default;

  virtual std::string_view name() const = 0;

  // User error that lists everything the plan needs and this backend lacks.
  virtual Status check(const plan::fb::Plan& plan) const = 0;

  // What the user may want to know of how it came about, a line each.
  virtual std::span<const std::string> notes() const { return {}; }

  // Measures how a plan's products are made fastest, weights in place, and leaves that in `file`.
  virtual Status tune(const plan::fb::Plan&, const PlanMemory&, const std::string&) {
    return userError("tune: the " + std::string(name()) +
                     " backend has nothing to measure; it is for --device cuda");
  }

  // Bytes per second that a copy in the device's memory reads and writes; 0 where the device is the
  // host.
  virtual Result<double> copyBandwidth() { return 0.0; }

  // Zeroed device memory, 64-byte aligned, freed with the backend. Pages never touched cost nothing
  // where the device allows it. Runtime error when there is not enough.
  virtual Result<std::byte*> allocate(MemoryUse use, size_t bytes) = 0;

  // Has `load` write the weights, each of them once, and brings them to `weights`, of which
  // weights[i] is the whole of Plan.weights[i] and lies in what allocate() returned. Weights that
  // exist only as a seed the backend may make itself.
  virtual Status upload(const plan::fb::Plan& plan, std::span<const std::span<uint8_t>> weights,
                        const LoadWeights& load) = 0;

  // Makes Plan.entries[entry] ready to run; the weights are in place. `axes` has one communicator
  // per mesh axis, null where the axis has size 1. The plan, the memory and the communicators
  // outlive the program.
  virtual Result<std::unique_ptr<Program>> prepare(const plan::fb::Plan& plan, uint32_t entry,
                                                   const PlanMemory& memory,
                                                   std::span<Communicator* const> axes) = 0;
};

}  // namespace dcc
