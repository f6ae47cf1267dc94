#include "runtime/backends/cpu/cpu_backend.h"

#include <utility>

#include "runtime/backends/check_plan.h"
#include "runtime/backends/cpu/memory.h"
#include "runtime/backends/cpu/op.h"
#include "runtime/backends/cpu/registry.h"
#include "runtime/plan/access.h"
#include "runtime/plan/workspace.h"

namespace dcc {
namespace cpu {
namespace {

// What all programs of a backend share.
struct Shared {
  explicit Shared(uint32_t threads) : pool(threads) {}
  ThreadPool pool;
  StepState state;
  Memory scratch;
};

class CpuProgram final : public Program {
 public:
  CpuProgram(Shared& shared, std::vector<Op> ops, std::vector<std::unique_ptr<RotaryTable>> rotary,
             std::vector<const float*> outputs, std::byte* arena)
      : shared_(shared),
        ops_(std::move(ops)),
        rotary_(std::move(rotary)),
        outputs_(std::move(outputs)),
        arena_(arena) {}

  Status run(const StepContext& context) override {
    StepState& s = shared_.state;
    const Step& step = context.step;
    s.step = &step;
    s.sizes = context.sizes;
    std::copy(step.tokens.begin(), step.tokens.end(), s.tokens.begin());
    std::copy(step.positions.begin(), step.positions.end(), s.positions.begin());
    if (step.types.empty()) {
      std::fill(s.types.begin(), s.types.end(), 0);
    } else {
      std::copy(step.types.begin(), step.types.end(), s.types.begin());
    }
    for (const auto& table : rotary_) {
      table->fill(shared_.pool, step.positions, step.starts, step.rope_lengths);
    }
    if (context.observer != nullptr) context.observer->begins(steadyNanoseconds());
    for (uint32_t i = 0; i < ops_.size(); ++i) {
      context.position.store(i, std::memory_order_relaxed);
      if (Status status = ops_[i](s); !status.ok()) return status;
      if (context.observer == nullptr) continue;
      DCC_RETURN_IF_ERROR(
          context.observer->ran({step.entry, i, steadyNanoseconds(), context.sizes, arena_}));
    }
    return Status::success();
  }

  const float* output(uint32_t index) const override { return outputs_[index]; }

 private:
  Shared& shared_;
  std::vector<Op> ops_;
  std::vector<std::unique_ptr<RotaryTable>> rotary_;
  std::vector<const float*> outputs_;
  std::byte* arena_;
};

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(uint32_t threads) : shared_(threads) {}

  std::string_view name() const override { return "cpu"; }

  Status check(const fb::Plan& plan) const override {
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("sse4.2")) {
      return userError("this CPU: has no SSE4.2; the cpu backend needs it");
    }
#endif
    return checkPlan(plan, {.name = "cpu",
                            .has_kernel = [](fb::KernelKind k) { return findKernel(k) != nullptr; },
                            .has_collective = hasCollective,
                            .max_head_dim = kBlock});
  }

  Result<std::byte*> allocate(MemoryUse, size_t bytes) override {
    DCC_ASSIGN(Memory memory, Memory::map(bytes));
    memory_.push_back(std::move(memory));
    return memory_.back().data();
  }

  Status upload(const fb::Plan&, std::span<const std::span<uint8_t>> weights,
                const LoadWeights& load) override {
    return load(wholeWeights(weights));
  }

  Result<std::unique_ptr<Program>> prepare(const fb::Plan& plan, uint32_t entry,
                                           const PlanMemory& memory,
                                           std::span<Communicator* const> axes) override {
    StepState& state = shared_.state;
    if (state.pool == nullptr) {
      state.pool = &shared_.pool;
      state.tokens.resize(plan.max_tokens());
      state.positions.resize(plan.max_tokens());
      if (plan.token_types() > 0) state.types.resize(plan.max_tokens());
    }
    std::vector<std::unique_ptr<RotaryTable>> rotary;
    PrepareContext context(plan, entry, memory, axes, state, rotary);
    std::vector<Op> ops;
    for (const fb::Instruction* i : plan::rows(plan.entries()->Get(entry)->instructions())) {
      ops.push_back(prepareInstruction(context, *i));
    }
    std::vector<const float*> outputs;
    for (const fb::Output* output : plan::rows(plan.entries()->Get(entry)->outputs())) {
      outputs.push_back(context.buffer(output->buffer()).matrix.f32(0));
    }
    const uint64_t scratch = plan::workspaceBytes(plan, context.entry(), shared_.pool.threads());
    if (scratch > shared_.scratch.size()) {
      DCC_ASSIGN(shared_.scratch, Memory::map(scratch));
      state.scratch = shared_.scratch.data();
    }
    return {std::make_unique<CpuProgram>(shared_, std::move(ops), std::move(rotary),
                                         std::move(outputs), memory.arena)};
  }

 private:
  // check() has passed: every instruction can be prepared.
  static Op prepareInstruction(PrepareContext& context, const fb::Instruction& instruction) {
    if (const fb::Gemm* gemm = instruction.body_as_Gemm()) return prepareGemm(context, *gemm);
    if (const fb::Collective* c = instruction.body_as_Collective()) {
      return prepareCollective(context, *c);
    }
    const fb::Kernel& kernel = *instruction.body_as_Kernel();
    return findKernel(kernel.kind())(context, kernel);
  }

  Shared shared_;
  std::vector<Memory> memory_;
};

}  // namespace
}  // namespace cpu

std::unique_ptr<Backend> makeCpuBackend(const CpuOptions& options) {
  return std::make_unique<cpu::CpuBackend>(options.threads);
}

}  // namespace dcc
