#include "runtime/backends/cpu/cpu_backend.h"

#include <set>
#include <utility>

#include "runtime/backends/cpu/memory.h"
#include "runtime/backends/cpu/op.h"
#include "runtime/backends/cpu/registry.h"
#include "runtime/base/dtype.h"
#include "runtime/plan/access.h"
#include "runtime/plan/kernels.h"
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
             std::vector<const float*> outputs, const std::byte* arena)
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
    if (context.observer != nullptr) context.observer->begins();
    for (uint32_t i = 0; i < ops_.size(); ++i) {
      context.position.store(i, std::memory_order_relaxed);
      if (Status status = ops_[i](s); !status.ok()) return status;
      if (context.observer == nullptr) continue;
      DCC_RETURN_IF_ERROR(context.observer->ran(step.entry, i, context.sizes, arena_));
    }
    return Status::success();
  }

  const float* output(uint32_t index) const override { return outputs_[index]; }

 private:
  Shared& shared_;
  std::vector<Op> ops_;
  std::vector<std::unique_ptr<RotaryTable>> rotary_;
  std::vector<const float*> outputs_;
  const std::byte* arena_;
};

// What of a plan the CPU cannot run, each said once.
class Lacks {
 public:
  void add(const std::string& what, const flatbuffers::String* module) {
    if (!said_.insert(what).second) return;
    if (!list_.empty()) list_ += ", ";
    list_ += what;
    if (module && module->size() > 0) list_ += " (" + module->str() + ")";
  }
  Status status() const {
    if (list_.empty()) return Status::success();
    return userError("the cpu backend of this build lacks " + list_ +
                     "; recompile the model for it, or use a newer drun");
  }

 private:
  std::set<std::string> said_;
  std::string list_;
};

void checkKernel(const fb::Kernel& kernel, const flatbuffers::String* module, Lacks& lacks) {
  const plan::KernelInfo* info = plan::kernelInfo(kernel.kind());
  if (info == nullptr || findKernel(kernel.kind()) == nullptr) {
    lacks.add(info ? "kernel " + std::string(info->name)
                   : "kernel number " + std::to_string(static_cast<int>(kernel.kind())),
              module);
    return;
  }
  for (const fb::Attr* attr : plan::rows(kernel.attrs())) {
    if (attr->key() == fb::AttrKey::function && (attr->i() < 0 || attr->i() >= plan::kFunctions)) {
      lacks.add("activation function number " + std::to_string(attr->i()), module);
    }
    if (attr->key() == fb::AttrKey::head_dim && attr->i() > kBlock) {
      lacks.add("heads of more than " + std::to_string(kBlock) + " columns", module);
    }
  }
}

void checkEntry(const fb::Entry& entry, Lacks& lacks) {
  const auto dtypeOf = [&](uint32_t buffer) {
    return static_cast<DType>(entry.buffers()->Get(buffer)->dtype());
  };
  for (const fb::Buffer* buffer : plan::rows(entry.buffers())) {
    const auto dtype = static_cast<DType>(buffer->dtype());
    if (buffer->storage() == fb::Storage::arena && !isFloat(dtype)) {
      lacks.add("buffers of type " + std::string(name(dtype)), entry.name());
    }
  }
  for (const fb::Instruction* instruction : plan::rows(entry.instructions())) {
    if (const fb::Kernel* kernel = instruction->body_as_Kernel()) {
      checkKernel(*kernel, instruction->module_(), lacks);
    } else if (const fb::Collective* c = instruction->body_as_Collective()) {
      if (!hasCollective(*c)) {
        lacks.add(std::string("collective ") + fb::EnumNameCollectiveKind(c->kind()) + " of " +
                      fb::EnumNameReduction(c->reduction()),
                  instruction->module_());
      } else if (c->reduction() != fb::Reduction::none && dtypeOf(c->input()) != DType::kF32) {
        lacks.add("sums over ranks in " + std::string(name(dtypeOf(c->input()))),
                  instruction->module_());
      }
    } else if (instruction->body_type() != fb::Body::Gemm) {
      lacks.add("instruction kind " + std::to_string(static_cast<int>(instruction->body_type())),
                instruction->module_());
    }
  }
  for (const fb::Output* output : plan::rows(entry.outputs())) {
    if (dtypeOf(output->buffer()) != DType::kF32) {
      lacks.add("outputs of type " + std::string(name(dtypeOf(output->buffer()))), output->name());
    }
  }
}

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
    Lacks lacks;
    for (const fb::Weight* weight : plan::rows(plan.weights())) {
      const auto dtype = static_cast<DType>(weight->dtype());
      if (!isFloat(dtype)) {
        lacks.add("weights of type " + std::string(dcc::name(dtype)), weight->module_());
      }
      if (weight->layout() != fb::Layout::row_major) {
        lacks.add("weight layout number " + std::to_string(static_cast<int>(weight->layout())),
                  weight->module_());
      }
    }
    for (const fb::Cache* cache : plan::rows(plan.caches())) {
      const auto dtype = static_cast<DType>(cache->dtype());
      if (!isFloat(dtype)) {
        lacks.add("caches of type " + std::string(dcc::name(dtype)), cache->module_());
      }
    }
    for (const fb::Entry* entry : plan::rows(plan.entries())) checkEntry(*entry, lacks);
    return lacks.status();
  }

  Result<std::byte*> allocate(MemoryUse, size_t bytes) override {
    DCC_ASSIGN(Memory memory, Memory::map(bytes));
    memory_.push_back(std::move(memory));
    return memory_.back().data();
  }

  Status upload(std::span<const std::span<uint8_t>> weights, const LoadWeights& load) override {
    return load(weights);
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
